import NexusModel

extension Member: WireMessage {
  private enum Field {
    static let id = WireField(1, "Member.id")
    static let host = WireField(2, "Member.host")
    static let peerPort = WireField(3, "Member.peer_port")
    static let redisPort = WireField(4, "Member.redis_port")
    static let clusterPort = WireField(5, "Member.cluster_port")
    static let httpPort = WireField(6, "Member.http_port")
    static let zone = WireField(7, "Member.zone")
    static let weight = WireField(8, "Member.weight")
    static let isLeaving = WireField(9, "Member.is_leaving")
    static let version = WireField(10, "Member.version")
    static let startedAt = WireField(11, "Member.started_at")
    static let isJoining = WireField(12, "Member.is_joining")
  }

  public func encode<Sink: WireSink>(to sink: inout Sink) {
    sink.put(Field.id, id.text)
    sink.put(Field.host, host)
    sink.put(Field.peerPort, UInt64(peerPort))
    sink.put(Field.redisPort, UInt64(redisPort))
    sink.put(Field.clusterPort, UInt64(clusterPort))
    sink.put(Field.httpPort, UInt64(httpPort))
    sink.put(Field.zone, zone)
    sink.put(Field.weight, UInt64(weight))
    sink.put(Field.isLeaving, isLeaving)
    sink.put(Field.version, version)
    sink.put(Field.startedAt, startedAt)
    sink.put(Field.isJoining, isJoining)
  }

  public init(from reader: inout WireReader) throws(WireError) {
    var id: MemberID?
    // No member has this name; it is replaced below, or there is an error.
    var found = Member(id: MemberID("-")!, host: "", peerPort: 0, weight: 0)
    while let tag = try reader.tag("Member") {
      switch tag.number {
      case 1: id = try reader.memberID(tag, Field.id)
      case 2: found.host = try reader.text(tag, Field.host)
      case 3: found.peerPort = try reader.port(tag, Field.peerPort)
      case 4: found.redisPort = try reader.port(tag, Field.redisPort)
      case 5: found.clusterPort = try reader.port(tag, Field.clusterPort)
      case 6: found.httpPort = try reader.port(tag, Field.httpPort)
      case 7: found.zone = try reader.text(tag, Field.zone)
      case 8: found.weight = UInt16(try reader.uint32(tag, Field.weight, atMost: 10_000))
      case 9: found.isLeaving = try reader.bool(tag, Field.isLeaving)
      case 10: found.version = try reader.text(tag, Field.version)
      case 11: found.startedAt = try reader.uint64(tag, Field.startedAt)
      case 12: found.isJoining = try reader.bool(tag, Field.isJoining)
      default: try reader.skip(tag, "Member")
      }
    }
    guard let id else { throw WireError(.missing, Field.id.name) }
    guard !found.host.isEmpty else { throw WireError(.missing, Field.host.name) }
    guard found.weight > 0 else { throw WireError(.missing, Field.weight.name) }
    found.id = id
    self = found
  }
}

extension WireReader {
  mutating func port(_ tag: WireTag, _ field: WireField) throws(WireError) -> UInt16 {
    UInt16(try uint32(tag, field, atMost: UInt32(UInt16.max)))
  }

  mutating func memberID(_ tag: WireTag, _ field: WireField) throws(WireError) -> MemberID {
    guard let id = MemberID(try text(tag, field)) else { throw WireError(.invalidValue, field.name) }
    return id
  }
}

extension MemberRecord: WireMessage {
  private enum Field {
    static let member = WireField(1, "MemberRecord.member")
    static let incarnation = WireField(2, "MemberRecord.incarnation")
    static let status = WireField(3, "MemberRecord.status")
  }

  public func encode<Sink: WireSink>(to sink: inout Sink) {
    sink.element(Field.member, member)
    sink.put(Field.incarnation, incarnation)
    sink.put(Field.status, UInt64(status.rawValue))
  }

  public init(from reader: inout WireReader) throws(WireError) {
    var member: Member?
    var incarnation: UInt64 = 0
    var status = MemberStatus.alive
    while let tag = try reader.tag("MemberRecord") {
      switch tag.number {
      case 1: member = try reader.message(tag, Field.member)
      case 2: incarnation = try reader.uint64(tag, Field.incarnation)
      case 3:
        let number = try reader.uint32(tag, Field.status)
        guard number <= UInt8.max, let known = MemberStatus(rawValue: UInt8(number)) else {
          throw WireError(.invalidValue, Field.status.name)
        }
        status = known
      default: try reader.skip(tag, "MemberRecord")
      }
    }
    guard let member else { throw WireError(.missing, Field.member.name) }
    self.init(member: member, incarnation: incarnation, status: status)
  }
}

/// The membership as its sender has it: asked for, and answered.
public struct Membership: Hashable, Sendable, PeerMessage {
  public static var frameKind: FrameKind { .membership }

  public var records: [MemberRecord]
  /// The receiver answers with its own records (after merging these).
  public var isRequest: Bool
  /// Of the sender's merged membership.
  public var digest: UInt64

  public init(records: [MemberRecord], isRequest: Bool, digest: UInt64) {
    self.records = records
    self.isRequest = isRequest
    self.digest = digest
  }

  private enum Field {
    static let records = WireField(1, "Membership.records")
    static let isRequest = WireField(2, "Membership.is_request")
    static let digest = WireField(3, "Membership.digest")
  }

  public func encode<Sink: WireSink>(to sink: inout Sink) {
    for record in records { sink.element(Field.records, record) }
    sink.put(Field.isRequest, isRequest)
    sink.put(Field.digest, fixed: digest)
  }

  public init(from reader: inout WireReader) throws(WireError) {
    self.init(records: [], isRequest: false, digest: 0)
    while let tag = try reader.tag("Membership") {
      switch tag.number {
      case 1:
        guard records.count < WireLimits.memberRecords else { throw WireError(.tooMany, Field.records.name) }
        records.append(try reader.message(tag, Field.records))
      case 2: isRequest = try reader.bool(tag, Field.isRequest)
      case 3: digest = try reader.fixed64(tag, Field.digest)
      default: try reader.skip(tag, "Membership")
      }
    }
  }
}
