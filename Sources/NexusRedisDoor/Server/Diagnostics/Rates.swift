import NexusModel
import NexusService
import Synchronization

/// Commands and bytes per second over about the last second and a half (longer where the node was idle): INFO's
/// `instantaneous_` figures.
final class Rates: Sendable {
  static let intervalMilliseconds: Int64 = 100
  static let kept = 16

  struct Sample: Sendable {
    var at: UnixMilliseconds
    var commands: UInt64 = 0
    var bytesIn: UInt64 = 0
    var bytesOut: UInt64 = 0
  }

  private let latest: Atomic<Int64>
  private let samples: Guarded<[Sample]>

  init(startedAt: UnixMilliseconds) {
    latest = Atomic(startedAt)
    samples = Guarded([Sample(at: startedAt)])
  }

  /// Takes a sample if the last one is old enough. Costs one load where it is not.
  @inline(__always) func sampleIfDue(_ node: Node, now: UnixMilliseconds) {
    if now - latest.load(ordering: .relaxed) >= Self.intervalMilliseconds { sample(node, now: now) }
  }

  @inline(never) private func sample(_ node: Node, now: UnixMilliseconds) {
    let last = latest.load(ordering: .relaxed)
    guard latest.compareExchange(expected: last, desired: now, ordering: .relaxed).exchanged else { return }
    let totals = LoopTotals(node)
    samples.withLock { samples in
      samples.append(Sample(at: now, commands: totals.commands, bytesIn: totals.bytesIn, bytesOut: totals.bytesOut))
      if samples.count > Self.kept { samples.removeFirst() }
    }
  }

  struct PerSecond {
    var commands = 0.0
    var bytesIn = 0.0
    var bytesOut = 0.0
  }

  func perSecond(_ node: Node, now: UnixMilliseconds) -> PerSecond {
    sampleIfDue(node, now: now)
    return samples.withLock { samples in
      guard let first = samples.first, let last = samples.last, last.at > first.at else { return PerSecond() }
      let seconds = Double(last.at - first.at) / 1000
      return PerSecond(
        commands: Double(last.commands &- first.commands) / seconds,
        bytesIn: Double(last.bytesIn &- first.bytesIn) / seconds,
        bytesOut: Double(last.bytesOut &- first.bytesOut) / seconds)
    }
  }

  func reset(_ node: Node, now: UnixMilliseconds) {
    let totals = LoopTotals(node)
    latest.store(now, ordering: .relaxed)
    samples.withLock {
      $0 = [Sample(at: now, commands: totals.commands, bytesIn: totals.bytesIn, bytesOut: totals.bytesOut)]
    }
  }
}
