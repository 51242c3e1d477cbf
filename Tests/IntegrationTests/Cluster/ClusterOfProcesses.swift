import Foundation
import Glibc
import NexusModel
import NexusTestSupport
import Testing

/// Some nodes as real processes, which a story joins, kills, stops and starts again: on loopback, or each on a host of
/// its own in a private network.
///
/// Their logs are shown, and kept, where something fails. All of them end with the cluster.
final class ClusterOfProcesses {
  final class Node {
    let id: String
    let redisPort: Int
    let clusterPort: Int
    let httpPort: Int
    let peerPort: Int
    let logPath: String
    /// Those of `serve`, without `join`.
    let arguments: [String]
    let place: Place
    fileprivate(set) var process: ChildProcess
    /// Its end, where it comes, is what the story wants.
    var mayEnd = false

    fileprivate init(
      _ id: String, _ ports: [Int], _ logPath: String, _ place: Place, _ arguments: [String], join: [String]
    ) throws {
      (self.id, self.logPath, self.place) = (id, logPath, place)
      (redisPort, clusterPort, httpPort, peerPort) = (ports[0], ports[1], ports[2], ports[3])
      self.arguments =
        [
          "serve", "--bind", place.bind, "--node-id", id, "--redis-port", "\(ports[0])", "--cluster-port",
          "\(ports[1])", "--http-port", "\(ports[2])", "--peer-port", "\(ports[3])",
        ] + arguments
      process = try Self.launch(self.arguments, place, join, logPath)
    }

    fileprivate static func launch(
      _ arguments: [String], _ place: Place, _ join: [String], _ logPath: String
    ) throws -> ChildProcess {
      let joining = join.isEmpty ? [] : ["--join", join.joined(separator: ",")]
      return try place.inside { try ChildProcess(NexusServer.executable, arguments + joining, output: logPath) }
    }

    var peerAddress: String { "\(place.address):\(peerPort)" }
    var isRunning: Bool { process.exitStatus() == nil }
    var log: String { process.output }
    func client(timeoutSeconds: Int = 20) throws -> RESPClient {
      try place.inside { try RESPClient(.tcp(port: redisPort), timeoutSeconds: timeoutSeconds) }
    }
    func http(_ method: String, _ path: String, _ body: [UInt8] = []) throws -> HTTPExchange {
      try place.inside { try HTTPExchange(method, path, body, port: httpPort) }
    }

    /// As if its power had failed.
    func kill() {
      mayEnd = true
      process.stop(with: SIGKILL)
    }
    func stand() { process.signal(SIGSTOP) }
    func goOn() { process.signal(SIGCONT) }
    /// Its exit status; nil if it had to be killed.
    @discardableResult func leave() -> Int? {
      mayEnd = true
      return process.stop(with: SIGTERM)
    }
  }

  /// Where a node is, and where its clients are: they speak to it over loopback.
  enum Place: Sendable {
    case loopback
    case host(Int, PrivateNetwork)

    var address: String {
      switch self {
      case .loopback: "127.0.0.1"
      case .host(let number, let network): network.address(of: number)
      }
    }
    /// Outside of this machine's own network, nothing but the other hosts can reach the address.
    var bind: String {
      switch self {
      case .loopback: address
      case .host: "\(address),127.0.0.1"
      }
    }
    func inside<Value>(_ body: () throws -> Value) throws -> Value {
      switch self {
      case .loopback: try body()
      case .host(let number, let network): try network.inside(number, body)
      }
    }
  }

  private(set) var nodes: [Node] = []
  private let directory = Environment.makeTemporaryDirectory()
  private let settings: [String]
  private let threads: Int
  private let network: PrivateNetwork?
  private var hasFailed = false

  /// So many nodes that are one cluster.
  /// - Parameter network: has a host for each node, and for each stranger.
  init(_ count: Int, threads: Int = 1, _ settings: [String] = [], on network: PrivateNetwork? = nil) throws {
    (self.threads, self.settings, self.network) = (threads, settings, network)
    try add(count)
  }

  private func nextPlace() -> Place { network.map { .host(nodes.count + strangers.count, $0) } ?? .loopback }

  /// Runs a story with a cluster, and looks afterwards whether a node has ended by itself.
  static func story(
    _ count: Int, threads: Int = 1, _ settings: [String] = [], on network: PrivateNetwork? = nil,
    _ tell: (ClusterOfProcesses) throws -> Void
  ) throws {
    let cluster = try ClusterOfProcesses(count, threads: threads, settings, on: network)
    do {
      try cluster.form()
      try tell(cluster)
    } catch { cluster.expect(false, "\(error)") }
    cluster.finish()
  }

