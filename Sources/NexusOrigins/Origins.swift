import NexusService

/// Makes origins of configurations.
public enum Origins {
  /// May block for about the configured timeout: it opens files and looks at statements, so that what cannot work is
  /// refused here.
  public static func make(
    _ configuration: OriginConfiguration, log: any Log = SilentLog()
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
      return PooledOrigin(name: name, limits: limits, canStore: source.takesWrites) { interruption in
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
