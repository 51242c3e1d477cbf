/// A cluster that is full, and nothing else wrong with it.
extension ReplicaWorld {
  /// What happened in a stretch of time.
  public struct Pressure: Sendable {
    public var evictions = 0
    /// Of entries that repair has sent or asked for.
    public var repairedBytes: UInt64 = 0
  }

  /// Clients write more than members have room for. The beginning, in which members meet, does not count.
  public func press() -> Pressure {
    run(until: 1_500_000)
    beginAsking()
    run(until: 4_000_000)
    let before = pressure
    run(until: settings.storyMilliseconds * 1000)
    let after = pressure
    return Pressure(
      evictions: after.evictions - before.evictions, repairedBytes: after.repairedBytes - before.repairedBytes)
  }

  private var pressure: Pressure {
    Pressure(
      evictions: nodes.reduce(0) { $0 + $1.evictions }, repairedBytes: nodes.reduce(0) { $0 + $1.repair.bytesMoved })
  }
}
