import CIntrinsics
import Glibc

/// Memory for what is too large for a page: values, and the tables of very full slots.
///
/// One reservation of address space, many times larger than memory, cut into spans of powers of two. Only the bytes
/// that are used are ever touched; a freed span gives its pages back at once and keeps its addresses, so that there is
/// nothing to coalesce and no fragmentation of memory, only of addresses. A reader that looks ahead of its lock finds
/// zeros there, never a fault.
final class Spans: @unchecked Sendable {
  private let lockWord: UnsafeMutablePointer<UInt32>
  private let base: UnsafeMutableRawPointer
  private let reservedBytes: Int
  private var carvedBytes = 0
  private var freeSpans: [[UnsafeMutableRawPointer]]
  private let ledger: Ledger

  static let granule = 4096
  /// 4 KiB << 18 = 1 GiB: the largest key and the largest value together.
  private static let classCount = 19

  init(limitBytes: Int, ledger: Ledger) throws(StoreError) {
    var bytes = max(64 << 30, limitBytes * 32)
    var mapped: UnsafeMutableRawPointer?
    while true {
      mapped = reserveAddresses(bytes)
      if mapped != nil || bytes <= limitBytes { break }
      bytes /= 2
    }
    guard let mapped else { throw StoreError.cannotReserve(bytes: bytes) }
    madvise(mapped, bytes, MADV_NOHUGEPAGE)
    base = mapped
    reservedBytes = bytes
    freeSpans = Array(repeating: [], count: Self.classCount)
    lockWord = .allocate(capacity: 1)
    lockWord.initialize(to: 0)
    self.ledger = ledger
  }

  deinit {
    munmap(base, reservedBytes)
    lockWord.deallocate()
  }

  /// The largest ceiling for which the reserved addresses are enough, were every value large: spans are powers of
  /// two, and a value may need a little more than half of one.
  var limitBytesMost: Int { reservedBytes / 2 }

  static func spanClass(_ bytes: Int) -> Int {
    bytes <= granule ? 0 : (bytes - 1).bitWidth - (bytes - 1).leadingZeroBitCount - 12
  }
  /// What a use of this many bytes costs in touched memory.
  static func touchedBytes(_ bytes: Int) -> Int { (bytes + granule - 1) & ~(granule - 1) }

  /// Zeroed memory for `bytes`; nil where the reservation is used up.
  func allocate(_ bytes: Int, as worker: Worker) -> UnsafeMutableRawPointer? {
    let spanClass = Self.spanClass(bytes)
    SpinLock.lock(lockWord, as: worker)
    defer { SpinLock.unlock(lockWord) }
    let span: UnsafeMutableRawPointer
    if let free = freeSpans[spanClass].popLast() {
      span = free
    } else {
      let spanBytes = Self.granule << spanClass
      guard carvedBytes + spanBytes <= reservedBytes else { return nil }
      span = base + carvedBytes
      carvedBytes += spanBytes
    }
    ledger.addExternal(Self.touchedBytes(bytes))
    return span
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
