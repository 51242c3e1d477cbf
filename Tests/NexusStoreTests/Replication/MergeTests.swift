import NexusModel
import Testing

@testable import NexusStore

@Suite("Merging versions")
struct MergeTests {
  /// The order of versions as the documentation has it, spelled out anew.
  private func isAbove(_ left: Content, _ right: Content) -> Bool {
    if left.stamp != right.stamp { return left.stamp > right.stamp }
    if left.kind != right.kind { return left.kind == .tombstone }
    if left.kind == .tombstone { return false }
    if left.expiresAt != right.expiresAt {
      return left.expiresAt == 0 || (right.expiresAt != 0 && left.expiresAt > right.expiresAt)
    }
    if left.value != right.value { return right.value.lexicographicallyPrecedes(left.value) }
    let leftRest = [UInt64(left.type.rawValue), UInt64(left.clientFlags), left.version, UInt64(left.freshUntil)]
    let rightRest = [UInt64(right.type.rawValue), UInt64(right.clientFlags), right.version, UInt64(right.freshUntil)]
    if leftRest != rightRest { return rightRest.lexicographicallyPrecedes(leftRest) }
    if left.tags.count != right.tags.count { return left.tags.count > right.tags.count }
    return right.tags.lexicographicallyPrecedes(left.tags)
  }

  private func randomContent(_ now: UnixMilliseconds, _ random: inout Seeded) -> Content {
    // Few stamps, so that equal ones meet.
    let stamp = UInt64(now - 2_000) << 16 + UInt64.random(in: 0..<40, using: &random) << 22
    if Int.random(in: 0..<10, using: &random) < 3 { return Content(kind: .tombstone, stamp: stamp) }
    var content = Content(kind: .value, stamp: stamp)
    let count = [0, 1, 3, 200, 2_000, 40_000][Int.random(in: 0..<6, using: &random)]
    content.value = [UInt8](repeating: UInt8.random(in: 1..<4, using: &random), count: count)
    // Some have expired already.
    if Bool.random(using: &random) { content.expiresAt = now + Int64.random(in: -3..<3, using: &random) * 1_000 + 1 }
    if Int.random(in: 0..<4, using: &random) == 0 { content.clientFlags = UInt32.random(in: 0..<3, using: &random) }
    if Int.random(in: 0..<4, using: &random) == 0 { content.version = UInt64.random(in: 0..<3, using: &random) }
    if Int.random(in: 0..<4, using: &random) == 0 { content.freshUntil = Int64.random(in: 0..<3, using: &random) }
    if Int.random(in: 0..<4, using: &random) == 0 {
      content.tags = Array(
        [7, 8, 9, 10, 11, 12, 13, 14].shuffled(using: &random).prefix(Int.random(in: 0...8, using: &random)))
    }
    if Int.random(in: 0..<9, using: &random) == 0 { content.type = .cuckooFilter }
    return content
  }

  @Test("gives the same in every order, however often each comes, and however copies are merged with one another")
  func aSemilattice() throws {
    let seed = UInt64.random(in: 0...(.max))
    print("seed \(seed)")
    var random = Seeded(state: seed)
    for round in 0..<8 {
      let copies = try (0..<3).map { _ in try Copy() }
      let names = (0..<60).map { Name($0 < 30 ? "{t}\($0)" : "key:\($0)", NamespaceNumber($0 % Copy.stampedCount)) }
      var model: [Name: Content] = [:]
      var versions: [(Name, Content)] = []
      for _ in 0..<1_200 {
        let name = names.randomElement(using: &random)!
        let content = randomContent(copies[0].now, &random)
        versions.append((name, content))
        if model[name].map({ isAbove(content, $0) }) ?? true { model[name] = content }
      }
      // The first takes all in order, the second each once or more in any order, the third one half; then it takes
      // what the others ended with.
      for (name, content) in versions { _ = copies[0].merge(name, content) }
      let repeated = versions + versions.filter { _ in Int.random(in: 0..<3, using: &random) == 0 }
      for (name, content) in repeated.shuffled(using: &random) {
        _ = copies[1].merge(name, content)
        if Int.random(in: 0..<50, using: &random) == 0 { _ = copies[1].store.compact(moves: 20, as: 1) }
      }
      for (name, content) in versions.prefix(600).shuffled(using: &random) { _ = copies[2].merge(name, content) }
      for (name, content) in copies[1].contents() { _ = copies[2].merge(name, content) }
      let agrees = copies.allSatisfy { $0.contents() == model }
      #expect(agrees, "round \(round) with seed \(seed)")
      let isDigestEqual = copies.allSatisfy { $0.digests() == copies[0].digests() }
      #expect(isDigestEqual, "round \(round) with seed \(seed)")
      for (number, copy) in copies.enumerated() {
        #expect(copy.complaint() == nil, "copy \(number) in round \(round) with seed \(seed)")
        for (name, content) in model {
          let isLive = content.kind == .value && (content.expiresAt == 0 || content.expiresAt > copy.now)
          #expect(copy.merge(name, content) == .same)
          #expect(copy.plain.get(name.bytes, name.namespace) == (isLive ? content.value : nil))
        }
      }
    }
  }

