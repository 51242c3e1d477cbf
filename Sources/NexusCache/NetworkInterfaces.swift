import Glibc

/// The addresses of this machine.
enum NetworkInterfaces {
  /// Whether the text is an IP address rather than a name.
  static func isAddress(_ host: String) -> Bool {
    var four = in_addr(), six = in6_addr()
    return inet_pton(AF_INET, host, &four) == 1 || inet_pton(AF_INET6, host, &six) == 1
  }

  /// The first address of an interface that is up and leads beyond this machine.
  static func address(isIPv6: Bool) -> String? {
    var list: UnsafeMutablePointer<ifaddrs>?
    guard getifaddrs(&list) == 0 else { return nil }
    defer { freeifaddrs(list) }
    var next = list
    while let entry = next?.pointee {
      next = entry.ifa_next
      let flags = Int32(bitPattern: entry.ifa_flags)
      guard let address = entry.ifa_addr, flags & Int32(IFF_UP) != 0,
        flags & Int32(IFF_LOOPBACK) == 0
      else { continue }
      let family = Int32(address.pointee.sa_family)
      guard family == (isIPv6 ? AF_INET6 : AF_INET) else { continue }
      let length = isIPv6 ? MemoryLayout<sockaddr_in6>.size : MemoryLayout<sockaddr_in>.size
      var text = [CChar](repeating: 0, count: Int(NI_MAXHOST))
      guard
        getnameinfo(address, socklen_t(length), &text, socklen_t(text.count), nil, 0, NI_NUMERICHOST) == 0
      else { continue }
      let host = String(decoding: text.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
      // Link-local addresses mean something on one link only.
      if host.hasPrefix("fe80:") || host.contains("%") { continue }
      return host
    }
    return nil
  }
}
