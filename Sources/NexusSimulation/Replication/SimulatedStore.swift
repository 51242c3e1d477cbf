import NexusModel
import NexusReplication

/// What one key is, or was, at a stamp, in the simulated store: as `Version` is in the real one.
public struct SimulatedVersion: Hashable, Sendable {
  public enum Kind: UInt8, Sendable { case value, tombstone, evicted }

  public var kind: Kind
  public var slot: Slot
  public var hash: UInt64
  public var stamp: Stamp
  /// The number of the request that wrote it.
  public var value = 0
  /// 0: no TTL.
  public var expiresAt: UnixMilliseconds = 0

  var known: KeyVersion { KeyVersion(hash: hash, stamp: stamp, isTombstone: kind == .tombstone) }

  /// The order of `Version.isAbove`; nil: they are the same.
  func isAbove(_ other: SimulatedVersion) -> Bool? {
    if stamp != other.stamp { return stamp > other.stamp }
    if kind == .tombstone || other.kind == .tombstone { return kind == other.kind ? nil : kind == .tombstone }
    let (mine, theirs) = (expiresAt == 0 ? .max : expiresAt, other.expiresAt == 0 ? .max : other.expiresAt)
    if mine != theirs { return mine > theirs }
    return value == other.value ? nil : value > other.value
  }
}

/// Bugs that the checks must find.
public enum ReplicaBug: Sendable, CaseIterable {
  /// A tombstone goes after a second, whoever may still have an older value.
  case tombstoneDroppedEarly
  /// What a member misses while its connection is down is not noted.
  case hintLost
  /// A merge keeps what is here already.
  case mergePrefersLocal
  /// A version that replaces another one leaves the digest as it was.
  case digestNotUpdated
  /// Frames and confirmations of a connection that is lost count on the next one.
  case streamsNotFenced
}

/// The entries of one simulated member, by the rules of the real store (`Store+Merge`, `Store+Tombstones`,
/// `Store+Copies`) with a dictionary for its memory. One stamped namespace; every slot has a clock, as stripes do.
public final class SimulatedStore {
  public enum Outcome { case applied, older, same, flushed }

  public struct SlotRecord {
    public var entries: [UInt64: SimulatedVersion] = [:]
    public var digest: UInt64 = 0
    var clock = Stamp.none
    var lastStamp = Stamp.none
    public var floor = Stamp.none
    var evictedAt: UnixMilliseconds = 0
    var tombstones = 0
    /// What expires leaves a tombstone.
    var leavesTraces = false
  }

  public private(set) var slots: [SlotRecord]
  public private(set) var flushStamp = Stamp.none
  private let mark: UInt64
  private let bug: ReplicaBug?

  init(slotCount: Int, mark: UInt64, bug: ReplicaBug?) {
    slots = Array(repeating: SlotRecord(), count: slotCount)
    self.mark = mark
    self.bug = bug
  }

  public subscript(slot: Slot, hash: UInt64) -> SimulatedVersion? { slots[Int(slot.index)].entries[hash] }
  subscript(slot: Slot) -> SlotRecord { slots[Int(slot.index)] }

  var valueCount: Int { slots.reduce(0) { $0 + $1.entries.count - $1.tombstones } }

  /// Some value, by chance.
  func anyValue(_ chance: UInt64) -> SimulatedVersion? {
    let values = slots.flatMap(\.entries.values).filter { $0.kind == .value }
    return values.isEmpty ? nil : values.sorted { $0.hash < $1.hash }[Int(chance % UInt64(values.count))]
  }

  var tombstoneCount: Int { slots.reduce(0) { $0 + $1.tombstones } }

  /// The value that a reader sees.
  public func read(_ slot: Slot, _ hash: UInt64, now: UnixMilliseconds) -> SimulatedVersion? {
    guard let found = self[slot, hash], found.kind == .value else { return nil }
    return found.expiresAt != 0 && found.expiresAt <= now ? nil : found
  }

  private func nextStamp(_ index: Int, _ now: UnixMilliseconds) -> Stamp {
    let stamp = Stamp.next(after: slots[index].clock, now: now, mark: mark)
    slots[index].clock = stamp
    return stamp
  }

  /// In the place of whatever is there.
  private func put(_ version: SimulatedVersion) {
    let index = Int(version.slot.index)
    let former = slots[index].entries.updateValue(version, forKey: version.hash)
    if bug != .digestNotUpdated || former == nil {
      if let former, former.kind == .value { slots[index].digest &-= former.known.digest }
      if version.kind == .value { slots[index].digest &+= version.known.digest }
    }
    if former?.kind == .tombstone { slots[index].tombstones -= 1 }
    if version.kind == .tombstone { slots[index].tombstones += 1 }
    slots[index].lastStamp = max(slots[index].lastStamp, version.stamp)
  }

  private func take(_ version: SimulatedVersion) {
    let index = Int(version.slot.index)
    slots[index].entries[version.hash] = nil
    if version.kind == .value { slots[index].digest &-= version.known.digest }
    if version.kind == .tombstone { slots[index].tombstones -= 1 }
  }

  // MARK: What its own node does. Each answers what other members shall hear