  @Test("says what became of a version")
  func outcomes() throws {
    var copy = try Copy()
    let store = copy.store
    let base = UInt64(copy.now) << 16
    func value(_ stamp: UInt64, _ text: String, expiresAt: Int64 = 0) -> Content {
      var content = Content(kind: .value, stamp: stamp)
      content.value = bytes(text)
      content.expiresAt = expiresAt
      return content
    }
    let name = Name("k", 1)
    #expect(copy.merge(name, Content(kind: .evicted, stamp: base)) == .same)
    #expect(copy.merge(name, value(base + 16, "b")) == .applied)
    #expect(copy.merge(name, value(base + 16, "b")) == .same)
    #expect(copy.merge(name, value(base + 16, "a")) == .older)
    #expect(copy.merge(name, value(base, "z")) == .older)
    #expect(copy.merge(name, Content(kind: .evicted, stamp: base)) == .older)
    #expect(copy.merge(name, Content(kind: .evicted, stamp: base + 32)) == .applied)
    #expect(store.floor(of: copy.slot(name)).rawValue == base + 16, "what left was no newer")
    #expect(store.evictedAt(copy.slot(name)) == 0, "and it was not this node's own eviction")
    #expect(copy.content(name) == nil)
    #expect(copy.merge(name, Content(kind: .tombstone, stamp: base + 48)) == .applied)
    #expect(copy.merge(name, Content(kind: .tombstone, stamp: base + 64)) == .applied)
    #expect(copy.merge(name, Content(kind: .tombstone, stamp: base + 64)) == .same)
    #expect(copy.merge(name, Content(kind: .evicted, stamp: base + 80)) == .same)
    #expect(copy.merge(name, value(base + 64, "c")) == .older, "a tombstone is above a value")
    #expect(store.tombstoneCount == 1)
    #expect(copy.merge(name, value(base + 80, "d", expiresAt: copy.now + 10)) == .applied)
    #expect(store.tombstoneCount == 0)
    copy.now += 100
    #expect(copy.merge(name, value(base + 70, "e")) == .older, "what has expired is a version until it is removed")
    #expect(copy.merge(name, value(base + 96, "f")) == .applied)
    #expect(store.count(in: 1) == 1 && store.statistics(of: 1).expirations == 0)
    #expect(copy.merge(name, value(base + 112, "g", expiresAt: copy.now)) == .applied)
    #expect(copy.plain.get(name.bytes, 1) == nil, "it has expired, and took the place of what was older")
    #expect(copy.merge(Name("k", 9), value(base, "x")) == .refused)
    #expect(copy.merge(Name("k", 400), value(base, "x")) == .refused)
    #expect(copy.merge(name, value(0, "x")) == .refused)
    #expect(copy.merge(name, value(1 << 63, "x")) == .refused)
    #expect(copy.complaint() == nil)
  }

