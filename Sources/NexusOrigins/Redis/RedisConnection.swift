import NexusService

/// An origin's connection to a Redis server. It is made when it is first used.
final class RedisConnection: OriginConnection {
  private let source: RedisSource
  private let name: String
  private let valueLimitBytes: Int
  private let interruption: DescriptorInterruption
  private var client: RedisClient?

  init(_ source: RedisSource, name: String, valueLimitBytes: Int, _ interruption: DescriptorInterruption) {
    self.source = source
    self.name = name
    self.valueLimitBytes = valueLimitBytes
    self.interruption = interruption
  }

  private enum Refusal: Error {
    case cause(OriginError.Cause)
    case client(RedisClient.Failure)

    var mayHaveBeenSent: Bool {
      switch self {
      case .cause, .client(.notConnected): false
      case .client: true
      }
    }

    func cause(_ milliseconds: Int, _ limitBytes: Int) -> OriginError.Cause {
      switch self {
      case .cause(let cause): cause
      case .client(.interrupted), .client(.timedOut): .timedOut(milliseconds: max(0, milliseconds))
      case .client(.notConnected(let words)): .unreachable(words)
      case .client(.brokenOff(let words)): .unreachable("the connection broke: \(words)")
      case .client(.garbage(let words)): .garbage(words)
      case .client(.tooLarge): .tooLarge(limitBytes: limitBytes)
      }
    }
  }

  func load(_ request: OriginRequest, until deadline: Int) -> OriginAnswer {
    let began = monotonicMilliseconds()
    do throws(Refusal) {
      // In this order: a value that expires between the two has no time left, not for ever.
      let replies = try run([["GET", request.key], ["PTTL", request.key]], until: deadline)
      switch (replies[0], replies[1]) {
      case (.null, _): return .absent(.unspecified)
      case (.text(let bytes), .number(let milliseconds)):
        // -1: for ever. -2: it has gone since.
        let left = milliseconds == -1 ? nil : max(0, milliseconds)
        return .value(OriginValue(bytes, OriginFreshness(timeToLiveMilliseconds: left)))
      case (.error(let words), _), (_, .error(let words)): throw .cause(Self.cause(ofError: words))
      default:
        throw .cause(.garbage("GET and PTTL answered with \(Self.kind(replies[0])) and \(Self.kind(replies[1]))"))
      }
    } catch {
      return .failure(OriginError(origin: name, error.cause(deadline - began, valueLimitBytes)))
    }
  }

  func store(_ writes: [OriginWrite], until deadline: Int) -> [Result<Void, OriginError>] {
    let began = monotonicMilliseconds()
    do throws(Refusal) {
      return try run(writes.map(Self.command), until: deadline).map { reply in
        switch reply {
        case .status, .number: .success(())
        case .error(let words): .failure(OriginError(origin: name, Self.cause(ofError: words)))
        default: .failure(OriginError(origin: name, .garbage("a write was answered with \(Self.kind(reply))")))
        }
      }
    } catch {
      var cause = error.cause(deadline - began, valueLimitBytes)
      if error.mayHaveBeenSent { cause = .outcomeUnknown(OriginError(origin: name, cause).description) }
      return writes.map { _ in .failure(OriginError(origin: name, cause)) }
    }
  }

  private static func command(_ write: OriginWrite) -> [Argument] {
    guard let value = write.value else { return ["DEL", write.key] }
    guard let milliseconds = write.timeToLiveMilliseconds else { return ["SET", write.key, value] }
    return ["SET", write.key, value, "PX", "\(max(1, milliseconds))"]
  }

  /// A word of a command, or bytes.
  private typealias Argument = any CommandArgument

  private func run(_ commands: [[Argument]], until deadline: Int) throws(Refusal) -> [RedisClient.Reply] {
    let client = try connected(until: deadline)
    do throws(RedisClient.Failure) {
      return try client.run(commands.map { $0.map(\.bytes) }, until: deadline)
    } catch {
      // Its replies would no longer be those of the next commands.
      self.client = nil
      throw .client(error)
    }
  }

  private func connected(until deadline: Int) throws(Refusal) -> RedisClient {
    if let client { return client }
    var greetings: [[Argument]] = []
    if let password = source.server.password {
      let user = source.server.user ?? ""
      greetings.append(user.isEmpty ? ["AUTH", password] : ["AUTH", user, password])
    }
    if source.database != 0 { greetings.append(["SELECT", "\(source.database)"]) }
    let made: RedisClient
    let replies: [RedisClient.Reply]
    do throws(RedisClient.Failure) {
      made = try RedisClient(to: source.server, limitBytes: valueLimitBytes, interruption, until: deadline)
      replies = try made.run(greetings.map { $0.map(\.bytes) }, until: deadline)
    } catch {
      // No command of the caller's was sent.
      switch error {
      case .brokenOff(let words): throw .client(.notConnected(words))
      case .timedOut: throw .client(.notConnected("no greeting in time"))
      case .garbage, .tooLarge: throw .cause(.garbage("its greeting is none of a Redis server"))
      case .notConnected, .interrupted: throw .client(error)
      }
    }
    for case .error(let words) in replies { throw .cause(Self.cause(ofError: words)) }
    client = made
    return made
  }

  /// Redis says with the first word of an error what kind it is.
  private static func cause(ofError words: String) -> OriginError.Cause {
    switch words.prefix(while: { $0 != " " }) {
    case "WRONGTYPE": .wrongType(words)
    case "LOADING", "MASTERDOWN", "CLUSTERDOWN", "TRYAGAIN", "BUSY": .unreachable(words)
    case "MOVED", "ASK": .rejected("\(words) (it is a member of a Redis Cluster: name a server that has all keys)")
    default: .rejected(words)
    }
  }

  private static func kind(_ reply: RedisClient.Reply) -> String {
    switch reply {
    case .text: "a string"
    case .status(let text): "'\(text.prefix(50))'"
    case .number(let number): "the number \(number)"
    case .null: "nothing"
    case .error(let words): "the error '\(words.prefix(50))'"
    }
  }
}

private protocol CommandArgument { var bytes: [UInt8] { get } }
extension String: CommandArgument { fileprivate var bytes: [UInt8] { Array(utf8) } }
extension [UInt8]: CommandArgument { fileprivate var bytes: [UInt8] { self } }
