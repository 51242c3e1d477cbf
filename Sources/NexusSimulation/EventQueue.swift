/// What is to happen, soonest first; of one moment, in the order in which it was added (a binary heap).
public struct EventQueue<Event> {
  private struct Item {
    var at: UInt64
    var order: UInt64
    var event: Event

    func precedes(_ other: Item) -> Bool { at == other.at ? order < other.order : at < other.at }
  }

  private var heap: [Item] = []
  private var added: UInt64 = 0

  public init() {}

  public var count: Int { heap.count }

  /// Microseconds of world time.
  public var nextAt: UInt64? { heap.first?.at }

  public mutating func add(_ event: Event, at time: UInt64) {
    heap.append(Item(at: time, order: added, event: event))
    added += 1
    var child = heap.count - 1
    while child > 0, heap[child].precedes(heap[(child - 1) / 2]) {
      heap.swapAt(child, (child - 1) / 2)
      child = (child - 1) / 2
    }
  }

  public mutating func take() -> (at: UInt64, event: Event)? {
    guard let first = heap.first else { return nil }
    heap.swapAt(0, heap.count - 1)
    heap.removeLast()
    var parent = 0
    while true {
      let left = 2 * parent + 1
      guard left < heap.count else { break }
      let least = left + 1 < heap.count && heap[left + 1].precedes(heap[left]) ? left + 1 : left
      guard heap[least].precedes(heap[parent]) else { break }
      heap.swapAt(parent, least)
      parent = least
    }
    return (first.at, first.event)
  }
}
