import NexusModel
import NexusRESP
import NexusService
import NexusStore

extension Engine {
  /// Divides a command among the owners of its keys, which are in `keyList`. The reply has one place in the session's
  /// queue; it is written when the last part has come back.
  func scatter(
    _ arguments: UnsafeMutablePointer<Argument>, _ count: Int, _ command: Int, _ session: Session,
    _ state: inout ReceiveState
  ) -> Disposition {
    let slot = door.commands.slots + command
    guard case .range(1, -1, let step) = slot.pointee.command.keys else { return .done }
    if (count - 1) % step != 0 {
      reject(command, "ERR wrong number of arguments for '\(slot.pointee.name)' command", session, &state.out)
      return .done
    }
    if let queue = session.pending, queue.pointee.changes != routes.changes {
      // Operations of before may take another way than this one: it waits until they are done.
      queue.pointee.waits = .untilEmpty
      return .wait
    }
    let gathering = Gathering(
      command: command, spread: slot.pointee.spread, session: session, flags: flags(of: slot, session),
      arguments: (0..<count).map { Array(arguments[$0].bytes) }, step: step)
    // What this node owns runs at once, as one part.
    let hot = hotPart(command, session, state.clock)
    var groups = Divided(keyList.keys.map(\.slot), routes, without: Set(hot?.keys ?? []))
    if let hot { gathering.parts.append(hot) }
    var hold: ReplicaHold?
    if let keys = groups.takeLocal() {
      let asks = slot.pointee.flags.contains(.readonly) && asksQuorum(session.namespace)
      if !asks, let reply = runPart(gathering, keys, session, state.now, &hold) {
        gathering.parts.append(.init(keys: keys, outcome: hold == nil ? .replied(reply) : .held(reply)))
      } else {
        groups.addSlotBySlot(keys)
      }
    }
    if groups.parts.isEmpty, hold == nil {
      gathering.writeReply(&state.out)
      return .done
    }
    let queue = queue(of: session, &state.out, &state.mark)
    let number = open(gathering, queue, silent: isSilent(session))
    if let hold { holdPart(gathering, number, hold, queue) }
    gathering.missing += groups.parts.count
    let first = gathering.parts.count
    for part in groups.parts { gathering.parts.append(.init(keys: part.keys)) }
    for (offset, part) in groups.parts.enumerated() {
      sendPart(gathering, number, first + offset, part.isOneSlot, queue)
    }
    return .done
  }

  /// Gives the gathering its place in the queue.
  func open(_ gathering: Gathering, _ queue: UnsafeMutablePointer<ReplyQueue>, silent: Bool) -> UInt32 {
    let forwarder = forwarder
    gathering.place = forwarder.table.take(queue, .gathered)
    gathering.isSilent = silent
    forwarder.table.append(gathering.place, to: queue)
    let number = forwarder.add(gathering)
    forwarder.table.places[Int(gathering.place)].gathering = number
    return number
  }

  /// Runs a part here; nil, with nothing done, where its keys are not all this node's after all.
  private func runPart(
    _ gathering: Gathering, _ keys: [Int], _ session: Session, _ now: UnixMilliseconds, _ hold: inout ReplicaHold?
  ) -> [UInt8]? {
    let slot = door.commands.slots + gathering.command
    let level = slot.pointee.flags.contains(.write) ? acknowledgement(session) : .one
    return withArguments(gathering.arguments(of: keys)) { arguments, count in
      var out = OutputBuffer(capacity: 1024)
      defer { out.deallocate() }
      if slot.pointee.flags.contains(.denyOOM), !hasRoom(arguments, count, session, now) {
        return Array("-\(Self.outOfMemory)\r\n".utf8)
      }
      collectKeys(slot, arguments, count, nil, session.namespace)
      guard hasReplicas(level) else { return Array("-\(Self.notEnoughReplicas)\r\n".utf8) }
      if level != .one { replicator?.beginWork() }
      let started = loop.monotonicNanoseconds
      var call = Call(
        arguments: arguments, count: count, session: session, engine: self, out: out, now: now,
        commandIndex: gathering.command)
      let ownership = runWhereOwned(&call, slot)
      out = call.out
      guard ownership == .ran else { return nil }
      finish(&call, slot, nanoseconds: loop.monotonicNanoseconds &- started, &out)
      if level != .one, let replicator, replicator.hasWritten { hold = replicator.hold(level) }
      return Array(out.bytes)
    }
  }

