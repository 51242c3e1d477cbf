import Glibc

/// A request sequence from a file: one `<key>` or `<key> <size>` per line, keys numbered from 0 by first appearance,
/// each key with one size throughout.
public struct Trace: Sendable {
  /// The key of each request, in order.
  public private(set) var keys: [UInt32] = []
  /// Bytes of each key's value, where the file says; else empty.
  public private(set) var sizes: [Int] = []
  public private(set) var objectCount = 0

  public var hasSizes: Bool { !sizes.isEmpty }
  public var totalBytes: Int { sizes.reduce(0, +) }

  public enum Failure: Error, CustomStringConvertible {
    case unreadable(path: String, reason: String)
    case malformed(path: String, line: Int)

    public var description: String {
      switch self {
      case .unreadable(let path, let reason): "cannot read \(path): \(reason)"
      case .malformed(let path, let line): "\(path), line \(line): expected `<key>` or `<key> <size>` in decimal"
      }
    }
  }

  public init(path: String) throws(Failure) {
    guard let file = fopen(path, "r") else {
      throw .unreadable(path: path, reason: String(cString: strerror(errno)))
    }
    defer { fclose(file) }
    var line: UnsafeMutablePointer<CChar>?
    var capacity = 0
    defer { free(line) }
    var number = 0
    while getline(&line, &capacity, file) > 0, let text = line {
      number += 1
      var end: UnsafeMutablePointer<CChar>?
      let key = strtoull(text, &end, 10)
      guard let after = end, after > text, key < UInt64(UInt32.max) else { throw .malformed(path: path, line: number) }
      let size = strtoull(after, &end, 10)
      guard let rest = end, rest.pointee == 10 || rest.pointee == 13 || rest.pointee == 0 else {
        throw .malformed(path: path, line: number)
      }
      append(UInt32(key), size: rest > after ? Int(size) : nil)
    }
  }

  public init(keys: [UInt32], sizes: [Int] = []) {
    self.keys = keys
    self.sizes = sizes
    objectCount = keys.max().map { Int($0) + 1 } ?? 0
  }

  private mutating func append(_ key: UInt32, size: Int?) {
    keys.append(key)
    objectCount = max(objectCount, Int(key) + 1)
    guard let size else { return }
    while sizes.count < objectCount { sizes.append(0) }
    sizes[Int(key)] = size
  }
}
