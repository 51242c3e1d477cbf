import NexusModel
import NexusService
import Testing

@testable import NexusHTTPDoor

@Suite("Event streams")
struct EventStreamTests {
  func announce(_ server: TestServer, _ topic: EventBus.Topic, _ event: String, _ facts: String = "") {
    server.node.announce(topic, event, at: 1) { $0.append(facts) }
  }

  /// A client whose stream has begun.
  func reader(_ server: TestServer, _ query: String = "", _ headers: String = "") throws -> TestClient {
    let client = server.connect()
    client.send("GET /v1/events\(query)\(headers)")
    let head = try #require(client.received(through: "\r\n\r\n"))
    #expect(head.hasPrefix("HTTP/1.1 200") && head.contains("Content-Type: text/event-stream"))
    _ = try #require(client.received(through: "retry: 1000\n\n"))
    return client
  }

  @Test("send each event when it is announced, with its number as its id")
  func live() throws {
    let server = try TestServer()
    defer { server.stop() }
    announce(server, .membership, "before")
    let client = try reader(server)
    announce(server, .membership, "joined", #","member":"n2""#)
    let first = try #require(client.received(through: "}\n\n"))
    #expect(first.contains("id: 00000000-2\nevent: membership\ndata: {"))
    #expect(first.contains(#""event":"joined","node":"1","run":"00000000","sequence":2,"time":1,"member":"n2"}"#))
    announce(server, .topology, "settled")
    #expect(try #require(client.received(through: "}\n\n")).contains("id: 00000000-3\nevent: topology\n"))
    #expect(server.ask("GET /metrics").text.contains("nexuscache_event_readers 1\n"))
    client.close()
  }

  @Test("leave out the types that were not asked for; a name that is none is refused")
  func types() throws {
    let server = try TestServer()
    defer { server.stop() }
    let client = try reader(server, "?types=topology%2Cinvalidation")
    announce(server, .membership, "joined")
    announce(server, .topology, "settled")
    announce(server, .invalidation, "flush")
    #expect(try #require(client.received(through: "}\n\n")).contains("event: topology\n"))
    #expect(try #require(client.received(through: "}\n\n")).contains("event: invalidation\n"))
    client.close()
    let refused = server.ask("GET /v1/events?types=topology,weather")
    #expect(refused.status == 400 && code(refused) == "bad_types" && refused.text.contains("'weather'"))
    #expect(code(server.ask("GET /v1/events?key=x")) == "unknown_parameter")
    #expect(code(server.ask("GET /api/cache/k?types=topology")) == "unknown_parameter")
    #expect(server.ask("POST /v1/events").status == 405)
  }

  @Test("go on where a reader was, and say what it missed")
  func resuming() throws {
    let server = try TestServer()
    defer { server.stop() }
    for _ in 0..<3 { announce(server, .membership, "joined") }
    let client = try reader(server, "", "\nLast-Event-ID: 00000000-1")
    #expect(try #require(client.received(through: "}\n\n")).contains("id: 00000000-2\n"))
    #expect(try #require(client.received(through: "}\n\n")).contains("id: 00000000-3\n"))
    client.close()
    for id in ["11111111-1", "00000000-9", "nonsense"] {
      let stranger = try reader(server, "", "\nLast-Event-ID: \(id)")
      let gap = try #require(stranger.received(through: "}\n\n"))
      #expect(gap.contains("id: 00000000-3\nevent: gap\n") && gap.contains(#""reason":"another process""#))
      stranger.close()
    }
    for _ in 0..<1100 { announce(server, .membership, "joined") }
    let late = try reader(server, "", "\nLast-Event-ID: 00000000-3")
    let gap = try #require(late.received(through: "}\n\n"))
    #expect(gap.contains("id: 00000000-79\nevent: gap\n") && gap.contains(#""missed":76,"reason":"too late""#))
    #expect(try #require(late.received(through: "}\n\n")).contains("id: 00000000-80\n"))
    late.close()
  }

  @Test("hold one event for a reader that does not read, and tell it what it missed when it does")
  func slowReader() throws {
    let server = try TestServer()
    defer { server.stop() }
    let slow = try reader(server)
    let facts = ",\"padding\":\"" + String(repeating: "x", count: 10_000) + "\""
    // Far more than the sockets between them take.
    for _ in 0..<3000 { announce(server, .topology, "slots_moved", facts) }
    var (last, missed, given): (Int, Int, Int) = (0, 0, 0)
    while last < 3000 {
      let text = try #require(slow.received(through: "}\n\n"))
      let id = text.split(separator: "id: 00000000-").last!.prefix { $0.isNumber }
      let sequence = try #require(Int(id))
      if text.contains("event: gap") {
        missed += sequence - last
      } else {
        #expect(sequence == last + 1)
        given += 1
      }
      last = sequence
    }
    #expect(missed > 0 && given + missed == 3000, "\(given) given, \(missed) missed")
    slow.close()
  }

  @Test("say that they live while nothing happens, and end with the door")
  func heartbeats() throws {
    let server = try TestServer { $0.heartbeatMilliseconds = 50 }
    defer { server.stop() }
    let client = try reader(server)
    for _ in 0..<3 { _ = try #require(client.received(through: ": heartbeat\n\n")) }
    server.loop.post { server.door.stopAccepting() }
    // The last chunk of the reply.
    #expect(client.received(through: "0\r\n\r\n") != nil)
    client.close()
  }

  @Test("are bounded in number, and free their places when readers go")
  func bound() throws {
    let server = try TestServer {
      $0.eventReadersMost = 2
      $0.heartbeatMilliseconds = 20
    }
    defer { server.stop() }
    let readers = [try reader(server), try reader(server)]
    let refused = server.ask("GET /v1/events")
    #expect(refused.status == 503 && code(refused) == "too_many_readers")
    for reader in readers { reader.close() }
    #expect(eventually { server.ask("GET /metrics").text.contains("nexuscache_event_readers 0\n") })
    try reader(server).close()
  }

  @Test("that are open do not keep a door from stopping")
  func stopping() throws {
    let server = try TestServer()
    let client = try reader(server)
    server.stop()
    #expect(client.received(through: "never") == nil)
    client.close()
  }
}
