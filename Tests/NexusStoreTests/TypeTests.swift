import NexusModel
import Testing

@testable import NexusStore

@Suite("The type of an entry's value")
struct TypeTests {
  private func type(of name: String, in plain: Plain) -> ValueType? {
    plain.with(bytes(name)) { key in plain.store.find(key, now: plain.now).map { $0.type } }
  }

  private func put(_ name: String, _ value: [UInt8], _ type: ValueType, _ expiry: Expiry = .none, in plain: Plain) {
    let outcome = plain.with(bytes(name)) { key in
      value.withUnsafeBytes {
        plain.store.put(key, over: plain.store.find(key, now: plain.now), $0, expiry, type: type)
      }
    }
    #expect(outcome == .stored)
  }

  @Test("is what it was written as, whatever the lengths", arguments: [0, 8, 1023, 1024, 5000, 100_000, 3_000_000])
  func ofEveryLength(_ count: Int) throws {
    let plain = try Plain()
    put("filter", [UInt8](repeating: 1, count: count), .cuckooFilter, in: plain)
    put("string", [UInt8](repeating: 2, count: count), .string, in: plain)
    #expect(type(of: "filter", in: plain) == .cuckooFilter)
    #expect(type(of: "string", in: plain) == .string)
    plain.with(bytes("filter")) { #expect(plain.store.find($0, now: plain.now)?.isString == false) }
    plain.with(bytes("string")) { #expect(plain.store.find($0, now: plain.now)?.isString == true) }
  }

  @Test("changes with what overwrites it, even where the bytes would fit in place")
  func overwriting() throws {
    let plain = try Plain()
    for count in [10, 70_000, 2_000_000] {
      let value = [UInt8](repeating: 7, count: count)
      put("k", value, .cuckooFilter, in: plain)
      plain.set(bytes("k"), value)
      #expect(type(of: "k", in: plain) == .string)
      put("k", value, .cuckooFilter, in: plain)
      let outcome = value.withUnsafeBytes { value in
        bytes("k").withUnsafeBytes {
          plain.store.set(
            plain.store.key($0, in: 0), to: value, .none, touch: true, as: plain.worker, now: plain.now)
        }
      }
      #expect(outcome == .stored)
      #expect(type(of: "k", in: plain) == .string)
      #expect(plain.get(bytes("k")) == value)
    }
    #expect(plain.delete(bytes("k")))
    #expect(plain.store.memory.entryBytes == 0)
  }

  @Test("stays while the entry's expiry and fields change and its value grows")
  func staying() throws {
    let plain = try Plain()
    put("k", [1, 2, 3], .cuckooFilter, in: plain)
    plain.with(bytes("k")) { key in
      let store = plain.store
      var entry = store.setExpiry(key, store.find(key, now: plain.now)!, .at(9_000_000))
      #expect(entry?.type == .cuckooFilter)
      entry = store.setFields(key, entry!, clientFlags: 5, version: 6, stamp: 7)
      #expect(entry?.type == .cuckooFilter)
      for count in [100, 5000, 50_000] {
        #expect(store.resize(key, store.find(key, now: plain.now), to: count, type: .cuckooFilter) { _ in } == .stored)
        let grown = store.find(key, now: plain.now)!
        #expect(grown.type == .cuckooFilter && Array(grown.value.prefix(4)) == [1, 2, 3, 0])
        #expect(grown.value.count == count && grown.expiresAt == 9_000_000 && grown.stamp == 7)
      }
    }
  }
}
