import NexusModel

/// What one loop has sent to one member and has not heard back about: effects, numbered from 1 on over all streams to
/// that member, in frames of one turn of the loop each.
///
/// Belongs to `Acknowledgements`.
struct ReplicaStream {
  private struct Frame: BitwiseCopyable {
    var turn: UInt64
    /// Its last effect.
    var last: UInt64
    var byteCount: Int
    var sentAt: UInt64
  }

  /// The last number given.
  private(set) var sent: UInt64 = 0
  /// The member has said what became of everything up to here.
  private(set) var confirmed: UInt64 = 0
  private(set) var unconfirmedBytes = 0
  /// The turns of which the member may lack something, until it is known to have been brought.
  private(set) var gap: ClosedRange<UInt64>?
  /// Counts the times that the gap has grown: what was brought before the last one does not close it.
  private(set) var gapNumber: UInt64 = 0
  /// Invariant: a power of two long; effect n of `confirmed + 1 ... sent` has its slot at `n & mask`.
  private var slots = [UInt16](repeating: 0, count: 1024)
  /// Those not confirmed, oldest first, from `head` on.
  private var frames: [Frame] = []
  private var head = 0

  var unconfirmedCount: Int { Int(sent - confirmed) }
  /// When the oldest effect that is not confirmed was sent.
  var waitsSince: UInt64? { head < frames.count ? frames[head].sentAt : nil }
  private var mask: UInt64 { UInt64(slots.count - 1) }

  mutating func append(_ new: UnsafeBufferPointer<UInt16>) -> ClosedRange<UInt64> {
    precondition(!new.isEmpty, "no effects have no numbers")
    if unconfirmedCount + new.count > slots.count { grow(to: unconfirmedCount + new.count) }
    let first = sent + 1
    let mask = mask
    slots.withUnsafeMutableBufferPointer { slots in
      for (offset, slot) in new.enumerated() { slots[Int((first + UInt64(offset)) & mask)] = slot }
    }
    sent += UInt64(new.count)
    return first...sent
  }

  private mutating func grow(to count: Int) {
    var size = slots.count
    while size < count { size *= 2 }
    var larger = [UInt16](repeating: 0, count: size)
    if sent > confirmed {
      for number in (confirmed + 1)...sent { larger[Int(number) & (size - 1)] = slots[Int(number & mask)] }
    }
    slots = larger
  }

  /// What was appended since the last call left as one frame.
  mutating func endFrame(turn: UInt64, byteCount: Int, now: UInt64) {
    if head > 64, head * 2 > frames.count {
      frames.removeFirst(head)
      head = 0
    }
    frames.append(Frame(turn: turn, last: sent, byteCount: byteCount, sentAt: now))
    unconfirmedBytes += byteCount
  }

  func slot(of number: UInt64) -> Slot? {
    number > confirmed && number <= sent ? Slot(index: slots[Int(number & mask)]) : nil
  }

  /// The turn in which this effect left, while it is not confirmed.
  func turn(of number: UInt64) -> UInt64? {
    guard number > confirmed else { return nil }
    return frames[head...].first { $0.last >= number }?.turn
  }

  mutating func confirm(through number: UInt64) {
    guard number > confirmed, number <= sent else { return }
    confirmed = number
    while head < frames.count, frames[head].last <= number {
      unconfirmedBytes -= frames[head].byteCount
      head += 1
    }
    if head == frames.count {
      frames.removeAll(keepingCapacity: frames.count <= 256)
      head = 0
    }
  }

  /// Whatever is not confirmed now may or may not have arrived, and nobody will tell. Answers the slots of it.
  mutating func lose() -> SlotSet {
    var lost = SlotSet()
    guard sent > confirmed else { return lost }
    for number in (confirmed + 1)...sent { lost.insert(Slot(index: slots[Int(number & mask)])) }
    miss(frames[head].turn...frames[frames.count - 1].turn)
    confirm(through: sent)
    if slots.count > 16 * 1024 { slots = [UInt16](repeating: 0, count: 1024) }
    return lost
  }

  mutating func miss(_ turns: ClosedRange<UInt64>) {
    gap = gap.map { min($0.lowerBound, turns.lowerBound)...max($0.upperBound, turns.upperBound) } ?? turns
    gapNumber += 1
  }

  mutating func close(_ number: UInt64) { if number == gapNumber { gap = nil } }

  /// The member has everything that was sent, or should have been, in these turns.
  func has(_ turns: ClosedRange<UInt64>) -> Bool {
    if let gap, gap.overlaps(turns) { return false }
    return head == frames.count || frames[head].turn > turns.upperBound
  }
}
