/// How long to wait before asking again: twice as long each time, half of it by chance, so that many who failed
/// together do not return together.
struct Backoff: Hashable, Sendable {
  var firstMilliseconds: Int
  var longestMilliseconds: Int

  /// - Parameter failures: how many there were in a row, from 1 on.
  func delayMilliseconds(after failures: Int, chance: UInt64) -> Int {
    let doublings = min(max(0, failures - 1), 30)
    let (doubled, overflow) = firstMilliseconds.multipliedReportingOverflow(by: 1 << doublings)
    let longest = max(0, overflow ? longestMilliseconds : min(longestMilliseconds, doubled))
    return longest - Int(chance % UInt64(longest / 2 + 1))
  }
}
