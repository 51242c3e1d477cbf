import NexusService

/// Makes origins of configurations.
public enum Origins {
  /// An origin whose writes are made later than they are acknowledged: for closures, which no configuration names.
  ///
  /// - Parameter limits: those of the origin itself.
  public static func writingBehind(
    _ origin: any Origin, _ settings: WriteBehindSettings = WriteBehindSettings(),
    limits: OriginLimits = OriginLimits(), log: any Log
  ) -> any Origin {
    WriteBehindOrigin(origin, settings, limits: limits, log: log)
  }

  /// May block for about the configured timeout: it opens files and looks at statements, so that what cannot work is
  /// refused here.
  ///
  /// - Parameter log: hears of an origin that cannot be reached yet, and of acknowledged writes that are lost.
  public static func make(
    _ configuration: OriginConfiguration, log: any Log
  ) throws(OriginConfigurationError) -> any Origin {
    let origin = try makeDirect(configuration, log: log)
    guard let settings = configuration.writeBehind else { return origin }
    return WriteBehindOrigin(origin, settings, limits: configuration.limits, log: log)
  }

  private static func makeDirect(
    _ configuration: OriginConfiguration, log: any Log
  ) throws(OriginConfigurationError) -> any Origin {
    let name = configuration.name, limits = configuration.limits
    switch configuration.source {
    case .sqlite(let source):
      try SQLiteConnection.check(source, timeoutMilliseconds: limits.timeoutMilliseconds)
      return PooledOrigin(name: name, limits: limits, canStore: source.statements != nil) { interruption in
        SQLiteConnection(source, name: name, valueLimitBytes: limits.valueLimitBytes, interruption)
      }
    case .postgres(let source):
      // One that cannot be reached now may be there when it is needed: its statements are looked at then.
      let complaint = try PostgresConnection.check(
        source, name: name, timeoutMilliseconds: limits.timeoutMilliseconds)
      if let complaint {
        log.warning("an origin cannot be asked yet", ("reason", "\(OriginError(origin: name, complaint))"))
      }
      let canceller = PostgresCanceller()
      return PooledOrigin(name: name, limits: limits, canStore: source.statements != nil) { interruption in
        PostgresConnection(source, name: name, limits: limits, canceller: canceller, interruption)
      }
    case .http(let source):
      let state = HTTPOriginState(source)
      return PooledOrigin(name: name, limits: limits, canStore: source.takesWrites, batchLimit: 1) { interruption in
        HTTPConnection(source, name: name, valueLimitBytes: limits.valueLimitBytes, state: state, interruption)
      }
    case .redis(let source):
      return PooledOrigin(name: name, limits: limits, canStore: source.takesWrites) { interruption in
        RedisConnection(source, name: name, valueLimitBytes: limits.valueLimitBytes, interruption)
      }
    case .fixed(let table): return FixedOrigin(name: name, table)
    }
  }
}
