import NexusModel
import NexusService

/// Which members a request asks this node to meet: addresses of peer ports.
enum JoinBody {
  /// `{"address": "HOST:PORT"}`, `{"addresses": ["HOST:PORT", ...]}`, or a member that presents itself,
  /// `{"id": "NAME", "addr": "HOST:PORT"}`.
  static func addresses(_ text: UnsafeRawBufferPointer) throws(Problem) -> [String] {
    var found: [String] = []
    for (name, value) in try members(text) {
      switch string(text, name) {
      case "address" where value.kind == .string, "addr" where value.kind == .string:
        found.append(string(text, value))
      case "addresses" where value.kind == .array:
        // Its syntax has been checked: what it holds is left to be looked at.
        let inside = UnsafeRawBufferPointer(rebasing: text[value.start..<value.end])
        for element in try elements(inside) {
          guard element.kind == .string else { throw .joinForm }
          found.append(string(inside, element))
        }
      case "id" where value.kind == .string: break
      default: throw .joinForm
      }
    }
    if found.isEmpty { throw .joinForm }
    return try checked(found)
  }

  /// `peer=HOST:PORT` as forms are sent, or `peer=HOST` for the usual port.
  static func peer(_ body: UnsafeMutableRawBufferPointer, defaultPort: Int) throws(Problem) -> String {
    let usage = "The body must be peer=HOST:PORT, the peer port of a member."
    let name = Array("peer=".utf8)
    for part in UnsafeRawBufferPointer(body).split(separator: UInt8(ascii: "&")) where part.starts(with: name) {
      let value = UnsafeRawBufferPointer(rebasing: part.dropFirst(name.count))
      var decoded = OutputBuffer(capacity: max(1, value.count))
      defer { decoded.deallocate() }
      guard let count = PercentEncoding.decode(value, into: decoded.base) else { throw .badEncoding("body") }
      decoded.count = count
      var text = String(decoding: decoded.bytes, as: UTF8.self)
      text = String(text.drop { $0.isWhitespace })
      while text.last?.isWhitespace == true { text.removeLast() }
      if !text.contains(":"), !text.isEmpty { text += ":\(defaultPort)" }
      return try checked([text])[0]
    }
    throw .badJoin(usage)
  }

  private static func checked(_ addresses: [String]) throws(Problem) -> [String] {
    for text in addresses {
      guard let address = NetworkAddress(text), address.port > 0,
        !address.host.contains(where: { $0.isWhitespace || $0 == "/" })
      else { throw .badAddress(text) }
    }
    return addresses
  }

  private static func members(_ text: UnsafeRawBufferPointer) throws(Problem) -> [(JSONValue, JSONValue)] {
    var reader = JSONReader(text)
    reader.skipWhitespace()
    guard reader.position < text.count, text[reader.position] == UInt8(ascii: "{") else { throw .joinForm }
    var found: [(JSONValue, JSONValue)] = []
    do throws(JSONFault) {
      try reader.enterObject()
      while let member = try reader.member(isFirst: found.isEmpty, depth: 0) { found.append(member) }
      try reader.end()
    } catch { throw .badJSON(error) }
    return found
  }

  private static func elements(_ text: UnsafeRawBufferPointer) throws(Problem) -> [JSONValue] {
    var reader = JSONReader(text)
    var found: [JSONValue] = []
    do throws(JSONFault) {
      try reader.enterArray()
      while let value = try reader.element(isFirst: found.isEmpty, depth: 1) { found.append(value) }
    } catch { throw .badJSON(error) }
    return found
  }

  private static func string(_ text: UnsafeRawBufferPointer, _ value: JSONValue) -> String {
    var bytes = Array(text[(value.start + 1)..<(value.end - 1)])
    return bytes.withUnsafeMutableBytes { bytes in
      String(decoding: value.hasEscapes ? JSONText.decodeInPlace(bytes) : UnsafeRawBufferPointer(bytes), as: UTF8.self)
    }
  }
}

extension Problem {
  static var joinForm: Problem {
    badJoin("The body must be {\"address\": \"HOST:PORT\"} or {\"addresses\": [...]}: peer ports of members.")
  }
}
