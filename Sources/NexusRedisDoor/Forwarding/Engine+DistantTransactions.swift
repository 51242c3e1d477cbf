import NexusModel
import NexusRESP
import NexusService
import NexusStore

/// What a session watches with another member: that member keeps it under a number that this one has chosen.
struct DistantWatch {
  /// In the cluster, of this loop alone and never again.
  let number: UInt64
  let slot: UInt16
}

/// Watches that this loop keeps for other members' sessions, by member and number; the oldest go first.
struct PeerWatches {
  struct Name: Hashable {
    let member: MemberNumber
    let number: UInt64
  }

  static let most = 4096
  static let keysMost = 1024

  private var watches: [Name: Watch] = [:]
  private var order: [Name] = []

  subscript(name: Name) -> Watch? { watches[name] }
  var count: Int { watches.count }

  /// Answers the watch that has to go to make room, if one has to.
  mutating func add(_ watch: Watch, _ name: Name) -> Watch? {
    watches[name] = watch
    order.append(name)
    if order.count > 2 * Self.most { order.removeAll { watches[$0] == nil } }
    guard watches.count > Self.most, let oldest = order.first(where: { watches[$0] != nil }) else { return nil }
    return remove(oldest)
  }

  mutating func remove(_ name: Name) -> Watch? { watches.removeValue(forKey: name) }

  mutating func removeAll(of member: MemberNumber) -> [Watch] {
    let names = watches.keys.filter { $0.member == member }
    return names.compactMap { remove($0) }
  }
}

// MARK: The asking side

extension Engine {
  /// What runs otherwise in a cluster than on a node by itself; nil for what does not.
  func dispatchInCluster(
    _ arguments: UnsafeMutablePointer<Argument>, _ count: Int, _ command: Int, _ key: Key?, _ session: Session,
    _ state: inout ReceiveState
  ) -> Disposition? {
    let slot = door.commands.slots + command
    if slot.pointee.traits.contains(.transactionControl) {
      if slot.pointee.traits.contains(.executes) { return dispatchExec(session, command, &state) }
      if slot.pointee.traits.contains(.watches), !session.obstacles.contains(.transaction) {
        return dispatchWatch(arguments, count, command, session, &state)
      }
      return nil
    }
    if session.obstacles.contains(.transaction) {
      return dispatchQueued(arguments, count, command, session, &state)
    }
    if slot.pointee.traits.contains(.flushes),
      let disposition = dispatchFlush(arguments, count, command, session, &state)
    {
      return disposition
    }
    if case .everywhere(let merge) = slot.pointee.spread {
      return dispatchEverywhere(arguments, count, command, merge, session, &state)
    }
    if slot.pointee.traits.contains(.counts) { return dispatchWait(arguments, count, command, session, &state) }
    guard slot.pointee.isKeyed else { return nil }
    return dispatchByOwner(arguments, count, command, key, session, &state)
  }

  /// Between MULTI and EXEC: the first key names the slot, and all others have to be in it.
  private func dispatchQueued(
    _ arguments: UnsafeMutablePointer<Argument>, _ count: Int, _ command: Int, _ session: Session,
    _ state: inout ReceiveState
  ) -> Disposition? {
    guard !isAlone, let transaction = session.extras?.transaction else { return nil }
    let slot = door.commands.slots + command
    if slot.pointee.isKeyed {
      collectKeys(slot, arguments, count, nil, session.namespace)
      if keyList.count > 0 {
        let fits = keyList.isOneSlot && (transaction.slot ?? keyList.slot) == keyList.slot
        guard fits else {
          reject(command, Self.crossSlot, session, &state.out)
          return .done
        }
        if session.redirects, let refusal = redirection() {
          reject(command, refusal, session, &state.out)
          return .done
        }
        transaction.slot = keyList.slot
      }
    } else if !slot.pointee.travels {
      reject(
        command,
        "ERR '\(slot.pointee.name)' cannot be part of a transaction in a cluster, where it may run on another member",
        session, &state.out)
      return .done
    }
    queue(arguments, count, command, session, &state)
    return .done
  }

