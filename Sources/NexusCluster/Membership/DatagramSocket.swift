import Glibc
import NexusGossip
import NexusModel
import NexusService

/// One UDP socket, driven by an event loop.
///
/// Belongs to its loop's thread.
final class DatagramSocket: WatchedDescriptor {
  let descriptor: Int32
  /// As it was bound.
  let address: NetworkAddress
  private let isIPv6: Bool
  private let received: (UnsafeRawBufferPointer, NetworkAddress) -> Void
  private let refused: (NetworkAddress) -> Void
  private let timeout: () -> Int?
  private let due: () -> Void
  private let buffer: UnsafeMutableRawBufferPointer

  /// Datagrams taken in one turn, so that others have theirs.
  private static let turnMost = 256

  /// - Parameters:
  ///   - received: a datagram, valid during the call, and where it came from.
  ///   - refused: the host of this address says that nobody listens there.
  ///   - timeout: milliseconds until `due` is to be called; nil: never.
  /// - Throws: a sentence for people.
  init(
    host: String, port: UInt16, received: @escaping (UnsafeRawBufferPointer, NetworkAddress) -> Void,
    refused: @escaping (NetworkAddress) -> Void, timeout: @escaping () -> Int?, due: @escaping () -> Void
  ) throws(ClusterRefusal) {
    guard var name = Self.socketAddress(host, port) else {
      throw ClusterRefusal("'\(host)' is not an IP address to listen on")
    }
    isIPv6 = Int32(name.storage.ss_family) == AF_INET6
    let made = socket(
      Int32(name.storage.ss_family),
      Int32(SOCK_DGRAM.rawValue) | Int32(SOCK_NONBLOCK.rawValue)
        | Int32(SOCK_CLOEXEC.rawValue), 0)
    guard made >= 0 else { throw ClusterRefusal("no UDP socket: \(String(cString: strerror(errno)))") }
    var on: Int32 = 1
    if isIPv6 { setsockopt(made, Int32(IPPROTO_IPV6), IPV6_V6ONLY, &on, 4) }
    // Errors that hosts send back (ECONNREFUSED) are told per destination, through the error queue.
    setsockopt(
      made, isIPv6 ? Int32(IPPROTO_IPV6) : Int32(IPPROTO_IP), isIPv6 ? IPV6_RECVERR : IP_RECVERR, &on, 4)
    let bound = withUnsafePointer(to: &name.storage) {
      $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { bind(made, $0, name.length) }
    }
    guard bound == 0 else {
      let reason = String(cString: strerror(errno))
      close(made)
      throw ClusterRefusal("cannot listen on UDP \(NetworkAddress(host: host, port: port)): \(reason)")
    }
    descriptor = made
    var own = sockaddr_storage()
    var length = socklen_t(MemoryLayout<sockaddr_storage>.size)
    withUnsafeMutablePointer(to: &own) {
      $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { _ = getsockname(made, $0, &length) }
    }
    address = Self.address(own) ?? NetworkAddress(host: host, port: port)
    self.received = received
    self.refused = refused
    self.timeout = timeout
    self.due = due
    buffer = .allocate(byteCount: 65_536, alignment: 16)
  }

  deinit {
    close(descriptor)
    buffer.deallocate()
  }

