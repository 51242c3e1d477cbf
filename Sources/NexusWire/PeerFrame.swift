import NexusModel

/// What a frame holds, by its field number in `PeerFrame` (peer.proto).
public enum FrameKind: UInt8, Sendable, BitwiseCopyable, CaseIterable {
  case operation = 2
  case reply = 3
  case hello = 4
  case proof = 5
  case membership = 6
  case ownership = 7
  case confirmed = 8
  case entries = 9
  case fetch = 10
  case fetched = 11
  case event = 12
  case goodbye = 13
  case part = 14
  case effects = 15
  case replication = 16

  @inlinable @inline(__always) var tag: UInt8 { rawValue &<< 3 | WireType.bytes.rawValue }

  var field: WireField { WireField(UInt32(rawValue), name) }

  var name: StaticString {
    switch self {
    case .operation: "PeerFrame.operations"
    case .reply: "PeerFrame.replies"
    case .hello: "PeerFrame.hello"
    case .proof: "PeerFrame.proof"
    case .membership: "PeerFrame.membership"
    case .ownership: "PeerFrame.ownership"
    case .confirmed: "PeerFrame.confirmed"
    case .entries: "PeerFrame.entries"
    case .fetch: "PeerFrame.fetches"
    case .fetched: "PeerFrame.fetched"
    case .event: "PeerFrame.events"
    case .goodbye: "PeerFrame.goodbye"
    case .part: "PeerFrame.parts"
    case .effects: "PeerFrame.effects"
    case .replication: "PeerFrame.replication"
    }
  }
}

/// A message that a frame holds beside operations and replies.
public protocol PeerMessage: WireMessage {
  static var frameKind: FrameKind { get }
}

/// Writes a frame: `begin`, then any of `Operation.append`, `Reply.append` and `append`, in any order.
///
/// Between items of one kind the order stays. Between kinds it does too with our reader, but Protocol Buffers do not
/// promise it: nothing depends on it.
public enum PeerFrame {
  /// Bytes that `begin` writes at most.
  public static let headBytes = 9

  public static func begin(_ out: inout OutputBuffer, placementVersion: PlacementVersion) {
    out.reserve(9)
    out.put(WireField(1, "PeerFrame.placement_version"), fixed: placementVersion.digest)
  }

  public static func append<Message: PeerMessage>(_ message: Message, to out: inout OutputBuffer) {
    out.element(Message.frameKind.field, message)
  }
}

/// One item of a frame, where it lies.
public struct FrameItem: BitwiseCopyable {
  public let kind: FrameKind
  /// For `Operation(decoding:each:)`, `Reply(decoding:)`, or the message's own `init(decoding:)`.
  public let bytes: UnsafeRawBufferPointer

  @inlinable init(kind: FrameKind, bytes: UnsafeRawBufferPointer) {
    self.kind = kind
    self.bytes = bytes
  }
}

/// Goes through a frame's items in place. Whatever it gives out lies in the frame's bytes.
public struct FrameReader: BitwiseCopyable {
  /// What the sender's placement depends on. A digest of 0 where the frame does not say.
  public let placementVersion: PlacementVersion
  private let isAssembled: Bool
  @usableFromInline var reader: WireReader

  private static let versionField = WireField(1, "PeerFrame.placement_version")

  /// - Parameter isAssembled: the frame came in parts, and must not hold parts itself.
  public init(_ frame: UnsafeRawBufferPointer, isAssembled: Bool = false) throws(WireError) {
    reader = WireReader(frame)
    self.isAssembled = isAssembled
    // The first field of every frame that our writer writes. Others may write it anywhere.
    var search = reader
    var digest: UInt64 = 0
    while let tag = try search.tag("PeerFrame") {
      if tag.number == 1 {
        digest = try search.fixed64(tag, Self.versionField)
        break
      }
      try search.skip(tag, Self.name(of: tag))
    }
    placementVersion = PlacementVersion(digest: digest)
  }

  private static func name(of tag: WireTag) -> StaticString {
    tag.number < 32 ? FrameKind(rawValue: UInt8(tag.number))?.name ?? "PeerFrame" : "PeerFrame"
  }

  /// The next item; nil at the frame's end.
  @inlinable public mutating func next() throws(WireError) -> FrameItem? {
    while reader.cursor < reader.end {
      let tag = reader.cursor.load(as: UInt8.self)
      if tag == FrameKind.operation.tag {
        reader.cursor += 1
        return FrameItem(kind: .operation, bytes: try reader.slice("PeerFrame.operations"))
      }
      if tag == FrameKind.reply.tag {
        reader.cursor += 1
        return FrameItem(kind: .reply, bytes: try reader.slice("PeerFrame.replies"))
      }
      if let item = try nextRare() { return item }
    }
    return nil
  }

  @usableFromInline @inline(never) mutating func nextRare() throws(WireError) -> FrameItem? {
    guard let tag = try reader.tag("PeerFrame") else { return nil }
    if tag.number == 1 {
      _ = try reader.fixed64(tag, Self.versionField)
      return nil
    }
    guard tag.number < 32, let kind = FrameKind(rawValue: UInt8(tag.number)) else {
      try reader.skip(tag, "PeerFrame")
      return nil
    }
    if kind == .part, isAssembled { throw WireError(.partInPart, kind.name) }
    return FrameItem(kind: kind, bytes: try reader.bytes(tag, kind.field))
  }
}