  private func dispatchExec(_ session: Session, _ command: Int, _ state: inout ReceiveState) -> Disposition? {
    guard let transaction = session.extras?.transaction, !transaction.isAborted else { return nil }
    let watched = session.extras?.distantWatch?.slot ?? session.extras?.watch?.keys.first?.slot
    // Without keys it concerns this node alone; so it does in a cluster of one.
    guard let slot = transaction.slot ?? (isAlone ? nil : watched) else { return nil }
    if let queue = session.pending, mustWaitForRoom(queue) || mustWaitForSeveral(queue, slot) { return .wait }
    session.lastCommand = Int32(command)
    let isElsewhere = watched != nil && watched != slot
    if isElsewhere {
      discardTransaction(session)
      noteError("CROSSSLOT")
      state.out.writeError(Self.crossSlot)
      return .done
    }
    let route = routes[slot: slot]
    let isHere =
      (route == .here || route == .incoming) && session.extras?.distantWatch == nil
      && session.pending.map { !mustFollow($0, slot, asksQuorum(session.namespace)) } ?? true
    if isHere, executeHere(transaction, session, command, &state) { return .done }
    if session.extras?.watch != nil {
      // The slot has moved since: whether the keys have changed is not known any more.
      discardTransaction(session)
      state.out.writeNullArray(session.protocolVersion)
      return .done
    }
    giveAway(transaction, slot, session, &state)
    return .done
  }

  /// False, with nothing done, if the slot is not this node's after all.
  private func executeHere(
    _ transaction: Transaction, _ session: Session, _ command: Int, _ state: inout ReceiveState
  ) -> Bool {
    let level = transaction.writes ? acknowledgement(session) : .one
    if level != .one {
      guard let slot = transaction.slot, let replicator, replicator.canWrite(slot, level) else {
        reject(command, Self.notEnoughReplicas, session, &state.out)
        return true
      }
      replicator.beginWork()
    }
    let start = state.out.count
    let started = state.clock
    let name = UnsafeMutablePointer<Argument>.allocate(capacity: 1)
    name.initialize(to: Argument("EXEC"))
    let arguments = transaction.makeArguments()
    defer {
      name.deallocate()
      arguments.deallocate()
    }
    var call = Call(
      arguments: name, count: 1, session: session, engine: self, out: state.out, now: state.now,
      commandIndex: command)
    let ownership = execute(transaction, arguments, session.extras?.watch, &call, checkingRoutes: true)
    state.out = call.out
    guard ownership == .ran else { return false }
    statistics.pointee.commands.add()
    discardTransaction(session)
    state.clock = loop.monotonicNanoseconds
    finish(&call, door.commands.slots + command, nanoseconds: state.clock &- started, &state.out)
    if level != .one { holdReply(session, &state, from: start, level) }
    return true
  }

  private func giveAway(
    _ transaction: Transaction, _ slot: UInt16, _ session: Session, _ state: inout ReceiveState
  ) {
    var words: [[UInt8]] = [Array(String(session.extras?.distantWatch?.number ?? 0).utf8)]
    let arguments = transaction.makeArguments()
    for queued in transaction.commands {
      words.append(Array(String(queued.count).utf8))
      for index in 0..<queued.count { words.append(Array(arguments[queued.firstArgument + index].bytes)) }
    }
    let tracked = remembers(session) ? keysRead(by: transaction, arguments, session) : []
    arguments.deallocate()
    // The owner forgets the watch when it gets the transaction.
    session.extras?.distantWatch = nil
    var flags: Operation.Flags = transaction.writes ? [] : .readOnly
    if !tracked.isEmpty { flags.insert(.tracked) }
    giveAway(words, .transaction, flags, slot, session, &state, tracked: tracked)
    discardTransaction(session)
  }

  private func giveAway(
    _ words: [[UInt8]], _ kind: Operation.Kind, _ flags: Operation.Flags, _ slot: UInt16, _ session: Session,
    _ state: inout ReceiveState, tracked: [KeyName] = []
  ) {
    var flags = flags
    if !session.touches { flags.insert(.noTouch) }
    let queue = queue(of: session, &state.out, &state.mark)
    withArguments(words) { arguments, count in
      let operation = Operation(
        kind: kind, flags: flags, database: UInt16(session.database),
        protocolVersion: UInt8(session.protocolVersion), slot: Slot(index: slot),
        arguments: UnsafeBufferPointer(start: arguments, count: count))
      forward(
        operation, queue, silent: isSilent(session), requestBytes: words.reduce(0) { $0 + $1.count },
        tracked: tracked.isEmpty ? nil : tracked)
    }
  }

