import NexusModel
import Testing

@testable import NexusStore

@Suite("Tombstones")
struct TombstoneTests {
  @Test("are seen by nobody but those who ask for them")
  func invisible() throws {
    var copy = try Copy()
    let store = copy.store
    for number in 0..<500 { copy.plain.set(bytes("{t}\(number)"), bytes("v"), 0, .at(copy.now + 50)) }
    for number in 0..<400 { copy.plain.delete(bytes("{t}\(number)")) }
    #expect(store.tombstoneCount == 400)
    #expect(store.count(in: 0) == 100 && store.countWithExpiry(in: 0) == 100)
    #expect(copy.plain.keys().count == 100)
    #expect(copy.plain.get(bytes("{t}5")) == nil)
    #expect(!copy.plain.delete(bytes("{t}5")))
    var visited = 0
    store.visit(slot: copy.slot(Name("{t}")), in: 0, as: 1, now: copy.now) { _ in visited += 1 }
    #expect(visited == 100)
    for random in 0..<200 as Range<UInt64> {
      _ = store.randomEntry(0, random: random &* 0x9E37_79B9_7F4A_7C15, as: 1, now: copy.now) {
        #expect(copy.plain.get(Array($0.keyBytes)) != nil)
      }
    }
    copy.now += 100
    for _ in 0..<50 {
      copy.now += 100
      copy.plain.maintain()
    }
    #expect(store.count(in: 0) == 0, "what had a TTL has expired")
    #expect(store.statistics(of: 0).expirations == 100)
    #expect(store.tombstoneCount == 400, "and tombstones have not")
    #expect(!store.evictOne(from: 0, as: 1), "nor can they be evicted")
    #expect(copy.complaint() == nil)
  }

  @Test("give way to what is written again, which is not an overwrite", arguments: [10, 5_000, 100_000])
  func replaced(_ count: Int) throws {
    let copy = try Copy()
    let store = copy.store
    for name in [bytes("k"), [UInt8](repeating: 1, count: 70), [UInt8](repeating: 2, count: 9_000)] {
      copy.plain.with(name) { key in
        _ = copy.plain.set(name, bytes("old"))
        _ = store.setFields(key, store.find(key, now: copy.now)!, clientFlags: 77)
      }
      copy.plain.delete(name)
      let buried = copy.content(Name(name, 0))
      #expect(buried?.kind == .tombstone)
      #expect(store.tombstoneCount == 1)
      let value = [UInt8](repeating: 8, count: count)
      #expect(copy.plain.set(name, value) == .stored)
      let written = try #require(copy.content(Name(name, 0)))
      #expect(written.value == value && written.clientFlags == 0 && written.stamp > buried!.stamp)
      #expect(store.tombstoneCount == 0 && store.tombstoneBytes == 0 && store.count(in: 0) == 1)
      #expect(copy.complaint() == nil)
      copy.plain.delete(name)
      let all = Stamp(rawValue: .max)
      #expect(store.collectTombstones(copy.slot(Name(name, 0)), upTo: all, raisingFloor: false, as: 1) == 1)
    }
    #expect(store.memory.entryBytes == 0)
  }

  @Test("outlive tables that grow and shrink, and chunks that move")
  func moving() throws {
    let copy = try Copy(limitBytes: 16 << 20)
    let store = copy.store
    var names: [[UInt8]] = []
    for number in 0..<40_000 {
      let name = bytes(number % 2 == 0 ? "{t}\(number)" : "key:\(number)")
      copy.plain.set(name, bytes("v"), NamespaceNumber(number % 3))
      if number % 4 < 2 { names.append(name) }
    }
    #expect(copy.contents().count == 40_000)
    var stamps: [Name: UInt64] = [:]
    for name in names {
      for namespace: NamespaceNumber in 0..<3 where copy.plain.delete(name, namespace) {
        stamps[Name(name, namespace)] = copy.content(Name(name, namespace))!.stamp
      }
    }
    #expect(stamps.count == 20_000)
    for _ in 0..<3_000 { if !store.compact(moves: 50, as: 1) { break } }
    for slot in 0..<UInt16(Slot.count) {
      store.withSlot(slot, as: 1) { store.shrinkIfSparse(slot, as: 1) }
    }
    #expect(store.compaction.pointee.moved > 0)
    #expect(copy.complaint() == nil)
    let after = copy.contents().filter { $0.value.kind == .tombstone }
    #expect(after.mapValues { $0.stamp } == stamps)
  }

