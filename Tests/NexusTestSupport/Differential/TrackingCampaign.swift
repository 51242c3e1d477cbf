/// Random reads and writes of several connections that track what they read, run on an oracle and on the server under
/// test: every connection must be told the same.
///
/// As in a `MessageCampaign`, what arrives before an echo is what the step has caused.
public final class TrackingCampaign {
  public let steps: Int
  public let seed: UInt64
  /// The server under test has one event loop, so that pushes come in Redis's order and together where Redis's do.
  /// Otherwise the keys of pushes in a row are compared as a set.
  public let isOneLoop: Bool
  /// Clients have others hear in their stead. Redis may push to such a client amid the reply that it is writing, even
  /// within that of EXEC: so there are no transactions then, and pushes are compared apart from replies.
  public let redirects: Bool
  private let oracle: Side
  private let subject: Side

  private static let connections = 4
  private static let reconnectionsMost = 8

  public init(
    steps: Int, seed: UInt64, isOneLoop: Bool, redirects: Bool, oracle: any RedisSpeaker, subject: any RedisSpeaker
  ) throws {
    self.steps = steps
    self.seed = seed
    self.isOneLoop = isOneLoop
    self.redirects = redirects
    self.oracle = Side(oracle)
    self.subject = Side(subject)
  }

  /// A word of a request. A client's id differs between the servers.
  private enum Word {
    case text(String)
    case client(Int)
  }

  /// One server's connections.
  private final class Side {
    let server: any RedisSpeaker
    var clients: [RESPClient] = []
    /// Of every connection that there has been, by its name in the campaign.
    var ids: [Int: Int64] = [:]

    init(_ server: any RedisSpeaker) { self.server = server }

    func open(_ name: Int, _ version: Int) throws -> RESPClient {
      let client = try server.connect(timeoutSeconds: 5)
      if version == 3 { try client.ask("HELLO", "3") }
      ids[name] = try client.ask("CLIENT", "ID").number
      return client
    }

    func bytes(_ words: [Word]) -> [UInt8] {
      RESPClient.encode(
        words.map { word in
          switch word {
          case .text(let text): Array(text.utf8)
          case .client(let name): Array("\(ids[name] ?? 0)".utf8)
          }
        })
    }

    func name(of id: Int64) -> Int64 { ids.first { $0.value == id }.map { -1000 - Int64($0.key) } ?? id }
  }

  /// Nil where both sides received the same; otherwise a report with the seed and the last steps.
  public func firstDifference() throws -> String? {
    var dice = Dice(seed: seed)
    // Which name each place has: a connection that is made anew has a new one.
    var names = Array(0..<Self.connections)
    var nextName = Self.connections
    var transcript: [String] = []
    let versions = names.map { _ in dice.pick([2, 3, 3]) }
    for side in [oracle, subject] { side.clients = try names.map { try side.open($0, versions[$0]) } }
    transcript.append("protocols \(versions)")
    for number in 0..<steps {
      let place = dice.below(Self.connections)
      if dice.chance(1), nextName < Self.connections + Self.reconnectionsMost {
        let version = dice.pick([2, 3])
        names[place] = nextName
        transcript.append("[\(place)] leaves, and comes back as \(nextName) with protocol \(version)")
        for side in [oracle, subject] {
          side.clients[place].close()
          side.clients[place] = try side.open(nextName, version)
        }
        nextName += 1
        continue
      }
      let requests = makeRequests(&dice, names)
      let shown = requests.map { $0.map(Self.show).joined(separator: " ") }.joined(separator: "; ")
      transcript.append("[\(place)] " + shown)
      for side in [oracle, subject] { try side.clients[place].send(requests.flatMap(side.bytes)) }
      let asksForID = requests.contains { request in
        if case .text(let text)? = request.dropFirst().first { text.hasPrefix("GETREDIR") } else { false }
      }
      let first = try gather(oracle, place, number).map { normal($0, oracle, asksForID) }
      let second = try gather(subject, place, number).map { normal($0, subject, asksForID) }
      for index in first.indices where first[index] != second[index] {
        return report(transcript, index, first[index], second[index])
      }
      if number % 16 == 0, isOneLoop, let difference = try differentFigures() {
        return "Tracking differs. Replay with NEXUS_SEED=\(seed).\n\(transcript.suffix(40).joined(separator: "\n"))\n"
          + difference
      }
    }
    return nil
  }

