import Glibc

/// Why the HTTP door cannot open.
public struct HTTPDoorFailure: Error, CustomStringConvertible {
  public let description: String
}

/// A bound, listening TCP socket that shares its port with the other loops' (SO_REUSEPORT): the kernel spreads new
/// connections over them.
struct Listener {
  let descriptor: Int32
  /// The one asked for, or the free one that the system chose.
  let port: UInt16

  /// - Parameter address: numeric, IPv4 or IPv6.
  init(address: String, port: UInt16) throws(HTTPDoorFailure) {
    var storage = sockaddr_storage()
    guard let length = Self.fill(&storage, address, port) else {
      throw HTTPDoorFailure(
        description:
          "HTTP cannot listen on '\(address)': a numeric IPv4 or IPv6 address is accepted, such as 0.0.0.0 or ::1")
    }
    let type = Int32(SOCK_STREAM.rawValue) | Int32(SOCK_NONBLOCK.rawValue) | Int32(SOCK_CLOEXEC.rawValue)
    let descriptor = socket(Int32(storage.ss_family), type, 0)
    guard descriptor >= 0 else { throw Self.failure("create a socket for", address, port) }
    var on: Int32 = 1
    setsockopt(descriptor, SOL_SOCKET, SO_REUSEADDR, &on, socklen_t(MemoryLayout<Int32>.size))
    setsockopt(descriptor, SOL_SOCKET, SO_REUSEPORT, &on, socklen_t(MemoryLayout<Int32>.size))
    if Int32(storage.ss_family) == AF_INET6 {
      setsockopt(descriptor, Int32(IPPROTO_IPV6), IPV6_V6ONLY, &on, socklen_t(MemoryLayout<Int32>.size))
    }
    guard Self.withAddress(&storage, { bind(descriptor, $0, length) }) == 0, listen(descriptor, 1024) == 0 else {
      let failure = Self.failure("listen on", address, port)
      close(descriptor)
      throw failure
    }
    self.descriptor = descriptor
    self.port = Self.boundPort(of: descriptor)
  }

  private static func failure(_ what: String, _ address: String, _ port: UInt16) -> HTTPDoorFailure {
    HTTPDoorFailure(description: "HTTP cannot \(what) \(address):\(port): \(String(cString: strerror(errno)))")
  }

  /// The length of the address, or nil if the text is none.
  private static func fill(_ storage: inout sockaddr_storage, _ address: String, _ port: UInt16) -> socklen_t? {
    withUnsafeMutableBytes(of: &storage) { bytes -> socklen_t? in
      // sockaddr_storage is large enough and aligned for every kind of address.
      let base = bytes.baseAddress!
      let ipv4 = base.assumingMemoryBound(to: sockaddr_in.self)
      if inet_pton(AF_INET, address, &ipv4.pointee.sin_addr) == 1 {
        ipv4.pointee.sin_family = sa_family_t(AF_INET)
        ipv4.pointee.sin_port = port.bigEndian
        return socklen_t(MemoryLayout<sockaddr_in>.size)
      }
      let ipv6 = base.assumingMemoryBound(to: sockaddr_in6.self)
      if inet_pton(AF_INET6, address, &ipv6.pointee.sin6_addr) == 1 {
        ipv6.pointee.sin6_family = sa_family_t(AF_INET6)
        ipv6.pointee.sin6_port = port.bigEndian
        return socklen_t(MemoryLayout<sockaddr_in6>.size)
      }
      return nil
    }
  }

  private static func withAddress<Result>(
    _ storage: inout sockaddr_storage, _ body: (UnsafeMutablePointer<sockaddr>) -> Result
  ) -> Result {
    withUnsafeMutableBytes(of: &storage) { body($0.baseAddress!.assumingMemoryBound(to: sockaddr.self)) }
  }

  private static func boundPort(of descriptor: Int32) -> UInt16 {
    var storage = sockaddr_storage()
    var length = socklen_t(MemoryLayout<sockaddr_storage>.size)
    guard withAddress(&storage, { getsockname(descriptor, $0, &length) }) == 0 else { return 0 }
    // The port is at the same place in both kinds of address.
    return withUnsafeBytes(of: &storage) { UInt16(bigEndian: $0.load(fromByteOffset: 2, as: UInt16.self)) }
  }
}
