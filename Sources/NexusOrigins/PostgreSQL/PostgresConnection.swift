import CPostgres
import NexusService

/// An origin's connection to a PostgreSQL server. It is made when it is first used, and anew after it broke.
final class PostgresConnection: OriginConnection {
  private let source: PostgresSource
  private let name: String
  private let limits: OriginLimits
  private let interruption: DescriptorInterruption
  private let canceller: PostgresCanceller
  private var session: PostgresSession?
  /// Statements that cannot work are not looked at again before this time.
  private var refused: (sentence: String, until: Int)?

  init(
    _ source: PostgresSource, name: String, limits: OriginLimits, canceller: PostgresCanceller,
    _ interruption: DescriptorInterruption
  ) {
    self.source = source
    self.name = name
    self.limits = limits
    self.canceller = canceller
    self.interruption = interruption
  }

  /// Looks at the statements, where the server can be reached now. Nil: it cannot, for this reason.
  static func check(
    _ source: PostgresSource, name: String, timeoutMilliseconds: Int
  ) throws(OriginConfigurationError) -> OriginError.Cause? {
    do throws(PostgresSession.Refusal) {
      _ = try PostgresSession(
        source, PostgresCanceller(), nil, timeoutMilliseconds: timeoutMilliseconds,
        until: monotonicMilliseconds() + timeoutMilliseconds)
      return nil
    } catch {
      switch error {
      case .configuration(let sentence): throw OriginConfigurationError("the origin \(name): \(sentence)")
      case .client(let failure): return failure.cause(timeoutMilliseconds, 0)
      }
    }
  }

  func load(_ request: OriginRequest, until deadline: Int) -> OriginAnswer {
    let began = monotonicMilliseconds()
    do throws(PostgresSession.Refusal) {
      let session = try connected(until: deadline)
      // No row can have a key that its column cannot hold.
      guard let key = session.query.parameters[0].parameter(request.key) else { return .absent(.unspecified) }
      let row: PostgresClient.Row
      do throws(PostgresClient.Failure) {
        row = try session.client.firstRow(
          of: session.query.statement, [key], isBinary: session.query.givesBytes, limitBytes: limits.valueLimitBytes,
          until: deadline)
      } catch {
        throw .client(error)
      }
      switch row {
      case .none, .null: return .absent(.unspecified)
      case .value(let bytes): return .value(OriginValue(bytes))
      case .columns(let count):
        return .failure(OriginError(origin: name, .wrongType("the query gives \(count) columns by now, not 1")))
      }
    } catch {
      return .failure(OriginError(origin: name, cause(error, deadline - began)))
    }
  }

  func store(_ writes: [OriginWrite], until deadline: Int) -> [Result<Void, OriginError>] {
    if writes.count > 1, let result = storeTogether(writes, until: deadline) { return result }
    // One by one, so that a write that is refused does not keep the others from being made.
    return writes.map { write in
      let began = monotonicMilliseconds()
      do throws(PostgresSession.Refusal) {
        try connected(until: deadline).make(write, until: deadline)
        return .success(())
      } catch {
        return .failure(OriginError(origin: name, storeCause(error, deadline - began)))
      }
    }
  }

  /// In one transaction. Nil: none of them was made.
  private func storeTogether(_ writes: [OriginWrite], until deadline: Int) -> [Result<Void, OriginError>]? {
    let began = monotonicMilliseconds()
    guard let session = try? connected(until: deadline) else { return nil }
    do throws(PostgresSession.Refusal) {
      try session.execute("BEGIN", until: deadline)
      for write in writes { try session.make(write, until: deadline) }
    } catch {
      _ = cause(error, 0)
      // With the connection the transaction goes too.
      if (try? self.session?.execute("ROLLBACK", until: deadline)) == nil { self.session = nil }
      return nil
    }
    do throws(PostgresSession.Refusal) {
      try session.execute("COMMIT", until: deadline)
      return writes.map { _ in .success(()) }
    } catch {
      if case .client(.server) = error { return nil }
      let cause = storeCause(error, deadline - began)
      return writes.map { _ in .failure(OriginError(origin: name, cause)) }
    }
  }

  private func connected(until deadline: Int) throws(PostgresSession.Refusal) -> PostgresSession {
    if let session { return session }
    if let refused, monotonicMilliseconds() < refused.until { throw .configuration(refused.sentence) }
    do throws(PostgresSession.Refusal) {
      let made = try PostgresSession(
        source, canceller, interruption, timeoutMilliseconds: limits.timeoutMilliseconds, until: deadline)
      session = made
      return made
    } catch {
      if case .configuration(let sentence) = error { refused = (sentence, monotonicMilliseconds() + 1000) }
      throw error
    }
  }

  /// What a failure means; a session that is of no more use is dropped.
  private func cause(_ refusal: PostgresSession.Refusal, _ milliseconds: Int) -> OriginError.Cause {
    switch refusal {
    case .configuration(let sentence):
      session = nil
      return .rejected(sentence)
    case .client(let failure):
      if !failure.leavesSessionUsable { session = nil }
      return failure.cause(max(0, milliseconds), limits.valueLimitBytes)
    }
  }

  private func storeCause(_ refusal: PostgresSession.Refusal, _ milliseconds: Int) -> OriginError.Cause {
    let isUnknown = if case .client(let failure) = refusal { failure.mayHaveBeenSent } else { false }
    let cause = cause(refusal, milliseconds)
    return isUnknown ? .outcomeUnknown(OriginError(origin: name, cause).description) : cause
  }
}

extension PostgresClient.Failure {
  var mayHaveBeenSent: Bool {
    switch self {
    case .interrupted, .timedOut, .brokenOff, .tooLarge: true
    case .notConnected, .server: false
    }
  }

  /// The server has answered in full, with an error about this statement and these values alone.
  var leavesSessionUsable: Bool {
    guard case .server(let state, _) = self else { return false }
    return !Self.isOfConnection(state) && !Self.isOfPreparation(state)
  }

  /// Connection lost, shutting down, starting up, too many connections (SQLSTATE classes 08, 53 and 57P).
  private static func isOfConnection(_ state: String) -> Bool {
    state.hasPrefix("08") || state.hasPrefix("53") || state.hasPrefix("57P")
  }

  /// The prepared statement is gone, or its table has changed: preparing it again helps.
  private static func isOfPreparation(_ state: String) -> Bool { state == "26000" || state == "0A000" }

  func cause(_ milliseconds: Int, _ limitBytes: Int) -> OriginError.Cause {
    switch self {
    case .interrupted, .timedOut: .timedOut(milliseconds: milliseconds)
    case .notConnected(let words): .unreachable(words)
    case .brokenOff(let words): .unreachable("the connection broke: \(words)")
    case .tooLarge: .tooLarge(limitBytes: limitBytes)
    // The server's own statement_timeout, or somebody else's cancel.
    case .server("57014", _): .timedOut(milliseconds: milliseconds)
    case .server(let state, let words) where Self.isOfConnection(state) || Self.isOfPreparation(state):
      .unreachable("\(words) (SQLSTATE \(state))")
    case .server(let state, let words): .rejected("\(words) (SQLSTATE \(state))")
    }
  }
}
