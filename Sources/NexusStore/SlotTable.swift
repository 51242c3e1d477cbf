import CIntrinsics
import CXXHash

/// One slot's table: open addressing over buckets of twelve. Lies in the store's array of slots, under its stripe's
/// lock.
@usableFromInline struct SlotTable {
  @usableFromInline var buckets: UnsafeMutableRawPointer
  @usableFromInline var bucketCount: UInt32
  /// Entries; the top bit says that a resize is under way and older buckets must be asked too.
  @usableFromInline var countAndFlag: UInt32

  @inlinable static var resizingFlag: UInt32 { 0x8000_0000 }
  @inlinable var count: Int { Int(countAndFlag & 0x7FFF_FFFF) }
  @inlinable var isResizing: Bool { countAndFlag & Self.resizingFlag != 0 }
}

/// Where an entry is: its place in a bucket.
@usableFromInline struct Place: BitwiseCopyable {
  @usableFromInline let bucket: Bucket
  @usableFromInline let index: Int
  @usableFromInline let item: Item
  @usableFromInline @inline(__always) init(bucket: Bucket, index: Int, item: Item) {
    self.bucket = bucket
    self.index = index
    self.item = item
  }
  var handle: UInt32 { bucket.handle(index) }
}

/// A table being replaced a few buckets at a time: only tables of thousands of entries are, small ones are moved at
/// once.
@usableFromInline struct Resize {
  var slot: UInt16
  var oldBuckets: UnsafeMutableRawPointer
  var oldBucketCount: UInt32
  /// Old buckets before this one are empty.
  var moved: UInt32
  /// Memory of the old buckets before this one was given back.
  var released: UInt32
}

@inlinable @inline(__always)
func equalBytes(_ left: UnsafeRawPointer, _ right: UnsafeRawPointer, _ count: Int) -> Bool {
  if count >= 8 {
    var offset = 0
    while offset &+ 8 <= count {
      if left.loadUnaligned(fromByteOffset: offset, as: UInt64.self)
        != right.loadUnaligned(fromByteOffset: offset, as: UInt64.self)
      {
        return false
      }
      offset &+= 8
    }
    return left.loadUnaligned(fromByteOffset: count &- 8, as: UInt64.self)
      == right.loadUnaligned(fromByteOffset: count &- 8, as: UInt64.self)
  }
  if count >= 4 {
    return left.loadUnaligned(as: UInt32.self) == right.loadUnaligned(as: UInt32.self)
      && left.loadUnaligned(fromByteOffset: count &- 4, as: UInt32.self)
        == right.loadUnaligned(fromByteOffset: count &- 4, as: UInt32.self)
  }
  var offset = 0
  while offset < count {
    if left.load(fromByteOffset: offset, as: UInt8.self) != right.load(fromByteOffset: offset, as: UInt8.self) {
      return false
    }
    offset &+= 1
  }
  return true
}

// MARK: Looking up

extension Store {
  /// The key's place, whatever the state of its entry. Under the stripe's lock.
  @inlinable @inline(__always) func locate(_ key: Key) -> Place? {
    let table = slots + Int(key.slot)
    if let place = locate(key, in: table.pointee.buckets, table.pointee.bucketCount) { return place }
    if table.pointee.isResizing { return locateInOld(key) }
    return nil
  }

  @inlinable @inline(__always)
  func locate(_ key: Key, in buckets: UnsafeMutableRawPointer, _ bucketCount: UInt32) -> Place? {
    var index = HashParts.bucket(key.hash, of: bucketCount)
    let tag = HashParts.tag(key.hash)
    while true {
      let bucket = Bucket(buckets + index &* 64)
      var matches = bucket.matches(tag)
      while matches != 0 {
        let place = matches.trailingZeroBitCount
        let item = Item(arena + Int(bucket.handle(place)) &<< unitShift)
        if item.keyCount == key.count, equalBytes(item.keyBase, key.base, key.count), item.namespace == key.namespace {
          return Place(bucket: bucket, index: place, item: item)
        }
        matches &= matches &- 1
      }
      if bucket.passed == 0 { return nil }
      index &+= 1
      if index == Int(bucketCount) { index = 0 }
      if index == HashParts.bucket(key.hash, of: bucketCount) { return nil }
    }
  }

