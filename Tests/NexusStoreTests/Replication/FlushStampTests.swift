import NexusModel
import Testing

@testable import NexusStore

@Suite("Flushing by stamp")
struct FlushStampTests {
  @Test("this node's own flush is newer than everything, and what is not newer than it is not taken again")
  func own() throws {
    let copy = try Copy()
    var before: [Name: Content] = [:]
    for number in 0..<2_000 {
      copy.plain.set(bytes("key:\(number)"), bytes("v"), 1)
      if number % 3 == 0 { copy.plain.delete(bytes("key:\(number)"), 1) }
      copy.plain.set(bytes("key:\(number)"), bytes("v"), 2)
    }
    before = copy.contents()
    let stamp = copy.store.flush(1, as: 1)
    #expect(copy.store.flushStamp(of: 1) == stamp)
    #expect(copy.store.count(in: 1) == 0 && copy.store.count(in: 2) == 2_000)
    for (name, content) in before where name.namespace == 1 {
      #expect(content.stamp < stamp.rawValue)
      #expect(copy.merge(name, content) == .flushed)
    }
    #expect(copy.contents() == before.filter { $0.key.namespace == 2 })
    #expect(copy.complaint() == nil)
    #expect(copy.store.tombstoneCount == 0)
    copy.plain.set(bytes("key:1"), bytes("new"), 1)
    #expect(copy.content(Name("key:1", 1))!.stamp > stamp.rawValue)
    #expect(copy.store.flushStamp(of: 0) == .none)
  }

  @Test("another member's flush takes what was there when it happened, and leaves what was written later")
  func others() throws {
    let seed = UInt64.random(in: 0...(.max))
    print("seed \(seed)")
    var random = Seeded(state: seed)
    var copy = try Copy()
    let store = copy.store
    var model: [Name: Content] = [:]
    for round in 0..<6 {
      var stamps: [UInt64] = []
      for _ in 0..<3_000 {
        copy.now += Int64.random(in: 0..<2, using: &random)
        let number = Int.random(in: 0..<2_000, using: &random)
        let name = Name(number % 2 == 0 ? "{t}\(number)" : "key:\(number)", 1)
        if Int.random(in: 0..<4, using: &random) == 0 {
          guard copy.plain.delete(name.bytes, 1) else { continue }
        } else {
          let most = [20, 200, 40_000][Int.random(in: 0..<3, using: &random)]
          let expiry: Expiry = Bool.random(using: &random) ? .none : .at(copy.now + 1_000_000)
          let value = [UInt8](repeating: 1, count: Int.random(in: 0..<most, using: &random))
          #expect(copy.plain.set(name.bytes, value, 1, expiry) == .stored)
        }
        model[name] = copy.content(name)
        stamps.append(model[name]!.stamp)
      }
      let flush = stamps.randomElement(using: &random)!
      model = model.filter { $0.value.stamp > flush }
      store.flush(1, stamp: Stamp(rawValue: flush), as: 1)
      // Some are met by a search, some are overwritten or removed, the rest is put back by the background.
      for (name, content) in model where Int.random(in: 0..<3, using: &random) == 0 {
        let found = copy.plain.get(name.bytes, 1)
        if found != (content.kind == .value ? content.value : nil) {
          Issue.record("\(name) in round \(round) with seed \(seed)")
        }
        if Int.random(in: 0..<3, using: &random) == 0 {
          copy.plain.set(name.bytes, bytes("again"), 1)
          model[name] = copy.content(name)
        }
      }
      let live = model.filter { $0.value.kind == .value }
      #expect(Set(copy.plain.keys(1)) == Set(live.keys.map(\.bytes)), "a scan sees those that are not put back yet")
      for _ in 0..<20 { _ = store.compact(moves: 100, as: 1) }
      #expect(copy.contents() == model, "round \(round) with seed \(seed)")
      #expect(copy.complaint() == nil, "round \(round) with seed \(seed)")
      #expect(store.count(in: 1) == live.count)
      store.flush(1, stamp: Stamp(rawValue: flush - 5), as: 1)
      #expect(store.count(in: 1) == live.count, "an older flush comes too late")
    }
    // What was put back can be evicted.
    var left = store.count(in: 1)
    while store.evictOne(from: 1, as: 1) { left -= 1 }
    #expect(left == 0 && store.count(in: 1) == 0)
    #expect(copy.complaint() == nil)
  }
}
