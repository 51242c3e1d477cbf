// RESP2 and RESP3, as far as replies to reads and writes of strings go.
extension ReplyReader {
  mutating func feedRESP(_ bytes: UnsafePointer<UInt8>, _ count: Int, _ counts: inout ReplyCounts) {
    var at = 0
    while at < count {
      if skip > 0 {
        let passed = min(skip, count &- at)
        skip &-= passed
        at &+= passed
        if skip == 0 {
          countHit(&counts)
          finishRESP(&counts)
        }
        continue
      }
      if nothingCarried && passShortHead(bytes, count, &at, &counts) { continue }
      guard let line = nextLine(bytes, count, &at) else { return }
      readRESP(line, &counts)
    }
  }

  /// The common heads, `$32` and `+OK`, where they are in the buffer as a whole. False: not one of them.
  @inline(__always) private mutating func passShortHead(
    _ bytes: UnsafePointer<UInt8>, _ count: Int, _ at: inout Int, _ counts: inout ReplyCounts
  ) -> Bool {
    let limit = count &- 1
    if bytes[at] == UInt8(ascii: "$") {
      var place = at &+ 1
      var length = 0
      while place < limit, bytes[place] &- 48 < 10 {
        length = length &* 10 &+ Int(bytes[place] &- 48)
        place &+= 1
      }
      guard place < limit, place > at &+ 1, bytes[place] == 13, bytes[place &+ 1] == 10 else { return false }
      at = place &+ 2
      skip = length &+ 2
      return true
    }
    if bytes[at] == UInt8(ascii: "+"), at &+ 5 <= count, bytes[at &+ 3] == 13, bytes[at &+ 4] == 10 {
      at &+= 5
      index &+= 1
      finishRESP(&counts)
      return true
    }
    return false
  }

  private mutating func readRESP(_ line: UnsafeBufferPointer<UInt8>, _ counts: inout ReplyCounts) {
    guard let type = line.first else { return countAlien(line, &counts) }
    let rest = line.dropFirst()
    switch type {
    case UInt8(ascii: "$"):
      if let length = Self.number(rest) {
        skip = length + 2
        return
      }
      countMiss(&counts)
    case UInt8(ascii: "_"):
      countMiss(&counts)
    case UInt8(ascii: "*"):
      if let elements = Self.number(rest), elements > 0 {
        elementsLeft += elements - (elementsLeft > 0 ? 1 : 0)
        return
      }
      index += 1
    case UInt8(ascii: "-"):
      countError(rest.isEmpty ? line : UnsafeBufferPointer(rebasing: rest), &counts)
      index += 1
    case UInt8(ascii: "+"), UInt8(ascii: ":"):
      index += 1
    default:
      countAlien(line, &counts)
    }
    finishRESP(&counts)
  }

  @inline(__always) private mutating func finishRESP(_ counts: inout ReplyCounts) {
    if elementsLeft > 0 {
      elementsLeft &-= 1
      if elementsLeft > 0 { return }
    }
    counts.requests &+= 1
  }
}
