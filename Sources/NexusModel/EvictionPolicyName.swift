/// How a namespace chooses what leaves when its memory is full.
public enum EvictionPolicyName: String, CaseIterable, Sendable, BitwiseCopyable {
  /// Least recently used first.
  case lru
  /// S3-FIFO (Yang et al., SOSP 2023), its small queue tuned online by sampled shadow caches. The default.
  case s3fifo
  /// Weighs size against recency and frequency: for values of very different sizes under a byte limit.
  case sizeAware = "size-aware"
  /// Any entry.
  case random
  /// The entry that expires soonest; entries without a TTL stay.
  case ttl
  /// Nothing leaves: writes that do not fit are refused.
  case none
}
