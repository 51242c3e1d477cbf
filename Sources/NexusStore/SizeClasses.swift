/// The chunk sizes of the arena: fine steps for small entries, then exact divisors of a page, so that no page has a
/// tail too short to use.
///
/// Table classes (multiples of a 64-byte bucket) come behind the entry classes and share their pages' machinery.
struct SizeClasses {
  let pageBytes: Int
  /// Entries in chunks larger than this keep their value outside the arena.
  let inlineBytesMax: Int
  /// Chunk bytes of each class; entry classes first.
  let bytes: [Int]
  let entryClassCount: Int
  private let smallClass: [UInt8]
  private let largeClass: [UInt8]

  /// `unitBytes`: what handles count in; every chunk is a multiple of it.
  init(pageBytes: Int, unitBytes: Int) {
    self.pageBytes = pageBytes
    inlineBytesMax = max(pageBytes / 8, 4096)
    var sizes: [Int] = []
    func add(_ size: Int) {
      let rounded = (size + unitBytes - 1) / unitBytes * unitBytes
      if sizes.last ?? 0 < rounded { sizes.append(rounded) }
    }
    for size in stride(from: 16, through: 256, by: 4) { add(size) }
    for size in stride(from: 264, through: 512, by: 8) { add(size) }
    for size in stride(from: 528, through: 1024, by: 16) { add(size) }
    var chunks = pageBytes / 1024
    let fewest = pageBytes / inlineBytesMax
    while chunks > fewest {
      let atLeast = sizes.last! + sizes.last! / 16
      chunks = min(chunks - 1, max(fewest, pageBytes / atLeast))
      add(pageBytes / chunks / 64 * 64)
    }
    entryClassCount = sizes.count
    precondition(entryClassCount <= 255 && sizes.last! <= inlineBytesMax)
    smallClass = (0...256).map { step in UInt8(sizes.firstIndex { $0 >= step * 4 }!) }
    largeClass = (0...(inlineBytesMax / 64)).map { step in UInt8(sizes.firstIndex { $0 >= step * 64 } ?? 0) }
    bytes = sizes + Self.tableBuckets(pageBytes: pageBytes).map { $0 * 64 }
  }

  func entryClass(_ byteCount: Int) -> Int {
    byteCount <= 1024 ? Int(smallClass[(byteCount + 3) / 4]) : Int(largeClass[(byteCount + 63) / 64])
  }

  /// Bucket counts of the tables that live in pages.
  private static func tableBuckets(pageBytes: Int) -> [Int] {
    var counts: [Int] = []
    var count = 1
    while count * 64 <= max(pageBytes / 8, 4096) {
      counts.append(count)
      count = TableSize.after(count)
    }
    return counts
  }

  /// The class for a table of this many buckets, or nil where it is too large for a page.
  func tableClass(buckets: Int) -> Int? {
    guard buckets * 64 <= inlineBytesMax else { return nil }
    var index = entryClassCount
    while bytes[index] < buckets * 64 { index += 1 }
    return index
  }
}

/// How large a slot's table grows: about four steps a doubling while small, where memory per entry counts; two
/// where the table is whole pages of its own and moving entries is what counts.
enum TableSize {
  static func after(_ buckets: Int) -> Int {
    if buckets < 8 { return buckets + 1 }
    if buckets >= 128 { return step(buckets, [4, 6]) }
    return step(buckets, buckets < 16 ? [4, 5, 6, 7] : [4, 5, 6])
  }

  private static func step(_ buckets: Int, _ mantissas: [Int]) -> Int {
    var scale = 1
    while buckets >= scale * 8 { scale *= 2 }
    return (mantissas.first { $0 * scale > buckets } ?? 8) * scale
  }

  /// The next smaller one.
  static func before(_ buckets: Int) -> Int {
    var smaller = 1
    while after(smaller) < buckets { smaller = after(smaller) }
    return smaller
  }

  /// Entries at which a table of this many buckets grows: 15/16 of its 12 places a bucket.
  @inline(__always) static func growAt(_ buckets: Int) -> Int { buckets &* 12 &* 15 / 16 }

  /// So few entries that the next smaller table has room for them and some more. A slot's count goes up and down as
  /// entries come and go: without a way back every table would stay at the size of its fullest moment.
  static func isSparse(_ count: Int, _ buckets: Int) -> Bool {
    guard buckets > 1 else { return false }
    // Large tables cost more to move: they wait for longer.
    if buckets > 128 { return count < growAt(buckets) / 3 }
    return count + count / 16 + 1 <= growAt(before(buckets))
  }

  /// So few entries that a table of half the size has room for them.
  static func isHalfEmpty(_ count: Int, _ buckets: Int) -> Bool {
    buckets > 1 && count < growAt(buckets) / (buckets > 128 ? 3 : 2)
  }
}
