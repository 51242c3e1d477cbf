import CIntrinsics
import NexusModel

/// An entry that has got its bytes, but for those of its value from `keep` on.
struct Written: BitwiseCopyable {
  let item: Item
  let value: UnsafeMutableRawPointer
}

extension Store {
  /// Stores a value. `existing` is what `find` just returned for the key, or nil. Keeps client flags and tags. The
  /// value may be another entry's, whose stripe is locked: writing moves no entry but the key's own.
  /// - Parameter freshUntil: of a value that an origin gave; a writer's own has none (0).
  public func put(
    _ key: Key, over existing: Entry?, _ value: UnsafeRawBufferPointer, _ expiry: Expiry, type: ValueType = .string,
    freshUntil: UnixMilliseconds = 0
  ) -> WriteOutcome {
    var fields = fields(of: existing, key)
    fields.freshUntil = freshUntil
    fields.typeBits = type.bits
    fields.apply(expiry)
    guard let written = write(key, existing, fields, count: value.count, keep: 0) else { return .outOfMemory }
    if let source = value.baseAddress { written.value.copyMemory(from: source, byteCount: value.count) }
    noteWritten(key, written.item)
    return .stored
  }

  /// Stores a value under a key that is not locked yet, whatever was there.
  @inlinable @inline(__always)
  public func set(
    _ key: Key, to value: UnsafeRawBufferPointer, _ expiry: Expiry, touch: Bool, as worker: Worker,
    now: UnixMilliseconds
  ) -> WriteOutcome {
    if value.count >= Self.copiedAheadBytesMin { return setLarge(key, value, expiry, touch, worker, now) }
    let taken = lock(key, as: worker)
    let outcome = put(key, over: find(key, now: now, touch: touch), value, expiry)
    unlock(key, taken)
    return outcome
  }

  /// Copying this many bytes takes longer than others should wait for a stripe's lock: it is done before. Larger
  /// than any value that lies in a page.
  @inlinable static var copiedAheadBytesMin: Int { 1 << 20 }

  @usableFromInline @inline(never)
  func setLarge(
    _ key: Key, _ value: UnsafeRawBufferPointer, _ expiry: Expiry, _ touch: Bool, _ worker: Worker,
    _ now: UnixMilliseconds
  ) -> WriteOutcome {
    guard let external = copyAhead(key, value, as: worker) else { return .outOfMemory }
    let taken = lock(key, as: worker)
    defer { unlock(key, taken) }
    let existing = find(key, now: now, touch: touch)
    var fields = fields(of: existing, key)
    fields.typeBits = ValueType.string.bits
    fields.apply(expiry)
    guard let written = write(key, existing, fields, count: value.count, keep: 0, external: external) else {
      return .outOfMemory
    }
    noteWritten(key, written.item)
    return .stored
  }

  /// External memory with the value in it, before a lock is taken. A long key will lie before its value, and is written
  /// with the entry.
  func copyAhead(_ key: Key, _ value: UnsafeRawBufferPointer, as worker: Worker) -> UnsafeMutableRawPointer? {
    let keyBytes = key.count > Item.keyCountInArenaMax ? key.count : 0
    guard let external = spans.allocate(keyBytes + value.count, as: worker) else { return nil }
    (external + keyBytes).copyMemory(from: value.baseAddress!, byteCount: value.count)
    return external
  }

  /// Gives the entry (a new one where `existing` is nil) a value of this length: the old bytes stay, new ones are 0.
  /// `fill` then writes what it likes. Keeps client flags.
  public func resize(
    _ key: Key, _ existing: Entry?, to count: Int, _ expiry: Expiry = .keep, type: ValueType = .string,
    _ fill: (UnsafeMutableRawBufferPointer) -> Void
  ) -> WriteOutcome {
    var fields = fields(of: existing, key)
    fields.typeBits = type.bits
    fields.apply(expiry)
    let before = min(existing?.item.valueCount ?? 0, count)
    guard let written = write(key, existing, fields, count: count, keep: before) else { return .outOfMemory }
    let target = written.value
    if count > before { (target + before).initializeMemory(as: UInt8.self, repeating: 0, count: count - before) }
    fill(UnsafeMutableRawBufferPointer(start: target, count: count))
    noteWritten(key, written.item)
    return .stored
  }

  /// Sets or clears the expiry. The entry may move: use only the returned one afterwards. Nil: no memory.
  public func setExpiry(_ key: Key, _ entry: Entry, _ expiry: Expiry) -> Entry? {
    var fields = fields(of: entry, key)
    fields.apply(expiry)
    return rewrite(key, entry, fields)
  }

