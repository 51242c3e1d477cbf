import Glibc

/// A server process with a Redis door, started for a test and stopped with it.
public protocol RedisSpeaker: AnyObject, Sendable {
  var process: ChildProcess { get }
  var endpoint: RESPClient.Endpoint { get }
}

extension RedisSpeaker {
  public func connect(timeoutSeconds: Int = 20) throws -> RESPClient {
    try RESPClient(endpoint, timeoutSeconds: timeoutSeconds)
  }
}

public enum ServerFailure: Error, CustomStringConvertible {
  case notInstalled(String)
  case doesNotAnswer(String)

  public var description: String {
    switch self {
    case .notInstalled(let program): "\(program) is not on this machine; scripts/ installs what the tests need"
    case .doesNotAnswer(let output): "the server does not answer; it wrote:\n\(output)"
    }
  }
}

/// The oracle: Debian's redis-server, without persistence, on a Unix socket of its own.
public final class RedisServer: RedisSpeaker, Sendable {
  public let process: ChildProcess
  public let endpoint: RESPClient.Endpoint
  private let directory: String

  public init(_ arguments: [String] = []) throws {
    guard let program = Environment.find(program: "redis-server") else {
      throw ServerFailure.notInstalled("redis-server")
    }
    directory = Environment.makeTemporaryDirectory()
    let path = directory + "/redis.sock"
    endpoint = .unix(path: path)
    process = try ChildProcess(
      program,
      ["--port", "0", "--unixsocket", path, "--save", "", "--appendonly", "no", "--dir", directory] + arguments,
      output: directory + "/output")
    let endpoint = endpoint
    guard eventually({ (try? RESPClient(endpoint).ask("PING")) == .simple(Array("PONG".utf8)) }) else {
      throw ServerFailure.doesNotAnswer(process.output)
    }
  }

  deinit {
    process.stop(with: SIGKILL)
    removeTemporaryDirectory(directory)
  }
}

/// The program under test, as an operator starts it, on loopback ports of its own.
public final class NexusServer: RedisSpeaker, Sendable {
  public let process: ChildProcess
  public let redisPort: Int
  public let httpPort: Int
  public let unixPath: String
  public var endpoint: RESPClient.Endpoint { .tcp(port: redisPort) }
  private let directory: String

  /// `NEXUS_TEST_EXECUTABLE`, or the one built beside the tests.
  public static var executable: String {
    Environment["NEXUS_TEST_EXECUTABLE"] ?? Environment.productsDirectory + "/nexuscache"
  }

  /// Starts `nexuscache serve` with these further arguments and waits until it answers.
  public init(_ arguments: [String] = [], threads: Int = 2, environment: [String] = []) throws {
    var last: any Error = ServerFailure.doesNotAnswer("")
    for _ in 0..<3 {
      let directory = Environment.makeTemporaryDirectory()
      let ports = Self.freePorts(2)
      let unixPath = directory + "/nexus.sock"
      let process = try ChildProcess(
        Self.executable,
        [
          "serve", "--bind", "127.0.0.1", "--redis-port", "\(ports[0])", "--http-port", "\(ports[1])",
          "--unix-socket", unixPath, "--threads", "\(threads)", "--data-dir", directory, "--log-level", "warning",
        ] + arguments, environment: environment, output: directory + "/output")
      // Another process may have taken the port meanwhile: only our own child's answer counts.
      let answers = eventually(seconds: 15) {
        process.exitStatus() != nil
          || Self.processIdentifier(answeringOn: ports[0]).map { $0 == Int64(process.identifier) } == true
      }
      if answers && process.exitStatus() == nil {
        (self.process, redisPort, httpPort, self.unixPath) = (process, ports[0], ports[1], unixPath)
        self.directory = directory
        return
      }
      process.stop(with: SIGKILL)
      last = ServerFailure.doesNotAnswer(process.output)
      removeTemporaryDirectory(directory)
    }
    throw last
  }

  deinit {
    process.stop(with: SIGKILL)
    removeTemporaryDirectory(directory)
  }

  private static func processIdentifier(answeringOn port: Int) -> Int64? {
    guard let client = try? RESPClient(.tcp(port: port), timeoutSeconds: 5),
      let info = try? client.ask("INFO", "server").string
    else { return nil }
    return InfoReply(info)["process_id"].flatMap { Int64($0) }
  }

  /// Ports of loopback that nothing listens on at this moment.
  public static func freePorts(_ count: Int) -> [Int] {
    var descriptors: [Int32] = []
    defer { for descriptor in descriptors { close(descriptor) } }
    return (0..<count).map { _ in
      let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
      descriptors.append(descriptor)
      var address = sockaddr_in()
      address.sin_family = sa_family_t(AF_INET)
      address.sin_addr.s_addr = in_addr_t(0x7F00_0001).bigEndian
      var length = socklen_t(MemoryLayout<sockaddr_in>.size)
      return withUnsafeMutablePointer(to: &address) { pointer in
        pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
          _ = bind(descriptor, $0, length)
          getsockname(descriptor, $0, &length)
        }
        return Int(in_port_t(bigEndian: pointer.pointee.sin_port))
      }
    }
  }
}

/// INFO's lines by name.
public struct InfoReply {
  public private(set) var fields: [String: String] = [:]
  public private(set) var sections: [String] = []

  public init(_ text: String) {
    for line in text.split(whereSeparator: { $0 == "\r\n" || $0 == "\n" }) {
      if line.hasPrefix("# ") { sections.append(String(line.dropFirst(2))) }
      guard let colon = line.firstIndex(of: ":") else { continue }
      fields[String(line[..<colon])] = String(line[line.index(after: colon)...])
    }
  }

  public subscript(_ name: String) -> String? { fields[name] }
  public func number(_ name: String) -> Int? { fields[name].flatMap { Int($0) } }
}

/// Removes a directory that `Environment.makeTemporaryDirectory` made and the files in it.
private func removeTemporaryDirectory(_ path: String) {
  guard path.contains("/nexus-test-"), let directory = opendir(path) else { return }
  while let entry = readdir(directory) {
    let name = withUnsafePointer(to: &entry.pointee.d_name) {
      $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
    }
    if name != "." && name != ".." { unlink("\(path)/\(name)") }
  }
  closedir(directory)
  rmdir(path)
}
