import CNettle
import CXXHash

extension RingHash {
  /// 64 bits of the bytes' digest, the same on every machine: XXH3 with seed 0; the first eight bytes of MD5
  /// (RFC 1321) or SHA-256 (FIPS 180-4), little-endian; FNV-1a, scattered.
  func digest(_ bytes: UnsafeRawBufferPointer) -> UInt64 {
    switch self {
    case .xxh3: nexus_xxh3_64(bytes.baseAddress, bytes.count, 0)
    case .md5: nexus_md5_64(bytes.baseAddress, bytes.count)
    case .sha256: nexus_sha256_64(bytes.baseAddress, bytes.count)
    case .fnv1a64: Self.scatter(Self.fnv1a(bytes))
    }
  }

  /// FNV-1a of 64 bits (Fowler, Noll, Vo, Eastlake: RFC 9923).
  static func fnv1a(_ bytes: UnsafeRawBufferPointer) -> UInt64 {
    var hash: UInt64 = 0xCBF2_9CE4_8422_2325
    for byte in bytes { hash = (hash ^ UInt64(byte)) &* 0x100_0000_01B3 }
    return hash
  }

  /// Every bit of the result depends on every bit of the value; one to one (the finaliser of MurmurHash3).
  static func scatter(_ value: UInt64) -> UInt64 {
    var bits = value
    bits = (bits ^ bits &>> 33) &* 0xFF51_AFD7_ED55_8CCD
    bits = (bits ^ bits &>> 33) &* 0xC4CE_B9FE_1A85_EC53
    return bits ^ bits &>> 33
  }
}

/// An order of members that differs from slot to slot, for the few cases in which the ring names nobody
/// (rendezvous hashing: Thaler and Ravishankar, 1998).
struct Rendezvous {
  private let seeds: [UInt64]

  init(_ members: [RingMember]) {
    seeds = members.map { member in
      Array(member.id.text.utf8).withUnsafeBytes { RingHash.xxh3.digest($0) }
    }
  }

  /// The member, among those that `isAllowed` lets pass, that this slot ranks first. Nil if none passes.
  func first(for slot: Int, where isAllowed: (Int) -> Bool) -> Int? {
    let key = RingHash.scatter(UInt64(slot) &+ 1)
    var best: (rank: UInt64, member: Int)?
    for member in seeds.indices where isAllowed(member) {
      let rank = RingHash.scatter(seeds[member] ^ key)
      // Equal ranks would mean equal seeds: the member that sorts first then wins, everywhere.
      if best == nil || rank > best!.rank { best = (rank, member) }
    }
    return best?.member
  }
}
