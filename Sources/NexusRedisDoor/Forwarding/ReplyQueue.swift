import NexusModel

/// The replies of one session that cannot be sent yet, in the order of its requests: some are under way from other
/// members, some belong to writes that wait for copies, and the others are written already and wait behind those.
///
/// Lives in raw memory of its loop, and only while the session has something to wait for: an idle session has none.
struct ReplyQueue {
  /// Why the session reads no further requests.
  enum Waits: UInt8, BitwiseCopyable {
    case no
    /// As much is under way as may be.
    case forRoom
    /// What comes next has to find everything before it done.
    case untilEmpty
  }

  /// Nil once the connection is gone: what still arrives is dropped.
  var session: Unmanaged<Session>?
  /// Places in the table, 0 for none. The first is always one that is under way or held.
  var first: UInt32 = 0
  var last: UInt32 = 0
  /// Operations under way, those of scattered commands counted one by one, and writes that wait for copies.
  var underWay = 0
  /// Bytes of their requests.
  var requestBytes = 0
  /// Written replies that wait. Of its bytes `heldBytes` are still wanted.
  var held: OutputBuffer
  var heldBytes = 0
  var waits = Waits.no
  /// Slots (modulo 256) that have had operations since the queue was last empty.
  var slots: InlineArray<4, UInt64> = .init(repeating: 0)
  /// Parts under way whose keys lie in several slots, and a bit for each such slot. Where one of them finds its slots
  /// moved it is divided and sent anew, so that nothing on these slots may be given away before it is back.
  var severalUnderWay = 0
  var severalSlots: UnsafeMutablePointer<UInt64>?
  /// `SlotRoutes.changes` when the first of them was given away.
  var changes: UInt64 = 0

  mutating func note(slot: UInt16) { slots[Int(slot >> 6) & 3] |= 1 << UInt64(slot & 63) }

  mutating func noteSeveral(slot: UInt16) {
    let words: UnsafeMutablePointer<UInt64>
    if let severalSlots {
      words = severalSlots
    } else {
      words = .allocate(capacity: Slot.count / 64)
      words.initialize(repeating: 0, count: Slot.count / 64)
      severalSlots = words
    }
    words[Int(slot >> 6)] |= 1 << UInt64(slot & 63)
  }

  mutating func severalReplied() {
    severalUnderWay -= 1
    guard severalUnderWay == 0 else { return }
    severalSlots?.deallocate()
    severalSlots = nil
  }

  @inline(__always) func hasSeveral(slot: UInt16) -> Bool {
    guard severalUnderWay > 0, let severalSlots else { return false }
    return severalSlots[Int(slot >> 6)] & 1 << UInt64(slot & 63) != 0
  }

  func mayHave(slot: UInt16) -> Bool { slots[Int(slot >> 6) & 3] & 1 << UInt64(slot & 63) != 0 }
}

/// A place in a queue, or a part of a scattered command that has one.
struct AwaitedReply: BitwiseCopyable {
  enum State: UInt8, BitwiseCopyable {
    case free
    case underWay
    /// Its bytes lie in the queue's `held`, and leave once the write has its copies.
    case held
    /// Its bytes lie in the queue's `held`.
    case written
  }

  enum Purpose: UInt8, BitwiseCopyable {
    /// The reply goes to the client as it comes.
    case reply
    /// As `reply`, and the client does not want it (CLIENT REPLY OFF, SKIP).
    case silent
    /// The place of a command whose parts are under way: `gathering` is its number.
    case gathered
    /// A part of one; not in the queue's order.
    case part
    /// Nobody waits for it.
    case unwanted
  }

  /// Raised when the place is given back: a ticket names the place as it was when it was handed out.
  var generation: UInt32 = 1
  var next: UInt32 = 0
  var queue: UnsafeMutablePointer<ReplyQueue>?
  var state = State.free
  var purpose = Purpose.reply
  var protocolVersion: UInt8 = 2
  var gathering: UInt32 = 0
  /// `part`: its keys lie in several slots.
  var isSeveral = false
  /// `part`: which one.
  var part: UInt32 = 0
  /// `written`, `held`: where in the queue's `held`.
  var start = 0
  /// `written`, `held`: bytes of the reply. `underWay`: bytes of the request.
  var count = 0
}

