import NexusModel
import NexusRESP
import NexusService
import NexusStore

// The third pass over a batch of a node that belongs to a cluster: each request runs here or is given away, and what
// is written here waits behind the replies that are under way.

extension Engine {
  /// Replies that have come in this turn, and not left yet, leave before anything that comes behind them.
  @inline(__always) func beginReceiving(_ session: Session) {
    if let queue = session.pending, queue.pointee.first == 0 { flushReplies() }
    replicator?.beginRecord()
  }

  @inline(__always) func endReceiving(
    _ session: Session, _ state: inout ReceiveState, _ received: inout Received
  ) {
    if let replicator, replicator.hasRecord { noteWrites(session, replicator) }
    if session.pending != nil { holdBack(session, &state, &received) }
  }

  /// Runs the batch or gives it away; answers how many requests are done with, and what comes after them.
  @inline(never) func executeClusteredBatch(
    _ state: inout ReceiveState, _ session: Session, _ count: Int, _ outputLimit: Int
  ) -> (done: Int, next: Received.Next) {
    let version = session.protocolVersion
    let namespace = session.namespace
    var isPlain = state.isPlain
    let setsArePlain = state.setBytes == 0 || preparePlainSets(state, session)
    (state.hits, state.misses, state.sets) = (0, 0, 0)
    state.acknowledgement = acknowledgement(session)
    state.readsCopies = readsCopies(session)
    state.asksQuorum = asksQuorum(namespace)
    // Writes that run here and wait for copies have no other bound.
    if state.acknowledgement != .one, let queue = session.pending, mustWaitForRoom(queue) { return (0, .suspend) }
    var index = 0
    while index < count {
      let request = requests + index
      let kind = request.pointee.kind
      if isPlain, kind == .get || (kind == .set && setsArePlain) {
        switch executePlain(request, &state, session, version) {
        case .done: break
        default: return (index, .suspend)
        }
      } else {
        switch executeGeneral(&state, session, request) {
        case .done: break
        case .wait: return (index, .suspend)
        case .hold: return (index &+ 1, .suspend)
        case .close: return (index &+ 1, .closeAfterFlush)
        }
        isPlain =
          isPlain && self.isPlain(session) && session.protocolVersion == version
          && session.namespace == namespace
      }
      index &+= 1
      if state.out.count > outputLimit, index < count {
        guard let queue = session.pending else { return (index, .yield) }
        holdBack(queue, &state.out, state.mark)
        if mustWaitForRoom(queue) { return (index, .suspend) }
      }
    }
    return (count, .proceed)
  }

  /// True, once the session is marked as waiting, if as much is under way for it as may be.
  @inline(__always) func mustWaitForRoom(_ queue: UnsafeMutablePointer<ReplyQueue>) -> Bool {
    if forwarder.hasRoom(queue) { return false }
    queue.pointee.waits = .forRoom
    return true
  }

  /// True, once the session is marked as waiting, if a part of several slots is under way that this is one of.
  @inline(__always) func mustWaitForSeveral(_ queue: UnsafeMutablePointer<ReplyQueue>, _ slot: UInt16) -> Bool {
    guard queue.pointee.hasSeveral(slot: slot) else { return false }
    queue.pointee.waits = .untilEmpty
    return true
  }

  /// Whether an operation on this slot has to take the way of those before it: one of them may be under way, and
  /// where the slot runs has changed since; or reads of it wait here.
  @inline(__always) func mustFollow(
    _ queue: UnsafeMutablePointer<ReplyQueue>, _ slot: UInt16, _ asksQuorum: Bool
  ) -> Bool {
    (queue.pointee.changes != routes.changes || routes[slot: slot] == .incoming || asksQuorum)
      && queue.pointee.mayHave(slot: slot)
  }

