import Foundation
import NexusTestSupport
import Testing

/// What the adapters make of it is told in NexusOriginsTests; here it passes through a whole server and its doors.
@Suite("An origin that misbehaves, behind a server")
struct BadOriginStories {
  static let limit = 1000

  static func answer(_ request: FakeHTTPServer.Request) -> FakeHTTPServer.Answer {
    switch request.target {
    case "/s/garbage": .raw("220 smtp.example ESMTP\r\n")
    case "/s/midway": .raw("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nonly this")
    case "/s/over": .reply(200, [], String(repeating: "x", count: limit + 1))
    case "/s/endless": .endless("HTTP/1.1 200 OK\r\n\r\n", String(repeating: "x", count: 1000))
    case "/s/refuses": .reply(403)
    case "/s/broken": .reply(500)
    case "/s/hangs": .hang
    case let loop where loop.hasPrefix("/s/loop"): .reply(302, ["Location: \(loop)x"])
    case "/s/Tom": .reply(200, [], "630")
    default: .reply(404)
    }
  }

  static let bad: [(key: String, words: String, statuses: Set<Int>)] = [
    ("garbage", "makes no sense", [502]), ("midway", "broke off", [502]), ("over", "1000", [502]),
    ("endless", "1000", [502]),
    ("refuses", "403", [502]), ("broken", "500", [502]), ("hangs", "no answer within", [504]),
    ("loop", "redirects", [502]),
  ]

  @Test("each failure is told to its clients over both doors, none is kept, and other keys are served meanwhile")
  func failures() throws {
    let origin = try FakeHTTPServer { Self.answer($0) }
    defer { origin.stop() }
    let options = "timeout=500ms&retries=0&breaker-failures=0&redirects=4&value-limit=\(Self.limit)"
    let server = try NexusServer(["--origin", "\(origin.url)/s/{key}#\(options)"])
    let client = try server.connect()
    for (key, words, statuses) in Self.bad {
      let start = MonotonicClock.seconds()
      guard case .error(let text) = try client.ask("GET", key) else {
        Issue.record("\(key) was answered")
        continue
      }
      let sentence = String(decoding: text, as: UTF8.self)
      #expect(sentence.hasPrefix("ORIGIN "), "\(key): \(sentence)")
      #expect(sentence.contains(words), "\(key): \(sentence)")
      let page = try HTTPExchange("GET", "/api/cache/\(key)", port: server.httpPort)
      #expect(statuses.contains(page.status) && page.text.contains(#""code":"origin_"#), "\(key): \(page.text)")
      #expect(MonotonicClock.seconds() - start < 3 * Double(Environment.patience), "\(key) kept its clients waiting")
      // A failure is not remembered, but for those who ask in the very turn of the loop in which it came.
      let isAskedAgain = try eventually(seconds: 10) {
        if origin.targets.count(where: { $0 == "/s/\(key)" }) >= 2 { return true }
        _ = try client.ask("GET", key)
        return false
      }
      #expect(isAskedAgain, "\(key)")
      #expect(try client.ask("EXISTS", key) == .integer(0))
      #expect(try client.ask("GET", "Tom") == .text("630"))
    }
    #expect(try client.ask("GET", "nobody") == .nullBulk)
    #expect(origin.targets.count { $0 == "/s/Tom" } == 1)
    #expect(server.process.exitStatus() == nil)
  }

  @Test("no key changes a URL or adds to a request, through either door")
  func keysInURLs() throws {
    let origin = try FakeHTTPServer { _ in .reply(404) }
    defer { origin.stop() }
    let server = try NexusServer(["--origin", "\(origin.url)/s/{key}/end?k={key}#retries=0&breaker-failures=0"])
    let client = try server.connect()
    let keys = [
      "../../admin", "a/../../b", "a?x=1&y=2", "a#b", "a%2fb", "a b", "a\r\nX-Evil: 1\r\n\r\nGET /evil", "{key}",
      "http://elsewhere/", "\u{0}", "%00", "ü",
    ]
    for key in keys { #expect(try client.ask("GET", key) == .nullBulk, "\(key)") }
    // Over HTTP the key is percent-encoded once for us, and comes back encoded once for the origin.
    for key in ["..%2F..%2Fsecret", "x%0D%0AX-Evil:%201"] {
      #expect(try HTTPExchange("GET", "/api/cache/\(key)", port: server.httpPort).status == 404)
    }
    let plain = Set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~%")
    #expect(origin.requests.count == keys.count + 2)
    for request in origin.requests {
      let parts = request.target.components(separatedBy: "/end?k=")
      #expect(parts.count == 2 && parts[0] == "/s/" + parts[1], "\(request.target)")
      #expect(parts.last!.allSatisfy { plain.contains($0) }, "\(request.target)")
      #expect(Set(request.fields.keys) == ["host", "user-agent", "accept"], "\(request.fields)")
    }
    for key in ["..", "."] {
      guard case .error = try client.ask("GET", key) else {
        Issue.record("\(key) was asked for")
        continue
      }
    }
    #expect(origin.requests.count == keys.count + 2)
  }

  @Test("no key changes a statement; a statement with the wrong number of parameters is refused at the start")
  func keysInStatements() throws {
    // An empty file is an empty database.
    let path = Environment.makeTemporaryDirectory() + "/empty.db"
    #expect(FileManager.default.createFile(atPath: path, contents: nil))
    defer { try? FileManager.default.removeItem(atPath: (path as NSString).deletingLastPathComponent) }
    let server = try NexusServer(["--origin", "sqlite:\(path)?query=SELECT 'key ' || ?"])
    let client = try server.connect()
    for key in ["' OR 1=1 --", "x'; DROP TABLE scores; --", "?", "%", "\"", "a\nb", "); SELECT 1 --"] {
      #expect(try client.ask("GET", key) == .text("key \(key)"))
    }
    for (query, count) in [("SELECT 'x'", 0), ("SELECT ? || ?", 2)] {
      do {
        _ = try NexusServer(["--origin", "sqlite:\(path)?query=\(query)"])
        Issue.record("\(query) was taken")
      } catch ServerFailure.doesNotAnswer(let output) {
        #expect(output.contains("query takes one parameter, the key; this one has \(count)"), "\(output)")
      }
    }
  }
}
