import NexusModel
import NexusRESP
import NexusService
import NexusStore

/// One request of a batch, parsed and not yet executed.
struct Request: BitwiseCopyable {
  enum Kind: UInt8, BitwiseCopyable {
    /// Plain GET and SET: `key` and `value` are all there is.
    case get, set
    /// Arguments in the arena.
    case general
    /// The input cannot be read on from here: `ReceiveState.failure` says why.
    case invalid
  }

  /// The key of GET and SET, and the first key of a general request that has one (`hasKey`).
  var key: Key
  var value: Argument
  /// Where in the input the request begins.
  var start: Int
  var firstArgument: Int32
  var count: Int32
  /// As `CommandTable.resolve` answers it.
  var command: Int32
  var kind: Kind
  var hasKey: Bool
}

/// What one `receive` carries along: kept in a local, so that the loops over a batch work on registers and the stack.
struct ReceiveState {
  let input: UnsafeRawBufferPointer
  let now: UnixMilliseconds
  var limits: RequestLimits
  var out: OutputBuffer
  var arena: ArgumentArena
  var parser: RequestParser
  var progress: ParseProgress
  /// Everything before it is parsed.
  var position = 0
  /// False when the last batch ended because the input did.
  var mayHaveMore = true
  var expected = 0
  /// GET and SET may take the shortest way.
  var isPlain = false
  var failure = ProtocolError.invalidMultibulkLength
  /// Bytes that this batch's plain SETs bring.
  var setBytes = 0
  var hits = 0
  var misses = 0
  var sets = 0
  var setErrors = 0
  /// Somebody else may execute some slots.
  var isClustered = false
  /// Where in `out` begins what waits behind the session's pending replies, if it has any.
  var mark = 0
  /// Reads may come from this node's copies.
  var readsCopies = false
  /// Reads here wait until more than half of the copies have been compared.
  var asksQuorum = false
  /// What plain SETs wait for.
  var acknowledgement = Acknowledgement.one
  /// The monotonic clock when it was read last.
  var clock: UInt64 = 0
}

extension Engine {
  public func receive(
    _ session: UnsafeMutableRawPointer, _ input: UnsafeMutableRawBufferPointer, _ output: inout OutputBuffer
  ) -> Received {
    let session = Unmanaged<Session>.fromOpaque(session).takeUnretainedValue()
    let now = loop.now
    var state = ReceiveState(
      input: UnsafeRawBufferPointer(input), now: now,
      limits: RequestLimits(bulkBytes: settings.maxValueBytes, isAuthenticated: session.isAuthenticated),
      out: output, arena: arena, parser: parser, progress: session.progress)
    session.activeAt = now
    session.namespace = databases.namespace(of: session.database)
    let outputLimit = output.count + Received.yieldOutputBytes
    var received = Received(consumed: 0)
    state.clock = loop.monotonicNanoseconds
    state.isClustered = routes.isClustered || filler.isActive
    state.mark = output.count
    if state.isClustered { beginReceiving(session) }
    while state.mayHaveMore {
      state.isPlain = isPlain(session)
      state.limits.isAuthenticated = session.isAuthenticated
      let count = parseBatch(&state, session.namespace)
      if count == 0 { break }
      prefetchEntries(count)
      let started = state.clock
      let (done, next) = executeBatch(&state, session, count, outputLimit)
      finishBatch(&state, session, count: done, started: started)
      if done < count || next != .proceed {
        received.next = next
        if done < count {
          state.position = requests[done].start
          // What is remembered belongs to a later request than the one that comes next.
          state.progress = ParseProgress()
        }
        break
      }
      if state.out.count > outputLimit, state.position < input.count {
        received.next = .yield
        break
      }
    }
    if state.isClustered { endReceiving(session, &state, &received) }
    state.arena.reset()
    output = state.out
    arena = state.arena
    parser = state.parser
    session.progress = state.progress
    received.consumed = state.position
    received.expected = received.next == .proceed ? state.expected : 0
    return received
  }

  /// What has been written waits behind the replies that are under way, and so does the end of the connection.
  @inline(never) func holdBack(_ session: Session, _ state: inout ReceiveState, _ received: inout Received) {
    guard let queue = session.pending else { return }
    holdBack(queue, &state.out, state.mark)
    switch received.next {
    case .closeAfterFlush:
      session.set(.closing, true)
      queue.pointee.waits = .untilEmpty
      received.next = .suspend
      state.position = state.input.count
    case .yield: received.next = .proceed
    case .suspend, .proceed: break
    }
  }

  /// Nothing stands between a plain GET or SET and the store.
  func isPlain(_ session: Session) -> Bool {
    guard session.obstacles.isEmpty, door.obstacles.load(ordering: .relaxed) == 0, literals.get >= 0,
      !filler.fills(session.namespace)
    else { return false }
    // Where nearly everything goes to the slow log, every command has to be timed by itself.
    let slow = settings.slowlogThresholdMicroseconds
    return slow < 0 || slow >= 1000
  }