  /// A plain GET or SET.
  @inline(__always) private func executePlain(
    _ request: UnsafeMutablePointer<Request>, _ state: inout ReceiveState, _ session: Session, _ version: Int
  ) -> Disposition {
    let key = request.pointee.key
    let isGet = request.pointee.kind == .get
    let pending = session.pending
    if let pending, mustWaitForSeveral(pending, key.slot) { return .wait }
    if routes[slot: key.slot] == .here, !(isGet && state.asksQuorum),
      pending.map({ !mustFollow($0, key.slot, state.asksQuorum) }) ?? true
    {
      let waits = !isGet && state.acknowledgement != .one
      if waits, !mayWrite(key, &state) { return .done }
      let start = state.out.count
      let taken = store.lock(key, as: worker)
      // Read again under the lock: now it says who executes.
      let isRun = routes[slot: key.slot] == .here && runPlain(request, &state, version)
      store.unlock(key, taken)
      if isRun {
        if waits { holdReply(session, &state, from: start, state.acknowledgement) }
        return .done
      }
    }
    if isGet, state.readsCopies, isGoodCopy(key.slot, session), readCopy(request, &state, version) { return .done }
    if isGet, let hot, hot.hasCopies, readHot(request, &state, session, version, hot) { return .done }
    return giveAwayPlain(request, &state, session, version)
  }

  /// A plain GET of a key that another member owns, from the copy here. False: the copy is not good any more.
  @inline(never) private func readCopy(
    _ request: UnsafeMutablePointer<Request>, _ state: inout ReceiveState, _ version: Int
  ) -> Bool {
    let taken = store.lock(request.pointee.key, as: worker)
    defer { store.unlock(request.pointee.key, taken) }
    return goodCopies[slot: request.pointee.key.slot] && runPlain(request, &state, version)
  }

  /// False, with nothing done, if the store has no room. The key's stripe is locked.
  @inline(__always) private func runPlain(
    _ request: UnsafeMutablePointer<Request>, _ state: inout ReceiveState, _ version: Int
  ) -> Bool {
    let key = request.pointee.key
    if request.pointee.kind == .get {
      if let entry = store.find(key, now: state.now) {
        if entry.isString { state.out.writeBulk(entry.value) } else { refuseType(&state.out) }
        state.hits &+= 1
      } else {
        state.out.writeNull(version)
        state.misses &+= 1
      }
      return true
    }
    let stored = store.put(key, over: store.find(key, now: state.now), request.pointee.value.bytes, .none) == .stored
    if stored {
      state.out.writeOK()
      state.sets &+= 1
    }
    return stored
  }

  /// Begins a write that waits for copies; false, and it is refused, where too few members live that could have one.
  @inline(never) private func mayWrite(_ key: Key, _ state: inout ReceiveState) -> Bool {
    guard let replicator else { return true }
    guard replicator.canWrite(key.slot, state.acknowledgement) else {
      noteError("NOREPLICAS")
      counters.noteRejected(literals.set)
      state.out.writeError(Self.notEnoughReplicas)
      return false
    }
    replicator.beginWork()
    return true
  }

  private func giveAwayPlain(
    _ request: UnsafeMutablePointer<Request>, _ state: inout ReceiveState, _ session: Session, _ version: Int
  ) -> Disposition {
    let key = request.pointee.key
    let isGet = request.pointee.kind == .get
    // A SET for which the store had no room, or a slot on its way here: the long way knows what to do.
    let route = routes[slot: key.slot]
    if session.redirects || route == .here || route == .incoming { return executeGeneral(&state, session, request) }
    if let queue = session.pending, mustWaitForRoom(queue) { return .wait }
    let queue = queue(of: session, &state.out, &state.mark)
    let arguments = literalArguments
    arguments[0] = isGet ? literalNames.get : literalNames.set
    arguments[1] = Argument(base: key.base, count: key.count)
    if !isGet { arguments[2] = request.pointee.value }
    let operation = Operation(
      flags: isGet ? .readOnly : [], database: UInt16(truncatingIfNeeded: session.database),
      protocolVersion: UInt8(truncatingIfNeeded: version), slot: Slot(index: key.slot),
      arguments: UnsafeBufferPointer(start: arguments, count: isGet ? 2 : 3))
    forward(operation, queue, silent: false, requestBytes: key.count &+ (isGet ? 0 : request.pointee.value.count))
    return .done
  }
}
