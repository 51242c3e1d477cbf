import NexusService

/// The body of a PUT as JSON: `{"value": ..., "ttl": seconds, "encoding": "base64"}`, of which only `value` must be
/// there. A value that is a JSON string is stored as the bytes it stands for; any other JSON as its own text.
struct StoredBody {
  /// Spans bytes of the body, decoded over themselves where they had escapes.
  let value: UnsafeRawBufferPointer
  let ttl: TimeToLive

  init(_ body: UnsafeMutableRawBufferPointer) throws(Problem) {
    let members = try Members(UnsafeRawBufferPointer(body))
    guard let value = members.value else { throw .badBody("The body has no member \"value\".") }

    var bytes = UnsafeMutableRawBufferPointer(rebasing: body[value.start..<value.end])
    if value.kind == .string {
      bytes = UnsafeMutableRawBufferPointer(rebasing: bytes[1..<(bytes.count - 1)])
      if value.hasEscapes { bytes = UnsafeMutableRawBufferPointer(mutating: JSONText.decodeInPlace(bytes)) }
    }
    if let encoding = members.encoding {
      let name = body[encoding.start..<encoding.end]
      guard name.elementsEqual("\"base64\"".utf8), value.kind == .string else {
        throw .badBody("\"encoding\" can only be \"base64\", and \"value\" is then a string.")
      }
      guard let decoded = Base64.decodeInPlace(bytes) else {
        throw .badBody("\"value\" is not base 64 with its padding (RFC 4648, section 4).")
      }
      bytes = UnsafeMutableRawBufferPointer(mutating: decoded)
    }
    self.value = UnsafeRawBufferPointer(bytes)

    guard let ttl = members.ttl else {
      self.ttl = .namespaceDefault
      return
    }
    guard ttl.kind == .number,
      let life = Seconds.parse(UnsafeRawBufferPointer(rebasing: UnsafeRawBufferPointer(body)[ttl.start..<ttl.end]))
    else { throw .badTTL() }
    self.ttl = life
  }

  private struct Members {
    var value: JSONValue?
    var ttl: JSONValue?
    var encoding: JSONValue?

    init(_ text: UnsafeRawBufferPointer) throws(Problem) {
      var reader = JSONReader(text)
      reader.skipWhitespace()
      guard reader.position < text.count && text[reader.position] == UInt8(ascii: "{") else {
        throw .badBody(
          "The body must be a JSON object such as {\"value\": \"text\", \"ttl\": 60}; "
            + "raw bytes are sent with Content-Type: application/octet-stream.")
      }
      var isFirst = true
      while let (name, value) = try Self.next(&reader, isFirst: isFirst) {
        isFirst = false
        try note(text[(name.start + 1)..<(name.end - 1)], value)
      }
      do throws(JSONFault) { try reader.end() } catch { throw .badJSON(error) }
    }

    private static func next(_ reader: inout JSONReader, isFirst: Bool) throws(Problem) -> (JSONValue, JSONValue)? {
      do throws(JSONFault) {
        if isFirst { try reader.enterObject() }
        return try reader.member(isFirst: isFirst, depth: 0)
      } catch { throw .badJSON(error) }
    }

    private mutating func note(_ name: Slice<UnsafeRawBufferPointer>, _ found: JSONValue) throws(Problem) {
      if name.elementsEqual("value".utf8), value == nil {
        value = found
      } else if name.elementsEqual("ttl".utf8), ttl == nil {
        ttl = found
      } else if name.elementsEqual("encoding".utf8), encoding == nil {
        encoding = found
      } else {
        throw .badBody("The body may have the members \"value\", \"ttl\" and \"encoding\", each once, and no others.")
      }
    }
  }
}
