/// How sizes, durations and other values read in flags, files and replies.
public enum SettingText {
  /// As Redis reads sizes: `64mb` (1024 squared), `64m` (1000 squared), `64mib`, `1073741824`. Case does not matter.
  /// Nil for anything else, and for what does not fit.
  public static func bytes(_ text: String) -> Int? {
    guard let (number, unit) = numberAndUnit(text), let factor = byteUnits[unit] else { return nil }
    return product(number, factor)
  }

  /// `250us`, `10ms`, `5s`, `2m`, `1h`, `1d`, in microseconds. A bare number has no unit and is refused, but for 0.
  public static func microseconds(_ text: String) -> Int? {
    guard let (number, unit) = numberAndUnit(text) else { return nil }
    if unit.isEmpty { return number == 0 ? 0 : nil }
    return durationUnits.first { $0.name == unit }.flatMap { product(number, $0.microseconds) }
  }

  /// The shortest exact way to write a size: `64mb`, `1gb`, `1000`.
  public static func bytesText(_ count: Int) -> String {
    for (name, factor) in [("tb", 1 << 40), ("gb", 1 << 30), ("mb", 1 << 20), ("kb", 1 << 10)]
    where count != 0 && count % factor == 0 {
      return "\(count / factor)\(name)"
    }
    return String(count)
  }

  /// The shortest exact way to write a duration: `10ms`, `5m`, `0`.
  public static func durationText(_ microseconds: Int) -> String {
    guard microseconds != 0 else { return "0" }
    let unit = durationUnits.last { microseconds % $0.microseconds == 0 }!
    return "\(microseconds / unit.microseconds)\(unit.name)"
  }

  public static func bool(_ text: String) -> Bool? {
    switch text.lowercased() {
    case "yes", "true", "on", "1": true
    case "no", "false", "off", "0": false
    default: nil
    }
  }

  /// Without the spaces and tabs at both ends.
  public static func trimmed(_ text: some StringProtocol) -> String {
    let isSpace: (Character) -> Bool = { $0 == " " || $0 == "\t" || $0 == "\r" }
    guard let first = text.firstIndex(where: { !isSpace($0) }) else { return "" }
    return String(text[first...text.lastIndex { !isSpace($0) }!])
  }

  private static func numberAndUnit(_ text: String) -> (Int, String)? {
    let digits = text.prefix { $0.isASCII && $0.isNumber }
    guard let number = Int(digits) else { return nil }
    return (number, text.dropFirst(digits.count).lowercased())
  }

  private static func product(_ number: Int, _ factor: Int) -> Int? {
    let (result, overflow) = number.multipliedReportingOverflow(by: factor)
    return overflow ? nil : result
  }

  private static let byteUnits: [String: Int] = [
    "": 1, "b": 1,
    "k": 1000, "kb": 1 << 10, "kib": 1 << 10,
    "m": 1_000_000, "mb": 1 << 20, "mib": 1 << 20,
    "g": 1_000_000_000, "gb": 1 << 30, "gib": 1 << 30,
    "t": 1_000_000_000_000, "tb": 1 << 40, "tib": 1 << 40,
  ]

  private static let durationUnits: [(name: String, microseconds: Int)] = [
    ("us", 1), ("ms", 1000), ("s", 1_000_000), ("m", 60_000_000), ("h", 3_600_000_000), ("d", 86_400_000_000),
  ]
}

/// The name most like `text` among `names`, if one is near enough to be what was meant.
public func nearestName(to text: String, among names: [String]) -> String? {
  let best = names.map { (name: $0, distance: editDistance(text, $0)) }.min { $0.distance < $1.distance }
  guard let best, best.distance <= max(2, text.count / 3), best.distance < text.count else { return nil }
  return best.name
}

/// Insertions, deletions, substitutions and swaps of neighbours between two short words.
func editDistance(_ left: String, _ right: String) -> Int {
  let left = Array(left.utf8), right = Array(right.utf8)
  var before: [Int] = []
  var above = Array(0...right.count)
  for i in 0..<left.count {
    var row = [i + 1]
    for j in 0..<right.count {
      var cost = min(above[j] + (left[i] == right[j] ? 0 : 1), above[j + 1] + 1, row[j] + 1)
      if i > 0, j > 0, left[i] == right[j - 1], left[i - 1] == right[j] { cost = min(cost, before[j - 1] + 1) }
      row.append(cost)
    }
    (before, above) = (above, row)
  }
  return above[right.count]
}
