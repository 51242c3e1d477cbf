import NexusModel

/// Which process speaks. Id, start and address together tell a node from its former self and from an impostor.
public struct GossipSender: Hashable, Sendable {
  public var id: MemberID
  /// `Member.startedAt`.
  public var startedAt: UInt64
  /// The advertised one; a datagram's source may be another.
  public var address: NetworkAddress

  public init(id: MemberID, startedAt: UInt64, address: NetworkAddress) {
    self.id = id
    self.startedAt = startedAt
    self.address = address
  }

  init(_ member: Member) {
    self.init(id: member.id, startedAt: member.startedAt, address: member.gossipAddress)
  }

  func isElder(than other: GossipSender) -> Bool {
    startedAt == other.startedAt ? address > other.address : startedAt < other.startedAt
  }
}

/// One line of news.
public struct GossipUpdate: Hashable, Sendable {
  public var record: MemberRecord
  /// With a suspicion: who found the member silent by a probe of its own (Lifeguard, section IV-B counts them).
  public var accuser: MemberID?

  public init(record: MemberRecord, accuser: MemberID? = nil) {
    self.record = record
    self.accuser = accuser
  }

  /// At most this many bytes as protocol buffers: the texts, and 72 for numbers, tags and lengths.
  public var estimatedBytes: Int { record.estimatedBytes + 4 + (accuser?.text.utf8.count ?? 0) }
}

extension MemberRecord {
  var estimatedBytes: Int {
    72 + member.id.text.utf8.count + member.host.utf8.count + member.zone.utf8.count + member.version.utf8.count
  }
}

/// One datagram.
public struct GossipMessage: Hashable, Sendable {
  public enum Kind: Hashable, Sendable {
    /// "Are you there?" Nil: whoever listens at this address.
    case ping(sequence: UInt32, target: MemberID?)
    /// "Ask that member for me, and tell me."
    case pingRequest(sequence: UInt32, target: MemberID, address: NetworkAddress)
    /// The member `of` is there: the sender itself, or the member that it was asked to ask.
    case ack(sequence: UInt32, of: MemberID)
    /// "I asked, as you wished, and hear nothing": the asker is heard, so its own network works.
    case nack(sequence: UInt32)
    /// News only.
    case gossip
  }

  public var sender: GossipSender
  /// The sender's `membershipDigest` when it sent this.
  public var digest: UInt64
  public var kind: Kind
  public var updates: [GossipUpdate]

  public init(sender: GossipSender, digest: UInt64, kind: Kind, updates: [GossipUpdate]) {
    self.sender = sender
    self.digest = digest
    self.kind = kind
    self.updates = updates
  }

  /// What a message takes without its updates, at most: two names, two addresses, numbers.
  static func headerBytes(_ sender: GossipSender) -> Int {
    192 + sender.id.text.utf8.count + sender.address.host.utf8.count
  }
}

/// All that a node knows: exchanged over a stream, in both directions.
public struct GossipState: Hashable, Sendable {
  public var sender: GossipSender
  /// Those that left too, as long as they are remembered.
  public var records: [MemberRecord]

  public init(sender: GossipSender, records: [MemberRecord]) {
    self.sender = sender
    self.records = records
  }
}
