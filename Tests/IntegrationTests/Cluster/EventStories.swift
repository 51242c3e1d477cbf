import Foundation
import NexusTestSupport
import Testing

extension ClusterTests {
  /// What happens is told, on every node, to whoever listens.
  @Suite struct Events {
    @Test("a killed member is told to subscribers over Redis and over HTTP of another node: dead, and whose slots move")
    func killing() throws {
      try ClusterOfProcesses.story(3) { cluster in
        let (watched, victim) = (cluster[1], cluster[2])
        let redis = try Listener.redis(watched)
        let http = try Listener.http(watched)
        victim.kill()
        for listener in [redis, http] {
          let dead = try listener.next("membership", "dead")
          cluster.expect(dead["member"] as? String == "n3" && dead["node"] as? String == "n2", "\(dead)")
          let moved = try listener.next("topology", "slots_moved")
          let moves = moved["moves"] as? [[String: Any]] ?? []
          let lost = moves.filter { $0["from"] as? String == "n3" }
          cluster.expect(lost.reduce(0) { $0 + ($1["slots"] as? Int ?? 0) } > 4000, "\(moves)")
          cluster.expect(moves.allSatisfy { $0["to"] as? String != "n3" })
          _ = try listener.next("topology", "settled")
        }
        try cluster.restart(victim)
        for listener in [redis, http] {
          let back = try listener.next("membership", "back")
          cluster.expect(back["member"] as? String == "n3", "\(back)")
          let moved = try listener.next("topology", "slots_moved")
          let moves = moved["moves"] as? [[String: Any]] ?? []
          cluster.expect(moves.contains { $0["to"] as? String == "n3" }, "\(moves)")
        }
        try cluster.waitUntilWhole()
        // A flush through one node is told by each.
        let other = try Listener.redis(cluster[0])
        cluster.expect(try cluster[2].client().ask("FLUSHALL") == .ok)
        for listener in [redis, http, other] {
          let flush = try listener.next("invalidation", "flush")
          cluster.expect(flush["scope"] as? String == "all", "\(flush)")
        }
        victim.leave()
        for listener in [redis, http] {
          _ = try listener.next("membership", "leaving")
          _ = try listener.next("membership", "left")
          cluster.expect(listener.hasNoGap, "\(listener.sequences)")
        }
      }
    }
  }
}

/// Whoever listens to a node's events, through one door or the other.
private final class Listener {
  private let client: RESPClient
  private let read: (RESPClient) throws -> [UInt8]
  private(set) var sequences: [Int] = []

  private init(_ client: RESPClient, _ read: @escaping (RESPClient) throws -> [UInt8]) {
    (self.client, self.read) = (client, read)
  }

  static func redis(_ node: ClusterOfProcesses.Node) throws -> Listener {
    let client = try node.client(timeoutSeconds: 30)
    _ = try client.ask("PSUBSCRIBE", "__nexus__:*")
    return Listener(client) { client in
      guard case .array(let parts) = try client.read(), case .bulk(let text)? = parts.last else { return [] }
      return text
    }
  }

  static func http(_ node: ClusterOfProcesses.Node) throws -> Listener {
    let client = try node.place.inside { try RESPClient(.tcp(port: node.httpPort), timeoutSeconds: 30) }
    try client.send("GET /v1/events HTTP/1.0\r\n\r\n")
    _ = try client.readThrough("retry: 1000\n\n")
    return Listener(client) { client in
      let text = try client.readThrough("}\n\n")

      guard let data = text.range(of: "data: ") else { return [] }
      return Array(text[data.upperBound...].utf8)
    }
  }

  /// The next event of this type and name; others pass by.
  func next(_ type: String, _ event: String) throws -> [String: Any] {
    while true {
      let text = try read(client)
      guard let json = try JSONSerialization.jsonObject(with: Data(text)) as? [String: Any] else { continue }
      sequences.append(json["sequence"] as? Int ?? 0)
      if json["type"] as? String == type, json["event"] as? String == event { return json }
    }
  }

  var hasNoGap: Bool { zip(sequences, sequences.dropFirst()).allSatisfy { $1 == $0 + 1 } }
}
