import Glibc

/// Why a run ended before its time, in a sentence.
struct RunFailure: Error {
  let message: String
  init(_ message: String) { self.message = message }
}

/// Connected sockets to the server under load.
enum Dial {
  /// A connected socket, and which of the workload's shares goes over it.
  struct Dialled {
    let descriptor: Int32
    let share: Int
  }

  /// A connected, non-blocking socket.
  static func connect(_ workload: Workload) throws(RunFailure) -> Int32 {
    let descriptor = try open(workload)
    if let password = workload.password {
      do {
        try authenticate(descriptor, password, workload)
      } catch {
        close(descriptor)
        throw error
      }
    }
    _ = fcntl(descriptor, F_SETFL, fcntl(descriptor, F_GETFL) | O_NONBLOCK)
    return descriptor
  }

  private static func open(_ workload: Workload) throws(RunFailure) -> Int32 {
    if let path = workload.unixSocket {
      var address = sockaddr_un()
      address.sun_family = sa_family_t(AF_UNIX)
      withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: path.utf8.prefix($0.count - 1)) }
      return try withUnsafeBytes(of: &address) { bytes throws(RunFailure) in
        try open(workload, AF_UNIX, bytes.baseAddress!.assumingMemoryBound(to: sockaddr.self), socklen_t(bytes.count))
      }
    }
    var hints = addrinfo()
    hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
    var found: UnsafeMutablePointer<addrinfo>?
    let status = getaddrinfo(workload.host, String(workload.port), &hints, &found)
    guard status == 0, let first = found else {
      throw RunFailure("cannot find host '\(workload.host)': \(String(cString: gai_strerror(status)))")
    }
    defer { freeaddrinfo(first) }
    return try open(workload, first.pointee.ai_family, first.pointee.ai_addr, first.pointee.ai_addrlen)
  }

  private static func open(
    _ workload: Workload, _ family: Int32, _ address: UnsafePointer<sockaddr>, _ length: socklen_t
  ) throws(RunFailure) -> Int32 {
    let descriptor = socket(family, Int32(SOCK_STREAM.rawValue), 0)
    guard descriptor >= 0 else {
      throw RunFailure(
        "cannot open a socket: \(reason(errno)). Raise the limit with ulimit -n, or use fewer --connections")
    }
    guard Glibc.connect(descriptor, address, length) == 0 else {
      let failure = errno
      close(descriptor)
      throw RunFailure(
        "cannot connect to \(workload.endpoint): \(reason(failure)). Is a server listening there?")
    }
    if family != AF_UNIX {
      var on: Int32 = 1
      setsockopt(descriptor, Int32(IPPROTO_TCP), TCP_NODELAY, &on, socklen_t(MemoryLayout<Int32>.size))
    }
    return descriptor
  }

  private static func authenticate(_ descriptor: Int32, _ password: String, _ workload: Workload) throws(RunFailure) {
    let request = "*2\r\n$4\r\nAUTH\r\n$\(password.utf8.count)\r\n\(password)\r\n"
    guard sendAll(descriptor, Array(request.utf8)) else {
      throw RunFailure("\(workload.endpoint) closed the connection during AUTH")
    }
    var reply: [UInt8] = []
    while reply.last != 10 && reply.count < 512 {
      var byte: UInt8 = 0
      guard recv(descriptor, &byte, 1, 0) == 1 else {
        throw RunFailure("\(workload.endpoint) closed the connection during AUTH")
      }
      reply.append(byte)
    }
    guard reply.first == UInt8(ascii: "+") else {
      throw RunFailure("\(workload.endpoint) refused AUTH: \(String(decoding: reply.dropLast(2), as: UTF8.self))")
    }
  }

  /// Sends everything on a blocking socket. False: the connection is gone.
  static func sendAll(_ descriptor: Int32, _ bytes: [UInt8]) -> Bool {
    var sent = 0
    while sent < bytes.count {
      let count = bytes.withUnsafeBytes {
        send(descriptor, $0.baseAddress! + sent, $0.count - sent, Int32(MSG_NOSIGNAL))
      }
      guard count > 0 else { return false }
      sent += count
    }
    return true
  }

  static func reason(_ code: Int32) -> String { String(cString: strerror(code)) }
}
