import CXXHash
import NexusModel

/// What placement depends on, and nothing else: neither incarnations, nor suspicion, nor addresses.
struct PlacementFacts {
  let settings: RingSettings
  /// Members with a place, by id.
  let placed: [RingMember]
  /// Of each of these, whether it is live.
  let isLive: [Bool]
  /// Live members that are leaving, by id, if no member with a place is live.
  let standIns: [RingMember]

  init(_ records: some Sequence<MemberRecord>, _ settings: RingSettings) {
    self.settings = settings
    let merged = Dictionary(records.map { ($0.member.id, $0) }) { Self.isLater($1, than: $0) ? $1 : $0 }
    let sorted = merged.values.filter { $0.status != .left }.sorted { $0.member.id < $1.member.id }
    let placed = sorted.filter { !$0.member.isLeaving && !$0.member.isJoining }
    self.placed = placed.map { RingMember($0.member) }
    isLive = placed.map(\.status.isLive)
    let leaving = sorted.filter { $0.member.isLeaving && !$0.member.isJoining && $0.status.isLive }
    standIns = isLive.contains(true) ? [] : leaving.map { RingMember($0.member) }
  }

  /// Which record of one member counts, in whatever order they come. Two with one incarnation and status should not
  /// differ; should they, the facts decide.
  private static func isLater(_ record: MemberRecord, than other: MemberRecord) -> Bool {
    if record.incarnation != other.incarnation { return record.incarnation > other.incarnation }
    if record.status != other.status { return record.status > other.status }
    let one = record.member, two = other.member
    if one.isLeaving != two.isLeaving { return one.isLeaving }
    if one.isJoining != two.isJoining { return two.isJoining }
    if one.weight != two.weight { return one.weight > two.weight }
    return two.zone.utf8.lexicographicallyPrecedes(one.zone.utf8)
  }

  /// XXH3 over all facts, each text preceded by its length, numbers little-endian.
  var version: PlacementVersion {
    var bytes: [UInt8] = []
    func append(_ number: Int) { for byte in 0..<4 { bytes.append(UInt8(truncatingIfNeeded: number >> (8 * byte))) } }
    func append(_ text: String) {
      append(text.utf8.count)
      bytes.append(contentsOf: text.utf8)
    }
    func append(_ member: RingMember, _ isLive: Bool) {
      append(member.id.text)
      append(Int(member.weight))
      append(member.zone)
      bytes.append(isLive ? 1 : 0)
    }
    append("nexuscache placement 1")
    append(settings.hash.rawValue)
    append(settings.virtualNodes)
    append(settings.copies)
    append(settings.loadPercent)
    append(placed.count)
    for (member, isLive) in zip(placed, isLive) { append(member, isLive) }
    append(standIns.count)
    for member in standIns { append(member, true) }
    return PlacementVersion(digest: bytes.withUnsafeBytes { nexus_xxh3_64($0.baseAddress, $0.count, 0) })
  }
}
