import NexusService
import Testing

@testable import NexusHTTPDoor

@Suite struct AuthorizationTests {
  @Test(arguments: [
    ("Bearer s3cret", true), ("bearer s3cret", true), ("Basic YW55b25lOnMzY3JldA==", true),
    ("BASIC OnMzY3JldA==", true), ("Bearer s3cre", false), ("Bearer  s3cret", false), ("Basic czNjcmV0", false),
    ("Basic !!!!", false), ("Basic", false), ("Bearer ", false), ("Digest s3cret", false), ("", false),
  ])
  func thePasswordComesAsBearerOrBasic(_ header: String, _ isGranted: Bool) throws {
    let settings = Settings()
    try settings.configure("password", to: "s3cret", from: .flag)
    var header = header
    header.withUTF8 { #expect(Authorization.isGranted(UnsafeRawBufferPointer($0), settings) == isGranted) }
    #expect(!Authorization.isGranted(nil, settings))
  }

  @Test func aNodeWithAPasswordServesNothingButHealthWithoutIt() throws {
    let server = try TestServer()
    defer { server.stop() }
    try server.node.settings.change([(.password, "s3cret")])
    let client = server.connect()
    for request in ["GET /api/cache/k", "DELETE /api/cache/k", "GET /metrics", "GET /"] {
      client.send(request)
      let refused = client.reply()
      #expect(refused.status == 401)
      #expect(refused.headers["www-authenticate"] == "Basic realm=\"nexuscache\"")
    }
    client.send("PUT /api/cache/k\nContent-Type: application/octet-stream", body: Array("v".utf8))
    #expect(client.reply().status == 401)
    client.send("GET /health")
    #expect(client.reply().status == 200)
    client.send(
      "PUT /api/cache/k\nAuthorization: Bearer s3cret\nContent-Type: application/octet-stream", body: Array("v".utf8))
    #expect(client.reply().status == 200)
    client.send("GET /api/cache/k\nAuthorization: Bearer s3cret\nAccept: application/octet-stream")
    #expect(client.reply().text == "v")
    client.close()
  }
}
