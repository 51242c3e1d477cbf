import NexusStore

/// What an HTTP request says before its body, as far as this door reads it. Borrows the bytes of the connection.
struct RequestHead {
  enum Method: UInt8 {
    case get, head, put, post, delete, other

    /// As the request line has it: upper case, ended by a 0.
    init(_ name: UnsafePointer<CChar>) {
      if Self.equal(name, "GET") {
        self = .get
      } else if Self.equal(name, "HEAD") {
        self = .head
      } else if Self.equal(name, "PUT") {
        self = .put
      } else if Self.equal(name, "POST") {
        self = .post
      } else if Self.equal(name, "DELETE") {
        self = .delete
      } else {
        self = .other
      }
    }

    /// Invariant: both end with a 0, so that the comparison runs past neither.
    private static func equal(_ name: UnsafePointer<CChar>, _ text: StaticString) -> Bool {
      for index in 0...text.utf8CodeUnitCount where UInt8(bitPattern: name[index]) != text.utf8Start[index] {
        return false
      }
      return true
    }
  }

  /// Of a query, by name.
  struct Parameters: OptionSet {
    let rawValue: UInt16
    static let namespace = Parameters(rawValue: 1 << 0)
    static let ttl = Parameters(rawValue: 1 << 1)
    static let ack = Parameters(rawValue: 1 << 2)
    static let key = Parameters(rawValue: 1 << 3)
    static let group = Parameters(rawValue: 1 << 4)
    static let prefix = Parameters(rawValue: 1 << 5)
    static let types = Parameters(rawValue: 1 << 6)
    static let tag = Parameters(rawValue: 1 << 7)
    static let tags = Parameters(rawValue: 1 << 8)
    static let unknown = Parameters(rawValue: 1 << 15)

    private static let names = ["namespace", "ttl", "ack", "key", "group", "prefix", "types", "tag", "tags"]
    /// `namespace, ttl and ack`
    var text: String {
      let names = Self.names.indices.filter { rawValue & 1 << UInt16($0) != 0 }.map { Self.names[$0] }
      return names.count < 2
        ? names.joined() : names.dropLast().joined(separator: ", ") + " and " + names[names.count - 1]
    }
  }

  var method: Method
  /// Before the `?`, as sent: still percent-encoded.
  var path: UnsafeRawBufferPointer
  /// The path's key as one of the default namespace, where it was prepared ahead: nothing in it is encoded.
  var preparedKey: Key?
  /// The query's wins over the header's. The former is percent-encoded.
  var namespace: UnsafeRawBufferPointer?
  var namespaceIsEncoded = false
  var ttl: UnsafeRawBufferPointer?
  var ttlIsEncoded = false
  /// How many copies a write shall have, as sent.
  var acknowledgement: UnsafeRawBufferPointer?
  /// What the query names beside these; percent-encoded.
  var key: UnsafeRawBufferPointer?
  var group: UnsafeRawBufferPointer?
  /// That whoever sends it knows the cluster's secret: the time in milliseconds, a colon, a keyed hash.
  var proof: UnsafeRawBufferPointer?
  /// Of events, percent-encoded.
  var types: UnsafeRawBufferPointer?
  /// Of the last event that the reader has.
  var lastEventID: UnsafeRawBufferPointer?
  var prefix: UnsafeRawBufferPointer?
  var tag: UnsafeRawBufferPointer?
  /// Of what is stored, separated by commas. The query wins; that is percent-encoded.
  var tags: UnsafeRawBufferPointer?
  var tagsAreEncoded = false
  /// All that the query has.
  var parameters: Parameters = []
  var acceptsBytes = false
  var sendsBytes = false
  /// Bytes; nil without a Content-Length header (no body, or a chunked one).
  var contentLength: Int?
  var authorization: UnsafeRawBufferPointer?
  /// Waits for "100 Continue" before it sends its body.
  var asksBeforeSending = false
  /// A page in a browser sends it.
  var hasOrigin = false

