import Glibc
import NexusModel
import NexusService
import NexusStore
import Testing

@testable import NexusHTTPDoor

/// Waits until it is so; false after 20 s.
func eventually(_ isSo: () -> Bool) -> Bool {
  for _ in 0..<20_000 {
    if isSo() { return true }
    usleep(1000)
  }
  return isSo()
}

@Suite struct DoorTests {
  @Test func aValueTravelsThroughARealConnectionAndBack() throws {
    let server = try TestServer()
    defer { server.stop() }
    let client = server.connect()
    client.send(
      "PUT /api/cache/greeting\nContent-Type: application/json", body: Array(#"{"value":"hello","ttl":60}"#.utf8))
    let stored = client.reply()
    #expect(stored.status == 200)
    #expect(stored.text == #"{"success":true,"message":"Stored locally","node":"1","primary":"1"}"#)
    // The same connection goes on.
    client.send("GET /api/cache/greeting")
    let found = client.reply()
    #expect(found.status == 200)
    #expect(found.headers["content-type"] == "application/json")
    #expect(
      found.text
        == #"{"success":true,"data":{"key":"greeting","value":"hello"},"node":"1","primary":"1","local":true,"forwarded":false}"#
    )
    client.send("DELETE /api/cache/greeting")
    #expect(
      client.reply().text
        == #"{"success":true,"message":"Delete processed","node":"1","primary":"1","deleted":true}"#)
    client.send("GET /api/cache/greeting")
    #expect(client.reply().status == 404)
    client.close()
  }

  @Test func requestsSentAtOnceAreAnsweredInTheirOrder() throws {
    let server = try TestServer()
    defer { server.stop() }
    let client = server.connect()
    for index in 0..<50 {
      client.send("PUT /api/cache/k\(index)\nContent-Type: application/octet-stream", body: Array("v\(index)".utf8))
      client.send("GET /api/cache/k\(index)\nAccept: application/octet-stream")
    }
    for index in 0..<50 {
      #expect(client.reply().status == 200)
      #expect(client.reply().text == "v\(index)")
    }
    client.close()
  }

  @Test func aHeadRequestGetsTheHeadersOfItsGet() throws {
    let server = try TestServer()
    defer { server.stop() }
    let client = server.connect()
    client.send("PUT /api/cache/k\nContent-Type: application/octet-stream", body: Array("12345".utf8))
    _ = client.reply()
    client.send("HEAD /api/cache/k\nAccept: application/octet-stream")
    let head = client.reply(toHead: true)
    #expect(head.status == 200)
    #expect(head.headers["content-length"] == "5")
    client.send("HEAD /api/cache/absent")
    #expect(client.reply(toHead: true).status == 404)
    client.close()
  }

  @Test func aLargeValueComesBackAsItWasSent() throws {
    let server = try TestServer()
    defer { server.stop() }
    var value = [UInt8](repeating: 0, count: 5_000_000)
    for index in value.indices { value[index] = UInt8(truncatingIfNeeded: index &* 31 &+ index >> 8) }
    let client = server.connect()
    client.send("PUT /api/cache/large\nContent-Type: application/octet-stream", body: value)
    #expect(client.reply().status == 200)
    client.send("GET /api/cache/large\nAccept: application/octet-stream")
    #expect(client.reply().body == value)
    client.close()
  }

  @Test func aBodyInChunksIsPutTogether() throws {
    let server = try TestServer()
    defer { server.stop() }
    let client = server.connect()
    client.send(
      "PUT /api/cache/k HTTP/1.1\r\nHost: t\r\nContent-Type: application/octet-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
        + "3\r\nabc\r\n4\r\ndefg\r\n0\r\n\r\n", raw: true)
    #expect(client.reply().status == 200)
    client.send("GET /api/cache/k\nAccept: application/octet-stream")
    #expect(client.reply().text == "abcdefg")
    client.close()
  }

  @Test func aBodyOverTheLimitIsRefusedAndTheConnectionSurvives() throws {
    let server = try TestServer(settings: ["http-max-body": "2000"])
    defer { server.stop() }
    let client = server.connect()
    client.send(
      "PUT /api/cache/k\nContent-Type: application/octet-stream", body: [UInt8](repeating: 1, count: 2001))
    let refused = client.reply()
    #expect(refused.status == 413)
    #expect(refused.text.contains("\"code\":\"body_too_large\""))
    #expect(refused.text.contains("2000 bytes"))
    client.send(
      "PUT /api/cache/k\nContent-Type: application/octet-stream", body: [UInt8](repeating: 1, count: 2000))
    #expect(client.reply().status == 200)
    client.close()
  }

  @Test func aClientThatAsksFirstIsRefusedBeforeItSends() throws {
    let server = try TestServer(settings: ["http-max-body": "2000"])
    defer { server.stop() }
    let client = server.connect()
    client.send(
      "PUT /api/cache/k\nExpect: 100-continue\nContent-Length: 5000\nContent-Type: application/octet-stream")
    #expect(client.reply().status == 413)
    client.close()
  }

  @Test func chunksBeyondTheLimitAreRefusedAndThoseWithoutEndCutOff() throws {
    let server = try TestServer(settings: ["http-max-body": "2000"])
    defer { server.stop() }
    let head =
      "PUT /api/cache/k HTTP/1.1\r\nHost: t\r\nContent-Type: application/octet-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
    let chunk = "100\r\n" + String(repeating: "x", count: 256) + "\r\n"
    let patient = server.connect()
    patient.send(head + String(repeating: chunk, count: 10) + "0\r\n\r\n", raw: true)
    #expect(patient.reply().status == 413)
    patient.close()
    let endless = server.connect()
    endless.send(head + String(repeating: chunk, count: 200), raw: true)
    #expect(endless.reply().status == 0)
    #expect(endless.isAtEnd)
    endless.close()
  }

  @Test func whatIsHeldIsCountedAndGivenBack() throws {
    let server = try TestServer()
    let gauge = server.node.store.configuration.outside
    let client = server.connect()
    client.send("PUT /api/cache/k\nContent-Length: 1000000\nContent-Type: application/octet-stream")
    client.send(bytes: [UInt8](repeating: 7, count: 900_000))
    #expect(eventually { gauge.bytes > 900_000 })
    client.send(bytes: [UInt8](repeating: 7, count: 100_000))
    #expect(client.reply().status == 200)
    client.close()
    #expect(eventually { gauge.bytes < 200_000 })
    server.stop()
    #expect(gauge.bytes == 0)
    #expect(server.door.requestsInFlight == 0)
    #expect(server.node.statistics[0].httpConnectionsNow.value == 0)
    #expect(server.node.statistics[0].httpConnectionsAccepted.value == 1)
  }

  @Test func aServerThatIsStoppedIsLetGoWithItsStore() throws {
    weak var store: Store?
    weak var door: HTTPDoor?
    try {
      let server = try TestServer()
      defer { server.stop() }
      (store, door) = (server.node.store, server.door)
      let client = server.connect()
      client.send("PUT /api/cache/k\nContent-Type: application/octet-stream", body: [1, 2, 3])
      #expect(client.reply().status == 200)
      client.send("PUT /api/cache/unfinished\nContent-Length: 10")
      client.close()
    }()
    #expect(store == nil)
    #expect(door == nil)
  }

  @Test func aClientThatStopsSendingIsHungUpOn() throws {
    let server = try TestServer { $0.idleTimeoutSeconds = 1 }
    defer { server.stop() }
    let client = server.connect()
    client.send("PUT /api/cache/k\nContent-Length: 10")
    client.send(bytes: [1, 2, 3])
    #expect(client.reply().status == 0)
    client.close()
  }

  @Test func aClientThatStopsReadingIsHungUpOnAndItsReplyFreed() throws {
    let server = try TestServer { $0.idleTimeoutSeconds = 1 }
    let gauge = server.node.store.configuration.outside
    let client = server.connect()
    client.send(
      "PUT /api/cache/k\nContent-Type: application/octet-stream", body: [UInt8](repeating: 1, count: 20 << 20))
    #expect(client.reply().status == 200)
    client.send("GET /api/cache/k\nAccept: application/octet-stream")
    #expect(eventually { gauge.bytes > 20 << 20 })
    #expect(eventually { gauge.bytes < 1 << 20 })
    #expect(client.reply().status == 0)
    client.close()
    server.stop()
    #expect(gauge.bytes == 0)
  }

  @Test func malformedRequestsEndTheirConnectionOnly() throws {
    let server = try TestServer()
    defer { server.stop() }
    let other = server.connect()
    for nonsense in [
      "\r\n\r\n\r\n", "GET\r\n\r\n", "\u{0}\u{1}\u{2}\r\n\r\n", "GET / HTTP/9.9\r\n\r\n",
      "PUT /api/cache/k HTTP/1.1\r\nHost: t\r\nContent-Length: -5\r\n\r\n",
      "PUT /api/cache/k HTTP/1.1\r\nHost: t\r\nContent-Length: 99999999999999999999999\r\n\r\n",
      "PUT /api/cache/k HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\nZZ\r\n",
      "GET /api/cache/" + String(repeating: "k", count: 100_000) + " HTTP/1.1\r\nHost: t\r\n\r\n",
    ] {
      let client = server.connect(timeoutSeconds: 1)
      client.send(nonsense, raw: true)
      let status = client.reply().status
      #expect(status == 0 || (400..<600).contains(status), "\(nonsense.prefix(60)): \(status)")
      client.close()
    }
    other.send("GET /health")
    #expect(other.reply().text == #"{"healthy":true,"node":"1","cluster_size":1}"#)
    other.close()
  }

  @Test func aByteAtATimeIsARequestToo() throws {
    let server = try TestServer()
    defer { server.stop() }
    let client = server.connect()
    for byte in "GET /health/live HTTP/1.1\r\nHost: t\r\n\r\n".utf8 { client.send(bytes: [byte]) }
    #expect(client.reply().text == #"{"live":true}"#)
    client.close()
  }

  @Test func aDrainingNodeSaysSoAndTakesNoNewConnections() throws {
    let node = testNode()
    let loop = TestLoop()
    var configuration = HTTPConfiguration()
    configuration.port = 0
    let door = try HTTPDoor(node: node, loop: loop, configuration: configuration)
    let client = TestClient(port: door.port)
    client.send("GET /health/ready")
    for _ in 0..<3 { door.ready() }
    #expect(client.reply().text == #"{"ready":true}"#)
    door.stopAccepting()
    client.send("GET /health/ready")
    for _ in 0..<3 { door.ready() }
    let draining = client.reply()
    #expect(draining.status == 503)
    #expect(draining.text == #"{"ready":false,"reason":"This node is stopping."}"#)
    client.close()
    door.stop()
    #expect(door.nextTimeout() == nil)
  }

  @Test func twoLoopsShareAPort() throws {
    let first = try TestServer()
    defer { first.stop() }
    let second = try TestServer { $0.port = first.door.port }
    defer { second.stop() }
    for _ in 0..<20 { #expect(first.ask("GET /health").status == 200) }
    first.stop()
    second.stop()
    let accepted = [first, second].map { $0.node.statistics[0].httpConnectionsAccepted.value }.reduce(0, +)
    #expect(accepted == 20)
  }

  @Test func anAddressThatCannotBeUsedIsNamed() {
    var failure: HTTPDoorFailure?
    do throws(HTTPDoorFailure) { _ = try Listener(address: "nowhere", port: 0) } catch { failure = error }
    #expect(failure?.description.contains("'nowhere'") == true)
    failure = nil
    do throws(HTTPDoorFailure) { _ = try Listener(address: "192.0.2.1", port: 80) } catch { failure = error }
    #expect(failure?.description.hasPrefix("HTTP cannot listen on 192.0.2.1:80: ") == true)
  }
}
