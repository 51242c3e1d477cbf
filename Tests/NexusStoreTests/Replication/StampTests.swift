import NexusModel
import Testing

@testable import NexusStore

@Suite("Stamps of a namespace's entries")
struct StampTests {
  private func stamp(_ copy: Copy, _ name: String) -> UInt64 { copy.content(Name(name))?.stamp ?? 0 }

  @Test("rise with every change, follow the time, and bear the process's mark")
  func rising() throws {
    var copy = try Copy(mark: 0xB)
    var last: UInt64 = 0
    func expectLater(_ what: String) {
      let stamp = stamp(copy, "k")
      #expect(stamp > last, "\(what)")
      #expect(stamp & 0xF == 0xB)
      #expect(Stamp(rawValue: stamp).milliseconds >= copy.now)
      last = stamp
    }
    let store = copy.store
    for step in 0..<40 {
      copy.now += step % 3 == 0 ? 1 : 0
      copy.plain.set(bytes("k"), bytes("value \(step)"))
      expectLater("set")
      copy.plain.with(bytes("k")) { _ = store.setExpiry($0, store.find($0, now: copy.now)!, .at(copy.now + 90_000)) }
      expectLater("expiry")
      copy.plain.with(bytes("k")) { _ = store.setFields($0, store.find($0, now: copy.now)!, clientFlags: UInt32(step)) }
      expectLater("fields")
      copy.plain.with(bytes("k")) { key in
        store.find(key, now: copy.now)!.mutableValue[0] = UInt8(step)
        store.changed(key)
      }
      expectLater("edit in place")
      copy.plain.with(bytes("k")) { key in
        #expect(store.resize(key, store.find(key, now: copy.now), to: 30 + step) { _ in } == .stored)
      }
      expectLater("resize")
      copy.plain.delete(bytes("k"))
      expectLater("removal")
      if step % 2 == 0 { copy.now -= 500 }
    }
    #expect(copy.complaint() == nil)
  }

  @Test("do not go back with the clock, and run ahead of it where a millisecond is full")
  func clockSetBack() throws {
    var copy = try Copy()
    copy.plain.set(bytes("k"), bytes("1"))
    let before = stamp(copy, "k")
    copy.now -= 3_600_000
    for _ in 0..<5_000 { copy.plain.set(bytes("k"), bytes("2")) }
    #expect(stamp(copy, "k") == before + 5_000 << 4)
  }

