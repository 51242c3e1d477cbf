import Glibc
import NexusModel
import NexusTestSupport
import Synchronization
import Testing

extension ClusterTests {
  /// An origin behind three nodes: what reaches it, and who is answered.
  @Suite struct Filling {
    /// With further options of the origin.
    static func settings(_ origin: FakeHTTPServer, _ options: String = "timeout=30s&retries=0") -> [String] {
      ["--origin", "\(origin.url)/{key}#\(options)", "--absent-ttl", "10m"]
    }

    @Test("10,000 simultaneous requests of one cold key, over three nodes and all doors, are one call of the origin")
    func oneFlight() throws {
      let gate = Gate()
      let origin = try FakeHTTPServer { _ in
        gate.pass()
        return .reply(200, [], "630")
      }
      defer { origin.stop() }
      try ClusterOfProcesses.story(3, Self.settings(origin) + ["--forward-timeout", "30s"]) { cluster in
        let crowd = try Crowd(of: "Tom", at: cluster.nodes, redis: 40, pipelined: 75, http: 333)
        cluster.expect(crowd.count == 9_999, "\(crowd.count)")
        // One more, of a client that redirects: through the member that has the key.
        let owner = try owner(of: "Tom", cluster)
        let cached = try RESPClient(.tcp(port: owner.clusterPort))
        try cached.send(RESPClient.encode([Array("GET".utf8), Array("Tom".utf8)]))
        cluster.expect(eventually { origin.requests.count >= 1 })
        // More than 2 s, the time that members give one another unless told otherwise.
        usleep(2_500_000)
        gate.open()
        cluster.expect(try cached.read() == .text("630"))
        let answers = try crowd.answers()
        cluster.expect(answers == ["630": 9_999], "\(answers)")
        cluster.expect(origin.requests.count == 1, "\(origin.requests.count) calls")
        print("10,000 requests: \(origin.requests.count) call of the origin")
      }
    }

    @Test("where the member that loads is killed, the key is loaded once more, and everybody else is answered")
    func leaderDies() throws {
      let gate = Gate()
      let origin = try FakeHTTPServer { _ in
        gate.pass()
        return .reply(200, [], "630")
      }
      defer { origin.stop() }
      try ClusterOfProcesses.story(3, Self.settings(origin)) { cluster in
        let owner = try owner(of: "Tom", cluster)
        let others = cluster.nodes.filter { $0 !== owner }
        let crowd = try Crowd(of: "Tom", at: others, redis: 40, pipelined: 100, http: 200)
        cluster.expect(eventually { origin.requests.count == 1 && (try? joins([owner])) ?? 0 > 0 })
        owner.kill()
        // Whoever takes the slot over asks again; the first call still hangs.
        cluster.expect(eventually { origin.requests.count == 2 }, "\(origin.requests.count) calls")
        gate.open()
        let answers = try crowd.answers()
        cluster.expect(answers == ["630": crowd.count], "\(answers)")
        cluster.expect(origin.requests.count == 2, "\(origin.requests.count) calls")
        print("\(crowd.count) requests, the loading node killed: \(origin.requests.count) calls of the origin")
      }
    }

    @Test("clients of the member that loads wait for as long as the origin may take, all of them")
    func longLoad() throws {
      let gate = Gate()
      let origin = try FakeHTTPServer { _ in
        gate.pass()
        return .reply(200, [], "630")
      }
      defer { origin.stop() }
      try ClusterOfProcesses.story(2, Self.settings(origin)) { cluster in
        let crowd = try Crowd(of: "Tom", at: [try owner(of: "Tom", cluster)], redis: 10, pipelined: 10, http: 10)
        // Longer than what members give one another.
        usleep(UInt32(3_000_000 * Environment.patience))
        gate.open()
        let answers = try crowd.answers()
        cluster.expect(answers == ["630": 110], "\(answers)")
        cluster.expect(origin.requests.count == 1, "\(origin.requests.count) calls")
      }
    }