  // MARK: First pass: parse, hash, prefetch buckets

  private func parseBatch(_ state: inout ReceiveState, _ namespace: NamespaceNumber) -> Int {
    state.arena.count = 0
    state.setBytes = 0
    guard let base = state.input.baseAddress else { return 0 }
    let end = base + state.input.count
    var cursor = base + state.position
    var count = 0
    var key = Argument(base: base, count: 0)
    var value = key
    // Until a client has logged in, what it may send depends on the command before.
    let limit = state.limits.isAuthenticated ? Self.batchLimit : 1
    while count < limit, cursor < end {
      let request = requests + count
      let start = cursor
      var literal = LiteralRequest.other
      if state.isPlain {
        literal = LiteralRequest.parse(&cursor, end, state.limits.bulkBytes, &key, &value)
      }
      switch literal {
      case .get:
        request.pointee.kind = .get
        request.pointee.start = start - base
      case .set:
        request.pointee.kind = .set
        request.pointee.start = start - base
        request.pointee.value = value
        state.setBytes &+= key.count &+ value.count
      case .other:
        state.position = start - base
        let goesOn = parseGeneral(&state, request, &count, namespace)
        cursor = base + state.position
        if goesOn { continue }
        return count
      }
      if !state.progress.isEmpty { state.progress = ParseProgress() }
      let hashed = store.key(key.bytes, in: namespace)
      request.pointee.key = hashed
      store.prefetchBucket(hashed)
      count &+= 1
    }
    state.position = cursor - base
    state.mayHaveMore = cursor < end
    return count
  }

  /// Any request at `state.position`. Answers whether the batch may go on behind it.
  @inline(never) private func parseGeneral(
    _ state: inout ReceiveState, _ request: UnsafeMutablePointer<Request>, _ count: inout Int,
    _ namespace: NamespaceNumber
  ) -> Bool {
    let first = state.arena.count
    let start = state.position
    let parsed = state.parser.parse(state.input, from: start, &state.progress, &state.arena, state.limits)
    switch parsed {
    case .ignored(let end):
      state.position = end
      return true
    case .incomplete(let expected):
      state.expected = expected
      state.mayHaveMore = false
      return false
    case .invalid(let error):
      state.failure = error
      request.pointee.kind = .invalid
      request.pointee.start = start
      count += 1
      state.position = state.input.count
      state.mayHaveMore = false
      return false
    case .complete(let end), .inline(let end):
      state.position = end
      request.pointee.kind = .general
      request.pointee.start = start
      request.pointee.firstArgument = Int32(first)
      request.pointee.count = Int32(state.arena.count - first)
      prepare(request, state.arena.base + first, state.arena.count - first, namespace)
      count += 1
      // The next inline request would be unescaped over this one's arguments.
      if case .inline = parsed {
        state.mayHaveMore = end < state.input.count
        return false
      }
      return true
    }
  }

  /// Finds the command, and prefetches its first key.
  private func prepare(
    _ request: UnsafeMutablePointer<Request>, _ arguments: UnsafeMutablePointer<Argument>, _ count: Int,
    _ namespace: NamespaceNumber
  ) {
    let command = door.commands.resolve(arguments, count)
    request.pointee.command = Int32(command)
    request.pointee.hasKey = false
    guard command >= 0 else { return }
    let position = door.commands.slots[command].firstKey
    guard position > 0, position < count else { return }
    let key = store.key(arguments[position].bytes, in: namespace)
    request.pointee.key = key
    request.pointee.hasKey = true
    store.prefetchBucket(key)
  }

  // MARK: Second pass: prefetch entries

  private func prefetchEntries(_ count: Int) {
    guard count > 1 else { return }
    for index in 0..<count {
      let request = requests + index
      switch request.pointee.kind {
      case .get, .set: store.prefetchEntry(request.pointee.key)
      case .general: if request.pointee.hasKey { store.prefetchEntry(request.pointee.key) }
      case .invalid: break
      }
    }
  }

  // MARK: Third pass: execute

