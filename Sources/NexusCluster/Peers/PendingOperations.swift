import NexusModel
import NexusService

/// An operation that was put into a frame and has no answer yet.
struct PendingOperation: BitwiseCopyable {
  var ticket: UInt64
  /// Monotonic milliseconds.
  var deadline: UInt64
  /// Where its bytes lie in `FrameStore`.
  var frame: Int32
  var offset: UInt32
  var count: UInt32
  var slot: Slot
  /// `PeerLoop.requesters`.
  var requester: UInt16
  var flags: Operation.Flags
  /// Times that it was routed before.
  var attempts: UInt8
  /// Sent by `ask`: to this member and to no other.
  var isDirect: Bool
  /// A read that this member's copy shall answer, because the slot's owner does not; not among the slot's traffic.
  var isFromCopy = false
  /// Members whose copies were asked before, or could not be.
  var copiesTried: UInt8 = 0
  var isLive: Bool
  /// Monotonic milliseconds.
  var sentAt: UInt64 = 0

  static let none = PendingOperation(
    ticket: 0, deadline: 0, frame: 0, offset: 0, count: 0, slot: Slot(index: 0), requester: 0, flags: [],
    attempts: 0, isDirect: false, isLive: false)
}

/// The unanswered operations of one link by their ids, which rise by one: a ring that grows.
///
/// Belongs to one link.
struct PendingOperations {
  /// Invariant: `capacity` (a power of two) records; those of `first..<next` may be live, at `id & mask`.
  private var records: UnsafeMutablePointer<PendingOperation>
  private var capacity = 256
  /// 0 is never an id: a field of 0 is left out on the wire.
  private(set) var first: UInt32 = 1
  private(set) var next: UInt32 = 1
  private(set) var liveCount = 0

  static let most = 1 << 17

  init() {
    records = .allocate(capacity: capacity)
    records.initialize(repeating: .none, count: capacity)
  }

  func deallocate() { records.deallocate() }

  var isFull: Bool { Int(next &- first) >= Self.most }

  @inline(__always) private func place(_ id: UInt32) -> UnsafeMutablePointer<PendingOperation> {
    records + Int(id) & (capacity - 1)
  }

  @inline(__always) mutating func append(_ record: PendingOperation) -> UInt32 {
    if Int(next &- first) == capacity { grow() }
    let id = next
    place(id).pointee = record
    next = next == .max ? 1 : next + 1
    liveCount += 1
    return id
  }

  private mutating func grow() {
    let larger = UnsafeMutablePointer<PendingOperation>.allocate(capacity: capacity * 2)
    larger.initialize(repeating: .none, count: capacity * 2)
    var id = first
    while id != next {
      (larger + Int(id) & (capacity * 2 - 1)).pointee = place(id).pointee
      id = id == .max ? 1 : id + 1
    }
    records.deallocate()
    records = larger
    capacity *= 2
  }

  func peek(_ id: UInt32) -> PendingOperation? {
    guard id != 0, id &- first < next &- first, place(id).pointee.isLive else { return nil }
    return place(id).pointee
  }

  /// Takes the record out; nil if there is none (any more).
  @inline(__always) mutating func take(_ id: UInt32) -> PendingOperation? {
    guard id != 0, id &- first < next &- first else { return nil }
    let record = place(id).pointee
    guard record.isLive else { return nil }
    place(id).pointee.isLive = false
    liveCount -= 1
    while first != next, !place(first).pointee.isLive { first = first == .max ? 1 : first + 1 }
    return record
  }

  /// The ids that are live, in the order they were given.
  func liveIDs(where matches: (PendingOperation) -> Bool = { _ in true }) -> [UInt32] {
    var ids: [UInt32] = []
    var id = first
    while id != next {
      if place(id).pointee.isLive, matches(place(id).pointee) { ids.append(id) }
      id = id == .max ? 1 : id + 1
    }
    return ids
  }
}
