// memcached's text commands (`get`, `set`) and meta commands (`mg`, `ms`).
extension ReplyReader {
  mutating func feedMemcached(_ bytes: UnsafePointer<UInt8>, _ count: Int, _ counts: inout ReplyCounts) {
    var at = 0
    while at < count {
      if skip > 0 {
        let passed = min(skip, count &- at)
        skip &-= passed
        at &+= passed
        if skip == 0 && wire == .meta {
          countHit(&counts)
          counts.requests += 1
        }
        continue
      }
      guard let line = nextLine(bytes, count, &at) else { return }
      readMemcached(line, &counts)
    }
  }

  private mutating func readMemcached(_ line: UnsafeBufferPointer<UInt8>, _ counts: inout ReplyCounts) {
    if line.starts(with: "VALUE ".utf8), let length = Self.number(lastWord(line)) {
      valuesSeen += 1
      skip = length + 2
    } else if line.starts(with: "VA ".utf8), let length = Self.number(line.dropFirst(3).prefix { $0 != 32 }) {
      skip = length + 2
    } else if line.elementsEqual("END".utf8) {
      // Hits of a read of several keys come without the keys' positions: only their number counts.
      counts.hits += valuesSeen
      counts.misses += batch - valuesSeen
      if valuesSeen == 0, let missed {
        missed[missedCount] = Int32(index)
        missedCount += 1
      }
      valuesSeen = 0
      index += 1
      counts.requests += 1
    } else if line.elementsEqual("EN".utf8) {
      countMiss(&counts)
      counts.requests += 1
    } else if line.elementsEqual("STORED".utf8) || line.elementsEqual("HD".utf8) {
      index += 1
      counts.requests += 1
    } else if isRefusal(line) {
      countError(line, &counts)
      valuesSeen = 0
      index += 1
      counts.requests += 1
    } else {
      countAlien(line, &counts)
    }
  }

  private func isRefusal(_ line: UnsafeBufferPointer<UInt8>) -> Bool {
    line.starts(with: "SERVER_ERROR".utf8) || line.starts(with: "CLIENT_ERROR".utf8) || line.starts(with: "ERROR".utf8)
      || line.elementsEqual("NOT_STORED".utf8) || line.elementsEqual("NS".utf8)
  }

  private func lastWord(_ line: UnsafeBufferPointer<UInt8>) -> Slice<UnsafeBufferPointer<UInt8>> {
    let start = line.lastIndex(of: 32).map { $0 + 1 } ?? 0
    return line[start...]
  }
}
