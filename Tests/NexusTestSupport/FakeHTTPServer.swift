import Foundation
import NexusModel

/// An HTTP server whose answers are a test's, and what it was asked.
public final class FakeHTTPServer: Sendable {
  public struct Request: Sendable {
    public var method: String
    /// As it came: nothing in it has been decoded.
    public var target: String
    /// By their names in lower case.
    public var fields: [String: String]
    public var body: [UInt8]
  }

  public enum Answer: Sendable {
    case reply(Int, [String] = [], String = "")
    case bytes([UInt8])
    /// Sends this and closes.
    case raw(String)
    case hang
    /// Sends the first text once, then the second for ever.
    case endless(String, String)
  }

  private final class Log: Sendable {
    let requests = Guarded<[Request]>([])
  }

  private let server: FakeServer
  private let log = Log()

  public init(_ answer: @escaping @Sendable (Request) -> Answer) throws {
    let log = log
    server = try FakeServer { peer in
      var input: [UInt8] = []
      while let request = Self.next(peer, &input) {
        log.requests.withLock { $0.append(request) }
        switch answer(request) {
        case .reply(let status, let fields, let body):
          let head = "HTTP/1.1 \(status) Whatever\r\n" + fields.map { $0 + "\r\n" }.joined()
          let hasBody = status != 304 && status != 204
          peer.send(head + (hasBody ? "Content-Length: \(body.utf8.count)\r\n\r\n" + body : "\r\n"))
        case .bytes(let body):
          peer.send(Array("HTTP/1.1 200 OK\r\nContent-Length: \(body.count)\r\n\r\n".utf8) + body)
        case .raw(let text):
          peer.send(text)
          return
        case .hang: return peer.hang()
        case .endless(let head, let piece):
          peer.send(head)
          while peer.send(piece) {}
          return
        }
      }
    }
  }

  public var port: Int { server.port }
  public var url: String { "http://127.0.0.1:\(port)" }
  public var requests: [Request] { log.requests.withLock { $0 } }
  public var targets: [String] { requests.map(\.target) }
  public var connections: Int { server.accepted }

  public func stop() { server.stop() }

  private static func next(_ peer: FakeServer.Peer, _ input: inout [UInt8]) -> Request? {
    let end = Array("\r\n\r\n".utf8)
    var head: Range<Int>?
    while true {
      head = head ?? input.firstRange(of: end)
      if let head {
        let lines = String(decoding: input[..<head.lowerBound], as: UTF8.self).components(separatedBy: "\r\n")
        var fields: [String: String] = [:]
        for line in lines.dropFirst() {
          let parts = line.split(separator: ":", maxSplits: 1)
          fields[parts[0].lowercased()] = parts.count > 1 ? parts[1].trimmingCharacters(in: .whitespaces) : ""
        }
        let length = Int(fields["content-length"] ?? "0") ?? 0
        if input.count >= head.upperBound + length {
          let words = lines[0].split(separator: " ")
          let body = Array(input[head.upperBound..<head.upperBound + length])
          input.removeFirst(head.upperBound + length)
          return Request(method: String(words[0]), target: String(words[1]), fields: fields, body: body)
        }
      }
      guard let more = peer.receive() else { return nil }
      input += more
    }
  }
}
