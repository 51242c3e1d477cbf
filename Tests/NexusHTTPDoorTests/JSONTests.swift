import NexusModel
import NexusService
import Testing

@testable import NexusHTTPDoor

@Suite struct JSONTests {
  func fault(_ text: [UInt8]) -> JSONFault? {
    text.withUnsafeBytes { text in
      var reader = JSONReader(text)
      do throws(JSONFault) {
        _ = try reader.value()
        try reader.end()
        return nil
      } catch { return error }
    }
  }
  func fault(_ text: String) -> JSONFault? { fault(Array(text.utf8)) }

  @Test(arguments: [
    "null", " true ", "false", "0", "-0", "10", "-1.25", "1e5", "1E+5", "0.1e-7", "\"\"", "\"a\"", "[]", "[ ]", "{}",
    "{ }",
    "[1,2, 3]", "{\"a\":1}", "{\"a\":{\"b\":[{}]},\"c\":\"\"}", "\"\\u12aB\"", "\"\\ud83d\\ude00\"", "\"\u{7f}\"",
    "\"12345678901234567890é\"", "\r\n\t[\t1\r]\n",
  ])
  func whatIsJSONIsTaken(_ text: String) { #expect(fault(text) == nil) }

  @Test(arguments: [
    ("", JSONFault.Reason.endsEarly), ("[", .endsEarly), ("[1", .endsEarly), ("[1,", .endsEarly), ("{", .endsEarly),
    ("{\"a\"", .endsEarly), ("{\"a\":", .endsEarly), ("\"a", .endsEarly), ("\"\\", .endsEarly), ("tru", .endsEarly),
    ("[1,]", .unexpectedByte), ("{,}", .unexpectedByte), ("{\"a\":1,}", .unexpectedByte), ("{a:1}", .unexpectedByte),
    ("{\"a\" 1}", .unexpectedByte), ("[1 2]", .unexpectedByte), ("nul1", .unexpectedByte), ("NaN", .unexpectedByte),
    ("'a'", .unexpectedByte), ("+1", .unexpectedByte), (".5", .unexpectedByte), ("]", .unexpectedByte),
    ("01", .trailing), ("1 2", .trailing), ("{} x", .trailing), ("-", .badNumber), ("1.", .badNumber),
    ("1e", .badNumber),
    ("1.e5", .badNumber), ("-a", .badNumber), ("\"\n\"", .controlCharacter), ("\"\u{0}\"", .controlCharacter),
    ("\"\\x\"", .badEscape), ("\"\\u12g4\"", .badEscape), ("\"\\u12\"", .badEscape), ("\"\\ud800\"", .loneSurrogate),
    ("\"\\ud800\\u0041\"", .loneSurrogate), ("\"\\udc00\"", .loneSurrogate),
  ])
  func whatIsNotIsRefused(_ text: String, _ reason: JSONFault.Reason) { #expect(fault(text)?.reason == reason) }

  @Test(
    arguments: [
      [0x80], [0xC0, 0x80], [0xC3], [0xE0, 0x80, 0x80], [0xED, 0xA0, 0x80], [0xF0, 0x80, 0x80, 0x80],
      [0xF4, 0x90, 0x80, 0x80],
      [0xF5, 0x80, 0x80, 0x80], [0xFF], [0xE2, 0x82],
    ] as [[UInt8]])
  func stringsMustBeUTF8(_ bytes: [UInt8]) {
    #expect(fault([0x22] + bytes + [0x22])?.reason == .badUTF8)
    var out = OutputBuffer(capacity: 16)
    defer { out.deallocate() }
    let isPrinted = bytes.withUnsafeBytes { out.appendJSONString($0) }
    #expect(!isPrinted)
    #expect(out.count == 0)
  }

  @Test func nestingHasALimit() {
    func nested(_ depth: Int) -> String { String(repeating: "[", count: depth) + String(repeating: "]", count: depth) }
    #expect(fault(nested(JSONReader.depthLimit)) == nil)
    #expect(fault(nested(JSONReader.depthLimit + 1))?.reason == .tooDeep)
    #expect(fault(String(repeating: "[", count: 1_000_000))?.reason == .tooDeep)
    #expect(fault(String(repeating: "{\"a\":", count: 1_000_000))?.reason == .tooDeep)
  }

  @Test func theFaultSaysWhere() { #expect(fault("[1, x]")?.offset == 4) }

  @Test func everyByteAtEveryPlaceOfAWordIsPrintedAndReadBack() {
    for position in 0..<17 {
      for byte in UInt8(0)..<0x80 {
        var text = [UInt8](repeating: 0x61, count: 17)
        text[position] = byte
        var out = OutputBuffer(capacity: 64)
        defer { out.deallocate() }
        let isPrinted = text.withUnsafeBytes { out.appendJSONString($0) }
        #expect(isPrinted)
        #expect(fault(Array(out.bytes)) == nil)
        let inside = UnsafeMutableRawBufferPointer(start: out.base + 1, count: out.count - 2)
        let decoded = JSONText.decodeInPlace(inside)
        #expect(decoded.elementsEqual(text))
      }
    }
  }

  @Test func base64HasOneSpellingForEachValue() {
    for (bytes, text) in [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foob", "Zm9vYg==")] {
      var out = OutputBuffer(capacity: 16)
      defer { out.deallocate() }
      Array(bytes.utf8).withUnsafeBytes { out.appendBase64($0) }
      #expect(String(decoding: out.bytes, as: UTF8.self) == text)
      let decoded = Base64.decodeInPlace(UnsafeMutableRawBufferPointer(start: out.base, count: out.count))
      #expect(decoded?.elementsEqual(bytes.utf8) == true)
    }
    for wrong in ["Z", "Zg", "Zg=", "Zh==", "Zm9=", "====", "Z===", "Zg==Zg==", "Zm9v\n", "Zm-_"] {
      var text = Array(wrong.utf8)
      #expect(text.withUnsafeMutableBytes { Base64.decodeInPlace($0) == nil }, "\(wrong)")
    }
  }
}
