import NexusModel

/// Replies to writes that ran on this loop for somebody else, until the writes have their copies. Places and their
/// buffers are used again.
///
/// Belongs to one loop.
struct HeldReplies {
  private struct Place {
    var requester: UInt16 = 0
    var ticket: UInt64 = 0
    var bytes = OutputBuffer(capacity: 64)
    /// Raised when the place is given back.
    var generation: UInt32 = 0
    var isTaken = false
    /// The requester is gone: nobody is answered.
    var isUnwanted = false
  }

  private var places: [Place] = []
  private var free: [Int] = []

  /// What a place keeps of its buffer.
  private static let keptBytes = 1024

  func deallocate() { for place in places { place.bytes.deallocate() } }

  /// - Returns: a ticket of its own.
  mutating func hold(_ bytes: UnsafeRawBufferPointer, for requester: UInt16, _ ticket: UInt64) -> UInt64 {
    let index: Int
    if let used = free.popLast() {
      index = used
    } else {
      index = places.count
      places.append(Place())
    }
    places[index].requester = requester
    places[index].ticket = ticket
    places[index].isTaken = true
    places[index].isUnwanted = false
    places[index].bytes.append(bytes)
    return UInt64(places[index].generation) << 32 | UInt64(index)
  }

  /// What a place held. `giveBack` follows, once it has been read.
  struct Reply {
    let requester: UInt16
    let ticket: UInt64
    let bytes: UnsafeRawBufferPointer
    fileprivate let index: Int
  }

  /// Nil if nobody wants it any more.
  mutating func take(_ ticket: UInt64) -> Reply? {
    let index = Int(ticket & 0xFFFF_FFFF)
    guard index < places.count, places[index].isTaken, UInt64(places[index].generation) == ticket >> 32 else {
      return nil
    }
    places[index].isTaken = false
    places[index].generation &+= 1
    let reply = Reply(
      requester: places[index].requester, ticket: places[index].ticket, bytes: places[index].bytes.bytes, index: index)
    if !places[index].isUnwanted { return reply }
    giveBack(reply)
    return nil
  }

  mutating func giveBack(_ reply: Reply) {
    places[reply.index].bytes.count = 0
    places[reply.index].bytes.shrink(to: Self.keptBytes)
    free.append(reply.index)
  }

  /// Nobody is answered under this number any more.
  mutating func forget(_ requester: UInt16) {
    for index in places.indices where places[index].isTaken && places[index].requester == requester {
      places[index].isUnwanted = true
    }
  }
}
