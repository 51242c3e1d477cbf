import NexusModel

/// What a gossip datagram says once its envelope is open (gossip.proto).
public struct GossipPacket: Hashable, Sendable, WireMessage {
  /// A receiver passes over kinds that it does not know, but merges what the packet carries.
  public struct Kind: RawRepresentable, Hashable, Sendable, BitwiseCopyable {
    public var rawValue: UInt32

    public init(rawValue: UInt32) { self.rawValue = rawValue }

    public static let ping = Kind(rawValue: 1)
    /// Ping the target for me.
    public static let pingRequest = Kind(rawValue: 2)
    public static let ack = Kind(rawValue: 3)
    /// The target of a ping request has not answered me in time (Lifeguard, section IV-A).
    public static let nack = Kind(rawValue: 4)
    /// Nothing but the updates it carries.
    public static let gossip = Kind(rawValue: 5)
  }

  /// A member and where it is.
  public struct Peer: Hashable, Sendable, WireMessage {
    public var id: MemberID
    public var host: String
    public var port: UInt16
    /// Milliseconds since 1970 when its process started; 0: not said.
    public var startedAt: UInt64

    public init(id: MemberID, host: String, port: UInt16, startedAt: UInt64 = 0) {
      self.id = id
      self.host = host
      self.port = port
      self.startedAt = startedAt
    }

    private enum Field {
      static let id = WireField(1, "GossipPeer.id")
      static let host = WireField(2, "GossipPeer.host")
      static let port = WireField(3, "GossipPeer.port")
      static let startedAt = WireField(4, "GossipPeer.started_at")
    }

    public func encode<Sink: WireSink>(to sink: inout Sink) {
      sink.put(Field.id, id.text)
      sink.put(Field.host, host)
      sink.put(Field.port, UInt64(port))
      sink.put(Field.startedAt, startedAt)
    }

    public init(from reader: inout WireReader) throws(WireError) {
      var id: MemberID?
      var (host, port) = ("", UInt16(0))
      var startedAt: UInt64 = 0
      while let tag = try reader.tag("GossipPeer") {
        switch tag.number {
        case 1: id = try reader.memberID(tag, Field.id)
        case 2: host = try reader.text(tag, Field.host)
        case 3: port = try reader.port(tag, Field.port)
        case 4: startedAt = try reader.uint64(tag, Field.startedAt)
        default: try reader.skip(tag, "GossipPeer")
        }
      }
      guard let id else { throw WireError(.missing, Field.id.name) }
      self.init(id: id, host: host, port: port, startedAt: startedAt)
    }
  }

  /// One line of news.
  public struct Update: Hashable, Sendable, WireMessage {
    public var record: MemberRecord
    /// With a suspicion: who found the member silent by a probe of its own (Lifeguard, section IV-B).
    public var accuser: MemberID?

    public init(record: MemberRecord, accuser: MemberID? = nil) {
      self.record = record
      self.accuser = accuser
    }

    private enum Field {
      static let record = WireField(1, "GossipUpdate.record")
      static let accuser = WireField(2, "GossipUpdate.accuser")
    }

    public func encode<Sink: WireSink>(to sink: inout Sink) {
      sink.element(Field.record, record)
      if let accuser { sink.put(Field.accuser, accuser.text) }
    }

    public init(from reader: inout WireReader) throws(WireError) {
      var record: MemberRecord?
      var accuser: MemberID?
      while let tag = try reader.tag("GossipUpdate") {
        switch tag.number {
        case 1: record = try reader.message(tag, Field.record)
        case 2: accuser = try reader.memberID(tag, Field.accuser)
        default: try reader.skip(tag, "GossipUpdate")
        }
      }
      guard let record else { throw WireError(.missing, Field.record.name) }
      self.init(record: record, accuser: accuser)
    }
  }

  public var clusterName: String
  public var kind: Kind
  /// The sender's own; answers carry it back.
  public var sequence: UInt64
  public var source: Peer
  /// Whom it is about: of `ping` whom the sender takes the receiver for, of `pingRequest` and `nack` the third member.
  public var target: Peer?
  /// Of the sender's merged membership.
  public var digest: UInt64
  public var updates: [Update]

  public init(
    clusterName: String, kind: Kind, sequence: UInt64, source: Peer, target: Peer? = nil, digest: UInt64 = 0,
    updates: [Update] = []
  ) {
    self.clusterName = clusterName
    self.kind = kind
    self.sequence = sequence
    self.source = source
    self.target = target
    self.digest = digest
    self.updates = updates
  }

  private enum Field {
    static let clusterName = WireField(1, "GossipPacket.cluster_name")
    static let kind = WireField(2, "GossipPacket.kind")
    static let sequence = WireField(3, "GossipPacket.sequence")
    static let source = WireField(4, "GossipPacket.source")
    static let target = WireField(5, "GossipPacket.target")
    static let digest = WireField(6, "GossipPacket.digest")
    static let updates = WireField(7, "GossipPacket.updates")
  }

  public func encode<Sink: WireSink>(to sink: inout Sink) {
    sink.put(Field.clusterName, clusterName)
    sink.put(Field.kind, kind.rawValue)
    sink.put(Field.sequence, sequence)
    sink.element(Field.source, source)
    if let target { sink.element(Field.target, target) }
    sink.put(Field.digest, fixed: digest)
    for update in updates { sink.element(Field.updates, update) }
  }

  /// Bytes by which one more update makes a packet longer: to fill a datagram and no more.
  public static func encodedCount(of update: Update) -> Int {
    var counter = WireCounter()
    counter.element(Field.updates, update)
    return counter.count
  }

  public init(from reader: inout WireReader) throws(WireError) {
    var clusterName = ""
    var kind = Kind(rawValue: 0)
    var (sequence, digest): (UInt64, UInt64) = (0, 0)
    var source: Peer?
    var target: Peer?
    var updates: [Update] = []
    while let tag = try reader.tag("GossipPacket") {
      switch tag.number {
      case 1: clusterName = try reader.text(tag, Field.clusterName)
      case 2: kind.rawValue = try reader.uint32(tag, Field.kind, atMost: UInt32(Int32.max))
      case 3: sequence = try reader.uint64(tag, Field.sequence)
      case 4: source = try reader.message(tag, Field.source)
      case 5: target = try reader.message(tag, Field.target)
      case 6: digest = try reader.fixed64(tag, Field.digest)
      case 7:
        guard updates.count < WireLimits.memberRecords else { throw WireError(.tooMany, Field.updates.name) }
        updates.append(try reader.message(tag, Field.updates))
      default: try reader.skip(tag, "GossipPacket")
      }
    }
    guard let source else { throw WireError(.missing, Field.source.name) }
    self.init(
      clusterName: clusterName, kind: kind, sequence: sequence, source: source, target: target, digest: digest,
      updates: updates)
  }
}
