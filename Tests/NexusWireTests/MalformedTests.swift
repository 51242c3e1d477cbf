import Foundation
import NexusModel
import NexusTestSupport
import NexusWire
import Testing

/// Whatever arrives: an error that names the field, or what the bytes say. Never a crash.
@Suite struct MalformedTests {
  @Test func aFrameThatIsCutShortIsRefusedUnlessItEndsBetweenItems() throws {
    let seed = Dice.seed()
    print("NEXUS_SEED=\(seed)")
    var samples = Samples(seed: seed)
    for _ in 0..<4 {
      var frame = SampleFrame(&samples, items: 6)
      // Every byte of a short frame; of a long one its first and last kilobytes and a thousand between.
      let count = frame.bytes.count
      let cuts = (0..<count).filter {
        count < 3000 || $0 < 1000 || $0 > count - 1000 || samples.dice.below(count) < 1000
      }
      frame.boundaries.insert(count)
      for cut in cuts {
        switch Description.frame(Array(frame.bytes[..<cut])) {
        case .success: #expect(frame.boundaries.contains(cut), "seed \(seed): cut at \(cut) of \(count)")
        case .failure(let error): #expect(!frame.boundaries.contains(cut), "seed \(seed): \(error)")
        }
      }
    }
  }

  @Test func changedBytesDoNoHarm() {
    let seed = Dice.seed()
    print("NEXUS_SEED=\(seed)")
    var samples = Samples(seed: seed)
    var refused = 0
    for _ in 0..<400 {
      var bytes = SampleFrame(&samples, items: 4).bytes
      for _ in 0..<samples.dice.within(1...4) where !bytes.isEmpty {
        bytes[samples.dice.below(min(bytes.count, 400))] = UInt8(truncatingIfNeeded: samples.dice.next())
      }
      if case .failure(let error) = Description.frame(bytes) {
        refused += 1
        #expect(!error.description.isEmpty)
      }
    }
    #expect(refused > 50, "seed \(seed)")
  }

  @Test func absurdLengthsAreRefused() {
    let lengths: [[UInt8]] = [
      [0xFF, 0xFF, 0xFF, 0xFF, 0x0F], [0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0x7F],
      [0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0x01],
    ]
    for length in lengths {
      for kind in FrameKind.allCases {
        let bytes = written { $0.varint(UInt64(kind.rawValue) << 3 | 2) } + length + [0, 0]
        expect(bytes, .lengthBeyondEnd, "PeerFrame.\(kind.path)")
      }
      expect(frame(of: .operation, [0x42] + length), .lengthBeyondEnd, "Operation.arguments")
      expect(frame(of: .reply, [0x12] + length), .lengthBeyondEnd, "Reply.payload")
      expect(frame(of: .entries, [0x12, 11, 0x0A] + length), nil, nil)
    }
    let endless = [UInt8](repeating: 0x80, count: 20)
    expect(frame(of: .operation, [0x08] + endless), .varintTooLong, "Operation.id")
    expect([0x12] + endless, .varintTooLong, "PeerFrame.operations")
    expect(frame(of: .operation, [0x08] + lengths[1]), .numberTooLarge, "Operation.id")
  }

  @Test func groupsAndImpossibleTagsAreRefused() {
    expect([0x13], .group, "PeerFrame")
    expect([0x14], .group, "PeerFrame")
    expect([0x16], .invalidTag, "PeerFrame")
    expect([0x00], .invalidTag, "PeerFrame")
    expect([0x02, 0x00], .invalidTag, "PeerFrame")
    expect(frame(of: .operation, [0x00]), .invalidTag, "Operation")
    expect(frame(of: .operation, [0x53]), .group, "Operation")
    expect(frame(of: .reply, [0x2B]), .group, "Reply")
  }

