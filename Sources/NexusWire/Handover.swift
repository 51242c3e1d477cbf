import NexusModel

/// What became of a key. A receiver passes over kinds that it does not know.
public struct EntryKind: RawRepresentable, Hashable, Sendable, BitwiseCopyable {
  public var rawValue: UInt32

  @inlinable public init(rawValue: UInt32) { self.rawValue = rawValue }

  @inlinable public static var value: EntryKind { EntryKind(rawValue: 0) }
  /// Deleted: a tombstone with its stamp.
  @inlinable public static var tombstone: EntryKind { EntryKind(rawValue: 1) }
  /// Removed to make room: to be removed where nothing newer is known, without a tombstone.
  @inlinable public static var evicted: EntryKind { EntryKind(rawValue: 2) }
}

/// An entry of the store on its way. Key and value are where the sender has them, or in the frame they came in.
public struct WireEntry: BitwiseCopyable, WireMessage {
  public var key: UnsafeRawBufferPointer
  public var value: UnsafeRawBufferPointer
  /// The number of the namespace (a Redis database is one).
  public var namespace: UInt32
  /// Milliseconds since 1970; 0: never.
  public var expiresAt: UInt64
  /// Hybrid logical clock of the write; 0: none.
  public var stamp: UInt64
  /// As memcached clients set them.
  public var clientFlags: UInt32
  /// Counts the changes of the entry; 0: none kept.
  public var version: UInt64
  /// How the value is to be understood, as the store numbers its types.
  public var type: UInt32
  public var kind: EntryKind
  /// Of a value that came from an origin, until when it is good: milliseconds since 1970; 0: it did not.
  public var freshUntil: UInt64
  public var tags: TagList

  @inlinable public init(
    key: UnsafeRawBufferPointer, value: UnsafeRawBufferPointer, namespace: UInt32 = 0, expiresAt: UInt64 = 0,
    stamp: UInt64 = 0, clientFlags: UInt32 = 0, version: UInt64 = 0, type: UInt32 = 0, kind: EntryKind = .value,
    freshUntil: UInt64 = 0, tags: TagList = TagList()
  ) {
    self.key = key
    self.value = value
    self.namespace = namespace
    self.expiresAt = expiresAt
    self.stamp = stamp
    self.clientFlags = clientFlags
    self.version = version
    self.type = type
    self.kind = kind
    self.freshUntil = freshUntil
    self.tags = tags
  }

  private enum Field {
    static let key = WireField(1, "Entry.key")
    static let value = WireField(2, "Entry.value")
    static let namespace = WireField(3, "Entry.namespace")
    static let expiresAt = WireField(4, "Entry.expires_at")
    static let stamp = WireField(5, "Entry.stamp")
    static let clientFlags = WireField(6, "Entry.client_flags")
    static let version = WireField(7, "Entry.version")
    static let type = WireField(8, "Entry.type")
    static let kind = WireField(9, "Entry.kind")
    static let freshUntil = WireField(10, "Entry.fresh_until")
    static let tags = WireField(11, "Entry.tags")
  }

  public func encode<Sink: WireSink>(to sink: inout Sink) {
    sink.put(Field.key, key)
    sink.put(Field.value, value)
    sink.put(Field.namespace, namespace)
    sink.put(Field.expiresAt, expiresAt)
    sink.put(Field.stamp, fixed: stamp)
    sink.put(Field.clientFlags, clientFlags)
    sink.put(Field.version, version)
    sink.put(Field.type, type)
    sink.put(Field.kind, kind.rawValue)
    sink.put(Field.freshUntil, freshUntil)
    tags.withBytes { sink.put(Field.tags, $0) }
  }

  public init(from reader: inout WireReader) throws(WireError) {
    let nothing = UnsafeRawBufferPointer(start: nil, count: 0)
    self.init(key: nothing, value: nothing)
    while let tag = try reader.tag("Entry") { try read(tag, &reader) }
  }

