import Glibc

/// A socket that accepts for one loop.
struct ListeningSocket {
  let descriptor: Int32
  /// The index of the loop's door that gets what is accepted.
  let door: UInt8
  /// Set for a Unix socket, whose connections are handed round to all loops.
  let unixPath: String?
}

/// Opening of listening sockets, with errors that an operator can act on.
enum Listening {
  /// Every socket of one TCP address: one per loop, which share the port (`SO_REUSEPORT`).
  /// Port 0 takes any free port; the answer says which.
  static func tcp(
    _ address: SocketAddress, loops: Int, backlog: Int32
  ) throws(TransportError) -> (descriptors: [Int32], address: SocketAddress) {
    var address = address
    if address.port != 0 { try refuseIfTaken(address) }
    var descriptors: [Int32] = []
    do throws(TransportError) {
      for _ in 0..<loops {
        let descriptor = try bound(address, reusePort: true)
        descriptors.append(descriptor)
        guard listen(descriptor, backlog) == 0 else { throw failure(address, errno) }
        if address.port == 0 { address = SocketAddress(localOf: descriptor) }
      }
    } catch {
      for descriptor in descriptors { close(descriptor) }
      throw error
    }
    return (descriptors, address)
  }

  /// `SO_REUSEPORT` would let a second node of the same user share the port in silence, each getting some of the
  /// clients. A bind without it fails where anybody listens.
  private static func refuseIfTaken(_ address: SocketAddress) throws(TransportError) {
    close(try bound(address, reusePort: false))
  }

  private static func bound(_ address: SocketAddress, reusePort: Bool) throws(TransportError) -> Int32 {
    let type = Int32(SOCK_STREAM.rawValue | SOCK_NONBLOCK.rawValue | SOCK_CLOEXEC.rawValue)
    let descriptor = socket(Int32(address.family), type, 0)
    guard descriptor >= 0 else { throw failure(address, errno) }
    setOption(descriptor, SOL_SOCKET, SO_REUSEADDR, 1)
    if reusePort { setOption(descriptor, SOL_SOCKET, SO_REUSEPORT, 1) }
    // So that `0.0.0.0` and `::` may stand side by side.
    if address.isIPv6 { setOption(descriptor, Int32(IPPROTO_IPV6), IPV6_V6ONLY, 1) }
    guard address.withSockaddr({ bind(descriptor, $0, $1) }) == 0 else {
      let code = errno
      close(descriptor)
      throw failure(address, code)
    }
    return descriptor
  }

  /// A socket at a path of the file system. A file that a dead process left behind is replaced; one that somebody
  /// listens on, or that is no socket, is not.
  static func unix(path: String, permissions: UInt32, backlog: Int32) throws(TransportError) -> Int32 {
    guard let address = SocketAddress(unixPath: path) else {
      throw .cannotListen(
        on: path, reason: "the path of a Unix socket is 1 to \(SocketAddress.longestUnixPath) bytes long",
        advice: "give a shorter path")
    }
    try removeStale(path, address)
    let type = Int32(SOCK_STREAM.rawValue | SOCK_NONBLOCK.rawValue | SOCK_CLOEXEC.rawValue)
    let descriptor = socket(AF_UNIX, type, 0)
    guard descriptor >= 0 else { throw failure(address, errno) }
    // Nobody can connect before `listen`, so the permissions are in force from the first moment.
    guard address.withSockaddr({ bind(descriptor, $0, $1) }) == 0, chmod(path, permissions) == 0,
      listen(descriptor, backlog) == 0
    else {
      let code = errno
      close(descriptor)
      throw failure(address, code)
    }
    return descriptor
  }

  private static func removeStale(_ path: String, _ address: SocketAddress) throws(TransportError) {
    var status = stat()
    guard lstat(path, &status) == 0 else { return }
    guard status.st_mode & S_IFMT == S_IFSOCK else {
      throw .cannotListen(
        on: path, reason: "a file that is not a socket is there", advice: "remove it or give another path")
    }
    let probe = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue | SOCK_NONBLOCK.rawValue | SOCK_CLOEXEC.rawValue), 0)
    guard probe >= 0 else { throw failure(address, errno) }
    defer { close(probe) }
    let result = address.withSockaddr { connect(probe, $0, $1) }
    guard result != 0 && errno == ECONNREFUSED else {
      throw .cannotListen(
        on: path, reason: "another process listens there", advice: "stop it or give another path")
    }
    unlink(path)
  }

  static func failure(_ address: SocketAddress, _ code: Int32) -> TransportError {
    let advice =
      switch code {
      case EADDRINUSE: "another process uses this port: stop it, or choose another port"
      case EADDRNOTAVAIL: "this machine has no such address: give one that `ip address` shows, or * for all"
      case EACCES where address.isUnix: "this user may not write to the directory: change its owner or the path"
      case EACCES: "ports below 1024 need privileges: choose a port from 1024 on"
      case ENOENT: "the directory does not exist: create it or give another path"
      case EMFILE, ENFILE: "no file descriptors are left: raise the limit (ulimit -n)"
      default: "check the address and the port"
      }
    return .cannotListen(on: address.description, reason: systemErrorText(code), advice: advice)
  }
}

@discardableResult
func setOption(_ descriptor: Int32, _ level: Int32, _ option: Int32, _ value: Int32) -> Bool {
  var value = value
  return setsockopt(descriptor, level, option, &value, socklen_t(MemoryLayout<Int32>.size)) == 0
}
