import NexusModel

/// A member that shall execute slots asks the others to hand them over.
public struct Claim: Hashable, Sendable, PeerMessage {
  public static var frameKind: FrameKind { .claim }

  /// The claimant's own: answers carry it.
  public var id: UInt64
  public var slots: SlotList

  public init(id: UInt64, slots: SlotList) {
    self.id = id
    self.slots = slots
  }

  private enum Field {
    static let id = WireField(1, "Claim.id")
    static let slots = WireField(2, "Claim.slots")
  }

  public func encode<Sink: WireSink>(to sink: inout Sink) {
    sink.put(Field.id, id)
    sink.element(Field.slots, slots)
  }

  public init(from reader: inout WireReader) throws(WireError) {
    self.init(id: 0, slots: SlotList())
    while let tag = try reader.tag("Claim") {
      switch tag.number {
      case 1: id = try reader.uint64(tag, Field.id)
      case 2: slots = try reader.message(tag, Field.slots)
      default: try reader.skip(tag, "Claim")
      }
    }
  }
}

/// What becomes of the slots of a claim.
public struct ClaimAnswer: Hashable, Sendable, PeerMessage {
  public static var frameKind: FrameKind { .claimAnswer }

  public var id: UInt64
  /// The sender executed them until now, and does so no more.
  public var handedOver: SlotList
  /// The sender did not execute them.
  public var notMine: SlotList
  /// The sender executes them and hands them over later: ask again.
  public var later: SlotList

  public init(
    id: UInt64, handedOver: SlotList = SlotList(), notMine: SlotList = SlotList(), later: SlotList = SlotList()
  ) {
    self.id = id
    self.handedOver = handedOver
    self.notMine = notMine
    self.later = later
  }

  private enum Field {
    static let id = WireField(1, "ClaimAnswer.id")
    static let handedOver = WireField(2, "ClaimAnswer.handed_over")
    static let notMine = WireField(3, "ClaimAnswer.not_mine")
    static let later = WireField(4, "ClaimAnswer.later")
  }

  public func encode<Sink: WireSink>(to sink: inout Sink) {
    sink.put(Field.id, id)
    if !handedOver.isEmpty { sink.element(Field.handedOver, handedOver) }
    if !notMine.isEmpty { sink.element(Field.notMine, notMine) }
    if !later.isEmpty { sink.element(Field.later, later) }
  }

  public init(from reader: inout WireReader) throws(WireError) {
    self.init(id: 0)
    while let tag = try reader.tag("ClaimAnswer") {
      switch tag.number {
      case 1: id = try reader.uint64(tag, Field.id)
      case 2: handedOver = try reader.message(tag, Field.handedOver)
      case 3: notMine = try reader.message(tag, Field.notMine)
      case 4: later = try reader.message(tag, Field.later)
      default: try reader.skip(tag, "ClaimAnswer")
      }
    }
  }
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

  public init(
    key: UnsafeRawBufferPointer, value: UnsafeRawBufferPointer, namespace: UInt32 = 0, expiresAt: UInt64 = 0,
    stamp: UInt64 = 0, clientFlags: UInt32 = 0, version: UInt64 = 0, type: UInt32 = 0
  ) {
    self.key = key
    self.value = value
    self.namespace = namespace
    self.expiresAt = expiresAt
    self.stamp = stamp
    self.clientFlags = clientFlags
    self.version = version
    self.type = type
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
  }

  public init(from reader: inout WireReader) throws(WireError) {
    let nothing = UnsafeRawBufferPointer(start: nil, count: 0)
    self.init(key: nothing, value: nothing)
    while let tag = try reader.tag("Entry") {
      switch tag.number {
      case 1: key = try reader.bytes(tag, Field.key)
      case 2: value = try reader.bytes(tag, Field.value)
      case 3: namespace = try reader.uint32(tag, Field.namespace)
      case 4: expiresAt = try reader.uint64(tag, Field.expiresAt)
      case 5: stamp = try reader.fixed64(tag, Field.stamp)
      case 6: clientFlags = try reader.uint32(tag, Field.clientFlags)
      case 7: version = try reader.uint64(tag, Field.version)
      case 8: type = try reader.uint32(tag, Field.type)
      default: try reader.skip(tag, "Entry")
      }
    }
  }
}

extension WireReader {
  mutating func slot(_ tag: WireTag, _ field: WireField) throws(WireError) -> Slot {
    Slot(index: UInt16(try uint32(tag, field, atMost: UInt32(Slot.count - 1))))
  }
}

