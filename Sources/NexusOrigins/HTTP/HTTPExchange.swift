import CCurl

/// What comes back for one request, as libcurl hands it over.
final class HTTPExchange {
  enum Cut {
    case head
    case body
    /// Of an answer whose status says everything.
    case rest
  }

  private static let longestHead = 64 << 10
  private static let longestRest = 64 << 10

  private let limitBytes: Int
  private(set) var status = 0
  /// By their names in lower case, in the order in which they came.
  private var fields: [(name: String, value: String)] = []
  private var headBytes = 0
  private var restBytes = 0
  private(set) var body: [UInt8] = []
  /// Why nothing more was taken.
  private(set) var cut: Cut?

  init(limitBytes: Int) { self.limitBytes = limitBytes }

  func values(of name: String) -> [String] { fields.filter { $0.name == name }.map(\.value) }

  /// One line of the head. False: nothing more is wanted.
  fileprivate func takeLine(_ bytes: UnsafeRawBufferPointer) -> Bool {
    headBytes += bytes.count
    guard headBytes <= Self.longestHead else {
      cut = .head
      return false
    }
    let line = String(decoding: bytes, as: UTF8.self)
    if line.hasPrefix("HTTP/") {
      // The head of an interim answer (100, 103) is none of this one's.
      let words = line.split(separator: " ")
      status = words.count > 1 ? Int(words[1].prefix { $0.isNumber }) ?? 0 : 0
      fields = []
    } else if let colon = line.firstIndex(of: ":") {
      let value = line[line.index(after: colon)...].drop { $0 == " " || $0 == "\t" }
      let end = value.lastIndex { !$0.isWhitespace }.map { value.index(after: $0) } ?? value.startIndex
      fields.append((line[..<colon].lowercased(), String(value[..<end])))
    }
    return true
  }

  fileprivate func takeBody(_ bytes: UnsafeRawBufferPointer) -> Bool {
    guard status == 200 else {
      restBytes += bytes.count
      if restBytes > Self.longestRest { cut = .rest }
      return cut == nil
    }
    guard body.count + bytes.count <= limitBytes else {
      cut = .body
      body = []
      return false
    }
    body.append(contentsOf: bytes)
    return true
  }
}

/// Libcurl's callbacks; their context is an exchange that outlives the transfer.
enum HTTPCallbacks {
  typealias Callback = @convention(c) (UnsafeMutablePointer<CChar>?, Int, Int, UnsafeMutableRawPointer?) -> Int

  static let field: Callback = { bytes, size, count, context in
    exchange(context).takeLine(UnsafeRawBufferPointer(start: bytes, count: size * count)) ? size * count : 0
  }
  static let body: Callback = { bytes, size, count, context in
    let isTaken = exchange(context).takeBody(UnsafeRawBufferPointer(start: bytes, count: size * count))
    // Libcurl knows two numbers that are no count, and -1 is neither.
    return isTaken ? size * count : size * count == 0 ? 0 : size * count - 1
  }

  private static func exchange(_ context: UnsafeMutableRawPointer?) -> HTTPExchange {
    Unmanaged<HTTPExchange>.fromOpaque(context!).takeUnretainedValue()
  }
}
