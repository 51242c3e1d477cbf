import Glibc

/// A network of its own on this machine (network_namespaces(7)), without a name: it ends with its last socket and
/// process, and with this.
final class NetworkNamespace: Sendable {
  /// Keeps it alive.
  private let descriptor: Int32

  /// - Throws: where this process may not make one.
  init() throws {
    descriptor = try Self.elsewhere {
      guard unshareNetwork() == 0 else { throw NetworkFailure("make a network namespace", errno) }
    } run: {
      try Self.current()
    }
  }

  deinit { close(descriptor) }

  /// Runs on this thread within the namespace: sockets that are made, and programs that are started here, belong to it
  /// for good.
  func inside<Value>(_ body: () throws -> Value) throws -> Value {
    try Self.elsewhere {
      guard enterNetwork(descriptor) == 0 else { throw NetworkFailure("enter a network namespace", errno) }
    } run: {
      try body()
    }
  }

  /// Brings this thread back to where it was, if it went.
  private static func elsewhere<Value>(_ go: () throws -> Void, run body: () throws -> Value) throws -> Value {
    let home = try current()
    defer { close(home) }
    try go()
    // A thread of the tests that stayed would take the next test along.
    defer { precondition(enterNetwork(home) == 0, "a thread cannot go back to its network: \(errorText(errno))") }
    return try body()
  }

  private static func current() throws -> Int32 {
    let descriptor = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC)
    guard descriptor >= 0 else { throw NetworkFailure("open /proc/thread-self/ns/net", errno) }
    return descriptor
  }
}

/// What could not be done, and why.
struct NetworkFailure: Error, CustomStringConvertible {
  let description: String
  init(_ what: String, _ code: Int32) { description = "cannot \(what): \(errorText(code))" }
}

private func errorText(_ code: Int32) -> String { String(cString: strerror(code)) }

/// CLONE_NEWNET of sched.h, which Swift does not see without _GNU_SOURCE; neither the two functions.
private let newNetwork: Int32 = 0x4000_0000

private func unshareNetwork() -> Int32 {
  typealias Unshare = @convention(c) (Int32) -> Int32
  return unsafeBitCast(dlsym(nil, "unshare"), to: Unshare.self)(newNetwork)
}

private func enterNetwork(_ descriptor: Int32) -> Int32 {
  typealias Setns = @convention(c) (Int32, Int32) -> Int32
  return unsafeBitCast(dlsym(nil, "setns"), to: Setns.self)(descriptor, newNetwork)
}
