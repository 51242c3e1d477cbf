import NexusModel
import NexusReplication
import NexusWire

/// The replication cores' messages as items of a frame (`Replication` in replication.proto). All kinds share one
/// message, of which each uses the fields that it needs.
struct ReplicationPost: PeerMessage {
  enum Content {
    case message(ReplicationMessage)
    /// Versions of keys, borrowed. Whoever gets an id that is not 0 answers `versionsTaken` with it.
    case versions(id: UInt64, [WireEntry])
    case versionsTaken(id: UInt64, refused: Int)
  }

  static var frameKind: FrameKind { .replication }

  var content: Content
  /// With `keyAnswer` and `keepKey`: the key's version. Borrowed.
  var entry: WireEntry?

  init(_ content: Content) { self.content = content }

  init(_ message: ReplicationMessage, entry: WireEntry? = nil) {
    content = .message(message)
    self.entry = entry
  }

  func encode<Sink: WireSink>(to sink: inout Sink) {
    var fields: ReplicationFields
    switch content {
    case .message(let message):
      fields = ReplicationFields(message)
      if let entry { fields.entries = [entry] }
    case .versions(let id, let entries):
      fields = ReplicationFields()
      (fields.kind, fields.id, fields.entries) = (.versions, id, entries)
    case .versionsTaken(let id, let refused):
      fields = ReplicationFields()
      (fields.kind, fields.id, fields.number) = (.versionsTaken, id, UInt64(refused))
    }
    fields.encode(to: &sink)
  }

  init(from reader: inout WireReader) throws(WireError) {
    let fields = try ReplicationFields(from: &reader)
    switch fields.kind {
    case .versions: content = .versions(id: fields.id, fields.entries)
    case .versionsTaken: content = .versionsTaken(id: fields.id, refused: Int(clamping: fields.number))
    default:
      content = .message(try fields.message())
      entry = fields.entries.first
    }
  }
}

struct ReplicationFields {
  enum Kind: UInt32 {
    case compare = 1
    case compared, otherVersion, askDigests, digests, askInventories, inventories, askVersions, versionsSent, drop
    case agreed, offerLeftovers, release, askSettled, settledAnswer, collect, askKey, keyAnswer, keepKey
    case versions, versionsTaken, differ
  }

  var kind = Kind.compare
  var id: UInt64 = 0
  var session: UInt64 = 0
  var version: UInt64 = 0
  var slots = SlotSet()
  var moreSlots = SlotSet()
  var digests: [UInt64] = []
  var flag = false
  var otherFlag = false
  var flushes: [FlushStamp] = []
  var parts: [SlotPart] = []
  var number: UInt64 = 0
  var have: KeyVersion?
  var entries: [WireEntry] = []

  init() {}

