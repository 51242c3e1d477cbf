import Foundation
import Glibc
import NexusDiscovery
import NexusModel
import NexusService
import NexusTestSupport
import NexusTransport

/// A real etcd on this machine's loopback, which can be stopped and started again at the same addresses.
final class EtcdServer {
  static let isInstalled = Environment.find(program: "etcd") != nil && Environment.find(program: "etcdctl") != nil

  let name: String
  let port: Int
  private let peerPort: Int
  private let directory = Environment.makeTemporaryDirectory()
  private(set) var process: ChildProcess?
  /// Of its cluster: name and peer port.
  private var members: [(String, Int)]

  convenience init() throws {
    self.init("alone")
    try start()
  }

  private init(_ name: String) {
    let ports = NexusServer.freePorts(2)
    self.name = name
    (port, peerPort) = (ports[0], ports[1])
    members = [(name, ports[1])]
  }

  static func cluster(_ names: String...) throws -> [EtcdServer] {
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

  var url: String { "http://127.0.0.1:\(port)" }

  func start() throws {
    try launch()
    try waitUntilItAnswers()
  }

  func launch() throws {
    let client = url, peer = "http://127.0.0.1:\(peerPort)"
    process = try ChildProcess(
      Environment.find(program: "etcd")!,
      [
        "--name", name, "--data-dir", directory + "/data", "--listen-client-urls", client, "--advertise-client-urls",
        client, "--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer, "--initial-cluster",
        members.map { "\($0)=http://127.0.0.1:\($1)" }.joined(separator: ","), "--log-level", "error",
      ], environment: ["ETCD_UNSUPPORTED_ARCH=arm64"], output: directory + "/log")
  }

  func waitUntilItAnswers() throws {
    guard eventually(seconds: 60, { (try? control("get", "x"))?.status == 0 }) else {
      throw ServerFailure.doesNotAnswer(process?.output ?? "")
    }
  }

  func kill(losingItsData: Bool = false) throws {
    process?.stop(with: SIGKILL)
    process = nil
    if losingItsData { try FileManager.default.removeItem(atPath: directory + "/data") }
  }

  @discardableResult func control(_ arguments: String...) throws -> (status: Int?, output: String) {
    try ChildProcess.run(
      Environment.find(program: "etcdctl")!, ["--endpoints", url, "--command-timeout=5s"] + arguments,
      environment: ["ETCDCTL_API=3"])
  }
}

/// An event loop with message streams, for nodes to look for one another on.
final class DiscoveryLoop {
  let runtime: Runtime
  let streams: HTTP2Door
  var loop: EpollLoop { runtime.loops[0] }

  /// - Parameter serving: whether it listens too, as a gRPC server that knows no method.
  init(serving: Bool = false) throws {
    var configuration = RuntimeConfiguration(listeners: serving ? [.init(name: "grpc", port: 0)] : [])
    configuration.threads = 1
    let gauge = MemoryGauge()
    let runtime = try Runtime(configuration: configuration, gauge: gauge, log: SilentLog())
    self.runtime = runtime
    let streams = HTTP2Door(
      loop: runtime.loops[0], limits: MessageStreamLimits(), gauge: gauge, log: SilentLog())
    self.streams = streams
    try runtime.start { _, _ in streams }
  }

  deinit { runtime.stop(graceMilliseconds: 0) }

  func discovery(_ urls: String, cluster: String = "test", leaseSeconds: Int = 3, log: any Log = SilentLog()) throws
    -> EtcdDiscovery
  {
    EtcdDiscovery(
      EtcdDiscovery.Configuration(
        endpoints: try EtcdEndpoint.list(urls), clusterName: cluster, leaseSeconds: leaseSeconds,
        timeoutMilliseconds: 2000, retryMilliseconds: 20...500), loop: loop, streams: streams, log: log)
  }
}
