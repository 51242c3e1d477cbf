import CIntrinsics
import NexusModel

// Taking versions from other members. What is here afterwards depends only on which versions came, not on their order
// or number: the highest of them, by `Version.isAbove`. Only `evicted`, which is no version of the key's value but a
// request to let go of it, depends on what is here when it comes.

extension Store {
  /// Takes another member's version of a key if it is newer than what is here, with the stamp that it has. The tap is
  /// not told. Locks for itself; makes room first, unless the caller holds the key's stripe already.
  public func merge(_ key: Key, _ version: Version, as worker: Worker, now: UnixMilliseconds) -> MergeOutcome {
    let stamp = version.stamp.rawValue
    guard isAcceptable(stamp) else { return .refused }
    guard version.kind == .value else {
      let taken = lock(key, as: worker)
      defer { unlock(key, taken) }
      return merged(key, version, nil, as: worker)
    }
    let isHeld = atomicLoad(lockWord(Self.stripe(of: key.slot))) == worker
    let byteCount = key.count + version.value.count
    var hasRoom =
      isHeld
      ? admitsAtOnce(byteCount, in: key.namespace)
      : admit(byteCount, in: key.namespace, as: worker, now: now) == .stored
    // A long value is copied before its stripe is locked, if it is wanted at all.
    var external: UnsafeMutableRawPointer?
    if hasRoom, version.value.count >= Self.copiedAheadBytesMin, isWanted(key, version, as: worker) {
      external = copyAhead(key, version.value, as: worker)
      hasRoom = external != nil
    }
    let taken = lock(key, as: worker)
    defer { unlock(key, taken) }
    guard hasRoom else { return judge(key, version).outcome ?? .outOfMemory }
    return merged(key, version, external, as: worker)
  }

  private func isWanted(_ key: Key, _ version: Version, as worker: Worker) -> Bool {
    let taken = lock(key, as: worker)
    defer { unlock(key, taken) }
    return judge(key, version).outcome == nil
  }

  /// What is here of the key, and the outcome if the version is not to be taken.
  private func judge(_ key: Key, _ version: Version) -> (place: Place?, outcome: MergeOutcome?) {
    let state = namespaces + Int(key.namespace)
    guard state.pointee.isStamped else { return (nil, .refused) }
    let stamp = version.stamp.rawValue
    raiseClock(Self.stripe(of: key.slot), to: stamp)
    guard stamp > state.pointee.flushStamp else { return (nil, .flushed) }
    guard let place = standing(key) else { return (nil, version.kind == .evicted ? .same : nil) }
    if version.kind == .evicted {
      if place.item.isTombstone { return (place, .same) }
      return (place, place.item.stamp > stamp ? .older : nil)
    }
    guard let isAbove = version.isAbove(place.item) else { return (place, .same) }
    return (place, isAbove ? nil : .older)
  }

  /// The key's entry, expired or not, or its tombstone: whatever was not flushed.
  func standing(_ key: Key) -> Place? {
    guard let place = locate(key) else { return nil }
    if isOfOtherEpoch(place.item), !outlivedFlush(place, key) { return nil }
    return place
  }

  /// Under the lock. `external` holds the value already, and is freed where it is not taken.
  private func merged(
    _ key: Key, _ version: Version, _ external: UnsafeMutableRawPointer?, as worker: Worker
  ) -> MergeOutcome {
    let (place, outcome) = judge(key, version)
    if let outcome {
      if let external { spans.free(external, externalBytes(key, version), as: worker) }
      return outcome
    }
    switch version.kind {
    case .value: return take(key, version, place, external)
    case .tombstone: return take(key, tombstone: version.stamp.rawValue, place, as: worker)
    case .evicted:
      if let place {
        raiseFloor(key.slot, to: place.item.stamp)
        take(place, hash: key.hash, slot: key.slot, as: worker)
        noteChange(key)
      }
      return .applied
    }
  }

  private func externalBytes(_ key: Key, _ version: Version) -> Int {
    version.value.count + (key.count > Item.keyCountInArenaMax ? key.count : 0)
  }

  private func take(_ key: Key, _ version: Version, _ place: Place?, _ external: UnsafeMutableRawPointer?)
    -> MergeOutcome
  {
    var fields = ItemFields(namespace: key.namespace)
    fields.typeBits = version.type.bits
    fields.expiresAt = version.expiresAt
    fields.clientFlags = version.clientFlags
    fields.version = version.version
    fields.freshUntil = version.freshUntil
    fields.tags = version.tags
    fields.stamp = version.stamp.rawValue
    let former = place.map { $0.item.isTombstone ? 0 : $0.item.stamp } ?? 0
    let count = version.value.count
    guard let written = lay(key, over: place.map { Entry($0) }, fields, count: count, keep: 0, external: external)
    else { return .outOfMemory }
    if external == nil, let source = version.value.baseAddress {
      written.value.copyMemory(from: source, byteCount: count)
    }
    noteVersion(key.slot, hash: key.hash, from: former, to: fields.stamp)
    noteChange(key)
    return .applied
  }

  private func take(_ key: Key, tombstone stamp: UInt64, _ place: Place?, as worker: Worker) -> MergeOutcome {
    guard let place else { return layTombstone(key, stamp: stamp, as: worker) ? .applied : .outOfMemory }
    if place.item.isTombstone {
      place.item.setStamp(stamp)
      noteStamp(key.slot, stamp)
      return .applied
    }
    bury(key, place, stamp: stamp, as: worker)
    noteChange(key)
    return .applied
  }
}
