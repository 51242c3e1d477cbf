import NexusModel
import NexusService
import NexusStore
import Testing

@testable import NexusHTTPDoor

/// `POST /v1/cache/invalidate` and `refresh`.
@Suite struct UpkeepTests {
  private func store(_ keys: [String], _ http: ResponderHarness) {
    for key in keys { _ = http.ask("POST /api/set", [:], "key=\(key)&value=v") }
  }

  @Test("A key, or all that begin so, are let go")
  func invalidating() {
    let http = ResponderHarness()
    store(["page/1", "page/2", "pages", "other", "a b"], http)
    #expect(http.ask("POST /v1/cache/invalidate?key=a+b").text == #"{"success":true,"removed":0}"#)
    #expect(http.ask("POST /v1/cache/invalidate?key=a%20b").text == #"{"success":true,"removed":1}"#)
    #expect(http.ask("POST /v1/cache/invalidate?prefix=page%2F").text == #"{"success":true,"removed":2}"#)
    #expect(http.stored("page/1") == nil && http.stored("pages") != nil)
    #expect(http.ask("POST /v1/cache/invalidate?prefix=&namespace=db1").text == #"{"success":true,"removed":0}"#)
    #expect(http.ask("POST /v1/cache/invalidate?prefix=").text == #"{"success":true,"removed":2}"#)
  }

  @Test("What is stored with tags is let go by any of them")
  func tags() {
    let http = ResponderHarness()
    func put(_ target: String, _ headers: [String: String] = [:]) -> Int {
      http.ask("PUT /api/cache/\(target)", headers, #"{"value":"v"}"#).status
    }
    #expect(put("a?tags=news,home") == 200)
    #expect(put("b", ["X-Tags": " home ,, page 7 "]) == 200)
    #expect(put("c?tags=page%207", ["X-Tags": "home"]) == 200)
    #expect(put("d") == 200)
    #expect(http.ask("POST /v1/cache/invalidate?tag=news").text == #"{"success":true,"removed":1}"#)
    #expect(http.ask("POST /v1/cache/invalidate?tag=home").text == #"{"success":true,"removed":1}"#)
    // Written over without tags it keeps them, with tags it has these.
    #expect(put("c") == 200)
    #expect(http.ask("POST /v1/cache/invalidate?tag=page%207").text == #"{"success":true,"removed":1}"#)
    #expect(put("e?tags=one") == 200 && put("e?tags=two") == 200)
    #expect(http.ask("POST /v1/cache/invalidate?tag=one").text == #"{"success":true,"removed":0}"#)
    #expect(http.ask("POST /v1/cache/invalidate?tag=two").text == #"{"success":true,"removed":1}"#)
    #expect(http.stored("d") != nil)
    let many = http.ask("PUT /api/cache/k?tags=1,2,3,4,5,6,7,8,9", [:], #"{"value":"v"}"#)
    #expect(many.status == 400 && code(many) == "too_many_tags")
  }

  @Test(
    "What is wrong with such a request is said",
    arguments: [
      ("invalidate", 400, "bad_upkeep"), ("invalidate?key=a&prefix=b", 400, "bad_upkeep"),
      ("refresh?namespace=db1", 409, "no_origin"), ("refresh?key=a", 409, "no_origin"),
      ("refresh?prefix=a", 400, "unknown_parameter"), ("invalidate?keys=a", 400, "unknown_parameter"),
      ("invalidate?key=%4", 400, "bad_percent_encoding"), ("invalidate?key=a&namespace=x", 404, "unknown_namespace"),
    ])
  func mistakes(_ request: String, _ status: Int, _ name: String) {
    let http = ResponderHarness()
    let reply = http.ask("POST /v1/cache/\(request)")
    #expect(reply.status == status && code(reply) == name, "\(reply.text)")
    #expect(http.ask("GET /v1/cache/\(request)").status == 405)
    #expect(code(http.ask("POST /v1/cache/\(request)", ["Origin": "http://example.com"])) == "from_a_page")
  }

  @Test("Every member removes what it has, and their numbers are added up")
  func everywhere() throws {
    let cluster = try TestCluster(3)
    defer { cluster.stop() }
    func set(_ key: String) -> String {
      cluster.servers[0].ask("POST /api/set", body: Array("key=\(key)&value=v".utf8)).text
    }
    for number in 0..<60 {
      #expect(set("page\(number)") == "done")
      #expect(set("kept\(number)") == "done")
    }
    let counts = cluster.servers.map { $0.node.store.count(in: 0) }
    #expect(counts.allSatisfy { $0 > 0 } && counts.reduce(0, +) == 120)
    #expect(cluster.servers[1].ask("POST /v1/cache/invalidate?prefix=page").text == #"{"success":true,"removed":60}"#)
    #expect(cluster.servers.map { $0.node.store.count(in: 0) }.reduce(0, +) == 60)
    for number in 0..<60 {
      #expect(cluster.servers[number % 3].ask("GET /api/get?key=kept\(number)").text == "value=v")
    }
    let key = (0..<60).lazy.map { "kept\($0)" }.first { cluster.owner(of: $0) == 2 }!
    #expect(cluster.servers[0].ask("POST /v1/cache/invalidate?key=\(key)").text == #"{"success":true,"removed":1}"#)
    #expect(cluster.servers[2].ask("GET /api/get?key=\(key)").status == 404)
  }

  @Test("Tags travel to whoever executes the key")
  func tagsEverywhere() throws {
    let cluster = try TestCluster(3)
    defer { cluster.stop() }
    for number in 0..<30 {
      let put = cluster.servers[0].ask(
        "PUT /api/cache/k\(number)?tags=\(number % 3 == 0 ? "third" : "other"),all", body: Array(#"{"value":1}"#.utf8))
      #expect(put.status == 200)
    }
    #expect(cluster.servers[2].ask("POST /v1/cache/invalidate?tag=third").text == #"{"success":true,"removed":10}"#)
    #expect(cluster.servers[1].ask("POST /v1/cache/invalidate?tag=all").text == #"{"success":true,"removed":20}"#)
  }

  @Test("A member that does not answer is the answer, and asking again does the rest")
  func aMemberThatIsSilent() throws {
    let cluster = try TestCluster(3)
    defer { cluster.stop() }
    for number in 0..<60 {
      _ = cluster.servers[0].ask("POST /api/set", body: Array("key=page\(number)&value=v".utf8))
    }
    cluster.failure.withLock { $0 = .outcomeUnknown(MemberID("node-1")!, milliseconds: 2000) }
    let failed = cluster.servers[0].ask("POST /v1/cache/invalidate?prefix=page")
    #expect(failed.status == 504 && code(failed) == "outcome_unknown")
    #expect(cluster.servers[0].node.store.count(in: 0) == 0)
    cluster.failure.withLock { $0 = nil }
    #expect(cluster.servers[0].ask("POST /v1/cache/invalidate?prefix=page").status == 200)
    #expect(cluster.servers.allSatisfy { $0.node.store.count(in: 0) == 0 })
  }
}
