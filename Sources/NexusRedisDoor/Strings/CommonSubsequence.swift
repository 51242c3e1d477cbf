/// The longest common subsequence of two strings, by the classic table (Wagner and Fischer, 1974), of which only two
/// rows of lengths and, where the way back is asked for, one bit per cell are kept: which neighbour was longer.
struct CommonSubsequence {
  let first: UnsafeRawBufferPointer
  let second: UnsafeRawBufferPointer

  /// A run that stands in both strings.
  struct Match {
    var first: Range<Int>
    var second: Range<Int>
  }

  /// Bytes of the bits that `matches` needs. Invariant: the product of the lengths fits in an `Int`.
  static func wayBackBytes(_ firstCount: Int, _ secondCount: Int) -> Int { (firstCount * secondCount + 7) / 8 }

  var length: Int { fill(nil) }

  /// Computes the table; answers the length. Where `wayBack` is given (of `wayBackBytes`, zeroed), bit
  /// `i * second.count + j` becomes 1 where leaving out byte i of the first string is better than leaving out byte j
  /// of the second.
  func fill(_ wayBack: UnsafeMutableRawBufferPointer?) -> Int {
    // row[j]: the length for the bytes of `first` seen so far and the first j of `second`.
    withUnsafeTemporaryAllocation(of: UInt32.self, capacity: second.count + 1) { row in
      row.initialize(repeating: 0)
      for i in 0..<first.count {
        var diagonal: UInt32 = 0
        for j in 0..<second.count {
          let above = row[j + 1]
          if first[i] == second[j] {
            row[j + 1] = diagonal + 1
          } else if above > row[j] {
            if let wayBack {
              let bit = i * second.count + j
              wayBack[bit / 8] |= 1 << UInt8(bit % 8)
            }
          } else {
            row[j + 1] = row[j]
          }
          diagonal = above
        }
      }
      return Int(row[second.count])
    }
  }

  /// The common runs, last first, along the way that Redis takes.
  func matches(_ wayBack: UnsafeMutableRawBufferPointer, _ visit: (Match) -> Void) {
    var i = first.count
    var j = second.count
    var open: Match?
    while i > 0 && j > 0 {
      if first[i - 1] == second[j - 1] {
        i -= 1
        j -= 1
        open = Match(
          first: i..<(open?.first.upperBound ?? i + 1), second: j..<(open?.second.upperBound ?? j + 1))
      } else {
        if let run = open { visit(run) }
        open = nil
        let bit = (i - 1) * second.count + (j - 1)
        if wayBack[bit / 8] & (1 << UInt8(bit % 8)) != 0 { i -= 1 } else { j -= 1 }
      }
    }
    if let run = open { visit(run) }
  }
}
