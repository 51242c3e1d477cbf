/// What is to be done later: a binary heap by deadline; equal deadlines fire in the order they were set.
struct TimerHeap {
  typealias Work = @Sendable () -> Void

  private struct Entry {
    let deadline: UInt64
    let sequence: UInt64
    let work: Work

    func isBefore(_ other: Entry) -> Bool { (deadline, sequence) < (other.deadline, other.sequence) }
  }

  private var entries: [Entry] = []
  private var sequence: UInt64 = 0

  /// In the nanoseconds of the monotonic clock.
  var nextDeadline: UInt64? { entries.first?.deadline }

  mutating func add(deadline: UInt64, _ work: @escaping Work) {
    sequence += 1
    entries.append(Entry(deadline: deadline, sequence: sequence, work: work))
    var child = entries.count - 1
    while child > 0 {
      let parent = (child - 1) / 2
      guard entries[child].isBefore(entries[parent]) else { break }
      entries.swapAt(child, parent)
      child = parent
    }
  }

  /// Removes and answers the first whose time has come.
  mutating func popDue(now: UInt64) -> Work? {
    guard let first = entries.first, first.deadline <= now else { return nil }
    entries.swapAt(0, entries.count - 1)
    entries.removeLast()
    var parent = 0
    while true {
      var least = parent
      for child in [2 * parent + 1, 2 * parent + 2] where child < entries.count {
        if entries[child].isBefore(entries[least]) { least = child }
      }
      if least == parent { return first.work }
      entries.swapAt(parent, least)
      parent = least
    }
  }
}