  /// WATCH: all that a session watches has to be in one slot, whose owner watches it.
  private func dispatchWatch(
    _ arguments: UnsafeMutablePointer<Argument>, _ count: Int, _ command: Int, _ session: Session,
    _ state: inout ReceiveState
  ) -> Disposition? {
    if isAlone { return nil }
    if let queue = session.pending, mustWaitForRoom(queue) { return .wait }
    collectKeys(door.commands.slots + command, arguments, count, nil, session.namespace)
    if session.redirects, let refusal = redirection() {
      reject(command, refusal, session, &state.out)
      return .done
    }
    let slot = keyList.slot
    if let queue = session.pending, mustWaitForSeveral(queue, slot) { return .wait }
    let former = session.extras?.distantWatch?.slot ?? session.extras?.watch?.keys.first?.slot
    guard keyList.isOneSlot, former == nil || former == slot else {
      reject(command, Self.crossSlot, session, &state.out)
      return .done
    }
    session.lastCommand = Int32(command)
    let mayBeHere =
      routes[slot: slot] == .here && session.extras?.distantWatch == nil
      && session.pending.map { !mustFollow($0, slot, asksQuorum(session.namespace)) } ?? true
    if mayBeHere {
      let taken = store.lock(keyList.keys[0], as: worker)
      defer { store.unlock(keyList.keys[0], taken) }
      if routes[slot: slot] == .here {
        for index in 1..<count { watch(arguments[index].bytes, session, now: state.now) }
        state.out.writeOK()
        return .done
      }
    }
    let forwarder = forwarder
    let number = session.extras?.distantWatch?.number ?? forwarder.nextWatch(loop.index, node)
    session.more.distantWatch = DistantWatch(number: number, slot: slot)
    var words = [Array(String(number).utf8)]
    for index in 1..<count { words.append(Array(arguments[index].bytes)) }
    giveAway(words, .watch, [], slot, session, &state)
    return .done
  }

  /// Tells the owner that the watch is not needed any more; nobody waits for an answer.
  func unwatch(_ watch: DistantWatch) {
    guard routes[slot: watch.slot].member != nil else { return }
    let forwarder = forwarder
    withArguments([Array(String(watch.number).utf8)]) { arguments, count in
      let operation = Operation(
        kind: .unwatch, database: 0, protocolVersion: 2, slot: Slot(index: watch.slot),
        arguments: UnsafeBufferPointer(start: arguments, count: count))
      let index = forwarder.table.take(nil, .unwanted)
      forwarder.router.route(operation, for: self, ticket: forwarder.table.ticket(index))
    }
  }
}

extension Forwarder {
  /// Numbers of different loops, and of a process and the one before it, are different.
  func nextWatch(_ loop: Int, _ node: Node) -> UInt64 {
    if lastWatch == 0 { lastWatch = UInt64(node.startedAt) << 20 &+ UInt64(loop) }
    lastWatch &+= UInt64(node.loopCount)
    return lastWatch
  }
}

// MARK: The executing side

extension Engine {
  func executeTransaction(
    _ operation: UnsafePointer<Operation>, _ batch: inout OperationBatch, _ session: Session,
    _ requester: MemberNumber, _ now: UnixMilliseconds
  ) -> OperationOutcome {
    let words = operation.pointee.arguments
    guard let transaction = readTransaction(words), let number = Self.number(words[0]) else {
      return refuse("ERR a transaction of another member cannot be read", &batch)
    }
    let name = PeerWatches.Name(member: requester, number: number)
    let watch = peerWatches[name]
    let level = transaction.writes ? acknowledgement(session) : .one
    if level != .one,
      let outcome = beginWrite(
        operation.pointee.slot, level, &batch,
        refusal: "EXECABORT Transaction discarded because of: \(Self.notEnoughReplicas)")
    {
      return outcome
    }
    let exec = UnsafeMutablePointer(mutating: words.baseAddress!)
    var call = Call(
      arguments: exec, count: 1, session: session, engine: self, out: batch.out, now: now, commandIndex: execIndex)
    let arguments = transaction.makeArguments()
    defer { arguments.deallocate() }
    if number != 0, watch == nil {
      // It was watched by another owner, or this one has forgotten it: the keys may have changed.
      call.replyNullArray()
      batch.out = call.out
      return .replied(end: batch.out.count)
    }
    let ownership = execute(transaction, arguments, watch, &call, checkingRoutes: true)
    batch.out = call.out
    switch ownership {
    // Nothing of a transaction or a watch is filled.
    case .ran, .filling: break
    case .notHere: return .notHere
    case .unsettled: return noteMissing(&batch)
    }
    if number != 0, let watch = peerWatches.remove(name) { forget(watch) }
    return endWrite(level, batch)
  }

