/// Remembers who was evicted lately, in about a byte an entry: words of six 10-bit marks, each a small first-in
/// first-out queue of its own. A mark is a fingerprint of the hash, or a shorter one and a 2-bit tag.
///
/// One in 170 strangers (40 with a tag) is taken for a ghost, which costs no more than one entry in the wrong queue.
/// Changing the size forgets everything: that happens when the number of entries changes by a quarter, and what is
/// forgotten is relearnt within a turnover of the lane.
///
/// Invariant: `words` holds `wordCount` words (nil if 0); in each, marks fill from the low end, a mark of 0 is empty
/// and no fingerprint is 0.
struct GhostTable: BitwiseCopyable {
  private var words: UnsafeMutablePointer<UInt64>?
  private var wordCount = 0
  private let tagBits: UInt64

  private static let markBits: UInt64 = 10
  private static let marksPerWord = 6
  private static let allMarks: UInt64 = (1 << 60) - 1
  private static let mark: UInt64 = (1 << 10) - 1

  init(tagBits: UInt64 = 0) { self.tagBits = tagBits }

  var heapBytes: Int { wordCount * MemoryLayout<UInt64>.stride }
  var capacity: Int { wordCount * Self.marksPerWord }

  /// Remembers two thirds as many as there are entries; does nothing while it is about that large.
  @inline(__always)
  mutating func fit(entries: Int) {
    let wanted = max(1, entries / 9)
    if wanted > wordCount + wordCount / 4 || wanted < wordCount / 2 { resize(wanted) }
  }

  @inline(never)
  private mutating func resize(_ count: Int) {
    words?.deallocate()
    words = .allocate(capacity: count)
    words?.initialize(repeating: 0, count: count)
    wordCount = count
  }

  mutating func release() {
    words?.deallocate()
    words = nil
    wordCount = 0
  }

  /// Where a hash belongs, and its fingerprint in place, from bits of it that do not depend on one another.
  @inline(__always)
  private func place(_ hash: UInt64, _ words: UnsafeMutablePointer<UInt64>)
    -> (word: UnsafeMutablePointer<UInt64>, mark: UInt64)
  {
    let mixed = hash &* 0x9E37_79B9_7F4A_7C15
    let index = mixed.multipliedFullWidth(by: UInt64(truncatingIfNeeded: wordCount)).high
    let fingerprint = (mixed >> 20) & (Self.mark >> tagBits)
    return (words + Int(truncatingIfNeeded: index), (fingerprint == 0 ? 1 : fingerprint) << tagBits)
  }

  /// Remembers; the oldest of the same word is forgotten. `tag` is less than 2 to the `tagBits`.
  mutating func put(_ hash: UInt64, tag: UInt8 = 0) {
    guard let words else { return }
    let (word, mark) = place(hash, words)
    word.pointee = (word.pointee << Self.markBits | mark | UInt64(tag)) & Self.allMarks
  }

  /// Forgets the ghost of this hash, and answers its tag: nil if there is none.
  mutating func take(_ hash: UInt64) -> UInt8? {
    guard let words else { return nil }
    let (word, mark) = place(hash, words)
    let marks = word.pointee
    var shift: UInt64 = 0
    while shift < 60 {
      let found = (marks >> shift) & Self.mark
      if (found >> tagBits) << tagBits == mark {
        let younger = marks & ((1 << shift) - 1)
        word.pointee = younger | (marks >> (shift + Self.markBits)) << shift
        return UInt8(truncatingIfNeeded: found & ((1 << tagBits) - 1))
      }
      shift += Self.markBits
    }
    return nil
  }
}