  @Test("are collected up to a stamp, with or without raising the floor")
  func collected() throws {
    let copy = try Copy()
    let store = copy.store
    let slot = copy.slot(Name("{t}"))
    var stamps: [UInt64] = []
    for number in 0..<300 {
      copy.plain.set(bytes("{t}\(number)"), bytes("v"))
      copy.plain.delete(bytes("{t}\(number)"))
      stamps.append(copy.content(Name("{t}\(number)"))!.stamp)
    }
    #expect(store.tombstones(in: slot) == (300, Stamp(rawValue: stamps[0])))
    #expect(store.collectTombstones(slot, upTo: Stamp(rawValue: stamps[99]), raisingFloor: false, as: 1) == 100)
    #expect(store.floor(of: slot) == .none)
    #expect(store.tombstones(in: slot) == (200, Stamp(rawValue: stamps[100])))
    #expect(store.collectTombstones(slot, upTo: Stamp(rawValue: stamps[149]), raisingFloor: true, as: 1) == 50)
    #expect(store.floor(of: slot).rawValue == stamps[149])
    #expect(copy.content(Name("{t}150"))?.kind == .tombstone && copy.content(Name("{t}149")) == nil)
    #expect(store.collectTombstones(slot, upTo: Stamp(rawValue: .max), raisingFloor: false, as: 1) == 150)
    #expect(store.tombstones(in: slot) == (0, .none) && store.tombstoneBytes == 0)
    #expect(copy.complaint() == nil)
  }

  @Test("take a sixteenth of the ceiling at most; beyond it the oldest of full slots go and raise their floors")
  func bounded() throws {
    var copy = try Copy(limitBytes: 8 << 20)
    let store = copy.store
    var last: [UInt16: UInt64] = [:]
    for number in 0..<60_000 {
      copy.now += 1
      // One slot gets half of them.
      let name = bytes(number % 2 == 0 ? "{full}\(number)" : "key:\(number)")
      copy.plain.set(name, bytes("v"))
      copy.plain.delete(name)
      let slot = copy.slot(Name(name, 0))
      last[slot] = store.lastStamp(of: slot).rawValue
      if store.tombstoneBytes > store.tombstoneBytesMax { Issue.record("\(store.tombstoneBytes) bytes of tombstones") }
    }
    #expect(store.tombstoneBytes > store.tombstoneBytesMax / 2)
    #expect(copy.complaint() == nil)
    let full = copy.slot(Name("{full}"))
    #expect(store.floor(of: full).rawValue > 0)
    var raised = 0
    for slot in 0..<UInt16(Slot.count) {
      let floor = store.floor(of: slot)
      let (count, oldest) = store.tombstones(in: slot)
      if floor != .none { raised += 1 }
      #expect(count == 0 || floor < oldest, "what is kept is newer than what went")
      #expect(floor.rawValue <= last[slot] ?? 0)
    }
    #expect(raised < Slot.count, "slots with few keep theirs")
    store.maxMemoryBytes = Store.limitBytesMin
    for _ in 0..<20_000 where store.tombstoneBytes > store.tombstoneBytesMax {
      copy.now += 1
      copy.plain.maintain()
    }
    #expect(store.tombstoneBytes <= store.tombstoneBytesMax, "also after the ceiling was lowered")
  }
}
