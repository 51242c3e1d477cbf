import NexusModel
import NexusRESP
import NexusService
import NexusStore

extension Engine {
  /// A command with keys, in a cluster: runs here where all of its keys are this node's, and is given away otherwise.
  /// The dispatcher has checked that the client may send it.
  func dispatchByOwner(
    _ arguments: UnsafeMutablePointer<Argument>, _ count: Int, _ command: Int, _ key: Key?, _ session: Session,
    _ state: inout ReceiveState
  ) -> Disposition {
    let slot = door.commands.slots + command
    collectKeys(slot, arguments, count, key, session.namespace)
    session.lastCommand = Int32(command)
    if let queue = session.pending {
      if mustWaitForRoom(queue) || keyList.keys.contains(where: { mustWaitForSeveral(queue, $0.slot) }) {
        return .wait
      }
    }
    if slot.pointee.flags.contains(.readonly), readsCopies(session),
      readCopies(arguments, count, command, session, &state)
    {
      return .done
    }
    if session.redirects, let refusal = redirection() {
      reject(command, refusal, session, &state.out)
      return .done
    }
    if readHot(command, session, &state) { return .done }
    if keyList.count > 0, !keyList.isOneSlot, !isAlone {
      guard slot.pointee.spread.isScattered else {
        reject(command, Self.crossSlot, session, &state.out)
        return .done
      }
      if mayRunHere(session, slot), runHere(arguments, count, command, key, session, &state) { return .done }
      return scatter(arguments, count, command, session, &state)
    }
    if keyList.count == 0 || mayRunHere(session, slot) {
      if runHere(arguments, count, command, key, session, &state) { return .done }
    }
    giveAway(arguments, count, command, session, &state)
    return .done
  }

  /// Where a cluster client has to go with the keys in `keyList`; nil where it is right here. While a slot is on its
  /// way, its operations are served from here.
  func redirection() -> String? {
    guard keyList.count > 0 else { return nil }
    if !keyList.isOneSlot { return isAlone ? nil : Self.crossSlot }
    guard let number = routes[slot: keyList.slot].member,
      let member = node.cluster?.picture.member(number)?.record.member,
      let port = member.advertisedPort
    else { return nil }
    return "MOVED \(keyList.slot) \(member.host):\(port)"
  }

  static let crossSlot = "CROSSSLOT Keys in request don't hash to the same slot"
  static let outOfMemory = "OOM command not allowed when used memory > 'maxmemory'."

  /// No other live member: keys in different slots are all here, or will be.
  var isAlone: Bool {
    guard let cluster = node.cluster else { return true }
    let myself = cluster.myself
    return !cluster.picture.members.contains { $0.record.status.isLive && $0.record.member.id != myself }
  }

  /// As far as can be told without locks.
  private func mayRunHere(_ session: Session, _ slot: UnsafePointer<CommandTable.Slot>) -> Bool {
    if slot.pointee.flags.contains(.readonly), asksQuorum(session.namespace) { return false }
    for key in keyList.keys {
      let route = routes[slot: key.slot]
      guard route == .here || route == .incoming else { return false }
      if let queue = session.pending, mustFollow(queue, key.slot, asksQuorum(session.namespace)) { return false }
    }
    return true
  }

  /// True once it has been replied to. False, with nothing done, if not all of its keys are this node's after all.
  private func runHere(
    _ arguments: UnsafeMutablePointer<Argument>, _ count: Int, _ command: Int, _ key: Key?, _ session: Session,
    _ state: inout ReceiveState
  ) -> Bool {
    let slot = door.commands.slots + command
    if slot.pointee.flags.contains(.denyOOM), !hasRoom(arguments, count, session, state.now) {
      reject(command, Self.outOfMemory, session, &state.out)
      return true
    }
    let level = slot.pointee.flags.contains(.write) ? acknowledgement(session) : .one
    if level != .one {
      guard hasReplicas(level) else {
        reject(command, Self.notEnoughReplicas, session, &state.out)
        return true
      }
      replicator?.beginWork()
    }
    let start = state.out.count
    let started = state.clock
    var call = Call(
      arguments: arguments, count: count, session: session, engine: self, out: state.out, now: state.now,
      commandIndex: command)
    call.preparedKey = key
    call.preparedKeyIndex = slot.pointee.firstKey
    filling = .elsewhere
    let ownership = runWhereOwned(&call, slot)
    filling = .none
    state.out = call.out
    guard ownership == .ran else { return false }
    state.clock = loop.monotonicNanoseconds
    finish(&call, slot, nanoseconds: state.clock &- started, &state.out)
    if level != .one { holdReply(session, &state, from: start, level) }
    return true
  }

  /// A command that reads, where copies of all of its keys are here that may be read and some are not this node's own.
  private func readCopies(
    _ arguments: UnsafeMutablePointer<Argument>, _ count: Int, _ command: Int, _ session: Session,
    _ state: inout ReceiveState
  ) -> Bool {
    guard keyList.isOneSlot || !session.redirects, keyList.keys.contains(where: { routes[slot: $0.slot] != .here }),
      keyList.keys.allSatisfy({ routes[slot: $0.slot] == .here || isGoodCopy($0.slot, session) })
    else { return false }
    let slot = door.commands.slots + command
    let started = state.clock
    var call = Call(
      arguments: arguments, count: count, session: session, engine: self, out: state.out, now: state.now,
      commandIndex: command)
    run(&call, slot)
    state.out = call.out
    state.clock = loop.monotonicNanoseconds
    finish(&call, slot, nanoseconds: state.clock &- started, &state.out)
    return true
  }

  private func giveAway(
    _ arguments: UnsafeMutablePointer<Argument>, _ count: Int, _ command: Int, _ session: Session,
    _ state: inout ReceiveState
  ) {
    let slot = door.commands.slots + command
    let queue = queue(of: session, &state.out, &state.mark)
    var bytes = 0
    for index in 0..<count { bytes &+= arguments[index].count }
    let operation = Operation(
      flags: flags(of: slot, session), database: UInt16(session.database),
      protocolVersion: UInt8(session.protocolVersion), slot: Slot(index: keyList.slot),
      arguments: UnsafeBufferPointer(start: arguments, count: count))
    forward(
      operation, queue, silent: isSilent(session), requestBytes: bytes,
      tracked: operation.flags.contains(.tracked) ? keyList.keys.map { KeyName($0) } : nil)
  }

  func flags(of slot: UnsafePointer<CommandTable.Slot>, _ session: Session) -> Operation.Flags {
    var flags: Operation.Flags = slot.pointee.flags.contains(.readonly) ? .readOnly : []
    if !session.touches { flags.insert(.noTouch) }
    if flags.contains(.readOnly), session.obstacles.contains(.tracking), remembers(session) { flags.insert(.tracked) }
    return flags
  }

  /// The client does not want the reply to what it sends now.
  func isSilent(_ session: Session) -> Bool { session.replyMode == .off || session.replyMode == .skipping }
}
