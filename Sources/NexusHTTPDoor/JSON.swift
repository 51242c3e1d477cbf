import NexusService

/// Why a text is not JSON, and where.
struct JSONFault: Error, Equatable {
  /// Bytes from the start of the text.
  let offset: Int
  let reason: Reason

  enum Reason: String {
    case endsEarly = "the text ends too early"
    case unexpectedByte = "this byte cannot stand here"
    case controlCharacter = "a control character inside a string must be escaped"
    case badEscape = "this escape is not one of JSON's"
    case loneSurrogate = "half of a surrogate pair stands alone"
    case badUTF8 = "the bytes are not UTF-8"
    case badNumber = "this is not a number as JSON writes it"
    case tooDeep = "values are nested deeper than 64"
    case trailing = "something follows the value"
  }
}

/// A JSON value found in a text: what it is and which bytes it spans (strings with their quotes).
struct JSONValue: BitwiseCopyable {
  enum Kind: UInt8, BitwiseCopyable {
    case string, number, object, array, boolean, null
  }
  let kind: Kind
  let start: Int
  let end: Int
  /// Strings only: true if decoding changes the bytes between the quotes.
  var hasEscapes = false
}

/// Reads JSON strictly as RFC 8259 has it, in place: nothing is built, values are spans of the text.
struct JSONReader {
  /// Arrays and objects inside one another. Bounds the recursion, and so the stack.
  static let depthLimit = 64

  let text: UnsafeRawBufferPointer
  private(set) var position = 0

  init(_ text: UnsafeRawBufferPointer) { self.text = text }

  mutating func skipWhitespace() {
    while position < text.count {
      switch text[position] {
      case 0x20, 0x0A, 0x0D, 0x09: position += 1
      default: return
      }
    }
  }

  /// Nothing but white space may be left.
  mutating func end() throws(JSONFault) {
    skipWhitespace()
    if position < text.count { throw fault(.trailing) }
  }

  /// The value that starts here, white space before it skipped.
  mutating func value(depth: Int = 0) throws(JSONFault) -> JSONValue {
    skipWhitespace()
    guard position < text.count else { throw fault(.endsEarly) }
    let start = position
    switch text[position] {
    case UInt8(ascii: "\""): return try string()
    case UInt8(ascii: "{"):
      try object(depth: depth)
      return JSONValue(kind: .object, start: start, end: position)
    case UInt8(ascii: "["):
      try array(depth: depth)
      return JSONValue(kind: .array, start: start, end: position)
    case UInt8(ascii: "t"):
      try word("true")
      return JSONValue(kind: .boolean, start: start, end: position)
    case UInt8(ascii: "f"):
      try word("false")
      return JSONValue(kind: .boolean, start: start, end: position)
    case UInt8(ascii: "n"):
      try word("null")
      return JSONValue(kind: .null, start: start, end: position)
    case UInt8(ascii: "-"), 0x30...0x39:
      try number()
      return JSONValue(kind: .number, start: start, end: position)
    default: throw fault(.unexpectedByte)
    }
  }

  /// Steps into the object that starts here. Then `member` until it answers nil.
  mutating func enterObject() throws(JSONFault) {
    skipWhitespace()
    try byte(UInt8(ascii: "{"))
  }

  /// The next member of the object that the reader is in: its name (a string) and its value; nil past its end.
  mutating func member(isFirst: Bool, depth: Int) throws(JSONFault) -> (name: JSONValue, value: JSONValue)? {
    if try closes(UInt8(ascii: "}")) { return nil }
    if !isFirst { try byte(UInt8(ascii: ",")) }
    skipWhitespace()
    guard position < text.count else { throw fault(.endsEarly) }
    guard text[position] == UInt8(ascii: "\"") else { throw fault(.unexpectedByte) }
    let name = try string()
    skipWhitespace()
    try byte(UInt8(ascii: ":"))
    return (name, try value(depth: depth + 1))
  }

  /// Steps into the array that starts here. Then `element` until it answers nil.
  mutating func enterArray() throws(JSONFault) {
    skipWhitespace()
    try byte(UInt8(ascii: "["))
  }

