/// Which key comes next.
struct KeyChooser {
  private let first: UInt64
  private let count: UInt64
  private let zipf: Zipf?
  /// Empty: the keys' numbers follow one another.
  private let offsets: [UInt32]

  init(_ workload: Workload) {
    first = workload.firstKey
    count = workload.keys
    offsets = workload.keyOffsets
    if case .zipf(let theta) = workload.distribution {
      zipf = Zipf(count: workload.keys, theta: theta)
    } else {
      zipf = nil
    }
  }

  @inline(__always) func next(_ random: inout SplitMix64) -> UInt64 {
    number(at: zipf?.sample(&random) ?? random.below(count))
  }

  /// The number of the run's key at `index`, from 0 on.
  @inline(__always) func number(at index: UInt64) -> UInt64 {
    first &+ (offsets.isEmpty ? index : UInt64(offsets[Int(truncatingIfNeeded: index)]))
  }
}
