import NexusModel

extension MemberRecord {
  /// This record's share of `membershipDigest`: a hash of all its fields, each text closed by a byte that is in no
  /// text, each number in eight bytes. Equal on every machine. Zero for who left: whether a node still remembers that
  /// makes no difference to the digest.
  public var digest: UInt64 {
    if status == .left { return 0 }
    var hash = FieldHash()
    hash.add(member.id.text)
    hash.add(member.host)
    hash.add(member.zone)
    hash.add(member.version)
    hash.add(UInt64(member.peerPort) | UInt64(member.redisPort) << 16 | UInt64(member.clusterPort) << 32)
    hash.add(
      UInt64(member.httpPort) | UInt64(member.weight) << 16 | (member.isLeaving ? 1 << 32 : 0)
        | (member.isJoining ? 1 << 33 : 0))
    hash.add(member.startedAt)
    hash.add(incarnation)
    hash.add(UInt64(status.rawValue))
    return hash.value
  }

  /// Whether this line replaces that one of the same member: by incarnation, then by status (SWIM, section 4.2). Two
  /// processes with one id may have said different things under one incarnation: then the elder's line stays, and
  /// between otherwise equal ones the digest decides, so that merging has one result in any order.
  public static func supersedes(_ new: MemberRecord, _ old: MemberRecord) -> Bool {
    if new.incarnation != old.incarnation { return new.incarnation > old.incarnation }
    if new.status != old.status { return new.status > old.status }
    if new.member == old.member { return false }
    if new.member.isElder(than: old.member) { return true }
    if old.member.isElder(than: new.member) { return false }
    return new.digest > old.digest
  }
}

/// Multiply and fold, a word at a time.
private struct FieldHash {
  private var state: UInt64 = 0x243F_6A88_85A3_08D3

  mutating func add(_ word: UInt64) { state = mix64((state &* 0x9E37_79B9_7F4A_7C15) ^ word) }

  mutating func add(_ text: String) {
    var word: UInt64 = 0
    var filled: UInt64 = 0
    for byte in text.utf8 {
      word |= UInt64(byte) << (8 * filled)
      filled += 1
      if filled == 8 {
        add(word)
        word = 0
        filled = 0
      }
    }
    add(word | 0xFF << (8 * filled))
  }

  var value: UInt64 { mix64(state) }
}
