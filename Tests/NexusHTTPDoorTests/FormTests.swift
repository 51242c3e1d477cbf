import NexusModel
import NexusService
import NexusStore
import Testing

@testable import NexusHTTPDoor

/// `GET /api/get` and `POST /api/set`: fields in, plain text out.
@Suite struct FormTests {
  let http = ResponderHarness()

  private func set(_ form: String, _ query: String = "") -> TestReply {
    http.ask("POST /api/set\(query)", ["Content-Type": "application/x-www-form-urlencoded"], form)
  }

  @Test("What a form stores is read by its key")
  func storingAndReading() {
    #expect(set("key=user1&value=Hemant&expire=5&hot=false").text == "done")
    #expect(http.ask("GET /api/get?key=user1").text == "value=Hemant")
    http.now += 4999
    #expect(http.ask("GET /api/get?key=user1").status == 200)
    http.now += 1
    let gone = http.ask("GET /api/get?key=user1")
    #expect(gone.status == 404 && gone.text == "no such key")
  }

  @Test("Fields are decoded as browsers encode them")
  func decoding() {
    #expect(set("value=a%26b%3Dc+d%2B%00%ff&&key=with+space%2F%E2%82%AC").text == "done")
    #expect(http.stored("with space/€") == Array("a&b=c d+\0".utf8) + [0xFF])
    #expect(http.ask("GET /api/get?key=with%20space%2F%E2%82%AC").body == Array("value=a&b=c d+\0".utf8) + [0xFF])
    #expect(set("key=empty&value=").text == "done")
    #expect(http.ask("GET /api/get?key=empty").text == "value=")
    #expect(set("key=long&value=" + String(repeating: "%41", count: 40_000)).text == "done")
    #expect(http.ask("GET /api/get?key=long").text == "value=" + String(repeating: "A", count: 40_000))
  }

