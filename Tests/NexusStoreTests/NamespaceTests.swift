import NexusModel
import Testing

@testable import NexusStore

@Suite("Namespaces of a store")
struct NamespaceTests {
  private func declare(_ name: String, in plain: Plain, _ change: (inout NamespaceSettings) -> Void = { _ in })
    -> NamespaceNumber
  {
    var settings = NamespaceSettings(name: name)
    change(&settings)
    let number = NamespaceName.number(of: name)
    plain.store.configure(number, settings, as: plain.worker)
    return number
  }

  private func number(named name: String, in store: Store) -> NamespaceNumber? {
    Array(name.utf8).withUnsafeBytes { store.number(named: $0) }
  }

  @Test func theDatabasesAreThereFromTheStart() throws {
    let plain = try Plain()
    #expect(Array(plain.store.configuredNumbers) == Array(0..<16))
    #expect(number(named: "default", in: plain.store) == 0)
    #expect(number(named: "db15", in: plain.store) == 15)
    #expect(number(named: "db16", in: plain.store) == nil)
    #expect(plain.store.settings(of: 16) == nil)
  }

  @Test func aNamespaceIsFoundByItsNameAndKeepsItsOwnKeys() throws {
    let plain = try Plain()
    #expect(number(named: "scores", in: plain.store) == nil)
    let scores = declare("scores", in: plain)
    #expect(number(named: "scores", in: plain.store) == scores)
    #expect(Array(plain.store.configuredNumbers) == Array(0..<16) + [scores])
    plain.set([1], [10])
    plain.set([1], [20], scores)
    #expect(plain.get([1]) == [10])
    #expect(plain.get([1], scores) == [20])
    #expect(plain.keys(scores) == [[1]])
    plain.store.flush(scores, as: plain.worker)
    #expect(plain.get([1], scores) == nil)
    #expect(plain.get([1]) == [10])
    plain.set([1], [30], scores)
    #expect(plain.get([1], scores) == [30])
  }

  @Test func settingsMayChangeAndANumberIsListedOnce() throws {
    let plain = try Plain()
    let scores = declare("scores", in: plain)
    _ = declare("scores", in: plain) { $0.limitEntries = 2 }
    #expect(plain.store.configuredNumbers.count == 17)
    #expect(plain.store.settings(of: scores)?.limitEntries == 2)
    for key in 0..<10 { plain.set([UInt8(key)], [1], scores) }
    #expect(plain.store.count(in: scores) == 2)
  }

  @Test func anotherNameWithTheSameNumberIsNotTakenForIt() throws {
    let plain = try Plain()
    let (one, two) = Self.namesThatMeet
    _ = declare(one, in: plain)
    #expect(number(named: two, in: plain.store) == nil)
    #expect(number(named: one, in: plain.store) != nil)
  }

  /// Of ever more names, the first two with one number.
  static let namesThatMeet: (String, String) = {
    var seen: [NamespaceNumber: String] = [:]
    var index = 0
    while true {
      let name = "n\(index * 7919)"
      if let other = seen.updateValue(name, forKey: NamespaceName.number(of: name)) { return (other, name) }
      index += 1
    }
  }()

  @Test(arguments: EvictionPolicyName.allCases.filter { $0 != .none })
  func aLimitedNamespaceEvictsItsOwnEntriesOnly(_ eviction: EvictionPolicyName) throws {
    let plain = try Plain()
    let small = declare("small", in: plain) {
      $0.limitBytes = 2048
      $0.eviction = eviction
    }
    for key in 0..<200 { plain.set([UInt8(key)], [1, 2, 3]) }
    // The policy ttl takes only what expires.
    let expiry = Expiry.at(plain.now + 60_000)
    for key in 0..<200 {
      #expect(plain.set([UInt8(key)], [UInt8](repeating: 7, count: 100), small, expiry) == .stored)
    }
    #expect(plain.store.statistics(of: small).bytes <= 2048)
    #expect(plain.store.count(in: small) > 5)
    #expect(plain.store.statistics(of: small).evictions > 0)
    #expect(plain.store.count(in: 0) == 200)
    #expect(plain.store.statistics(of: 0).evictions == 0)
  }