/// The places of all queues of a loop, and the queues themselves: used again and again, so that an operation that is
/// given away allocates nothing once the table has grown to what the loop needs.
struct ReplyTable {
  /// Invariant: `capacity` initialised places. Place 0 is nobody's. Moves when it grows: hold numbers, not pointers.
  private(set) var places: UnsafeMutablePointer<AwaitedReply>
  private var capacity = 256
  /// The first of the unused places, linked by `next`; 0 for none.
  private var free: UInt32 = 1
  /// Queues of no session, with their buffers.
  private var idle: [UnsafeMutablePointer<ReplyQueue>] = []
  private(set) var underWay = 0
  private let gauge: MemoryGauge

  /// What a queue keeps of its buffer when it is put away, and how many are.
  static let keptBytes = 4 * 1024
  static let keptQueues = 256

  init(_ gauge: MemoryGauge) {
    self.gauge = gauge
    places = .allocate(capacity: capacity)
    places.initialize(repeating: AwaitedReply(), count: capacity)
    gauge.add(capacity * MemoryLayout<AwaitedReply>.stride)
    link(from: 1)
  }

  /// Replies that have not come when the loop ends still have their queues: every one of these has a place.
  func deallocate() {
    let used = Set((1..<capacity).compactMap { places[$0].queue })
    for queue in used.union(idle) { free(queue) }
    gauge.subtract(capacity * MemoryLayout<AwaitedReply>.stride)
    places.deallocate()
  }

  private func link(from first: Int) {
    for index in first..<capacity { places[index].next = index + 1 < capacity ? UInt32(index + 1) : 0 }
  }

  // MARK: Places

  mutating func take(_ queue: UnsafeMutablePointer<ReplyQueue>?, _ purpose: AwaitedReply.Purpose) -> UInt32 {
    if free == 0 { grow() }
    let index = free
    let place = places + Int(index)
    free = place.pointee.next
    place.pointee.next = 0
    place.pointee.queue = queue
    place.pointee.purpose = purpose
    place.pointee.state = .underWay
    place.pointee.count = 0
    place.pointee.isSeveral = false
    underWay &+= 1
    return index
  }

  mutating func giveBack(_ index: UInt32) {
    let place = places + Int(index)
    place.pointee.generation &+= 1
    place.pointee.state = .free
    place.pointee.queue = nil
    place.pointee.next = free
    free = index
    underWay &-= 1
  }

  private mutating func grow() {
    let larger = UnsafeMutablePointer<AwaitedReply>.allocate(capacity: capacity * 2)
    larger.initialize(from: places, count: capacity)
    (larger + capacity).initialize(repeating: AwaitedReply(), count: capacity)
    places.deallocate()
    places = larger
    let first = capacity
    gauge.add(capacity * MemoryLayout<AwaitedReply>.stride)
    capacity *= 2
    link(from: first)
    free = UInt32(first)
  }

  func ticket(_ index: UInt32) -> UInt64 { UInt64(places[Int(index)].generation) << 32 | UInt64(index) }

  /// The place that the ticket was handed out for, if it is still in this state; nil if it has been given back since.
  @inline(__always) func place(_ ticket: UInt64, _ state: AwaitedReply.State = .underWay) -> UInt32? {
    let index = UInt32(truncatingIfNeeded: ticket)
    guard Int(index) < capacity, places[Int(index)].generation == UInt32(ticket >> 32),
      places[Int(index)].state == state
    else { return nil }
    return index
  }

  // MARK: Queues

  mutating func openQueue(_ session: Session, changes: UInt64) -> UnsafeMutablePointer<ReplyQueue> {
    let queue: UnsafeMutablePointer<ReplyQueue>
    if let used = idle.popLast() {
      queue = used
    } else {
      queue = .allocate(capacity: 1)
      queue.initialize(to: ReplyQueue(held: OutputBuffer(capacity: 1024)))
      gauge.add(MemoryLayout<ReplyQueue>.stride + 1024)
    }
    queue.pointee.session = Unmanaged.passUnretained(session)
    queue.pointee.changes = changes
    return queue
  }

  /// The queue is empty and its session does not know it any more.
  mutating func close(_ queue: UnsafeMutablePointer<ReplyQueue>) {
    let before = queue.pointee.held.capacity
    queue.pointee.held.count = 0
    queue.pointee.held.shrink(to: Self.keptBytes)
    gauge.add(queue.pointee.held.capacity - before)
    let held = queue.pointee.held
    queue.pointee = ReplyQueue(held: held)
    if idle.count < Self.keptQueues { idle.append(queue) } else { free(queue) }
  }

  private func free(_ queue: UnsafeMutablePointer<ReplyQueue>) {
    gauge.subtract(MemoryLayout<ReplyQueue>.stride + queue.pointee.held.capacity)
    queue.pointee.held.deallocate()
    queue.deallocate()
  }

