import Glibc
import NexusModel

/// Why a command came to nothing, in one sentence for a person, and the exit status that goes with it.
public struct ControlFailure: Error, CustomStringConvertible {
  public let description: String
  /// 1: it failed. 2: the command line could not be understood.
  public let status: Int32

  public init(_ description: String, status: Int32 = 1) {
    self.description = description
    self.status = status
  }
}

/// One request at a time to a node's HTTP door, on a connection of its own.
struct HTTPClient {
  var address: NetworkAddress
  /// Nil: none is sent.
  var password: String?
  var timeoutSeconds = 5

  struct Response: Equatable {
    var status: Int
    var body: [UInt8]
    var json: JSONTree? { JSONTree(body) }
  }

  func get(_ path: String) throws(ControlFailure) -> Response { try send("GET", path, body: nil) }
  func post(_ path: String, _ body: String = "") throws(ControlFailure) -> Response {
    try send("POST", path, body: body)
  }

  /// The reply's JSON.
  /// - Throws: where the node says that something is wrong, in its words.
  func ask(_ method: String, _ path: String, body: String? = nil) throws(ControlFailure) -> (
    tree: JSONTree, text: String
  ) {
    let response = try send(method, path, body: body)
    guard let tree = response.json else {
      throw ControlFailure("\(address) does not answer as a NexusCache node does (status \(response.status))")
    }
    if response.status == 401 {
      throw ControlFailure("\(address) asks for its password: give it with --password or NEXUSCACHE_PASSWORD")
    }
    if response.status >= 300 {
      let sentence = tree["error"]["message"].text ?? tree["reason"].text ?? "status \(response.status)"
      throw ControlFailure("\(address) refuses: \(sentence)")
    }
    return (tree, String(decoding: response.body, as: UTF8.self))
  }

  private func send(_ method: String, _ path: String, body: String?) throws(ControlFailure) -> Response {
    let descriptor = try connected()
    defer { close(descriptor) }
    var request = "\(method) \(path) HTTP/1.1\r\nHost: \(address)\r\nConnection: close\r\n"
    if let password { request += "Authorization: Bearer \(password)\r\n" }
    if let body { request += "Content-Type: application/json\r\nContent-Length: \(body.utf8.count)\r\n" }
    var rest = Array((request + "\r\n" + (body ?? "")).utf8)[...]
    while !rest.isEmpty {
      let sent = rest.withUnsafeBytes { Glibc.send(descriptor, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL)) }
      guard sent > 0 else { throw broken() }
      rest = rest.dropFirst(sent)
    }
    return try receive(descriptor)
  }

  private func receive(_ descriptor: Int32) throws(ControlFailure) -> Response {
    var received: [UInt8] = []
    let limitBytes = 64 << 20
    while received.count < limitBytes {
      var failed = false
      let chunk = [UInt8](unsafeUninitializedCapacity: 64 * 1024) { buffer, count in
        let read = recv(descriptor, buffer.baseAddress, buffer.count, 0)
        failed = read < 0
        count = max(0, read)
      }
      if failed { throw broken() }
      received += chunk
      if let response = Self.response(received, isWhole: chunk.isEmpty) { return response }
      if chunk.isEmpty { break }
    }
    throw ControlFailure("\(address) hung up in the middle of its answer")
  }

  /// Nil while more has to come, or if it is none.
  static func response(_ bytes: [UInt8], isWhole: Bool) -> Response? {
    let end = Array("\r\n\r\n".utf8)
    guard bytes.count >= 4, let headEnd = (0...(bytes.count - 4)).first(where: { bytes[$0..<($0 + 4)] == end[...] })
    else { return nil }
    let lines = String(decoding: bytes[..<headEnd], as: UTF8.self).split(separator: "\r\n")
    let words = lines.first?.split(separator: " ") ?? []
    guard words.count >= 2, words[0].hasPrefix("HTTP/1."), let status = Int(words[1]) else { return nil }
    let body = Array(bytes[(headEnd + 4)...])
    let announced = lines.dropFirst().compactMap { line -> Int? in
      let parts = line.split(separator: ":", maxSplits: 1)
      guard parts.count == 2, parts[0].lowercased() == "content-length" else { return nil }
      return Int(parts[1].drop { $0 == " " })
    }.first
    if let announced { return body.count >= announced ? Response(status: status, body: body) : nil }
    return isWhole ? Response(status: status, body: body) : nil
  }

  private func connected() throws(ControlFailure) -> Int32 {
    var hints = addrinfo()
    hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
    var found: UnsafeMutablePointer<addrinfo>?
    let status = getaddrinfo(address.host, String(address.port), &hints, &found)
    guard status == 0, let first = found else {
      throw ControlFailure("cannot find host '\(address.host)': \(String(cString: gai_strerror(status)))")
    }
    defer { freeaddrinfo(first) }
    var failure: Int32 = 0
    var next: UnsafeMutablePointer<addrinfo>? = first
    while let entry = next?.pointee {
      let descriptor = socket(entry.ai_family, entry.ai_socktype | Int32(SOCK_CLOEXEC.rawValue), 0)
      // The kernel bounds connecting by the time for sending.
      var timeout = timeval(tv_sec: timeoutSeconds, tv_usec: 0)
      setsockopt(descriptor, SOL_SOCKET, SO_SNDTIMEO, &timeout, socklen_t(MemoryLayout<timeval>.size))
      setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &timeout, socklen_t(MemoryLayout<timeval>.size))
      if connect(descriptor, entry.ai_addr, entry.ai_addrlen) == 0 { return descriptor }
      failure = errno
      close(descriptor)
      next = entry.ai_next
    }
    throw ControlFailure(
      "cannot reach \(address): \(String(cString: strerror(failure == EINPROGRESS ? ETIMEDOUT : failure))). "
        + "Is a node listening there? --http HOST:PORT names another")
  }

  private func broken() -> ControlFailure {
    let reason = errno == EAGAIN ? "it did not answer within \(timeoutSeconds) s" : String(cString: strerror(errno))
    return ControlFailure("no answer from \(address): \(reason)")
  }
}