  /// The part that ran here, the first, is under way until its writes have their copies.
  private func holdPart(
    _ gathering: Gathering, _ number: UInt32, _ hold: ReplicaHold, _ queue: UnsafeMutablePointer<ReplyQueue>
  ) {
    let index = forwarder.table.take(queue, .part)
    forwarder.table.places[Int(index)].gathering = number
    forwarder.table.places[Int(index)].part = 0
    gathering.missing += 1
    queue.pointee.underWay &+= 1
    replicator?.notify(self, forwarder.table.ticket(index), of: hold, timeoutMilliseconds: 0)
  }

  func partCopied(_ index: UInt32, _ shortfall: ReplicaShortfall?) {
    let place = forwarder.table.places[Int(index)]
    forwarder.table.giveBack(index)
    guard let queue = place.queue, let gathering = forwarder.gatherings[Int(place.gathering)] else { return }
    queue.pointee.underWay &-= 1
    if let shortfall {
      gathering.parts[Int(place.part)].outcome = .failed(.tooFewCopies(shortfall.sentence))
    } else if case .held(let reply) = gathering.parts[Int(place.part)].outcome {
      gathering.parts[Int(place.part)].outcome = .replied(reply)
    }
    gathering.missing -= 1
    if gathering.missing == 0 { finish(gathering, place.gathering, queue) }
  }

  private func sendPart(
    _ gathering: Gathering, _ number: UInt32, _ part: Int, _ isOneSlot: Bool,
    _ queue: UnsafeMutablePointer<ReplyQueue>
  ) {
    let forwarder = forwarder
    let words = gathering.arguments(of: gathering.parts[part].keys)
    let slot = words[1].withUnsafeBytes { Slot(of: $0) }
    for key in gathering.parts[part].keys {
      let slot = gathering.key(key).withUnsafeBytes { Slot(of: $0) }.index
      queue.pointee.note(slot: slot)
      if !gathering.flags.contains(.readOnly) { node.hotMarks.changed(Slot(index: slot)) }
      if !isOneSlot { queue.pointee.noteSeveral(slot: slot) }
    }
    if !isOneSlot { queue.pointee.severalUnderWay += 1 }
    withArguments(words) { arguments, count in
      let index = forwarder.table.take(queue, .part)
      forwarder.table.places[Int(index)].gathering = number
      forwarder.table.places[Int(index)].part = UInt32(part)
      forwarder.table.places[Int(index)].isSeveral = !isOneSlot
      var flags = gathering.flags
      if flags.contains(.tracked) {
        let namespace = databases.namespace(of: Int(gathering.database))
        forwarder.tracked[index] = gathering.parts[part].keys.map {
          KeyName(namespace: namespace, key: gathering.key($0))
        }
      }
      if !isOneSlot { flags.insert(.severalSlots) }
      let operation = Operation(
        flags: flags, database: gathering.database, protocolVersion: gathering.protocolVersion, slot: slot,
        arguments: UnsafeBufferPointer(start: arguments, count: count))
      send(operation, index, queue, words.reduce(0) { $0 + $1.count }, forwarder)
    }
  }

  func partReplied(_ index: UInt32, _ place: AwaitedReply, _ reply: OperationReply) {
    let forwarder = forwarder
    forwarder.table.giveBack(index)
    guard let queue = place.queue, let gathering = forwarder.gatherings[Int(place.gathering)] else { return }
    let part = Int(place.part)
    if !gathering.flags.contains(.readOnly) {
      // What the part has changed is read by its client from now on.
      for key in gathering.parts[part].keys {
        gathering.key(key).withUnsafeBytes { node.hotMarks.changed(Slot(of: $0)) }
      }
    }
    if place.isSeveral { queue.pointee.severalReplied() }
    switch reply {
    case .payload(let bytes): gathering.parts[part].outcome = .replied(Array(bytes))
    case .failed(.moved) where gathering.parts[part].keys.count > 1:
      // Not run: its slots have different owners by now. Each slot's way is the router's to find.
      let slots = gathering.parts[part].keys.map { key in
        gathering.key(key).withUnsafeBytes { Slot(of: $0) }.index
      }
      let groups = Divided(slotBySlot: gathering.parts[part].keys, slots)
      gathering.parts[part].keys = []
      gathering.parts[part].outcome = .replied([])
      let first = gathering.parts.count
      gathering.missing += groups.parts.count
      for part in groups.parts { gathering.parts.append(.init(keys: part.keys)) }
      for offset in groups.parts.indices { sendPart(gathering, place.gathering, first + offset, true, queue) }
    case .failed(let failure): gathering.parts[part].outcome = .failed(failure)
    }
    gathering.missing -= 1
    if gathering.missing == 0 { finish(gathering, place.gathering, queue) }
  }

