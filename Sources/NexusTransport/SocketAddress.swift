import Glibc
import NexusModel

extension NetworkAddress {
  /// The addresses of digits that this one's name stands for; itself where it is one. Asks the system, which may ask
  /// the network: it blocks, so never on a loop's thread.
  public func resolved() throws(TransportError) -> [NetworkAddress] {
    do {
      return try SocketAddress.resolve(host, port: port).map { NetworkAddress(host: $0.host, port: $0.port) }
    } catch {
      guard case .invalidAddress(_, let reason) = error else { throw error }
      throw .unknownHost(host, reason: reason)
    }
  }
}

/// An IPv4, IPv6 or Unix address as the kernel has it.
struct SocketAddress: CustomStringConvertible {
  static let longestUnixPath = MemoryLayout.size(ofValue: sockaddr_un().sun_path) - 1

  var storage = sockaddr_storage()
  var length = socklen_t(MemoryLayout<sockaddr_storage>.size)

  init() {}

  init?(unixPath: String) {
    var address = sockaddr_un()
    let path = Array(unixPath.utf8)
    guard !path.isEmpty, path.count <= Self.longestUnixPath, !path.contains(0) else { return nil }
    address.sun_family = sa_family_t(AF_UNIX)
    withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: path) }
    withUnsafeMutableBytes(of: &storage) { $0.storeBytes(of: address, as: sockaddr_un.self) }
    length = socklen_t(MemoryLayout<sockaddr_un>.size)
  }

  init(localOf descriptor: Int32) {
    withMutableSockaddr { getsockname(descriptor, $0, $1) }
  }

  /// The addresses a name stands for: an IPv4 or IPv6 address, or a host name.
  static func resolve(_ host: String, port: UInt16) throws(TransportError) -> [SocketAddress] {
    var hints = addrinfo()
    hints.ai_flags = AI_PASSIVE
    hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
    var list: UnsafeMutablePointer<addrinfo>?
    let code = getaddrinfo(host, String(port), &hints, &list)
    guard code == 0 else { throw .invalidAddress(host, reason: String(cString: gai_strerror(code)).lowercased()) }
    defer { freeaddrinfo(list) }
    var addresses: [SocketAddress] = []
    var next = list
    while let entry = next {
      var address = SocketAddress()
      withUnsafeMutableBytes(of: &address.storage) {
        $0.copyMemory(from: UnsafeRawBufferPointer(start: entry.pointee.ai_addr, count: Int(entry.pointee.ai_addrlen)))
      }
      address.length = entry.pointee.ai_addrlen
      addresses.append(address)
      next = entry.pointee.ai_next
    }
    return addresses
  }

  /// An address that needs no looking up; nil for a name.
  init?(digits address: NetworkAddress) {
    var hints = addrinfo()
    hints.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV
    hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
    var list: UnsafeMutablePointer<addrinfo>?
    guard getaddrinfo(address.host, String(address.port), &hints, &list) == 0, let list else { return nil }
    defer { freeaddrinfo(list) }
    withUnsafeMutableBytes(of: &storage) {
      $0.copyMemory(from: UnsafeRawBufferPointer(start: list.pointee.ai_addr, count: Int(list.pointee.ai_addrlen)))
    }
    length = list.pointee.ai_addrlen
  }

  var family: sa_family_t { storage.ss_family }
  var isIPv6: Bool { Int32(family) == AF_INET6 }
  var isUnix: Bool { Int32(family) == AF_UNIX }

  var port: UInt16 {
    withUnsafeBytes(of: storage) { bytes in
      switch Int32(family) {
      case AF_INET: UInt16(bigEndian: bytes.load(as: sockaddr_in.self).sin_port)
      case AF_INET6: UInt16(bigEndian: bytes.load(as: sockaddr_in6.self).sin6_port)
      default: 0
      }
    }
  }

  /// `127.0.0.1`, `::1`, or a path.
  var host: String {
    withUnsafeBytes(of: storage) { bytes in
      switch Int32(family) {
      case AF_INET: return Self.text(bytes.baseAddress! + MemoryLayout<sockaddr_in>.offset(of: \.sin_addr)!, AF_INET)
      case AF_INET6:
        return Self.text(bytes.baseAddress! + MemoryLayout<sockaddr_in6>.offset(of: \.sin6_addr)!, AF_INET6)
      case AF_UNIX:
        let path = bytes.dropFirst(MemoryLayout<sockaddr_un>.offset(of: \.sun_path)!)
        return String(decoding: path.prefix(Self.longestUnixPath).prefix { $0 != 0 }, as: UTF8.self)
      default: return "?"
      }
    }
  }

  private static func text(_ address: UnsafeRawPointer, _ family: Int32) -> String {
    withUnsafeTemporaryAllocation(of: CChar.self, capacity: Int(INET6_ADDRSTRLEN)) { buffer in
      inet_ntop(family, address, buffer.baseAddress!, socklen_t(INET6_ADDRSTRLEN)).map { String(cString: $0) } ?? "?"
    }
  }

  /// `127.0.0.1:6379`, `[::1]:6379`, or a path.
  var description: String {
    isUnix ? host : isIPv6 ? "[\(host)]:\(port)" : "\(host):\(port)"
  }

  func withSockaddr<R>(_ body: (UnsafePointer<sockaddr>, socklen_t) -> R) -> R {
    withUnsafeBytes(of: storage) { body($0.baseAddress!.assumingMemoryBound(to: sockaddr.self), length) }
  }

  @discardableResult
  mutating func withMutableSockaddr<R>(
    _ body: (UnsafeMutablePointer<sockaddr>, UnsafeMutablePointer<socklen_t>) -> R
  ) -> R {
    var length = socklen_t(MemoryLayout<sockaddr_storage>.size)
    defer { self.length = length }
    return withUnsafeMutableBytes(of: &storage) {
      body($0.baseAddress!.assumingMemoryBound(to: sockaddr.self), &length)
    }
  }
}