  func write(
    _ slot: Slot, _ hash: UInt64, _ value: Int, expiresAt: UnixMilliseconds, now: UnixMilliseconds
  ) -> SimulatedVersion {
    var version = SimulatedVersion(kind: .value, slot: slot, hash: hash, stamp: nextStamp(Int(slot.index), now))
    (version.value, version.expiresAt) = (value, expiresAt)
    put(version)
    return version
  }

  /// Nil: there is nothing to delete.
  func delete(_ slot: Slot, _ hash: UInt64, now: UnixMilliseconds) -> SimulatedVersion? {
    guard read(slot, hash, now: now) != nil else { return nil }
    let version = SimulatedVersion(kind: .tombstone, slot: slot, hash: hash, stamp: nextStamp(Int(slot.index), now))
    put(version)
    return version
  }

  func evict(_ slot: Slot, _ hash: UInt64, now: UnixMilliseconds) -> SimulatedVersion? {
    guard var found = read(slot, hash, now: now) else { return nil }
    take(found)
    raiseFloor(Int(slot.index), to: found.stamp)
    slots[Int(slot.index)].evictedAt = now
    (found.kind, found.value, found.expiresAt) = (.evicted, 0, 0)
    return found
  }

  // MARK: What other members say

  func merge(_ version: SimulatedVersion) -> Outcome {
    let index = Int(version.slot.index)
    slots[index].clock = max(slots[index].clock, version.stamp)
    guard version.stamp > flushStamp else { return .flushed }
    let found = slots[index].entries[version.hash]
    if version.kind == .evicted {
      guard let found, found.kind == .value else { return .same }
      if found.stamp > version.stamp { return .older }
      take(found)
      raiseFloor(index, to: found.stamp)
      return .applied
    }
    if let found {
      guard let isAbove = version.isAbove(found) else { return .same }
      guard isAbove, bug != .mergePrefersLocal || found.kind != .value else { return .older }
    }
    put(version)
    return .applied
  }

  func flush(upTo stamp: Stamp) {
    guard stamp > flushStamp else { return }
    flushStamp = stamp
    for index in slots.indices {
      slots[index].clock = max(slots[index].clock, stamp)
      for entry in slots[index].entries.values where entry.stamp <= stamp { take(entry) }
    }
  }

  private func raiseFloor(_ index: Int, to stamp: Stamp) { slots[index].floor = max(slots[index].floor, stamp) }

  // MARK: What repair does

  func expireDue(_ slot: Slot, now: UnixMilliseconds) {
    for var entry in self[slot].entries.values where entry.expiresAt != 0 && entry.expiresAt <= now {
      guard self[slot].leavesTraces else {
        take(entry)
        continue
      }
      (entry.kind, entry.value, entry.expiresAt) = (.tombstone, 0, 0)
      put(entry)
    }
  }

  func leaveTraces(_ isLeft: Bool, in set: SlotSet) { set.forEach { slots[Int($0.index)].leavesTraces = isLeft } }

  func collectTombstones(_ slot: Slot, upTo stamp: Stamp, raisingFloor: Bool) {
    for entry in self[slot].entries.values where entry.kind == .tombstone && entry.stamp <= stamp {
      take(entry)
      if raisingFloor { raiseFloor(Int(slot.index), to: entry.stamp) }
    }
  }

  /// The slot's clock stays: it is its stripe's.
  func forget(_ slot: Slot) {
    let clock = self[slot].clock
    let leavesTraces = self[slot].leavesTraces
    slots[Int(slot.index)] = SlotRecord()
    slots[Int(slot.index)].leavesTraces = leavesTraces
    slots[Int(slot.index)].clock = clock
  }

  /// What the digest has to be.
  public func countedDigest(of index: Int) -> UInt64 {
    slots[index].entries.values.reduce(0) { $1.kind == .value ? $0 &+ $1.known.digest : $0 }
  }
}

/// A simulated store as the repair core sees it: what `StoreCopies` is for the real one.
struct SimulatedCopies: ReplicaCopies {
  let store: SimulatedStore
  let now: UnixMilliseconds
  let bound: ClockBound
  let owed: SlotSet
  let pressureMilliseconds: Int64

  func digest(of slot: Slot) -> UInt64 { store[slot].digest }
  func lastStamp(of slot: Slot) -> Stamp { store[slot].lastStamp }
  func floor(of slot: Slot) -> Stamp { store[slot].floor }
  func isPartial(_ slot: Slot) -> Bool {
    let evictedAt = store[slot].evictedAt
    return evictedAt != 0 && evictedAt + pressureMilliseconds > now
  }
  func tombstoneCount(of slot: Slot) -> Int { store[slot].tombstones }
  func keyCount(of slot: Slot) -> Int { store[slot].entries.count }
  func isOwed(_ slot: Slot) -> Bool { owed.contains(slot) }
  var flushes: [FlushStamp] {
    store.flushStamp == .none ? [] : [FlushStamp(namespace: 0, stamp: store.flushStamp)]
  }
  func accepts(_ stamp: Stamp) -> Bool { bound.accepts(stamp, now: now) }
  func visit(_ slot: Slot, _ body: (KeyVersion) -> Void) {
    store.expireDue(slot, now: now)
    // A dictionary's order is chance that no seed rules.
    for entry in store[slot].entries.values.sorted(by: { $0.hash < $1.hash }) { body(entry.known) }
  }

  func version(of key: KeyHash, in slot: Slot) -> KeyVersion? { store[slot, key.hash]?.known }
}
