import Glibc
import NexusModel

/// What one key is, or was, at a stamp: what members send one another. Borrows its bytes.
public struct Version: BitwiseCopyable {
  /// The numbers travel between members.
  public enum Kind: UInt8, Sendable, BitwiseCopyable {
    case value = 0
    /// Removed.
    case tombstone = 1
    /// Evicted: whoever has nothing newer removes it too, and keeps no trace.
    case evicted = 2
  }

  public var kind: Kind
  public var stamp: Stamp
  public var value = UnsafeRawBufferPointer(start: nil, count: 0)
  public var type = ValueType.string
  /// 0: no TTL.
  public var expiresAt: UnixMilliseconds = 0
  public var clientFlags: UInt32 = 0
  /// The compare-and-swap version; 0: none was ever set.
  public var version: UInt64 = 0
  /// Of an origin's value; 0: it is fresh as long as it is there.
  public var freshUntil: UnixMilliseconds = 0
  public var tags = TagList()

  public init(
    _ value: UnsafeRawBufferPointer, type: ValueType = .string, expiresAt: UnixMilliseconds = 0,
    clientFlags: UInt32 = 0, version: UInt64 = 0, freshUntil: UnixMilliseconds = 0, tags: TagList = TagList(),
    stamp: Stamp
  ) {
    kind = .value
    self.stamp = stamp
    self.value = value
    self.type = type
    self.expiresAt = expiresAt
    self.clientFlags = clientFlags
    self.version = version
    self.freshUntil = freshUntil
    self.tags = tags
  }

  private init(_ kind: Kind, _ stamp: Stamp) {
    self.kind = kind
    self.stamp = stamp
  }

  public static func tombstone(_ stamp: Stamp) -> Version { Version(.tombstone, stamp) }
  public static func evicted(_ stamp: Stamp) -> Version { Version(.evicted, stamp) }

  init(of item: Item) {
    self.init(item.isTombstone ? .tombstone : .value, Stamp(rawValue: item.stamp))
    if kind == .tombstone { return }
    let fields = ItemFields(of: item)
    value = UnsafeRawBufferPointer(start: item.valueBase, count: item.valueCount)
    type = item.type
    expiresAt = fields.expiresAt
    clientFlags = fields.clientFlags
    version = fields.version
    freshUntil = fields.freshUntil
    tags = fields.tags
  }
}

/// One change that this node made to a key of a stamped namespace. Valid during the call that hands it over.
public struct Change: BitwiseCopyable {
  public let key: Key
  /// A value: written, or its expiry or fields changed. A tombstone: removed. Evicted: with the stamp of what left.
  public let version: Version
}

public enum MergeOutcome: Sendable, BitwiseCopyable {
  case applied
  /// What is here is newer.
  case older
  /// It is here already; or, evicted, it was not.
  case same
  /// The namespace was flushed after it.
  case flushed
  /// There is no room. Nothing was changed.
  case outOfMemory
  /// Not to be taken at all: the namespace is not stamped here, or the stamp is none or beyond the year 6429.
  case refused
}

/// Versions of one key in their order, of which the highest wins on every member.
extension Version {
  /// How this version, a value or a tombstone, stands to what is here. By the stamp; of equal stamps, which two halves
  /// of a torn cluster may give, a tombstone is above a value, and of two values the higher by expiry (none is highest)
  /// and content is. Expiry is no matter otherwise: what has expired is a version until it is removed.
  func isAbove(_ item: Item) -> Bool? {
    let other = Version(of: item)
    if stamp != other.stamp { return stamp > other.stamp }
    if kind == .tombstone || other.kind == .tombstone {
      return kind == other.kind ? nil : kind == .tombstone
    }
    return Self.isAbove(self, other)
  }

  private static func isAbove(_ left: Version, _ right: Version) -> Bool? {
    let leftExpiry = left.expiresAt == 0 ? Int64.max : left.expiresAt
    let rightExpiry = right.expiresAt == 0 ? Int64.max : right.expiresAt
    if leftExpiry != rightExpiry { return leftExpiry > rightExpiry }
    let count = min(left.value.count, right.value.count)
    if count > 0, let a = left.value.baseAddress, let b = right.value.baseAddress {
      let order = memcmp(a, b, count)
      if order != 0 { return order > 0 }
    }
    if left.value.count != right.value.count { return left.value.count > right.value.count }
    if left.type != right.type { return left.type.rawValue > right.type.rawValue }
    if left.clientFlags != right.clientFlags { return left.clientFlags > right.clientFlags }
    if left.version != right.version { return left.version > right.version }
    if left.freshUntil != right.freshUntil { return left.freshUntil > right.freshUntil }
    return left.tags == right.tags ? nil : TagList.isAbove(left.tags, right.tags)
  }
}