  /// Runs the batch; answers how many requests are done, and what comes after them.
  private func executeBatch(
    _ state: inout ReceiveState, _ session: Session, _ count: Int, _ outputLimit: Int
  ) -> (done: Int, next: Received.Next) {
    if state.isClustered { return executeClusteredBatch(&state, session, count, outputLimit) }
    var out = state.out
    let version = session.protocolVersion
    let namespace = session.namespace
    var isPlain = state.isPlain
    let setsArePlain = state.setBytes == 0 || preparePlainSets(state, session)
    var hits = 0
    var misses = 0
    var sets = 0
    var index = 0
    defer {
      state.out = out
      state.hits = hits
      state.misses = misses
      state.sets = sets
    }
    while index < count {
      let request = requests + index
      if request.pointee.kind == .get, isPlain {
        if executeGet(request.pointee.key, &out, version, state.now) { hits &+= 1 } else { misses &+= 1 }
      } else if request.pointee.kind == .set, isPlain, setsArePlain,
        executeSet(request, &out, state.now)
      {
        sets &+= 1
      } else {
        state.out = out
        let disposition = executeGeneral(&state, session, request)
        out = state.out
        switch disposition {
        case .done: break
        case .wait: return (index, .suspend)
        case .hold: return (index &+ 1, .suspend)
        case .close: return (index &+ 1, .closeAfterFlush)
        }
        // Whatever it was may have changed the session: its database, its protocol, its state.
        isPlain =
          isPlain && self.isPlain(session) && session.protocolVersion == version
          && session.namespace == namespace
      }
      index &+= 1
      if out.count > outputLimit, index < count { return (index, .yield) }
    }
    return (count, .proceed)
  }

  @inline(__always) private func executeGet(
    _ key: Key, _ out: inout OutputBuffer, _ version: Int, _ now: UnixMilliseconds
  ) -> Bool {
    let taken = store.lock(key, as: worker)
    defer { store.unlock(key, taken) }
    guard let entry = store.find(key, now: now) else {
      out.writeNull(version)
      return false
    }
    if entry.isString { out.writeBulk(entry.value) } else { refuseType(&out) }
    return true
  }

  /// A plain GET has found what is no string.
  @inline(never) func refuseType(_ out: inout OutputBuffer) {
    noteError("WRONGTYPE")
    out.writeError(Call.wrongType)
  }

  /// False, with nothing written, if the store has no room for it.
  @inline(__always) private func executeSet(
    _ request: UnsafeMutablePointer<Request>, _ out: inout OutputBuffer, _ now: UnixMilliseconds
  ) -> Bool {
    let key = request.pointee.key
    let outcome = store.set(key, to: request.pointee.value.bytes, .none, touch: true, as: worker, now: now)
    guard outcome == .stored else { return false }
    out.writeOK()
    return true
  }

  /// Makes room for all of a batch's plain SETs at once. False sends each of them the long way: where room is short
  /// it is made, or refused, one by one, and a default TTL is the command's own affair.
  @inline(never) func preparePlainSets(_ state: ReceiveState, _ session: Session) -> Bool {
    guard store.lifetime(in: session.namespace).milliseconds == 0 else { return false }
    return store.admit(state.setBytes, in: session.namespace, as: worker, now: state.now) == .stored
  }

  // MARK: After a batch: what it counts for

  private func finishBatch(_ state: inout ReceiveState, _ session: Session, count: Int, started: UInt64) {
    guard count > 0 else { return }
    if let hot, let index = hot.sample(of: count) { noteUse(requests + index, hot) }
    let ended = loop.monotonicNanoseconds
    state.clock = ended
    let elapsed = ended &- started
    let gets = state.hits &+ state.misses
    let plain = gets &+ state.sets
    if plain > 0 {
      statistics.pointee.commands.add(UInt64(plain))
      statistics.pointee.keyspaceHits.add(UInt64(state.hits))
      statistics.pointee.keyspaceMisses.add(UInt64(state.misses))
      statistics.pointee.getHits.add(UInt64(state.hits))
      statistics.pointee.getMisses.add(UInt64(state.misses))
      statistics.pointee.sets.add(UInt64(state.sets))
      // The share of each command in its batch: plain commands are not timed one by one.
      let share = elapsed / UInt64(count)
      if gets > 0 { counters.record(literals.get, nanoseconds: share, calls: UInt64(gets)) }
      if state.sets > 0 { counters.record(literals.set, nanoseconds: share, calls: UInt64(state.sets)) }
      let last = (requests + (count &- 1)).pointee.kind
      if last == .get { session.lastCommand = Int32(literals.get) }
      if last == .set { session.lastCommand = Int32(literals.set) }
      if count == 1, isNotable(nanoseconds: elapsed) {
        noteSlowPlain(&state, session, requests, elapsed)
      }
    }
    let microseconds = elapsed / 1000
    let bucket = min(23, 64 &- microseconds.leadingZeroBitCount)
    statistics.pointee.latencyBuckets[bucket].add(UInt64(count))
    statistics.pointee.latencySumNanoseconds.add(elapsed &* UInt64(count))
  }

  @inline(never) private func noteSlowPlain(
    _ state: inout ReceiveState, _ session: Session, _ request: UnsafeMutablePointer<Request>, _ elapsed: UInt64
  ) {
    let (arguments, count, command) = literalArguments(&state, request)
    let call = Call(
      arguments: arguments, count: count, session: session, engine: self, out: state.out, now: state.now,
      commandIndex: command)
    noteSlow(call, nanoseconds: elapsed)
  }
}