  init(method: Method, path: UnsafeRawBufferPointer) {
    self.method = method
    self.path = path
  }

  /// Takes note of a query parameter; the value is percent-encoded.
  mutating func note(parameter name: UnsafeRawBufferPointer, _ value: UnsafeRawBufferPointer) {
    if Self.equal(name, "namespace") {
      namespace = value
      namespaceIsEncoded = true
      parameters.insert(.namespace)
    } else if Self.equal(name, "ttl") {
      ttl = value
      ttlIsEncoded = true
      parameters.insert(.ttl)
    } else if Self.equal(name, "ack") {
      acknowledgement = value
      parameters.insert(.ack)
    } else if Self.equal(name, "key") {
      key = value
      parameters.insert(.key)
    } else if Self.equal(name, "group") {
      group = value
      parameters.insert(.group)
    } else if Self.equal(name, "types") {
      types = value
      parameters.insert(.types)
    } else if Self.equal(name, "prefix") {
      prefix = value
      parameters.insert(.prefix)
    } else if Self.equal(name, "tag") {
      tag = value
      parameters.insert(.tag)
    } else if Self.equal(name, "tags") {
      tags = value
      tagsAreEncoded = true
      parameters.insert(.tags)
    } else {
      parameters.insert(.unknown)
    }
  }

  /// Takes note of a header.
  mutating func note(header name: UnsafeRawBufferPointer, _ value: UnsafeRawBufferPointer) {
    // The lengths rule out nearly every header without looking at it.
    switch name.count {
    case 5 where Self.equal(name, "x-ttl"):
      if ttl == nil { ttl = value }
    case 5 where Self.equal(name, "x-ack"):
      if acknowledgement == nil { acknowledgement = value }
    case 6 where Self.equal(name, "x-tags"):
      if tags == nil { tags = value }
    case 6 where Self.equal(name, "expect"):
      asksBeforeSending = true
    case 6 where Self.equal(name, "origin"):
      hasOrigin = true
    case 6 where Self.equal(name, "accept"):
      acceptsBytes = Self.contains(value, "application/octet-stream")
    case 11 where Self.equal(name, "x-namespace"):
      if namespace == nil { namespace = value }
    case 12 where Self.equal(name, "content-type"):
      sendsBytes = Self.contains(value, "application/octet-stream")
    case 13 where Self.equal(name, "authorization"):
      authorization = value
    case 13 where Self.equal(name, "last-event-id"):
      lastEventID = value
    case 15 where Self.equal(name, "x-cluster-proof"):
      proof = value
    case 14 where Self.equal(name, "content-length"):
      contentLength = Self.decimal(value)
    default: break
    }
  }

  /// Compares without regard to case; `lower` is in lower case.
  private static func equal(_ bytes: UnsafeRawBufferPointer, _ lower: StaticString) -> Bool {
    guard bytes.count == lower.utf8CodeUnitCount else { return false }
    for index in 0..<bytes.count where lowercased(bytes[index]) != lower.utf8Start[index] { return false }
    return true
  }

  private static func contains(_ bytes: UnsafeRawBufferPointer, _ lower: StaticString) -> Bool {
    let length = lower.utf8CodeUnitCount
    guard bytes.count >= length else { return false }
    for start in 0...(bytes.count - length)
    where equal(UnsafeRawBufferPointer(rebasing: bytes[start..<(start + length)]), lower) {
      return true
    }
    return false
  }

  private static func lowercased(_ byte: UInt8) -> UInt8 { byte &- 0x41 <= 25 ? byte | 0x20 : byte }

  /// Saturates; nil if it is no number (the HTTP library refuses such requests before us).
  private static func decimal(_ text: UnsafeRawBufferPointer) -> Int? {
    guard !text.isEmpty else { return nil }
    var value = 0
    for byte in text {
      guard byte &- 0x30 <= 9 else { return nil }
      value = value > 1 << 58 ? value : value * 10 + Int(byte &- 0x30)
    }
    return value
  }
}