  init(_ message: ReplicationMessage) {
    switch message {
    case .compare(let question):
      (kind, id, version, session) = (.compare, question.id, question.version.digest, question.session)
      (slots, digests) = (question.leftOut, [question.root.first, question.root.second])
      (flag, otherFlag) = (question.isSettled, question.isComplete)
    case .compared(let answer):
      (kind, id, session, digests, slots) = (.compared, answer.id, answer.session, answer.sums, answer.partial)
    case .otherVersion(let id): (kind, self.id) = (.otherVersion, id)
    case .askDigests(let question):
      (kind, id, version) = (.askDigests, question.id, question.version.digest)
      (slots, flag) = (question.slots, question.withTombstones)
    case .digests(let id, let session, let digests):
      (kind, self.id, self.session, self.digests) = (.digests, id, session, digests)
    case .askInventories(let question):
      (kind, id, version, flushes) = (.askInventories, question.id, question.version.digest, question.flushes)
      parts = question.parts.map { SlotPart(slot: $0.slot, range: $0.range) }
    case .inventories(let answer):
      (kind, id, session, flushes) = (.inventories, answer.id, answer.session, answer.flushes)
      parts = answer.slots.map { SlotPart($0) }
    case .askVersions(let id, let keys):
      (kind, self.id) = (.askVersions, id)
      parts = keys.map { SlotPart(slot: $0.slot, keys: $0.keys) }
    case .versionsSent(let id, let bytes): (kind, self.id, number) = (.versionsSent, id, UInt64(max(0, bytes)))
    case .drop(let version, let drops):
      (kind, self.version) = (.drop, version.digest)
      parts = drops.map { SlotPart(slot: $0.slot, versions: $0.versions) }
    case .agreed(let session, let version, let slots, let complete):
      (kind, self.session, self.version) = (.agreed, session, version.digest)
      (self.slots, moreSlots) = (slots, complete)
    case .differ(let session, let version, let slots):
      (kind, self.session, self.version, self.slots) = (.differ, session, version.digest, slots)
    case .offerLeftovers(let id, let version, let slots):
      (kind, self.id, self.version, self.slots) = (.offerLeftovers, id, version.digest, slots)
    case .release(let id, let slots): (kind, self.id, self.slots) = (.release, id, slots)
    case .askSettled(let id, let version): (kind, self.id, self.version) = (.askSettled, id, version.digest)
    case .settledAnswer(let id, let version, let isSettled, let tombstones):
      (kind, self.id, self.version, flag) = (.settledAnswer, id, version.digest, isSettled)
      number = UInt64(max(0, tombstones))
    case .collect(let version, let slots, let upTo):
      (kind, self.version, self.slots, number) = (.collect, version.digest, slots, upTo.rawValue)
    case .askKey(let id, let slot, let key, let have):
      (kind, self.id, self.have) = (.askKey, id, have)
      parts = [SlotPart(slot: slot, keys: [key])]
    case .keyAnswer(let id, let version): (kind, self.id, have) = (.keyAnswer, id, version)
    case .keepKey(let id, let slot, let key):
      (kind, self.id) = (.keepKey, id)
      parts = [SlotPart(slot: slot, keys: [key])]
    }
  }

  func message() throws(WireError) -> ReplicationMessage {
    let version = PlacementVersion(digest: self.version)
    switch kind {
    case .compare:
      guard digests.count == 2 else { throw WireError(.missing, "Replication.digests") }
      return .compare(
        CopyComparison(
          id, version, session: session, leftOut: slots,
          root: RepairDigest.Root(first: digests[0], second: digests[1]), isSettled: flag, isComplete: otherFlag))
    case .compared: return .compared(CopyComparisonAnswer(id, session: session, sums: digests, partial: slots))
    case .otherVersion: return .otherVersion(id: id)
    case .askDigests:
      return .askDigests(DigestQuestion(id, version, slots, withTombstones: flag))
    case .digests: return .digests(id: id, session: session, digests)
    case .askInventories:
      return .askInventories(
        InventoryQuestion(id, version, flushes, parts.map { ($0.slot, $0.range) }))
    case .inventories:
      return .inventories(
        InventoryAnswer(id, session: session, flushes, parts.map(\.inventory)))
    case .askVersions: return .askVersions(id: id, parts.map { SlotKeys(slot: $0.slot, keys: $0.keys) })
    case .versionsSent: return .versionsSent(id: id, bytes: Int(clamping: number))
    case .drop: return .drop(version: version, parts.map { SlotDrops(slot: $0.slot, versions: $0.versions) })
    case .agreed: return .agreed(session: session, version: version, slots, complete: moreSlots)
    case .differ: return .differ(session: session, version: version, slots)
    case .offerLeftovers: return .offerLeftovers(id: id, version: version, slots)
    case .release: return .release(id: id, slots)
    case .askSettled: return .askSettled(id: id, version: version)
    case .settledAnswer:
      return .settledAnswer(id: id, version: version, isSettled: flag, tombstones: Int(clamping: number))
    case .collect: return .collect(version: version, slots, upTo: Stamp(rawValue: number))
    case .askKey:
      let (slot, key) = try oneKey()
      return .askKey(id: id, slot, key, have: have)
    case .keyAnswer: return .keyAnswer(id: id, have)
    case .keepKey:
      let (slot, key) = try oneKey()
      return .keepKey(id: id, slot, key)
    case .versions, .versionsTaken: throw WireError(.missing, "Replication.kind")
    }
  }

