import Glibc

@testable import NexusTransport

struct ClientFailure: Error, CustomStringConvertible {
  let description: String
}

/// A blocking client; every call gives up after ten seconds.
final class TestClient: Sendable {
  let descriptor: Int32

  convenience init(port: UInt16, host: String = "127.0.0.1", receiveBufferBytes: Int32? = nil) throws {
    try self.init(to: SocketAddress.resolve(host, port: port)[0], receiveBufferBytes: receiveBufferBytes)
  }

  convenience init(unixPath: String) throws {
    try self.init(to: SocketAddress(unixPath: unixPath)!, receiveBufferBytes: nil)
  }

  private init(to address: SocketAddress, receiveBufferBytes: Int32?) throws {
    descriptor = socket(Int32(address.family), Int32(SOCK_STREAM.rawValue), 0)
    if let receiveBufferBytes { setOption(descriptor, SOL_SOCKET, SO_RCVBUF, receiveBufferBytes) }
    var patience = timeval(tv_sec: 10, tv_usec: 0)
    for option in [SO_RCVTIMEO, SO_SNDTIMEO] {
      setsockopt(descriptor, SOL_SOCKET, option, &patience, socklen_t(MemoryLayout<timeval>.size))
    }
    guard address.withSockaddr({ connect(descriptor, $0, $1) }) == 0 else {
      throw ClientFailure(description: "connect to \(address): \(systemErrorText(errno))")
    }
  }

  deinit { close(descriptor) }

  func write(_ bytes: [UInt8]) throws {
    var sent = 0
    while sent < bytes.count {
      let result = bytes.withUnsafeBytes {
        Glibc.send(descriptor, $0.baseAddress! + sent, bytes.count - sent, 0x4000)
      }
      guard result > 0 else { throw ClientFailure(description: "send: \(systemErrorText(errno))") }
      sent += result
    }
  }

  /// As much as is there now without waiting for room; answers how much went.
  func writeWithoutWaiting(_ bytes: [UInt8]) -> Int {
    max(0, bytes.withUnsafeBytes { Glibc.send(descriptor, $0.baseAddress!, bytes.count, 0x4040) })
  }

  func read(_ count: Int) throws -> [UInt8] {
    var bytes = [UInt8](repeating: 0, count: count)
    var got = 0
    while got < count {
      let result = bytes.withUnsafeMutableBytes { recv(descriptor, $0.baseAddress! + got, count - got, 0) }
      guard result > 0 else {
        throw ClientFailure(
          description: result == 0 ? "closed after \(got) of \(count) bytes" : "recv: \(systemErrorText(errno))")
      }
      got += result
    }
    return bytes
  }

  /// Everything until the server closes.
  func readToEnd() throws -> [UInt8] {
    var all: [UInt8] = []
    var piece = [UInt8](repeating: 0, count: 65536)
    while true {
      let result = piece.withUnsafeMutableBytes { recv(descriptor, $0.baseAddress!, 65536, 0) }
      if result == 0 { return all }
      guard result > 0 else { throw ClientFailure(description: "recv: \(systemErrorText(errno))") }
      all += piece[..<result]
    }
  }

  /// Writes on a thread of its own while the test reads.
  func writing(_ bytes: [UInt8]) -> Thread { Thread { [self] in try? write(bytes) } }

  func finishWriting() { shutdown(descriptor, Int32(SHUT_WR)) }

  static func frame(_ payload: [UInt8]) -> [UInt8] {
    withUnsafeBytes(of: UInt32(payload.count)) { Array($0) } + payload
  }

  static func frame(_ text: String) -> [UInt8] { frame(Array(text.utf8)) }

  /// Asks for an answer of so many bytes.
  static func ask(_ count: Int) -> [UInt8] {
    frame([UInt8(ascii: "b")] + withUnsafeBytes(of: UInt32(count)) { Array($0) })
  }

  func send(_ text: String) throws { try write(Self.frame(text)) }

  func receive() throws -> [UInt8] {
    let length = try read(4).withUnsafeBytes { $0.loadUnaligned(as: UInt32.self) }
    return try read(Int(length))
  }

  func receiveText() throws -> String { String(decoding: try receive(), as: UTF8.self) }

  func echo(_ text: String) throws -> String {
    try send(text)
    return try receiveText()
  }
}
