import NexusModel
import NexusService
import NexusStore

@testable import NexusHTTPDoor

/// Requests without a socket: text in, reply out.
final class ResponderHarness {
  let node: Node
  let responder: Responder
  var now: UnixMilliseconds = 1_700_000_000_000

  init(settings: [String: String] = [:], nodeName: String = "1") {
    node = testNode()
    for (name, text) in settings { try! node.settings.configure(name, to: text, from: .flag) }
    var configuration = HTTPConfiguration()
    configuration.nodeName = nodeName
    responder = Responder(node: node, loop: 0, configuration: configuration, seed: 1)
  }

  /// `ask("PUT /api/cache/k?ttl=5", ["X-Namespace": "db1"], "body")`
  func ask(_ request: String, _ headers: [String: String] = [:], _ body: String = "") -> TestReply {
    ask(request, headers, Array(body.utf8))
  }

  func ask(_ request: String, _ headers: [String: String] = [:], _ body: [UInt8]) -> TestReply {
    let words = request.split(separator: " ", maxSplits: 1)
    let (method, target) = (String(words[0]), Array(words[1].utf8))
    let mark = target.firstIndex(of: UInt8(ascii: "?")) ?? target.count
    // Everything that the head borrows lies in one place that outlives the call.
    var text = OutputBuffer(capacity: 1 << 20)
    defer { text.deallocate() }
    func borrowed(_ bytes: some Collection<UInt8>) -> UnsafeRawBufferPointer {
      let start = text.count
      precondition(text.count + bytes.count <= text.capacity)
      for byte in bytes { text.append(byte: byte) }
      return UnsafeRawBufferPointer(start: text.base + start, count: text.count - start)
    }
    var head = RequestHead(method: RequestHead.Method(method), path: borrowed(target[..<mark]))
    for pair in target[mark...].dropFirst().split(separator: UInt8(ascii: "&")) {
      let parts = pair.split(separator: UInt8(ascii: "="), maxSplits: 1, omittingEmptySubsequences: false)
      head.note(parameter: borrowed(parts[0]), parts.count > 1 ? borrowed(parts[1]) : borrowed([]))
    }
    for (name, value) in headers { head.note(header: borrowed(name.utf8), borrowed(value.utf8)) }
    var body = body
    let answer = body.withUnsafeMutableBytes { responder.respond(to: head, body: $0, now: now) }
    guard case .reply(let reply) = answer else { return TestReply() }
    defer { reply.deallocate() }
    return TestReply(status: Int(reply.status), headers: [:], body: Array(reply.bytes))
  }

  /// The value as it is stored, or nil.
  func stored(_ key: String, in namespace: NamespaceNumber = 0) -> [UInt8]? {
    Array(key.utf8).withUnsafeBytes { key in
      try! responder.keyspace.get(node.store.key(key, in: namespace), now: now) {
        Array($0)
      } _: {
        $0.map { Array($0.value) }
      }
    }
  }
}

let raw = ["Content-Type": "application/octet-stream", "Accept": "application/octet-stream"]

/// `key_not_found` in `{"success":false,"error":{"code":"key_not_found",...`
func code(_ reply: TestReply) -> String {
  let lead = #"{"success":false,"error":{"code":""#
  guard reply.text.hasPrefix(lead) else { return "" }
  return String(reply.text.dropFirst(lead.count).prefix { $0 != "\"" })
}
