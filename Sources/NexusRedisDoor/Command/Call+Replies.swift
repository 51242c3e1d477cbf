import NexusModel
import NexusRESP

/// Replies, in the version of the protocol that the client speaks. A handler writes exactly one (an aggregate's
/// header counts its elements, and each of them is one more).
extension Call {
  public mutating func replyOK() { out.writeOK() }
  public mutating func reply(simple text: StaticString) { out.writeSimple(text) }
  @inline(__always) public mutating func reply(integer value: Int) { out.writeInteger(value) }
  @inline(__always) public mutating func reply(bulk bytes: UnsafeRawBufferPointer) { out.writeBulk(bytes) }
  public mutating func reply(bulk text: String) { out.writeBulk(text) }
  public mutating func reply(bulk text: StaticString) { out.writeBulk(text) }
  public mutating func reply(bulk bytes: [UInt8]) { bytes.withUnsafeBytes { out.writeBulk($0) } }
  @inline(__always) public mutating func replyNull() { out.writeNull(version) }
  public mutating func replyNullArray() { out.writeNullArray(version) }
  public mutating func reply(arrayOf elements: Int) { out.writeArrayHeader(elements) }
  /// A map of so many pairs: twice as many elements in RESP2.
  public mutating func reply(mapOf pairs: Int) { out.writeMapHeader(pairs, version) }
  public mutating func reply(setOf elements: Int) { out.writeSetHeader(elements, version) }
  public mutating func reply(pushOf elements: Int) { out.writePushHeader(elements, version) }
  public mutating func reply(boolean value: Bool) { out.writeBoolean(value, version) }
  public mutating func reply(double value: Double) { out.writeDouble(value, version) }
  public mutating func reply(bigNumber digits: String) { out.writeBigNumber(digits, version) }
  public mutating func reply(verbatim text: String) { out.writeVerbatim(text, version) }
  public mutating func reply(strings: [String]) {
    out.writeArrayHeader(strings.count)
    for text in strings { out.writeBulk(text) }
  }

  // MARK: Errors. The text starts with its code.

  public mutating func reply(error text: StaticString) {
    engine.noteError(text.description)
    out.writeError(text)
  }
  /// Line ends in the text become spaces.
  public mutating func reply(error text: String) {
    engine.noteError(text)
    out.writeError(text)
  }
  /// An error that quotes an argument byte for byte, as C's formatting does: up to a NUL, and at most `limit` bytes.
  public mutating func reply(
    error before: StaticString, quoting index: Int, limit: Int = Int.max, _ after: String
  ) {
    engine.noteError(before.description)
    var text = OutputBuffer(capacity: 512)
    defer { text.deallocate() }
    text.append(before)
    text.append(UnsafeRawBufferPointer(rebasing: self[index].prefix(limit).prefix { $0 != 0 }))
    text.append(after)
    out.writeError(bytes: text.bytes)
  }
  public mutating func replySyntaxError() { reply(error: "ERR syntax error") }
  public mutating func replyNotAnInteger() { reply(error: "ERR value is not an integer or out of range") }
  public mutating func replyNotAFloat() { reply(error: "ERR value is not a valid float") }
  public mutating func replyWrongArity() {
    reply(error: "ERR wrong number of arguments for '\(commandName)' command")
  }
  public mutating func replyWrongType() {
    reply(error: Self.wrongType)
  }
  static var wrongType: StaticString { "WRONGTYPE Operation against a key holding the wrong kind of value" }
  public mutating func replyNoSuchKey() { reply(error: "ERR no such key") }
  public mutating func replyOutOfMemory() {
    reply(error: "OOM command not allowed when used memory > 'maxmemory'.")
  }
}
