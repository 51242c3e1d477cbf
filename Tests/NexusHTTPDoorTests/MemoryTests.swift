import NexusModel
import NexusService
import NexusStore
import Testing

@testable import NexusHTTPDoor

/// What happens when memory runs out.
@Suite struct MemoryTests {
  func server(_ policy: EvictionPolicyName) throws -> TestServer {
    var store = StoreConfiguration()
    store.maxMemoryBytes = 64 << 20
    let server = try TestServer(store: store)
    var settings = server.node.store.settings(of: 0)!
    settings.eviction = policy
    server.node.store.configure(0, settings, as: .max - 1)
    return server
  }

  func put(_ client: TestClient, _ key: String, megabytes: Int) -> TestReply {
    client.send(
      "PUT /api/cache/\(key)\nContent-Type: application/octet-stream",
      body: [UInt8](repeating: 0x61, count: megabytes << 20))
    return client.reply()
  }

  @Test func withoutEvictionWritesAreRefusedWhenMemoryIsFullAndReadsGoOn() throws {
    let server = try server(.none)
    defer { server.stop() }
    let client = server.connect()
    var refused: TestReply?
    for index in 0..<40 where refused == nil {
      let reply = put(client, "k\(index)", megabytes: 3)
      if reply.status != 200 { refused = reply }
    }
    #expect(refused?.status == 507)
    #expect(refused.map(code) == "out_of_memory")
    client.send("GET /api/cache/k0\nAccept: application/octet-stream")
    #expect(client.reply().body.count == 3 << 20)
    client.send("DELETE /api/cache/k0")
    #expect(client.reply().status == 200)
    client.close()
  }

  @Test func aValueOfMoreThanHalfTheMemoryIsStoredByEvictingTheRest() throws {
    let server = try server(.lru)
    defer { server.stop() }
    let client = server.connect()
    for index in 0..<15 { #expect(put(client, "k\(index)", megabytes: 3).status == 200) }
    #expect(put(client, "large", megabytes: 45).status == 200)
    client.send("GET /api/cache/large\nAccept: application/octet-stream")
    #expect(client.reply().body.count == 45 << 20)
    client.close()
  }

  @Test func whatCanNeverFitIsRefusedBeforeAnythingIsEvictedForIt() throws {
    var store = StoreConfiguration()
    store.maxMemoryBytes = 16 << 20
    let server = try TestServer(store: store)
    defer { server.stop() }
    let client = server.connect()
    #expect(put(client, "small", megabytes: 1).status == 200)
    #expect(put(client, "large", megabytes: 17).status == 507)
    client.send("HEAD /api/cache/small")
    #expect(client.reply(toHead: true).status == 200)
    client.close()
  }
}
