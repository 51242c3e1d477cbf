import NexusModel
import NexusService
import NexusStore
import Testing

@testable import NexusRedisDoor

/// Answers when the test says so.
final class FakeOrigin: Origin, @unchecked Sendable {
  let name = "fake:"
  let canStore = false
  var figures: OriginFigures { OriginFigures() }
  private(set) var requests: [OriginRequest] = []
  private var waiting: [[UInt8]: @Sendable (OriginAnswer) -> Void] = [:]

  func load(_ request: OriginRequest, done: @escaping @Sendable (OriginAnswer) -> Void) {
    requests.append(request)
    waiting[request.key] = done
  }

  func store(_ write: OriginWrite, done: @escaping @Sendable (Result<Void, OriginError>) -> Void) {}
  func stop() {}

  /// Keys that it was asked for, in order.
  var asked: [String] { requests.map { String(decoding: $0.key, as: UTF8.self) } }

  func answer(_ key: String, _ answer: OriginAnswer) { waiting.removeValue(forKey: Array(key.utf8))?(answer) }
  func answer(_ key: String, _ text: String, _ freshness: OriginFreshness = .unspecified) {
    answer(key, .value(OriginValue(Array(text.utf8), freshness)))
  }
}

/// A namespace with an origin, as clients see it.
@Suite struct FillingStories {
  let origin = FakeOrigin()
  let node: FakeNode
  let source: FillSource

  init() {
    var rules = FreshnessRules()
    rules.freshFor = 1000
    rules.staleWhileRevalidate = 500
    rules.staleIfError = 2000
    rules.absentFor = 300
    let source = FillSource(origin, rules)
    self.source = source
    node = FakeNode(loops: 2) { node, loops in
      let routers = loops.map { LocalRouter(node, $0) }
      node.routers = routers
      node.filler.setSource(source, of: 0)
    }
    for loop in node.loops {
      let router = node.node.routers[loop.index] as! LocalRouter
      for kind in [NexusService.Operation.Kind.command, .transaction] { router.setExecutor(loop.engine, for: kind) }
    }
  }

