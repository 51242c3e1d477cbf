/// When a version of a key was written, by a hybrid logical clock (Kulkarni et al., "Logical Physical Clocks", OPODIS
/// 2014): 48 bits of milliseconds since 1970, 16 of counter. Of two versions of a key the one with the higher stamp
/// wins, on every member.
///
/// The lowest four bits are the same in all stamps of one process and differ, but for one case in sixteen, between two:
/// so two halves of a torn cluster that write a key in one millisecond seldom give equal stamps.
public struct Stamp: Hashable, Comparable, Sendable, BitwiseCopyable {
  /// 0: no stamp.
  public let rawValue: UInt64

  @inlinable public init(rawValue: UInt64) { self.rawValue = rawValue }

  public init(milliseconds: UnixMilliseconds, counter: UInt16 = 0) {
    rawValue = UInt64(clamping: milliseconds) << 16 | UInt64(counter)
  }

  public static let none = Stamp(rawValue: 0)

  public var milliseconds: UnixMilliseconds { UnixMilliseconds(rawValue >> 16) }
  public var counter: UInt16 { UInt16(truncatingIfNeeded: rawValue) }

  @inlinable public static func < (left: Stamp, right: Stamp) -> Bool { left.rawValue < right.rawValue }

  /// The lowest stamp that is above `last` and not before `now`, with `mark` in its lowest four bits. Where one
  /// millisecond has more than 4,096 of them, they run ahead of the time.
  @inlinable @inline(__always)
  public static func next(after last: Stamp, now: UnixMilliseconds, mark: UInt64) -> Stamp {
    let earliest = UInt64(truncatingIfNeeded: now) << 16 | mark & 0xF
    let following = (last.rawValue | 0xF) &+ 1 | mark & 0xF
    return Stamp(rawValue: earliest > last.rawValue ? earliest : following)
  }
}
