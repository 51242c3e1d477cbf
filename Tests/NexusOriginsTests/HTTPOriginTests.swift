import Glibc
import NexusModel
import NexusService
import NexusTestSupport
import Testing

@testable import NexusOrigins

/// An HTTP server that does what a test tells it to.
@Suite struct HTTPOriginTests {
  private func origin(_ server: FakeHTTPServer, _ rest: String = "/scores/{key}", _ options: String = "")
    throws -> any Origin
  {
    try Origins.make(OriginConfiguration(server.url + rest + "#backoff=0&" + options))
  }

  @Test func statusesAreValuesAbsencesAndFailures() async throws {
    let server = try FakeHTTPServer { request in
      switch request.target {
      case "/scores/Tom": .reply(200, [], "630")
      case "/scores/empty": .reply(200)
      case "/scores/bytes": .bytes([0, 255, 13, 10, 0])
      case "/scores/gone": .reply(410)
      case "/scores/none": .reply(404, ["Cache-Control: max-age=5"], "no such score")
      default: .reply(Int(request.target.dropFirst("/scores/".count)) ?? 500)
      }
    }
    let origin = try origin(server, "/scores/{key}", "retries=0&breaker-failures=0&connections=1")
    #expect(await origin.load("Tom") == .value("630"))
    #expect(await origin.load("empty") == .value(""))
    #expect(await origin.load("bytes") == .value(OriginValue([0, 255, 13, 10, 0])))
    #expect(await origin.load("gone") == .absent(.unspecified))
    #expect(await origin.load("none") == .absent(OriginFreshness(timeToLiveMilliseconds: 5000)))
    for status in [204, 206, 400, 401, 403, 418, 429, 500, 503] {
      #expect(await origin.load("\(status)").cause == .wrongStatus(status))
    }
    // Not asked whether anything changed, it cannot say that nothing did.
    #expect(await origin.load("304").cause?.isGarbage == true)
    #expect(server.connections == 1)
    origin.stop()
  }

  @Test func aServerThatIsBusyIsAskedAgainAndOneThatRefusesIsNot() async throws {
    let server = try FakeHTTPServer { request in
      request.target == "/scores/refused" ? .reply(403) : .reply(503)
    }
    let origin = try origin(server, "/scores/{key}", "retries=3")
    #expect(await origin.load("busy").cause == .wrongStatus(503))
    #expect(await origin.load("refused").cause == .wrongStatus(403))
    #expect(server.targets == Array(repeating: "/scores/busy", count: 4) + ["/scores/refused"])
    origin.stop()
  }