/// A stretch of a slot's entries, from the background stream of a handover.
public struct Entries: PeerMessage {
  public static var frameKind: FrameKind { .entries }

  public var slot: Slot
  public var entries: [WireEntry]
  /// The slot is complete with these.
  public var isLast: Bool
  /// Counts the stretches of this slot from 0 on.
  public var sequence: UInt64

  public init(slot: Slot, entries: [WireEntry], isLast: Bool, sequence: UInt64) {
    self.slot = slot
    self.entries = entries
    self.isLast = isLast
    self.sequence = sequence
  }

  private enum Field {
    static let slot = WireField(1, "Entries.slot")
    static let entries = WireField(2, "Entries.entries")
    static let isLast = WireField(3, "Entries.is_last")
    static let sequence = WireField(4, "Entries.sequence")
  }

  public func encode<Sink: WireSink>(to sink: inout Sink) {
    sink.put(Field.slot, UInt64(slot.index))
    for entry in entries { sink.element(Field.entries, entry) }
    sink.put(Field.isLast, isLast)
    sink.put(Field.sequence, sequence)
  }

  public init(from reader: inout WireReader) throws(WireError) {
    self.init(slot: Slot(index: 0), entries: [], isLast: false, sequence: 0)
    while let tag = try reader.tag("Entries") {
      switch tag.number {
      case 1: slot = try reader.slot(tag, Field.slot)
      case 2: entries.append(try reader.message(tag, Field.entries))
      case 3: isLast = try reader.bool(tag, Field.isLast)
      case 4: sequence = try reader.uint64(tag, Field.sequence)
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
  public var database: UInt32
  public var keys: [UnsafeRawBufferPointer]

  public init(id: UInt64, slot: Slot, database: UInt32, keys: [UnsafeRawBufferPointer]) {
    self.id = id
    self.slot = slot
    self.database = database
    self.keys = keys
  }

  private enum Field {
    static let id = WireField(1, "Fetch.id")
    static let slot = WireField(2, "Fetch.slot")
    static let database = WireField(3, "Fetch.database")
    static let keys = WireField(4, "Fetch.keys")
  }

  public func encode<Sink: WireSink>(to sink: inout Sink) {
    sink.put(Field.id, id)
    sink.put(Field.slot, UInt64(slot.index))
    sink.put(Field.database, database)
    for key in keys { sink.element(Field.keys, key) }
  }

  public init(from reader: inout WireReader) throws(WireError) {
    self.init(id: 0, slot: Slot(index: 0), database: 0, keys: [])
    while let tag = try reader.tag("Fetch") {
      switch tag.number {
      case 1: id = try reader.uint64(tag, Field.id)
      case 2: slot = try reader.slot(tag, Field.slot)
      case 3: database = try reader.uint32(tag, Field.database)
      case 4:
        guard keys.count < WireLimits.arguments else { throw WireError(.tooMany, Field.keys.name) }
        keys.append(try reader.bytes(tag, Field.keys))
      default: try reader.skip(tag, "Fetch")
      }
    }
  }
}

/// The answer to a `Fetch`: each of its keys is in one of the two.
public struct Fetched: PeerMessage {
  public static var frameKind: FrameKind { .fetched }

  public var id: UInt64
  public var entries: [WireEntry]
  public var absentKeys: [UnsafeRawBufferPointer]

  public init(id: UInt64, entries: [WireEntry], absentKeys: [UnsafeRawBufferPointer]) {
    self.id = id
    self.entries = entries
    self.absentKeys = absentKeys
  }

  private enum Field {
    static let id = WireField(1, "Fetched.id")
    static let entries = WireField(2, "Fetched.entries")
    static let absentKeys = WireField(3, "Fetched.absent_keys")
  }

  public func encode<Sink: WireSink>(to sink: inout Sink) {
    sink.put(Field.id, id)
    for entry in entries { sink.element(Field.entries, entry) }
    for key in absentKeys { sink.element(Field.absentKeys, key) }
  }

  public init(from reader: inout WireReader) throws(WireError) {
    self.init(id: 0, entries: [], absentKeys: [])
    while let tag = try reader.tag("Fetched") {
      switch tag.number {
      case 1: id = try reader.uint64(tag, Field.id)
      case 2: entries.append(try reader.message(tag, Field.entries))
      case 3: absentKeys.append(try reader.bytes(tag, Field.absentKeys))
      default: try reader.skip(tag, "Fetched")
      }
    }
  }
}
