import NexusModel
import NexusService

/// Output that doors write when they are asked to: once a turn, so that everything that came up in it leaves in one
/// system call, and only while nothing waits, so that a slow reader is felt where the output comes from.
extension EpollLoop {
  public func requestOutput(_ id: ConnectionID) {
    guard let connection = table.find(id), connection.pointee.phase == .open else { return }
    enlist(connection)
  }

  func enlist(_ connection: ConnectionPointer) {
    guard !connection.pointee.flags.contains(.producing) else { return }
    connection.pointee.flags.insert(.producing)
    producing.append(connection)
  }

  func runProducing() {
    // What doors ask for while they produce has the next turn: two that answer one another must not hold up the loop.
    swap(&producing, &producingNow)
    for connection in producingNow {
      guard connection.pointee.flags.contains(.producing) else { continue }
      connection.pointee.flags.remove(.producing)
      guard connection.pointee.phase == .open else { continue }
      connection.pointee.flags.insert(.hasMore)
      // Where something waits, this is called again once it has been taken.
      guard connection.pointee.output.isEmpty else { continue }
      if produce(connection) { enlist(connection) }
    }
    producingNow.removeAll(keepingCapacity: true)
  }

  /// As long as the socket takes everything, up to what one connection may send in a turn. True: there is more.
  private func produce(_ connection: ConnectionPointer) -> Bool {
    let door = state.pointee.doors[Int(connection.pointee.door)]
    let session = connection.pointee.session!
    var left = Self.sendTurnBytes
    while left > 0 {
      connection.pointee.flags.remove(.hasMore)
      var output = state.pointee.output
      let hasMore = door._withUnsafeGuaranteedRef { $0.produce(session, &output) }
      if hasMore { connection.pointee.flags.insert(.hasMore) }
      left -= max(output.count, 4096)
      deliver(connection, &output)
      state.pointee.output = output
      guard hasMore, connection.pointee.phase == .open, connection.pointee.output.isEmpty else { return false }
    }
    return true
  }
}