  /// The same for a story that waits long.
  static func longStory(
    _ count: Int, _ settings: [String] = [], on network: PrivateNetwork? = nil,
    _ tell: (ClusterOfProcesses) async throws -> Void
  ) async throws {
    let cluster = try ClusterOfProcesses(count, settings, on: network)
    do {
      try cluster.form()
      try await tell(cluster)
    } catch { cluster.expect(false, "\(error)") }
    cluster.finish()
  }

  private let start = MonotonicClock.seconds()
  private var formedAfter = 0.0

  private func form() throws {
    try waitUntilWhole()
    formedAfter = MonotonicClock.seconds() - start
  }

  private func finish() {
    end()
    let seconds = [MonotonicClock.seconds() - start, formedAfter].map { String(format: "%.1f s", $0) }
    print("\(Test.current?.name ?? ""): \(seconds[0]), formed in \(seconds[1])")
  }

  deinit { end() }

  private func end() {
    for node in nodes where !node.mayEnd {
      expect(node.isRunning, "\(node.id) has ended by itself: \(node.process.exitStatus() ?? -1)")
    }
    for node in nodes + strangers {
      node.mayEnd = true
      node.goOn()
      node.process.stop(with: SIGKILL)
    }
    if !hasFailed, Environment["NEXUS_KEEP_LOGS"] == nil { try? FileManager.default.removeItem(atPath: directory) }
  }

  subscript(_ index: Int) -> Node { nodes[index] }
  var running: [Node] { nodes.filter { $0.isRunning } }

  // MARK: Coming and going

  @discardableResult func add(_ count: Int = 1, _ further: [String] = [], join: [String]? = nil) throws -> [Node] {
    let added = try (0..<count).map { _ in
      let id = "n\(nodes.count + 1)"
      let seeds = join ?? running.prefix(2).map(\.peerAddress)
      let node = try Node(
        id, Ports.next(4), "\(directory)/\(id).log", nextPlace(),
        [
          "--threads", "\(threads)", "--data-dir", directory, "--max-memory", "1gb", "--cluster-name", "stories",
          "--cluster-secret", "known to the members", "--forward-timeout", "\(2 * Environment.patience)s",
        ] + settings + further, join: seeds)
      nodes.append(node)
      return node
    }
    return added
  }

  /// A node that is not to become a member of this cluster, or has an id that is another's already.
  func addStranger(_ id: String, _ further: [String]) throws -> Node {
    let node = try Node(
      id, Ports.next(4), "\(directory)/\(id)-stranger-\(strangers.count).log", nextPlace(),
      [
        "--threads", "1", "--data-dir", directory, "--max-memory", "100mb", "--cluster-name", "stories",
        "--cluster-secret", "known to the members",
      ] + settings + further, join: [nodes[0].peerAddress])
    node.mayEnd = true
    strangers.append(node)
    return node
  }
  private var strangers: [Node] = []

  /// The same node again, as its operator would start it.
  func restart(_ node: Node) throws {
    let seeds = running.filter { $0 !== node }.map(\.peerAddress)
    node.mayEnd = false
    node.process = try Node.launch(node.arguments, node.place, seeds, node.logPath)
  }

  // MARK: Waiting

  /// All nodes that run (or these) see one another alive and nobody else, and every slot is executed by one of them.
  func waitUntilWhole(
    _ nodes: [Node]? = nil, seconds: Double = 30, _ location: SourceLocation = #_sourceLocation
  ) throws {
    let members = nodes ?? running
    let isWhole = eventually(seconds: seconds) {
      let states = members.compactMap { try? $0.state() }
      return states.count == members.count && Set(states.map(\.version)).count == 1
        && states.allSatisfy { $0.isReady && $0.alive == members.count && $0.slotsMoving == 0 }
        && states.reduce(0) { $0 + $1.slots } == 16384
    }
    if !isWhole {
      expect(false, "not whole: \(members.map { "\($0.id): \(String(describing: try? $0.state()))" })", location)
      throw ServerFailure.doesNotAnswer("the cluster is not whole")
    }
  }

  // MARK: Failing

  /// As `#expect`, with the nodes' logs.
  func expect(
    _ holds: Bool, _ otherwise: @autoclosure () -> String = "", _ location: SourceLocation = #_sourceLocation
  ) {
    if holds { return }
    let logs = hasFailed ? "" : "\n" + nodes.map { "--- \($0.id)\n\(Self.tail($0.log))" }.joined(separator: "\n")
    hasFailed = true
    Issue.record("\(otherwise())\(logs)\nThe logs are in \(directory)", sourceLocation: location)
  }

  private static func tail(_ text: String) -> String {
    text.split(separator: "\n").suffix(30).joined(separator: "\n")
  }
}

