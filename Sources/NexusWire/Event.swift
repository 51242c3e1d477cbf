/// Something that happened at the sender and that the receiver's clients or tables want to know.
public struct Event: PeerMessage {
  public static var frameKind: FrameKind { .event }

  /// A receiver passes over kinds that it does not know.
  public struct Kind: RawRepresentable, Hashable, Sendable, BitwiseCopyable {
    public var rawValue: UInt32

    public init(rawValue: UInt32) { self.rawValue = rawValue }

    public static let publish = Kind(rawValue: 1)
    public static let topology = Kind(rawValue: 2)
    public static let invalidation = Kind(rawValue: 3)
  }

  public struct Text: Hashable, Sendable, WireMessage {
    public var name: String
    public var text: String

    public init(name: String, text: String) {
      self.name = name
      self.text = text
    }

    private enum Field {
      static let name = WireField(1, "EventField.name")
      static let text = WireField(2, "EventField.text")
    }

    public func encode<Sink: WireSink>(to sink: inout Sink) {
      sink.put(Field.name, name)
      sink.put(Field.text, text)
    }

    public init(from reader: inout WireReader) throws(WireError) {
      self.init(name: "", text: "")
      while let tag = try reader.tag("EventField") {
        switch tag.number {
        case 1: name = try reader.text(tag, Field.name)
        case 2: text = try reader.text(tag, Field.text, atMost: WireLimits.textBytes)
        default: try reader.skip(tag, "EventField")
        }
      }
    }
  }

  public var kind: Kind
  public var fields: [Text]
  /// Of `publish`: where the sender has them, or in the frame they came in.
  public var channel: UnsafeRawBufferPointer
  public var payload: UnsafeRawBufferPointer
  /// The channel is the pattern of PSUBSCRIBE that it was published under.
  public var isPattern: Bool
  /// Published by SPUBLISH.
  public var isSharded: Bool

  public init(
    kind: Kind, fields: [Text] = [], channel: UnsafeRawBufferPointer = UnsafeRawBufferPointer(start: nil, count: 0),
    payload: UnsafeRawBufferPointer = UnsafeRawBufferPointer(start: nil, count: 0), isPattern: Bool = false,
    isSharded: Bool = false
  ) {
    self.kind = kind
    self.fields = fields
    self.channel = channel
    self.payload = payload
    self.isPattern = isPattern
    self.isSharded = isSharded
  }

  private enum Field {
    static let kind = WireField(1, "Event.kind")
    static let fields = WireField(2, "Event.fields")
    static let channel = WireField(3, "Event.channel")
    static let payload = WireField(4, "Event.payload")
    static let isPattern = WireField(5, "Event.is_pattern")
    static let isSharded = WireField(6, "Event.is_sharded")
  }

  public func encode<Sink: WireSink>(to sink: inout Sink) {
    sink.put(Field.kind, kind.rawValue)
    for field in fields { sink.element(Field.fields, field) }
    sink.put(Field.channel, channel)
    sink.put(Field.payload, payload)
    sink.put(Field.isPattern, isPattern)
    sink.put(Field.isSharded, isSharded)
  }

  public init(from reader: inout WireReader) throws(WireError) {
    self.init(kind: Kind(rawValue: 0))
    while let tag = try reader.tag("Event") {
      switch tag.number {
      case 1: kind.rawValue = try reader.uint32(tag, Field.kind, atMost: UInt32(Int32.max))
      case 2:
        guard fields.count < WireLimits.eventFields else { throw WireError(.tooMany, Field.fields.name) }
        fields.append(try reader.message(tag, Field.fields))
      case 3: channel = try reader.bytes(tag, Field.channel)
      case 4: payload = try reader.bytes(tag, Field.payload)
      case 5: isPattern = try reader.bool(tag, Field.isPattern)
      case 6: isSharded = try reader.bool(tag, Field.isSharded)
      default: try reader.skip(tag, "Event")
      }
    }
  }
}
