import Glibc

/// A small blocking client of the Redis protocol, over TCP or a Unix socket. One thread at a time.
public final class RESPClient {
  public enum Failure: Error, CustomStringConvertible {
    case cannotConnect(String)
    case closed
    case timedOut
    case malformed(String)

    public var description: String {
      switch self {
      case .cannotConnect(let reason): "cannot connect: \(reason)"
      case .closed: "the server closed the connection"
      case .timedOut: "no reply in time"
      case .malformed(let what): "malformed reply: \(what)"
      }
    }
  }

  public enum Endpoint: Sendable, CustomStringConvertible {
    case tcp(port: Int)
    case unix(path: String)

    public var description: String {
      switch self {
      case .tcp(let port): "127.0.0.1:\(port)"
      case .unix(let path): path
      }
    }
  }

  public private(set) var descriptor: Int32
  private var input: [UInt8] = []
  private var position = 0

  /// Connects. Replies that take longer than `timeoutSeconds` are `Failure.timedOut`.
  public init(_ endpoint: Endpoint, timeoutSeconds: Int = 20) throws {
    descriptor = try Self.connect(endpoint)
    var time = timeval(tv_sec: timeoutSeconds, tv_usec: 0)
    setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &time, socklen_t(MemoryLayout<timeval>.size))
    setsockopt(descriptor, SOL_SOCKET, SO_SNDTIMEO, &time, socklen_t(MemoryLayout<timeval>.size))
  }

  deinit { close() }

  public func close() {
    if descriptor >= 0 { _ = Glibc.close(descriptor) }
    descriptor = -1
  }

  /// Half-closes: says that nothing more will be sent.
  public func finishSending() { _ = shutdown(descriptor, Int32(SHUT_WR)) }

  private static func connect(_ endpoint: Endpoint) throws -> Int32 {
    let family = if case .tcp = endpoint { AF_INET } else { AF_UNIX }
    let descriptor = socket(family, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
    guard descriptor >= 0 else { throw Failure.cannotConnect(String(cString: strerror(errno))) }
    let result: Int32
    switch endpoint {
    case .tcp(let port):
      var address = sockaddr_in()
      address.sin_family = sa_family_t(AF_INET)
      address.sin_port = in_port_t(port).bigEndian
      address.sin_addr.s_addr = in_addr_t(0x7F00_0001).bigEndian
      result = withUnsafePointer(to: &address) {
        $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
          Glibc.connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
        }
      }
      var one: Int32 = 1
      setsockopt(descriptor, Int32(IPPROTO_TCP), TCP_NODELAY, &one, 4)
    case .unix(let path):
      var address = sockaddr_un()
      address.sun_family = sa_family_t(AF_UNIX)
      withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: path.utf8.prefix(107)) }
      result = withUnsafePointer(to: &address) {
        $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
          Glibc.connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
        }
      }
    }
    guard result == 0 else {
      let reason = String(cString: strerror(errno))
      _ = Glibc.close(descriptor)
      throw Failure.cannotConnect("\(endpoint): \(reason)")
    }
    return descriptor
  }

  // MARK: Sending

  public func send(_ bytes: [UInt8]) throws {
    var sent = 0
    while sent < bytes.count {
      let count = bytes.withUnsafeBytes {
        Glibc.send(descriptor, $0.baseAddress! + sent, bytes.count - sent, Int32(MSG_NOSIGNAL))
      }
      if count < 0 {
        if errno == EINTR { continue }
        throw errno == EAGAIN ? Failure.timedOut : Failure.closed
      }
      sent += count
    }
  }

  public func send(_ text: String) throws { try send(Array(text.utf8)) }

  /// A request as clients send it: an array of bulk strings.
  public static func encode(_ words: [[UInt8]]) -> [UInt8] {
    var bytes = Array("*\(words.count)\r\n".utf8)
    for word in words {
      bytes += Array("$\(word.count)\r\n".utf8) + word
      bytes += [13, 10]
    }
    return bytes
  }

  // MARK: Asking

  @discardableResult public func ask(_ words: [[UInt8]]) throws -> RESPValue {
    try send(Self.encode(words))
    return try read()
  }

  @discardableResult public func ask(_ words: String...) throws -> RESPValue { try ask(words.map { Array($0.utf8) }) }

  /// All requests in one write, then all replies.
  public func pipeline(_ requests: [[[UInt8]]]) throws -> [RESPValue] {
    try send(requests.flatMap(Self.encode))
    return try requests.map { _ in try read() }
  }

  // MARK: Reading

  public func read() throws -> RESPValue {
    if position > 1 << 16 {
      input.removeFirst(position)
      position = 0
    }
    return try value()
  }

  /// True if something has arrived that was not read yet.
  public var hasInput: Bool {
    var entry = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
    return position < input.count || poll(&entry, 1, 0) > 0
  }

  /// True once the server has closed its side; false if there are bytes or none in time.
  public func isClosedByServer() -> Bool {
    if position < input.count { return false }
    do {
      try fill()
      return false
    } catch Failure.closed {
      return true
    } catch {
      return false
    }
  }

  /// Everything until the server closes.
  public func readToEnd() throws -> [UInt8] {
    while true {
      do { try fill() } catch Failure.closed { break }
    }
    defer { position = input.count }
    return Array(input[position...])
  }

  /// Everything up to the end of this text: of other protocols than Redis's.
  public func readThrough(_ end: String) throws -> String {
    let end = Array(end.utf8)
    while true {
      let unread = input[position...]
      if let last = unread.indices.first(where: { unread[$0...].starts(with: end) }) {
        defer { position = last + end.count }
        return String(decoding: input[position..<(last + end.count)], as: UTF8.self)
      }
      try fill()
    }
  }

  private func fill() throws {
    let size = 64 * 1024
    let chunk = try [UInt8](unsafeUninitializedCapacity: size) { buffer, filled in
      var count = recv(descriptor, buffer.baseAddress, size, 0)
      while count < 0 && errno == EINTR { count = recv(descriptor, buffer.baseAddress, size, 0) }
      if count < 0 { throw errno == EAGAIN ? Failure.timedOut : Failure.closed }
      if count == 0 { throw Failure.closed }
      filled = count
    }
    input += chunk
  }

  private func line() throws -> [UInt8] {
    var scanned = position
    while true {
      if let end = input[scanned...].firstIndex(of: 10) {
        guard end > position, input[end - 1] == 13 else { throw Failure.malformed("line without CR") }
        defer { position = end + 1 }
        return Array(input[position..<end - 1])
      }
      scanned = input.count
      try fill()
    }
  }

  private func exactly(_ count: Int) throws -> [UInt8] {
    while input.count - position < count + 2 { try fill() }
    defer { position += count + 2 }
    return Array(input[position..<position + count])
  }

  private func value() throws -> RESPValue {
    let line = try line()
    guard let mark = line.first else { throw Failure.malformed("empty line") }
    let rest = Array(line.dropFirst())
    var length: Int { get throws { try Self.length(rest) } }
    switch mark {
    case UInt8(ascii: "+"): return .simple(rest)
    case UInt8(ascii: "-"): return .error(rest)
    case UInt8(ascii: ":"): return .integer(Int64(try length))
    case UInt8(ascii: "_"): return .null
    case UInt8(ascii: ","): return .double(rest)
    case UInt8(ascii: "#"): return .boolean(rest == [UInt8(ascii: "t")])
    case UInt8(ascii: "("): return .bigNumber(rest)
    case UInt8(ascii: "$"): return try length < 0 ? .nullBulk : .bulk(try exactly(try length))
    case UInt8(ascii: "="): return .verbatim(try exactly(try length))
    case UInt8(ascii: "*"): return try length < 0 ? .nullArray : .array(try elements(try length))
    case UInt8(ascii: "%"): return .map(try elements(try length * 2))
    case UInt8(ascii: "~"): return .set(try elements(try length))
    case UInt8(ascii: ">"): return .push(try elements(try length))
    default: throw Failure.malformed(quoted(line))
    }
  }

  private func elements(_ count: Int) throws -> [RESPValue] { try (0..<count).map { _ in try value() } }

  private static func length(_ digits: [UInt8]) throws -> Int {
    guard let number = Int(String(decoding: digits, as: UTF8.self)) else { throw Failure.malformed(quoted(digits)) }
    return number
  }
}