/// What a node says of its cluster.
struct ClusterState {
  var version: String
  var isReady: Bool
  var alive: Int
  var slots: Int
  /// On their way to this node, or kept until their new owner has them.
  var slotsMoving: Int
  /// Status by id.
  var members: [String: String]
}

extension ClusterOfProcesses.Node {
  /// For clients with threads of their own.
  var door: CountingLoad.Door {
    let (place, port) = (place, redisPort)
    return { try place.inside { try RESPClient(.tcp(port: port), timeoutSeconds: 15) } }
  }

  func state() throws -> ClusterState {
    let exchange = try http("GET", "/v1/cluster/state")
    guard let json = try JSONSerialization.jsonObject(with: Data(exchange.body)) as? [String: Any],
      let members = json["members"] as? [[String: Any]]
    else { throw ServerFailure.doesNotAnswer(exchange.text) }
    let statuses = members.map { ($0["id"] as? String ?? "", $0["status"] as? String ?? "") }
    return ClusterState(
      version: json["version"] as? String ?? "", isReady: json["ready"] as? Bool ?? false,
      alive: statuses.count { $0.1 == "alive" }, slots: json["slots_executed"] as? Int ?? 0,
      slotsMoving: (json["slots_incoming"] as? Int ?? 0) + (json["slots_outgoing"] as? Int ?? 0),
      members: Dictionary(statuses) { $1 })
  }

  /// For each slot the id of the member that executes it, as this one sees it; empty while nobody does.
  func owners() throws -> [String] {
    let exchange = try http("GET", "/v1/cluster/slots")
    let json = try JSONSerialization.jsonObject(with: Data(exchange.body)) as? [String: Any]
    var owners = [String](repeating: "", count: Slot.count)
    for range in json?["slots"] as? [[String: Any]] ?? [] {
      guard let first = range["first"] as? Int, let last = range["last"] as? Int else { continue }
      for slot in first...last { owners[slot] = range["runs_on"] as? String ?? "" }
    }
    return owners
  }

  /// So many keys of this name and a number, in slots that this member executes.
  func ownKeys(_ name: String, _ count: Int) throws -> [String] {
    let owners = try owners()
    return Array((0..<count * 100).lazy.map { "\(name)\($0)" }.filter { owners[$0.keySlot] == self.id }.prefix(count))
  }
}

extension String {
  /// The slot of the key of this name.
  var keySlot: Int { Array(utf8).withUnsafeBytes { Int(Slot(of: $0).index) } }
}

/// One request over HTTP/1.1, on a connection of its own.
struct HTTPExchange {
  var status: Int
  var body: [UInt8]
  var text: String { String(decoding: body, as: UTF8.self) }

  init(_ method: String, _ path: String, _ body: [UInt8] = [], port: Int) throws {
    let client = try RESPClient(.tcp(port: port), timeoutSeconds: 20)
    let isJSON = body.first == UInt8(ascii: "{")
    try client.send(
      "\(method) \(path) HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\nContent-Length: \(body.count)\r\n"
        + "Content-Type: application/\(isJSON ? "json" : "octet-stream")\r\n"
        + (path.hasPrefix("/api/cache/") ? "Accept: application/octet-stream\r\n" : "") + "\r\n")
    try client.send(body)
    let reply = try client.readToEnd()
    let end = Array("\r\n\r\n".utf8)
    guard let split = reply.indices.first(where: { reply[$0] == 13 && reply[$0...].starts(with: end) }) else {
      throw RESPClient.Failure.malformed(quoted(reply))
    }
    let line = String(decoding: reply[..<split].prefix { $0 != 13 }, as: UTF8.self).split(separator: " ")
    status = line.count > 1 ? Int(line[1]) ?? 0 : 0
    self.body = Array(reply[(split + 4)...])
  }
}

/// Ports that are free for TCP and UDP, below those that the kernel gives to connections: a node that is down keeps
/// its own.
enum Ports {
  private static let last = Guarded(20_000 + Int(getpid()) % 1_000 * 11)

  static func next(_ count: Int) -> [Int] { (0..<count).map { _ in next() } }

  static func next() -> Int {
    while true {
      let port = last.withLock { port in
        port = port >= 32_000 ? 20_000 : port + 1
        return port
      }
      if isFree(port) { return port }
    }
  }

  private static func isFree(_ port: Int) -> Bool {
    [SOCK_STREAM, SOCK_DGRAM].allSatisfy { type in
      let descriptor = socket(AF_INET, Int32(type.rawValue), 0)
      defer { close(descriptor) }
      var address = sockaddr_in()
      address.sin_family = sa_family_t(AF_INET)
      address.sin_port = in_port_t(port).bigEndian
      address.sin_addr.s_addr = in_addr_t(0x7F00_0001).bigEndian
      return withUnsafePointer(to: &address) {
        $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
          bind(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size)) == 0
        }
      }
    }
  }
}
