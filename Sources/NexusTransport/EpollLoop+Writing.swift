import CLinux
import Glibc
import NexusModel
import NexusService

/// From the door to the socket.
extension EpollLoop {
  /// What is left of a batch's output above this size is kept by taking over the buffer instead of copying.
  static let adoptBytes = 128 * 1024
  /// What one client is sent before the others have their turn.
  static let sendTurnBytes = 1024 * 1024

  /// Sends a batch's output, or keeps it where the client does not take it. Leaves `output` empty.
  @inline(__always) func deliver(_ connection: ConnectionPointer, _ output: inout OutputBuffer) {
    let count = output.count
    if count == 0 { return }
    if connection.pointee.output.isEmpty && connection.pointee.phase == .open {
      let sent = Glibc.send(connection.pointee.descriptor, output.base, count, Int32(MSG_NOSIGNAL))
      if sent == count {
        state.pointee.statistics.pointee.bytesOut.add(UInt64(sent))
        output.count = 0
        if output.capacity > Self.largestIdleOutputBytes { output.shrink(to: Self.outputBytes) }
      } else {
        keep(connection, &output, sent: sent)
      }
    } else {
      keep(connection, &output, sent: 0)
    }
  }

  @inline(never) private func keep(_ connection: ConnectionPointer, _ output: inout OutputBuffer, sent: Int) {
    defer {
      output.count = 0
      output.shrink(to: Self.outputBytes)
    }
    guard connection.pointee.phase == .open else { return }
    if sent < 0 && errno != EAGAIN && errno != EINTR { return doom(connection, .byPeer) }
    let sent = max(0, sent)
    state.pointee.statistics.pointee.bytesOut.add(UInt64(sent))
    let left = output.count - sent
    let waiting = connection.pointee.output.bytes
    // Little waited when the batch began, so one long reply is what is too much: a value may be larger than the limit.
    let isSingle = waiting <= limits.pauseOutputBytes.load(ordering: .relaxed)
    let limit =
      (isSingle ? limits.singleReplyBytes.load(ordering: .relaxed) : limits.outputBytes.load(ordering: .relaxed))
    guard waiting + left <= limit else { return dropForOutput(connection, waiting + left) }
    if left >= Self.adoptBytes {
      connection.pointee.output.adopt(output, sent: sent, gauge)
      output = OutputBuffer(capacity: Self.outputBytes)
    } else {
      connection.pointee.output.append(output.base + sent, left, gauge)
    }
    setInterest(connection, connection.pointee.interest.union(.write))
    pauseIfMuchWaits(connection)
  }

  /// Never where the door meters its output: two such ends that both stopped reading would wait for one another.
  private func pauseIfMuchWaits(_ connection: ConnectionPointer) {
    if connection.pointee.flags.contains(.produces) { return }
    if connection.pointee.output.bytes > limits.pauseOutputBytes.load(ordering: .relaxed) {
      connection.pointee.flags.insert(.paused)
    }
  }

  private func dropForOutput(_ connection: ConnectionPointer, _ waiting: Int) {
    state.pointee.statistics.pointee.outputLimitDisconnections.add()
    log.warning(
      "a client was dropped because it does not read its replies",
      ("waiting_bytes", "\(waiting)"), ("limit_bytes", "\(limits.outputBytes.load(ordering: .relaxed))"))
    doom(connection, .outputLimit)
  }

  func onWritable(_ connection: ConnectionPointer) {
    switch connection.pointee.phase {
    case .open, .draining: flush(connection)
    case .connecting: onConnected(connection)
    case .free, .doomed, .lingering: break
    }
  }

  private func flush(_ connection: ConnectionPointer) {
    let progress = connection.pointee.output.send(
      to: connection.pointee.descriptor, limit: Self.sendTurnBytes,
      sentBytes: state.pointee.statistics.pointee.bytesOut, gauge)
    // Whoever reads is not idle.
    connection.pointee.lastActive = now
    switch progress {
    case .emptied:
      if connection.pointee.phase == .draining { return letGo(connection) }
      setInterest(connection, connection.pointee.interest.subtracting(.write))
      if connection.pointee.flags.contains(.hasMore) { enlist(connection) }
    case .blocked, .more: setInterest(connection, connection.pointee.interest.union(.write))
    case .broken: return doom(connection, .byPeer)
    }
    if connection.pointee.flags.contains(.paused),
      connection.pointee.output.bytes <= limits.pauseOutputBytes.load(ordering: .relaxed) / 2
    {
      connection.pointee.flags.remove(.paused)
      if !connection.pointee.flags.contains(.suspended) { readAgain(connection) }
    }
  }

  /// Sends what was pushed in this turn, one system call per client however many messages.
  func flushDirty() {
    for connection in dirty where connection.pointee.flags.contains(.dirty) {
      connection.pointee.flags.remove(.dirty)
      guard connection.pointee.phase == .open, !connection.pointee.interest.contains(.write) else { continue }
      flush(connection)
    }
    dirty.removeAll(keepingCapacity: true)
  }

  @discardableResult public func send(_ bytes: UnsafeRawBufferPointer, to id: ConnectionID) -> Bool {
    guard let connection = table.find(id), connection.pointee.phase == .open else { return false }
    guard let start = bytes.baseAddress, bytes.count > 0 else { return true }
    if connection == state.pointee.current {
      state.pointee.selfOutput.append(start, bytes.count)
      return true
    }
    let waiting = connection.pointee.output.bytes + bytes.count
    guard waiting <= limits.outputBytes.load(ordering: .relaxed) else {
      dropForOutput(connection, waiting)
      return false
    }
    connection.pointee.output.append(start, bytes.count, gauge)
    pauseIfMuchWaits(connection)
    if connection.pointee.interest.contains(.write) { return true }
    if waiting >= Self.adoptBytes {
      flush(connection)
    } else if !connection.pointee.flags.contains(.dirty) {
      connection.pointee.flags.insert(.dirty)
      dirty.append(connection)
    }
    return true
  }

  public func pendingOutputBytes(_ id: ConnectionID) -> Int { table.find(id)?.pointee.output.bytes ?? 0 }

  func setInterest(_ connection: ConnectionPointer, _ interest: Poller.Interest) {
    guard interest != connection.pointee.interest else { return }
    connection.pointee.interest = interest
    poller.modify(connection.pointee.descriptor, token: Token.connection(connection), interest)
  }
}
