/// Random publish/subscribe traffic over several connections, run on an oracle and on the server under test: every
/// connection must receive the same messages in the same order.
///
/// Messages may come at any time, so that replies cannot be counted as in a `Chapter`: after each step every
/// connection is asked for an echo, and what arrives before it is what the step caused.
public final class MessageCampaign {
  public var steps: Int
  public let seed: UInt64
  public var connections = 4

  private let oracle: any RedisSpeaker
  private let subject: any RedisSpeaker

  public init(steps: Int, seed: UInt64, oracle: any RedisSpeaker, subject: any RedisSpeaker) {
    self.steps = steps
    self.seed = seed
    self.oracle = oracle
    self.subject = subject
  }

  private static let channels = ["news", "news.art", "news.tech", "h?llo", "hello", "", "a b"]
  private static let patterns = ["*", "news*", "h?llo", "h[ae]llo", "news.[^t]*", "", "\\*"]

  /// Nil where both sides received the same; otherwise a report with the seed and the last steps.
  public func firstDifference() throws -> String? {
    var dice = Dice(seed: seed)
    let protocols = (0..<connections).map { _ in dice.pick([2, 3]) }
    let expected = try open(oracle, protocols)
    let actual = try open(subject, protocols)
    var transcript: [String] = []
    for number in 0..<steps {
      let connection = dice.below(connections)
      let requests = makeRequests(&dice)
      transcript.append(
        "[\(connection)] " + requests.map { $0.map(quoted).joined(separator: " ") }.joined(separator: "; "))
      try expected[connection].send(requests.flatMap(RESPClient.encode))
      try actual[connection].send(requests.flatMap(RESPClient.encode))
      // Who asked comes first: its replies tell that the server has done the step.
      for index in [connection] + (0..<connections).filter({ $0 != connection }) {
        let first = try received(by: expected[index], atLeast: 0, echo: "echo-\(number)")
        let second = try received(by: actual[index], atLeast: first.count, echo: "echo-\(number)")
        if Self.ordered(first) != Self.ordered(second) {
          return report(transcript, protocols, "connection \(index) received", first, second)
        }
      }
    }
    return nil
  }

  private func open(_ server: any RedisSpeaker, _ protocols: [Int]) throws -> [RESPClient] {
    try protocols.map { version in
      let client = try server.connect(timeoutSeconds: 5)
      if version == 3 { try client.ask("HELLO", "3") }
      return client
    }
  }

  private func makeRequests(_ dice: inout Dice) -> [[[UInt8]]] {
    func channels(_ range: ClosedRange<Int>) -> [String] {
      (0..<dice.within(range)).map { _ in dice.pick(Self.channels) }
    }
    func patterns(_ range: ClosedRange<Int>) -> [String] {
      (0..<dice.within(range)).map { _ in dice.pick(Self.patterns) }
    }
    let words: [String]
    switch dice.below(24) {
    case 0...2: words = ["SUBSCRIBE"] + channels(1...3)
    case 3...4: words = ["PSUBSCRIBE"] + patterns(1...2)
    case 5...6: words = ["UNSUBSCRIBE"] + channels(0...2)
    case 7...8: words = ["PUNSUBSCRIBE"] + patterns(0...2)
    case 9: words = ["PUBSUB", "NUMSUB"] + channels(0...3)
    case 10: words = ["PUBSUB", dice.pick(["NUMPAT", "CHANNELS", "NOSUCH", "NUMSUB"])]
    case 11: words = dice.pick([["PING"], ["GET", "x"], ["SUBSCRIBE"], ["PUBLISH", "a"], ["EXEC"]])
    case 12: words = [dice.pick(["SSUBSCRIBE", "SUNSUBSCRIBE"])] + channels(1...2)
    case 13: words = ["SPUBLISH", dice.pick(Self.channels), "sharded"]
    case 14: words = ["PUBSUB", "SHARDNUMSUB"] + channels(0...2)
    default:
      return (0...dice.below(4)).map { number in
        ["PUBLISH".word, dice.pick(Self.channels).word, "message \(number)".word]
      }
    }
    return [words.map(\.word)]
  }

  /// What has arrived before the echo, and after it until it is `atLeast` so many: a message between loops may be
  /// a moment late.
  private func received(by client: RESPClient, atLeast: Int, echo: String) throws -> [RESPValue] {
    try client.send(RESPClient.encode(["PING".word, echo.word]))
    var values: [RESPValue] = []
    var echoed = false
    while !echoed || values.count < atLeast {
      let value: RESPValue
      do { value = try client.read() } catch RESPClient.Failure.timedOut { return values }
      let isEcho = value == .text(echo) || value[1] == .text(echo)
      if isEcho && !echoed { echoed = true } else { values.append(Self.normal(value)) }
    }
    return values
  }

  /// PUBSUB CHANNELS and what an UNSUBSCRIBE without arguments lists come in any order.
  private static func normal(_ value: RESPValue) -> RESPValue {
    guard case .array(let elements) = value, elements.count > 1, elements.allSatisfy({ $0.bytes != nil }) else {
      return value
    }
    let kind = elements[0].string ?? ""
    if ["message", "pmessage", "smessage", "pong"].contains(kind) { return value }
    return .array(elements.sorted { "\($0)" < "\($1)" })
  }

  /// One PUBLISH reaches the patterns of a connection in any order, and an UNSUBSCRIBE of everything ends the
  /// subscriptions in any order, counting down: within such a run, names are sorted and counts stay.
  private static func ordered(_ values: [RESPValue]) -> [RESPValue] {
    var result = values
    var start = 0
    while start < values.count {
      var end = start + 1
      let run = runKey(values[start])
      while end < values.count, run != nil, runKey(values[end]) == run { end += 1 }
      if end - start > 1 {
        let names = values[start..<end].compactMap { $0[1] }.sorted { "\($0)" < "\($1)" }
        for offset in 0..<(end - start) {
          guard var elements = values[start + offset].elements else { continue }
          elements[1] = names[offset]
          result[start + offset] = .array(elements)
        }
      }
      start = end
    }
    return result
  }

  private static func runKey(_ value: RESPValue) -> String? {
    switch value[0]?.string {
    case "unsubscribe", "punsubscribe", "sunsubscribe": value[0]?.string
    case "pmessage": "\(value[2]!) \(value[3]!)"
    default: nil
    }
  }

  private func report(
    _ transcript: [String], _ protocols: [Int], _ what: String, _ expected: [RESPValue], _ actual: [RESPValue]
  ) -> String {
    """
    Publish/subscribe differs. Replay with NEXUS_SEED=\(seed); the connections speak RESP \(protocols).
    The last steps:
    \(transcript.suffix(40).joined(separator: "\n"))
    \(what) expected:
    \(expected.map(\.description).joined(separator: "\n"))
    actual:
    \(actual.map(\.description).joined(separator: "\n"))
    """
  }
}
