/// Timers of members, soonest first: a binary heap. A timer whose member's record has changed since is void, which
/// whoever takes it finds out by its version.
struct Deadlines: Sendable {
  enum Purpose: UInt8, Sendable {
    /// A suspect is dead.
    case suspicion
    /// A dead member has left.
    case forgetting
    /// That a member left need not be known any longer.
    case tombstone
  }

  struct Timer: Sendable {
    var at: UInt64
    var purpose: Purpose
    var place: Int
    var version: UInt32
  }

  private var heap: [Timer] = []

  var next: UInt64? { heap.first?.at }

  mutating func add(_ timer: Timer) {
    heap.append(timer)
    var child = heap.count - 1
    while child > 0, heap[child].at < heap[(child - 1) / 2].at {
      heap.swapAt(child, (child - 1) / 2)
      child = (child - 1) / 2
    }
  }

  mutating func takeDue(_ now: UInt64) -> Timer? {
    guard let first = heap.first, first.at <= now else { return nil }
    heap.swapAt(0, heap.count - 1)
    heap.removeLast()
    var parent = 0
    while true {
      let left = 2 * parent + 1
      guard left < heap.count else { break }
      let least = left + 1 < heap.count && heap[left + 1].at < heap[left].at ? left + 1 : left
      guard heap[least].at < heap[parent].at else { break }
      heap.swapAt(parent, least)
      parent = least
    }
    return first
  }

  mutating func move(_ moves: [Int?]) {
    let timers = heap
    heap = []
    for var timer in timers {
      guard let place = moves[timer.place] else { continue }
      timer.place = place
      add(timer)
    }
  }
}
