import Glibc
import NexusModel
import NexusService

/// From the socket to the door.
extension EpollLoop {
  enum Arrival { case nothing, some }

  @discardableResult func onReadable(_ connection: ConnectionPointer) -> Arrival {
    guard connection.pointee.phase == .open, !connection.pointee.flags.contains(.peerFinished) else {
      return discard(connection)
    }
    if !connection.pointee.flags.isDisjoint(with: .holdsInput) { return readAhead(connection) }
    let held = connection.pointee.input.count
    if held > Self.assembleBytes { return receiveInPlace(connection) }
    if held > 0 { readBuffer.copyMemory(from: connection.pointee.input.bytes.baseAddress!, byteCount: held) }
    let arrived = recv(connection.pointee.descriptor, readBuffer + held, readBufferBytes, 0)
    guard arrived > 0 else { return onNoData(connection, arrived) }
    onBytes(connection, arrived)
    offerShared(connection, readBuffer, held: held, arrived: arrived)
    return .some
  }

  @inline(__always) func onBytes(_ connection: ConnectionPointer, _ arrived: Int) {
    state.pointee.statistics.pointee.bytesIn.add(UInt64(arrived))
    connection.pointee.lastActive = now
  }

  @discardableResult func onNoData(_ connection: ConnectionPointer, _ result: Int) -> Arrival {
    if result == 0 {
      onPeerFinished(connection)
    } else if errno == ECONNRESET || errno == EPIPE || errno == ETIMEDOUT {
      doom(connection, .byPeer)
    } else if errno != EAGAIN && errno != EINTR {
      doom(connection, .ioError)
    }
    return .nothing
  }

  /// Offers what lies in the shared read buffer from `start` on: `held` bytes that were kept, then `arrived` new ones.
  func offerShared(_ connection: ConnectionPointer, _ start: UnsafeMutableRawPointer, held: Int, arrived: Int) {
    let total = held + arrived
    let input = UnsafeMutableRawBufferPointer(start: start, count: total)
    var output = state.pointee.output
    let received = offer(connection, input, &output)
    connection.pointee.expected = UInt32(clamping: received.expected)
    let rest = total - received.consumed
    if rest == 0 {
      if held > 0 { connection.pointee.input.release(gauge) }
    } else {
      if received.consumed > 0 {
        if held > 0 { connection.pointee.input.release(gauge) }
        connection.pointee.input.append(
          start + received.consumed, rest, expected: received.expected, gauge)
      } else {
        connection.pointee.input.append(start + held, arrived, expected: received.expected, gauge)
      }
      connection.pointee.input.insufficient = received.next == .proceed ? UInt32(rest) : 0
    }
    deliver(connection, &output)
    state.pointee.output = output
    if received.next != .proceed { follow(connection, received.next) }
  }

  @inline(__always) private func offer(
    _ connection: ConnectionPointer, _ input: UnsafeMutableRawBufferPointer, _ output: inout OutputBuffer
  ) -> Received {
    state.pointee.current = connection
    state.pointee.currentWasResumed = false
    state.pointee.currentIsToClose = false
    let door = state.pointee.doors[Int(connection.pointee.door)]
    var received = door._withUnsafeGuaranteedRef { $0.receive(connection.pointee.session!, input, &output) }
    state.pointee.current = nil
    if state.pointee.selfOutput.count > 0 {
      output.append(state.pointee.selfOutput.bytes)
      state.pointee.selfOutput.count = 0
    }
    if state.pointee.currentIsToClose { received.next = .closeAfterFlush }
    return received
  }

  private func follow(_ connection: ConnectionPointer, _ next: Received.Next) {
    guard connection.pointee.phase == .open else { return }
    switch next {
    case .proceed: break
    case .yield: enqueue(connection)
    case .suspend:
      if state.pointee.currentWasResumed { enqueue(connection) } else { connection.pointee.flags.insert(.suspended) }
    case .closeAfterFlush: drain(connection, .byDoor)
    }
  }

  /// More of a large unfinished request: straight behind what is already kept.
  private func receiveInPlace(_ connection: ConnectionPointer) -> Arrival {
    let arrived = receiveIntoKept(
      connection, atMost: max(readBufferBytes, min(connection.pointee.input.count, 1 << 20)))
    guard arrived > 0 else { return onNoData(connection, arrived) }
    if connection.pointee.input.count > limits.inputBytes.load(ordering: .relaxed) {
      doom(connection, .inputLimit)
    } else {
      offerKept(connection)
    }
    return .some
  }

  private func receiveIntoKept(_ connection: ConnectionPointer, atMost: Int) -> Int {
    let space = connection.pointee.input.makeSpace(atLeast: 1, expected: Int(connection.pointee.expected), gauge)
    let arrived = recv(connection.pointee.descriptor, space.baseAddress!, min(space.count, atMost), 0)
    if arrived > 0 {
      connection.pointee.input.received(arrived)
      onBytes(connection, arrived)
    }
    return arrived
  }

