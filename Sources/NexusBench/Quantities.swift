/// Numbers as people write them on a command line.
public enum Quantities {
  /// `10`, `100k`, `1.5m`, `2g`: decimal multiples, for counts and rates.
  public static func count(_ text: String) -> Double? {
    scaled(text, ["k": 1e3, "m": 1e6, "g": 1e9, "": 1])
  }

  /// `32`, `32b`, `4kb`, `1mb`: binary multiples.
  public static func bytes(_ text: String) -> Int? {
    let multiples: [String: Double] = [
      "": 1, "b": 1, "k": 1024, "kb": 1024, "m": 1_048_576, "mb": 1_048_576, "g": 1_073_741_824, "gb": 1_073_741_824,
    ]
    return scaled(text, multiples).flatMap { Int(exactly: $0) }
  }

  /// `2`, `2s`, `500ms`, `1m`: seconds.
  static func seconds(_ text: String) -> Double? {
    scaled(text, ["": 1, "s": 1, "ms": 0.001, "m": 60, "h": 3600])
  }

  /// `a` or `a-b`, each read by `one`. Nil where `b` is below `a`.
  static func range(_ text: String, _ one: (String) -> Int?) -> ClosedRange<Int>? {
    let ends = text.split(separator: "-", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
    guard let low = one(ends[0]), let high = one(ends[ends.count - 1]), low <= high else { return nil }
    return low...high
  }

  private static func scaled(_ text: String, _ multiples: [String: Double]) -> Double? {
    let lowered = text.lowercased()
    let number = lowered.prefix { $0.isNumber || $0 == "." || $0 == "_" }
    guard let multiple = multiples[String(lowered.dropFirst(number.count))] else { return nil }
    guard let value = Double(number.filter { $0 != "_" }), value.isFinite else { return nil }
    return value * multiple
  }
}

extension Double {
  /// `1234.5678.fixed(2)` is "1,234.57".
  func fixed(_ decimals: Int) -> String {
    guard isFinite else { return "-" }
    var scale = 1.0
    for _ in 0..<decimals { scale *= 10 }
    let rounded = (magnitude * scale).rounded()
    guard rounded < 9e15 else { return "\(self)" }
    let digits = Int(rounded)
    let whole = (digits / Int(scale)).grouped
    let sign = self < 0 && digits != 0 ? "-" : ""
    guard decimals > 0 else { return sign + whole }
    let fraction = String(digits % Int(scale))
    return sign + whole + "." + String(repeating: "0", count: decimals - fraction.count) + fraction
  }
}

extension BinaryInteger {
  /// `1234567.grouped` is "1,234,567".
  var grouped: String {
    let digits = String(magnitude)
    var text = ""
    for (index, digit) in digits.enumerated() {
      if index > 0 && (digits.count - index) % 3 == 0 { text += "," }
      text.append(digit)
    }
    return (self < 0 ? "-" : "") + text
  }
}