  @usableFromInline @inline(never) func locateInOld(_ key: Key) -> Place? {
    guard let resize = resize(of: key.slot) else { return nil }
    return locate(key, in: resize.pointee.oldBuckets, resize.pointee.oldBucketCount)
  }

  /// The place that holds this very handle: for whoever came from the entry's memory, not from its key.
  func locate(handle: UInt32, hash: UInt64, slot: UInt16) -> Place? {
    let table = slots + Int(slot)
    if let place = locate(handle: handle, hash: hash, in: table.pointee.buckets, table.pointee.bucketCount) {
      return place
    }
    guard table.pointee.isResizing, let resize = resize(of: slot) else { return nil }
    return locate(handle: handle, hash: hash, in: resize.pointee.oldBuckets, resize.pointee.oldBucketCount)
  }

  private func locate(handle: UInt32, hash: UInt64, in buckets: UnsafeMutableRawPointer, _ bucketCount: UInt32)
    -> Place?
  {
    let home = HashParts.bucket(hash, of: bucketCount)
    var index = home
    repeat {
      let bucket = Bucket(buckets + index * 64)
      var matches = bucket.matches(HashParts.tag(hash))
      while matches != 0 {
        let place = matches.trailingZeroBitCount
        if bucket.handle(place) == handle {
          return Place(bucket: bucket, index: place, item: Item(pool.address(handle)))
        }
        matches &= matches - 1
      }
      if bucket.passed == 0 { return nil }
      index += 1
      if index == Int(bucketCount) { index = 0 }
    } while index != home
    return nil
  }
}

// MARK: Inserting and removing

extension Store {
  /// Puts a new entry's handle into its slot's table. Answers the bucket.
  @discardableResult
  func insert(_ handle: UInt32, hash: UInt64, slot: UInt16, as worker: Worker) -> Bucket {
    let table = slots + Int(slot)
    if table.pointee.isResizing { advanceResize(slot, buckets: 8, as: worker) }
    if table.pointee.buckets == emptyBucket {
      resize(slot, to: 1, as: worker)
    } else if table.pointee.count >= TableSize.growAt(Int(table.pointee.bucketCount)) {
      grow(slot, as: worker)
    }
    atomicStore(table.countAndFlagWord, table.pointee.countAndFlag &+ 1)
    return place(handle, hash, in: table.pointee.buckets, table.pointee.bucketCount)
  }

  func place(_ handle: UInt32, _ hash: UInt64, in buckets: UnsafeMutableRawPointer, _ bucketCount: UInt32) -> Bucket {
    var index = HashParts.bucket(hash, of: bucketCount)
    while true {
      let bucket = Bucket(buckets + index &* 64)
      let free = bucket.matches(0)
      if free != 0 {
        let place = free.trailingZeroBitCount
        bucket.setTag(place, HashParts.tag(hash))
        bucket.setHandle(place, handle)
        return bucket
      }
      bucket.notePassed()
      index &+= 1
      if index == Int(bucketCount) { index = 0 }
    }
  }

  /// Empties the place and mends the passed-counts from the entry's home bucket to it.
  func vacate(_ place: Place, hash: UInt64, slot: UInt16) {
    let table = slots + Int(slot)
    var buckets = table.pointee.buckets
    var bucketCount = table.pointee.bucketCount
    if table.pointee.isResizing, let resize = resize(of: slot) {
      let old = resize.pointee.oldBuckets
      if place.bucket.base >= old, place.bucket.base < old + Int(resize.pointee.oldBucketCount) * 64 {
        buckets = old
        bucketCount = resize.pointee.oldBucketCount
      }
    }
    place.bucket.setTag(place.index, 0)
    var index = HashParts.bucket(hash, of: bucketCount)
    while buckets + index * 64 != place.bucket.base {
      Bucket(buckets + index * 64).forgetPassed()
      index += 1
      if index == Int(bucketCount) { index = 0 }
    }
    atomicStore(table.countAndFlagWord, table.pointee.countAndFlag &- 1)
  }
}
