import Glibc
import NexusModel
import NexusService

/// How connections end: drained, doomed at once, lingering for the peer, and all together when the node stops.
extension EpollLoop {
  /// How long a peer has to read the last bytes and close.
  static let lingerMilliseconds: Int64 = 1000
  /// How long a connection that only waits for its output to be taken may make no progress.
  static let drainMilliseconds: Int64 = 60_000

  /// Sends what waits, then closes. Input is read no more.
  func drain(_ connection: ConnectionPointer, _ reason: CloseReason) {
    guard connection.pointee.phase == .open else { return }
    connection.pointee.phase = .draining
    connection.pointee.closeReason = reason
    connection.pointee.input.release(gauge)
    if connection.pointee.output.isEmpty {
      letGo(connection)
    } else {
      setInterest(connection, .write)
      connection.pointee.lastActive = now
      draining.append(connection)
    }
  }

  /// Closes at the end of the turn: never while a door may be on the stack with the connection's session.
  func doom(_ connection: ConnectionPointer, _ reason: CloseReason) {
    if connection.pointee.phase == .connecting { return giveUpDialing(connection, .cancelled) }
    guard connection.pointee.phase == .open || connection.pointee.phase == .draining else { return }
    connection.pointee.phase = .doomed
    connection.pointee.closeReason = reason
    doomed.append(connection)
  }

  /// Everything is sent. Closing a socket with unread input would reset it and could throw away our last bytes at the
  /// peer; so the writing side is closed first, and the rest once the peer has closed too, or a moment later.
  func letGo(_ connection: ConnectionPointer) {
    if connection.pointee.flags.contains(.peerFinished) { return doom(connection, connection.pointee.closeReason) }
    connection.pointee.flags.insert(.lingers)
    doom(connection, connection.pointee.closeReason)
  }

  func onBroken(_ connection: ConnectionPointer) {
    switch connection.pointee.phase {
    case .open, .draining: doom(connection, .byPeer)
    case .connecting: onConnected(connection)
    case .lingering: retire(connection)
    case .free, .doomed: break
    }
  }

  func closeDoomed() {
    // Doors may doom others from `closed`.
    var index = 0
    while index < doomed.count {
      let connection = doomed[index]
      index += 1
      connection.pointee.input.release(gauge)
      connection.pointee.output.release(gauge)
      if let session = connection.pointee.session {
        connection.pointee.session = nil
        door(of: connection).closed(session, connection.pointee.closeReason)
      }
      if !connection.pointee.flags.contains(.outgoing) {
        state.pointee.statistics.pointee.connectionsNow.subtract()
        limits.connectionsNow.wrappingSubtract(1, ordering: .relaxed)
        assigned.wrappingSubtract(1, ordering: .relaxed)
      }
      if connection.pointee.flags.contains(.lingers) && stopDeadline == nil {
        linger(connection)
      } else {
        retire(connection)
      }
    }
    doomed.removeAll(keepingCapacity: true)
  }

  func linger(_ connection: ConnectionPointer) {
    shutdown(connection.pointee.descriptor, Int32(SHUT_WR))
    connection.pointee.phase = .lingering
    connection.pointee.lingerUntil = now + Self.lingerMilliseconds
    setInterest(connection, .read)
    lingering.append(connection)
    nextSweep = min(nextSweep, connection.pointee.lingerUntil)
  }

  /// Gives up the socket now and the record at the end of the turn.
  func retire(_ connection: ConnectionPointer) {
    guard connection.pointee.phase != .free else { return }
    // Events of this turn may still point here: they find the phase `free`.
    connection.pointee.phase = .free
    Glibc.close(connection.pointee.descriptor)
    retired.append(connection)
  }

  public func close(_ id: ConnectionID, afterFlush: Bool) {
    guard let connection = table.find(id) else { return }
    if !afterFlush {
      doom(connection, .killed)
    } else if connection == state.pointee.current {
      state.pointee.currentIsToClose = true
    } else {
      drain(connection, .byDoor)
    }
  }

  /// Work by the clock: idle clients, peers that never close.
  func sweep() {
    nextSweep = now + 1000
    lingering.removeAll { connection in
      if connection.pointee.phase == .lingering && connection.pointee.lingerUntil > now { return false }
      if connection.pointee.phase == .lingering { retire(connection) }
      return true
    }
    draining.removeAll { connection in
      guard connection.pointee.phase == .draining else { return true }
      guard now - connection.pointee.lastActive > Self.drainMilliseconds else { return false }
      doom(connection, connection.pointee.closeReason)
      return true
    }
    let timeout = Int64(limits.idleTimeoutMilliseconds.load(ordering: .relaxed))
    guard timeout > 0 else { return }
    for slot in 0..<table.highWater {
      let connection = table.record(slot)
      guard connection.pointee.phase == .open, now - connection.pointee.lastActive > timeout,
        connection.pointee.flags.isDisjoint(with: [.suspended, .exemptFromIdleTimeout, .owed])
      else { continue }
      doom(connection, .idleTimeout)
    }
  }

  // MARK: Stopping

  /// Stops accepting; ends when every request received so far is answered, or at the deadline.
  func beginStop(graceMilliseconds: Int) {
    guard stopDeadline == nil else { return }
    stopDeadline = monotonicNanoseconds &+ UInt64(max(0, graceMilliseconds)) &* 1_000_000
    closeListening()
    for entry in watched { entry.target?.stopAccepting() }
    for index in 0..<state.pointee.doorCount { state.pointee.doors[index].takeUnretainedValue().door.stopping() }
  }

  func stopStep() {
    let isOver = monotonicNanoseconds >= stopDeadline!
    var left = 0
    for slot in 0..<table.highWater {
      let connection = table.record(slot)
      // Requests being answered may need them: they go last.
      if connection.pointee.flags.contains(.outgoing) { continue }
      switch connection.pointee.phase {
      case .open:
        if isOver {
          doom(connection, .shutdown)
        } else if !connection.pointee.flags.isDisjoint(with: [.hasMore, .producing])
          || connection.pointee.flags.contains(.produces) && door(of: connection).isBusy(connection.pointee.session!)
        {
          break
        } else if connection.pointee.flags.isDisjoint(with: .holdsInput) && onReadable(connection) == .nothing,
          !connection.pointee.flags.contains(.owed)
        {
          drain(connection, .shutdown)
        }
      case .draining: if isOver { doom(connection, .shutdown) }
      case .lingering: retire(connection)
      case .connecting, .doomed, .free: break
      }
      if connection.pointee.phase == .open || connection.pointee.phase == .draining { left += 1 }
    }
    hasEnded = isOver || left == 0 && !watched.contains { $0.target?.isBusy ?? false }
    guard hasEnded else { return }
    for slot in 0..<table.highWater where table.record(slot).pointee.flags.contains(.outgoing) {
      doom(table.record(slot), .shutdown)
    }
  }
}
