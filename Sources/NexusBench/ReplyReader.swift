import Glibc

/// What a run of bytes from the server amounted to.
struct ReplyCounts {
  /// Requests that are answered in full.
  var requests = 0
  var hits = 0
  var misses = 0
  var errors = 0
  /// The first line in which the server refused something.
  var firstError: String?
  /// The first line that the protocol does not know: the server speaks another one.
  var alien: String?
}

/// Follows the replies on one connection without copying them: a value is passed over by its length, and only a
/// line cut in two by the network is kept until its rest arrives.
struct ReplyReader {
  /// Longer lines (error texts) are cut here; what follows is passed over.
  static let lineCapacity = 512

  let wire: Workload.Wire
  /// Bytes of a value, with its line end, that are still to pass.
  var skip = 0
  /// Elements of an array reply that are still to come.
  var elementsLeft = 0
  /// Replies since the turn began: the index of the next one.
  var index = 0
  /// Where misses are noted by index; nil where nobody asks.
  var missed: UnsafeMutablePointer<Int32>?
  var missedCount = 0
  /// HTTP: which requests of the turn were writes (nil: none), or that all were.
  var writes: UnsafeMutablePointer<Bool>?
  var allWrites = false
  /// HTTP: of the reply that is being read. memcached: values seen before END.
  var status = 0
  var bodyLength = 0
  var inHead = false
  var valuesSeen = 0
  /// memcached: keys per read.
  let batch: Int
  /// Invariant: `lineCapacity` bytes, of which `carried` hold the beginning of a line.
  private let line: UnsafeMutablePointer<UInt8>
  private var carried = 0

  init(_ wire: Workload.Wire, batch: Int) {
    self.wire = wire
    self.batch = batch
    line = .allocate(capacity: Self.lineCapacity)
  }

  func deallocate() { line.deallocate() }

  /// Nothing is half read.
  var isBetweenReplies: Bool { skip == 0 && carried == 0 && elementsLeft == 0 && !inHead && valuesSeen == 0 }

  mutating func beginTurn() {
    index = 0
    missedCount = 0
  }

  @inline(__always) mutating func feed(_ bytes: UnsafeRawBufferPointer, _ counts: inout ReplyCounts) {
    guard let base = bytes.baseAddress?.assumingMemoryBound(to: UInt8.self) else { return }
    switch wire {
    case .resp: feedRESP(base, bytes.count, &counts)
    case .memcached, .meta: feedMemcached(base, bytes.count, &counts)
    case .http: feedHTTP(base, bytes.count, &counts)
    }
  }

  /// The line that begins at `at`, without its end, or nil where its end has not arrived: then it is kept.
  /// The line lives in `bytes` or in the carrying buffer until the next call.
  mutating func nextLine(_ bytes: UnsafePointer<UInt8>, _ count: Int, _ at: inout Int) -> UnsafeBufferPointer<UInt8>? {
    let start = bytes + at
    guard let found = memchr(start, 10, count - at) else {
      carry(start, count - at)
      at = count
      return nil
    }
    let length = UnsafePointer(found.assumingMemoryBound(to: UInt8.self)) - start
    at += length + 1
    if carried == 0 { return Self.withoutReturn(UnsafeBufferPointer(start: start, count: length)) }
    carry(start, length)
    let whole = UnsafeBufferPointer(start: UnsafePointer(line), count: carried)
    carried = 0
    return Self.withoutReturn(whole)
  }

  private mutating func carry(_ bytes: UnsafePointer<UInt8>, _ count: Int) {
    let taken = min(count, Self.lineCapacity - carried)
    (line + carried).update(from: bytes, count: taken)
    carried += taken
  }

  private static func withoutReturn(_ line: UnsafeBufferPointer<UInt8>) -> UnsafeBufferPointer<UInt8> {
    guard let last = line.last, last == 13 else { return line }
    return UnsafeBufferPointer(rebasing: line.dropLast())
  }

  var nothingCarried: Bool { carried == 0 }

  @inline(__always) mutating func countHit(_ counts: inout ReplyCounts) {
    counts.hits &+= 1
    index &+= 1
  }

  mutating func countMiss(_ counts: inout ReplyCounts) {
    counts.misses &+= 1
    if let missed {
      missed[missedCount] = Int32(index)
      missedCount += 1
    }
    index += 1
  }

  func countError(_ line: UnsafeBufferPointer<UInt8>, _ counts: inout ReplyCounts) {
    counts.errors += 1
    if counts.firstError == nil { counts.firstError = String(decoding: line, as: UTF8.self) }
  }

  func countAlien(_ line: UnsafeBufferPointer<UInt8>, _ counts: inout ReplyCounts) {
    if counts.alien == nil { counts.alien = String(decoding: line.prefix(120), as: UTF8.self) }
  }

  /// The whole number that the text is; nil where it is something else.
  static func number<Bytes: BidirectionalCollection<UInt8>>(_ text: Bytes) -> Int? {
    var value = 0
    guard !text.isEmpty else { return nil }
    for byte in text {
      guard (48...57).contains(byte), value < 1 << 50 else { return nil }
      value = value * 10 + Int(byte - 48)
    }
    return value
  }
}