  @Test func unknownFieldsAreSkippedHoweverDeeplyTheyNest() throws {
    // Field 100, a message in a message in a message ...
    var nested: [UInt8] = []
    for _ in 0..<2000 { nested = written { out in nested.withUnsafeBytes { out.element(WireField(100, "x"), $0) } } }
    let others: [UInt8] =
      written { out in
        out.put(WireField(200, "x"), UInt64.max)
        out.put(WireField(201, "x"), fixed: UInt64(1))
        out.put(WireField(202, "x"), fixed: UInt32(1))
      } + nested
    let seed = Dice.seed()
    var samples = Samples(seed: seed)
    let known = SampleFrame(&samples, items: 5)
    #expect(try Description.frame(others + known.bytes + others).get().lines == known.description.lines)
    for kind in FrameKind.allCases where ![.reply, .hello, .proof, .ownership, .replication].contains(kind) {
      #expect(try Description.frame(frame(of: kind, others)).get().lines.count <= 1, "\(kind), seed \(seed)")
    }
    let reply = try Description.frame(frame(of: .reply, others + [0x12, 1, 65] + others)).get()
    #expect(reply.lines == ["replies#1", "replies[0]?payload", "replies[0].payload=41"])
  }

  @Test func valuesThatMeanNothingAreRefused() {
    expect(frame(of: .hello, [0x18, 2, 0x20, 1]), .invalidValue, "Hello.protocol_max")
    expect(frame(of: .hello, [0x3A, 1, 0]), .invalidValue, "Hello.nonce")
    expect(frame(of: .hello, [0x3A, 33] + [UInt8](repeating: 1, count: 33)), .tooLong, "Hello.nonce")
    expect(frame(of: .hello, [0x0A, 2, 0xC3, 0x28]), .notUTF8, "Hello.cluster_name")
    expect(frame(of: .proof, [0x0A, 2, 1, 2]), .invalidValue, "Proof.hmac")
    expect(frame(of: .reply, [0x08, 1]), .missing, "Reply.outcome")
    expect(frame(of: .fetch, [0x10, 0x80, 0x80, 0x01]), .numberTooLarge, "Fetch.slot")
    expect(frame(of: .membership, [0x0A, 0]), .missing, "MemberRecord.member")
    expect(frame(of: .membership, [0x0A, 2, 0x0A, 0]), .missing, "Member.id")
    expect(frame(of: .membership, [0x0A, 5, 0x0A, 3, 0x0A, 1, 32]), .invalidValue, "Member.id")
    expect(frame(of: .membership, [0x0A, 2, 0x18, 4]), .invalidValue, "MemberRecord.status")
    for runs in [[1], [0, 0], [0, 1, 0, 1], [0x80, 0x80, 0x01, 1], [0xFF, 0x7F, 2]] as [[UInt8]] {
      let packed = [0x0A, UInt8(runs.count)] + runs
      #expect(throws: WireError(.invalidValue, "Slots.runs")) {
        try packed.withUnsafeBytes { try SlotList(decoding: $0) }
      }
    }
  }

  @Test func manyOfASmallThingAreRefusedPastTheirLimit() {
    let arguments = [UInt8]((0...WireLimits.arguments).flatMap { _ in [0x42, 0] as [UInt8] })
    expect(frame(of: .operation, arguments), .tooMany, "Operation.arguments")
    let fields = [UInt8]((0...WireLimits.eventFields).flatMap { _ in [0x12, 0] as [UInt8] })
    expect(frame(of: .event, fields), .tooMany, "Event.fields")
  }

  // MARK: The .proto files

  /// Each field of each message in the .proto files, with a wire type that is not its own, is refused by its own name:
  /// so our numbers, names and types are theirs.
  @Test func everyFieldOfTheProtoFilesKnowsItsWireType() throws {
    var fields = 0
    for (message, declared) in try ProtoFile.messages() where message != "PeerFrame" {
      guard let decode = Self.decoders[message] else {
        Issue.record("no message \(message) here")
        continue
      }
      for field in declared {
        fields += 1
        // A repeated number may come packed, as bytes: 32 bits are wrong for all.
        let value = written { out in out.put(WireField(field.number, "x"), fixed: UInt32(1)) }
        let memory = Memory()
        do throws(WireError) {
          try decode(memory.keep(value))
          Issue.record("\(message).\(field.name) takes 32 fixed bits")
        } catch {
          // What a moved reply or a list of numbers calls the field it stands in.
          #expect(error.description.hasPrefix("\(message).\(field.name): "), "\(error)")
          #expect(error.reason == .wrongWireType, "\(error)")
        }
      }
    }
    #expect(fields > 70)
  }

  static let decoders: [String: @Sendable (UnsafeRawBufferPointer) throws(WireError) -> Void] = [
    "Hello": { bytes throws(WireError) in _ = try Hello(decoding: bytes) },
    "Proof": { bytes throws(WireError) in _ = try Proof(decoding: bytes) },
    "Goodbye": { bytes throws(WireError) in _ = try Goodbye(decoding: bytes) },
    "Operation": { bytes throws(WireError) in _ = try Operation(decoding: bytes) { _ in } },
    "Reply": { bytes throws(WireError) in _ = try Reply(decoding: bytes) },
    "Moved": { bytes throws(WireError) in _ = try Reply(decoding: nested(3, bytes)) },
    "Failure": { bytes throws(WireError) in _ = try Reply(decoding: nested(4, bytes)) },
    "Membership": { bytes throws(WireError) in _ = try Membership(decoding: bytes) },
    "Slots": { bytes throws(WireError) in _ = try SlotList(decoding: bytes) },
    "KeyName": { bytes throws(WireError) in _ = try WireKey(decoding: bytes) },
    "Entry": { bytes throws(WireError) in _ = try WireEntry(decoding: bytes) },
    "Entries": { bytes throws(WireError) in _ = try Entries(decoding: bytes) },
    "Fetch": { bytes throws(WireError) in _ = try Fetch(decoding: bytes) },
    "Fetched": { bytes throws(WireError) in _ = try Fetched(decoding: bytes) },
    "EventField": { bytes throws(WireError) in _ = try Event.Text(decoding: bytes) },
    "Effects": { bytes throws(WireError) in try Effects(decoding: bytes).each { _ in } },
    "Confirmed": { bytes throws(WireError) in _ = try Confirmed(decoding: bytes) },
    "Event": { bytes throws(WireError) in _ = try Event(decoding: bytes) },
    "Part": { bytes throws(WireError) in _ = try Part(decoding: bytes) },
    "Member": { bytes throws(WireError) in _ = try Member(decoding: bytes) },
    "MemberRecord": { bytes throws(WireError) in _ = try MemberRecord(decoding: bytes) },
    "GossipPeer": { bytes throws(WireError) in _ = try GossipPacket.Peer(decoding: bytes) },
    "GossipUpdate": { bytes throws(WireError) in _ = try GossipPacket.Update(decoding: bytes) },
    "GossipPacket": { bytes throws(WireError) in _ = try GossipPacket(decoding: bytes) },
  ]

  /// Within another message: in memory that lives as long as the test process.
  private static func nested(_ number: UInt32, _ bytes: UnsafeRawBufferPointer) -> UnsafeRawBufferPointer {
    kept.keep(written { $0.element(WireField(number, "x"), bytes) })
  }

  private nonisolated(unsafe) static let kept = Memory()

  // MARK: Helpers

  private func frame(of kind: FrameKind, _ bytes: [UInt8]) -> [UInt8] {
    written { out in bytes.withUnsafeBytes { out.element(WireField(UInt32(kind.rawValue), "x"), $0) } }
  }

  private func expect(
    _ bytes: [UInt8], _ reason: WireError.Reason?, _ field: String?, _ place: SourceLocation = #_sourceLocation
  ) {
    switch Description.frame(bytes) {
    case .success: Issue.record("\(bytes.prefix(40)) is taken", sourceLocation: place)
    case .failure(let error):
      if let reason { #expect(error.reason == reason, "\(error)", sourceLocation: place) }
      if let field { #expect("\(error.field)" == field, sourceLocation: place) }
    }
  }
}

/// The messages that a .proto file declares, as far as this project's are written.
enum ProtoFile {
  struct Field {
    var name: String
    var number: UInt32
  }

  static let root = #filePath.split(separator: "/").dropLast(3).reduce(into: "") { $0 += "/" + $1 }

  static func messages() throws -> [String: [Field]] {
    var messages: [String: [Field]] = [:]
    for file in ["entry", "peer", "gossip"] {
      let text = try String(contentsOfFile: "\(root)/proto/nexuscache/\(file).proto", encoding: .utf8)
      var message: String?
      for line in text.split(separator: "\n") {
        let words = line.split(whereSeparator: { " ;".contains($0) })
        if words.first == "message" {
          message = String(words[1])
        } else if line == "}" {
          message = nil
        } else if let message, let equals = words.firstIndex(of: "="), !line.contains("//") {
          let field = Field(name: String(words[equals - 1]), number: UInt32(words[equals + 1])!)
          messages[message, default: []].append(field)
        }
      }
    }
    return messages
  }
}