  /// The client's execution waits for something: input is received up to a limit, so that a client that writes all
  /// its requests before it reads a reply gets on, and so that its end is noticed.
  private func readAhead(_ connection: ConnectionPointer) -> Arrival {
    let flags = connection.pointee.flags
    if flags.isDisjoint(with: [.suspended, .paused]) { return .some }
    let room = limits.readAheadBytes.load(ordering: .relaxed) - connection.pointee.input.count
    guard room > 0 else {
      setInterest(connection, connection.pointee.interest.subtracting(.read))
      return .nothing
    }
    let arrived = receiveIntoKept(connection, atMost: min(room, readBufferBytes))
    return arrived > 0 ? .some : onNoData(connection, arrived)
  }

  /// Offers kept input in pieces, about one read buffer's worth a turn.
  func offerKept(_ connection: ConnectionPointer) {
    var budget = readBufferBytes
    while connection.pointee.input.count > 0 {
      let available = connection.pointee.input.count
      let window = connection.pointee.input.insufficient > 0 ? available : min(available, readBufferBytes)
      let input = UnsafeMutableRawBufferPointer(rebasing: connection.pointee.input.bytes[..<window])
      var output = state.pointee.output
      let received = offer(connection, input, &output)
      connection.pointee.expected = UInt32(clamping: received.expected)
      if received.consumed > 0 { connection.pointee.input.consume(received.consumed, gauge) }
      deliver(connection, &output)
      state.pointee.output = output
      guard connection.pointee.phase == .open else { return }
      budget -= received.consumed
      if received.next != .proceed {
        follow(connection, received.next)
        break
      }
      let rest = window - received.consumed
      if received.consumed == 0 || window == available { connection.pointee.input.insufficient = UInt32(rest) }
      if rest > 0 && window == available { break }
      if connection.pointee.flags.contains(.paused) { break }
      if budget <= 0 {
        if connection.pointee.input.count > 0 { enqueue(connection) }
        break
      }
    }
    connection.pointee.input.trim(gauge)
    closeIfFinished(connection)
  }

  func enqueue(_ connection: ConnectionPointer) {
    guard !connection.pointee.flags.contains(.queued) else { return }
    connection.pointee.flags.insert(.queued)
    queued.append(connection)
  }

  func runQueued() {
    guard !queued.isEmpty else { return }
    let batch = queued
    queued.removeAll(keepingCapacity: true)
    for connection in batch where connection.pointee.flags.contains(.queued) {
      connection.pointee.flags.remove(.queued)
      guard connection.pointee.phase == .open else { continue }
      // A connection that waits again is queued again when its wait ends.
      if connection.pointee.flags.isDisjoint(with: [.suspended, .paused]) { offerKept(connection) }
    }
  }

  /// The peer sends no more. What it sent is still executed and answered.
  private func onPeerFinished(_ connection: ConnectionPointer) {
    connection.pointee.flags.insert(.peerFinished)
    setInterest(connection, connection.pointee.interest.subtracting(.read))
    closeIfFinished(connection)
  }

  func closeIfFinished(_ connection: ConnectionPointer) {
    let flags = connection.pointee.flags
    guard connection.pointee.phase == .open, flags.contains(.peerFinished), flags.isDisjoint(with: .holdsInput),
      !flags.contains(.owed)
    else { return }
    drain(connection, .byPeer)
  }

  public func owesReplies(_ id: ConnectionID, _ owes: Bool) {
    guard let connection = table.find(id) else { return }
    if owes {
      connection.pointee.flags.insert(.owed)
    } else {
      connection.pointee.flags.remove(.owed)
      if connection != state.pointee.current { closeIfFinished(connection) }
    }
  }

  /// Throws away what still arrives on a connection whose input no longer matters.
  private func discard(_ connection: ConnectionPointer) -> Arrival {
    guard connection.pointee.phase == .lingering else { return .nothing }
    let arrived = recv(connection.pointee.descriptor, readBuffer, readBufferBytes, 0)
    if arrived == 0 || (arrived < 0 && errno != EAGAIN && errno != EINTR) { retire(connection) }
    return .nothing
  }

  public func resume(_ id: ConnectionID) {
    guard let connection = table.find(id), connection.pointee.phase == .open else { return }
    if connection == state.pointee.current { state.pointee.currentWasResumed = true }
    guard connection.pointee.flags.contains(.suspended) else { return }
    connection.pointee.flags.remove(.suspended)
    readAgain(connection)
  }

  /// The client's wait is over: read again, and offer what was kept.
  func readAgain(_ connection: ConnectionPointer) {
    if !connection.pointee.flags.contains(.peerFinished) {
      setInterest(connection, connection.pointee.interest.union(.read))
    }
    enqueue(connection)
  }

  public func pendingInputBytes(_ id: ConnectionID) -> Int { table.find(id)?.pointee.input.count ?? 0 }
}
