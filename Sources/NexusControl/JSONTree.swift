/// A JSON text taken apart (RFC 8259): replies of nodes, of a size that fits memory many times over.
enum JSONTree: Equatable {
  case null
  case bool(Bool)
  case number(Double)
  case string(String)
  case array([JSONTree])
  /// In the text's order; of two members with one name the first counts.
  case object([(name: String, value: JSONTree)])

  static func == (left: JSONTree, right: JSONTree) -> Bool {
    switch (left, right) {
    case (.null, .null): true
    case (.bool(let one), .bool(let other)): one == other
    case (.number(let one), .number(let other)): one == other
    case (.string(let one), .string(let other)): one == other
    case (.array(let one), .array(let other)): one == other
    case (.object(let one), .object(let other)):
      one.map(\.name) == other.map(\.name) && one.map(\.value) == other.map(\.value)
    default: false
    }
  }

  subscript(_ name: String) -> JSONTree {
    guard case .object(let members) = self else { return .null }
    return members.first { $0.name == name }?.value ?? .null
  }
  var text: String? { if case .string(let text) = self { text } else { nil } }
  var int: Int? { if case .number(let number) = self { Int(exactly: number) } else { nil } }
  var bool: Bool? { if case .bool(let bool) = self { bool } else { nil } }
  var elements: [JSONTree] { if case .array(let elements) = self { elements } else { [] } }

  /// Nil if the text is not JSON, or nested deeper than 32.
  init?(_ text: [UInt8]) {
    var parser = Parser(text: text)
    guard let tree = parser.value(depth: 0) else { return nil }
    parser.skipSpace()
    guard parser.position == text.count else { return nil }
    self = tree
  }

  private struct Parser {
    let text: [UInt8]
    var position = 0

    private var next: UInt8? { position < text.count ? text[position] : nil }

    mutating func skipSpace() {
      while let byte = next, byte == 0x20 || byte == 0x0A || byte == 0x0D || byte == 0x09 { position += 1 }
    }

    private mutating func take(_ byte: Character) -> Bool {
      skipSpace()
      guard next == byte.asciiValue else { return false }
      position += 1
      return true
    }

    mutating func value(depth: Int) -> JSONTree? {
      skipSpace()
      guard depth < 32, let first = next else { return nil }
      switch first {
      case UInt8(ascii: "{"): return object(depth)
      case UInt8(ascii: "["): return array(depth)
      case UInt8(ascii: "\""): return string().map { .string($0) }
      case UInt8(ascii: "t"): return word("true", .bool(true))
      case UInt8(ascii: "f"): return word("false", .bool(false))
      case UInt8(ascii: "n"): return word("null", .null)
      default: return number()
      }
    }

    private mutating func object(_ depth: Int) -> JSONTree? {
      position += 1
      var members: [(name: String, value: JSONTree)] = []
      if take("}") { return .object(members) }
      repeat {
        skipSpace()
        guard next == UInt8(ascii: "\""), let name = string(), take(":"), let value = value(depth: depth + 1) else {
          return nil
        }
        members.append((name, value))
      } while take(",")
      return take("}") ? .object(members) : nil
    }

    private mutating func array(_ depth: Int) -> JSONTree? {
      position += 1
      var elements: [JSONTree] = []
      if take("]") { return .array(elements) }
      repeat {
        guard let element = value(depth: depth + 1) else { return nil }
        elements.append(element)
      } while take(",")
      return take("]") ? .array(elements) : nil
    }

    private mutating func word(_ word: String, _ meaning: JSONTree) -> JSONTree? {
      guard text[position...].starts(with: word.utf8) else { return nil }
      position += word.utf8.count
      return meaning
    }

    private mutating func number() -> JSONTree? {
      let start = position
      while let byte = next, "0123456789+-.eE".utf8.contains(byte) { position += 1 }
      return Double(String(decoding: text[start..<position], as: UTF8.self)).map { .number($0) }
    }

    private mutating func string() -> String? {
      position += 1
      var bytes: [UInt8] = []
      while let byte = next {
        position += 1
        switch byte {
        case UInt8(ascii: "\""): return String(decoding: bytes, as: UTF8.self)
        case UInt8(ascii: "\\"):
          guard let scalar = escape() else { return nil }
          bytes += Array(String(Character(scalar)).utf8)
        case 0..<0x20: return nil
        default: bytes.append(byte)
        }
      }
      return nil
    }

    private mutating func escape() -> Unicode.Scalar? {
      guard let byte = next else { return nil }
      position += 1
      switch byte {
      case UInt8(ascii: "n"): return "\n"
      case UInt8(ascii: "t"): return "\t"
      case UInt8(ascii: "r"): return "\r"
      case UInt8(ascii: "b"): return "\u{8}"
      case UInt8(ascii: "f"): return "\u{c}"
      case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): return Unicode.Scalar(byte)
      case UInt8(ascii: "u"):
        guard let high = unit() else { return nil }
        guard high & 0xFC00 == 0xD800 else { return Unicode.Scalar(high) }
        guard next == UInt8(ascii: "\\") else { return nil }
        position += 1
        guard next == UInt8(ascii: "u") else { return nil }
        position += 1
        guard let low = unit(), low & 0xFC00 == 0xDC00 else { return nil }
        return Unicode.Scalar(0x10000 + (high & 0x3FF) << 10 + low & 0x3FF)
      default: return nil
      }
    }

    private mutating func unit() -> UInt32? {
      guard position + 4 <= text.count else { return nil }
      let digits = text[position..<(position + 4)]
      guard digits.allSatisfy({ "0123456789abcdefABCDEF".utf8.contains($0) }) else { return nil }
      position += 4
      return UInt32(String(decoding: digits, as: UTF8.self), radix: 16)
    }
  }
}