  @Test("raises the clock that own writes take their stamps from")
  func clocks() throws {
    let copy = try Copy(mark: 3)
    let ahead = UInt64(copy.now + 60_000) << 16
    #expect(copy.merge(Name("{t}a"), Content(kind: .tombstone, stamp: ahead)) == .applied)
    copy.plain.set(bytes("{t}b"), bytes("1"))
    #expect(copy.content(Name("{t}b"))?.stamp == ahead + 16 + 3)
    #expect(copy.store.lastStamp(of: copy.slot(Name("{t}b"))).rawValue == ahead + 19)
  }

  @Test("copies a large value before its stripe is locked, and takes it only if it is newer")
  func large() throws {
    let copy = try Copy(limitBytes: 128 << 20)
    for name in [Name("k"), Name([UInt8](repeating: 4, count: 3_000), 1)] {
      let before = copy.store.memory.usedBytes
      var content = Content(kind: .value, stamp: UInt64(copy.now) << 16)
      content.value = (0..<3_000_000).map { UInt8(truncatingIfNeeded: $0 &* 7) }
      #expect(copy.merge(name, content) == .applied)
      #expect(copy.plain.get(name.bytes, name.namespace) == content.value)
      let used = copy.store.memory.usedBytes
      #expect(copy.merge(name, content) == .same)
      content.stamp -= 16
      #expect(copy.merge(name, content) == .older)
      #expect(copy.store.memory.usedBytes == used)
      content.stamp += 32
      content.value.removeLast()
      copy.plain.with(name.bytes, name.namespace) { _ in #expect(copy.merge(name, content) == .applied) }
      #expect(copy.plain.get(name.bytes, name.namespace) == content.value)
      #expect(copy.complaint() == nil)
      #expect(copy.plain.delete(name.bytes, name.namespace))
      #expect(copy.store.memory.usedBytes <= before + (256 << 10))
    }
  }

  @Test("makes room as a write does, and changes nothing where there is none")
  func room() throws {
    for eviction in [EvictionPolicyName.lru, .none] {
      let copy = try Copy(limitBytes: 4 << 20, stamped: 1, eviction: eviction)
      var refused = 0
      for number in 0..<400 {
        var content = Content(kind: .value, stamp: UInt64(copy.now) << 16 + UInt64(number) << 4)
        content.value = [UInt8](repeating: 1, count: 30_000)
        let outcome = copy.merge(Name("key:\(number)"), content)
        if outcome == .outOfMemory { refused += 1 }
        #expect((copy.content(Name("key:\(number)")) != nil) == (outcome == .applied))
      }
      #expect(eviction == .none ? refused > 200 : refused == 0)
      #expect(copy.store.memory.usedBytes <= (4 << 20) + (64 << 10))
      #expect(copy.complaint() == nil)
      #expect(copy.merge(Name("other"), Content(kind: .tombstone, stamp: UInt64(copy.now) << 16)) == .applied)
    }
  }

  @Test("tells those who watch a key what they can see")
  func watching() throws {
    nonisolated(unsafe) var told: [String] = []
    let copy = try Copy()
    copy.store.onWatchedChange = { _, name in told.append(String(decoding: name, as: UTF8.self)) }
    copy.plain.with(bytes("{t}")) { copy.store.watch($0) }
    let base = UInt64(copy.now) << 16
    var content = Content(kind: .value, stamp: base)
    content.value = [1]
    _ = copy.merge(Name("{t}a"), content)
    _ = copy.merge(Name("{t}a"), content)
    #expect(told == ["{t}a"])
    _ = copy.merge(Name("{t}a"), Content(kind: .tombstone, stamp: base + 16))
    _ = copy.merge(Name("{t}a"), Content(kind: .tombstone, stamp: base + 32))
    _ = copy.merge(Name("{t}b"), Content(kind: .tombstone, stamp: base + 32))
    #expect(told == ["{t}a", "{t}a"])
    content.stamp = base + 48
    _ = copy.merge(Name("{t}b"), content)
    _ = copy.merge(Name("{t}b"), Content(kind: .evicted, stamp: base + 64))
    #expect(told == ["{t}a", "{t}a", "{t}b", "{t}b"])
  }
}
