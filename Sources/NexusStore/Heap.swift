import CIntrinsics

/// Chunks of the arena by size class, out of pages that the heap holds. Loops use one each, so that their locks are
/// seldom contended; any thread may free into any.
final class Heap: @unchecked Sendable {
  /// Invariant: `partial` and `freeChunks` have one element a class and are touched under the lock only
  /// (`freeBytes` is read without, as an estimate).
  private let lockWord: UnsafeMutablePointer<UInt32>
  private let partial: UnsafeMutablePointer<UInt32>
  private let freeChunks: UnsafeMutablePointer<Int>
  private let freeBytesWord: UnsafeMutablePointer<Int64>
  let pool: PagePool
  let classes: SizeClasses
  let number: UInt8
  /// Bytes of each class, without bounds checks or reference counting on the way of a write.
  private let classBytes: UnsafeMutablePointer<UInt32>

  init(number: UInt8, pool: PagePool, classes: SizeClasses) {
    self.number = number
    self.pool = pool
    self.classes = classes
    let count = classes.bytes.count
    lockWord = .allocate(capacity: 16)
    lockWord.initialize(repeating: 0, count: 16)
    partial = .allocate(capacity: count)
    partial.initialize(repeating: 0, count: count)
    freeChunks = .allocate(capacity: count)
    freeChunks.initialize(repeating: 0, count: count)
    classBytes = .allocate(capacity: count)
    for index in 0..<count { classBytes[index] = UInt32(classes.bytes[index]) }
    freeBytesWord = .allocate(capacity: 1)
    freeBytesWord.initialize(to: 0)
  }

  deinit {
    lockWord.deallocate()
    partial.deallocate()
    freeChunks.deallocate()
    classBytes.deallocate()
    freeBytesWord.deallocate()
  }

  func lock(as worker: Worker) { SpinLock.lock(lockWord, as: worker) }
  func unlock() { SpinLock.unlock(lockWord) }

  /// Bytes of free chunks in the heap's pages: what moving entries together could give back.
  var freeBytes: Int { Int(atomicLoad(freeBytesWord)) }

  /// A free chunk of the class waits here: an allocation would take no page. An estimate.
  func hasFree(_ classIndex: Int) -> Bool { atomicLoad(partial + classIndex) != 0 }

  /// A chunk's handle, or 0. Not zeroed.
  func allocate(_ classIndex: Int, force: Bool, as worker: Worker) -> UInt32 {
    lock(as: worker)
    defer { unlock() }
    return allocateLocked(classIndex, force: force, as: worker)
  }

  func allocateLocked(_ classIndex: Int, force: Bool, as worker: Worker) -> UInt32 {
    var index = partial[classIndex]
    if index == 0 {
      index = newPage(classIndex, force: force, as: worker)
      if index == 0 { return 0 }
    }
    let page = pool.pages + Int(index)
    let pageUnit = Int(index) &<< (pool.pageShift &- pool.unitShift)
    let offset: Int
    if page.pointee.freeHead != 0 {
      offset = Int(page.pointee.freeHead) &- 1
      let chunk = pool.address(UInt32(truncatingIfNeeded: pageUnit &+ offset))
      page.pointee.freeHead = chunk.load(as: UInt32.self)
    } else {
      offset = Int(page.pointee.carved) &* Int(classBytes[classIndex]) &>> pool.unitShift
      page.pointee.carved &+= 1
    }
    // Not live until it is published: what lay here before must not look like an entry.
    Item(pool.address(UInt32(truncatingIfNeeded: pageUnit &+ offset))).setFlags(0)
    page.pointee.freeCount &-= 1
    if page.pointee.freeCount == 0 { unlink(index, classIndex) }
    count(classIndex, -1)
    return UInt32(truncatingIfNeeded: pageUnit &+ offset)
  }

  @inline(__always) private func count(_ classIndex: Int, _ chunks: Int) {
    freeChunks[classIndex] &+= chunks
    atomicStore(freeBytesWord, freeBytesWord.pointee &+ Int64(chunks &* Int(classBytes[classIndex])))
  }

  private func chunksPerPage(_ classIndex: Int) -> Int { pool.pageBytes / Int(classBytes[classIndex]) }

  private func newPage(_ classIndex: Int, force: Bool, as worker: Worker) -> UInt32 {
    let index = pool.take(force: force, as: worker)
    if index == 0 { return 0 }
    let chunks = chunksPerPage(classIndex)
    pool.pages[Int(index)] = Page(freeCount: UInt16(chunks), classIndex: UInt16(classIndex), heap: number)
    link(index, classIndex)
    count(classIndex, chunks)
    return index
  }

  private func link(_ index: UInt32, _ classIndex: Int) {
    let head = partial[classIndex]
    pool.pages[Int(index)].next = head
    pool.pages[Int(index)].prev = 0
    if head != 0 { pool.pages[Int(head)].prev = index }
    atomicStore(partial + classIndex, index)
  }

  private func unlink(_ index: UInt32, _ classIndex: Int) {
    let page = pool.pages[Int(index)]
    if page.prev != 0 {
      pool.pages[Int(page.prev)].next = page.next
    } else {
      atomicStore(partial + classIndex, page.next)
    }
    if page.next != 0 { pool.pages[Int(page.next)].prev = page.prev }
    pool.pages[Int(index)].next = 0
    pool.pages[Int(index)].prev = 0
  }

