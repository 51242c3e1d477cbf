/// A namespace's number inside one node: part of every key in the store.
public typealias NamespaceNumber = UInt16

/// What an operator sets for one namespace. Limits of 0 mean "no limit of its own".
public struct NamespaceSettings: Sendable, Equatable {
  public var name: String
  public var limitBytes: Int = 0
  public var limitEntries: Int = 0
  public var eviction: EvictionPolicyName = .s3fifo
  /// 0: entries written without a TTL do not expire.
  public var defaultTTLMilliseconds: Int64 = 0
  /// 0...1: a TTL is shortened by a random share of at most this, so that what was written together does not
  /// expire together.
  public var ttlJitter: Double = 0
  /// Writes get stamps, deletes leave tombstones, and slots have digests: what replication needs.
  public var isStamped: Bool = false
  /// Before a write is answered. Where there are replicas.
  public var acknowledgement: Acknowledgement = .one
  public var reads: ReadPreference = .owner
  /// Members that do not own its keys may keep copies of hot ones.
  public var keepsHotCopies = true
  /// Where misses are filled from, as an address; empty: nowhere.
  public var origin = ""
  /// How long an origin's value may answer once it is no longer fresh: while it is loaded anew, and while that fails.
  public var staleWhileRevalidateMilliseconds: Int64 = 0
  public var staleIfErrorMilliseconds: Int64 = 0
  /// How long it is remembered that the origin does not have a key.
  public var absentMilliseconds: Int64 = 0
  /// How early values are loaded anew, as a factor (XFetch's beta); 0: not before their time.
  public var earlyRefresh: Double = 0

  public init(name: String) { self.name = name }
}