    @Test("a hot key that ends again and again: one call for each refresh, and no reader waits for it")
    func refreshing() throws {
      let running = Guarded((now: 0, most: 0))
      let origin = try FakeHTTPServer { _ in
        running.withLock { ($0.now, $0.most) = ($0.now + 1, max($0.most, $0.now + 1)) }
        usleep(UInt32(1_000_000 * Environment.patience))
        running.withLock { $0.now -= 1 }
        return .reply(200, [], "630")
      }
      defer { origin.stop() }
      let windows = ["--default-ttl", "300ms", "--stale-while-revalidate", "10m"]
      try ClusterOfProcesses.story(3, Self.settings(origin) + windows + ["--forward-timeout", "30s"]) { cluster in
        let clients = try cluster.nodes.map { try $0.client() }
        cluster.expect(try clients[0].ask("GET", "Tom") == .text("630"))
        let start = MonotonicClock.seconds()
        var (longest, reads) = (0.0, 0)
        while MonotonicClock.seconds() < start + 4 * Double(Environment.patience) {
          let before = MonotonicClock.seconds()
          cluster.expect(try clients[reads % 3].ask("GET", "Tom") == .text("630"))
          longest = max(longest, MonotonicClock.seconds() - before)
          reads += 1
        }
        let calls = origin.requests.count
        cluster.expect(running.withLock(\.most) == 1, "\(running.withLock(\.most)) calls at a time")
        // The first load, and as many as there is time for, each of which follows the end of a TTL.
        cluster.expect((3...5).contains(calls), "\(calls) calls")
        cluster.expect(longest < 0.9 * Double(Environment.patience), "a reader waited \(longest) s")
        print("\(reads) reads over \(calls - 1) refreshes of a second: the longest took \(longest) s")
      }
    }

    @Test("keys that the origin does not have are asked of it once each, however often they are asked for")
    func absent() throws {
      let origin = try FakeHTTPServer { _ in .reply(404) }
      defer { origin.stop() }
      try ClusterOfProcesses.story(3, Self.settings(origin)) { cluster in
        let clients = try cluster.nodes.map { try $0.client() }
        let names = (0..<2000).map { "absent\($0)" }
        for round in 0..<10 {
          for (index, client) in clients.enumerated() {
            // Another third of the keys each time, so that every node asks for every key.
            let mine = names.enumerated().filter { ($0.offset + round) % 3 == index }.map(\.element)
            let answers = try client.pipeline(mine.map { [Array("GET".utf8), Array($0.utf8)] })
            cluster.expect(answers.allSatisfy { $0 == .nullBulk }, "\(answers.first { $0 != .nullBulk }!)")
          }
        }
        let calls = Dictionary(origin.targets.map { ($0, 1) }, uniquingKeysWith: +)
        cluster.expect(calls.count == 2000 && calls.values.allSatisfy { $0 == 1 }, "\(calls.filter { $0.value > 1 })")
        // Known keys of other shapes stay as they are, and a write is seen at once.
        cluster.expect(try clients[0].ask("SET", "absent7", "here") == .ok)
        cluster.expect(try clients[1].ask("GET", "absent7") == .text("here"))
        print("20,000 requests of 2,000 absent keys: \(origin.requests.count) calls of the origin")
      }
    }

