import NexusModel
import NexusService
import NexusSketch

/// Which keys an origin has, in about 14 bits each: a key that it does not know is absent, without asking. After Fan,
/// Andersen, Kaminsky and Mitzenmacher, "Cuckoo Filter: Practically Better Than Bloom", CoNEXT 2014.
///
/// Made of a listing of the keys. What is loaded otherwise is learned, so that a key which is younger than the listing
/// is known from its first load on.
public final class CuckooGuard: KeyGuard {
  private struct State {
    var filter: CuckooFilter
    /// Full: it knows no key for certain any more.
    var isFull = false
    /// Since `beginListing`: what the listing under way may have missed.
    var learned: [[UInt8]] = []
  }

  /// The share of keys that do not exist and are asked for nevertheless.
  public static let falsePositiveRate = 0.001
  /// A listing gives what was learned earlier; more than this in its time is learned again as it is loaded again.
  private static let learnedMost = 65_536
  private static let firstCapacity = 1 << 16

  private let state: Guarded<State>

  public init() {
    guard let plan = try? CuckooFilterPlan(capacity: Self.firstCapacity, falsePositiveRate: Self.falsePositiveRate)
    else {
      preconditionFailure("the plan of a guard's filter is within the limits")
    }
    state = Guarded(State(filter: CuckooFilter(plan)))
  }

  public func mayHave(_ key: [UInt8]) -> Bool {
    state.withLock { state in state.isFull || key.withUnsafeBytes { state.filter.contains($0) } }
  }

  public func learn(_ key: [UInt8]) {
    state.withLock { state in
      if state.learned.count < Self.learnedMost { state.learned.append(key) }
      Self.add(key, to: &state)
    }
  }

  /// A key of the listing.
  func add(_ key: [UInt8]) { state.withLock { Self.add(key, to: &$0) } }

  private static func add(_ key: [UInt8], to state: inout State) {
    key.withUnsafeBytes { bytes in
      if !state.filter.contains(bytes), !state.filter.add(bytes) { state.isFull = true }
    }
  }

  func beginListing() { state.withLock { $0.learned = [] } }

  /// Takes over what the former guard has learned while this one's keys were listed.
  func takeOver(from former: CuckooGuard) {
    for key in former.state.withLock({ $0.learned }) { learn(key) }
  }

  public var count: Int { state.withLock { $0.filter.reading { $0.itemCount } } }
}
