import NexusService

/// Makes origins of configurations.
public enum Origins {
  /// May block for about the configured timeout: it opens files and looks at statements, so that what cannot work is
  /// refused here.
  public static func make(_ configuration: OriginConfiguration) throws(OriginConfigurationError) -> any Origin {
    let name = configuration.name, limits = configuration.limits
    switch configuration.source {
    case .sqlite(let source):
      try SQLiteConnection.check(source, timeoutMilliseconds: limits.timeoutMilliseconds)
      return PooledOrigin(name: name, limits: limits, canStore: source.statements != nil) { interruption in
        SQLiteConnection(source, name: name, valueLimitBytes: limits.valueLimitBytes, interruption)
      }
    case .fixed(let table): return FixedOrigin(name: name, table)
    }
  }
}
