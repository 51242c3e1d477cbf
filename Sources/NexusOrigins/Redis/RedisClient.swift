import CHiredis
import Glibc

/// A connection to a Redis server, for one thread at a time. The library parses and formats; it never waits.
final class RedisClient {
  enum Failure: Error {
    case interrupted
    case timedOut
    /// Nothing was sent.
    case notConnected(String)
    /// Sent, or perhaps sent, and not answered to the end.
    case brokenOff(String)
    case garbage(String)
    case tooLarge
  }

  enum Reply: Hashable {
    case text([UInt8])
    case status(String)
    case number(Int)
    case null
    case error(String)
  }

  /// What a reply needs besides its value.
  private static let overheadBytes = 64 << 10

  private let context: UnsafeMutablePointer<redisContext>
  /// Read by the library for every reply. Invariant: lives as long as the context.
  private let functions: UnsafeMutablePointer<redisReplyObjectFunctions>
  private let interruption: DescriptorInterruption
  private let limitBytes: Int

  init(
    to server: ServerAddress, limitBytes: Int, _ interruption: DescriptorInterruption, until deadline: Int
  ) throws(Failure) {
    let made =
      server.socket.map { redisConnectUnixNonBlock($0) }
      ?? redisConnectNonBlock(server.host, Int32(server.port))
    guard let made else { throw .notConnected("no memory for a connection") }
    context = made
    functions = .allocate(capacity: 1)
    functions.initialize(to: redisReplyObjectFunctions())
    self.interruption = interruption
    self.limitBytes = limitBytes
    guard context.pointee.err == 0 else { throw .notConnected(words) }
    nexus_hiredis_refuse_lists(context, functions)
    do throws(Failure) {
      try wait(for: POLLOUT, until: deadline)
    } catch {
      if case .timedOut = error { throw .notConnected("no connection in time") }
      throw error
    }
    var code: Int32 = 0
    var length = socklen_t(MemoryLayout<Int32>.size)
    getsockopt(context.pointee.fd, SOL_SOCKET, SO_ERROR, &code, &length)
    guard code == 0 else { throw .notConnected(String(cString: strerror(code))) }
    var one: Int32 = 1
    setsockopt(context.pointee.fd, Int32(IPPROTO_TCP), TCP_NODELAY, &one, length)
  }

  deinit {
    redisFree(context)
    functions.deinitialize(count: 1)
    functions.deallocate()
  }

  /// Sends them together; one reply each. After a failure the connection is of no more use.
  func run(_ commands: [[[UInt8]]], until deadline: Int) throws(Failure) -> [Reply] {
    for command in commands { try append(command) }
    var done: Int32 = 0
    while true {
      guard redisBufferWrite(context, &done) == REDIS_OK else { throw .brokenOff(words) }
      if done != 0 { break }
      try wait(for: POLLOUT, until: deadline)
    }
    var replies: [Reply] = []
    while replies.count < commands.count { replies.append(try next(until: deadline)) }
    return replies
  }

  private func append(_ command: [[UInt8]]) throws(Failure) {
    var lengths = command.map(\.count)
    let bytes = command.reduce(into: []) { $0 += $1 }
    let result = bytes.withUnsafeBufferPointer { bytes in
      var offset = 0
      var starts: [UnsafePointer<CChar>?] = command.map { argument in
        defer { offset += argument.count }
        return bytes.baseAddress.map { UnsafeRawPointer($0 + offset).assumingMemoryBound(to: CChar.self) }
      }
      return redisAppendCommandArgv(context, Int32(command.count), &starts, &lengths)
    }
    guard result == REDIS_OK else { throw .notConnected(words) }
  }

  private func next(until deadline: Int) throws(Failure) -> Reply {
    while true {
      var reply: UnsafeMutableRawPointer?
      guard redisGetReplyFromReader(context, &reply) == REDIS_OK else { throw .garbage(words) }
      if let reply {
        defer { freeReplyObject(reply) }
        return try Self.reply(reply.assumingMemoryBound(to: redisReply.self).pointee, limitBytes)
      }
      guard nexus_hiredis_waiting(context) <= limitBytes + Self.overheadBytes else { throw .tooLarge }
      try wait(for: POLLIN, until: deadline)
      guard redisBufferRead(context) == REDIS_OK else { throw .brokenOff(words) }
    }
  }

  private static func reply(_ reply: redisReply, _ limitBytes: Int) throws(Failure) -> Reply {
    let bytes = UnsafeRawBufferPointer(start: reply.str, count: reply.str == nil ? 0 : Int(reply.len))
    switch reply.type {
    case REDIS_REPLY_STRING:
      guard bytes.count <= limitBytes else { throw .tooLarge }
      return .text([UInt8](bytes))
    case REDIS_REPLY_STATUS: return .status(String(decoding: bytes, as: UTF8.self))
    case REDIS_REPLY_ERROR: return .error(String(decoding: bytes.prefix(500), as: UTF8.self))
    case REDIS_REPLY_INTEGER: return .number(Int(reply.integer))
    case REDIS_REPLY_NIL: return .null
    case let type: throw .garbage("a reply of type \(type)")
    }
  }

  private func wait(for events: Int32, until deadline: Int) throws(Failure) {
    switch interruption.wait(context.pointee.fd, for: events, until: deadline) {
    case .ready: return
    case .timedOut: throw .timedOut
    case .interrupted: throw .interrupted
    }
  }

  private var words: String {
    let text = withUnsafeBytes(of: context.pointee.errstr) { bytes in
      String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
    }
    return text.isEmpty ? String(cString: strerror(errno)) : text
  }
}
