import NexusService
import NexusTestSupport
import Testing

@testable import NexusDiscovery

/// The conversation with an agent, without an agent.
@Suite struct SerfSessionTests {
  private static func reply(_ sequence: Int64, error: String = "", _ body: [String: MessagePack]? = nil) -> [UInt8] {
    let header = MessagePack.map(["Seq": .integer(sequence), "Error": .text(error)]).encoded
    return header + (body.map { MessagePack.map($0).encoded } ?? [])
  }

  private static func member(_ name: String, _ status: String = "alive", tags: [String: String] = [:]) -> MessagePack {
    let address: [UInt8] = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF, 10, 0, 0, 7]
    return .map([
      "Name": .text(name), "Addr": .raw(address), "Port": .integer(7946), "Status": .text(status),
      "Tags": .map(tags.mapValues { .text($0) }),
    ])
  }

  /// The requests in what a session sends: command, then the keys of its body if it has one.
  private static func requests(_ session: inout SerfSession) throws -> [String] {
    var reader = MessagePackReader(session.output)
    session.output = []
    var found: [String] = []
    while !reader.isAtEnd {
      let map = try #require(try reader.value().map)
      if let command = map["Command"]?.text { found.append(command) } else { found.append("\(map.keys.sorted())") }
    }
    return found
  }

  @Test func aConversationTakesItsCourseHoweverTheBytesArrive() throws {
    let seed = Dice.seed()
    print("NEXUS_SEED=\(seed)")
    var dice = Dice(seed: seed)
    for _ in 0..<50 {
      var session = SerfSession(authenticationKey: "key")
      var said: [SerfSession.Output] = []
      func deliver(_ bytes: [UInt8], _ session: inout SerfSession) {
        var rest = bytes[...]
        while !rest.isEmpty {
          let piece = rest.prefix(dice.within(1...40))
          said += session.receive(piece)
          rest = rest.dropFirst(piece.count)
        }
      }
      #expect(try Self.requests(&session) == ["handshake", "[\"Version\"]"])
      deliver(Self.reply(0), &session)
      #expect(try Self.requests(&session) == ["auth", "[\"AuthKey\"]"])
      #expect(said.isEmpty)
      deliver(Self.reply(1), &session)
      #expect(said == [.ready])
      session.subscribe()
      session.setTag("tag", "1.2.3.4:5")
      session.askMembers()
      #expect(
        try Self.requests(&session) == [
          "stream", "[\"Type\"]", "tags", "[\"DeleteTags\", \"Tags\"]", "members",
        ])
      said = []
      let listed = ["Members": MessagePack.array([Self.member("a"), Self.member("b", "failed", tags: ["tag": "x"])])]
      let event: [String: MessagePack] = [
        "Event": .text("member-join"), "Members": .array([Self.member("c", tags: ["tag": "7"])]),
      ]
      deliver(
        Self.reply(2) + Self.reply(2, event) + Self.reply(4, listed) + Self.reply(3) + Self.reply(2, event), &session)
      let joined = SerfMember(name: "c", address: "10.0.0.7", tags: ["tag": "7"], isAlive: true)
      #expect(
        said == [
          .event("member-join", [joined]),
          .members([
            SerfMember(name: "a", address: "10.0.0.7", tags: [:], isAlive: true),
            SerfMember(name: "b", address: "10.0.0.7", tags: ["tag": "x"], isAlive: false),
          ]),
          .tagSet, .event("member-join", [joined]),
        ], "seed \(seed)")
      #expect(!session.isWaiting)
    }
  }

  @Test func refusalsAreSaidInTheAgentsWords() {
    var session = SerfSession(authenticationKey: "wrong")
    _ = session.receive(Self.reply(0))
    #expect(
      session.receive(Self.reply(1, error: "Invalid authentication token"))
        == [.failed("it answers: Invalid authentication token")])
    session = SerfSession(authenticationKey: nil)
    #expect(session.receive(Self.reply(0)) == [.ready])
    session.setTag("a", "b")
    #expect(session.receive(Self.reply(1, error: "no")) == [.tagRefused("no")])
  }

  @Test func somethingElseThatAnswersIsNamed() {
    for bytes in ["HTTP/1.1 400 Bad Request\r\n", "+PONG\r\n", "\u{0}\u{1}"].map({ Array($0.utf8) })
      + [Self.reply(77), [UInt8](repeating: 0x91, count: 1000), [0xC1]]
    {
      var session = SerfSession(authenticationKey: nil)
      #expect(session.receive(bytes) == [.failed("what answers does not speak Serf's RPC (MessagePack)")])
    }
  }

  @Test func garbageDoesNoHarm() {
    let seed = Dice.seed()
    print("NEXUS_SEED=\(seed)")
    var dice = Dice(seed: seed)
    for _ in 0..<2000 {
      var bytes = Self.reply(0) + Self.reply(1, ["Members": .array([Self.member("a")])])
      for _ in 0..<3 { bytes[dice.below(bytes.count)] = UInt8(truncatingIfNeeded: dice.next()) }
      var session = SerfSession(authenticationKey: nil)
      session.askMembers()
      _ = session.receive(bytes)
    }
  }

  @Test func messagePackComesBackAndWaitsForWhatIsMissing() throws {
    let values: [MessagePack] = [
      .null, .bool(true), .bool(false), .integer(0), .integer(127), .integer(128), .integer(-1), .integer(-33),
      .integer(.min), .integer(.max), .large(.max), .real(-1.5), .text(""), .text(String(repeating: "x", count: 31)),
      .text(String(repeating: "x", count: 32)), .raw([UInt8](repeating: 0xFF, count: 70_000)),
      .array((0..<20).map { .integer($0) }), .map(["a": .array([.map(["b": .null])]), "c": .text("d")]),
      .map(Dictionary(uniqueKeysWithValues: (0..<20).map { ("\($0)", MessagePack.integer($0)) })),
    ]
    for value in values {
      let bytes = value.encoded
      var reader = MessagePackReader(bytes)
      #expect(try reader.value() == value)
      #expect(reader.isAtEnd)
      for cut in Set((0..<min(bytes.count, 200)).map { $0 } + [bytes.count - 1]) {
        var reader = MessagePackReader(Array(bytes[..<cut]))
        #expect(throws: MessagePackReader.Failure.incomplete) { try reader.value() }
      }
    }
    // Forms that others write: each from the specification's "Formats".
    let forms: [([UInt8], MessagePack)] = [
      ([0xCC, 0xFF], .integer(255)), ([0xCD, 1, 0], .integer(256)), ([0xCE, 0, 1, 0, 0], .integer(65_536)),
      ([0xD0, 0x80], .integer(-128)), ([0xD1, 0xFF, 0], .integer(-256)), ([0xD2, 0xFF, 0xFF, 0, 0], .integer(-65_536)),
      ([0xE0], .integer(-32)), ([0xC4, 1, 9], .raw([9])), ([0xC5, 0, 1, 9], .raw([9])),
      ([0xD9, 1, 0x61], .text("a")), ([0xCA, 0x3F, 0x80, 0, 0], .real(1)), ([0xD4, 5, 9], .raw([9])),
      ([0xC7, 1, 5, 9], .raw([9])), ([0xDD, 0, 0, 0, 1, 0xC0], .array([.null])),
      ([0xDF, 0, 0, 0, 1, 0xA1, 0x61, 0xC0], .map(["a": .null])),
    ]
    for (bytes, value) in forms {
      var reader = MessagePackReader(bytes)
      #expect(try reader.value() == value)
      #expect(reader.isAtEnd)
    }
    var nested = MessagePackReader([UInt8](repeating: 0x91, count: 100))
    #expect(throws: MessagePackReader.Failure.tooDeep) { try nested.value() }
  }
}
