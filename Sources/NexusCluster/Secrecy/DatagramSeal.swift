import CGnuTLS
import NexusModel

/// Why a datagram was dropped.
public enum DatagramRefusal: String, CaseIterable, Sendable, Error {
  /// Too short, or not ours.
  case garbage
  /// Sealed with another key: another cluster's name or secret.
  case wrongKey
  /// Seen before, or too old to tell.
  case replayed
  /// From a process that is new to us and whose clock differs from ours by more than `DatagramSeal.skewSecondsMax`.
  case clock
  /// Opened, and not understood.
  case malformed
}

/// Seals datagrams so that only members can read and write them, and none can be sent twice.
///
/// Layout: magic and version (4 bytes), the sending process's session (16), counter (8, little-endian), the sealed text
/// with its tag. ChaCha20-Poly1305 (RFC 8439) under a key derived from the cluster's for this session alone, with
/// the counter as nonce: no two datagrams ever share key and nonce. Everything in front of the text is authenticated
/// with it. The text begins with the sender's clock (8 bytes of milliseconds): a session that is new to the receiver
/// must be of now, so that what was recorded long ago opens no session again; within a session a window of counters
/// (RFC 4303, appendix A2) lets each datagram in once.
///
/// Belongs to one thread.
final class DatagramSeal {
  static let headerBytes = 4 + sessionBytes + 8
  /// What sealing adds to a text.
  static let overheadBytes = headerBytes + 8 + Int(NEXUS_TAG_BYTES)
  static let skewSecondsMax: UInt64 = 120
  private static let sessionBytes = 16
  private static let magic: [UInt8] = [0x4E, 0x58, 0x47, 1]  // "NXG", version 1
  /// Sessions of others that are remembered: far more than members; the one silent for longest makes room.
  private static let sessionsMax = 4096

  private final class Peer {
    let aead: UnsafeMutableRawPointer
    var highest: UInt64 = 0
    /// Bit i: the counter `highest - i` has come.
    var window: UInt64 = 0
    var usedAt: UInt64 = 0

    init(_ aead: UnsafeMutableRawPointer) { self.aead = aead }
    deinit { nexus_aead_close(aead) }
  }

  private let key: ClusterKey
  private let session: [UInt8]
  private let own: Peer
  private var counter: UInt64 = 0
  private var peers: [[UInt8]: Peer] = [:]

  /// - Parameter session: 16 bytes that no other process of the cluster uses; at random in life.
  init(_ key: ClusterKey, session: [UInt8] = randomBytes(sessionBytes)) {
    precondition(session.count == Self.sessionBytes)
    self.key = key
    self.session = session
    own = Self.peer(key, session)
  }

  private static func peer(_ key: ClusterKey, _ session: [UInt8]) -> Peer {
    guard let aead = nexus_aead_open(key.derived(for: Array("datagram".utf8) + session)) else {
      preconditionFailure("GnuTLS offers no ChaCha20-Poly1305")
    }
    return Peer(aead)
  }

  private static func nonce(_ counter: UInt64) -> [UInt8] { [0, 0, 0, 0] + bytes(counter) }
  private static func bytes(_ number: UInt64) -> [UInt8] { withUnsafeBytes(of: number.littleEndian) { Array($0) } }
  private static func number(_ bytes: some Collection<UInt8>) -> UInt64 {
    bytes.reversed().reduce(0) { $0 << 8 | UInt64($1) }
  }

  /// - Parameter now: milliseconds since 1970.
  func seal(_ text: [UInt8], now: UInt64) -> [UInt8] {
    counter += 1
    var datagram = Self.magic + session + Self.bytes(counter)
    let whole = Self.bytes(now) + text
    var sealed = [UInt8](repeating: 0, count: whole.count + Int(NEXUS_TAG_BYTES))
    let code = nexus_aead_seal(
      own.aead, Self.nonce(counter), datagram, datagram.count, whole, whole.count, &sealed)
    precondition(code == 0, "GnuTLS cannot seal a datagram (code \(code))")
    datagram += sealed
    return datagram
  }

  /// The text, once.
  func open(_ datagram: UnsafeRawBufferPointer, now: UInt64) -> Result<[UInt8], DatagramRefusal> {
    guard datagram.count >= Self.overheadBytes, datagram.prefix(4).elementsEqual(Self.magic) else {
      return .failure(.garbage)
    }
    let session = Array(datagram[4..<(4 + Self.sessionBytes)])
    let counter = Self.number(datagram[(4 + Self.sessionBytes)..<Self.headerBytes])
    let known = peers[session]
    if let known, !Self.isFresh(counter, known) { return .failure(.replayed) }
    // Our own datagram, come back to us.
    if session == self.session { return .failure(.replayed) }
    let peer = known ?? Self.peer(key, session)
    let sealed = UnsafeRawBufferPointer(rebasing: datagram[Self.headerBytes...])
    var whole = [UInt8](repeating: 0, count: sealed.count - Int(NEXUS_TAG_BYTES))
    let code = nexus_aead_unseal(
      peer.aead, Self.nonce(counter), datagram.baseAddress, Self.headerBytes, sealed.baseAddress, sealed.count, &whole)
    guard code == 0 else { return .failure(.wrongKey) }
    if known == nil {
      let sent = Self.number(whole.prefix(8))
      let apart = sent > now ? sent - now : now - sent
      guard apart <= Self.skewSecondsMax * 1000 else { return .failure(.clock) }
      remember(session, peer)
    }
    Self.note(counter, peer)
    peer.usedAt = now
    return .success(Array(whole.dropFirst(8)))
  }

  private func remember(_ session: [UInt8], _ peer: Peer) {
    if peers.count >= Self.sessionsMax, let oldest = peers.min(by: { $0.value.usedAt < $1.value.usedAt }) {
      peers[oldest.key] = nil
    }
    peers[session] = peer
  }

  private static func isFresh(_ counter: UInt64, _ peer: Peer) -> Bool {
    if counter > peer.highest { return true }
    let behind = peer.highest - counter
    return behind < 64 && peer.window & (1 << behind) == 0
  }

  private static func note(_ counter: UInt64, _ peer: Peer) {
    if counter > peer.highest {
      let step = counter - peer.highest
      peer.window = step < 64 ? peer.window << step | 1 : 1
      peer.highest = counter
    } else {
      peer.window |= 1 << (peer.highest - counter)
    }
  }
}

extension DatagramRefusal {
  var sentence: String {
    switch self {
    case .garbage: "it is not gossip of this cluster"
    case .wrongKey: "it is sealed with another cluster's name, secret, or placement settings"
    case .replayed: "it has been here before"
    case .clock: "its sender's clock differs from ours by more than \(DatagramSeal.skewSecondsMax) seconds"
    case .malformed: "it cannot be understood"
    }
  }
}
