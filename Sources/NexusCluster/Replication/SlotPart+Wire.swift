import NexusModel
import NexusReplication
import NexusWire

/// What one message says of one slot: keys, or versions of keys, and what it knows of the slot itself.
struct SlotPart {
  var slot: Slot
  var range = HashRange.all
  var floor = Stamp.none
  var isPartial = false
  var isComplete = false
  var bitsNeeded: UInt8 = 0
  var versions: [KeyVersion] = []

  init(slot: Slot, range: HashRange = .all, versions: [KeyVersion] = []) {
    self.slot = slot
    self.range = range
    self.versions = versions
  }

  init(slot: Slot, keys: [KeyHash]) {
    self.init(
      slot: slot, versions: keys.map { KeyVersion(hash: $0.hash, stamp: .none, namespace: $0.namespace) })
  }

  init(_ inventory: SlotInventory) {
    self.init(slot: inventory.slot, range: inventory.range, versions: inventory.versions)
    (floor, isPartial, isComplete) = (inventory.floor, inventory.isPartial, inventory.isComplete)
    bitsNeeded = inventory.bitsNeeded
  }

  var keys: [KeyHash] { versions.map(\.key) }

  var inventory: SlotInventory {
    SlotInventory(
      slot, range, floor: floor, isPartial: isPartial, isComplete: isComplete, versions, bitsNeeded: bitsNeeded)
  }
}

extension SlotPart: WireMessage {
  private enum Field {
    static let slot = WireField(1, "SlotPart.slot")
    static let bits = WireField(2, "SlotPart.range_bits")
    static let index = WireField(3, "SlotPart.range_index")
    static let floor = WireField(4, "SlotPart.floor")
    static let isPartial = WireField(5, "SlotPart.is_partial")
    static let isComplete = WireField(6, "SlotPart.is_complete")
    static let bitsNeeded = WireField(7, "SlotPart.bits_needed")
    static let hashes = WireField(8, "SlotPart.hashes")
    static let stamps = WireField(9, "SlotPart.stamps")
    static let marks = WireField(10, "SlotPart.marks")
  }

  func encode<Sink: WireSink>(to sink: inout Sink) {
    sink.put(Field.slot, UInt32(slot.index))
    sink.put(Field.bits, UInt32(range.bits))
    sink.put(Field.index, range.index)
    sink.put(Field.floor, fixed: floor.rawValue)
    sink.put(Field.isPartial, isPartial)
    sink.put(Field.isComplete, isComplete)
    sink.put(Field.bitsNeeded, UInt32(bitsNeeded))
    sink.put(Field.hashes, fixed: versions.map(\.hash))
    // Keys without versions have none.
    if versions.contains(where: { $0.stamp != .none }) { sink.put(Field.stamps, fixed: versions.map(\.stamp.rawValue)) }
    if versions.contains(where: { $0.namespace != 0 || $0.isTombstone }) {
      sink.packed(Field.marks, versions.map { UInt64($0.namespace) << 1 | ($0.isTombstone ? 1 : 0) })
    }
  }

  init(from reader: inout WireReader) throws(WireError) {
    self.init(slot: Slot(index: 0))
    var (bits, index): (UInt32, UInt64) = (0, 0)
    var (hashes, stamps, marks): ([UInt64], [UInt64], [UInt64]) = ([], [], [])
    while let tag = try reader.tag("SlotPart") {
      switch tag.number {
      case 1: slot = Slot(index: UInt16(try reader.uint32(tag, Field.slot, atMost: UInt32(Slot.count - 1))))
      case 2: bits = try reader.uint32(tag, Field.bits, atMost: 63)
      case 3: index = try reader.uint64(tag, Field.index)
      case 4: floor = Stamp(rawValue: try reader.fixed64(tag, Field.floor))
      case 5: isPartial = try reader.bool(tag, Field.isPartial)
      case 6: isComplete = try reader.bool(tag, Field.isComplete)
      case 7: bitsNeeded = UInt8(try reader.uint32(tag, Field.bitsNeeded, atMost: 63))
      case 8: try reader.fixed(tag, Field.hashes, into: &hashes)
      case 9: try reader.fixed(tag, Field.stamps, into: &stamps)
      case 10: try reader.numbers(tag, Field.marks, atMost: 1 << 24, into: &marks)
      default: try reader.skip(tag, "SlotPart")
      }
    }
    range = HashRange(bits: UInt8(bits), index: index)
    guard stamps.isEmpty || stamps.count == hashes.count, marks.isEmpty || marks.count == hashes.count else {
      throw WireError(.missing, "SlotPart.stamps")
    }
    versions = hashes.indices.map { place in
      let mark = marks.isEmpty ? 0 : marks[place]
      return KeyVersion(
        hash: hashes[place], stamp: Stamp(rawValue: stamps.isEmpty ? 0 : stamps[place]),
        namespace: NamespaceNumber(truncatingIfNeeded: mark >> 1), isTombstone: mark & 1 != 0)
    }
  }
}

struct FlushWire: WireMessage {
  var value: FlushStamp

  private enum Field {
    static let namespace = WireField(1, "FlushStamp.namespace")
    static let stamp = WireField(2, "FlushStamp.stamp")
  }

  init(value: FlushStamp) { self.value = value }

  func encode<Sink: WireSink>(to sink: inout Sink) {
    sink.put(Field.namespace, UInt32(value.namespace))
    sink.put(Field.stamp, fixed: value.stamp.rawValue)
  }

  init(from reader: inout WireReader) throws(WireError) {
    value = FlushStamp(namespace: 0, stamp: .none)
    while let tag = try reader.tag("FlushStamp") {
      switch tag.number {
      case 1: value.namespace = NamespaceNumber(try reader.uint32(tag, Field.namespace, atMost: 0xFFFF))
      case 2: value.stamp = Stamp(rawValue: try reader.fixed64(tag, Field.stamp))
      default: try reader.skip(tag, "FlushStamp")
      }
    }
  }
}
