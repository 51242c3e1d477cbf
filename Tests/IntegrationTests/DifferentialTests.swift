import NexusTestSupport
import Testing

/// Redis is asked what is right.
@Suite("Against redis-server", .serialized)
struct DifferentialTests {
  static let families: [String: [CommandShape]] = [
    "strings": CommandShape.strings,
    "bits": CommandShape.bits,
    "keys": CommandShape.keys,
    "connection": CommandShape.connection,
    "server": CommandShape.server,
  ]

  /// Replies that differ because they are meant to, each with its reason.
  static let knownDifferences = [
    KnownDifference(
      "BITFIELD whose writes all fail makes its key, or makes it longer; Redis does not tell watchers",
      endsChapter: true
    ) { chapter, index, expected, actual in
      guard chapter.steps[index].name == "exec", expected.elements != nil, actual.elements == nil else { return false }
      return chapter.steps[..<index].contains { step in
        step.name == "bitfield" && step.words.contains { String(decoding: $0, as: UTF8.self).lowercased() == "fail" }
      }
    },
    KnownDifference("CONFIG GET with a pattern lists the settings that there are: ours are not all of Redis's") {
      chapter, index, expected, actual in
      let words = chapter.steps[index].words.map { String(decoding: $0, as: UTF8.self).lowercased() }
      let asksForMany =
        words.count > 2 && words[0] == "config" && words[1] == "get" && words[2...].joined().contains("*")
      return asksForMany && expected.elements != nil && actual.elements != nil
    },
  ]

  /// `NEXUS_COMMANDS` commands (100,000) from `NEXUS_SEED`, of `NEXUS_FAMILY` alone where that is set.
  @Test("random commands of every family get Redis's replies")
  func agreesWithRedis() throws {
    let seed = Dice.seed()
    print("seed: NEXUS_SEED=\(seed)")
    let names = Environment["NEXUS_FAMILY"].map { [$0] } ?? Self.families.keys.sorted()
    let shapes = names.flatMap { Self.families[$0] ?? [] }
    let campaign = DifferentialCampaign(
      commands: Environment.number("NEXUS_COMMANDS", default: 100_000), seed: seed,
      writer: ChapterWriter(shapes: shapes))
    let run = DifferentialRun(
      oracle: try RedisServer(["--enable-debug-command", "yes"]), subject: try NexusServer(),
      knownDifferences: Self.knownDifferences)
    if let report = try campaign.firstDifference(run) { Issue.record("\(report)") }
    print(
      "compared \(run.commandsCompared) replies; \(run.successes.count) commands answered without error; "
        + "known differences: \(run.met)")
  }

  /// `NEXUS_STEPS` steps (5,000) from `NEXUS_SEED`.
  @Test("random publish/subscribe traffic reaches the same connections in the same order")
  func messagesAgreeWithRedis() throws {
    let seed = Dice.seed()
    print("seed: NEXUS_SEED=\(seed)")
    let campaign = MessageCampaign(
      steps: Environment.number("NEXUS_STEPS", default: 5_000), seed: seed, oracle: try RedisServer(),
      subject: try NexusServer())
    if let report = try campaign.firstDifference() { Issue.record("\(report)") }
  }

  /// `NEXUS_STEPS` steps (2,000) from `NEXUS_SEED`.
  @Test(
    "connections that track hear of the same keys",
    arguments: [(loops: 1, redirects: false), (loops: 1, redirects: true), (loops: 2, redirects: true)])
  func trackingAgreesWithRedis(loops: Int, redirects: Bool) throws {
    let seed = Dice.seed()
    print("seed: NEXUS_SEED=\(seed)")
    let campaign = try TrackingCampaign(
      steps: Environment.number("NEXUS_STEPS", default: 2_000), seed: seed, isOneLoop: loops == 1,
      redirects: redirects, oracle: try RedisServer(), subject: try NexusServer(threads: loops))
    if let report = try campaign.firstDifference() { Issue.record("\(report)") }
  }

  @Test("the comparison finds no difference between Redis and Redis")
  func redisEqualsItself() throws {
    let run = DifferentialRun(oracle: try RedisServer(), subject: try RedisServer())
    let seed = Dice.seed()
    print("seed: NEXUS_SEED=\(seed)")
    let shapes = Self.families.values.flatMap { $0 }
    let campaign = DifferentialCampaign(commands: 5_000, seed: seed, writer: ChapterWriter(shapes: shapes))
    #expect(try campaign.firstDifference(run) == nil)
  }

  @Test("a server that lacks one command is caught, and the report is short")
  func aDifferenceIsCaughtAndShrunk() throws {
    let run = DifferentialRun(
      oracle: try RedisServer(), subject: try RedisServer(["--rename-command", "STRLEN", ""]))
    let shapes = CommandShape.strings + [CommandShape(4) { ["STRLEN", $0.key()] }]
    let found = try DifferentialCampaign(commands: 5_000, seed: 1, writer: ChapterWriter(shapes: shapes))
      .firstDifference(run)
    let lines = try #require(found).split(separator: "\n")
    let transcript = lines.drop { !$0.hasPrefix("The shortest") }.filter { $0.hasPrefix("[") }
    #expect(transcript.contains { $0.contains("STRLEN") })
    #expect(transcript.count <= 3, "\(transcript)")
  }
}
