/// Some of the 16,384 slots: a bit for each, 2 KiB. Copies share their memory until one of them changes.
///
/// Invariants: `words` has 256 words; those outside of `bounds` are zero, so that sets of neighbours cost little.
public struct SlotSet: Hashable, Sendable {
  public static let wordCount = Slot.count / 64
  private static let noWords = [UInt64](repeating: 0, count: wordCount)

  /// Slot `s` is bit `s % 64` of word `s / 64`.
  public private(set) var words: [UInt64]
  private var bounds = 0..<0

  public init() { words = Self.noWords }

  public init(words: [UInt64]) {
    precondition(words.count == Self.wordCount, "a slot set has \(Self.wordCount) words, not \(words.count)")
    self.words = words
    var (first, end) = (0, Self.wordCount)
    words.withUnsafeBufferPointer { words in
      while end > 0, words[end - 1] == 0 { end -= 1 }
      while first < end, words[first] == 0 { first += 1 }
    }
    bounds = first..<end
  }

  public static func == (left: SlotSet, right: SlotSet) -> Bool { left.words == right.words }
  public func hash(into hasher: inout Hasher) { hasher.combine(words) }

  public init(_ slots: some Sequence<Slot>) {
    self.init()
    for slot in slots { insert(slot) }
  }

  public init(_ range: Range<Int>) {
    self.init()
    for index in range { insert(Slot(index: UInt16(index))) }
  }

  public static let all = SlotSet(0..<Slot.count)

  public var isEmpty: Bool {
    words.withUnsafeBufferPointer { words in
      var index = bounds.lowerBound
      while index < bounds.upperBound {
        if words[index] != 0 { return false }
        index += 1
      }
      return true
    }
  }

  public var count: Int {
    words.withUnsafeBufferPointer { words in
      var total = 0
      var index = bounds.lowerBound
      while index < bounds.upperBound {
        total += words[index].nonzeroBitCount
        index += 1
      }
      return total
    }
  }

  public func contains(_ slot: Slot) -> Bool { words[Int(slot.index >> 6)] >> UInt64(slot.index & 63) & 1 != 0 }
  public mutating func insert(_ slot: Slot) {
    let word = Int(slot.index >> 6)
    widen(to: word..<(word + 1))
    words[word] |= 1 << UInt64(slot.index & 63)
  }
  public mutating func remove(_ slot: Slot) { words[Int(slot.index >> 6)] &= ~(1 << UInt64(slot.index & 63)) }

  public mutating func formUnion(_ other: SlotSet) {
    if other.bounds.isEmpty { return }
    if bounds.isEmpty {
      self = other
      return
    }
    widen(to: other.bounds)
    combine(other, within: other.bounds) { $0 | $1 }
  }

  public mutating func formIntersection(_ other: SlotSet) {
    if bounds.isEmpty { return }
    if other.bounds.isEmpty {
      self = SlotSet()
      return
    }
    combine(other, within: bounds) { $0 & $1 }
  }

  public mutating func subtract(_ other: SlotSet) {
    let common = bounds.clamped(to: other.bounds)
    if !common.isEmpty { combine(other, within: common) { $0 & ~$1 } }
  }

  public func union(_ other: SlotSet) -> SlotSet { with { $0.formUnion(other) } }
  public func intersection(_ other: SlotSet) -> SlotSet { with { $0.formIntersection(other) } }
  public func subtracting(_ other: SlotSet) -> SlotSet { with { $0.subtract(other) } }

  public func intersects(_ other: SlotSet) -> Bool {
    let common = bounds.clamped(to: other.bounds)
    return words.withUnsafeBufferPointer { mine in
      other.words.withUnsafeBufferPointer { others in
        var index = common.lowerBound
        while index < common.upperBound {
          if mine[index] & others[index] != 0 { return true }
          index += 1
        }
        return false
      }
    }
  }

  private mutating func widen(to other: Range<Int>) {
    if bounds.isEmpty {
      bounds = other
    } else if other.lowerBound < bounds.lowerBound || other.upperBound > bounds.upperBound {
      bounds = min(bounds.lowerBound, other.lowerBound)..<max(bounds.upperBound, other.upperBound)
    }
  }

  private func with(_ change: (inout SlotSet) -> Void) -> SlotSet {
    var result = self
    change(&result)
    return result
  }

  @inline(__always)
  private mutating func combine(
    _ other: SlotSet, within range: Range<Int>, _ combined: (UInt64, UInt64) -> UInt64
  ) {
    words.withUnsafeMutableBufferPointer { mine in
      other.words.withUnsafeBufferPointer { others in
        var index = range.lowerBound
        while index < range.upperBound {
          mine[index] = combined(mine[index], others[index])
          index += 1
        }
      }
    }
  }

  /// Ascending.
  public func forEach<Failure: Error>(_ body: (Slot) throws(Failure) -> Void) throws(Failure) {
    for index in bounds {
      var rest = words[index]
      while rest != 0 {
        try body(Slot(index: UInt16(index * 64 + rest.trailingZeroBitCount)))
        rest &= rest - 1
      }
    }
  }

  /// Ascending.
  public var slots: [Slot] {
    var result: [Slot] = []
    forEach { result.append($0) }
    return result
  }

  /// The lowest ones, at most so many.
  public func first(_ limit: Int) -> SlotSet {
    var result = SlotSet()
    var left = limit
    result.bounds = bounds
    for index in bounds where words[index] != 0 {
      var rest = words[index]
      while rest != 0, left > 0 {
        result.words[index] |= rest & (0 &- rest)
        rest &= rest - 1
        left -= 1
      }
      if left <= 0 { break }
    }
    return result
  }

  /// Runs of neighbours, ascending.
  public var ranges: [Range<Int>] {
    var result: [Range<Int>] = []
    forEach { slot in
      let index = Int(slot.index)
      if let last = result.last, last.upperBound == index {
        result[result.count - 1] = last.lowerBound..<(index + 1)
      } else {
        result.append(index..<(index + 1))
      }
    }
    return result
  }
}

extension SlotSet: CustomStringConvertible {
  public var description: String {
    ranges.map { $0.count == 1 ? "\($0.lowerBound)" : "\($0.lowerBound)-\($0.upperBound - 1)" }.joined(separator: " ")
  }
}
