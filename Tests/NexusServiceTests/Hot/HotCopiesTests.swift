import NexusModel
import NexusStore
import NexusTestSupport
import Testing

@testable import NexusService

@Suite("The places of copies of hot keys")
struct HotCopiesTests {
  private let store = try! Store(StoreConfiguration())
  private let mark = HotMarks(SlotRoutes()).mark(of: 0)

  private func with<Result>(_ text: String, _ body: (Key) -> Result) -> Result {
    Array(text.utf8).withUnsafeBytes { body(store.key($0, in: 0)) }
  }

  private func text(_ value: HotValue) -> String? {
    if case .value(let bytes) = value { String(decoding: bytes, as: UTF8.self) } else { nil }
  }

  private func store(_ value: String?, _ copies: inout HotCopies, at index: Int, limit: Int) -> Bool {
    guard let value else { return copies.store(nil, at: index, mark: mark, until: 1, limitBytes: limit) }
    return Array(value.utf8).withUnsafeBytes { copies.store($0, at: index, mark: mark, until: 1, limitBytes: limit) }
  }

  @Test("keep what was stored, also an empty value and that there is none, under keys of any length")
  func kept() {
    var copies = HotCopies()
    defer { copies.deallocate() }
    for (key, value) in [("a", "1"), ("", "of the empty key"), ("b", ""), ("long".repeated(200), "x".repeated(999))] {
      let index = with(key) { copies.add($0)! }
      #expect(store(value, &copies, at: index, limit: 1 << 20))
      #expect(with(key) { copies.find($0) } == index)
      #expect(text(copies.places[index].value) == value)
    }
    let index = with("b") { copies.find($0)! }
    #expect(store(nil, &copies, at: index, limit: 1 << 20))
    #expect(text(copies.places[index].value) == nil)
    #expect(with("c") { copies.find($0) } == nil)
    #expect(copies.count == 4)
  }

  @Test("stay within their bytes: what is read least goes first, and what is too large is not taken")
  func bounded() {
    var copies = HotCopies()
    defer { copies.deallocate() }
    for number in 0..<10 {
      let index = with("k\(number)") { copies.add($0)! }
      copies.places[index].recentReads = UInt32(number)
      #expect(store("v".repeated(98), &copies, at: index, limit: 500))
      #expect(copies.byteCount <= 500)
    }
    #expect((0..<10).filter { number in with("k\(number)") { copies.find($0) } != nil } == [5, 6, 7, 8, 9])
    let index = with("k9") { copies.find($0)! }
    #expect(!store("v".repeated(200), &copies, at: index, limit: 500))
    #expect(copies.places[index].until == 0)
  }

  @Test("any order of coming, changing and going, compared with a dictionary", arguments: 1...8)
  func likeADictionary(_ seed: UInt64) {
    var dice = Dice(seed: seed)
    var copies = HotCopies()
    defer { copies.deallocate() }
    var model: [String: String] = [:]
    for _ in 0..<5000 {
      let key = "k\(dice.next() % 700)"
      let index = with(key) { copies.find($0) }
      #expect((index != nil) == (model[key] != nil), "seed \(seed)")
      switch dice.next() % 4 {
      case 0: if let index { copies.remove(index); model[key] = nil }
      case 1: if let index { copies.empty(index); model[key] = "" }
      default:
        let value = "v".repeated(Int(dice.next() % 40))
        let place = index ?? with(key) { copies.add($0)! }
        #expect(store(value, &copies, at: place, limit: 1 << 20))
        model[key] = value
      }
    }
    #expect(copies.count == model.count)
    #expect(copies.byteCount == model.reduce(0) { $0 + $1.key.count + $1.value.count })
    for (key, value) in model {
      #expect(text(copies.places[with(key) { copies.find($0)! }].value) == value, "seed \(seed)")
    }
  }

  @Test("more keys than places: the one that is read least makes room")
  func full() {
    var copies = HotCopies()
    defer { copies.deallocate() }
    for number in 0..<HotCopies.capacity {
      let index = with("k\(number)") { copies.add($0)! }
      copies.places[index].recentReads = number == 500 ? 1 : 2
    }
    _ = with("one more") { copies.add($0) }
    #expect(copies.count == HotCopies.capacity)
    #expect(with("k500") { copies.find($0) } == nil)
    #expect(with("one more") { copies.find($0) } != nil)
  }
}

extension String {
  fileprivate func repeated(_ count: Int) -> String { String(repeating: self, count: count) }
}
