import Foundation
import Glibc

/// A real PostgreSQL on this machine's loopback, with nothing in it, which can be stopped and started again.
///
/// It refuses to run as root; then it runs as the user `postgres` that its package brings.
public final class PostgresServer: @unchecked Sendable {
  private static let programs: String? = {
    let root = "/usr/lib/postgresql"
    let versions = ((try? FileManager.default.contentsOfDirectory(atPath: root)) ?? []).compactMap { Int($0) }
    let folders = versions.sorted(by: >).map { "\(root)/\($0)/bin" } + ["/usr/bin", "/usr/local/bin"]
    return folders.first { access($0 + "/initdb", X_OK) == 0 && access($0 + "/postgres", X_OK) == 0 }
  }()

  public static var isInstalled: Bool { programs != nil }

  public private(set) var port: Int
  public let directory = Environment.makeTemporaryDirectory()
  // Invariant: one thread at a time starts and stops it.
  private var process: ChildProcess?
  private let arguments: [String]
  private var starts = 0

  /// - Parameter arguments: further ones of `postgres`, such as `-c max_connections=5`.
  public init(_ arguments: [String] = []) throws {
    guard let programs = Self.programs else { throw ServerFailure.notInstalled("PostgreSQL") }
    self.arguments = arguments
    port = NexusServer.freePorts(1)[0]
    if getuid() == 0, let user = getpwnam("postgres") { chown(directory, user.pointee.pw_uid, user.pointee.pw_gid) }
    let (status, output) = try Self.run(
      programs + "/initdb",
      ["-D", directory + "/data", "-U", "nexus", "--auth", "trust", "--no-sync", "-E", "UTF8", "--locale", "C"])
    guard status == 0 else { throw ServerFailure.doesNotAnswer(output) }
    for _ in 0..<4 {
      if (try? start()) != nil { return }
      // Another process may have taken the port meanwhile.
      port = NexusServer.freePorts(1)[0]
    }
    try start()
  }

  deinit { remove() }

  /// Stops it, and takes its files away.
  public func remove() {
    stop()
    try? FileManager.default.removeItem(atPath: directory)
  }

  public var url: String { "postgres://nexus@127.0.0.1:\(port)/postgres" }

  public func start() throws {
    let (program, words) = Self.command(
      Self.programs! + "/postgres",
      [
        "-D", directory + "/data", "-p", "\(port)", "-k", directory, "-c", "listen_addresses=127.0.0.1", "-c",
        "fsync=off",
        "-c", "max_wal_senders=0", "-c", "autovacuum=off",
      ] + arguments)
    starts += 1
    let child = try ChildProcess(program, words, output: directory + "/log-\(starts)")
    process = child
    // It says so itself, without a client of its kind.
    let isUp = eventually(seconds: 300) {
      child.exitStatus() != nil || child.output.contains("database system is ready to accept connections")
    }
    guard isUp, child.exitStatus() == nil else { throw ServerFailure.doesNotAnswer(child.output) }
  }

  /// Ends its connections and itself.
  public func stop() {
    process?.stop(with: SIGINT)
    process = nil
  }

  /// To the process that takes connections.
  public func signal(_ number: Int32) { process?.signal(number) }

  private static func command(_ program: String, _ arguments: [String]) -> (String, [String]) {
    guard getuid() == 0 else { return (program, arguments) }
    let switching = ["--reuid=postgres", "--regid=postgres", "--clear-groups", program]
    return (Environment.find(program: "setpriv") ?? "/usr/bin/setpriv", switching + arguments)
  }

  private static func run(_ program: String, _ arguments: [String]) throws -> (status: Int?, output: String) {
    let (program, words) = command(program, arguments)
    // A second of work, on a machine that may be busy with a build.
    return try ChildProcess.run(program, words, seconds: 300)
  }
}
