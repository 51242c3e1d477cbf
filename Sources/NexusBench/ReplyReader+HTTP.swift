// HTTP/1.1 replies with a Content-Length, or none and no body.
extension ReplyReader {
  mutating func feedHTTP(_ bytes: UnsafePointer<UInt8>, _ count: Int, _ counts: inout ReplyCounts) {
    var at = 0
    while at < count {
      if skip > 0 {
        let passed = min(skip, count &- at)
        skip &-= passed
        at &+= passed
        if skip == 0 { finishHTTP(&counts) }
        continue
      }
      guard let line = nextLine(bytes, count, &at) else { return }
      if !inHead {
        readStatus(line, &counts)
      } else if line.isEmpty {
        inHead = false
        skip = bodyLength
        if skip == 0 { finishHTTP(&counts) }
      } else {
        readHeader(line, &counts)
      }
      if counts.alien != nil { return }
    }
  }

  private mutating func readStatus(_ line: UnsafeBufferPointer<UInt8>, _ counts: inout ReplyCounts) {
    guard line.starts(with: "HTTP/1.".utf8), line.count >= 12, let code = Self.number(line[9..<12]) else {
      return countAlien(line, &counts)
    }
    status = code
    bodyLength = 0
    inHead = true
    if code >= 400 && code != 404 { countError(line, &counts) }
  }

  private mutating func readHeader(_ line: UnsafeBufferPointer<UInt8>, _ counts: inout ReplyCounts) {
    guard let first = line.first else { return }
    switch first | 0x20 {
    case UInt8(ascii: "c"):
      if let value = Self.value(of: "content-length:", in: line) { bodyLength = Self.number(value) ?? 0 }
    case UInt8(ascii: "t"):
      if Self.value(of: "transfer-encoding:", in: line) != nil { countAlien(line, &counts) }
    default: break
    }
  }

  /// The header's value without the blanks before it, if this is the line of that header (named in lower case).
  private static func value(of name: StaticString, in line: UnsafeBufferPointer<UInt8>)
    -> Slice<UnsafeBufferPointer<UInt8>>?
  {
    let length = name.utf8CodeUnitCount
    guard line.count >= length else { return nil }
    for index in 0..<length where line[index] | 0x20 != name.utf8Start[index] | 0x20 { return nil }
    return line[length...].drop { $0 == 32 }
  }

  private mutating func finishHTTP(_ counts: inout ReplyCounts) {
    let isWrite = allWrites || writes.map { $0[index] } ?? false
    if isWrite && status == 404 {
      counts.errors += 1
      if counts.firstError == nil { counts.firstError = "404 to a write: is --http-path right?" }
      index += 1
    } else if isWrite || (status >= 400 && status != 404) {
      index += 1
    } else if status == 404 {
      countMiss(&counts)
    } else {
      countHit(&counts)
    }
    counts.requests += 1
  }
}
