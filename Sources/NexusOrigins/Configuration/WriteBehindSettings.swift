/// How writes are made later than they are acknowledged.
public struct WriteBehindSettings: Hashable, Sendable {
  /// How long a write may wait for others to be made with it.
  public var delayMilliseconds = 100
  /// Writes that are made together. Origins that take one at a time are given one.
  public var batch = 100
  /// Acknowledged writes that may wait; more are made before they are acknowledged.
  public var writes = 100_000
  public var bytes = 64 << 20
  /// How long `stop` may take to make what waits.
  public var drainMilliseconds = 2000

  public init() {}

  init?(from options: inout OptionReader, canStore: Bool) throws(OriginConfigurationError) {
    let isWanted = try options.word("write-behind", ["no", "yes"]) == "yes"
    guard !isWanted || canStore else {
      throw options.failure("write-behind=yes needs an origin that is written to: give write as well")
    }
    self.init()
    try options.duration("write-behind-delay", into: &delayMilliseconds)
    try options.count("write-behind-batch", 1...10_000, into: &batch)
    try options.count("write-behind-queue", 1...10_000_000, into: &writes)
    try options.bytes("write-behind-bytes", 1024...(64 << 30), into: &bytes)
    try options.duration("write-behind-drain", into: &drainMilliseconds)
    if !isWanted { return nil }
  }
}