  @Test func aMissIsLoadedOnceForAllThatAskOnWhateverLoop() {
    let clients = (0..<20).map { node.connect(loop: $0 % 2) }
    for client in clients { #expect(client.say("GET Tom") == "") }
    #expect(origin.asked == ["Tom"])
    origin.answer("Tom", "630")
    node.settle()
    #expect(clients.map { $0.take() } == Array(repeating: "$3|630|", count: 20))
    #expect(clients[0].say("GET Tom", "STRLEN Tom") == "$3|630|:3|")
    #expect(origin.asked == ["Tom"])
  }

  @Test func aPipelineOfMissesIsLoadedAtOnceAndAnsweredInOrder() {
    let client = node.connect()
    #expect(client.say("GET a", "GET b", "PING", "GET c") == "")
    #expect(origin.asked == ["a", "b", "c"])
    origin.answer("c", "3")
    origin.answer("a", "1")
    node.settle()
    #expect(client.take() == "$1|1|")
    origin.answer("b", "2")
    node.settle()
    #expect(client.take() == "$1|2|+PONG|$1|3|")
  }

  @Test func allKeysOfOneCommandAreLoadedTogether() {
    let client = node.connect()
    client.say("SET here 1")
    #expect(client.say("MGET a here b") == "")
    #expect(origin.asked == ["a", "b"])
    origin.answer("a", "A")
    node.settle()
    #expect(client.take() == "")
    origin.answer("b", .absent(.unspecified))
    node.settle()
    #expect(client.take() == "*3|$1|A|$1|1|$-1|")
  }

  @Test func absenceIsRememberedForItsTime() {
    let client = node.connect()
    client.say("GET nobody")
    origin.answer("nobody", .absent(.unspecified))
    node.settle()
    #expect(client.take() == "$-1|")
    #expect(client.say("GET nobody") == "$-1|")
    #expect(origin.asked.count == 1)
    node.advance(milliseconds: 301)
    #expect(client.say("GET nobody") == "")
    #expect(origin.asked.count == 2)
  }

  @Test func anErrorIsSharedAndNotKept() {
    let clients = [node.connect(), node.connect(loop: 1)]
    for client in clients { client.say("GET Tom") }
    let error = OriginError(origin: "fake:", .unreachable("it hides"))
    origin.answer("Tom", .failure(error))
    node.settle()
    for client in clients { #expect(client.take() == "-ORIGIN the origin fake: cannot be reached: it hides|") }
    #expect(origin.asked.count == 1)
    clients[0].say("GET Tom")
    #expect(origin.asked.count == 2)
  }

  @Test func aStaleValueAnswersWhileOneLoadRefreshesIt() {
    let client = node.connect()
    client.say("GET Tom")
    origin.answer("Tom", "630")
    node.settle()
    _ = client.take()
    node.advance(milliseconds: 1100)
    for _ in 0..<5 { #expect(client.say("GET Tom") == "$3|630|") }
    #expect(origin.asked.count == 2)
    #expect(origin.requests[1].held == ValueDigest(Array("630".utf8)))
    origin.answer("Tom", "631")
    node.settle()
    #expect(client.say("GET Tom") == "$3|631|")
    #expect(origin.asked.count == 2)
  }

  @Test func aStaleValueStandsInForAnOriginThatFails() {
    let client = node.connect()
    client.say("GET Tom")
    origin.answer("Tom", "630")
    node.settle()
    _ = client.take()
    node.advance(milliseconds: 1600)
    // Beyond the first window: the load comes first.
    #expect(client.say("GET Tom") == "")
    origin.answer("Tom", .failure(OriginError(origin: "fake:", .timedOut(milliseconds: 5))))
    node.settle()
    #expect(client.take() == "$3|630|")
    node.advance(milliseconds: 1500)
    #expect(client.say("GET Tom") == "")
    origin.answer("Tom", .failure(OriginError(origin: "fake:", .stopping)))
    node.settle()
    #expect(client.take().hasPrefix("-ORIGIN "))
  }

  @Test func aValueThatIsUnchangedIsFreshAgain() {
    let client = node.connect()
    client.say("GET Tom")
    origin.answer("Tom", "630")
    node.settle()
    node.advance(milliseconds: 1100)
    client.say("GET Tom")
    origin.answer("Tom", .unchanged(.unspecified))
    node.settle()
    _ = client.take()
    node.advance(milliseconds: 900)
    #expect(client.say("GET Tom") == "$3|630|")
    #expect(origin.asked.count == 2)
  }

  @Test func whatWasWrittenWhileItWasLoadedStays() {
    let (client, other) = (node.connect(), node.connect(loop: 1))
    client.say("GET Tom", "GET Sam")
    #expect(other.say("SET Tom mine", "SET Sam x", "DEL Sam") == "+OK|+OK|:1|")
    origin.answer("Tom", "630")
    origin.answer("Sam", "580")
    node.settle()
    // Sam is not there any more: who waited gets what came, and it is not kept.
    #expect(client.take() == "$4|mine|$3|580|")
    #expect(client.say("EXISTS Sam", "GET Tom") == ":0|$4|mine|")
  }

  @Test func whatMustNotBeStoredReachesEverybodyWhoWaited() {
    let clients = (0..<4).map { node.connect(loop: $0 % 2) }
    for client in clients { client.say("GET secret") }
    origin.answer("secret", "s", OriginFreshness(neverStore: true))
    node.settle()
    for client in clients { #expect(client.take() == "$1|s|") }
    #expect(clients[0].say("EXISTS secret") == ":0|")
    #expect(origin.asked.count == 1)
  }

  @Test func aClientThatGoesAwayDoesNotEndTheLoad() {
    let client = node.connect()
    client.say("GET Tom")
    client.close(.byPeer)
    origin.answer("Tom", "630")
    node.settle()
    #expect(node.connect().say("GET Tom") == "$3|630|")
    #expect(origin.asked.count == 1)
  }

  @Test func transactionsAndWritesSeeTheCacheAlone() {
    let client = node.connect()
    #expect(client.say("MULTI", "GET Tom", "EXEC") == "+OK|+QUEUED|*1|$-1|")
    #expect(client.say("INCR n", "EXISTS Tom", "TTL Tom") == ":1|:0|:-2|")
    #expect(origin.asked == [])
  }

  @Test func theLifetimeOfTheOriginCounts() {
    let client = node.connect()
    client.say("GET Tom")
    origin.answer("Tom", "630", OriginFreshness(timeToLiveMilliseconds: 50, staleIfErrorMilliseconds: 0))
    node.settle()
    _ = client.take()
    node.advance(milliseconds: 60)
    #expect(client.say("GET Tom") == "")
    #expect(origin.asked.count == 2)
  }

  @Test func otherNamespacesDoNotWait() {
    let client = node.connect()
    #expect(client.say("SELECT 3", "GET Tom", "MGET a b", "GETEX x") == "+OK|$-1|*2|$-1|$-1|$-1|")
    #expect(origin.asked == [])
  }

  @Test func aDeleteForgetsAbsenceAndOvertakesALoad() {
    let client = node.connect()
    client.say("GET Tom")
    origin.answer("Tom", .absent(.unspecified))
    node.settle()
    _ = client.take()
    #expect(client.say("DEL Tom", "GET Tom") == ":0|")
    #expect(origin.asked.count == 2)
    // The database changes while it is read: what was read before the delete is not kept.
    let other = node.connect()
    #expect(other.say("DEL Tom") == ":0|")
    origin.answer("Tom", "old")
    node.settle()
    #expect(client.take() == "$3|old|")
    #expect(other.say("EXISTS Tom") == ":0|")
  }

  @Test func aRefreshLoadsWhileTheOldValueAnswers() {
    let client = node.connect()
    client.say("SET Tom 1")
    #expect(client.say("FILL.REFRESH Tom", "FILL.REFRESH Tom", "GET Tom") == ":1|:0|$1|1|")
    origin.answer("Tom", "2")
    node.settle()
    #expect(client.say("GET Tom") == "$1|2|")
    #expect(client.say("SELECT 1", "FILL.REFRESH Tom").hasPrefix("+OK|-ERR the namespace 'db1' has no origin"))
  }

  @Test func aPurgeDeletesByPrefix() {
    let client = node.connect()
    client.say("MSET user:1 a user:2 b item:1 c")
    client.say("GET user:3")
    #expect(node.connect(loop: 1).say("FILL.PURGE user: x:") == ":2|")
    origin.answer("user:3", "old")
    node.settle()
    #expect(client.take() == "$3|old|")
    #expect(client.say("EXISTS user:1 user:2 user:3 item:1") == ":1|")
  }

  @Test("What carries a tag goes with it, whatever was written over it since")
  func tags() {
    let client = node.connect()
    client.say("MSET page:1 a page:2 b page:3 c plain d")
    #expect(client.say("FILL.TAG page:1 news home", "FILL.TAG page:2 news", "FILL.TAG page:3 sport") == ":1|:1|:1|")
    #expect(client.say("FILL.TAG absent news") == ":0|")
    client.say("SET page:1 new", "APPEND page:1 er", "EXPIRE page:1 100", "RENAME page:1 page:first")
    #expect(client.say("FILL.PURGETAG home", "EXISTS page:first page:2 page:3 plain") == ":1|:3|")
    #expect(node.connect(loop: 1).say("FILL.PURGETAG sport news other") == ":2|")
    #expect(client.say("FILL.PURGETAG news", "GET plain") == ":0|$1|d|")
    // One that went and came back has none.
    client.say("SET page:2 b", "FILL.TAG page:2 news", "DEL page:2", "SET page:2 b")
    #expect(client.say("FILL.PURGETAG news", "EXISTS page:2") == ":0|:1|")
  }

  @Test("An entry carries eight tags, and a ninth changes nothing")
  func tooManyTags() {
    let client = node.connect()
    client.say("SET k v", "FILL.TAG k 1 2 3 4 5 6 7")
    #expect(client.say("FILL.TAG k 8 9").hasPrefix("-ERR an entry carries at most 8 tags"))
    #expect(client.say("FILL.PURGETAG 8") == ":0|")
    #expect(client.say("FILL.TAG k 8 1", "FILL.PURGETAG 8") == ":1|:1|")
  }

  @Test func theOriginCanBeLookedAt() {
    let client = node.connect()
    client.say("GET Tom")
    origin.answer("Tom", "1")
    node.settle()
    _ = client.take()
    let info = client.say("FILL.INFO")
    #expect(info.contains("|$6|origin|$5|fake:|"))
    #expect(info.contains("|$5|loads|$1|1|"))
  }
}
