import NexusModel
import Synchronization

/// What the threads of a run share: where the run stands, which keys are already loaded, and the first failure.
final class RunControl: Sendable {
  enum Phase: Int {
    case warmUp, measure, stop
  }

  private let phaseNumber = Atomic<Int>(Phase.warmUp.rawValue)
  /// Keys handed out by `--op load`.
  private let loaded = Atomic<UInt64>(0)
  private let working: Atomic<Int>
  private let firstFailure = Guarded<String?>(nil)

  init(threads: Int) { working = Atomic(threads) }

  @inline(__always) var phase: Phase {
    get { Phase(rawValue: phaseNumber.load(ordering: .relaxed))! }
    set { phaseNumber.store(newValue.rawValue, ordering: .releasing) }
  }

  /// Takes the next `count` of `total` keys to load: where they begin, and how many are left to take (0: none).
  func takeKeys(_ count: UInt64, of total: UInt64) -> (first: UInt64, count: Int) {
    let first = loaded.wrappingAdd(count, ordering: .relaxed).oldValue
    return first >= total ? (total, 0) : (first, Int(min(count, total - first)))
  }

  var loadedKeys: UInt64 { loaded.load(ordering: .relaxed) }

  func threadEnded() { working.wrappingSubtract(1, ordering: .releasing) }
  var isOver: Bool { working.load(ordering: .acquiring) == 0 }

  /// Stops the run; only the first reason is kept.
  func fail(_ message: String) {
    firstFailure.withLock { $0 = $0 ?? message }
    phase = .stop
  }

  var failure: String? { firstFailure.withLock { $0 } }
}

/// What one thread has counted while measuring. Read by others only after the thread has ended, except for the
/// atomic count of operations, which the progress bar watches.
final class Tally: @unchecked Sendable {
  var counts = ReplyCounts()
  var histogram = Histogram()
  var bytesReceived = 0
  var bytesSent = 0
  /// CPU time, and the part of it that only waited for replies (`--spin`).
  var cpuNanoseconds: UInt64 = 0
  var idleNanoseconds: UInt64 = 0
  let operations = Atomic<Int>(0)
}
