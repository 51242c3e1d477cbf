import Glibc
import NexusModel

/// A program started by a test. It is stopped with the test: at the latest when the test process exits.
public final class ChildProcess: @unchecked Sendable {
  public enum Failure: Error { case cannotStart(String, Int32) }

  public let identifier: pid_t
  /// What it wrote to its standard output and error.
  public let outputPath: String
  // Invariant: nil while the child has not been waited for; afterwards its identifier may belong to another process.
  private let status = Guarded<Int32?>(nil)

  public init(_ program: String, _ arguments: [String], environment: [String] = [], output: String) throws {
    outputPath = output
    var actions = posix_spawn_file_actions_t()
    posix_spawn_file_actions_init(&actions)
    defer { posix_spawn_file_actions_destroy(&actions) }
    posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0)
    posix_spawn_file_actions_addopen(&actions, 1, output, O_WRONLY | O_CREAT | O_APPEND, 0o600)
    posix_spawn_file_actions_adddup2(&actions, 1, 2)
    // A thread of the tests may block signals; what it starts must not inherit that.
    var attributes = posix_spawnattr_t()
    posix_spawnattr_init(&attributes)
    defer { posix_spawnattr_destroy(&attributes) }
    var signals = sigset_t()
    sigemptyset(&signals)
    posix_spawnattr_setsigmask(&attributes, &signals)
    sigfillset(&signals)
    posix_spawnattr_setsigdefault(&attributes, &signals)
    posix_spawnattr_setflags(&attributes, Int16(POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF))
    var child: pid_t = 0
    let words = ([program] + arguments).map { strdup($0) } + [nil]
    let variables = (Self.inheritedEnvironment() + environment).map { strdup($0) } + [nil]
    defer { for word in words + variables { free(word) } }
    let result = posix_spawn(&child, program, &actions, &attributes, words, variables)
    guard result == 0 else { throw Failure.cannotStart(program, result) }
    identifier = child
    Self.register(self)
  }

  deinit { stop(with: SIGKILL) }

  public var output: String {
    guard let file = fopen(outputPath, "r") else { return "" }
    defer { fclose(file) }
    var bytes: [UInt8] = []
    var chunk = [UInt8](repeating: 0, count: 1 << 16)
    while true {
      let count = fread(&chunk, 1, chunk.count, file)
      if count == 0 { return String(decoding: bytes, as: UTF8.self) }
      bytes += chunk[..<count]
    }
  }

  public func signal(_ number: Int32) {
    status.withLock { if $0 == nil { kill(identifier, number) } }
  }

  /// The exit status (128 + n for signal n) if it has ended.
  public func exitStatus() -> Int? {
    status.withLock { known -> Int? in
      if known == nil {
        var raw: Int32 = 0
        if waitpid(identifier, &raw, WNOHANG) == identifier { known = raw }
      }
      return known.map { $0 & 0x7F == 0 ? Int($0 >> 8 & 0xFF) : 128 + Int($0 & 0x7F) }
    }
  }

  /// Waits for its end; nil if it is still running after that many seconds.
  public func waitForExit(seconds: Double) -> Int? {
    let start = MonotonicClock.seconds()
    while true {
      if let status = exitStatus() { return status }
      if MonotonicClock.seconds() - start > seconds { return nil }
      usleep(5_000)
    }
  }

  /// Asks it to end; kills it if it has not within ten seconds.
  @discardableResult public func stop(with number: Int32 = SIGTERM) -> Int? {
    signal(number)
    if let status = waitForExit(seconds: 10) { return status }
    signal(SIGKILL)
    _ = waitForExit(seconds: 10)
    return nil
  }

  /// Resident memory in bytes, from `/proc`.
  public var residentBytes: Int {
    guard let file = fopen("/proc/\(identifier)/statm", "r") else { return 0 }
    defer { fclose(file) }
    var line = [CChar](repeating: 0, count: 256)
    guard fgets(&line, 256, file) != nil else { return 0 }
    let fields = String(decoding: line.prefix { $0 != 0 }.map { UInt8($0) }, as: UTF8.self).split(separator: " ")
    return fields.count > 1 ? (Int(fields[1]) ?? 0) * 4096 : 0
  }

  /// Runs a program to its end: its exit status (nil if it had to be killed) and everything it wrote.
  public static func run(_ program: String, _ arguments: [String], environment: [String] = [], seconds: Double = 60)
    throws -> (status: Int?, output: String)
  {
    let directory = Environment.makeTemporaryDirectory()
    let path = directory + "/output"
    let child = try ChildProcess(program, arguments, environment: environment, output: path)
    let status = child.waitForExit(seconds: seconds)
    if status == nil { child.stop(with: SIGKILL) }
    defer {
      unlink(path)
      rmdir(directory)
    }
    return (status, child.output)
  }

  private static func inheritedEnvironment() -> [String] {
    var variables: [String] = []
    var cursor = environ
    while let variable = cursor.pointee {
      // A setting of whoever runs the tests is none of a server under test.
      let text = String(cString: variable)
      if !text.hasPrefix("NEXUSCACHE_") { variables.append(text) }
      cursor += 1
    }
    return variables
  }

  // MARK: None outlives the tests

  private struct Weak { weak var child: ChildProcess? }
  private static let running = Guarded<[Weak]>([])

  private static func register(_ child: ChildProcess) {
    running.withLock { children in
      if children.isEmpty {
        atexit { ChildProcess.running.withLock { for entry in $0 { entry.child?.signal(SIGKILL) } } }
      }
      children.removeAll { $0.child == nil }
      children.append(Weak(child: child))
    }
  }
}

public enum MonotonicClock {
  public static func seconds() -> Double {
    var time = timespec()
    clock_gettime(CLOCK_MONOTONIC, &time)
    return Double(time.tv_sec) + Double(time.tv_nsec) / 1e9
  }
}

/// Asks again and again, 5 ms apart, until it holds; false if it does not within that many seconds.
public func eventually(seconds: Double = 10, _ holds: () throws -> Bool) rethrows -> Bool {
  let start = MonotonicClock.seconds()
  while true {
    if try holds() { return true }
    if MonotonicClock.seconds() - start > seconds * Double(Environment.patience) { return false }
    usleep(5_000)
  }
}

/// As `eventually`, for what takes long: other tests run meanwhile.
public func inTheEnd(seconds: Double, _ holds: () throws -> Bool) async throws -> Bool {
  let start = MonotonicClock.seconds()
  while true {
    if try holds() { return true }
    if MonotonicClock.seconds() - start > seconds * Double(Environment.patience) { return false }
    try await Task.sleep(nanoseconds: 100_000_000)
  }
}
