import NexusModel

/// Keeps what lies in a stream that its sender has given up from being taken after what came over the next one.
///
/// A connection that breaks at one end may still hold effects at the other, on another loop. Taken late, an old value
/// would bring a key back whose tombstone has gone meanwhile: the sender counts what it has not heard of as lost, so it
/// waits for nothing there. Each loop of a member numbers the streams that it opens here, and effects count only while
/// no later stream of that loop has begun, nor any stream of a later process of that member.
///
/// Of all loops of this node.
final class StreamFences: Sendable {
  private let newest = Guarded<[MemberID: [UInt32: StreamFence.Newest]]>([:])

  /// The lower bits count the streams of one process: 50 a second for longer than a process lives.
  private static let countBits: UInt64 = 22

  /// What a process counts on from. Later processes have higher numbers.
  static func first(startedAt milliseconds: UInt64) -> UInt64 { milliseconds << countBits }

  /// A stream begins, and older ones end.
  func begin(_ number: UInt64, of member: MemberID, loop: UInt32) -> StreamFence {
    newest.withLock { members in
      let process = (number >> Self.countBits) << Self.countBits
      for fence in members[member, default: [:]].values { fence.raise(to: process) }
      let fence = members[member]?[loop] ?? StreamFence.Newest()
      members[member, default: [:]][loop] = fence
      fence.raise(to: number)
      return StreamFence(number: number, newest: fence)
    }
  }
}

/// One stream's place among those of its sender.
struct StreamFence: Sendable {
  final class Newest: Sendable {
    private let number = Guarded<UInt64>(0)
    var value: UInt64 { number.withLock { $0 } }
    func raise(to new: UInt64) { number.withLock { $0 = max($0, new) } }
  }

  let number: UInt64
  fileprivate let newest: Newest

  fileprivate init(number: UInt64, newest: Newest) {
    self.number = number
    self.newest = newest
  }

  /// A later stream has begun. Streams of who does not count them are never passed.
  var isPassed: Bool { number != 0 && newest.value > number }
}
