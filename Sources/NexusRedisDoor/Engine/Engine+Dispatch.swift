import NexusModel
import NexusRESP
import NexusService
import NexusStore

/// What became of a request that took the long way.
enum Disposition {
  case done
  /// It has to wait: offered again, from its first byte, when the connection is resumed.
  case wait
  /// Done with, and what comes after it waits until the connection is resumed.
  case hold
  case close
}

extension Engine {
  /// A request of the batch that is not a plain GET or SET, or may not be treated as one now.
  @inline(never) func executeGeneral(
    _ state: inout ReceiveState, _ session: Session, _ request: UnsafeMutablePointer<Request>
  ) -> Disposition {
    if request.pointee.kind == .invalid {
      statistics.pointee.protocolErrors.add()
      noteError("ERR")
      state.out.writeProtocolError(state.failure)
      session.set(.closing, true)
      return .close
    }
    var arguments = state.arena.base + Int(request.pointee.firstArgument)
    var count = Int(request.pointee.count)
    var command = Int(request.pointee.command)
    var key: Key?
    if request.pointee.kind == .general {
      if request.pointee.hasKey { key = request.pointee.key }
    } else {
      (arguments, count, command) = literalArguments(&state, request)
      key = request.pointee.key
    }
    session.namespace = databases.namespace(of: session.database)
    let before = state.out.count
    let modeBefore = session.replyMode
    let disposition = dispatch(arguments, count, command, key, session, &state)
    if modeBefore != .on || session.replyMode != .on, disposition != .wait {
      // Less than before, where it went behind replies that are under way.
      applyReplyMode(session, before: modeBefore, &state.out, keeping: min(before, state.out.count))
    }
    if disposition != .wait { session.namespace = databases.namespace(of: session.database) }
    if !trackers.isEmpty, disposition != .wait { endTrackedCommand(session, command, &state.out) }
    return session.obstacles.contains(.closing) && disposition == .done ? .close : disposition
  }

  /// The arguments of a plain GET or SET as a vector, at the end of the arena.
  func literalArguments(
    _ state: inout ReceiveState, _ request: UnsafeMutablePointer<Request>
  ) -> (UnsafeMutablePointer<Argument>, Int, Int) {
    let isGet = request.pointee.kind == .get
    let name: StaticString = isGet ? "GET" : "SET"
    let first = state.arena.count
    state.arena.append(Argument(base: name.utf8Start, count: name.utf8CodeUnitCount))
    state.arena.append(Argument(base: request.pointee.key.base, count: request.pointee.key.count))
    if !isGet { state.arena.append(request.pointee.value) }
    return (state.arena.base + first, state.arena.count - first, isGet ? literals.get : literals.set)
  }

  private func applyReplyMode(
    _ session: Session, before: Session.ReplyMode, _ out: inout OutputBuffer, keeping count: Int
  ) {
    switch session.replyMode {
    case .on: break
    case .off: out.count = count
    case .skipNext: session.replyMode = .skipping
    case .skipping:
      out.count = count
      if before == .skipping { session.replyMode = .on }
    }
    session.set(.repliesOff, session.replyMode != .on)
  }