  private static func number(_ argument: Argument) -> UInt64? {
    UInt64(String(decoding: argument.bytes, as: UTF8.self))
  }

  private func readTransaction(_ words: UnsafeBufferPointer<Argument>) -> Transaction? {
    guard words.count > 0 else { return nil }
    let transaction = Transaction(store.configuration.outside)
    var next = 1
    while next < words.count {
      guard let count = Self.number(words[next]).flatMap({ Int(exactly: $0) }), count > 0,
        count < words.count - next
      else { return nil }
      let arguments = UnsafeMutablePointer(mutating: words.baseAddress! + next + 1)
      let command = door.commands.resolve(arguments, count)
      guard command >= 0 else { return nil }
      let slot = door.commands.slots + command
      let fits = slot.pointee.arity > 0 ? count == slot.pointee.arity : count >= -slot.pointee.arity
      guard fits, slot.pointee.isKeyed || slot.pointee.travels else { return nil }
      transaction.append(command, arguments, count, slot)
      next += 1 + count
    }
    return transaction
  }

  func executeWatch(
    _ operation: UnsafePointer<Operation>, _ batch: inout OperationBatch, _ session: Session,
    _ requester: MemberNumber, _ now: UnixMilliseconds
  ) -> OperationOutcome {
    let words = operation.pointee.arguments
    guard words.count > 1, words.count <= PeerWatches.keysMost, let number = Self.number(words[0]) else {
      return refuse("ERR at most \(PeerWatches.keysMost - 1) keys can be watched on another member", &batch)
    }
    keyList.removeAll()
    for index in 1..<words.count { keyList.append(store.key(words[index].bytes, in: session.namespace)) }
    let taken = store.lock(keyList.keys[0], as: worker)
    defer { store.unlock(keyList.keys[0], taken) }
    guard keyList.isOneSlot else { return refuse(Self.crossSlot, &batch) }
    switch settle(keyList.keys, now) {
    // Nothing of a transaction or a watch is filled.
    case .ran, .filling: break
    case .notHere: return .notHere
    case .unsettled: return noteMissing(&batch)
    }
    let name = PeerWatches.Name(member: requester, number: number)
    let watch = peerWatches[name] ?? Watch()
    guard watch.keys.count + words.count <= PeerWatches.keysMost else {
      return refuse("ERR at most \(PeerWatches.keysMost - 1) keys can be watched on another member", &batch)
    }
    for index in 1..<words.count { add(words[index].bytes, to: watch, session, now: now) }
    if peerWatches[name] == nil, let oldest = peerWatches.add(watch, name) { forget(oldest) }
    batch.out.writeOK()
    return .replied(end: batch.out.count)
  }

  func executeUnwatch(
    _ operation: UnsafePointer<Operation>, _ batch: inout OperationBatch, _ requester: MemberNumber
  ) -> OperationOutcome {
    if let word = operation.pointee.arguments.first, let number = Self.number(word),
      let watch = peerWatches.remove(.init(member: requester, number: number))
    {
      forget(watch)
    }
    batch.out.writeOK()
    return .replied(end: batch.out.count)
  }

  /// The member is gone, or has begun anew: what was kept for its sessions goes. On the loop's thread.
  public func forgetPeer(_ member: MemberNumber) {
    for watch in peerWatches.removeAll(of: member) { forget(watch) }
  }
}
