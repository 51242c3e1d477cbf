import NexusModel
import NexusRESP
import NexusService
import NexusStore

extension Engine {
  /// A command that concerns every member: it runs here, and on each other live member for itself alone. Nil in a
  /// cluster of one, where it is a command like others.
  func dispatchEverywhere(
    _ arguments: UnsafeMutablePointer<Argument>, _ count: Int, _ command: Int, _ merge: Command.Merge,
    _ session: Session, _ state: inout ReceiveState
  ) -> Disposition? {
    guard let cluster = node.cluster else { return nil }
    let picture = cluster.picture
    let others = picture.members.filter { $0.record.status.isLive && $0.record.member.id != cluster.myself }
    if others.isEmpty { return nil }
    let slot = door.commands.slots + command
    let publishes = slot.pointee.traits.contains(.publishes)
    if let queue = session.pending {
      if publishes, mustWaitForRoom(queue) { return .wait }
      if !publishes {
        // What it concerns must be done with before it runs, and it before what comes next.
        queue.pointee.waits = .untilEmpty
        return .wait
      }
    }
    session.lastCommand = Int32(command)
    let words = (0..<count).map { Array(arguments[$0].bytes) }
    let walk = merge == .walk ? ScanStep(words, others.count + 1) : nil
    let mine = picture.members.first { $0.record.member.id == cluster.myself }
    let gathering = Gathering(
      command: command, spread: slot.pointee.spread, session: session, flags: [], arguments: words, step: 1)
    gathering.chance = merge == .any ? chance() : 0
    let mark = ScanStep.mark(of: cluster.myself)
    let own = runOwnPart(walk?.words(for: mark) ?? words, command, session, &state)
    // What is wrong with it here is wrong with it everywhere.
    if own.first == UInt8(ascii: "-") {
      own.withUnsafeBytes { state.out.append($0) }
      return .done
    }
    gathering.parts = [
      .init(keys: [], member: cluster.myself, weight: mine?.slotCount ?? 1, mark: mark, outcome: .replied(own))
    ]
    let queue = queue(of: session, &state.out, &state.mark)
    let number = open(gathering, queue, silent: isSilent(session))
    for other in others {
      let id = other.record.member.id
      let mark = ScanStep.mark(of: id)
      gathering.parts.append(.init(keys: [], member: id, weight: max(other.slotCount, 1), mark: mark))
      gathering.missing += 1
      ask(
        other.number, walk?.words(for: mark) ?? words, gathering, number, gathering.parts.count - 1, slot, session,
        queue)
    }
    if publishes { return .done }
    queue.pointee.waits = .untilEmpty
    return .hold
  }

  private func runOwnPart(
    _ words: [[UInt8]], _ command: Int, _ session: Session, _ state: inout ReceiveState
  ) -> [UInt8] {
    let slot = door.commands.slots + command
    return withArguments(words) { arguments, count in
      let started = state.clock
      var call = Call(
        arguments: arguments, count: count, session: session, engine: self, out: OutputBuffer(capacity: 1024),
        now: state.now, commandIndex: command)
      run(&call, slot)
      state.clock = loop.monotonicNanoseconds
      let out = call.out
      finish(&call, slot, nanoseconds: state.clock &- started, &state.out)
      defer { out.deallocate() }
      return Array(out.bytes)
    }
  }

  private func ask(
    _ member: MemberNumber, _ words: [[UInt8]], _ gathering: Gathering, _ number: UInt32, _ part: Int,
    _ slot: UnsafePointer<CommandTable.Slot>, _ session: Session, _ queue: UnsafeMutablePointer<ReplyQueue>
  ) {
    let forwarder = forwarder
    withArguments(words) { arguments, count in
      let index = forwarder.table.take(queue, .part)
      let bytes = words.reduce(0) { $0 + $1.count }
      forwarder.table.places[Int(index)].gathering = number
      forwarder.table.places[Int(index)].part = UInt32(part)
      forwarder.table.places[Int(index)].count = bytes
      queue.pointee.underWay &+= 1
      queue.pointee.requestBytes &+= bytes
      var flags = flags(of: slot, session)
      flags.insert(.thisNode)
      let operation = Operation(
        flags: flags, database: UInt16(session.database), protocolVersion: UInt8(session.protocolVersion),
        slot: Slot(index: 0), arguments: UnsafeBufferPointer(start: arguments, count: count))
      statistics.pointee.operationsForwarded.add()
      forwarder.router.ask(member, operation, for: self, ticket: forwarder.table.ticket(index))
    }
  }

  /// Has every other member run the call for itself; nobody waits for an answer.
  func tellOthers(_ call: Call) {
    guard let cluster = node.cluster else { return }
    let forwarder = forwarder
    for other in cluster.picture.members
    where other.record.status.isLive && other.record.member.id != cluster.myself {
      let index = forwarder.table.take(nil, .unwanted)
      let operation = Operation(
        flags: .thisNode, database: UInt16(call.session.database), protocolVersion: 2, slot: Slot(index: 0),
        arguments: UnsafeBufferPointer(start: call.arguments, count: call.count))
      forwarder.router.ask(other.number, operation, for: self, ticket: forwarder.table.ticket(index))
    }
  }
}

/// One call of SCAN over all members.
///
/// A cursor is a slot, a place within it (the low 32 bits of a hash that each member seeds for itself), and a mark of
/// the member whose place that is. To every other member, and to a new owner of the slot, it means the slot's
/// beginning: so a key that is present all the time is answered at least once, however slots move.
struct ScanStep {
  private let words: [[UInt8]]
  private let slot: UInt64
  private let place: UInt64
  private let mark: UInt64
  private let countAt: Int?
  private let count: Int

  /// - Parameter members: they share the asked COUNT, for each has its part of all slots.
  init(_ words: [[UInt8]], _ members: Int) {
    self.words = words
    let cursor = words[1].withUnsafeBytes { ScanCursor.parse($0) } ?? 0
    slot = cursor >> 32 & UInt64(Slot.count - 1)
    place = cursor & 0xFFFF_FFFF
    mark = cursor >> 46
    let option = stride(from: 2, to: words.count - 1, by: 2).first { index in
      words[index].map { $0 | 0x20 } == Array("count".utf8)
    }
    countAt = option.map { $0 + 1 }
    let asked = countAt.flatMap { words[$0].withUnsafeBytes { Decimal.integer($0) } } ?? 10
    // What is no count is the member's own to refuse.
    count = asked < 1 ? asked : max(1, (asked - 1) / members + 1)
  }

  /// The words for the member with this mark.
  func words(for member: UInt64) -> [[UInt8]] {
    var words = words
    guard words[1].withUnsafeBytes({ ScanCursor.parse($0) }) != nil else { return words }
    words[1] = Array(String(slot << 32 | (member == mark ? place : 0)).utf8)
    if let countAt {
      if words[countAt].withUnsafeBytes({ Decimal.integer($0) }) != nil { words[countAt] = Array(String(count).utf8) }
    } else if words.count % 2 == 0 {
      words += [Array("COUNT".utf8), Array(String(count).utf8)]
    }
    return words
  }

  /// 16 bits of a member's id (FNV-1a, 64 bits folded), never 0.
  static func mark(of id: MemberID) -> UInt64 {
    var hash: UInt64 = 0xCBF2_9CE4_8422_2325
    for byte in id.text.utf8 { hash = (hash ^ UInt64(byte)) &* 0x100_0000_01B3 }
    let folded = (hash ^ hash >> 16 ^ hash >> 32 ^ hash >> 48) & 0xFFFF
    return folded == 0 ? 1 : folded
  }
}
