import NexusModel
import NexusTestSupport
import NexusWire

/// Bytes that messages point to: they stay where they are as long as this lives.
final class Memory {
  private var blocks: [UnsafeMutableRawBufferPointer] = []

  func keep(_ bytes: [UInt8]) -> UnsafeRawBufferPointer {
    let block = UnsafeMutableRawBufferPointer.allocate(byteCount: bytes.count, alignment: 1)
    block.copyBytes(from: bytes)
    blocks.append(block)
    return UnsafeRawBufferPointer(block)
  }

  deinit { for block in blocks { block.deallocate() } }
}

/// What a test writes into; the bytes are taken out once.
func written(_ body: (inout OutputBuffer) -> Void) -> [UInt8] {
  var out = OutputBuffer(capacity: 1)
  defer { out.deallocate() }
  body(&out)
  return Array(out.bytes)
}

/// Random messages of every kind, around the edges of their fields.
struct Samples {
  var dice: Dice
  let memory = Memory()

  init(seed: UInt64) { dice = Dice(seed: seed) }

  mutating func number(_ limit: UInt64 = .max) -> UInt64 {
    switch dice.below(4) {
    case 0: 0
    case 1: limit
    case 2: min(limit, UInt64(dice.below(300)))
    default: min(limit, dice.next() &>> UInt64(dice.below(64)))
    }
  }

  mutating func number32(_ limit: UInt32 = .max) -> UInt32 { UInt32(number(UInt64(limit))) }
  mutating func port() -> UInt16 { UInt16(number(65_535)) }
  mutating func flag() -> Bool { dice.chance(50) }

  mutating func text(_ longest: Int = 40) -> String {
    let pieces = ["a", "Z", "0", " ", "é", "語", "🜁", "\u{0}", "\n"]
    var text = ""
    for _ in 0..<dice.below(longest / 4 + 1) { text += dice.pick(pieces) }
    return text
  }

  mutating func bytes(_ longest: Int = 300) -> [UInt8] {
    let count = dice.pick([0, 1, 127, 128, dice.below(longest + 1)])
    return (0..<min(count, longest)).map { _ in UInt8(truncatingIfNeeded: dice.next()) }
  }

  mutating func raw(_ longest: Int = 300) -> UnsafeRawBufferPointer { memory.keep(bytes(longest)) }

  mutating func memberID() -> MemberID {
    let allowed = Array("ABCxyz019._-")
    let length = dice.pick([1, 64, dice.within(1...64)])
    return MemberID(String((0..<length).map { _ in dice.pick(allowed) }))!
  }

  mutating func record() -> MemberRecord {
    let member = Member(
      id: memberID(), host: dice.pick(["127.0.0.1", "::1", "10.0.255.3"]), peerPort: port(), redisPort: port(),
      clusterPort: port(), httpPort: port(), zone: text(), weight: UInt16(dice.within(1...10_000)), isLeaving: flag(),
      isJoining: flag(), version: text(), startedAt: number())
    return MemberRecord(member: member, incarnation: number(), status: dice.pick(MemberStatus.allCases))
  }

  mutating func slots() -> SlotList {
    switch dice.below(5) {
    case 0: return SlotList()
    case 1: return .all
    case 2: return SlotList((0..<200).map { Slot(index: UInt16($0 * 2)) })
    default:
      let share = dice.within(1...99)
      let start = dice.below(Slot.count)
      let end = min(Slot.count, start + dice.below(500))
      return SlotList((start..<end).filter { _ in dice.chance(share) }.map { Slot(index: UInt16($0)) })
    }
  }

  mutating func slot() -> Slot { Slot(index: UInt16(number(UInt64(Slot.count - 1)))) }

  mutating func entry() -> WireEntry {
    WireEntry(
      key: raw(), value: raw(), namespace: number32(), expiresAt: number(), stamp: number(), clientFlags: number32(),
      version: number(), type: number32(), kind: EntryKind(rawValue: number32()),
      freshUntil: number(), tags: tags())
  }

  private mutating func tags() -> TagList {
    var tags = TagList()
    for _ in 0..<dice.below(TagList.most + 1) { _ = tags.insert(number32()) }
    return tags
  }

  mutating func key() -> WireKey { WireKey(namespace: number32(), key: raw()) }

  mutating func list<Element>(_ longest: Int = 5, _ make: (inout Samples) -> Element) -> [Element] {
    (0..<dice.below(longest + 1)).map { _ in make(&self) }
  }

  mutating func operation() -> (Operation, [UnsafeRawBufferPointer]) {
    let operation = Operation(
      id: number32(), hops: number32(), database: number32(), slot: number32(), respVersion: number32(),
      timeoutMilliseconds: number32(),
      flags: number32(), kind: OperationKind(rawValue: number32()))
    return (operation, list(12) { $0.raw() })
  }

  mutating func reply() -> Reply {
    let id = number32()
    switch dice.below(3) {
    case 0: return Reply(id: id, outcome: .payload(raw()))
    case 1:
      let member = flag() ? Array(memberID().text.utf8) : []
      return Reply(id: id, outcome: .moved(memberID: memory.keep(member)))
    default:
      let text = Array(text().utf8)
      return Reply(
        id: id, outcome: .failure(FailureCode(rawValue: number32()), text: memory.keep(text)))
    }
  }

  mutating func hello() -> Hello {
    let lowest = number32()
    return Hello(
      clusterName: text(), memberID: memberID().text, protocolVersions: lowest...max(lowest, number32()),
      productVersion: text(), loop: number32(), nonce: (0..<32).map { _ in UInt8(truncatingIfNeeded: dice.next()) },
      placementSettings: text(), stream: number())
  }

  mutating func membership() -> Membership {
    Membership(records: list { $0.record() }, isRequest: flag(), digest: number())
  }

  mutating func event() -> Event {
    Event(
      kind: Event.Kind(rawValue: number32(UInt32(Int32.max))),
      fields: list { Event.Text(name: $0.text(), text: $0.text()) }, channel: raw(), payload: raw(), isPattern: flag(),
      isSharded: flag())
  }

  mutating func packet() -> GossipPacket {
    func peer(_ samples: inout Samples) -> GossipPacket.Peer {
      GossipPacket.Peer(
        id: samples.memberID(), host: samples.dice.pick(["", "::1", "10.0.0.1"]), port: samples.port(),
        startedAt: samples.number())
    }
    return GossipPacket(
      clusterName: text(), kind: GossipPacket.Kind(rawValue: UInt32(dice.below(9))), sequence: number(),
      source: peer(&self), target: flag() ? peer(&self) : nil, digest: number(),
      updates: list { samples in
        GossipPacket.Update(record: samples.record(), accuser: samples.flag() ? samples.memberID() : nil)
      })
  }
}
