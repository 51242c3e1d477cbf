/// The first message on a stream, from both ends: who speaks, and which versions of the protocol it understands.
public struct Hello: Hashable, Sendable, PeerMessage {
  public static var frameKind: FrameKind { .hello }

  public var clusterName: String
  public var memberID: String
  public var protocolVersions: ClosedRange<UInt32>
  /// The product's, for people.
  public var productVersion: String
  /// The event loop that this end of the stream belongs to.
  public var loop: UInt32
  /// 32 random bytes: the other end's proof covers them.
  public var nonce: [UInt8]

  /// What all members must have alike for their placements to agree, in words.
  public var placementSettings: String

  /// Rises with every stream that this loop opens to the receiver, over restarts too; 0 from who does not count.
  public var stream: UInt64

  public init(
    clusterName: String, memberID: String, protocolVersions: ClosedRange<UInt32>, productVersion: String, loop: UInt32,
    nonce: [UInt8], placementSettings: String = "", stream: UInt64 = 0
  ) {
    self.clusterName = clusterName
    self.memberID = memberID
    self.protocolVersions = protocolVersions
    self.productVersion = productVersion
    self.loop = loop
    self.nonce = nonce
    self.placementSettings = placementSettings
    self.stream = stream
  }

  private enum Field {
    static let clusterName = WireField(1, "Hello.cluster_name")
    static let memberID = WireField(2, "Hello.member_id")
    static let protocolMin = WireField(3, "Hello.protocol_min")
    static let protocolMax = WireField(4, "Hello.protocol_max")
    static let productVersion = WireField(5, "Hello.product_version")
    static let loop = WireField(6, "Hello.loop")
    static let nonce = WireField(7, "Hello.nonce")
    static let placementSettings = WireField(8, "Hello.placement_settings")
    static let stream = WireField(9, "Hello.stream")
  }

  public func encode<Sink: WireSink>(to sink: inout Sink) {
    sink.put(Field.clusterName, clusterName)
    sink.put(Field.memberID, memberID)
    sink.put(Field.protocolMin, protocolVersions.lowerBound)
    sink.put(Field.protocolMax, protocolVersions.upperBound)
    sink.put(Field.productVersion, productVersion)
    sink.put(Field.loop, loop)
    sink.put(Field.nonce, nonce)
    sink.put(Field.placementSettings, placementSettings)
    sink.put(Field.stream, stream)
  }

  public init(from reader: inout WireReader) throws(WireError) {
    var (lowest, highest): (UInt32, UInt32) = (0, 0)
    self.init(clusterName: "", memberID: "", protocolVersions: 0...0, productVersion: "", loop: 0, nonce: [])
    while let tag = try reader.tag("Hello") {
      switch tag.number {
      case 1: clusterName = try reader.text(tag, Field.clusterName)
      case 2: memberID = try reader.text(tag, Field.memberID)
      case 3: lowest = try reader.uint32(tag, Field.protocolMin)
      case 4: highest = try reader.uint32(tag, Field.protocolMax)
      case 5: productVersion = try reader.text(tag, Field.productVersion)
      case 6: loop = try reader.uint32(tag, Field.loop)
      case 7: nonce = [UInt8](try reader.bytes(tag, Field.nonce, atMost: WireLimits.nonceBytes))
      case 8: placementSettings = try reader.text(tag, Field.placementSettings)
      case 9: stream = try reader.uint64(tag, Field.stream)
      default: try reader.skip(tag, "Hello")
      }
    }
    guard lowest <= highest else { throw WireError(.invalidValue, Field.protocolMax.name) }
    guard nonce.count == WireLimits.nonceBytes else { throw WireError(.invalidValue, Field.nonce.name) }
    protocolVersions = lowest...highest
  }

  /// The newest version that both understand; nil if there is none.
  public static func agreed(_ one: ClosedRange<UInt32>, _ other: ClosedRange<UInt32>) -> UInt32? {
    let highest = min(one.upperBound, other.upperBound)
    return one.contains(highest) && other.contains(highest) ? highest : nil
  }
}

/// The second message, from both ends: that its sender knows the cluster's secret.
public struct Proof: Hashable, Sendable, PeerMessage {
  public static var frameKind: FrameKind { .proof }

  /// HMAC over both greetings, under the cluster's secret: 16 to 64 bytes.
  public var authenticationCode: [UInt8]

  public init(authenticationCode: [UInt8]) { self.authenticationCode = authenticationCode }

  private static let field = WireField(1, "Proof.hmac")

  public func encode<Sink: WireSink>(to sink: inout Sink) { sink.put(Self.field, authenticationCode) }

  public init(from reader: inout WireReader) throws(WireError) {
    authenticationCode = []
    while let tag = try reader.tag("Proof") {
      switch tag.number {
      case 1:
        authenticationCode = [UInt8](
          try reader.bytes(tag, Self.field, atMost: WireLimits.proofBytes.upperBound))
      default: try reader.skip(tag, "Proof")
      }
    }
    guard WireLimits.proofBytes.contains(authenticationCode.count) else {
      throw WireError(.invalidValue, Self.field.name)
    }
  }
}

/// The last message: why the sender ends the stream.
public struct Goodbye: Hashable, Sendable, PeerMessage {
  public static var frameKind: FrameKind { .goodbye }

  public var reason: String

  public init(reason: String) { self.reason = reason }

  private static let field = WireField(1, "Goodbye.reason")

  public func encode<Sink: WireSink>(to sink: inout Sink) { sink.put(Self.field, reason) }

  public init(from reader: inout WireReader) throws(WireError) {
    reason = ""
    while let tag = try reader.tag("Goodbye") {
      switch tag.number {
      case 1: reason = try reader.text(tag, Self.field, atMost: WireLimits.textBytes)
      default: try reader.skip(tag, "Goodbye")
      }
    }
  }
}