  private func oneKey() throws(WireError) -> (Slot, KeyHash) {
    guard let part = parts.first, let key = part.keys.first else { throw WireError(.missing, "Replication.parts") }
    return (part.slot, key)
  }
}

extension ReplicationFields: WireMessage {
  private enum Field {
    static let kind = WireField(1, "Replication.kind")
    static let id = WireField(2, "Replication.id")
    static let session = WireField(3, "Replication.session")
    static let version = WireField(4, "Replication.placement_version")
    static let slots = WireField(5, "Replication.slots")
    static let moreSlots = WireField(6, "Replication.more_slots")
    static let digests = WireField(7, "Replication.digests")
    static let flag = WireField(8, "Replication.flag")
    static let otherFlag = WireField(9, "Replication.other_flag")
    static let flushes = WireField(10, "Replication.flushes")
    static let parts = WireField(11, "Replication.parts")
    static let number = WireField(12, "Replication.number")
    static let have = WireField(13, "Replication.have")
    static let entry = WireField(14, "Replication.entries")
  }

  func encode<Sink: WireSink>(to sink: inout Sink) {
    sink.put(Field.kind, kind.rawValue)
    sink.put(Field.id, id)
    sink.put(Field.session, session)
    sink.put(Field.version, fixed: version)
    if !slots.isEmpty { sink.element(Field.slots, SlotList(slots)) }
    if !moreSlots.isEmpty { sink.element(Field.moreSlots, SlotList(moreSlots)) }
    sink.put(Field.digests, fixed: digests)
    sink.put(Field.flag, flag)
    sink.put(Field.otherFlag, otherFlag)
    for flush in flushes { sink.element(Field.flushes, FlushWire(value: flush)) }
    for part in parts { sink.element(Field.parts, part) }
    sink.put(Field.number, number)
    if let have { sink.element(Field.have, SlotPart(slot: Slot(index: 0), versions: [have])) }
    for entry in entries { sink.element(Field.entry, entry) }
  }

  init(from reader: inout WireReader) throws(WireError) {
    self.init()
    var known: Kind?
    while let tag = try reader.tag("Replication") {
      switch tag.number {
      case 1: known = Kind(rawValue: try reader.uint32(tag, Field.kind))
      case 2: id = try reader.uint64(tag, Field.id)
      case 3: session = try reader.uint64(tag, Field.session)
      case 4: version = try reader.fixed64(tag, Field.version)
      case 5: slots = try reader.message(tag, Field.slots, as: SlotList.self).set
      case 6: moreSlots = try reader.message(tag, Field.moreSlots, as: SlotList.self).set
      case 7: try reader.fixed(tag, Field.digests, into: &digests)
      case 8: flag = try reader.bool(tag, Field.flag)
      case 9: otherFlag = try reader.bool(tag, Field.otherFlag)
      case 10: flushes.append(try reader.message(tag, Field.flushes, as: FlushWire.self).value)
      case 11: parts.append(try reader.message(tag, Field.parts, as: SlotPart.self))
      case 12: number = try reader.uint64(tag, Field.number)
      case 13: have = try reader.message(tag, Field.have, as: SlotPart.self).versions.first
      case 14: entries.append(try reader.message(tag, Field.entry, as: WireEntry.self))
      default: try reader.skip(tag, "Replication")
      }
    }
    guard let known else { throw WireError(.missing, "Replication.kind") }
    kind = known
  }
}
