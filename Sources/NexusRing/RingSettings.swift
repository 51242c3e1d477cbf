/// What places virtual nodes on the ring.
public enum RingHash: String, CaseIterable, Sendable {
  case xxh3, md5, sha256
  /// With a finaliser: bare FNV-1a hardly stirs its upper bits, and members named alike would lie side by side.
  case fnv1a64
}

/// How a cluster places its slots. All its members must agree: the settings are part of the placement version.
public struct RingSettings: Hashable, Sendable {
  public static let virtualNodesAllowed = 1...10_000
  public static let copiesAllowed = 1...16
  public static let loadPercentAllowed = 100...200

  public let hash: RingHash
  /// Points on the ring for a member of the usual weight.
  public let virtualNodes: Int
  /// Members that hold a slot: its owner and `copies - 1` replicas.
  public let copies: Int
  /// The most slots that a member owns, in percent of its share by weight.
  public let loadPercent: Int

  public static let standard = RingSettings(
    unchecked: .xxh3, virtualNodes: 150, copies: 1, loadPercent: 105)

  /// - Throws: the first setting that is out of its range.
  public init(
    hash: RingHash = .xxh3, virtualNodes: Int = 150, copies: Int = 1, loadPercent: Int = 105
  ) throws(RingSettingsError) {
    try Self.check("virtual nodes", virtualNodes, Self.virtualNodesAllowed)
    try Self.check("copies", copies, Self.copiesAllowed)
    try Self.check("load bound in percent", loadPercent, Self.loadPercentAllowed)
    self.init(unchecked: hash, virtualNodes: virtualNodes, copies: copies, loadPercent: loadPercent)
  }

  private init(unchecked hash: RingHash, virtualNodes: Int, copies: Int, loadPercent: Int) {
    self.hash = hash
    self.virtualNodes = virtualNodes
    self.copies = copies
    self.loadPercent = loadPercent
  }

  private static func check(_ name: String, _ value: Int, _ allowed: ClosedRange<Int>) throws(RingSettingsError) {
    guard allowed.contains(value) else { throw RingSettingsError(name: name, value: value, allowed: allowed) }
  }
}

/// A ring setting out of its range.
public struct RingSettingsError: Error, Hashable, CustomStringConvertible {
  public let name: String
  public let value: Int
  public let allowed: ClosedRange<Int>

  public var description: String {
    "\(name): \(value) is not between \(allowed.lowerBound) and \(allowed.upperBound); choose one that is"
  }
}