  // MARK: Order

  /// Puts a place that is under way at the end.
  func append(_ index: UInt32, to queue: UnsafeMutablePointer<ReplyQueue>) {
    if queue.pointee.last != 0 {
      places[Int(queue.pointee.last)].next = index
    } else {
      queue.pointee.first = index
    }
    queue.pointee.last = index
  }

  /// A reply that is written already, behind everything that is in the queue, which is not empty.
  mutating func append(_ bytes: UnsafeRawBufferPointer, to queue: UnsafeMutablePointer<ReplyQueue>) {
    guard bytes.count > 0 else { return }
    let start = keep(bytes, in: queue)
    let last = queue.pointee.last
    if places[Int(last)].state == .written, places[Int(last)].start + places[Int(last)].count == start {
      places[Int(last)].count += bytes.count
      return
    }
    let index = take(queue, .reply)
    places[Int(index)].state = .written
    places[Int(index)].start = start
    places[Int(index)].count = bytes.count
    append(index, to: queue)
  }

  /// A reply whose write waits for copies gets the place at the end.
  mutating func hold(_ bytes: UnsafeRawBufferPointer, in queue: UnsafeMutablePointer<ReplyQueue>) -> UInt32 {
    let start = keep(bytes, in: queue)
    let index = take(queue, .reply)
    places[Int(index)].state = .held
    places[Int(index)].start = start
    places[Int(index)].count = bytes.count
    append(index, to: queue)
    return index
  }

  /// The bytes of a held reply, whose place is about to be given back or written anew.
  func takeHeld(_ index: UInt32, of queue: UnsafeMutablePointer<ReplyQueue>) -> UnsafeRawBufferPointer {
    let place = places + Int(index)
    queue.pointee.heldBytes -= place.pointee.count
    return UnsafeRawBufferPointer(start: queue.pointee.held.base + place.pointee.start, count: place.pointee.count)
  }

  /// The reply of a place that is not the first has come.
  mutating func write(_ bytes: UnsafeRawBufferPointer, at index: UInt32, of queue: UnsafeMutablePointer<ReplyQueue>) {
    let start = keep(bytes, in: queue)
    let place = places + Int(index)
    place.pointee.state = .written
    place.pointee.start = start
    place.pointee.count = bytes.count
  }

  private func keep(_ bytes: UnsafeRawBufferPointer, in queue: UnsafeMutablePointer<ReplyQueue>) -> Int {
    if queue.pointee.held.count > 64 * 1024, queue.pointee.heldBytes < queue.pointee.held.count / 2 { compact(queue) }
    let before = queue.pointee.held.capacity
    let start = queue.pointee.held.count
    queue.pointee.held.append(bytes)
    queue.pointee.heldBytes += bytes.count
    if queue.pointee.held.capacity != before { gauge.add(queue.pointee.held.capacity - before) }
    return start
  }

  /// Moves what is still wanted to the front. A place's bytes may lie before those of an earlier place, so they are
  /// copied out; done only when at least half is gone, which keeps it linear over all.
  private func compact(_ queue: UnsafeMutablePointer<ReplyQueue>) {
    var wanted = OutputBuffer(capacity: max(1024, queue.pointee.heldBytes))
    var index = queue.pointee.first
    while index != 0 {
      let place = places + Int(index)
      if place.pointee.state == .written || place.pointee.state == .held {
        let start = wanted.count
        wanted.append(queue.pointee.held.base + place.pointee.start, place.pointee.count)
        place.pointee.start = start
      }
      index = place.pointee.next
    }
    gauge.add(wanted.capacity - queue.pointee.held.capacity)
    queue.pointee.held.deallocate()
    queue.pointee.held = wanted
  }

  /// Takes the first place away, and every written one behind it, whose bytes go to `out`.
  mutating func advance(_ queue: UnsafeMutablePointer<ReplyQueue>, _ out: inout OutputBuffer) {
    var index = places[Int(queue.pointee.first)].next
    giveBack(queue.pointee.first)
    while index != 0, places[Int(index)].state == .written {
      let place = places[Int(index)]
      out.append(queue.pointee.held.base + place.start, place.count)
      queue.pointee.heldBytes -= place.count
      giveBack(index)
      index = place.next
    }
    queue.pointee.first = index
    if index == 0 { queue.pointee.last = 0 }
    if queue.pointee.heldBytes == 0 { queue.pointee.held.count = 0 }
  }
}
