import NexusModel

/// Some of the 16,384 slots, as runs of neighbours.
///
/// Encoded as the lengths of runs from slot 0 on, in turn of slots that are not in it and slots that are: the slots
/// 0, 1, 2 and 7 are `0 3 4 1`. All slots take 6 bytes, every second one 16 KiB.
public struct SlotList: Hashable, Sendable {
  /// Invariant: ascending, none empty, no two touching, all within `0..<Slot.count`.
  public private(set) var ranges: [Range<Int>]

  /// In any order, each as often as one likes.
  public init(_ slots: some Sequence<Slot> = []) {
    ranges = []
    for slot in slots.sorted() { append(Int(slot.index)..<Int(slot.index) + 1) }
  }

  public static var all: SlotList {
    var list = SlotList()
    list.append(0..<Slot.count)
    return list
  }

  /// The caller has nothing behind it in the list yet.
  private mutating func append(_ range: Range<Int>) {
    if let last = ranges.last, range.lowerBound <= last.upperBound {
      ranges[ranges.count - 1] = last.lowerBound..<max(last.upperBound, range.upperBound)
    } else {
      ranges.append(range)
    }
  }

  public var isEmpty: Bool { ranges.isEmpty }
  public var count: Int { ranges.reduce(0) { $0 + $1.count } }

  /// In ascending order.
  public func forEach(_ body: (Slot) -> Void) {
    for range in ranges {
      for index in range { body(Slot(index: UInt16(index))) }
    }
  }

  public var slots: [Slot] { ranges.flatMap { $0.map { Slot(index: UInt16($0)) } } }
}

extension SlotList: WireMessage {
  private static let field = WireField(1, "Slots.runs")

  public func encode<Sink: WireSink>(to sink: inout Sink) {
    var runs: [UInt64] = []
    var next = 0
    for range in ranges {
      runs.append(UInt64(range.lowerBound - next))
      runs.append(UInt64(range.count))
      next = range.upperBound
    }
    sink.packed(Self.field, runs)
  }

  public init(from reader: inout WireReader) throws(WireError) {
    var runs: [UInt64] = []
    while let tag = try reader.tag("Slots") {
      switch tag.number {
      case 1: try reader.numbers(tag, Self.field, atMost: Slot.count + 1, into: &runs)
      default: try reader.skip(tag, "Slots")
      }
    }
    guard runs.count.isMultiple(of: 2) else { throw WireError(.invalidValue, Self.field.name) }
    ranges = []
    ranges.reserveCapacity(runs.count / 2)
    var next = 0
    for at in stride(from: 0, to: runs.count, by: 2) {
      let (absent, present) = (runs[at], runs[at + 1])
      guard absent > 0 || at == 0, present > 0, absent <= Slot.count, present <= Slot.count,
        next + Int(absent) + Int(present) <= Slot.count
      else { throw WireError(.invalidValue, Self.field.name) }
      let start = next + Int(absent)
      next = start + Int(present)
      ranges.append(start..<next)
    }
  }
}

extension SlotList {
  public init(_ set: SlotSet) {
    self.init()
    for range in set.ranges { append(range) }
  }

  public var set: SlotSet { SlotSet(words: words) }

  private var words: [UInt64] {
    var words = [UInt64](repeating: 0, count: SlotSet.wordCount)
    for range in ranges { for index in range { words[index / 64] |= 1 << UInt64(index % 64) } }
    return words
  }
}