  private static func show(_ word: Word) -> String {
    switch word {
    case .text(let text): text
    case .client(let name): "<id of \(name)>"
    }
  }

  // MARK: What is asked

  private static let keys = ["a", "b", "c", "user:1", "user:2", "item:1"]

  private func makeRequests(_ dice: inout Dice, _ names: [Int]) -> [[Word]] {
    func text(_ words: String...) -> [Word] { words.map { .text($0) } }
    func key() -> String { dice.pick(Self.keys) }
    switch dice.below(40) {
    case 0...3: return [tracking(&dice, names)]
    case 4: return [text("CLIENT", "TRACKING", "OFF")]
    case 5: return [text("CLIENT", dice.pick(["TRACKINGINFO", "GETREDIR"]))]
    case 6: return [text("CLIENT", "CACHING", dice.pick(["YES", "NO"])), command(&dice), command(&dice)]
    case 7: return [dice.pick([text("FLUSHDB"), text("FLUSHALL"), text("FLUSHALL", "ASYNC")])]
    case 8: return [text(dice.pick(["SUBSCRIBE", "UNSUBSCRIBE"]), "__redis__:invalidate")]
    case 9: return [dice.pick([text("RESET"), text("HELLO", "3"), text("CLIENT", "TRACKING", "ON")])]
    case 10...12 where !redirects:
      let inner = (0...dice.below(4)).map { _ in command(&dice) }
      return [text("MULTI")] + inner + [text(dice.pick(["EXEC", "EXEC", "EXEC", "DISCARD"]))]
    case 13...18: return (0...dice.below(6)).map { _ in command(&dice) }
    default: return [command(&dice)]
    }
  }

  private func tracking(_ dice: inout Dice, _ names: [Int]) -> [Word] {
    var words: [Word] = [.text("CLIENT"), .text("TRACKING"), .text(dice.pick(["ON", "on", "ON", "OFF"]))]
    if dice.chance(30) {
      words.append(.text("BCAST"))
      // Of prefixes that overlap, the first is always one of them: for others Redis replies twice.
      let choices = [[], ["user:"], ["user:", "item:"], ["a", "ab"], ["", "b"], ["b", "user:1", "c"]]
      for prefix in dice.pick(choices) { words += [.text("PREFIX"), .text(prefix)] }
    }
    if dice.chance(15) { words.append(.text(dice.pick(["OPTIN", "OPTOUT", "OPTIN", "OPTOUT", "PREFIX", "WHAT"]))) }
    if dice.chance(5) { words.append(.text("OPTIN")) }
    if dice.chance(25) { words.append(.text("NOLOOP")) }
    if redirects, dice.chance(40) {
      words += [.text("REDIRECT"), dice.chance(90) ? .client(dice.pick(names)) : .text("99999")]
    }
    return words
  }

  private func command(_ dice: inout Dice) -> [Word] {
    func text(_ words: String...) -> [Word] { words.map { .text($0) } }
    let (key, other) = (dice.pick(Self.keys), dice.pick(Self.keys))
    switch dice.below(28) {
    case 0...6: return text("GET", key)
    case 7: return text("MGET", key, other)
    case 8: return text(dice.pick(["STRLEN", "TYPE", "TOUCH"]), key)
    case 9: return text("EXISTS", key, other)
    case 10: return text("GETRANGE", key, "0", "1")
    case 11...15: return text("SET", key, "v\(dice.below(10))")
    case 16: return text("MSET", key, "1", other, "2")
    case 17: return text(dice.pick(["DEL", "UNLINK"]), key, other)
    case 18: return text("APPEND", key, "x")
    case 19: return text("SETNX", key, "n")
    case 20: return text("GETSET", key, "g")
    case 21: return text("EXPIRE", key, "100000")
    case 22: return text("PERSIST", key)
    case 23: return text("RENAME", key, other)
    case 24: return text("COPY", key, other, "REPLACE")
    case 25: return text("SETRANGE", key, "1", "z")
    case 26: return text("GETDEL", key)
    default: return text("OBJECT", "REFCOUNT", "none")
    }
  }

  // MARK: What comes back

