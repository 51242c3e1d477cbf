/// What an origin has to say of a key.
public enum OriginAnswer: Hashable, Sendable {
  case value(OriginValue)
  /// The value that the cache holds is still right. Only where the request told of one.
  case unchanged(OriginFreshness)
  /// The origin has no such key.
  case absent(OriginFreshness)
  case failure(OriginError)
}

public struct OriginValue: Hashable, Sendable {
  public var bytes: [UInt8]
  public var freshness: OriginFreshness

  public init(_ bytes: [UInt8], _ freshness: OriginFreshness = .unspecified) {
    self.bytes = bytes
    self.freshness = freshness
  }
}

/// How long an answer may be used. Nil: the origin does not say, and the namespace's settings hold.
public struct OriginFreshness: Hashable, Sendable {
  /// 0: for those who wait for it now; it may be kept only to be revalidated.
  public var timeToLiveMilliseconds: Int?
  /// After the time to live: how long the old value may be given while one asks anew. 0: not at all.
  public var staleWhileRevalidateMilliseconds: Int?
  /// After the time to live: how long the old value may be given while the origin fails. 0: not at all.
  public var staleIfErrorMilliseconds: Int?
  /// The origin forbids keeping it: it is for those who wait for it now.
  public var neverStore: Bool

  public init(
    timeToLiveMilliseconds: Int? = nil, staleWhileRevalidateMilliseconds: Int? = nil,
    staleIfErrorMilliseconds: Int? = nil, neverStore: Bool = false
  ) {
    self.timeToLiveMilliseconds = timeToLiveMilliseconds
    self.staleWhileRevalidateMilliseconds = staleWhileRevalidateMilliseconds
    self.staleIfErrorMilliseconds = staleIfErrorMilliseconds
    self.neverStore = neverStore
  }

  public static let unspecified = OriginFreshness()
}
