import Glibc

/// A type whose values a namespace holds: it says which bytes stand for a value. `String` and `[UInt8]` are such types.
///
/// A type of your own needs two members:
///
/// ```swift
/// struct Score: CacheValue {
///   var points: Int
///   init(points: Int) { self.points = points }
///   init?(cacheBytes: UnsafeRawBufferPointer) {
///     guard let points = Int(String(decoding: cacheBytes, as: UTF8.self)) else { return nil }
///     self.init(points: points)
///   }
///   func withCacheBytes<Result>(_ body: (UnsafeRawBufferPointer) -> Result) -> Result {
///     Array(String(points).utf8).withUnsafeBytes(body)
///   }
/// }
/// ```
public protocol CacheValue: Sendable {
  /// The value that these bytes stand for, or nil if they stand for none. They are valid during the call only.
  init?(cacheBytes: UnsafeRawBufferPointer)
  /// The same of bytes that the value may keep. Need not be implemented.
  init?(cacheBytes: [UInt8])
  /// Hands the bytes that stand for the value to `body`.
  func withCacheBytes<Result>(_ body: (UnsafeRawBufferPointer) -> Result) -> Result
}

extension CacheValue {
  @inlinable public init?(cacheBytes: [UInt8]) {
    guard let value = cacheBytes.withUnsafeBytes({ Self(cacheBytes: $0) }) else { return nil }
    self = value
  }

  var cacheBytes: [UInt8] { withCacheBytes { Array($0) } }
}

extension [UInt8]: CacheValue {
  @inlinable public init?(cacheBytes: UnsafeRawBufferPointer) { self.init(cacheBytes) }
  @inlinable public init?(cacheBytes: [UInt8]) { self = cacheBytes }
  @inlinable public func withCacheBytes<Result>(_ body: (UnsafeRawBufferPointer) -> Result) -> Result {
    withUnsafeBytes(body)
  }
}

/// As UTF-8; bytes that are none stand for no value.
extension String: CacheValue {
  @inlinable public init?(cacheBytes: UnsafeRawBufferPointer) {
    self.init(decoding: cacheBytes, as: UTF8.self)
    // What was no UTF-8 has been repaired, and looks different. In place of validating first: that costs twice as much.
    guard isEqual(cacheBytes) else { return nil }
  }
  @inlinable func isEqual(_ bytes: UnsafeRawBufferPointer) -> Bool {
    var text = self
    return text.withUTF8 {
      $0.count == bytes.count && ($0.isEmpty || memcmp($0.baseAddress!, bytes.baseAddress!, $0.count) == 0)
    }
  }

  @inlinable public func withCacheBytes<Result>(_ body: (UnsafeRawBufferPointer) -> Result) -> Result {
    var text = self
    return text.withUTF8 { body(UnsafeRawBufferPointer($0)) }
  }
}
