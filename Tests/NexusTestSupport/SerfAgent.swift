import Foundation
import Glibc

/// A real Serf agent on this machine's loopback. It can be stopped and started again at the same addresses.
public final class SerfAgent {
  public static let isInstalled = Environment.find(program: "serf") != nil

  public let name: String
  public let gossipPort: Int
  public let rpcPort: Int
  private let directory = Environment.makeTemporaryDirectory()
  private let extra: [String]
  public private(set) var process: ChildProcess?

  /// - Parameter key: what its RPC asks for; the command line has no flag for it.
  public init(_ name: String, extra: [String] = [], key: String? = nil, join: SerfAgent? = nil) throws {
    self.name = name
    if let key {
      try #"{"rpc_auth": "\#(key)"}"#.write(toFile: directory + "/key.json", atomically: true, encoding: .utf8)
    }
    self.extra = extra + (key == nil ? [] : ["-config-file=\(directory)/key.json"])
    (gossipPort, rpcPort) = (Self.freePort(), Self.freePort())
    try start(join: join)
  }

  deinit {
    process?.stop(with: SIGKILL)
    try? FileManager.default.removeItem(atPath: directory)
  }

  public func start(join other: SerfAgent?) throws {
    let joining = other.map { ["-retry-join=127.0.0.1:\($0.gossipPort)", "-retry-interval=1s"] } ?? []
    process = try ChildProcess(
      Environment.find(program: "serf")!,
      [
        "agent", "-node=\(name)", "-bind=127.0.0.1:\(gossipPort)", "-rpc-addr=127.0.0.1:\(rpcPort)",
        "-profile=local", "-log-level=warn",
      ] + joining + extra, output: directory + "/log")
  }

  public func kill() {
    process?.stop(with: SIGKILL)
    process = nil
  }

  /// A command of Serf's, to this agent; false if it failed.
  public func run(_ command: String, _ arguments: String...) throws -> Bool {
    try ChildProcess.run(
      Environment.find(program: "serf")!, [command, "-rpc-addr=127.0.0.1:\(rpcPort)"] + arguments
    ).status == 0
  }

  /// Free for TCP and UDP at the moment.
  private static func freePort() -> Int {
    while true {
      var address = sockaddr_in()
      address.sin_family = sa_family_t(AF_INET)
      address.sin_addr.s_addr = in_addr_t(0x7F00_0001).bigEndian
      var length = socklen_t(MemoryLayout<sockaddr_in>.size)
      let sockets = [SOCK_STREAM, SOCK_DGRAM].map { socket(AF_INET, Int32($0.rawValue), 0) }
      defer { for socket in sockets { close(socket) } }
      let areBound = sockets.allSatisfy { socket in
        withUnsafeMutablePointer(to: &address) {
          $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
            // The first takes any port, and the second the same.
            bind(socket, $0, length) == 0 && getsockname(socket, $0, &length) == 0
          }
        }
      }
      if areBound { return Int(UInt16(bigEndian: address.sin_port)) }
    }
  }
}