  @Test func aNamespaceThatEvictsNothingRefusesAndOthersGoOn() throws {
    let plain = try Plain()
    let fixed = declare("fixed", in: plain) {
      $0.limitEntries = 3
      $0.eviction = .none
    }
    for key in 0..<3 { #expect(plain.set([UInt8(key)], [1], fixed) == .stored) }
    #expect(plain.set([9], [1], fixed) == .outOfMemory)
    #expect(plain.set([9], [1]) == .stored)
  }

  /// Under the node's ceiling the largest namespace pays, wherever its number is.
  @Test func underTheNodesCeilingTheLargestPays() throws {
    let plain = try Plain(limitBytes: 8 << 20)
    let kept = declare("kept", in: plain) { $0.eviction = .none }
    let large = declare("large", in: plain)
    for key in 0..<100 { #expect(plain.set([UInt8(key)], [UInt8](repeating: 1, count: 100), kept) == .stored) }
    for key in 0..<20_000 {
      let name = [UInt8(key & 255), UInt8(key >> 8)]
      #expect(plain.set(name, [UInt8](repeating: 2, count: 1000), large) == .stored)
    }
    #expect(plain.store.count(in: kept) == 100)
    #expect(plain.store.statistics(of: large).evictions > 0)
    for key in 0..<20_000 {
      let name = [UInt8(key & 255), UInt8(key >> 8)]
      #expect(plain.set(name, [UInt8](repeating: 3, count: 100), 0) == .stored)
    }
    #expect(plain.store.count(in: kept) == 100)
    #expect(plain.store.statistics(of: large).evictions > plain.store.statistics(of: 0).evictions)
  }

  /// Of many namespaces not all are compared at every eviction; still the large ones pay, and not the small.
  @Test func ofManyNamespacesTheLargeOnesPay() throws {
    let plain = try Plain(limitBytes: 16 << 20)
    let small = (0..<100).map { declare("small-\($0)", in: plain) }
    let large = ["one", "two"].map { declare($0, in: plain) }
    for number in small { plain.set([1], [UInt8](repeating: 1, count: 100), number) }
    for key in 0..<30_000 {
      let name = [UInt8(key & 255), UInt8(key >> 8)]
      #expect(plain.set(name, [UInt8](repeating: 2, count: 1000), large[key & 1]) == .stored)
    }
    #expect(small.allSatisfy { plain.store.statistics(of: $0).evictions == 0 })
    let bytes = large.map { plain.store.statistics(of: $0).bytes }
    #expect(large.allSatisfy { plain.store.statistics(of: $0).evictions > 5000 })
    #expect(abs(bytes[0] - bytes[1]) < 64 * 4 * 1100)
    // The largest is gone at once: others give way.
    for number in large { plain.store.flush(number, as: plain.worker) }
    for key in 0..<30_000 {
      let name = [UInt8(key & 255), UInt8(key >> 8)]
      #expect(plain.set(name, [UInt8](repeating: 3, count: 1000), 0) == .stored)
    }
  }

  @Test func allNamespacesOfASlotAreVisitedInOnePass() throws {
    let plain = try Plain()
    let scores = declare("scores", in: plain)
    plain.set([1], [10])
    plain.set([1], [20], 3)
    plain.set([1], [30], scores)
    let slot = [UInt8]([1]).withUnsafeBytes { plain.store.key($0, in: 0).slot }
    var seen: [NamespaceNumber: UInt8] = [:]
    plain.store.visit(slot: slot, in: nil, as: plain.worker, now: plain.now) { seen[$0.namespace] = $0.value[0] }
    #expect(seen == [0: 10, 3: 20, scores: 30])
  }
}
