/// Why a request cannot be read on: the connection ends after the error has been sent.
public enum ProtocolError: Error, BitwiseCopyable, Equatable, Sendable {
  case invalidMultibulkLength
  case invalidBulkLength
  case expectedDollar(got: UInt8)
  case tooBigMultibulkCount
  case tooBigBulkCount
  case tooBigInline
  case unbalancedQuotes
  case unauthenticatedMultibulkLength
  case unauthenticatedBulkLength

  /// As Redis 7.0 says it, after `ERR Protocol error: `; the byte that stood for `$`, and a quote, follow.
  public var text: String {
    switch self {
    case .invalidMultibulkLength: "invalid multibulk length"
    case .invalidBulkLength: "invalid bulk length"
    case .expectedDollar: "expected '$', got '"
    case .tooBigMultibulkCount: "too big mbulk count string"
    case .tooBigBulkCount: "too big bulk count string"
    case .tooBigInline: "too big inline request"
    case .unbalancedQuotes: "unbalanced quotes in request"
    case .unauthenticatedMultibulkLength: "unauthenticated multibulk length"
    case .unauthenticatedBulkLength: "unauthenticated bulk length"
    }
  }
}

/// What one request may be at most.
public struct RequestLimits: BitwiseCopyable, Sendable {
  public var arguments: Int
  public var bulkBytes: Int
  /// Clients that still have to log in get less, so that strangers cannot fill memory.
  public var isAuthenticated: Bool

  /// A line without its end: inline requests and the length lines.
  @inlinable public static var lineBytes: Int { 64 * 1024 }
  @inlinable public static var unauthenticatedArguments: Int { 10 }
  @inlinable public static var unauthenticatedBulkBytes: Int { 16 * 1024 }

  public init(arguments: Int = 1_048_576, bulkBytes: Int = 512 << 20, isAuthenticated: Bool = true) {
    self.arguments = arguments
    self.bulkBytes = bulkBytes
    self.isAuthenticated = isAuthenticated
  }
}