  /// What has come over each connection, who asked first. A push goes from loop to loop twice at most, each time behind
  /// what that loop was doing: so after as many rounds of echoes nothing is under way.
  private func gather(_ side: Side, _ place: Int, _ number: Int) throws -> [[RESPValue]] {
    var values = side.clients.map { _ in [RESPValue]() }
    for round in 0..<(isOneLoop ? 2 : 4) {
      for index in [place] + side.clients.indices.filter({ $0 != place }) {
        values[index] += try received(side.clients[index], "echo-\(number)-\(round)")
      }
    }
    return values
  }

  private func received(_ client: RESPClient, _ echo: String) throws -> [RESPValue] {
    try client.send(RESPClient.encode(["PING".word, echo.word]))
    var values: [RESPValue] = []
    while true {
      let value = try client.read()
      if value == .text(echo) || value[1] == .text(echo) { return values }
      values.append(value)
    }
  }

  private func normal(_ values: [RESPValue], _ side: Side, _ asksForID: Bool) -> [RESPValue] {
    merged(
      values.map { value in
        if let pushed = Self.invalidated(value) { return Self.push(pushed) }
        switch value {
        case .integer(let number): return asksForID ? .integer(side.name(of: number)) : value
        case .push(let elements) where elements[0] == .text("tracking-redir-broken"):
          return .push([elements[0], .integer(side.name(of: elements[1].number ?? 0))])
        case .map(var elements), .array(var elements):
          // HELLO says the client's own id.
          if elements.first == .text("server") { return .array(elements.filter { $0.number == nil }) }
          guard elements.count == 6, elements[0] == .text("flags") else { return value }
          elements[1] = .array((elements[1].elements ?? []).sorted { "\($0)" < "\($1)" })
          elements[3] = .integer(side.name(of: elements[3].number ?? 0))
          return .array(elements)
        default: return value
        }
      })
  }

  /// The keys of an invalidation, whichever protocol it came in; nil for anything else.
  private static func invalidated(_ value: RESPValue) -> RESPValue? {
    let isPush = if case .push = value { value[0] == .text("invalidate") } else { false }
    if isPush { return value[1] }
    return value[0] == .text("message") && value[1] == .text("__redis__:invalidate") ? value[2] : nil
  }

  private static func push(_ keys: RESPValue) -> RESPValue {
    // Redis writes the null of the tracking client's protocol, we that of the client that hears it.
    .push([.text("invalidate"), keys.elements == nil ? .null : keys])
  }

  /// Pushes in a row come in any order: who redirects to one client is told in the order of their ids there.
  private func merged(_ values: [RESPValue]) -> [RESPValue] {
    let isPush = { (value: RESPValue) in if case .push = value { true } else { false } }
    let values = redirects ? values.filter { !isPush($0) } + values.filter(isPush) : values
    var result: [RESPValue] = []
    var run: [RESPValue] = []
    func end() {
      if isOneLoop {
        result += run.sorted { "\($0)" < "\($1)" }
        return
      }
      // Each key by itself, and once.
      let keys = run.flatMap { push in push[1]?.elements?.map { Self.push(.array([$0])) } ?? [push] }
      result += Set(keys).sorted { "\($0)" < "\($1)" }
    }
    for value in values {
      if case .push = value, value[0] == .text("invalidate") {
        run.append(value)
      } else {
        end()
        run = []
        result.append(value)
      }
    }
    end()
    return result
  }

  private func differentFigures() throws -> String? {
    let names = ["tracking_clients", "tracking_total_keys", "tracking_total_items", "tracking_total_prefixes"]
    let figures = try [oracle, subject].map { side in
      let info = InfoReply(try side.server.connect().ask("INFO").string ?? "")
      return names.map { "\($0): \(info[$0] ?? "none")" }
    }
    return figures[0] == figures[1] ? nil : "INFO expected:\n\(figures[0])\nactual:\n\(figures[1])"
  }

  private func report(
    _ transcript: [String], _ index: Int, _ expected: [RESPValue], _ actual: [RESPValue]
  ) -> String {
    """
    Tracking differs. Replay with NEXUS_SEED=\(seed).
    \(transcript[0]), and the last steps:
    \(transcript.suffix(40).joined(separator: "\n"))
    connection \(index) received, expected:
    \(expected.map(\.description).joined(separator: "\n"))
    actual:
    \(actual.map(\.description).joined(separator: "\n"))
    """
  }
}