  @Test func whatTheServerSaysOfFreshnessIsPassedOn() async throws {
    let server = try FakeHTTPServer { request in
      switch request.target {
      case "/scores/shared":
        .reply(
          200, ["Cache-Control: max-age=9, s-maxage=60", "cache-control: stale-while-revalidate=30", "Age: 10"], "1")
      case "/scores/secret": .reply(200, ["Cache-Control: no-store"], "1")
      case "/scores/dated":
        .reply(200, ["Date: Sun, 06 Nov 1994 08:49:37 GMT", "Expires: Sun, 06 Nov 1994 08:50:37 GMT"], "1")
      default: .reply(404)
      }
    }
    let origin = try origin(server)
    func freshness(_ key: String) async -> OriginFreshness? {
      if case .value(let value) = await origin.load(key) { value.freshness } else { nil }
    }
    #expect(
      await freshness("shared")
        == OriginFreshness(timeToLiveMilliseconds: 50_000, staleWhileRevalidateMilliseconds: 30_000))
    #expect(await freshness("secret") == OriginFreshness(neverStore: true))
    #expect(await freshness("dated") == OriginFreshness(timeToLiveMilliseconds: 60_000))
    origin.stop()
  }

  @Test func whatHasNotChangedIsNotSentAgain() async throws {
    let version = Guarded("\"v1\"")
    let server = try FakeHTTPServer { request in
      let tag = version.withLock { $0 }
      return request.fields["if-none-match"] == tag
        ? .reply(304, ["Cache-Control: max-age=7"]) : .reply(200, ["ETag: \(tag)"], "value \(tag)")
    }
    let origin = try origin(server)
    let first = ValueDigest(Array("value \"v1\"".utf8))
    // Nothing is known yet.
    #expect(await origin.load("a", held: first).text == "value \"v1\"")
    #expect(await origin.load("a", held: first) == .unchanged(OriginFreshness(timeToLiveMilliseconds: 7000)))
    // Whoever has no value, or another one than came with the tag, needs the value.
    #expect(await origin.load("a").text == "value \"v1\"")
    #expect(await origin.load("a", held: ValueDigest(Array("written by a client".utf8))).text == "value \"v1\"")
    #expect(await origin.load("b", held: first).text == "value \"v1\"")
    version.withLock { $0 = "\"v2\"" }
    #expect(await origin.load("a", held: first).text == "value \"v2\"")
    #expect(server.requests.map { $0.fields["if-none-match"] } == [nil, "\"v1\"", nil, nil, nil, "\"v1\""])
    origin.stop()
  }

  @Test func noKeyLeavesItsPlaceInTheURLOrAddsToTheRequest() async throws {
    let server = try FakeHTTPServer { _ in .reply(404) }
    let origin = try origin(server, "/a/{key}/b?x={key}&y=1")
    for key in hostileKeys { #expect(await origin.load(key).isAbsent, "\(key)") }
    #expect(server.requests.count == hostileKeys.count)
    for (key, request) in zip(hostileKeys, server.requests) {
      let encoded = PercentText.encoded(key)
      #expect(request.target == "/a/\(encoded)/b?x=\(encoded)&y=1")
      #expect(Set(request.fields.keys) == ["host", "user-agent", "accept"])
    }
    for key in ["..", ".", ""] { #expect(await origin.load(key).cause?.isUnsuitableKey == true, "\(key)") }
    #expect(server.requests.count == hostileKeys.count)
    origin.stop()
  }

  @Test func redirectsAreFollowedSoFar() async throws {
    let server = try FakeHTTPServer { request in
      switch request.target {
      case "/scores/moved": .reply(301, ["Location: /scores/moved2"])
      case "/scores/moved2": .reply(307, ["Location: Tom"])
      case "/scores/Tom": .reply(200, [], "630")
      case "/scores/nowhere": .reply(302)
      case "/scores/file": .reply(302, ["Location: file:///etc/passwd"])
      default: .reply(302, ["Location: \(request.target)x"])
      }
    }
    let origin = try origin(server, "/scores/{key}", "redirects=4&retries=0&breaker-failures=0")
    #expect(await origin.load("moved").text == "630")
    #expect(await origin.load("nowhere").cause == .wrongStatus(302))
    #expect(await origin.load("file").cause?.isGarbage == true)
    guard case .rejected(let words) = await origin.load("loop").cause else {
      Issue.record("it went on")
      return
    }
    #expect(words == "it redirects more than 4 times, at last to \(server.url)/scores/loopxxxxx")
    #expect(server.targets.last == "/scores/loopxxxx")
    origin.stop()
  }

  @Test func secretsStayWithTheServerTheyAreMeantFor() async throws {
    let other = try FakeHTTPServer { _ in .reply(200, [], "from elsewhere") }
    let elsewhere = other.url
    let server = try FakeHTTPServer { request in
      switch request.target {
      case "/away": .reply(302, ["Location: \(elsewhere)/there"])
      case "/here": .reply(302, ["Location: /there"])
      default: .reply(200, [], "from here")
      }
    }
    let origin = try Origins.make(
      OriginConfiguration("http://me:secret@127.0.0.1:\(server.port)/{key}#header=X-Token: t&header=X-More: %26"))
    #expect(await origin.load("here").text == "from here")
    #expect(await origin.load("away").text == "from elsewhere")
    for request in server.requests {
      #expect(request.fields["authorization"] == "Basic bWU6c2VjcmV0")
      #expect(request.fields["x-token"] == "t" && request.fields["x-more"] == "&", "\(request)")
    }
    #expect(Set(other.requests[0].fields.keys) == ["host", "user-agent", "accept"])
    #expect(!origin.name.contains("secret"))
    origin.stop()
  }

  @Test func aServerThatMisbehavesIsAFailureAndTheNextRequestIsServed() async throws {
    let server = try FakeHTTPServer { request in
      switch request.target {
      case "/scores/garbage": .raw("220 smtp.example ESMTP\r\n")
      case "/scores/binary": .raw("\u{0}\u{1}\u{2}\r\n\r\n")
      case "/scores/midway": .raw("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nonly this")
      case "/scores/chunk": .raw("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nff\r\nonly this")
      case "/scores/closed": .raw("")
      case "/scores/over": .reply(200, [], String(repeating: "x", count: 1001))
      case "/scores/at": .reply(200, [], String(repeating: "x", count: 1000))
      case "/scores/claims":
        .raw("HTTP/1.1 200 OK\r\nContent-Length: 99999999999999\r\n\r\n" + String(repeating: "x", count: 5000))
      case "/scores/endless": .endless("HTTP/1.1 200 OK\r\n\r\n", String(repeating: "x", count: 1000))
      case "/scores/head": .endless("HTTP/1.1 200 OK\r\n", "X-Field: \(String(repeating: "x", count: 1000))\r\n")
      case "/scores/absent": .endless("HTTP/1.1 404 No\r\n\r\n", String(repeating: "x", count: 1000))
      default: .reply(200, [], "630")
      }
    }
    let origin = try origin(server, "/scores/{key}", "retries=0&breaker-failures=0&value-limit=1000&connections=1")
    for key in ["garbage", "binary", "head"] { #expect(await origin.load(key).cause?.isGarbage == true, "\(key)") }
    for key in ["midway", "chunk", "closed"] { #expect(await origin.load(key).cause?.isUnreachable == true, "\(key)") }
    for key in ["over", "claims", "endless"] {
      #expect(await origin.load(key).cause == .tooLarge(limitBytes: 1000), "\(key)")
    }
    #expect(await origin.load("at").text?.count == 1000)
    #expect(await origin.load("absent").isAbsent)
    #expect(await origin.load("Tom").text == "630")
    origin.stop()
  }

  @Test func aServerThatHangsIsLeftAtTheDeadlineAndWhenTheOriginStops() async throws {
    let server = try FakeHTTPServer { _ in .hang }
    let origin = try origin(server, "/scores/{key}", "retries=0&breaker-failures=0&timeout=1h")
    #expect(await origin.load("a", milliseconds: 40).cause?.isTimeout == true)
    #expect(await eventually { origin.figures.running == 0 })
    async let late = origin.load("b")
    #expect(await eventually { server.targets.contains("/scores/b") })
    origin.stop()
    #expect(await late.cause == .stopping)
    #expect(origin.figures.running == 0)
  }

  @Test func nobodyThereIsUnreachable() async throws {
    let port = NexusServer.freePorts(1)[0]
    let origin = try Origins.make(OriginConfiguration("http://127.0.0.1:\(port)/{key}#retries=1&backoff=0"))
    #expect(await origin.load("a").cause?.isUnreachable == true)
    #expect(origin.figures.attempts == 2)
    origin.stop()
    let name = try Origins.make(OriginConfiguration("http://nowhere.invalid/{key}#retries=0"))
    #expect(await name.load("a").cause?.isUnreachable == true)
    name.stop()
  }

  @Test func writesArePutAndDelete() async throws {
    let server = try FakeHTTPServer { request in
      switch request.target {
      case "/scores/readonly": .reply(405)
      case "/scores/gone": .reply(404)
      case "/scores/midway": .raw("")
      case "/scores/moved": .reply(307, ["Location: /elsewhere"])
      default: .reply(204)
      }
    }
    let origin = try origin(server, "/scores/{key}", "write=put&retries=0&breaker-failures=0")
    #expect(origin.canStore)
    let bytes = OriginWrite(
      key: Array("a b".utf8), value: [0, 255, 10], timeToLiveMilliseconds: 90_500, deadlineMilliseconds: 20_000)
    #expect(await origin.store(bytes).succeeded)
    #expect(await origin.store("empty", "").succeeded)
    #expect(await origin.store("a b", nil).succeeded)
    #expect(await origin.store("gone", nil).succeeded)
    #expect(await origin.store("gone", "1").cause == .wrongStatus(404))
    #expect(await origin.store("readonly", "1").cause == .wrongStatus(405))
    #expect(await origin.store("moved", "1").cause == .wrongStatus(307))
    // It went out, and nobody knows what became of it.
    #expect(await origin.store("midway", "1").cause?.isUnknownOutcome == true)
    let requests = server.requests
    #expect(
      requests.prefix(3).map { "\($0.method) \($0.target)" } == [
        "PUT /scores/a%20b", "PUT /scores/empty", "DELETE /scores/a%20b",
      ])
    #expect(requests[0].body == [0, 255, 10])
    #expect(requests[0].fields["cache-control"] == "max-age=90")
    #expect(requests[0].fields["content-type"] == "application/octet-stream")
    #expect(requests[1].body.isEmpty && requests[1].fields["content-length"] == "0")
    #expect(requests[1].fields["expect"] == nil)
    origin.stop()
  }

  @Test func aWriteMakesTheRememberedTagWorthless() async throws {
    let server = try FakeHTTPServer { request in
      request.method == "GET" ? .reply(200, ["ETag: \"v1\""], "old") : .reply(200)
    }
    let origin = try origin(server, "/scores/{key}", "write=put")
    #expect(await origin.load("a").text == "old")
    #expect(await origin.store("a", "new").succeeded)
    _ = await origin.load("a", held: ValueDigest(Array("old".utf8)))
    #expect(server.requests.last?.fields["if-none-match"] == nil)
    origin.stop()
  }

  @Test func aCertificateIsLookedAt() async throws {
    let directory = TemporaryDirectory()
    let key = directory.path + "/key.pem", certificate = directory.path + "/certificate.pem"
    let made = try await onThread {
      try ChildProcess.run(
        Environment.find(program: "openssl") ?? "openssl",
        [
          "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2", "-subj",
          "/CN=a test", "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", key, "-out", certificate,
        ])
    }
    try #require(made.status == 0, "\(made.output)")
    let script = """
      import http.server, ssl, sys
      class Scores(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
          self.send_response(200 if self.path == "/Tom" else 404)
          self.send_header("Content-Length", "3")
          self.end_headers()
          self.wfile.write(b"630")
      server = http.server.HTTPServer(("127.0.0.1", 0), Scores)
      context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
      context.load_cert_chain(sys.argv[1], sys.argv[2])
      server.socket = context.wrap_socket(server.socket, server_side=True)
      print("port", server.server_port, "is open", flush=True)
      server.serve_forever()
      """
    let server = try ChildProcess(
      Environment.find(program: "python3") ?? "python3", ["-c", script, certificate, key],
      output: directory.path + "/log")
    #expect(await eventually { server.output.contains("is open") }, "\(server.output)")
    let port = server.output.split(separator: " ").dropFirst().first ?? ""
    let url = "https://127.0.0.1:\(port)/{key}#retries=0&breaker-failures=0&connections=1"
    let trusting = try Origins.make(OriginConfiguration("\(url)&ca-file=\(certificate)"))
    #expect(await trusting.load("Tom").text == "630")
    #expect(await trusting.load("Jack").isAbsent)
    let strict = try Origins.make(OriginConfiguration(url))
    #expect(await strict.load("Tom").cause?.isUnreachable == true)
    trusting.stop()
    strict.stop()
    server.stop(with: SIGKILL)
  }
}