  mutating func read(_ tag: WireTag, _ reader: inout WireReader) throws(WireError) {
    switch tag.number {
    case 1: key = try reader.bytes(tag, Field.key)
    case 2: value = try reader.bytes(tag, Field.value)
    case 3: namespace = try reader.uint32(tag, Field.namespace)
    case 4: expiresAt = try reader.uint64(tag, Field.expiresAt)
    case 5: stamp = try reader.fixed64(tag, Field.stamp)
    case 6: clientFlags = try reader.uint32(tag, Field.clientFlags)
    case 7: version = try reader.uint64(tag, Field.version)
    case 8: type = try reader.uint32(tag, Field.type)
    case 9: kind.rawValue = try reader.uint32(tag, Field.kind)
    case 10: freshUntil = try reader.uint64(tag, Field.freshUntil)
    case 11:
      guard let list = TagList(try reader.bytes(tag, Field.tags)) else { throw WireError(.invalidValue, "Entry.tags") }
      tags = list
    default: try reader.skip(tag, "Entry")
    }
  }
}

extension WireReader {
  mutating func slot(_ tag: WireTag, _ field: WireField) throws(WireError) -> Slot {
    Slot(index: UInt16(try uint32(tag, field, atMost: UInt32(Slot.count - 1))))
  }
}

/// A key by itself.
public struct WireKey: BitwiseCopyable, WireMessage {
  public var namespace: UInt32
  public var key: UnsafeRawBufferPointer

  public init(namespace: UInt32, key: UnsafeRawBufferPointer) {
    self.namespace = namespace
    self.key = key
  }

  private enum Field {
    static let namespace = WireField(1, "KeyName.namespace")
    static let key = WireField(2, "KeyName.key")
  }

  public func encode<Sink: WireSink>(to sink: inout Sink) {
    sink.put(Field.namespace, namespace)
    sink.put(Field.key, key)
  }

  public init(from reader: inout WireReader) throws(WireError) {
    self.init(namespace: 0, key: UnsafeRawBufferPointer(start: nil, count: 0))
    while let tag = try reader.tag("KeyName") {
      switch tag.number {
      case 1: namespace = try reader.uint32(tag, Field.namespace)
      case 2: key = try reader.bytes(tag, Field.key)
      default: try reader.skip(tag, "KeyName")
      }
    }
  }
}

/// A stretch of a slot's entries, as a pull has asked for them.
public struct Entries: PeerMessage {
  public static var frameKind: FrameKind { .entries }

  public var slot: Slot
  public var entries: [WireEntry]
  /// Known not to exist.
  public var absent: [WireKey]
  /// All of the slot was sent with these.
  public var isLast: Bool
  public var pull: UInt64
  /// Counts the stretches of this slot and pull from 0 on: one that is missing was lost with its connection.
  public var sequence: UInt32

  public init(
    slot: Slot, entries: [WireEntry], absent: [WireKey] = [], isLast: Bool, pull: UInt64, sequence: UInt32
  ) {
    self.slot = slot
    self.entries = entries
    self.absent = absent
    self.isLast = isLast
    self.pull = pull
    self.sequence = sequence
  }

  private enum Field {
    static let slot = WireField(1, "Entries.slot")
    static let entries = WireField(2, "Entries.entries")
    static let isLast = WireField(3, "Entries.is_last")
    static let pull = WireField(4, "Entries.pull")
    static let absent = WireField(5, "Entries.absent")
    static let sequence = WireField(6, "Entries.sequence")
  }

  public func encode<Sink: WireSink>(to sink: inout Sink) {
    sink.put(Field.slot, UInt64(slot.index))
    for entry in entries { sink.element(Field.entries, entry) }
    sink.put(Field.isLast, isLast)
    sink.put(Field.pull, pull)
    for key in absent { sink.element(Field.absent, key) }
    sink.put(Field.sequence, sequence)
  }