  func finish(_ gathering: Gathering, _ number: UInt32, _ queue: UnsafeMutablePointer<ReplyQueue>) {
    if goOnFlushing(gathering, number, queue) { return }
    if door.commands.slots[gathering.command].traits.contains(.flushes) { node.hotMarks.changedAll() }
    let forwarder = forwarder
    forwarder.remove(number)
    var out = OutputBuffer(capacity: 1024)
    defer { out.deallocate() }
    if !gathering.isSilent { gathering.writeReply(&out) }
    if out.count > 0, out.bytes[0] == UInt8(ascii: "-") { noteError("PARTIAL") }
    if gathering.spread == .everywhere(.least) { waited(gathering.least, queue) }
    complete(gathering.place, queue, out.bytes)
  }

  /// Words as arguments, which lie in one buffer for the length of `body`.
  func withArguments<Result>(
    _ words: [[UInt8]], _ body: (UnsafeMutablePointer<Argument>, Int) -> Result
  ) -> Result {
    let bytes = UnsafeMutableRawBufferPointer.allocate(byteCount: words.reduce(1) { $0 + $1.count }, alignment: 1)
    let arguments = UnsafeMutablePointer<Argument>.allocate(capacity: max(words.count, 1))
    defer {
      bytes.deallocate()
      arguments.deallocate()
    }
    var end = 0
    for (index, word) in words.enumerated() {
      UnsafeMutableRawBufferPointer(rebasing: bytes[end...]).copyBytes(from: word)
      (arguments + index).initialize(to: Argument(base: bytes.baseAddress! + end, count: word.count))
      end += word.count
    }
    return body(arguments, words.count)
  }
}

extension Forwarder {
  func add(_ gathering: Gathering) -> UInt32 {
    if let number = freeGatherings.popLast() {
      gatherings[Int(number)] = gathering
      return number
    }
    gatherings.append(gathering)
    return UInt32(gatherings.count - 1)
  }

  func remove(_ number: UInt32) {
    gatherings[Int(number)] = nil
    freeGatherings.append(number)
  }
}

/// A command's keys by who executes their slots: one part for each member that does, and one for each slot whose
/// owner the router has to find or to wait for.
private struct Divided {
  struct Part {
    var keys: [Int]
    var isOneSlot: Bool
  }

  private(set) var parts: [Part] = []
  private var local: [Int] = []
  private let slots: [UInt16]

  /// - Parameter answered: keys that nobody has to be asked for.
  init(_ slots: [UInt16], _ routes: SlotRoutes, without answered: Set<Int>) {
    self.slots = slots
    var byMember: [MemberNumber: Int] = [:]
    var bySlot: [UInt16: Int] = [:]
    for (key, slot) in slots.enumerated() where !answered.contains(key) {
      let route = routes[slot: slot]
      if route == .here {
        local.append(key)
      } else if let member = route.member {
        add(key, to: &byMember[member])
      } else {
        add(key, to: &bySlot[slot])
      }
    }
  }

  /// These keys, whose slots are `slots` in the same order.
  init(slotBySlot keys: [Int], _ slots: [UInt16]) {
    self.slots = []
    var bySlot: [UInt16: Int] = [:]
    for (key, slot) in zip(keys, slots) { add(key, slot, to: &bySlot[slot]) }
  }

  private mutating func add(_ key: Int, to part: inout Int?) { add(key, slots[key], to: &part) }

  private var firstSlots: [UInt16] = []

  private mutating func add(_ key: Int, _ slot: UInt16, to part: inout Int?) {
    if let part {
      parts[part].keys.append(key)
      if firstSlots[part] != slot { parts[part].isOneSlot = false }
    } else {
      part = parts.count
      parts.append(Part(keys: [key], isOneSlot: true))
      firstSlots.append(slot)
    }
  }

  /// The keys that this node seems to execute, as one part; nil if there are none.
  mutating func takeLocal() -> [Int]? {
    defer { local = [] }
    return local.isEmpty ? nil : local
  }

  mutating func addSlotBySlot(_ keys: [Int]) {
    var bySlot: [UInt16: Int] = [:]
    for key in keys { add(key, to: &bySlot[slots[key]]) }
  }
}
