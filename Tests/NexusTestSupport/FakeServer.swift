import Foundation
import Glibc
import NexusModel

/// A server on a port of loopback that does with each connection what a test says, on a thread of its own.
public final class FakeServer: Sendable {
  /// One end of a connection, closed when the handler returns.
  public struct Peer: Sendable {
    public let descriptor: Int32

    /// False when the other end is closed.
    @discardableResult public func send(_ bytes: [UInt8]) -> Bool {
      var rest = bytes[...]
      while !rest.isEmpty {
        let count = rest.withUnsafeBytes { Glibc.send(descriptor, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL)) }
        guard count > 0 else { return false }
        rest = rest.dropFirst(count)
      }
      return true
    }
    @discardableResult public func send(_ text: String) -> Bool { send(Array(text.utf8)) }

    /// What has come; nil when the other end is closed.
    public func receive() -> [UInt8]? {
      var chunk = [UInt8](repeating: 0, count: 1 << 16)
      let count = recv(descriptor, &chunk, chunk.count, 0)
      return count > 0 ? Array(chunk[..<count]) : nil
    }

    /// Takes what comes and says nothing, until the other end is closed.
    public func hang() { while receive() != nil {} }
  }

  /// What the threads share with the server; it may be gone before they are.
  private final class Connections: Sendable {
    struct State {
      var open: Set<Int32> = []
      var accepted = 0
      var isStopped = false
    }
    let state = Guarded(State())
  }

  public let port: Int
  private let listener: Int32
  private let connections = Connections()

  public init(_ handle: @escaping @Sendable (Peer) -> Void) throws {
    let listener = socket(AF_INET, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
    self.listener = listener
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_addr.s_addr = in_addr_t(0x7F00_0001).bigEndian
    var length = socklen_t(MemoryLayout<sockaddr_in>.size)
    let isListening = withUnsafeMutablePointer(to: &address) {
      $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { address in
        bind(listener, address, length) == 0 && listen(listener, 64) == 0
          && getsockname(listener, address, &length) == 0
      }
    }
    guard isListening else { throw ServerFailure.doesNotAnswer("no port: \(String(cString: strerror(errno)))") }
    port = Int(UInt16(bigEndian: address.sin_port))
    let connections = connections
    Thread.detachNewThread {
      while true {
        let descriptor = accept(listener, nil, nil)
        guard descriptor >= 0 else { break }
        let isWanted = connections.state.withLock { state in
          state.accepted += 1
          return !state.isStopped && state.open.insert(descriptor).inserted
        }
        guard isWanted else {
          close(descriptor)
          continue
        }
        Thread.detachNewThread {
          handle(Peer(descriptor: descriptor))
          // A process that another test starts may have the descriptor too: closing it alone would not end anything.
          shutdown(descriptor, Int32(SHUT_RDWR))
          connections.state.withLock { state in
            state.open.remove(descriptor)
            _ = close(descriptor)
          }
        }
      }
      close(listener)
    }
  }

  deinit { stop() }

  public func stop() {
    connections.state.withLock { state in
      if !state.isStopped { shutdown(listener, Int32(SHUT_RDWR)) }
      state.isStopped = true
      for descriptor in state.open { shutdown(descriptor, Int32(SHUT_RDWR)) }
    }
  }

  /// Connections so far, and now.
  public var accepted: Int { connections.state.withLock(\.accepted) }
  public var open: Int { connections.state.withLock(\.open.count) }
}