    @Test("an origin that hangs: all who wait are answered in their time, and other namespaces do not notice")
    func hanging() throws {
      let origin = try FakeHTTPServer { _ in .hang }
      defer { origin.stop() }
      let settings = [
        "--namespace", "slow:origin=\(origin.url)/{key}#timeout=1s&retries=0&connections=4&breaker-failures=0",
      ]
      try ClusterOfProcesses.story(3, settings) { cluster in
        let other = try cluster[0].client()
        for index in 0..<100 { cluster.expect(try other.ask("SET", "k\(index)", "v") == .ok) }
        let waiting = try cluster.nodes.map { node in
          let client = try node.client()
          cluster.expect(try client.ask("SELECT", "slow") == .ok)
          return client
        }
        let start = MonotonicClock.seconds()
        for client in waiting {
          for index in 0..<500 { try client.send(RESPClient.encode([Array("GET".utf8), Array("s\(index)".utf8)])) }
        }
        var longest = 0.0
        while MonotonicClock.seconds() < start + 0.8 {
          let before = MonotonicClock.seconds()
          cluster.expect(try other.ask("GET", "k\(Int(before * 1000) % 100)") == .text("v"))
          longest = max(longest, MonotonicClock.seconds() - before)
        }
        var failed = 0
        for client in waiting {
          for _ in 0..<500 {
            let answer = try client.read()
            if case .error(let text) = answer, text.starts(with: Array("ORIGIN".utf8)) { failed += 1 }
          }
        }
        let took = MonotonicClock.seconds() - start
        cluster.expect(failed == 1500, "\(failed) of 1,500 were told so")
        let bound = 1 + 2 * Double(Environment.patience)
        cluster.expect(took < bound, "the last was answered after \(took) s")
        cluster.expect(longest < 0.5 * Double(Environment.patience), "another namespace waited \(longest) s")
        print("1,500 waiters on an origin that hangs: the last answered after \(took) s; others waited \(longest) s")
      }
    }

    private func owner(of key: String, _ cluster: ClusterOfProcesses) throws -> ClusterOfProcesses.Node {
      let id = try cluster[0].owners()[key.keySlot]
      return try #require(cluster.nodes.first { $0.id == id })
    }

    /// Requests that wait for another's load, on all of these nodes.
    private func joins(_ nodes: [ClusterOfProcesses.Node]) throws -> Int {
      try nodes.reduce(0) { $0 + (try $1.metric("nexuscache_singleflight_dedup_total")) }
    }
  }
}

extension ClusterOfProcesses.Node {
  /// A figure without labels.
  func metric(_ name: String) throws -> Int {
    let line = try http("GET", "/metrics").text.split(separator: "\n").first { $0.hasPrefix(name + " ") }
    return line.flatMap { Double($0.dropFirst(name.utf8.count + 1)) }.map { Int($0) } ?? 0
  }
}

/// Keeps whoever passes until it is opened.
private final class Gate: Sendable {
  private let isOpen = Atomic<Bool>(false)
  func open() { isOpen.store(true, ordering: .releasing) }
  func pass() { while !isOpen.load(ordering: .acquiring) { usleep(1000) } }
}

/// Many clients that have all asked for one key, and wait.
private final class Crowd {
  private let redis: [RESPClient]
  private let http: [RESPClient]
  private let pipelined: Int
  var count: Int { redis.count * pipelined + http.count }

  /// So many connections to each node, with so many requests in each of those over Redis.
  init(of key: String, at nodes: [ClusterOfProcesses.Node], redis: Int, pipelined: Int, http: Int) throws {
    self.pipelined = pipelined
    let get = RESPClient.encode([Array("GET".utf8), Array(key.utf8)])
    let requests = (0..<pipelined).flatMap { _ in get }
    let page =
      "GET /api/cache/\(key) HTTP/1.1\r\nHost: h\r\nConnection: close\r\nAccept: application/octet-stream\r\n\r\n"
    self.redis = try nodes.flatMap { node in try (0..<redis).map { _ in try node.client(timeoutSeconds: 60) } }
    self.http = try nodes.flatMap { node in
      try (0..<http).map { _ in try RESPClient(.tcp(port: node.httpPort), timeoutSeconds: 60) }
    }
    for client in self.redis { try client.send(requests) }
    for client in self.http { try client.send(page) }
  }

  /// How often each answer came.
  func answers() throws -> [String: Int] {
    var answers: [String: Int] = [:]
    for client in redis {
      for _ in 0..<pipelined {
        let answer = try client.read()
        if case .bulk(let value) = answer {
          answers[String(decoding: value, as: UTF8.self), default: 0] += 1
        } else {
          answers["\(answer)", default: 0] += 1
        }
      }
    }
    for client in http {
      let text = String(decoding: try client.readToEnd(), as: UTF8.self)
      let isValue = text.hasPrefix("HTTP/1.1 200")
      answers[isValue ? String(text.split(separator: "\r\n\r\n").last!) : text, default: 0] += 1
    }
    return answers
  }
}
