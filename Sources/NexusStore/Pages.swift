import CIntrinsics
import Glibc

/// What is known of one page of the arena. Invariant: all fields but `next` and `prev` of free pages are written under
/// the lock of the heap that holds the page; a free page's under the pool's.
struct Page {
  /// Neighbours in the list of pages with free chunks, or in the pool's list. 0: none (page 0 is never used).
  var next: UInt32 = 0
  var prev: UInt32 = 0
  /// Unit offset + 1 inside the page of the first free carved chunk; the chunk holds the next one's. 0: none.
  var freeHead: UInt32 = 0
  /// Chunks that can still be given out, carved or not.
  var freeCount: UInt16 = 0
  /// Chunks that have ever been given out: the rest of the page is untouched.
  var carved: UInt16 = 0
  var classIndex: UInt16 = 0
  var heap: UInt8 = 0
  /// Not 0: being emptied, takes no new chunks. Atomic.
  var evacuating: UInt8 = 0
  var isEvacuating: Bool { evacuating != 0 }
}

/// The arena: one reservation of address space, handed out by pages, whose use the ledger counts.
final class PagePool: @unchecked Sendable {
  let base: UnsafeMutableRawPointer
  let pageShift: Int
  let unitShift: Int
  let pages: UnsafeMutablePointer<Page>
  private let reservedBytes: Int
  private let pageCount: Int
  private let descriptorBytes: Int
  private let lockWord: UnsafeMutablePointer<UInt32>
  private var nextUntouched: UInt32 = 1
  /// Pages that were used and are empty now, still resident.
  private var freeHead: UInt32 = 0
  private let freeCountWord: UnsafeMutablePointer<Int64>
  /// Empty pages that wait for a use. Written under the lock, read without.
  private(set) var freeCount: Int {
    get { Int(atomicLoad(freeCountWord)) }
    set { atomicStore(freeCountWord, Int64(newValue)) }
  }
  /// Pages whose memory was given back to the system.
  private var releasedHead: UInt32 = 0
  let ledger: Ledger

  var pageBytes: Int { 1 << pageShift }

  init(limitBytes: Int, ledger: Ledger) throws(StoreError) {
    // Handles count in units of 4 bytes up to 16 GiB, of 8 up to 32 GiB, and so on.
    var shift = 2
    while Self.addressBytes(limitBytes) > 4 << (30 + shift) { shift += 1 }
    unitShift = shift
    // Every size in use keeps a page or two partly filled: pages are small where memory is.
    pageShift = limitBytes < 256 << 20 ? 14 : limitBytes < 4 << 30 ? 16 : 18
    // All that handles reach, so that the ceiling may be raised later; less where addresses are scarce.
    var bytes = 4 << (30 + shift)
    var reservation = reserveAddresses(bytes)
    while reservation == nil, bytes / 2 >= Self.addressBytes(limitBytes) {
      bytes /= 2
      reservation = reserveAddresses(bytes)
    }
    reservedBytes = bytes
    pageCount = reservedBytes >> pageShift
    descriptorBytes = pageCount * MemoryLayout<Page>.stride
    guard let mapped = reservation else {
      throw StoreError.cannotReserve(bytes: reservedBytes)
    }
    guard let table = reserveAddresses(descriptorBytes) else {
      munmap(mapped, reservedBytes)
      throw StoreError.cannotReserve(bytes: descriptorBytes)
    }
    base = mapped
    pages = table.bindMemory(to: Page.self, capacity: pageCount)
    lockWord = .allocate(capacity: 1)
    lockWord.initialize(to: 0)
    freeCountWord = .allocate(capacity: 1)
    freeCountWord.initialize(to: 0)
    self.ledger = ledger
  }

  deinit {
    munmap(base, reservedBytes)
    munmap(pages, descriptorBytes)
    lockWord.deallocate()
    freeCountWord.deallocate()
  }

  /// What a ceiling needs of addresses: pages may go a little beyond it for a moment.
  private static func addressBytes(_ limitBytes: Int) -> Int { limitBytes + limitBytes / 64 + (64 << 20) }

  /// The largest ceiling for which the reserved addresses are enough.
  var limitBytesMost: Int { (reservedBytes - (64 << 20)) / 65 * 64 }

  @inline(__always) func page(of handle: UInt32) -> UInt32 {
    UInt32(truncatingIfNeeded: (Int(handle) &<< unitShift) &>> pageShift)
  }
  @inline(__always) func address(_ handle: UInt32) -> UnsafeMutableRawPointer {
    base + Int(handle) &<< unitShift
  }

  /// A page for a heap; 0 where the ceiling allows none (or, forced, where the addresses are used up).
  func take(force: Bool, as worker: Worker) -> UInt32 {
    SpinLock.lock(lockWord, as: worker)
    defer { SpinLock.unlock(lockWord) }
    if freeHead != 0 {
      let page = freeHead
      freeHead = pages[Int(page)].next
      freeCount -= 1
      return page
    }
    guard force || ledger.fits(pageBytes) else { return 0 }
    let page: UInt32
    if releasedHead != 0 {
      page = releasedHead
      releasedHead = pages[Int(page)].next
    } else {
      guard Int(nextUntouched) < pageCount else { return 0 }
      page = nextUntouched
      nextUntouched += 1
    }
    ledger.addPages(pageBytes)
    return page
  }

  func give(_ page: UInt32, as worker: Worker) {
    SpinLock.lock(lockWord, as: worker)
    pages[Int(page)] = Page()
    pages[Int(page)].next = freeHead
    freeHead = page
    freeCount += 1
    SpinLock.unlock(lockWord)
  }

  /// Gives the memory of up to `count` empty pages back to the system; answers how many.
  func release(_ count: Int, as worker: Worker) -> Int {
    SpinLock.lock(lockWord, as: worker)
    defer { SpinLock.unlock(lockWord) }
    var released = 0
    while released < count && freeHead != 0 {
      let page = freeHead
      freeHead = pages[Int(page)].next
      freeCount -= 1
      madvise(base + Int(page) << pageShift, pageBytes, MADV_DONTNEED)
      pages[Int(page)].next = releasedHead
      releasedHead = page
      released += 1
    }
    ledger.addPages(-released * pageBytes)
    return released
  }
}
