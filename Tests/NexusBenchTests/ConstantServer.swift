import Glibc
import Synchronization

/// A server for tests: answers every `requestBytes` bytes with one constant, on a free port of 127.0.0.1.
final class ConstantServer: Sendable {
  let port: Int
  private let listener: Int32
  private let requestBytes: Int
  private let reply: [UInt8]
  /// After so many replies a connection is closed; 0: never.
  private let closeAfter: Int
  let received = Atomic<Int>(0)

  init(requestBytes: Int, reply: String, closeAfter: Int = 0) {
    self.requestBytes = requestBytes
    self.reply = Array(reply.utf8)
    self.closeAfter = closeAfter
    let listener = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
    self.listener = listener
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
    var length = socklen_t(MemoryLayout<sockaddr_in>.size)
    port = withUnsafeMutableBytes(of: &address) { bytes in
      let pointer = bytes.baseAddress!.assumingMemoryBound(to: sockaddr.self)
      precondition(Glibc.bind(listener, pointer, length) == 0 && Glibc.listen(listener, 64) == 0)
      getsockname(listener, pointer, &length)
      return Int(UInt16(bigEndian: bytes.loadUnaligned(fromByteOffset: 2, as: UInt16.self)))
    }
    startThread { [self] in accept() }
  }

  /// No new connections; open ones end with their clients.
  func stop() {
    shutdown(listener, Int32(SHUT_RDWR))
  }

  private func accept() {
    while true {
      let connection = Glibc.accept(listener, nil, nil)
      guard connection >= 0 else { break }
      startThread { [self] in serve(connection) }
    }
    close(listener)
  }

  private func serve(_ connection: Int32) {
    defer { close(connection) }
    var buffer = [UInt8](repeating: 0, count: 65_536)
    var pending = 0
    var answered = 0
    while true {
      let count = recv(connection, &buffer, buffer.count, 0)
      guard count > 0 else { return }
      received.wrappingAdd(count, ordering: .relaxed)
      pending += count
      while pending >= requestBytes {
        if closeAfter > 0 && answered == closeAfter { return }
        guard send(connection, reply, reply.count, Int32(MSG_NOSIGNAL)) == reply.count else { return }
        pending -= requestBytes
        answered += 1
      }
    }
  }
}

private final class Work {
  let run: @Sendable () -> Void
  init(_ run: @escaping @Sendable () -> Void) { self.run = run }
}

private func startThread(_ run: @escaping @Sendable () -> Void) {
  var thread = pthread_t()
  let start: @convention(c) (UnsafeMutableRawPointer?) -> UnsafeMutableRawPointer? = { argument in
    Unmanaged<Work>.fromOpaque(argument!).takeRetainedValue().run()
    return nil
  }
  pthread_create(&thread, nil, start, Unmanaged.passRetained(Work(run)).toOpaque())
  pthread_detach(thread)
}