  @Test("No expiry is the namespace's, and so is 0")
  func expiry() throws {
    var settings = NamespaceSettings(name: "brief")
    settings.defaultTTLMilliseconds = 1000
    http.node.store.configure(NamespaceName.number(of: "brief"), settings, as: 99)
    for form in [
      "key=a&value=v&group=brief", "key=b&value=v&expire=0&group=brief", "key=c&value=v&expire=2&group=brief",
    ] { #expect(set(form).text == "done") }
    http.now += 1000
    #expect(http.ask("GET /api/get?key=a&group=brief").status == 404)
    #expect(http.ask("GET /api/get?key=b&group=brief").status == 404)
    #expect(http.ask("GET /api/get?key=c&group=brief").text == "value=v")
  }

  @Test("A group is a namespace; where none is named, the setting's")
  func groups() {
    http.node.store.configure(NamespaceName.number(of: "scores"), NamespaceSettings(name: "scores"), as: 99)
    #expect(set("key=Tom&value=1&group=scores").text == "done")
    #expect(set("key=Tom&value=2", "?group=db3").text == "done")
    #expect(set("key=Tom&value=3").text == "done")
    #expect(http.ask("GET /api/get?key=Tom&group=scores").text == "value=1")
    #expect(http.ask("GET /api/get?group=db3&key=Tom").text == "value=2")
    #expect(http.ask("GET /api/get?key=Tom", ["X-Namespace": "db3"]).text == "value=2")
    #expect(http.ask("GET /api/get?key=Tom").text == "value=3")
    let unknown = http.ask("GET /api/get?key=Tom&group=nowhere")
    #expect(unknown.status == 404 && unknown.text.hasPrefix("unknown namespace 'nowhere'"))
    #expect(set("key=Tom&value=3&group=nowhere").status == 404)

    let other = ResponderHarness(settings: ["namespace": "scores", "form-group": "scores"])
    other.node.store.configure(NamespaceName.number(of: "scores"), NamespaceSettings(name: "scores"), as: 99)
    #expect(other.ask("POST /api/set", [:], "key=Tom&value=630").text == "done")
    #expect(other.stored("Tom", in: NamespaceName.number(of: "scores")) == Array("630".utf8))
    #expect(other.stored("Tom") == nil)
  }

  @Test(
    "What is wrong with a request is said in one sentence",
    arguments: [
      ("GET /api/get", "", 400, "The query has no key: write /api/get?key=KEY."),
      ("GET /api/get?key=", "", 400, "The query has no key: write /api/get?key=KEY."),
      ("GET /api/get?key=%4", "", 400, "In the key, a % is not followed by two hexadecimal digits"),
      (
        "GET /api/get?kye=a", "", 400,
        "The query has a parameter that is not known; this path takes namespace, ack, key and"
      ),
      ("POST /api/get?key=a", "", 405, "/api/get accepts GET, HEAD."),
      ("GET /api/set?key=a", "", 405, "/api/set accepts POST."),
      ("POST /api/set", "", 400, "The form needs the fields key and value"),
      ("POST /api/set", "key=a", 400, "The form needs the fields key and value"),
      ("POST /api/set", "key=&value=v", 400, "The form needs the fields key and value"),
      (
        "POST /api/set", "key=a&value=v&expires=5", 400, "The form has the field 'expires'; key, value, expire, hot and"
      ),
      ("POST /api/set", "key=a&value=v&key=b", 400, "The form has the field 'key' twice."),
      ("POST /api/set", "key=a&value=%zz", 400, "In the form, a % is not followed by two hexadecimal digits"),
      ("POST /api/set", "key=a&value=v&expire=soon", 400, "expire is not a number of seconds from 0"),
      ("POST /api/set", "key=a&value=v&expire=-1", 400, "expire is not a number of seconds from 0"),
      ("POST /api/set", "key=a&value=v&hot=maybe", 400, "hot is neither true nor false."),
      ("POST /api/set?key=a", "value=v", 400, "The key belongs into the form"),
      ("POST /api/set", "{\"key\":\"a\"}", 400, "The form has the field '{\"key\":\"a\"}'"),
    ])
  func mistakes(_ request: String, _ form: String, _ status: Int, _ beginning: String) {
    let reply = http.ask(request, [:], form)
    #expect(reply.status == status)
    #expect(reply.text.hasPrefix(beginning), "\(reply.text)")
    #expect(!reply.text.contains("\n"))
  }

  @Test("Other requests do not take a form's parameters")
  func parametersOfOthers() {
    #expect(code(http.ask("GET /api/cache/k?group=db3")) == "unknown_parameter")
    #expect(code(http.ask("GET /api/cache/k?key=a")) == "unknown_parameter")
  }

  @Test("What is hot is said to whoever executes the key, with everything else")
  func theWayToTheOwner() throws {
    let store = http.node.store
    for isHot in [false, true] {
      for level in [nil] + Acknowledgement.allCases.map(Optional.some) {
        Array("key".utf8).withUnsafeBytes { bytes in
          var request = KeyRequest(.write, store.key(bytes, in: 0))
          (request.form, request.isHot, request.acknowledgement) = (.plain, isHot, level)
          request.life = .milliseconds(5000)
          let read = request.withOperation { operation in
            KeyRequest(operation, store).map { ($0.form, $0.isHot, $0.acknowledgement, $0.life) }
          }
          #expect(read! == (.plain, isHot, level, .milliseconds(5000)))
        }
      }
    }
  }

  @Test("Every member answers for every key, in plain text")
  func forwarding() throws {
    let cluster = try TestCluster(3)
    defer { cluster.stop() }
    for number in 0..<30 {
      let form = "key=k\(number)&value=v\(number)&hot=true"
      #expect(cluster.servers[number % 3].ask("POST /api/set", body: Array(form.utf8)).text == "done")
    }
    for number in 0..<30 {
      let reply = cluster.servers[(number + 1) % 3].ask("GET /api/get?key=k\(number)")
      #expect(reply.status == 200 && reply.text == "value=v\(number)")
      #expect(reply.headers["content-type"] == "text/plain; charset=utf-8")
      let absent = cluster.servers[number % 3].ask("GET /api/get?key=absent\(number)")
      #expect(absent.status == 404 && absent.text == "no such key")
    }
    #expect(cluster.servers.allSatisfy { $0.node.statistics[0].operationsForwarded.value > 0 })
  }
}
