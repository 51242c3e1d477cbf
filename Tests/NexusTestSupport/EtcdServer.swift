import Foundation
import Glibc

/// A real etcd on this machine's loopback, which can be stopped and started again at the same addresses.
public final class EtcdServer {
  public static let isInstalled = ["etcd", "etcdctl"].allSatisfy { Environment.find(program: $0) != nil }

  public let name: String
  public let port: Int
  private let peerPort: Int
  private let directory = Environment.makeTemporaryDirectory()
  public private(set) var process: ChildProcess?
  /// Of its cluster: name and peer port.
  private var members: [(String, Int)]

  public convenience init() throws {
    self.init("alone")
    try start()
  }

  private init(_ name: String) {
    let ports = NexusServer.freePorts(2)
    self.name = name
    (port, peerPort) = (ports[0], ports[1])
    members = [(name, ports[1])]
  }

  public static func cluster(_ names: String...) throws -> [EtcdServer] {
    let servers = names.map { EtcdServer($0) }
    for server in servers {
      server.members = servers.map { ($0.name, $0.peerPort) }
      try server.launch()
    }
    for server in servers { try server.waitUntilItAnswers() }
    return servers
  }

  deinit {
    process?.stop(with: SIGKILL)
    try? FileManager.default.removeItem(atPath: directory)
  }

  public var url: String { "http://127.0.0.1:\(port)" }

  public func start() throws {
    try launch()
    try waitUntilItAnswers()
  }

  private func launch() throws {
    let client = url, peer = "http://127.0.0.1:\(peerPort)"
    process = try ChildProcess(
      Environment.find(program: "etcd")!,
      [
        "--name", name, "--data-dir", directory + "/data", "--listen-client-urls", client, "--advertise-client-urls",
        client, "--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer, "--initial-cluster",
        members.map { "\($0)=http://127.0.0.1:\($1)" }.joined(separator: ","), "--log-level", "error",
      ], environment: ["ETCD_UNSUPPORTED_ARCH=arm64"], output: directory + "/log")
  }

  private func waitUntilItAnswers() throws {
    guard eventually(seconds: 60, { (try? control("get", "x"))?.status == 0 }) else {
      throw ServerFailure.doesNotAnswer(process?.output ?? "")
    }
  }

  public func kill(losingItsData: Bool = false) throws {
    process?.stop(with: SIGKILL)
    process = nil
    if losingItsData { try FileManager.default.removeItem(atPath: directory + "/data") }
  }

  @discardableResult public func control(_ arguments: String...) throws -> (status: Int?, output: String) {
    try ChildProcess.run(
      Environment.find(program: "etcdctl")!, ["--endpoints", url, "--command-timeout=5s"] + arguments,
      environment: ["ETCDCTL_API=3"])
  }
}
