import Glibc
import NexusService

/// One message as it is written.
public struct LogLine: Sendable {
  /// A moment in UTC, to the millisecond.
  public struct Time: Sendable {
    public var milliseconds: Int

    public init(milliseconds: Int) { self.milliseconds = milliseconds }

    public static func now() -> Time {
      var time = timespec()
      clock_gettime(CLOCK_REALTIME, &time)
      return Time(milliseconds: time.tv_sec * 1000 + time.tv_nsec / 1_000_000)
    }

    /// RFC 3339: `2026-11-20T09:40:01.123Z`
    public var text: String {
      var seconds = time_t(milliseconds / 1000)
      var parts = tm()
      gmtime_r(&seconds, &parts)
      func digits(_ value: Int, _ width: Int) -> String {
        let text = String(value)
        return String(repeating: "0", count: max(0, width - text.count)) + text
      }
      let date =
        "\(digits(Int(parts.tm_year) + 1900, 4))-\(digits(Int(parts.tm_mon) + 1, 2))-\(digits(Int(parts.tm_mday), 2))"
      let clock = "\(digits(Int(parts.tm_hour), 2)):\(digits(Int(parts.tm_min), 2)):\(digits(Int(parts.tm_sec), 2))"
      return "\(date)T\(clock).\(digits(milliseconds % 1000, 3))Z"
    }
  }

  public var time: Time
  public var level: LogLevel
  public var message: String
  public var fields: [(String, String)]

  public init(time: Time, level: LogLevel, message: String, fields: [(String, String)]) {
    self.time = time
    self.level = level
    self.message = message
    self.fields = fields
  }

  /// `2026-11-20T09:40:01.123Z info    ready redis=127.0.0.1:6379`
  public var text: String {
    var line = "\(time.text) \(level.rawValue)" + String(repeating: " ", count: max(1, 8 - level.rawValue.count))
    line += Self.isPlain(message, spaces: true) ? message : Self.quoted(message)
    for (name, value) in fields {
      line += " \(name)=" + (Self.isPlain(value, spaces: false) ? value : Self.quoted(value))
    }
    return line + "\n"
  }

  /// `{"time":"...","level":"info","message":"ready","redis":"127.0.0.1:6379"}`
  public var json: String {
    let all = [("time", time.text), ("level", level.rawValue), ("message", message)] + fields
    return "{" + all.map { Self.quoted($0) + ":" + Self.quoted($1) }.joined(separator: ",") + "}\n"
  }

  private static func isPlain(_ text: String, spaces: Bool) -> Bool {
    !text.isEmpty
      && text.utf8.allSatisfy { $0 > 0x20 && $0 != 0x7F && $0 != 0x22 && $0 != 0x5C || spaces && $0 == 0x20 }
  }

  /// As RFC 8259 quotes strings; what a client sent can never start a line of its own.
  static func quoted(_ text: String) -> String {
    let hexadecimal = Array("0123456789abcdef")
    var result = "\""
    for scalar in text.unicodeScalars {
      switch scalar.value {
      case 0x22: result += "\\\""
      case 0x5C: result += "\\\\"
      case 0x0A: result += "\\n"
      case 0x0D: result += "\\r"
      case 0x09: result += "\\t"
      case 0..<0x20, 0x7F:
        result += "\\u00"
        result.append(hexadecimal[Int(scalar.value >> 4)])
        result.append(hexadecimal[Int(scalar.value & 15)])
      default: result.unicodeScalars.append(scalar)
      }
    }
    return result + "\""
  }
}
