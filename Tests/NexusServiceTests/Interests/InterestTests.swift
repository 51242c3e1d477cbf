import NexusModel
import NexusStore
import Synchronization
import Testing

@testable import NexusService

/// A store with two loops that nobody runs: what is to be told is looked at directly.
private struct Place {
  let node: Node
  var store: Store { node.store }
  var interests: Interests { node.interests }

  init(_ settings: Settings = Settings()) throws {
    node = Node(
      store: try Store(StoreConfiguration()), loopCount: 2, log: SilentLog(), startedAt: 1,
      runID: String(repeating: "0", count: 40), settings: settings)
  }

  func with<Result>(_ text: String, in namespace: NamespaceNumber = 0, _ body: (Key) -> Result) -> Result {
    Array(text.utf8).withUnsafeBytes { bytes in
      let key = store.key(bytes, in: namespace)
      let taken = store.lock(key, as: 1)
      defer { store.unlock(key, taken) }
      return body(key)
    }
  }

  func add(_ client: UInt64, loop: Int = 0, _ text: String, in namespace: NamespaceNumber = 0) {
    with(text, in: namespace) { interests.add(.client(client, loop: loop), to: $0) }
  }

  func set(_ text: String, in namespace: NamespaceNumber = 0) {
    with(text, in: namespace) { key in
      [UInt8]("v".utf8).withUnsafeBytes { value in
        _ = store.put(key, over: store.find(key, now: 1), value, .none)
      }
    }
  }

  func told(_ loop: Int = 0) -> [InterestNews] { interests.takeNews(loop: loop) }
  func changed(_ client: UInt64, _ text: String, in namespace: NamespaceNumber = 0) -> InterestNews {
    .changed(client: client, key: KeyName(namespace: namespace, key: Array(text.utf8)), writer: 0)
  }
}

@Suite("Interests")
struct InterestTests {
  @Test("are told of the next change, once, each on its own loop")
  func once() throws {
    let place = try Place()
    place.add(7, "k")
    place.add(7, "k")
    place.add(8, loop: 1, "k")
    #expect(place.interests.keyCount == 1)
    #expect(place.interests.partyCount == 2)
    place.set("other")
    #expect(!place.interests.hasNews(loop: 0))
    place.set("k")
    #expect(place.told() == [place.changed(7, "k")])
    #expect(place.told(1) == [place.changed(8, "k")])
    place.set("k")
    #expect(!place.interests.hasNews(loop: 0))
    #expect(place.interests.keyCount == 0)
    #expect(place.interests.partyCount == 0)
  }

  @Test("are in a key of one namespace, and end with it")
  func namespaces() throws {
    let place = try Place()
    place.add(7, "k")
    place.add(7, "k", in: 3)
    place.set("k", in: 3)
    #expect(place.told() == [place.changed(7, "k", in: 3)])
    place.add(7, "l", in: 3)
    place.interests.begin(.client(7, loop: 0))
    place.interests.flushed([3], as: 1)
    #expect(place.interests.keyCount == 1)
    #expect(place.told() == [.flushed([3])])
    place.set("k")
    #expect(place.told() == [place.changed(7, "k")])
  }

