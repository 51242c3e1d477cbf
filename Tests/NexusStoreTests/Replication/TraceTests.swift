import NexusModel
import Testing

@testable import NexusStore

@Suite("Traces of what has expired")
struct TraceTests {
  private func names(_ count: Int) -> [Name] { (0..<count).map { Name("{t}\($0)") } }

  @Test("are tombstones with the stamp of the value, whoever finds out that it has expired", arguments: [true, false])
  func traces(isFound: Bool) throws {
    var copy = try Copy()
    let store = copy.store
    let slot = Slot(index: copy.slot(Name("{t}")))
    store.leaveTraces(true, in: SlotSet(CollectionOfOne(slot)))
    let names = names(300)
    for name in names { copy.plain.set(name.bytes, bytes("old"), 0, .at(copy.now + 1000)) }
    for name in names { copy.plain.set(name.bytes, bytes("new"), 0, .at(copy.now + 50)) }
    let before = copy.contents([slot.index])
    copy.now += 100
    if isFound {
      for name in names { #expect(copy.plain.get(name.bytes) == nil) }
    } else {
      store.expireDue(slot.index, now: copy.now, as: 1)
    }
    let after = copy.contents([slot.index])
    #expect(store.tombstoneCount == 300 && store.count(in: 0) == 0 && store.statistics(of: 0).expirations == 300)
    #expect(names.allSatisfy { after[$0]?.kind == .tombstone && after[$0]?.stamp == before[$0]!.stamp })
    #expect(store.digest(of: slot.index, as: 1) == 0)
    // What comes back from a member that was away is older; what expired comes back from nobody either.
    for name in names {
      var old = before[name]!
      #expect(copy.merge(name, old) == .older)
      old.stamp -= 1 << 16
      old.expiresAt = copy.now + 10_000
      #expect(copy.merge(name, old) == .older)
      old.stamp += 2 << 16
      #expect(copy.merge(name, old) == .applied)
    }
    #expect(store.count(in: 0) == 300 && copy.complaint() == nil)
  }

  @Test("are left where they are wanted only, and never in a namespace without stamps")
  func elsewhere() throws {
    var copy = try Copy()
    let store = copy.store
    let slot = Slot(index: copy.slot(Name("{t}")))
    store.leaveTraces(true, in: SlotSet(CollectionOfOne(slot)))
    let plain = NamespaceNumber(Copy.stampedCount)
    for name in names(20) {
      copy.plain.set(name.bytes, bytes("v"), plain, .at(copy.now + 50))
      copy.plain.set(bytes("{u}" + String(decoding: name.bytes, as: UTF8.self)), bytes("v"), 0, .at(copy.now + 50))
    }
    copy.now += 100
    for _ in 0..<50 {
      copy.now += 100
      copy.plain.maintain()
    }
    #expect(store.tombstoneCount == 0 && store.count(in: 0) == 0 && store.count(in: plain) == 0)
    store.leaveTraces(false, in: .all)
    copy.plain.set(bytes("{t}1"), bytes("v"), 0, .at(copy.now + 50))
    copy.now += 100
    #expect(copy.plain.get(bytes("{t}1")) == nil && store.tombstoneCount == 0)
  }

  @Test("in a full slot nothing is left out by a look at some keys at a time", arguments: [1, 7, 100, 100_000])
  func pages(budget: Int) throws {
    let copy = try Copy()
    let store = copy.store
    let slot = copy.slot(Name("{t}"))
    var expected: Set<UInt64> = []
    for name in names(5000) {
      copy.plain.set(name.bytes, bytes("v"))
      expected.insert(copy.plain.with(name.bytes) { $0.hash })
      guard expected.count % 1000 == 0 else { continue }
      // Perhaps while the table grows.
      var found: [UInt64] = []
      store.inventory(of: slot, budget: budget, as: 1) { found.append($0.hash) }
      #expect(found.count == expected.count && Set(found) == expected)
      var parts: [UInt64] = []
      for part in 0..<8 as Range<UInt64> {
        store.inventory(of: slot, hashes: part << 29..<(part + 1) << 29, budget: budget, as: 1) {
          #expect(($0.hash & 0xFFFF_FFFF) >> 29 == part)
          parts.append($0.hash)
        }
      }
      #expect(parts.count == expected.count && Set(parts) == expected)
    }
  }
}
