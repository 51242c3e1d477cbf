/// Which key comes next.
struct KeyChooser {
  private let first: UInt64
  private let count: UInt64
  private let zipf: Zipf?

  init(_ workload: Workload) {
    first = workload.firstKey
    count = workload.keys
    if case .zipf(let theta) = workload.distribution {
      zipf = Zipf(count: workload.keys, theta: theta)
    } else {
      zipf = nil
    }
  }

  @inline(__always) func next(_ random: inout SplitMix64) -> UInt64 {
    first &+ (zipf?.sample(&random) ?? random.below(count))
  }
}
