/// Why bytes are not the message they should be.
public struct WireError: Error, Equatable, Sendable, BitwiseCopyable, CustomStringConvertible {
  public enum Reason: UInt8, Sendable, BitwiseCopyable {
    case truncated
    case lengthBeyondEnd
    case varintTooLong
    case numberTooLarge
    case invalidTag
    case wrongWireType
    case group
    case tooLong
    case tooMany
    case notUTF8
    case invalidValue
    case missing
    case partInPart
    case totalMismatch
    case tooMuchUnfinished
  }

  public let reason: Reason
  /// The message and field, as the .proto files name them: `Hello.nonce`; a message alone where no field is known yet.
  public let field: StaticString

  @inlinable public init(_ reason: Reason, _ field: StaticString) {
    self.reason = reason
    self.field = field
  }

  public static func == (left: WireError, right: WireError) -> Bool {
    left.reason == right.reason && left.field.description == right.field.description
  }

  public var description: String { "\(field): \(sentence)" }

  private var sentence: String {
    switch reason {
    case .truncated: "the bytes end in the middle of it"
    case .lengthBeyondEnd: "its length goes beyond the bytes that hold it"
    case .varintTooLong: "its number has more than 10 bytes or 64 bits"
    case .numberTooLarge: "its number is larger than the field holds"
    case .invalidTag: "a tag with field number 0 or above 536870911, or an unknown wire type"
    case .wrongWireType: "it is encoded with another wire type than the .proto file says"
    case .group: "groups are not accepted"
    case .tooLong: "it is longer than the limit"
    case .tooMany: "it repeats more often than the limit"
    case .notUTF8: "its text is not UTF-8"
    case .invalidValue: "its value is none of those the .proto file accepts"
    case .missing: "it must be there"
    case .partInPart: "a frame put together from parts holds parts again"
    case .totalMismatch: "the parts do not add up to the total they announced"
    case .tooMuchUnfinished: "unfinished parts hold more than the limit"
    }
  }
}

/// What is accepted at most. Whoever writes keeps to it: a message beyond a limit loses the whole frame.
public enum WireLimits {
  /// Names: clusters, members, hosts, zones, versions.
  @inlinable public static var nameBytes: Int { 255 }
  /// Texts for people, channels of events excepted.
  @inlinable public static var textBytes: Int { 64 * 1024 }
  /// As in the Redis protocol.
  @inlinable public static var arguments: Int { 1024 * 1024 }
  @inlinable public static var memberRecords: Int { 10_000 }
  /// Of one frame's effects.
  @inlinable public static var refusals: Int { 1024 * 1024 }
  @inlinable public static var eventFields: Int { 256 }
  @inlinable public static var nonceBytes: Int { 32 }
  @inlinable public static var proofBytes: ClosedRange<Int> { 16...64 }
  /// A frame longer than this travels in parts.
  @inlinable public static var wholeFrameBytes: Int { 256 * 1024 }
  /// Data of one part: what a small frame waits for at most before it gets its turn.
  @inlinable public static var partBytes: Int { 64 * 1024 }
}
