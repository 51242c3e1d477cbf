import NexusModel

/// What happens when the buffers of all clients together are too much: those who hold most go.
extension EpollLoop {
  /// Clients that hold less than this are never dropped for the sake of others.
  static let leastShedBytes = 64 * 1024

  /// Between two rounds. Where nobody holds much, asking at every turn would keep the loops awake for nothing.
  static let sheddingMilliseconds: Int64 = 5

  /// The client that holds most may be any loop's: each drops its own largest, while the excess lasts.
  func askAllToShed() {
    guard now >= nextShedding else { return }
    nextShedding = now + Self.sheddingMilliseconds
    for loop in siblings { loop.post { [unowned loop] in loop.shed() } }
  }

  private func shed() {
    let limit = limits.allBuffersBytes.load(ordering: .relaxed)
    let excess = gauge.bytes - limit
    guard excess > 0 else { return }
    var largest: ConnectionPointer?
    var largestBytes = Self.leastShedBytes
    for slot in 0..<table.highWater {
      let connection = table.record(slot)
      let bytes = connection.pointee.input.count + connection.pointee.output.bytes
      if connection.pointee.flags.contains(.outgoing) { continue }
      if connection.pointee.phase == .open || connection.pointee.phase == .draining, bytes > largestBytes {
        largest = connection
        largestBytes = bytes
      }
    }
    guard let largest else { return }
    log.warning(
      "a client was dropped because all clients' buffers together are over their limit, and it held most",
      ("held_bytes", "\(largestBytes)"), ("limit_bytes", "\(limit)"))
    let holdsOutput = largest.pointee.output.bytes >= largest.pointee.input.count
    if holdsOutput { state.pointee.statistics.pointee.outputLimitDisconnections.add() }
    doom(largest, holdsOutput ? .outputLimit : .inputLimit)
  }
}