  public init(from reader: inout WireReader) throws(WireError) {
    self.init(slot: Slot(index: 0), entries: [], isLast: false, pull: 0, sequence: 0)
    while let tag = try reader.tag("Entries") {
      switch tag.number {
      case 1: slot = try reader.slot(tag, Field.slot)
      case 2: entries.append(try reader.message(tag, Field.entries))
      case 3: isLast = try reader.bool(tag, Field.isLast)
      case 4: pull = try reader.uint64(tag, Field.pull)
      case 5: absent.append(try reader.message(tag, Field.absent))
      case 6: sequence = try reader.uint32(tag, Field.sequence)
      default: try reader.skip(tag, "Entries")
      }
    }
  }
}

/// Keys that a new owner needs now, before the background stream has brought them.
public struct Fetch: PeerMessage {
  public static var frameKind: FrameKind { .fetch }

  public var id: UInt64
  public var slot: Slot
  /// The receiver's number for what it kept of the slot.
  public var holding: UInt64
  public var keys: [WireKey]

  public init(id: UInt64, slot: Slot, holding: UInt64, keys: [WireKey]) {
    self.id = id
    self.slot = slot
    self.holding = holding
    self.keys = keys
  }

  private enum Field {
    static let id = WireField(1, "Fetch.id")
    static let slot = WireField(2, "Fetch.slot")
    static let holding = WireField(3, "Fetch.holding")
    static let keys = WireField(4, "Fetch.keys")
  }

  public func encode<Sink: WireSink>(to sink: inout Sink) {
    sink.put(Field.id, id)
    sink.put(Field.slot, UInt64(slot.index))
    sink.put(Field.holding, holding)
    for key in keys { sink.element(Field.keys, key) }
  }

  public init(from reader: inout WireReader) throws(WireError) {
    self.init(id: 0, slot: Slot(index: 0), holding: 0, keys: [])
    while let tag = try reader.tag("Fetch") {
      switch tag.number {
      case 1: id = try reader.uint64(tag, Field.id)
      case 2: slot = try reader.slot(tag, Field.slot)
      case 3: holding = try reader.uint64(tag, Field.holding)
      case 4:
        guard keys.count < WireLimits.arguments else { throw WireError(.tooMany, Field.keys.name) }
        keys.append(try reader.message(tag, Field.keys))
      default: try reader.skip(tag, "Fetch")
      }
    }
  }
}

/// The answer to a `Fetch`: each of its keys is in one of the three.
public struct Fetched: PeerMessage {
  public static var frameKind: FrameKind { .fetched }

  public var id: UInt64
  public var entries: [WireEntry]
  public var absent: [WireKey]
  /// Whoever is behind this holder knows.
  public var unknown: [WireKey]

  public init(id: UInt64, entries: [WireEntry] = [], absent: [WireKey] = [], unknown: [WireKey] = []) {
    self.id = id
    self.entries = entries
    self.absent = absent
    self.unknown = unknown
  }

  private enum Field {
    static let id = WireField(1, "Fetched.id")
    static let entries = WireField(2, "Fetched.entries")
    static let absent = WireField(3, "Fetched.absent")
    static let unknown = WireField(4, "Fetched.unknown")
  }

  public func encode<Sink: WireSink>(to sink: inout Sink) {
    sink.put(Field.id, id)
    for entry in entries { sink.element(Field.entries, entry) }
    for key in absent { sink.element(Field.absent, key) }
    for key in unknown { sink.element(Field.unknown, key) }
  }

  public init(from reader: inout WireReader) throws(WireError) {
    self.init(id: 0)
    while let tag = try reader.tag("Fetched") {
      switch tag.number {
      case 1: id = try reader.uint64(tag, Field.id)
      case 2: entries.append(try reader.message(tag, Field.entries))
      case 3: absent.append(try reader.message(tag, Field.absent))
      case 4: unknown.append(try reader.message(tag, Field.unknown))
      default: try reader.skip(tag, "Fetched")
      }
    }
  }
}
