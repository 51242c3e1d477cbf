import CLinux
import Glibc
import NexusModel

/// One node of a demonstration: a child process, its log, and what it says of itself.
final class DemoNode {
  let name: String
  let ports: PortPlan.Ports
  let logPath: String
  let pid: pid_t
  /// As `waitpid` gives it; nil while it runs.
  private(set) var end: Int32?
  private(set) var state: ClusterState?
  private(set) var keys = 0
  private(set) var operations = 0
  private let client: HTTPClient

  /// - Parameter arguments: of the program, without its own name.
  init(
    name: String, ports: PortPlan.Ports, program: String, arguments: [String], environment: [String],
    logPath: String, password: String?
  ) throws(ControlFailure) {
    (self.name, self.ports, self.logPath) = (name, ports, logPath)
    client = HTTPClient(
      address: NetworkAddress(host: "127.0.0.1", port: UInt16(ports.http)), password: password, timeoutSeconds: 1)
    let log = open(logPath, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0o600)
    guard log >= 0 else { throw ControlFailure("cannot write \(logPath): \(String(cString: strerror(errno)))") }
    defer { close(log) }
    let words = ([program] + arguments).map { strdup($0) } + [nil]
    let variables = environment.map { strdup($0) } + [nil]
    defer { for text in words + variables { free(text) } }
    pid = words.withUnsafeBufferPointer { words in
      variables.withUnsafeBufferPointer { nexus_start_child(program, words.baseAddress!, $0.baseAddress!, log) }
    }
    guard pid > 0 else { throw ControlFailure("cannot start \(program): \(String(cString: strerror(errno)))") }
  }

  /// True when it has ended since the last look.
  func hasJustEnded() -> Bool {
    guard end == nil else { return false }
    var status: Int32 = 0
    guard waitpid(pid, &status, WNOHANG) == pid else { return false }
    end = status
    state = nil
    return true
  }

  func signal(_ number: Int32) {
    // Once waited for, its number may be another process's.
    if end == nil { kill(pid, number) }
  }

  /// How it ended, and the last thing it said.
  var farewell: String {
    guard let end else { return "\(name) is running" }
    let signal = end & 0x7F
    let how = signal == 0 ? "ended with status \(end >> 8 & 0xFF)" : "was ended by signal \(signal)"
    let last = lastLine.map { ": \($0)" } ?? ""
    return "\(name) (pid \(pid)) \(how)\(signal == SIGKILL || signal == SIGTERM ? "" : last)"
  }

  private var lastLine: String? {
    let descriptor = open(logPath, O_RDONLY | O_CLOEXEC)
    guard descriptor >= 0 else { return nil }
    defer { close(descriptor) }
    lseek(descriptor, max(0, lseek(descriptor, 0, Int32(SEEK_END)) - 4096), Int32(SEEK_SET))
    var buffer = [UInt8](repeating: 0, count: 4096)
    let count = read(descriptor, &buffer, buffer.count)
    guard count > 0 else { return nil }
    return String(decoding: buffer[..<count], as: UTF8.self).split(separator: "\n").last.map(String.init)
  }

  /// Asks it anew. What does not answer has no state.
  func look() {
    guard end == nil else { return }
    state = try? ClusterState.read(client)
    guard state != nil, let page = try? client.get("/metrics") else { return }
    (keys, operations) = Self.figures(String(decoding: page.body, as: UTF8.self))
  }

  /// Entries, and reads, writes and deletes so far, of a metrics page.
  static func figures(_ page: String) -> (keys: Int, operations: Int) {
    var (keys, operations) = (0, 0)
    for line in page.split(separator: "\n") where !line.hasPrefix("#") {
      guard let value = line.split(separator: " ").last.flatMap({ Double($0) }) else { continue }
      if line.hasPrefix("nexuscache_namespace_entries{") { keys += Int(value) }
      if line.hasPrefix("nexuscache_requests_total{") { operations += Int(value) }
    }
    return (keys, operations)
  }
}