  /// Checks in Redis's order whether the command may run, and queues or runs it.
  private func dispatch(
    _ arguments: UnsafeMutablePointer<Argument>, _ count: Int, _ command: Int, _ key: Key?, _ session: Session,
    _ state: inout ReceiveState
  ) -> Disposition {
    guard command >= 0 else {
      if isFromBrowser(arguments[0]) { return .close }
      rejectUnknown(arguments, count, command, session, &state.out)
      return .done
    }
    let slot = door.commands.slots + command
    let arity = slot.pointee.arity
    let flags = slot.pointee.flags
    let traits = slot.pointee.traits
    if arity > 0 ? count != arity : count < -arity {
      reject(command, "ERR wrong number of arguments for '\(slot.pointee.name)' command", session, &state.out)
      return .done
    }
    if !session.obstacles.isEmpty || door.obstacles.load(ordering: .relaxed) > 0 {
      if let refusal = refusal(slot, session) {
        reject(command, refusal, session, &state.out)
        return .done
      }
      if mustPause(slot, session, state.now) {
        paused.append(session.id)
        return .wait
      }
    }
    if state.isClustered,
      let disposition = dispatchInCluster(arguments, count, command, key, session, &state)
    {
      return disposition
    }
    if flags.contains(.denyOOM), !hasRoom(arguments, count, session, state.now) {
      reject(command, Self.outOfMemory, session, &state.out)
      return .done
    }
    if session.obstacles.contains(.transaction), !traits.contains(.transactionControl) {
      queue(arguments, count, command, session, &state)
      return .done
    }
    session.lastCommand = Int32(command)
    if traits.contains(.needsCensus) || session.extras?.transaction?.needsCensus == true, !hasCensus(session) {
      gatherCensus(for: session)
      return .wait
    }
    let started = state.clock
    var call = Call(
      arguments: arguments, count: count, session: session, engine: self, out: state.out, now: state.now,
      commandIndex: command)
    call.preparedKey = key
    call.preparedKeyIndex = slot.pointee.firstKey
    run(&call, slot)
    if call.isPostponed { return .wait }
    state.clock = loop.monotonicNanoseconds
    state.out = call.out
    finish(&call, slot, nanoseconds: state.clock &- started, &state.out)
    session.extras?.census = nil
    return .done
  }

  /// The handler itself, and whether it failed. `Engine+Transactions` runs queued commands through it too.
  func run(_ call: inout Call, _ slot: UnsafePointer<CommandTable.Slot>) {
    let errorsBefore = statistics.pointee.errorReplies.value
    if call.session.obstacles.contains(.tracking) {
      runTracked(&call, slot)
    } else {
      slot.pointee.command.handler(&call)
    }
    if !call.isPostponed { statistics.pointee.commands.add() }
    if statistics.pointee.errorReplies.value != errorsBefore { counters.noteFailed(call.commandIndex) }
  }

  /// Counts the call, and shows it to the slow log and to monitors. `out` is where its reply went.
  func finish(
    _ call: inout Call, _ slot: UnsafePointer<CommandTable.Slot>, nanoseconds: UInt64, _ out: inout OutputBuffer
  ) {
    counters.record(call.commandIndex, nanoseconds: nanoseconds)
    if isNotable(nanoseconds: nanoseconds) { noteSlow(call, nanoseconds: nanoseconds) }
    if door.obstacles.load(ordering: .relaxed) > 0, slot.pointee.flags.isDisjoint(with: [.skipMonitor, .admin]) {
      feedMonitors(call, &out)
    }
  }

  /// Whether the slow log or the latency history may want a command that took so long.
  @inline(__always) func isNotable(nanoseconds: UInt64) -> Bool {
    let slow = settings.slowlogThresholdMicroseconds
    if slow >= 0 && nanoseconds >= UInt64(slow) &* 1000 { return true }
    let latency = settings.latencyThresholdMilliseconds
    return latency > 0 && nanoseconds >= UInt64(latency) &* 1_000_000
  }

  func noteSlow(_ call: Call, nanoseconds: UInt64) {
    door.diagnostics.noteSlow(
      call, nanoseconds: nanoseconds, client: call.session.peer.remote, clientName: call.session.name)
  }

  func hasRoom(
    _ arguments: UnsafeMutablePointer<Argument>, _ count: Int, _ session: Session, _ now: UnixMilliseconds
  ) -> Bool {
    var bytes = 0
    for index in 1..<max(count, 1) { bytes &+= arguments[index].count }
    return store.admit(bytes, in: session.namespace, as: worker, now: now) == .stored
  }

  // MARK: Refusals