  func send(_ bytes: [UInt8], to address: NetworkAddress) {
    guard var name = Self.socketAddress(address.host, address.port) else { return }
    let sent = withUnsafePointer(to: &name.storage) {
      $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        sendto(descriptor, bytes, bytes.count, 0, $0, name.length)
      }
    }
    // A datagram may be lost; what the host had said of an earlier one is not of this one.
    if sent < 0, errno == ECONNREFUSED { readErrors() }
  }

  // MARK: WatchedDescriptor

  func nextTimeout() -> Int? { timeout() }

  func ready() {
    for _ in 0..<Self.turnMost {
      var from = sockaddr_storage()
      var length = socklen_t(MemoryLayout<sockaddr_storage>.size)
      let count = withUnsafeMutablePointer(to: &from) {
        $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
          recvfrom(descriptor, buffer.baseAddress, buffer.count, 0, $0, &length)
        }
      }
      if count < 0 {
        if errno == EINTR { continue }
        if errno == EAGAIN { break }
        readErrors()
        continue
      }
      if let address = Self.address(from) { received(UnsafeRawBufferPointer(rebasing: buffer[..<count]), address) }
    }
    readErrors()
    due()
  }

  /// What hosts said of datagrams that did not arrive.
  private func readErrors() {
    for _ in 0..<Self.turnMost {
      var name = sockaddr_storage()
      var control = (UInt64(0), UInt64(0), UInt64(0), UInt64(0), UInt64(0), UInt64(0), UInt64(0), UInt64(0))
      var byte: UInt8 = 0
      let count = withUnsafeMutablePointer(to: &name) { name in
        withUnsafeMutableBytes(of: &control) { control in
          withUnsafeMutablePointer(to: &byte) { byte in
            var vector = iovec(iov_base: byte, iov_len: 1)
            return withUnsafeMutablePointer(to: &vector) { vector in
              var message = msghdr()
              message.msg_name = UnsafeMutableRawPointer(name)
              message.msg_namelen = socklen_t(MemoryLayout<sockaddr_storage>.size)
              message.msg_iov = vector
              message.msg_iovlen = 1
              message.msg_control = control.baseAddress
              message.msg_controllen = control.count
              return recvmsg(descriptor, &message, Int32(MSG_ERRQUEUE) | Int32(MSG_DONTWAIT))
            }
          }
        }
      }
      guard count >= 0 else { return }
      // The name is the destination that the refused datagram was sent to.
      if let address = Self.address(name) { refused(address) }
    }
  }

  // MARK: Addresses

  private static func socketAddress(_ host: String, _ port: UInt16) -> (storage: sockaddr_storage, length: socklen_t)? {
    var storage = sockaddr_storage()
    var four = sockaddr_in()
    if inet_pton(AF_INET, host, &four.sin_addr) == 1 {
      four.sin_family = sa_family_t(AF_INET)
      four.sin_port = port.bigEndian
      withUnsafeMutableBytes(of: &storage) { $0.storeBytes(of: four, as: sockaddr_in.self) }
      return (storage, socklen_t(MemoryLayout<sockaddr_in>.size))
    }
    var six = sockaddr_in6()
    guard inet_pton(AF_INET6, host, &six.sin6_addr) == 1 else { return nil }
    six.sin6_family = sa_family_t(AF_INET6)
    six.sin6_port = port.bigEndian
    withUnsafeMutableBytes(of: &storage) { $0.storeBytes(of: six, as: sockaddr_in6.self) }
    return (storage, socklen_t(MemoryLayout<sockaddr_in6>.size))
  }

  private static func address(_ storage: sockaddr_storage) -> NetworkAddress? {
    withUnsafeBytes(of: storage) { bytes in
      var text = [CChar](repeating: 0, count: Int(INET6_ADDRSTRLEN))
      switch Int32(storage.ss_family) {
      case AF_INET:
        var name = bytes.load(as: sockaddr_in.self)
        guard inet_ntop(AF_INET, &name.sin_addr, &text, socklen_t(text.count)) != nil else { return nil }
        return NetworkAddress(host: text.asText, port: UInt16(bigEndian: name.sin_port))
      case AF_INET6:
        var name = bytes.load(as: sockaddr_in6.self)
        guard inet_ntop(AF_INET6, &name.sin6_addr, &text, socklen_t(text.count)) != nil else { return nil }
        return NetworkAddress(host: text.asText, port: UInt16(bigEndian: name.sin6_port))
      default: return nil
      }
    }
  }
}

extension [CChar] {
  fileprivate var asText: String { String(decoding: prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self) }
}
