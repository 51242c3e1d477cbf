import NexusModel
import Testing

@testable import NexusService

@Suite("Events")
struct EventBusTests {
  func makeBus() -> EventBus { EventBus(runID: "0123456789abcdef", gauge: MemoryGauge()) }

  func announce(_ bus: EventBus, _ topic: EventBus.Topic = .membership, _ event: String = "joined") {
    bus.announce(topic, event, by: "n\"1", at: 1_700_000_000_000) { $0.append(",\"member\":\"n2\"") }
  }

  @Test("say their type, what, who, when and their number, as one JSON object")
  func words() {
    let bus = makeBus()
    announce(bus)
    guard case .event(let event) = bus.read(after: 0) else { return #expect(Bool(false)) }
    #expect(
      String(decoding: event.text, as: UTF8.self)
        == #"{"type":"membership","event":"joined","node":"n\"1","run":"01234567","sequence":1,"#
        + #""time":1700000000000,"member":"n2"}"#)
    #expect(bus.count(of: .membership) == 1 && bus.count(of: .topology) == 0)
  }

  @Test("come to every listener in their order, and to none that has left")
  func listeners() {
    let bus = makeBus()
    let heard = Guarded<[UInt64]>([])
    let gone = Guarded(0)
    let leaving = bus.listen { _ in gone.withLock { $0 += 1 } }
    _ = bus.listen { event in heard.withLock { $0.append(event.sequence) } }
    announce(bus)
    bus.forget(leaving)
    announce(bus, .topology, "settled")
    announce(bus)
    #expect(heard.withLock { $0 } == [1, 2, 3])
    #expect(gone.withLock { $0 } == 1)
  }

  @Test("are read in order from anywhere; who asks for what is forgotten is told through where")
  func remembering() {
    let bus = makeBus()
    guard case .nothing = bus.read(after: 0) else { return #expect(Bool(false), "an empty bus has something") }
    let extra: UInt64 = 10
    for _ in 0..<(UInt64(EventBus.rememberedMost) + extra) { announce(bus) }
    guard case .missed(through: extra) = bus.read(after: 0) else { return #expect(Bool(false), "nothing was missed") }
    guard case .missed(through: extra) = bus.read(after: extra - 1) else { return #expect(Bool(false)) }
    guard case .event(let first) = bus.read(after: extra) else { return #expect(Bool(false)) }
    #expect(first.sequence == extra + 1)
    guard case .event(let last) = bus.read(after: bus.last - 1) else { return #expect(Bool(false)) }
    #expect(last.sequence == bus.last)
    guard case .nothing = bus.read(after: bus.last) else { return #expect(Bool(false)) }
    guard case .nothing = bus.read(after: bus.last + 5) else { return #expect(Bool(false)) }
  }

  @Test("are remembered within a bound of bytes, which counts against the node's memory")
  func bytes() {
    let gauge = MemoryGauge()
    let bus = EventBus(runID: "r", gauge: gauge)
    let text = String(repeating: "x", count: 50_000)
    for _ in 0..<100 { bus.announce(.topology, "slots_moved", by: "n", at: 0) { $0.append(",\"x\":\"\(text)\"") } }
    #expect(gauge.bytes > 500_000 && gauge.bytes <= EventBus.rememberedBytesMost)
    guard case .missed(let through) = bus.read(after: 0) else { return #expect(Bool(false)) }
    #expect((75...85).contains(through), "\(through)")
  }
}
