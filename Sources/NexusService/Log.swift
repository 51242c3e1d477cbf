/// The port through which everything above the cores says what happened.
public protocol Log: Sendable {
  func write(_ level: LogLevel, _ message: String, _ fields: [(String, String)])
  var minimum: LogLevel { get }
}

public enum LogLevel: String, CaseIterable, Sendable, Comparable {
  case debug, info, warning, error

  private var rank: Int { Self.allCases.firstIndex(of: self)! }
  public static func < (left: LogLevel, right: LogLevel) -> Bool { left.rank < right.rank }
}

extension Log {
  public func debug(_ message: String, _ fields: (String, String)...) { emit(.debug, message, fields) }
  public func info(_ message: String, _ fields: (String, String)...) { emit(.info, message, fields) }
  public func warning(_ message: String, _ fields: (String, String)...) { emit(.warning, message, fields) }
  public func error(_ message: String, _ fields: (String, String)...) { emit(.error, message, fields) }

  private func emit(_ level: LogLevel, _ message: String, _ fields: [(String, String)]) {
    if level >= minimum { write(level, message, fields) }
  }
}

/// Says nothing: for tests and for programs that embed a node quietly.
public struct SilentLog: Log {
  public init() {}
  public var minimum: LogLevel { .error }
  public func write(_ level: LogLevel, _ message: String, _ fields: [(String, String)]) {}
}
