import NexusModel
import NexusTestSupport
import NexusWire
import Testing

/// What is written is read again, whatever it is.
@Suite struct RoundTripTests {
  @Test func framesOfRandomMessagesComeBack() throws {
    let seed = Dice.seed()
    print("NEXUS_SEED=\(seed)")
    var samples = Samples(seed: seed)
    for _ in 0..<150 {
      let frame = SampleFrame(&samples, items: samples.dice.below(12))
      let read = try Description.frame(frame.bytes).get()
      let missing = frame.description.lines.subtracting(read.lines).sorted()
      let surplus = read.lines.subtracting(frame.description.lines).sorted()
      try #require(missing.isEmpty && surplus.isEmpty, "seed \(seed): lost \(missing), found \(surplus)")
    }
  }

  @Test func gossipPacketsComeBack() throws {
    let seed = Dice.seed()
    print("NEXUS_SEED=\(seed)")
    var samples = Samples(seed: seed)
    for _ in 0..<300 {
      let packet = samples.packet()
      let bytes = written { packet.encode(to: &$0) }
      #expect(bytes.count == packet.encodedCount)
      #expect(try bytes.withUnsafeBytes { try GossipPacket(decoding: $0) } == packet, "seed \(seed)")
      var fewer = packet
      guard let last = fewer.updates.popLast() else { continue }
      #expect(bytes.count - fewer.encodedCount == GossipPacket.encodedCount(of: last), "seed \(seed)")
    }
  }

  @Test func numbersTakeTheBytesOfTheSpecification() throws {
    // The examples of "Encoding": 150, and the signed numbers around zero.
    #expect(written { $0.varint(150) } == [0x96, 0x01])
    #expect(written { $0.put(WireField(1, "a"), UInt64(150)) } == [0x08, 0x96, 0x01])
    for (value, encoded) in [(0, 0), (-1, 1), (1, 2), (-2, 3), (0x7FFF_FFFF, 0xFFFF_FFFE)] as [(Int64, UInt64)] {
      #expect(UInt64(zigzag: value) == encoded)
      #expect(Int64(zigzag: encoded) == value)
    }
    for value in [Int64.min, .max] { #expect(Int64(zigzag: UInt64(zigzag: value)) == value) }
    for shift in 0..<64 {
      for value in [UInt64(1) << shift, (UInt64(1) << shift) - 1, UInt64.max >> shift] {
        let bytes = written { $0.varint(value) }
        #expect(bytes.count == value.varintCount)
        let memory = Memory()
        var reader = WireReader(memory.keep(bytes))
        let read = try reader.varint("number")
        #expect(read == value && reader.isAtEnd)
      }
    }
  }

  @Test func aReplyWrittenInPlaceIsTheReplyWrittenAtOnce() {
    for count in [
      0, 1, 100, 117, 118, 119, 120, 121, 122, 123, 124, 125, 126, 127, 128, 129, 16_370, 16_384, 3_000_000,
    ] {
      for id: UInt32 in [0, 1, 127, 128, .max] {
        let payload = [UInt8]((0..<count).map { UInt8(truncatingIfNeeded: $0) })
        let atOnce = written { out in
          out.append("before")
          payload.withUnsafeBytes { Reply(id: id, outcome: .payload($0)).append(to: &out) }
        }
        let inPlace = written { out in
          out.append("before")
          let opening = Reply.open(id, in: &out)
          payload.withUnsafeBytes { out.append($0) }
          Reply.close(opening, in: &out)
        }
        let isEqual = inPlace == atOnce
        #expect(isEqual, "payload of \(count), id \(id)")
      }
    }
  }

  @Test func slotListsAreRuns() throws {
    let list = SlotList([7, 2, 0, 1, 2].map { Slot(index: $0) })
    #expect(list.ranges == [0..<3, 7..<8])
    #expect(list.count == 4)
    #expect(written { list.encode(to: &$0) } == [0x0A, 4, 0, 3, 4, 1])
    #expect(SlotList.all.encodedCount == 6)
    let everySecond = SlotList((0..<Slot.count / 2).map { Slot(index: UInt16($0 * 2)) })
    let encoded = written { everySecond.encode(to: &$0) }
    #expect(try encoded.withUnsafeBytes { try SlotList(decoding: $0) } == everySecond)
    #expect(SlotList().encodedCount == 0)
    // Numbers one by one are as good as packed ones.
    let unpacked: [UInt8] = [0x08, 0, 0x08, 3, 0x08, 4, 0x08, 1]
    #expect(try unpacked.withUnsafeBytes { try SlotList(decoding: $0) } == list)
  }

  @Test func anEntryOfEffectsIsWrittenAsAnyOther() {
    var samples = Samples(seed: 7)
    for _ in 0..<300 {
      let entry = samples.entry()
      let effect = written { Effects.append(entry, to: &$0) }
      let element = written { $0.element(WireField(2, "Effects.entries"), entry) }
      #expect(effect == element, "\(entry)")
    }
  }

  @Test func theHighestCommonVersionIsSpoken() {
    #expect(Hello.agreed(1...3, 2...5) == 3)
    #expect(Hello.agreed(2...5, 1...3) == 3)
    #expect(Hello.agreed(1...1, 2...5) == nil)
    #expect(Hello.agreed(4...5, 1...3) == nil)
  }
}