  /// Sets the optional fields that are given; a stamped namespace gives stamps itself. The entry may move: use only the
  /// returned one afterwards.
  public func setFields(
    _ key: Key, _ entry: Entry, clientFlags: UInt32? = nil, version: UInt64? = nil, stamp: UInt64? = nil,
    freshUntil: UnixMilliseconds? = nil, tags: TagList? = nil
  ) -> Entry? {
    var fields = ItemFields(of: entry.item)
    if let clientFlags { fields.clientFlags = clientFlags }
    if let version { fields.version = version }
    if let stamp, !namespaces[Int(key.namespace)].isStamped { fields.stamp = stamp }
    if let freshUntil { fields.freshUntil = freshUntil }
    if let tags { fields.tags = tags }
    return rewrite(key, entry, fields)
  }

  private func rewrite(_ key: Key, _ entry: Entry, _ fields: ItemFields) -> Entry? {
    let count = entry.item.valueCount
    guard let written = write(key, entry, fields, count: count, keep: count) else { return nil }
    noteWritten(key, written.item)
    return locate(key).map { Entry($0) }
  }

  /// In a stamped namespace a tombstone stays, which no search finds.
  public func remove(_ key: Key, _ entry: Entry) {
    if namespaces[Int(key.namespace)].isStamped { return bury(key, entry) }
    take(entry.place, hash: key.hash, slot: key.slot, as: holder(of: key.slot))
    noteChange(key)
  }

  /// After changing `mutableValue`.
  public func changed(_ key: Key) {
    if namespaces[Int(key.namespace)].isStamped { return restamp(key) }
    noteChange(key)
  }

  private func fields(of existing: Entry?, _ key: Key) -> ItemFields {
    guard let existing else { return ItemFields(namespace: key.namespace) }
    var fields = ItemFields(of: existing.item)
    // What a writer makes of an origin's value is not the origin's any more.
    fields.freshUntil = 0
    return fields
  }

  /// The one way a command's write gives an entry its bytes. The first `keep` bytes of the value are the old value's.
  /// `external`: memory for what lies outside of the chunk, where the caller has it already; freed where this fails.
  private func write(
    _ key: Key, _ existing: Entry?, _ fields: ItemFields, count: Int, keep: Int,
    external: UnsafeMutableRawPointer? = nil
  ) -> Written? {
    if namespaces[Int(key.namespace)].isStamped {
      return writeStamped(key, existing, fields, count: count, keep: keep, external: external)
    }
    return lay(key, over: existing, fields, count: count, keep: keep, external: external)
  }

  /// In place where it fits as it lies, else in a new chunk that takes over the old one's place in table and lane. The
  /// old one may be a tombstone.
  func lay(
    _ key: Key, over existing: Entry?, _ fields: ItemFields, count: Int, keep: Int, external: UnsafeMutableRawPointer?
  ) -> Written? {
    let worker = holder(of: key.slot)
    let shape = ItemShape(
      keyCount: key.count, valueCount: count, fields: fields, inlineBytesMax: classes.inlineBytesMax)
    if let existing, external == nil, let value = writeInPlace(key, existing, shape, fields, worker) {
      return Written(item: existing.item, value: value)
    }
    return writeFresh(key, existing, shape, fields, keep: keep, external: external, worker)
  }

  private func writeInPlace(
    _ key: Key, _ existing: Entry, _ shape: ItemShape, _ fields: ItemFields, _ worker: Worker
  ) -> UnsafeMutableRawPointer? {
    let item = existing.item
    // Flags are written once, when an entry is published: another type takes another chunk.
    guard (item.flags ^ shape.flags) & (Item.Flag.layout | Item.Flag.typeMask) == 0, item.extrasBitmap == shape.bitmap,
      shape.bitmap & Extras.comparedBits == 0 || ItemFields(of: item).sameExtras(as: fields)
    else { return nil }
    let handle = existing.place.handle
    if shape.isExternal {
      let old = item.externalBytes
      guard Spans.spanClass(old) == Spans.spanClass(shape.externalBytes) else { return nil }
      let before = bytes(of: item, handle: handle)
      spans.resize(item.external, from: old, to: shape.externalBytes)
      item.setValueCount(shape.valueCount)
      let after = bytes(of: item, handle: handle)
      if before != after {
        ledger.addEntries(after - before)
        relink(
          handle, handle, slot: key.slot, namespace: key.namespace, from: before, to: after, expiring: 0, as: worker)
      }
    } else {
      let page = pool.pages + Int(pool.page(of: handle))
      guard Int(page.pointee.classIndex) == classes.entryClass(shape.chunkBytes) else { return nil }
      item.setValueCount(shape.valueCount)
    }
    if shape.hasExpiry {
      item.base.storeBytes(of: fields.expiresAt, toByteOffset: item.expiryOffset, as: Int64.self)
      noteExpiry(existing.place.bucket, fields.expiresAt, key.slot)
    }
    if shape.bitmap & Extras.stampBit != 0 { item.setStamp(fields.stamp) }
    return item.valueBase
  }

