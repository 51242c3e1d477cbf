/// A value of MessagePack, as far as Serf's RPC uses it (specification: "Formats").
///
/// Text and bytes are one case: agents write both as raw bytes, as MessagePack did before it told them apart.
indirect enum MessagePack: Equatable, Sendable {
  case null
  case bool(Bool)
  case integer(Int64)
  /// Above `Int64.max`.
  case large(UInt64)
  case real(Double)
  case raw([UInt8])
  case array([MessagePack])
  /// Keys that are no text are left out.
  case map([String: MessagePack])

  static func text(_ text: String) -> MessagePack { .raw(Array(text.utf8)) }

  var text: String? { if case .raw(let bytes) = self { String(validating: bytes, as: UTF8.self) } else { nil } }
  var bytes: [UInt8]? { if case .raw(let bytes) = self { bytes } else { nil } }
  var integer: Int64? { if case .integer(let value) = self { value } else { nil } }
  var array: [MessagePack]? { if case .array(let values) = self { values } else { nil } }
  var map: [String: MessagePack]? { if case .map(let values) = self { values } else { nil } }
}

// MARK: Writing

extension MessagePack {
  var encoded: [UInt8] {
    var out: [UInt8] = []
    encode(to: &out)
    return out
  }

  private func encode(to out: inout [UInt8]) {
    switch self {
    case .null: out.append(0xC0)
    case .bool(let value): out.append(value ? 0xC3 : 0xC2)
    case .integer(let value):
      if (0..<128).contains(value) {
        out.append(UInt8(value))
      } else {
        out.append(0xD3)
        Self.append(UInt64(bitPattern: value), 8, &out)
      }
    case .large(let value):
      out.append(0xCF)
      Self.append(value, 8, &out)
    case .real(let value):
      out.append(0xCB)
      Self.append(value.bitPattern, 8, &out)
    case .raw(let bytes):
      // No 8-bit length: older readers do not know it.
      Self.append(count: bytes.count, small: 0xA0, 32, medium: 0xDA, large: 0xDB, &out)
      out += bytes
    case .array(let values):
      Self.append(count: values.count, small: 0x90, 16, medium: 0xDC, large: 0xDD, &out)
      for value in values { value.encode(to: &out) }
    case .map(let values):
      Self.append(count: values.count, small: 0x80, 16, medium: 0xDE, large: 0xDF, &out)
      for (key, value) in values.sorted(by: { $0.key < $1.key }) {
        MessagePack.text(key).encode(to: &out)
        value.encode(to: &out)
      }
    }
  }

  private static func append(
    count: Int, small: UInt8, _ limit: Int, medium: UInt8, large: UInt8, _ out: inout [UInt8]
  ) {
    if count < limit {
      out.append(small | UInt8(count))
    } else if count < 1 << 16 {
      out.append(medium)
      append(UInt64(count), 2, &out)
    } else {
      out.append(large)
      append(UInt64(count), 4, &out)
    }
  }

  private static func append(_ value: UInt64, _ byteCount: Int, _ out: inout [UInt8]) {
    for shift in stride(from: (byteCount - 1) * 8, through: 0, by: -8) {
      out.append(UInt8(truncatingIfNeeded: value >> shift))
    }
  }
}

// MARK: Reading

/// Reads values from the front of bytes that may not have arrived in full.
struct MessagePackReader {
  enum Failure: Error, Equatable {
    /// The bytes end within the value: more must arrive.
    case incomplete
    case invalid
    /// Deeper than `depthLimit`.
    case tooDeep
  }

  static let depthLimit = 16

  private let bytes: [UInt8]
  /// Of the next byte.
  private(set) var offset: Int

  init(_ bytes: [UInt8], from offset: Int = 0) {
    self.bytes = bytes
    self.offset = offset
  }

  var isAtEnd: Bool { offset == bytes.count }

  mutating func value(depth: Int = 0) throws(Failure) -> MessagePack {
    guard depth < Self.depthLimit else { throw .tooDeep }
    let head = UInt8(try number(1))
    switch head {
    case 0x00...0x7F: return .integer(Int64(head))
    case 0x80...0x8F: return try map(Int(head & 15), depth)
    case 0x90...0x9F: return try array(Int(head & 15), depth)
    case 0xA0...0xBF: return .raw(try raw(Int(head & 31)))
    case 0xE0...0xFF: return .integer(Int64(Int8(bitPattern: head)))
    case 0xC0: return .null
    case 0xC2, 0xC3: return .bool(head == 0xC3)
    // Bytes and text, with a length of 1, 2 or 4 bytes.
    case 0xC4...0xC6: return .raw(try raw(Int(try number(1 << Int(head - 0xC4)))))
    case 0xD9...0xDB: return .raw(try raw(Int(try number(1 << Int(head - 0xD9)))))
    case 0xCA: return .real(Double(Float(bitPattern: UInt32(try number(4)))))
    case 0xCB: return .real(Double(bitPattern: try number(8)))
    case 0xCC...0xCF:
      let value = try number(1 << Int(head - 0xCC))
      return Int64(exactly: value).map { .integer($0) } ?? .large(value)
    case 0xD0: return .integer(Int64(Int8(truncatingIfNeeded: try number(1))))
    case 0xD1: return .integer(Int64(Int16(truncatingIfNeeded: try number(2))))
    case 0xD2: return .integer(Int64(Int32(truncatingIfNeeded: try number(4))))
    case 0xD3: return .integer(Int64(bitPattern: try number(8)))
    case 0xDC, 0xDD: return try array(Int(try number(head == 0xDC ? 2 : 4)), depth)
    case 0xDE, 0xDF: return try map(Int(try number(head == 0xDE ? 2 : 4)), depth)
    // Extensions: a type, then bytes. None is used; what they hold is kept as bytes.
    case 0xD4...0xD8: return .raw(try tagged(1 << Int(head - 0xD4)))
    case 0xC7...0xC9: return .raw(try tagged(Int(try number(1 << Int(head - 0xC7)))))
    default: throw .invalid
    }
  }

  private mutating func number(_ byteCount: Int) throws(Failure) -> UInt64 {
    guard bytes.count - offset >= byteCount else { throw .incomplete }
    defer { offset += byteCount }
    return bytes[offset..<offset + byteCount].reduce(0) { $0 << 8 | UInt64($1) }
  }

  private mutating func raw(_ count: Int) throws(Failure) -> [UInt8] {
    guard bytes.count - offset >= count else { throw .incomplete }
    defer { offset += count }
    return Array(bytes[offset..<offset + count])
  }

  private mutating func tagged(_ count: Int) throws(Failure) -> [UInt8] {
    _ = try number(1)
    return try raw(count)
  }

  /// Grows with what is there, never with the count that is announced.
  private mutating func array(_ count: Int, _ depth: Int) throws(Failure) -> MessagePack {
    var values: [MessagePack] = []
    for _ in 0..<count { values.append(try value(depth: depth + 1)) }
    return .array(values)
  }

  private mutating func map(_ count: Int, _ depth: Int) throws(Failure) -> MessagePack {
    var values: [String: MessagePack] = [:]
    for _ in 0..<count {
      let key = try value(depth: depth + 1)
      let element = try value(depth: depth + 1)
      if let name = key.text { values[name] = element }
    }
    return .map(values)
  }
}
