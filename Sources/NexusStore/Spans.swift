import CIntrinsics
import Glibc

/// Memory for what is too large for a page: values, and the tables of very full slots.
///
/// Reservations of address space, cut into spans of powers of two. Only the bytes that are used are ever touched; a
/// freed span gives its pages back at once and keeps its addresses, so that there is nothing to coalesce and no
/// fragmentation of memory, only of addresses: where these are used up, more are reserved. A reader that looks ahead
/// of its lock finds zeros there, never a fault, for no reservation ends before the store.
final class Spans: @unchecked Sendable {
  private let lockWord: UnsafeMutablePointer<UInt32>
  /// Under the lock. Spans are cut from the last.
  private(set) var regions: [UnsafeMutableRawBufferPointer]
  private var carvedBytes = 0
  private var freeSpans: [[UnsafeMutableRawPointer]]
  private let ledger: Ledger

  static let granule = 4096
  /// 4 KiB << 18 = 1 GiB: the largest key and the largest value together.
  private static let classCount = 19
  private static let spanBytesMax = granule << (classCount - 1)

  init(limitBytes: Int, ledger: Ledger) throws(StoreError) {
    // Several times the limit: one reservation is enough unless sizes shift a lot.
    let bytes = max(Self.spanBytesMax, limitBytes * 4)
    guard let region = Self.reserve(bytes, atLeast: limitBytes) else { throw StoreError.cannotReserve(bytes: bytes) }
    regions = [region]
    freeSpans = Array(repeating: [], count: Self.classCount)
    lockWord = .allocate(capacity: 1)
    lockWord.initialize(to: 0)
    self.ledger = ledger
  }

  deinit {
    for region in regions { munmap(region.baseAddress, region.count) }
    lockWord.deallocate()
  }

  /// Less where addresses are scarce.
  private static func reserve(_ wanted: Int, atLeast least: Int) -> UnsafeMutableRawBufferPointer? {
    var bytes = wanted
    while true {
      if let base = reserveAddresses(bytes) {
        madvise(base, bytes, MADV_NOHUGEPAGE)
        return UnsafeMutableRawBufferPointer(start: base, count: bytes)
      }
      guard bytes / 2 >= least else { return nil }
      bytes /= 2
    }
  }

  static func spanClass(_ bytes: Int) -> Int {
    bytes <= granule ? 0 : (bytes - 1).bitWidth - (bytes - 1).leadingZeroBitCount - 12
  }
  /// What a use of this many bytes costs in touched memory.
  static func touchedBytes(_ bytes: Int) -> Int { (bytes + granule - 1) & ~(granule - 1) }

  /// Zeroed memory for `bytes`; nil where the system has no more addresses.
  func allocate(_ bytes: Int, as worker: Worker) -> UnsafeMutableRawPointer? {
    let spanClass = Self.spanClass(bytes)
    SpinLock.lock(lockWord, as: worker)
    defer { SpinLock.unlock(lockWord) }
    let span: UnsafeMutableRawPointer
    if let free = freeSpans[spanClass].popLast() {
      span = free
    } else {
      guard let carved = carve(Self.granule << spanClass) else { return nil }
      span = carved
    }
    ledger.addExternal(Self.touchedBytes(bytes))
    return span
  }

  /// Under the lock. What is left of a region that is too short for this span is left unused: addresses only.
  private func carve(_ spanBytes: Int) -> UnsafeMutableRawPointer? {
    if carvedBytes + spanBytes > regions[regions.count - 1].count {
      guard let region = Self.reserve(max(regions[0].count, spanBytes), atLeast: spanBytes) else { return nil }
      regions.append(region)
      carvedBytes = 0
    }
    defer { carvedBytes += spanBytes }
    return regions[regions.count - 1].baseAddress! + carvedBytes
  }

  /// `bytes`: what the span is used for now.
  func free(_ span: UnsafeMutableRawPointer, _ bytes: Int, as worker: Worker) {
    madvise(span, Self.touchedBytes(bytes), MADV_DONTNEED)
    SpinLock.lock(lockWord, as: worker)
    freeSpans[Self.spanClass(bytes)].append(span)
    SpinLock.unlock(lockWord)
    ledger.addExternal(-Self.touchedBytes(bytes))
  }

  /// A use grew or shrank within its span's class: gives back what is no longer used.
  func resize(_ span: UnsafeMutableRawPointer, from old: Int, to new: Int) {
    let before = Self.touchedBytes(old)
    let after = Self.touchedBytes(new)
    if after < before { madvise(span + after, before - after, MADV_DONTNEED) }
    ledger.addExternal(after - before)
  }
}

/// Address space without memory behind it.
func reserveAddresses(_ bytes: Int) -> UnsafeMutableRawPointer? {
  let mapped = mmap(nil, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0)
  return mapped == MAP_FAILED ? nil : mapped
}

public enum StoreError: Error, CustomStringConvertible, Sendable {
  case cannotReserve(bytes: Int)
  case limitTooSmall(bytes: Int)

  public var description: String {
    switch self {
    case .cannotReserve(let bytes):
      "cannot reserve \(bytes >> 20) MiB of address space: "
        + "raise the address-space limit (ulimit -v) or lower max-memory"
    case .limitTooSmall(let bytes):
      "max-memory of \(bytes) bytes is too small: at least \(Store.limitBytesMin >> 20) MiB is needed"
    }
  }
}
