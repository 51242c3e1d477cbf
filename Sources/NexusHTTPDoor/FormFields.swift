import NexusModel

/// The fields of a form that stores a value, as `curl -d` and browsers send them
/// (application/x-www-form-urlencoded): each decoded where it lies.
struct FormFields {
  private(set) var key: UnsafeRawBufferPointer?
  private(set) var value: UnsafeRawBufferPointer?
  private(set) var expire: UnsafeRawBufferPointer?
  private(set) var hot: UnsafeRawBufferPointer?
  private(set) var group: UnsafeRawBufferPointer?

  static let names = "key, value, expire, hot and group"

  init(_ body: UnsafeMutableRawBufferPointer) throws(Problem) {
    var start = 0
    while start < body.count {
      let end = body[start...].firstIndex(of: UInt8(ascii: "&")) ?? body.count
      if end > start { try note(UnsafeMutableRawBufferPointer(rebasing: body[start..<end])) }
      start = end + 1
    }
  }

  private mutating func note(_ field: UnsafeMutableRawBufferPointer) throws(Problem) {
    let equals = field.firstIndex(of: UInt8(ascii: "=")) ?? field.count
    let name = field[..<equals]
    let place: WritableKeyPath<FormFields, UnsafeRawBufferPointer?>
    if name.elementsEqual("key".utf8) {
      place = \.key
    } else if name.elementsEqual("value".utf8) {
      place = \.value
    } else if name.elementsEqual("expire".utf8) {
      place = \.expire
    } else if name.elementsEqual("hot".utf8) {
      place = \.hot
    } else if name.elementsEqual("group".utf8) {
      place = \.group
    } else {
      throw .badForm(
        "The form has the field '\(String(decoding: name.prefix(40), as: UTF8.self))'; \(Self.names) are accepted.")
    }
    guard self[keyPath: place] == nil else {
      throw .badForm("The form has the field '\(String(decoding: name, as: UTF8.self))' twice.")
    }
    let text = UnsafeMutableRawBufferPointer(rebasing: field[min(equals + 1, field.count)...])
    self[keyPath: place] = try Self.decodeInPlace(text)
  }

  private static func decodeInPlace(_ text: UnsafeMutableRawBufferPointer) throws(Problem) -> UnsafeRawBufferPointer {
    for index in text.indices where text[index] == UInt8(ascii: "+") { text[index] = UInt8(ascii: " ") }
    let source = UnsafeRawBufferPointer(text)
    // What is decoded is never longer than what it is decoded from, so it may lie over it.
    guard let base = text.baseAddress else { return source }
    guard let count = PercentEncoding.decode(source, into: base) else { throw .badEncoding("form") }
    return UnsafeRawBufferPointer(start: base, count: count)
  }
}