  /// The next element of the array that the reader is in; nil past its end.
  mutating func element(isFirst: Bool, depth: Int) throws(JSONFault) -> JSONValue? {
    if try closes(UInt8(ascii: "]")) { return nil }
    if !isFirst { try byte(UInt8(ascii: ",")) }
    return try value(depth: depth + 1)
  }

  private mutating func object(depth: Int) throws(JSONFault) {
    if depth >= Self.depthLimit { throw fault(.tooDeep) }
    try enterObject()
    var isFirst = true
    while try member(isFirst: isFirst, depth: depth) != nil { isFirst = false }
  }

  private mutating func array(depth: Int) throws(JSONFault) {
    if depth >= Self.depthLimit { throw fault(.tooDeep) }
    try enterArray()
    var isFirst = true
    while try element(isFirst: isFirst, depth: depth) != nil { isFirst = false }
  }

  /// Skips white space, and the closing byte if it is the next.
  private mutating func closes(_ closing: UInt8) throws(JSONFault) -> Bool {
    skipWhitespace()
    guard position < text.count else { throw fault(.endsEarly) }
    if text[position] != closing { return false }
    position += 1
    return true
  }

  private mutating func byte(_ expected: UInt8) throws(JSONFault) {
    guard position < text.count else { throw fault(.endsEarly) }
    guard text[position] == expected else { throw fault(.unexpectedByte) }
    position += 1
  }

  private mutating func word(_ word: StaticString) throws(JSONFault) {
    for index in 0..<word.utf8CodeUnitCount { try byte(word.utf8Start[index]) }
  }

  private mutating func number() throws(JSONFault) {
    if text[position] == UInt8(ascii: "-") { position += 1 }
    if position < text.count && text[position] == UInt8(ascii: "0") {
      position += 1
    } else {
      try digits()
    }
    if position < text.count && text[position] == UInt8(ascii: ".") {
      position += 1
      try digits()
    }
    if position < text.count && text[position] | 0x20 == UInt8(ascii: "e") {
      position += 1
      if position < text.count && (text[position] == UInt8(ascii: "+") || text[position] == UInt8(ascii: "-")) {
        position += 1
      }
      try digits()
    }
  }

  /// One digit or more.
  private mutating func digits() throws(JSONFault) {
    let start = position
    while position < text.count && text[position] &- 0x30 <= 9 { position += 1 }
    if position == start { throw fault(.badNumber) }
  }

  private mutating func string() throws(JSONFault) -> JSONValue {
    var found = JSONValue(kind: .string, start: position, end: 0)
    position += 1
    while true {
      position = JSONText.endOfPlainRun(text, from: position)
      guard position < text.count else { throw fault(.endsEarly) }
      switch text[position] {
      case UInt8(ascii: "\""):
        position += 1
        return JSONValue(kind: .string, start: found.start, end: position, hasEscapes: found.hasEscapes)
      case UInt8(ascii: "\\"):
        found.hasEscapes = true
        try escape()
      case 0x80...:
        let length = JSONText.lengthOfSequence(text, at: position)
        if length == 0 { throw fault(.badUTF8) }
        position += length
      default: throw fault(.controlCharacter)
      }
    }
  }

  /// An escape; a high surrogate takes its low one with it.
  private mutating func escape() throws(JSONFault) {
    guard position + 1 < text.count else { throw fault(.endsEarly) }
    switch text[position + 1] {
    case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"), UInt8(ascii: "b"), UInt8(ascii: "f"),
      UInt8(ascii: "n"), UInt8(ascii: "r"), UInt8(ascii: "t"):
      position += 2
    case UInt8(ascii: "u"):
      guard let unit = JSONText.codeUnit(text, at: position) else { throw fault(.badEscape) }
      if unit & 0xFC00 == 0xDC00 { throw fault(.loneSurrogate) }
      if unit & 0xFC00 == 0xD800 {
        guard let low = JSONText.codeUnit(text, at: position + 6), low & 0xFC00 == 0xDC00 else {
          throw fault(.loneSurrogate)
        }
        position += 6
      }
      position += 6
    default: throw fault(.badEscape)
    }
  }

  private func fault(_ reason: JSONFault.Reason) -> JSONFault { JSONFault(offset: position, reason: reason) }
}
