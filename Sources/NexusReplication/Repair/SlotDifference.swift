import NexusModel

/// What has to happen so that two copies of a slot become equal. The member that executes the slot decides: "mine".
///
/// A value that one side lacks was dropped there on purpose if its stamp is not above that side's *authority*: the
/// floor of a copy that is known to have had everything. Then it is dropped on the other side too. Otherwise it is
/// missing, and sent. While a side is *partial* (it has evicted something lately), what it lacks below its floor is
/// neither sent nor dropped.
///
/// A tombstone is never dropped: it is sent to who lacks it, unless that side's floor stands in for it.
struct SlotDifference: Equatable {
  var wanted: [KeyHash] = []
  var given: [KeyHash] = []
  var droppedHere: [KeyVersion] = []
  var droppedThere: [KeyVersion] = []
  /// Refused, because it is too far ahead of this node's time.
  var ahead: Stamp?
  /// Something was flushed on one side, and the other follows.
  var isFlushed = false

  var isEmpty: Bool {
    wanted.isEmpty && given.isEmpty && droppedHere.isEmpty && droppedThere.isEmpty && ahead == nil
      && !isFlushed
  }

  struct Side {
    var versions: [KeyVersion]
    var floor: Stamp
    /// The floor, if what this side lacks below it is known to have been dropped on purpose; else none.
    var authority: Stamp
    var isPartial: Bool
    var flushes: [FlushStamp]

    func hasFlushed(_ version: KeyVersion) -> Bool {
      flushes.contains { $0.namespace == version.namespace && version.stamp <= $0.stamp }
    }

    /// Lacks it, and shall go on lacking it for now.
    func doesWithout(_ version: KeyVersion) -> Bool {
      version.stamp <= floor && (isPartial || version.isTombstone)
    }
  }

  private let mine: Side
  private let theirs: Side
  private let cutoff: Stamp
  private let isLeftover: Bool
  private let yields: Bool
  private let accepts: (Stamp) -> Bool

  static func == (left: SlotDifference, right: SlotDifference) -> Bool {
    left.wanted == right.wanted && left.given == right.given && left.droppedHere == right.droppedHere
      && left.droppedThere == right.droppedThere && left.ahead == right.ahead
      && left.isFlushed == right.isFlushed
  }

  /// - Parameters:
  ///   - cutoff: what is newer here is on its way to the other member, or noted as missed by it.
  ///   - isLeftover: the other member has no place for the slot: it gives, and gets nothing.
  ///   - yields: this side may have missed that something was dropped: it follows the other's authority.
  init(
    mine: Side, theirs: Side, cutoff: Stamp, isLeftover: Bool, yields: Bool, accepts: @escaping (Stamp) -> Bool
  ) {
    self.mine = mine
    self.theirs = theirs
    self.cutoff = cutoff
    self.isLeftover = isLeftover
    self.yields = yields
    self.accepts = accepts
    let left = Self.sorted(mine.versions)
    let right = Self.sorted(theirs.versions)
    var (a, b) = (0, 0)
    while a < left.count || b < right.count {
      if b == right.count || a < left.count && Self.precedes(left[a], right[b]) {
        onlyHere(left[a])
        a += 1
      } else if a == left.count || Self.precedes(right[b], left[a]) {
        onlyThere(right[b])
        b += 1
      } else {
        onBoth(left[a], right[b])
        a += 1
        b += 1
      }
    }
  }

  private static func precedes(_ left: KeyVersion, _ right: KeyVersion) -> Bool {
    left.hash == right.hash ? left.namespace < right.namespace : left.hash < right.hash
  }

  private static func sorted(_ versions: [KeyVersion]) -> [KeyVersion] {
    versions.count < 2 ? versions : versions.sorted(by: precedes)
  }

  private mutating func onBoth(_ mine: KeyVersion, _ theirs: KeyVersion) {
    if theirs.isNewer(than: mine) {
      if self.mine.hasFlushed(theirs) { flushed(theirs) } else { want(theirs) }
    } else if mine.isNewer(than: theirs) {
      if self.theirs.hasFlushed(mine) { flushed(mine) } else { give(mine) }
    }
  }

  private mutating func onlyHere(_ version: KeyVersion) {
    if theirs.hasFlushed(version) {
      flushed(version)
    } else if yields, !version.isTombstone, version.stamp <= theirs.authority {
      droppedHere.append(version)
    } else if !theirs.doesWithout(version) {
      give(version)
    }
  }

  private mutating func onlyThere(_ version: KeyVersion) {
    if mine.hasFlushed(version) {
      flushed(version)
    } else if !version.isTombstone, version.stamp <= mine.authority {
      if !isLeftover { droppedThere.append(version) }
    } else if !mine.doesWithout(version) {
      want(version)
    }
  }

  /// It goes when its holder follows the flush. A tombstone may stay: the flush stands in for it.
  private mutating func flushed(_ version: KeyVersion) {
    if !version.isTombstone { isFlushed = true }
  }

  private mutating func want(_ version: KeyVersion) {
    if accepts(version.stamp) {
      wanted.append(version.key)
    } else {
      ahead = max(ahead ?? version.stamp, version.stamp)
    }
  }

  private mutating func give(_ version: KeyVersion) {
    if !isLeftover, version.stamp <= cutoff { given.append(version.key) }
  }
}
