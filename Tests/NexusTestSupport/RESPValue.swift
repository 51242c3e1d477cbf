/// A reply of the Redis protocol, RESP2 or RESP3, as it came over the wire.
public enum RESPValue: Hashable, Sendable {
  case simple([UInt8])
  case error([UInt8])
  case integer(Int64)
  case bulk([UInt8])
  /// `$-1`
  case nullBulk
  /// `*-1`
  case nullArray
  case array([RESPValue])
  // RESP3 from here on.
  case null
  case double([UInt8])
  case boolean(Bool)
  case bigNumber([UInt8])
  case verbatim([UInt8])
  /// Keys and values in turn.
  case map([RESPValue])
  case set([RESPValue])
  case push([RESPValue])

  public static func text(_ text: String) -> RESPValue { .bulk(Array(text.utf8)) }
  public static var ok: RESPValue { .simple(Array("OK".utf8)) }

  /// The bytes of a string-like reply.
  public var bytes: [UInt8]? {
    switch self {
    case .simple(let bytes), .error(let bytes), .bulk(let bytes), .double(let bytes), .bigNumber(let bytes): bytes
    case .verbatim(let bytes): Array(bytes.dropFirst(4))
    default: nil
    }
  }
  public var string: String? { bytes.map { String(decoding: $0, as: UTF8.self) } }

  public var number: Int64? {
    if case .integer(let number) = self { return number }
    return string.flatMap { Int64($0) }
  }

  public var isError: Bool {
    if case .error = self { return true }
    return false
  }

  /// What is inside an array, set, push or map (there keys and values in turn).
  public var elements: [RESPValue]? {
    switch self {
    case .array(let elements), .set(let elements), .push(let elements), .map(let elements): elements
    default: nil
    }
  }

  /// The value of a key in a map, or in an array of keys and values in turn.
  public subscript(_ key: String) -> RESPValue? {
    guard let elements else { return nil }
    for index in stride(from: 0, to: elements.count - 1, by: 2) where elements[index].string == key {
      return elements[index + 1]
    }
    return nil
  }

  public subscript(_ index: Int) -> RESPValue? {
    guard let elements, elements.indices.contains(index) else { return nil }
    return elements[index]
  }
}

extension RESPValue: CustomStringConvertible {
  public var description: String { lines(indent: "").joined(separator: "\n") }

  private func lines(indent: String) -> [String] {
    switch self {
    case .simple(let bytes): ["\(indent)+\(quoted(bytes))"]
    case .error(let bytes): ["\(indent)-\(quoted(bytes))"]
    case .integer(let number): ["\(indent):\(number)"]
    case .bulk(let bytes): ["\(indent)$\(quoted(bytes))"]
    case .nullBulk: ["\(indent)$-1"]
    case .nullArray: ["\(indent)*-1"]
    case .null: ["\(indent)_"]
    case .double(let bytes): ["\(indent),\(quoted(bytes))"]
    case .boolean(let value): ["\(indent)#\(value)"]
    case .bigNumber(let bytes): ["\(indent)(\(quoted(bytes))"]
    case .verbatim(let bytes): ["\(indent)=\(quoted(bytes))"]
    case .array(let elements): nested("*", elements, indent)
    case .map(let elements): nested("%", elements, indent)
    case .set(let elements): nested("~", elements, indent)
    case .push(let elements): nested(">", elements, indent)
    }
  }

  private func nested(_ mark: String, _ elements: [RESPValue], _ indent: String) -> [String] {
    ["\(indent)\(mark)\(elements.count)"] + elements.flatMap { $0.lines(indent: indent + "  ") }
  }
}

/// Bytes as redis-cli writes and reads them: plain where that is possible, otherwise in quotes with escapes.
public func quoted(_ bytes: [UInt8]) -> String {
  let plain = !bytes.isEmpty && bytes.allSatisfy { $0 > 32 && $0 < 127 && $0 != 34 && $0 != 39 && $0 != 92 }
  if plain { return String(decoding: bytes, as: UTF8.self) }
  var text = "\""
  for byte in bytes.prefix(200) {
    switch byte {
    case 34, 92: text += "\\" + String(UnicodeScalar(byte))
    case 32..<127: text += String(UnicodeScalar(byte))
    default: text += "\\x" + (byte < 16 ? "0" : "") + String(byte, radix: 16)
    }
  }
  return text + "\"" + (bytes.count > 200 ? "...(\(bytes.count) bytes)" : "")
}
