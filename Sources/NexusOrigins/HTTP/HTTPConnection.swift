import Glibc
import NexusModel
import NexusService

/// What the connections of one HTTP origin share.
final class HTTPOriginState: Sendable {
  let tags: Guarded<EntityTags>
  init(_ source: HTTPSource) { tags = Guarded(EntityTags(capacity: source.entityTags)) }
}

/// An origin's connection to an HTTP server.
final class HTTPConnection: OriginConnection {
  private let source: HTTPSource
  private let name: String
  private let valueLimitBytes: Int
  private let state: HTTPOriginState
  private let client: HTTPClient?

  init(
    _ source: HTTPSource, name: String, valueLimitBytes: Int, state: HTTPOriginState,
    _ interruption: DescriptorInterruption
  ) {
    self.source = source
    self.name = name
    self.valueLimitBytes = valueLimitBytes
    self.state = state
    client = HTTPClient(interruption)
  }

  // MARK: Loading

  func load(_ request: OriginRequest, until deadline: Int) -> OriginAnswer {
    let began = monotonicMilliseconds()
    // Without a value at hand, an answer of "not modified" would be of no use.
    let tag = request.held.flatMap { held in state.tags.withLock { $0.tag(of: request.key, with: held) } }
    do throws(Refusal) {
      let exchange = try get(request.key, tag, until: deadline)
      let freshness = Self.freshness(exchange)
      switch exchange.status {
      case 200:
        remember(exchange.values(of: "etag").first, request.key, exchange.body, freshness)
        return .value(OriginValue(exchange.body, freshness))
      case 304 where tag != nil: return .unchanged(freshness)
      case 304: throw .cause(.garbage("HTTP status 304 without having been asked whether anything changed"))
      case 404, 410:
        state.tags.withLock { $0.forget(request.key) }
        return .absent(freshness)
      case let status: throw .cause(.wrongStatus(status))
      }
    } catch {
      return .failure(OriginError(origin: name, error.cause(deadline - began, valueLimitBytes)))
    }
  }

  /// Follows redirects. What is secret goes to the configured server only.
  private func get(_ key: [UInt8], _ tag: String?, until deadline: Int) throws(Refusal) -> HTTPExchange {
    var request = try self.request(key)
    if let tag { request.fields.append("If-None-Match: \(tag)") }
    let own = request
    for _ in 0...source.redirects {
      let exchange = try exchanged(request, until: deadline)
      guard [301, 302, 303, 307, 308].contains(exchange.status), let next = client?.redirect else { return exchange }
      request = own
      // Libcurl puts ours into a relative one.
      request.url = Authority.withoutCredentials(next)
      if !source.template.isSameSite(request.url) {
        request.credentials = nil
        request.fields = []
      }
    }
    throw .cause(.rejected("it redirects more than \(source.redirects) times, at last to \(request.url.prefix(200))"))
  }

  private static func freshness(_ exchange: HTTPExchange) -> OriginFreshness {
    CacheControl(fields: exchange.values(of: "cache-control")).freshness(
      age: exchange.values(of: "age").first, expires: exchange.values(of: "expires").first,
      date: exchange.values(of: "date").first, now: time(nil))
  }

  private func remember(_ tag: String?, _ key: [UInt8], _ value: [UInt8], _ freshness: OriginFreshness) {
    state.tags.withLock { tags in
      if let tag, !freshness.neverStore {
        tags.remember(tag, of: key, with: ValueDigest(value))
      } else {
        tags.forget(key)
      }
    }
  }

  // MARK: Storing

  func store(_ writes: [OriginWrite], until deadline: Int) -> [Result<Void, OriginError>] {
    writes.map { write in
      let began = monotonicMilliseconds()
      do throws(Refusal) {
        try put(write, until: deadline)
        return .success(())
      } catch {
        var cause = error.cause(deadline - began, valueLimitBytes)
        if error.mayHaveBeenSent { cause = .outcomeUnknown(OriginError(origin: name, cause).description) }
        return .failure(OriginError(origin: name, cause))
      }
    }
  }

  private func put(_ write: OriginWrite, until deadline: Int) throws(Refusal) {
    var request = try self.request(write.key)
    request.method = write.value == nil ? "DELETE" : "PUT"
    request.body = write.value ?? []
    if let milliseconds = write.timeToLiveMilliseconds {
      request.fields.append("Cache-Control: max-age=\(max(0, milliseconds / 1000))")
    }
    let exchange = try exchanged(request, until: deadline)
    state.tags.withLock { $0.forget(write.key) }
    switch (exchange.status, write.value) {
    case (200...204, _), (404, nil), (410, nil): return
    case (let status, _): throw .cause(.wrongStatus(status))
    }
  }

  // MARK: One exchange

  private enum Refusal: Error {
    case cause(OriginError.Cause)
    case client(HTTPClient.Failure)

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
      case .client(.brokenOff(let words)): .unreachable("the answer broke off: \(words)")
      case .client(.garbage(let words)): .garbage(words)
      case .client(.cut(.body)): .tooLarge(limitBytes: limitBytes)
      case .client(.cut): .garbage("its head is longer than 64 KB")
      }
    }
  }

  private func request(_ key: [UInt8]) throws(Refusal) -> HTTPClient.Request {
    switch source.template.url(for: key) {
    case .failure(let refusal): throw .cause(.unsuitableKey(refusal.reason))
    case .success(let url):
      return HTTPClient.Request(
        url: url, fields: source.fields, credentials: source.template.credentials, certificates: source.certificates,
        isSecure: source.template.scheme == .https)
    }
  }

  private func exchanged(_ request: HTTPClient.Request, until deadline: Int) throws(Refusal) -> HTTPExchange {
    guard let client else { throw .cause(.unreachable("libcurl could not be made ready")) }
    do throws(HTTPClient.Failure) {
      return try client.exchange(request, limitBytes: valueLimitBytes, until: deadline)
    } catch {
      throw .client(error)
    }
  }
}
