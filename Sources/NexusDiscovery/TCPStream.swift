import NexusModel
import Glibc

/// A plain client connection that never blocks: its thread waits for the descriptor instead.
struct TCPStream: ~Copyable {
  enum Failure: Error, CustomStringConvertible {
    case unresolved(String)
    case system(String)
    case timedOut
    case stopped
    case closed
    /// It is there, and does not do what it is asked.
    case refused(String)

    var description: String {
      switch self {
      case .unresolved(let reason): "its name does not resolve: \(reason)"
      case .system(let reason): reason
      case .timedOut: "no answer in time"
      case .stopped: "stopped"
      case .closed: "it closed the connection"
      case .refused(let reason): reason
      }
    }
  }

  let descriptor: Int32

  deinit { close(descriptor) }

  /// Tries the addresses one after another; the failure is the last one's.
  init(
    to address: NetworkAddress, resolver: Resolver, timeoutMilliseconds: Int, on thread: borrowing DiscoveryThread
  ) throws(Failure) {
    let hosts: [String]
    switch resolver(address.host) {
    case .success(let found): hosts = found
    case .failure(let failure): throw .unresolved(failure.reason)
    }
    var last = Failure.unresolved("no address")
    for host in hosts {
      switch Self.connect(host, address.port, timeoutMilliseconds, thread) {
      case .success(let descriptor):
        self.descriptor = descriptor
        return
      case .failure(let failure): last = failure
      }
    }
    throw last
  }

  private static func connect(
    _ host: String, _ port: UInt16, _ timeoutMilliseconds: Int, _ thread: borrowing DiscoveryThread
  ) -> Result<Int32, Failure> {
    var hints = addrinfo()
    hints.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV
    hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
    var list: UnsafeMutablePointer<addrinfo>?
    let code = getaddrinfo(host, String(port), &hints, &list)
    guard code == 0, let entry = list?.pointee else {
      return .failure(.unresolved(String(cString: gai_strerror(code))))
    }
    defer { freeaddrinfo(list) }
    let kind = Int32(SOCK_STREAM.rawValue) | Int32(SOCK_NONBLOCK.rawValue) | Int32(SOCK_CLOEXEC.rawValue)
    let descriptor = socket(entry.ai_family, kind, 0)
    guard descriptor >= 0 else { return .failure(.system(String(cString: strerror(errno)))) }
    if Glibc.connect(descriptor, entry.ai_addr, entry.ai_addrlen) == 0 { return .success(descriptor) }
    guard errno == EINPROGRESS else {
      let reason = String(cString: strerror(errno))
      close(descriptor)
      return .failure(.system(reason))
    }
    let deadline = monotonicMilliseconds() + timeoutMilliseconds
    while !thread.isStopping {
      let left = deadline - monotonicMilliseconds()
      if left <= 0 { break }
      guard thread.wait(descriptor, for: POLLOUT, milliseconds: left) else { continue }
      var error: Int32 = 0
      var length = socklen_t(MemoryLayout<Int32>.size)
      getsockopt(descriptor, SOL_SOCKET, SO_ERROR, &error, &length)
      if error == 0 { return .success(descriptor) }
      close(descriptor)
      return .failure(.system(String(cString: strerror(error))))
    }
    close(descriptor)
    return .failure(thread.isStopping ? .stopped : .timedOut)
  }

  /// Sends what the socket takes now and removes it from the front.
  func send(_ bytes: inout [UInt8]) throws(Failure) {
    while !bytes.isEmpty {
      let sent = Glibc.send(descriptor, bytes, bytes.count, Int32(MSG_NOSIGNAL))
      if sent > 0 {
        bytes.removeFirst(sent)
      } else if errno == EAGAIN {
        return
      } else if errno != EINTR {
        throw .system(String(cString: strerror(errno)))
      }
    }
  }

  /// What has arrived; empty if nothing has.
  func receive() throws(Failure) -> [UInt8] {
    var chunk = [UInt8](repeating: 0, count: 64 * 1024)
    while true {
      let count = recv(descriptor, &chunk, chunk.count, 0)
      if count > 0 { return Array(chunk[..<count]) }
      if count == 0 { throw .closed }
      if errno == EAGAIN { return [] }
      if errno != EINTR { throw .system(String(cString: strerror(errno))) }
    }
  }
}
