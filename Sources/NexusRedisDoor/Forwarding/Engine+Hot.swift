import NexusModel
import NexusRESP
import NexusService
import NexusStore

// Reads that this node's copies of other members' hot keys answer.

extension Engine {
  /// A request of the sample, once its batch has run.
  @inline(never) func noteUse(_ request: UnsafePointer<Request>, _ hot: HotKeeper) {
    switch request.pointee.kind {
    case .get: hot.observe(request.pointee.key, isWrite: false)
    case .set: hot.observe(request.pointee.key, isWrite: true)
    case .general:
      guard request.pointee.hasKey, request.pointee.command >= 0 else { return }
      let flags = door.commands.slots[Int(request.pointee.command)].flags
      if flags.contains(.readonly) || flags.contains(.write) {
        hot.observe(request.pointee.key, isWrite: flags.contains(.write))
      }
    case .invalid: break
    }
  }

  /// What the session has under way on a slot is not passed by a read; cluster clients are told where to go.
  @inline(__always) private func mayReadHot(_ slot: UInt16, _ session: Session) -> Bool {
    !session.redirects && session.pending.map { !$0.pointee.mayHave(slot: slot) } ?? true
  }

  /// A plain GET. False: it goes to the key's owner.
  @inline(__always) func readHot(
    _ request: UnsafeMutablePointer<Request>, _ state: inout ReceiveState, _ session: Session, _ version: Int,
    _ hot: HotKeeper
  ) -> Bool {
    let key = request.pointee.key
    guard mayReadHot(key.slot, session), let value = hot.read(key, nanoseconds: state.clock) else { return false }
    switch value {
    case .value(let bytes):
      state.out.writeBulk(bytes)
      state.hits &+= 1
    case .absent:
      state.out.writeNull(version)
      state.misses &+= 1
    }
    return true
  }

  /// GET or MGET where there are good copies of all of its keys. False: nothing is done.
  func readHot(_ command: Int, _ session: Session, _ state: inout ReceiveState) -> Bool {
    guard let hot, hot.hasCopies, command == literals.get || command == literals.mget, session.obstacles.isEmpty,
      keyList.count > 0
    else { return false }
    let start = state.out.count
    if command == literals.mget { state.out.writeArrayHeader(keyList.count) }
    for key in keyList.keys {
      guard routes[slot: key.slot].member != nil, writeHot(key, session, hot, state.clock, &state.out) else {
        state.out.count = start
        return false
      }
    }
    statistics.pointee.commands.add()
    counters.record(command, nanoseconds: loop.monotonicNanoseconds &- state.clock)
    state.clock = loop.monotonicNanoseconds
    return true
  }

  /// As an element of a reply, and counted.
  private func writeHot(
    _ key: Key, _ session: Session, _ hot: HotKeeper, _ clock: UInt64, _ out: inout OutputBuffer
  ) -> Bool {
    guard mayReadHot(key.slot, session), let value = hot.read(key, nanoseconds: clock) else { return false }
    switch value {
    case .value(let bytes):
      out.writeBulk(bytes)
      statistics.pointee.keyspaceHits.add()
      statistics.pointee.getHits.add()
    case .absent:
      out.writeNull(session.protocolVersion)
      statistics.pointee.keyspaceMisses.add()
      statistics.pointee.getMisses.add()
    }
    return true
  }

  /// The keys of an MGET that good copies answer, as one part of it; nil where there are none.
  func hotPart(_ command: Int, _ session: Session, _ clock: UInt64) -> Gathering.Part? {
    guard let hot, hot.hasCopies, command == literals.mget, session.obstacles.isEmpty else { return nil }
    var out = OutputBuffer(capacity: 256)
    defer { out.deallocate() }
    var keys: [Int] = []
    for (index, key) in keyList.keys.enumerated()
    where routes[slot: key.slot].member != nil && writeHot(key, session, hot, clock, &out) {
      keys.append(index)
    }
    if keys.isEmpty { return nil }
    var reply = OutputBuffer(capacity: out.count + 16)
    defer { reply.deallocate() }
    reply.writeArrayHeader(keys.count)
    reply.append(out.bytes)
    return Gathering.Part(keys: keys, outcome: .replied(Array(reply.bytes)))
  }
}
