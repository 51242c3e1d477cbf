import Glibc

/// Ports for the nodes of a demonstration: the usual ones, or the next that are free.
struct PortPlan: Equatable {
  struct Ports: Equatable {
    var redis: Int
    var http: Int
    var peer: Int
  }

  private(set) var nodes: [Ports] = []
  /// The first node's, for /api/get and /api/set.
  private(set) var form = 0
  /// What was not as expected, in sentences.
  private(set) var notes: [String] = []

  /// Nil if there are not enough free ports.
  init?(_ count: Int, isFree: (Int) -> Bool = PortPlan.isFree) {
    var used: Set<Int> = []
    func next(_ name: String, _ usual: Int, _ node: Int) -> Int? {
      var port = usual
      while port <= 65535, used.contains(port) || !isFree(port) { port += 1 }
      guard port <= 65535 else { return nil }
      used.insert(port)
      if port != usual { notes.append("\(name) port \(usual) of node-\(node + 1) is taken: it uses \(port) instead.") }
      return port
    }
    for node in 0..<count {
      guard let redis = next("Redis", 6379 + node, node), let http = next("HTTP", 8080 + node, node),
        let peer = next("peer", 7946 + node, node)
      else { return nil }
      nodes.append(Ports(redis: redis, http: http, peer: peer))
    }
    guard let form = next("form", 9999, 0) else { return nil }
    self.form = form
  }

  /// Nobody listens on the port of 127.0.0.1, by TCP or UDP.
  static func isFree(_ port: Int) -> Bool {
    [SOCK_STREAM, SOCK_DGRAM].allSatisfy { type in
      let descriptor = socket(AF_INET, Int32(type.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
      guard descriptor >= 0 else { return false }
      defer { close(descriptor) }
      if type == SOCK_STREAM {
        // What has just been closed counts as free; what listens does not.
        var on: Int32 = 1
        setsockopt(descriptor, SOL_SOCKET, SO_REUSEADDR, &on, socklen_t(MemoryLayout<Int32>.size))
      }
      var address = sockaddr_in()
      address.sin_family = sa_family_t(AF_INET)
      address.sin_port = in_port_t(UInt16(port)).bigEndian
      address.sin_addr.s_addr = in_addr_t(0x7F00_0001).bigEndian
      return withUnsafePointer(to: &address) { pointer in
        pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
          bind(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size)) == 0
        }
      }
    }
  }
}