  /// Takes back a chunk of one of this heap's pages.
  func free(_ handle: UInt32, as worker: Worker) {
    lock(as: worker)
    freeLocked(handle, as: worker)
    unlock()
  }

  func freeLocked(_ handle: UInt32, as worker: Worker) {
    let index = pool.page(of: handle)
    let page = pool.pages + Int(index)
    let classIndex = Int(page.pointee.classIndex)
    let chunk = pool.address(handle)
    chunk.storeBytes(of: page.pointee.freeHead, as: UInt32.self)
    Item(chunk).setFlags(0)
    page.pointee.freeHead = (handle & ((1 &<< UInt32(pool.pageShift &- pool.unitShift)) &- 1)) &+ 1
    page.pointee.freeCount &+= 1
    if page.pointee.isEvacuating {
      if Int(page.pointee.freeCount) == chunksPerPage(classIndex) { pool.give(index, as: worker) }
      return
    }
    count(classIndex, 1)
    if page.pointee.freeCount == 1 { link(index, classIndex) }
    if Int(page.pointee.freeCount) == chunksPerPage(classIndex) {
      // Empty: let another class have it.
      unlink(index, classIndex)
      count(classIndex, -chunksPerPage(classIndex))
      pool.give(index, as: worker)
    }
  }
}

// MARK: Evacuation: emptying a page by moving what lives in it.

extension Heap {
  /// Chooses the page that costs least to empty: in the class with the most free chunks (at least a page's worth
  /// beside the page itself), the emptiest of the first few. Takes it out of use; answers 0 where there is none.
  func beginEvacuation(as worker: Worker) -> UInt32 {
    lock(as: worker)
    defer { unlock() }
    var best = 0
    var bestBytes = 0
    for classIndex in 0..<classes.entryClassCount {
      let perPage = chunksPerPage(classIndex)
      let bytes = freeChunks[classIndex] * Int(classBytes[classIndex])
      if freeChunks[classIndex] > perPage + perPage / 8, bytes > bestBytes {
        best = classIndex
        bestBytes = bytes
      }
    }
    guard bestBytes > 0 else { return 0 }
    var index = partial[best]
    var emptiest = index
    var looked = 0
    while index != 0 && looked < 64 {
      if pool.pages[Int(index)].freeCount > pool.pages[Int(emptiest)].freeCount { emptiest = index }
      index = pool.pages[Int(index)].next
      looked += 1
    }
    let page = pool.pages + Int(emptiest)
    unlink(emptiest, best)
    count(best, -Int(page.pointee.freeCount))
    if Int(page.pointee.freeCount) == chunksPerPage(best) {
      pool.give(emptiest, as: worker)
      return 0
    }
    setEvacuating(page, true)
    return emptiest
  }

  private func setEvacuating(_ page: UnsafeMutablePointer<Page>, _ evacuating: Bool) {
    let word = page.evacuatingWord
    evacuating ? atomicStoreReleasing(word, 1) : atomicStoreReleasing(word, 0)
  }

  /// Tables grow and shrink from class to class and leave sparse pages behind. Marks the sparse ones, as long as what
  /// lives in them fits into the others; the tables move when the background passes their slots.
  func beginTableEvacuation(as worker: Worker) {
    lock(as: worker)
    defer { unlock() }
    for classIndex in classes.entryClassCount..<classes.bytes.count {
      let perPage = chunksPerPage(classIndex)
      var index = partial[classIndex]
      while index != 0 {
        let page = pool.pages + Int(index)
        let next = page.pointee.next
        let free = Int(page.pointee.freeCount)
        let live = perPage - free
        if free * 3 > perPage, freeChunks[classIndex] - free >= live + perPage / 4 {
          unlink(index, classIndex)
          count(classIndex, -free)
          setEvacuating(page, true)
        }
        index = next
      }
    }
  }

  /// The live chunks of a page being emptied, from chunk `start` on, until `visit` answers false. Under the lock.
  /// Answers the chunk to go on from, or nil when the page's end was reached.
  func visitLocked(_ index: UInt32, from start: Int, _ visit: (UInt32) -> Bool) -> Int? {
    let page = pool.pages + Int(index)
    let bytes = Int(classBytes[Int(page.pointee.classIndex)])
    let pageUnit = Int(index) << (pool.pageShift - pool.unitShift)
    var chunk = start
    while chunk < Int(page.pointee.carved) {
      let handle = UInt32(pageUnit + chunk * bytes >> pool.unitShift)
      if Item(pool.address(handle)).isPublished, !visit(handle) { return chunk }
      chunk += 1
    }
    return nil
  }

  /// The page could not be emptied now: puts it back into use.
  func abandonEvacuationLocked(_ index: UInt32) {
    let page = pool.pages + Int(index)
    let classIndex = Int(page.pointee.classIndex)
    setEvacuating(page, false)
    if page.pointee.freeCount > 0 {
      link(index, classIndex)
      count(classIndex, Int(page.pointee.freeCount))
    }
  }
}