  private func writeFresh(
    _ key: Key, _ existing: Entry?, _ shape: ItemShape, _ fields: ItemFields, keep: Int,
    external given: UnsafeMutableRawPointer?, _ worker: Worker
  ) -> Written? {
    let handle = allocateEntry(classes.entryClass(shape.chunkBytes), as: worker)
    guard handle != 0 else {
      if let given { spans.free(given, shape.externalBytes, as: worker) }
      return nil
    }
    var external = given
    if shape.isExternal, external == nil {
      external = spans.allocate(shape.externalBytes, as: worker)
      guard external != nil else {
        free(handle, as: worker)
        return nil
      }
    }
    let item = Item(pool.address(handle))
    let epoch = namespaces[Int(key.namespace)].epoch
    let value = item.write(shape, fields, key: key.bytes, epoch: epoch, external: external)
    let newBytes = bytes(of: item, handle: handle)
    ledger.addEntries(newBytes)
    let bucket: Bucket
    if let existing {
      if keep > 0 { value.copyMemory(from: existing.item.valueBase, byteCount: keep) }
      let old = existing.item
      let oldHandle = existing.place.handle
      bucket = existing.place.bucket
      if old.isTombstone {
        link(handle, hash: key.hash, slot: key.slot, item, bytes: newBytes, as: worker)
        bucket.setHandle(existing.place.index, handle)
        releaseTombstone(oldHandle, old, slot: key.slot, as: worker)
      } else {
        let oldBytes = bytes(of: old, handle: oldHandle)
        let expiring = (shape.hasExpiry ? 1 : 0) - (old.flags & Item.Flag.expiry != 0 ? 1 : 0)
        relink(
          oldHandle, handle, slot: key.slot, namespace: key.namespace, from: oldBytes, to: newBytes,
          expiring: expiring, as: worker)
        bucket.setHandle(existing.place.index, handle)
        release(oldHandle, old, bytes: oldBytes, as: worker)
      }
    } else {
      bucket = insert(handle, hash: key.hash, slot: key.slot, as: worker)
      link(handle, hash: key.hash, slot: key.slot, item, bytes: newBytes, as: worker)
    }
    if shape.hasExpiry { noteExpiry(bucket, fields.expiresAt, key.slot) }
    return Written(item: item, value: value)
  }

  /// A chunk for an entry: from the worker's own heap, else from one that has it free, else beyond the ceiling for
  /// the moment that it takes the next `admit` to make up for it.
  func allocateEntry(_ classIndex: Int, as worker: Worker) -> UInt32 {
    let own = heap(of: worker)
    let handle = own.allocate(classIndex, force: false, as: worker)
    if handle != 0 { return handle }
    for other in heaps where other !== own && other.hasFree(classIndex) {
      let handle = other.allocate(classIndex, force: false, as: worker)
      if handle != 0 { return handle }
    }
    return own.allocate(classIndex, force: true, as: worker)
  }

  func noteExpiry(_ bucket: Bucket, _ moment: UnixMilliseconds, _ slot: UInt16) {
    let tick = ExpiryTick.of(moment, now: atomicLoad(clock))
    bucket.noteExpiry(tick)
    let hint = expiryHints + Self.stripe(of: slot)
    if hint.pointee == 0 || ExpiryTick.isBefore(tick, hint.pointee) { atomicStore(hint, tick) }
  }
}

extension ItemFields {
  mutating func apply(_ expiry: Expiry) {
    switch expiry {
    case .keep: break
    case .none: expiresAt = 0
    case .at(let moment): expiresAt = moment
    }
  }

  /// But for the stamp, which is written in place.
  func sameExtras(as other: ItemFields) -> Bool {
    clientFlags == other.clientFlags && version == other.version && freshUntil == other.freshUntil
      && tags == other.tags
  }
}