  @Test("are not given where nobody asked for them")
  func unstamped() throws {
    let copy = try Copy(stamped: 0)
    copy.plain.set(bytes("k"), bytes("1"))
    copy.plain.delete(bytes("k"))
    copy.plain.set(bytes("k"), bytes("2"))
    copy.plain.with(bytes("k")) { #expect(copy.store.find($0, now: copy.now)?.stamp == 0) }
    #expect(copy.content(Name("k")) == nil)
    #expect(copy.store.tombstoneCount == 0)
    #expect(copy.store.digest(of: copy.slot(Name("k")), as: 1) == 0)
    #expect(copy.merge(Name("k"), Content(kind: .tombstone, stamp: 1 << 40)) == .refused)
    #expect(copy.plain.get(bytes("k")) == bytes("2"))
  }

  @Test("leave an overwritten value in its chunk")
  func inPlace() throws {
    let copy = try Copy()
    let store = copy.store
    func chunk() -> UInt32 { copy.plain.with(bytes("k")) { store.locate($0)!.handle } }
    copy.plain.set(bytes("k"), bytes("12345"))
    let first = chunk()
    for step in 0..<100 {
      copy.plain.set(bytes("k"), bytes("\(10_000 + step)"))
      #expect(chunk() == first)
    }
    #expect(store.memory.entryBytes == store.statistics(of: 0).bytes)
  }

  @Test("come to a namespace's entries when it becomes stamped, and count no more when it stops being so")
  func becoming() throws {
    let copy = try Copy(stamped: 1)
    let store = copy.store
    for number in 0..<3_000 {
      let value = [UInt8](repeating: 5, count: number % 100 == 0 ? 40_000 : number % 70)
      copy.plain.set(bytes("key:\(number)"), value, NamespaceNumber(number % 2), .at(copy.now + 100_000))
    }
    var settings = store.settings(of: 1)!
    settings.isStamped = true
    store.configure(1, settings, as: 1)
    #expect(copy.complaint() == nil)
    #expect(copy.contents().count == 3_000)
    for number in 0..<1_000 { copy.plain.delete(bytes("key:\(number)"), NamespaceNumber(number % 2)) }
    #expect(store.tombstoneCount == 1_000)
    settings.isStamped = false
    store.configure(1, settings, as: 1)
    #expect(store.tombstoneCount == 500)
    #expect(store.count(in: 1) == 1_000)
    #expect(copy.complaint() == nil)
    #expect(copy.contents().count == 1_500)
    settings.isStamped = true
    store.configure(1, settings, as: 1)
    #expect(copy.complaint() == nil)
    #expect(copy.contents().count == 2_500)
    #expect(copy.plain.get(bytes("key:1101"), 1) == [UInt8](repeating: 5, count: 1101 % 70))
  }

  @Test("are told to the tap with what was written, removed or evicted, and with nothing else")
  func tapping() throws {
    nonisolated(unsafe) var told: [(Name, Content)] = []
    var copy = try Copy()
    let store = copy.store
    store.changeTap = { change, worker in
      #expect(worker == 1)
      told.append((Name(Array(change.key.bytes), change.key.namespace), Content(change.version)))
    }
    func last() -> Content? { told.last?.1 }
    copy.plain.set(bytes("k"), bytes("1"), 2, .at(copy.now + 1000))
    #expect(told.last?.0 == Name("k", 2))
    #expect(last()?.value == bytes("1") && last()?.expiresAt == copy.now + 1000 && last()?.kind == .value)
    copy.plain.with(bytes("k"), 2) { _ = store.setExpiry($0, store.find($0, now: copy.now)!, .none) }
    #expect(last()?.expiresAt == 0 && last()?.value == bytes("1"))
    copy.plain.with(bytes("k"), 2) { key in
      store.find(key, now: copy.now)!.mutableValue[0] = 7
      store.changed(key)
    }
    #expect(last()?.value == [7])
    copy.plain.with(bytes("k"), 2) { key in
      _ = store.resize(key, store.find(key, now: copy.now), to: 3, type: .cuckooFilter) { $0[2] = 9 }
    }
    #expect(last()?.value == [7, 0, 9] && last()?.type == .cuckooFilter)
    copy.plain.delete(bytes("k"), 2)
    #expect(last()?.kind == .tombstone && last()?.stamp == copy.content(Name("k", 2))?.stamp)
    let large = [UInt8](repeating: 3, count: Store.copiedAheadBytesMin)
    bytes("large").withUnsafeBytes { name in
      large.withUnsafeBytes {
        _ = store.set(store.key(name, in: 0), to: $0, .none, touch: false, as: 1, now: copy.now)
      }
    }
    #expect(last()?.value == large)
    #expect(told.count == 6)
    let stamp = last()?.stamp
    #expect(store.evictOne(from: 0, as: 1))
    #expect(told.count == 7 && told.last?.0 == Name("large") && last()?.kind == .evicted && last()?.stamp == stamp)
    #expect(store.floor(of: copy.slot(Name("large"))).rawValue == stamp)
    #expect(store.evictedAt(copy.slot(Name("large"))) == copy.now)

    copy.plain.set(bytes("a"), bytes("1"), 0, .at(copy.now + 1))
    copy.plain.set(bytes("b"), bytes("1"), 9)
    copy.now += 10
    #expect(told.count == 8)
    #expect(copy.plain.get(bytes("a")) == nil)
    #expect(copy.merge(Name("m"), Content(kind: .tombstone, stamp: UInt64(copy.now) << 16)) == .applied)
    store.flush(0, as: 1)
    store.forget(copy.slot(Name("k")), as: 1)
    #expect(told.count == 8)
  }
}