  /// Why the session's state forbids the command; nil if it does not.
  private func refusal(_ slot: UnsafePointer<CommandTable.Slot>, _ session: Session) -> String? {
    let flags = slot.pointee.flags
    if session.obstacles.contains(.unauthenticated), !flags.contains(.noAuth) {
      if !settings.password.isEmpty { return "NOAUTH Authentication required." }
      // The password has been taken away since the client connected.
      session.set(.unauthenticated, false)
    }
    if session.obstacles.contains(.transaction), flags.contains(.noMulti) {
      return "ERR Command not allowed inside a transaction"
    }
    if session.obstacles.contains(.subscribed), session.protocolVersion == 2,
      !slot.pointee.traits.contains(.allowedWhileSubscribed)
    {
      return "ERR Can't execute '\(slot.pointee.name)': only (P|S)SUBSCRIBE / (P|S)UNSUBSCRIBE / PING / QUIT / RESET "
        + "are allowed in this context"
    }
    if session.obstacles.contains(.monitor), !flags.isDisjoint(with: [.write, .readonly]) {
      return "ERR Replica can't interact with the keyspace"
    }
    return nil
  }

  private func mustPause(
    _ slot: UnsafePointer<CommandTable.Slot>, _ session: Session, _ now: UnixMilliseconds
  ) -> Bool {
    switch door.pauseState(now: now) {
    case .none: return false
    case .everything: return true
    case .writes:
      let touches = slot.pointee.flags.contains(.write) || slot.pointee.traits.contains(.publishes)
      return touches || slot.pointee.traits.contains(.executes) && session.extras?.transaction?.writes == true
    }
  }

  /// The error, and the end of the transaction that the command was meant for.
  func reject(_ command: Int, _ text: String, _ session: Session, _ out: inout OutputBuffer) {
    if command >= 0 { counters.noteRejected(command) }
    if command >= 0, door.commands.slots[command].traits.contains(.executes) {
      discardTransaction(session)
      let reason = text.hasPrefix("ERR ") ? String(text.dropFirst(4)) : text
      noteError("EXECABORT")
      return out.writeError("EXECABORT Transaction discarded because of: \(reason)")
    }
    noteError(text)
    session.extras?.transaction?.isAborted = true
    out.writeError(text)
  }

  private func rejectUnknown(
    _ arguments: UnsafeMutablePointer<Argument>, _ count: Int, _ command: Int, _ session: Session,
    _ out: inout OutputBuffer
  ) {
    noteError("ERR")
    session.extras?.transaction?.isAborted = true
    var text = OutputBuffer(capacity: 512)
    defer { text.deallocate() }
    if let parent = CommandTable.parent(ofUnresolved: command) {
      text.append("ERR unknown subcommand '")
      text.append(excerpt(arguments[1], 128))
      text.append("'. Try \(door.commands.slots[parent].name.uppercased()) HELP.")
    } else {
      text.append("ERR unknown command '")
      text.append(excerpt(arguments[0], 128))
      text.append("', with args beginning with: ")
      var shown = 0
      for index in 1..<max(count, 1) where shown < 128 {
        let bytes = excerpt(arguments[index], 128 - shown)
        text.append("'")
        text.append(bytes)
        text.append("' ")
        shown += bytes.count + 3
      }
    }
    out.writeError(bytes: text.bytes)
  }

  /// A web page can make a browser send HTTP to this port: the first line ends the connection, unanswered, before a
  /// body that looks like commands is read.
  private func isFromBrowser(_ name: Argument) -> Bool {
    equalIgnoringCase(name.bytes, "post") || equalIgnoringCase(name.bytes, "host:")
  }

  private func equalIgnoringCase(_ bytes: UnsafeRawBufferPointer, _ word: StaticString) -> Bool {
    NexusRedisDoor.equalIgnoringCase(
      bytes, UnsafeRawBufferPointer(start: word.utf8Start, count: word.utf8CodeUnitCount))
  }

  /// The beginning of an argument, up to a NUL, as C's formatting shows it.
  private func excerpt(_ argument: Argument, _ limit: Int) -> UnsafeRawBufferPointer {
    let bytes = UnsafeRawBufferPointer(rebasing: argument.bytes.prefix(limit))
    return UnsafeRawBufferPointer(rebasing: bytes.prefix { $0 != 0 })
  }
}
