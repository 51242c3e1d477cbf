/// Dates as HTTP writes them (RFC 9110, section 5.6.7): today's form and the two old ones.
enum HTTPDate {
  /// Seconds since the Unix epoch; nil for what is no date. `now`, in the same, says what a year of two digits means.
  static func seconds(_ text: String, now: Int) -> Int? {
    let words = text.split { $0 == " " || $0 == "," || $0 == "-" }.map(String.init)
    switch words.count {
    // Sun, 06 Nov 1994 08:49:37 GMT, or Sunday, 06-Nov-94 08:49:37 GMT
    case 6 where words[5] == "GMT":
      guard let year = number(words[3]) else { return nil }
      return seconds(words[1], words[2], words[3].count == 2 ? fullYear(year, now) : year, words[4])
    // Sun Nov  6 08:49:37 1994
    case 5:
      guard let year = number(words[4]) else { return nil }
      return seconds(words[2], words[1], year, words[3])
    default: return nil
    }
  }

  private static let months = [
    "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
  ]

  private static func seconds(_ dayText: String, _ monthText: String, _ year: Int, _ time: String) -> Int? {
    let clock = time.split(separator: ":", omittingEmptySubsequences: false).map { number(String($0)) }
    guard let day = number(dayText), let month = months.firstIndex(of: monthText), (1...31).contains(day),
      (1601...9999).contains(year), clock.count == 3, let hour = clock[0], let minute = clock[1],
      let second = clock[2], hour < 24, minute < 60, second < 61
    else { return nil }
    return days(year, month + 1, day) * 86_400 + hour * 3600 + minute * 60 + second
  }

  /// More than fifty years ahead is in the past.
  private static func fullYear(_ year: Int, _ now: Int) -> Int {
    let present = 1970 + now / 31_556_952
    let candidate = present - present % 100 + year
    return candidate > present + 50 ? candidate - 100 : candidate
  }

  private static func number(_ text: String) -> Int? {
    text.utf8.allSatisfy { (48...57).contains($0) } && text.utf8.count <= 4 ? Int(text) : nil
  }

  /// Days since 1 January 1970, in years that begin in March, so that the leap day comes last.
  private static func days(_ year: Int, _ month: Int, _ day: Int) -> Int {
    let shifted = month <= 2 ? year - 1 : year
    let dayOfYear = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1
    return shifted * 365 + shifted / 4 - shifted / 100 + shifted / 400 + dayOfYear - 719_468
  }
}
