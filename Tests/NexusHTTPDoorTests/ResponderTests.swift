import NexusModel
import NexusService
import NexusStore
import Testing

@testable import NexusHTTPDoor

@Suite struct ResponderTests {
  let http = ResponderHarness()

  @Test func everyReplyNamesTheNode() {
    let http = ResponderHarness(nodeName: "west \"2\"")
    #expect(
      http.ask("PUT /api/cache/k", [:], #"{"value":"v"}"#).text
        == #"{"success":true,"message":"Stored locally","node":"west \"2\"","primary":"west \"2\""}"#)
    #expect(http.ask("GET /health").text == #"{"healthy":true,"node":"west \"2\"","cluster_size":1}"#)
  }

  @Test(arguments: [
    (#""text""#, "text"), (#""""#, ""), ("3", "3"), ("-1.5e3", "-1.5e3"), ("true", "true"), ("null", "null"),
    (#"{"a": [1, 2]}"#, #"{"a": [1, 2]}"#), ("[ ]", "[ ]"), (#""a\n\t\"\\\/\u0041""#, "a\n\t\"\\/A"),
    (#""\u00e9\u20ac\ud83d\ude00""#, "é€😀"), (#""é€😀""#, "é€😀"), (#""\u0000""#, "\0"),
  ])
  func stringsAreStoredAsWhatTheyStandForAndOtherJSONAsItsText(_ json: String, _ expected: String) {
    #expect(http.ask("PUT /api/cache/k", [:], "{ \"value\" : \(json) }").status == 200)
    #expect(http.stored("k").map { String(decoding: $0, as: UTF8.self) } == expected)
  }

  @Test func valuesComeBackAsJSONStrings() {
    _ = http.ask("PUT /api/cache/k", raw, "tab\there, quote\", backslash\\, \u{1}, é, 😀, \u{7f}")
    #expect(
      http.ask("GET /api/cache/k").text
        == #"{"success":true,"data":{"key":"k","value":"tab\there, quote\", backslash\\, \u0001, é, 😀, "#
        + "\u{7f}\"},\"node\":\"1\",\"primary\":\"1\",\"local\":true,\"forwarded\":false}")
  }

  @Test func whatIsNotUTF8ComesBackInBase64AndMayBeSentSo() {
    let bytes: [UInt8] = [0xFF, 0x00, 0x80, 0x41]
    _ = http.ask("PUT /api/cache/k", raw, bytes)
    let reply = http.ask("GET /api/cache/k").text
    #expect(reply.contains(#""data":{"key":"k","value":"/wCAQQ==","encoding":"base64"}"#))
    #expect(http.ask("PUT /api/cache/copy", [:], #"{"value":"\/wCAQQ==","encoding":"base64"}"#).status == 200)
    #expect(http.stored("copy") == bytes)
    #expect(http.ask("GET /api/cache/k", raw).body == bytes)
  }

  @Test func aValueThatIsNoStringIsRefusedAndMayBeOverwritten() {
    let store = http.node.store
    Array("filter".utf8).withUnsafeBytes { name in
      let key = store.key(name, in: 0)
      let taken = store.lock(key, as: 1)
      defer { store.unlock(key, taken) }
      #expect(store.put(key, over: nil, name, .none, type: .cuckooFilter) == .stored)
    }
    let reply = http.ask("GET /api/cache/filter")
    #expect(reply.status == 409 && code(reply) == "wrong_type")
    #expect(http.ask("GET /api/cache/filter", raw).status == 409)
    #expect(http.ask("PUT /api/cache/filter", [:], #"{"value":"v"}"#).status == 200)
    #expect(http.stored("filter") == Array("v".utf8))
  }

  @Test func keysHaveAnyBytes() {
    #expect(http.ask("PUT /api/cache/a%2Fb%20c%00%25", [:], #"{"value":"v"}"#).status == 200)
    #expect(http.stored("a/b c\0%") == Array("v".utf8))
    #expect(http.ask("GET /api/cache/a/b%20c%00%25").text.contains(#""key":"a/b c\u0000%""#))
    #expect(http.ask("PUT /api/cache/%ff%FE", [:], #"{"value":"v"}"#).status == 200)
    #expect(http.ask("GET /api/cache/%FF%fe").text.contains(#""key":"//4=","key_encoding":"base64""#))
    #expect(http.ask("PUT /api/cache/a+b", [:], #"{"value":"plus"}"#).status == 200)
    #expect(http.stored("a+b") == Array("plus".utf8))
  }

  @Test(arguments: ["%", "%4", "%zz", "a%", "a%2", "%%41", "% 1"])
  func badPercentEncodingIsRefused(_ key: String) {
    for method in ["GET", "PUT", "DELETE", "HEAD", "POST"] {
      let reply = http.ask("\(method) /api/cache/\(key)", [:], #"{"value":1}"#)
      #expect(reply.status == 400)
      #expect(code(reply) == "bad_percent_encoding")
    }
  }

  @Test func aTTLInSecondsMayStandInBodyQueryOrHeader() {
    _ = http.ask("PUT /api/cache/body", [:], #"{"value":"v","ttl":10}"#)
    _ = http.ask("PUT /api/cache/query?ttl=10", raw, "v")
    _ = http.ask("PUT /api/cache/header", ["X-TTL": "10", "Content-Type": "application/octet-stream"], "v")
    _ = http.ask("PUT /api/cache/short", [:], #"{"value":"v","ttl":0.25}"#)
    _ = http.ask("PUT /api/cache/exponent", [:], #"{"value":"v","ttl":1e1}"#)
    _ = http.ask("PUT /api/cache/forever", [:], #"{"value":"v","ttl":0}"#)
    let start = http.now
    http.now = start + 249
    #expect(http.stored("short") != nil)
    http.now = start + 250
    #expect(http.stored("short") == nil)
    http.now = start + 9_999
    for key in ["body", "query", "header", "exponent", "forever"] { #expect(http.stored(key) != nil, "\(key)") }
    http.now = start + 10_000
    for key in ["body", "query", "header", "exponent"] { #expect(http.stored(key) == nil, "\(key)") }
    #expect(http.stored("forever") != nil)
  }

  @Test(arguments: ["-1", "\"5\"", "1e300", "null", "true", "[1]", "99999999999999999"])
  func aTTLThatIsNoneIsRefused(_ ttl: String) {
    #expect(code(http.ask("PUT /api/cache/k", [:], "{\"value\":1,\"ttl\":\(ttl)}")) == "bad_ttl")
  }

  @Test(arguments: ["", "-1", "five", "0x10", "inf", "nan", "1%20", "1e", "1111111111111111111111111111111111"])
  func aTTLThatIsNoneIsRefusedInTheQueryToo(_ ttl: String) {
    #expect(code(http.ask("PUT /api/cache/k?ttl=\(ttl)", raw, "v")) == "bad_ttl")
  }

  @Test func theNamespaceIsChosenByName() {
    let number = NamespaceName.number(of: "a b")
    http.node.store.configure(number, NamespaceSettings(name: "a b"), as: 9)
    _ = http.ask("PUT /api/cache/k?namespace=a%20b", raw, "three")
    #expect(http.stored("k", in: number) == Array("three".utf8))
    #expect(http.stored("k") == nil)
    #expect(http.ask("GET /api/cache/k", raw.merging(["X-Namespace": "a b"]) { $1 }).text == "three")
    #expect(http.ask("GET /api/cache/k?namespace=default", raw.merging(["X-Namespace": "a b"]) { $1 }).status == 404)
    let unknown = http.ask("GET /api/cache/k?namespace=nowhere")
    #expect(unknown.status == 404)
    #expect(code(unknown) == "unknown_namespace")
    let sentence = "unknown namespace 'nowhere': there are the databases 0 to 15, and the namespaces a b."
    #expect(unknown.text.contains(sentence))
    let odd = http.ask("GET /api/cache/k?namespace=%22%0A")
    #expect(odd.status == 404 && odd.text.contains("no namespace has such a name"))
  }

  @Test func whatIsMisspeltIsNotIgnored() {
    #expect(code(http.ask("PUT /api/cache/k?tll=5", raw, "v")) == "unknown_parameter")
    #expect(code(http.ask("PUT /api/cache/k", [:], #"{"value":"v","tll":5}"#)) == "bad_body")
    #expect(code(http.ask("PUT /api/cache/k", [:], #"{"value":"v","value":"w"}"#)) == "bad_body")
    #expect(code(http.ask("PUT /api/cache/k", [:], #"{"ttl":5}"#)) == "bad_body")
    #expect(code(http.ask("PUT /api/cache/k", [:], #"{"value":"!!","encoding":"base64"}"#)) == "bad_body")
    #expect(code(http.ask("PUT /api/cache/k", [:], #"{"value":7,"encoding":"base64"}"#)) == "bad_body")
    #expect(code(http.ask("PUT /api/cache/k", [:], #"{"value":"aa==","encoding":"hex"}"#)) == "bad_body")
    #expect(http.stored("k") == nil)
  }

  @Test(arguments: ["", "text", "[1]", "\"text\"", "  "])
  func aBodyThatIsNoObjectIsRefused(_ body: String) {
    let reply = http.ask("PUT /api/cache/k", [:], body)
    #expect(reply.status == 400)
    #expect(code(reply) == "bad_body")
  }

  @Test func aMissingKeyIsSaidSo() {
    #expect(code(http.ask("GET /api/cache/absent")) == "key_not_found")
    #expect(http.ask("GET /api/cache/absent").status == 404)
    #expect(http.ask("GET /api/cache/absent", raw).status == 404)
    #expect(http.ask("DELETE /api/cache/absent").text.hasSuffix(#""deleted":false}"#))
  }

  @Test func pathsAndMethodsThatAreNotThereAreRefused() {
    for path in ["/nothing", "/api", "/api/cach/k", "/healthy", "/health/", "/metrics/x", "*", ""] {
      #expect(code(http.ask("GET \(path.isEmpty ? "x" : path)")) == "unknown_path", "\(path)")
    }
    for path in ["/api/cache/", "/api/cache"] { #expect(code(http.ask("GET \(path)")) == "key_missing") }
    for request in ["PATCH /api/cache/k", "PUT /health", "DELETE /metrics", "POST /", "get /api/cache/k"] {
      let reply = http.ask(request)
      #expect(reply.status == 405, "\(request)")
      #expect(code(reply) == "method_not_allowed")
    }
  }

  @Test func aValueOverTheNodesLimitIsRefused() {
    let http = ResponderHarness(settings: ["max-value-size": "1mb"])
    let reply = http.ask("PUT /api/cache/k", raw, [UInt8](repeating: 1, count: 1 << 20 + 1))
    #expect(reply.status == 413)
    #expect(code(reply) == "value_too_large")
  }

  @Test func largeRepliesAreRefusedWhileTooManyWait() {
    _ = http.ask("PUT /api/cache/k", raw, [UInt8](repeating: 0x61, count: 2 << 20))
    #expect(http.ask("GET /api/cache/k").status == 200)
    http.responder.pendingReplyBytes = http.responder.configuration.pendingRepliesLimitBytes
    #expect(http.ask("GET /api/cache/k").status == 503)
    #expect(code(http.ask("GET /api/cache/k", raw)) == "replies_pending")
    _ = http.ask("PUT /api/cache/small", raw, "v")
    #expect(http.ask("GET /api/cache/small").status == 200)
  }

  @Test func healthIsAnsweredAndTheIndexListsThePaths() {
    #expect(http.ask("GET /health").text == #"{"healthy":true,"node":"1","cluster_size":1}"#)
    #expect(http.ask("GET /health/live").text == #"{"live":true}"#)
    #expect(http.ask("HEAD /health/ready").text == #"{"ready":true}"#)
    let index = http.ask("GET /")
    for path in ["/api/cache/{key}", "/health", "/health/live", "/health/ready", "/metrics"] {
      #expect(index.text.contains(path))
    }
    #expect(index.text.split(separator: "\n", omittingEmptySubsequences: false).count <= 24)
  }
}
