import Foundation
import NexusTestSupport
import Testing

extension ClusterTests {
  /// A change of a key that comes over HTTP from whoever knows the secret.
  @Suite struct ReplicateEndpoint {
    /// HMAC-SHA256 by OpenSSL: another implementation than the server's.
    static func hash(_ message: String, _ secret: String) throws -> String {
      let folder = Environment.makeTemporaryDirectory()
      defer { try? FileManager.default.removeItem(atPath: folder) }
      try Data(message.utf8).write(to: URL(fileURLWithPath: folder + "/message"))
      let openssl = try #require(Environment.find(program: "openssl"), "openssl is not on this machine")
      let process = try ChildProcess(
        openssl, ["dgst", "-sha256", "-hmac", secret, "-r", folder + "/message"], output: folder + "/output")
      guard eventually({ process.exitStatus() != nil }) else { return "" }
      return String(process.output.prefix(64))
    }

    static func proof(of body: String, at time: Int64, secret: String = "known to the members") throws -> String {
      "\(time):\(try hash("nexuscache replicate\nstories\n\(time)\n\(body)", secret))"
    }

    func send(_ body: String, _ proof: String?, to node: ClusterOfProcesses.Node) throws -> (status: Int, text: String)
    {
      let client = try RESPClient(.tcp(port: node.httpPort))
      let header = proof.map { "X-Cluster-Proof: \($0)\r\n" } ?? ""
      try client.send(
        "POST /v1/internal/replicate HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\(header)"
          + "Content-Length: \(body.utf8.count)\r\n\r\n\(body)")
      let reply = String(decoding: try client.readToEnd(), as: UTF8.self)
      return (Int(reply.dropFirst(9).prefix(3)) ?? 0, reply)
    }

    @Test("a change is taken with a proof of the secret, merged by its stamp, and reaches every copy; none else is")
    func replicating() throws {
      try ClusterOfProcesses.story(3, ["--replicas", "3"]) { cluster in
        let node = cluster[1]
        let now = Int64(Date().timeIntervalSince1970 * 1000)
        func body(_ value: String, _ milliseconds: Int64, _ more: String = "") -> String {
          let text = Data(value.utf8).base64EncodedString()
          let time = "\(milliseconds)000000"
          return #"{"user_id":"default","key":"session","value":"\#(text)","timestamp":\#(time)\#(more)}"#
        }
        let first = body("first", now)
        for wrong in [
          nil, "", "\(now)", "\(now):00", try Self.proof(of: first, at: now - 120_000),
          try Self.proof(of: first, at: now, secret: "a guess"), try Self.proof(of: first + " ", at: now),
        ] {
          let answer = try send(first, wrong, to: node)
          cluster.expect(answer.status == 403 && answer.text.contains("not_a_peer"), "\(wrong ?? "nil"): \(answer)")
        }
        cluster.expect(try cluster[0].client().ask("GET", "session") == .nullBulk)
        func take(_ body: String) throws {
          let answer = try send(body, try Self.proof(of: body, at: now), to: node)
          cluster.expect(answer.status == 200, answer.text)
        }
        func everywhere(_ value: String) -> Bool {
          eventually {
            cluster.nodes.allSatisfy { node in
              guard let client = try? node.client(), (try? client.ask("READONLY")) == .ok else { return false }
              return (try? client.ask("GET", "session")) == .text(value)
            }
          }
        }
        try take(first)
        cluster.expect(everywhere("first"))
        try take(body("second", now + 1, #","ttl_secs":100"#))
        cluster.expect(everywhere("second"))
        if case .integer(let left) = try cluster[0].client().ask("TTL", "session") {
          cluster.expect((1...100).contains(left), "\(left)")
        }
        // What is older changes nothing.
        try take(first)
        cluster.expect(everywhere("second"))
        try take(#"{"user_id":"default","key":"session","deleted":true,"timestamp":\#((now + 2) * 1_000_000)}"#)
        try take(body("second", now + 1))
        cluster.expect(eventually { (try? cluster[2].client().ask("GET", "session")) == .nullBulk })
        for bad in [#"{"key":"k"}"#, "[]", #"{"user_id":"default","key":"k","value":"?","timestamp":1}"#] {
          let answer = try send(bad, try Self.proof(of: bad, at: now), to: node)
          cluster.expect(answer.status == 400, "\(bad): \(answer)")
        }
        let ahead = body("tomorrow", now + 86_400_000)
        let answer = try send(ahead, try Self.proof(of: ahead, at: now), to: node)
        cluster.expect(answer.status == 409 && answer.text.contains("effect_refused"), "\(answer)")
      }
    }
  }
}
