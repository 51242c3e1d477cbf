import NexusService

extension Engine {
  /// A number that nobody can foresee well: for what is meant to differ from time to time (jitter, RANDOMKEY).
  func chance() -> UInt64 {
    var generator = SplitMix64(seed: loop.monotonicNanoseconds ^ store.configuration.seed)
    return generator.next()
  }
}