  @Test("hear of deletes and of expiry")
  func goings() throws {
    let place = try Place()
    place.set("gone")
    place.add(7, "gone")
    place.with("gone") { key in place.store.remove(key, place.store.find(key, now: 1)!) }
    #expect(place.told() == [place.changed(7, "gone")])
    place.with("brief") { key in
      [UInt8]("v".utf8).withUnsafeBytes { _ = place.store.put(key, over: nil, $0, .at(5)) }
    }
    place.add(7, "brief")
    place.with("brief") { #expect(place.store.find($0, now: 6) == nil) }
    #expect(place.told() == [place.changed(7, "brief")])
  }

  @Test("past the limit some are told early, and no memory stays behind")
  func limit() throws {
    let settings = Settings()
    try settings.change([(id: .trackingTableMaxKeys, text: "100")])
    let place = try Place(settings)
    let before = place.store.configuration.outside.bytes
    for number in 0..<1000 { place.add(7, "key \(number)") }
    #expect(place.store.configuration.outside.bytes > before + 1000 * 100)
    place.interests.trim(as: 1)
    #expect(place.interests.keyCount == 100)
    #expect(Set(place.told().map { "\($0)" }).count == 900, "each of them once")
    place.interests.flushed([0], as: 1)
    #expect(place.interests.keyCount == 0)
    #expect(place.store.configuration.outside.bytes == before)
  }

  @Test("of clients that are gone do not gather")
  func leftovers() throws {
    let place = try Place()
    for number in UInt64(1)...10_000 {
      let client = InterestedParty.client(number, loop: 0)
      place.interests.begin(client)
      place.add(number, "k")
      if number % 1000 != 0 { place.interests.end(client) }
    }
    #expect(place.interests.partyCount < 64)
    place.set("k")
    let told = place.told()
    for number in stride(from: UInt64(1000), through: 10_000, by: 1000) {
      #expect(told.contains(place.changed(number, "k")))
    }
  }

  @Test("in prefixes hear of every change of every slot, as long as somebody has one")
  func prefixes() throws {
    let place = try Place()
    place.interests.listen(to: [Array("a".utf8), Array("b".utf8)], loop: 1)
    place.set("a1")
    place.set("c")
    place.set("a1")
    let name = KeyName(namespace: 0, key: Array("a1".utf8))
    #expect(place.told(1) == Array(repeating: .broadcast(prefix: [0x61], key: name, writer: 0), count: 2))
    #expect(!place.interests.hasNews(loop: 0))
    place.interests.unlisten(to: [Array("a".utf8)], loop: 1)
    place.set("a1")
    #expect(place.told(1) == [])
    place.interests.unlisten(to: [Array("b".utf8)], loop: 1)
    #expect(place.interests.prefixCount == 0)
    let heard = Mutex(0)
    place.store.onWatchedChange = { _, _ in heard.withLock { $0 += 1 } }
    place.set("b")
    #expect(heard.withLock { $0 } == 0, "the store reports nothing any more")
  }

  @Test("of a loop that does not come to tell take bounded memory")
  func overflow() throws {
    let place = try Place()
    place.interests.listen(to: [[]], loop: 0)
    for number in 0..<(InterestOutbox.broadcastsMost + 1000) { place.set("key \(number % 5000)") }
    #expect(place.told() == [.tooMany])
    place.set("k")
    #expect(place.told().count == 1)
  }

  @Test("learn who has written, where that is somebody who does not want to hear of it")
  func writer() throws {
    let place = try Place()
    place.add(7, "k")
    place.interests.setWriter(7, as: 1)
    place.set("k")
    place.interests.setWriter(0, as: 1)
    let name = KeyName(namespace: 0, key: Array("k".utf8))
    #expect(place.told() == [.changed(client: 7, key: name, writer: 7)])
  }

  @Test("of another member's stream are told on the stream's loop, behind its loop's back")
  func streams() throws {
    let place = try Place()
    let stream = place.interests.beginStream(loop: 1)
    place.with("k") { place.interests.add(stream, to: $0) }
    place.add(7, "k")
    place.set("k")
    #expect(place.told() == [place.changed(7, "k")])
    #expect(place.told(1) == [])
    #expect(place.interests.hasStreamNews(loop: 1))
    #expect(
      place.interests.takeStreamNews(loop: 1)
        == [.changed(stream: stream.stream, key: KeyName(namespace: 0, key: Array("k".utf8)))])
    place.set("k")
    #expect(!place.interests.hasStreamNews(loop: 1))
  }

  @Test("streams hear of a flush, and of a slot that leaves; what has ended is not told")
  func streamsOfSlots() throws {
    let place = try Place()
    let (one, other) = (place.interests.beginStream(loop: 0), place.interests.beginStream(loop: 0))
    place.with("k") { key in
      place.interests.add(one, to: key)
      place.interests.add(other, to: key)
      place.interests.leave(slot: key.slot)
    }
    let name = KeyName(namespace: 0, key: Array("k".utf8))
    #expect(
      place.interests.takeStreamNews(loop: 0)
        == [.changed(stream: one.stream, key: name), .changed(stream: other.stream, key: name)])
    #expect(place.interests.keyCount == 0)
    place.interests.flushed([0, 3], as: 1)
    #expect(place.interests.takeStreamNews(loop: 0) == [.flushed([0, 3])])
    place.interests.endStream(one)
    place.interests.endStream(other)
    place.interests.flushed([0], as: 1)
    #expect(!place.interests.hasStreamNews(loop: 0))
  }
}
