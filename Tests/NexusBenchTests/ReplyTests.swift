import Testing

@testable import NexusBench

@Suite struct ReplyTests {
  /// Feeds the bytes in pieces of these sizes, over and over.
  func read(_ text: String, _ wire: Workload.Wire, batch: Int = 1, pieces: [Int] = [.max], writes: Bool = false)
    -> (ReplyCounts, ReplyReader)
  {
    var reader = ReplyReader(wire, batch: batch)
    reader.allWrites = writes
    defer { reader.deallocate() }
    var counts = ReplyCounts()
    var rest = Array(text.utf8)[...]
    var turn = 0
    while !rest.isEmpty {
      let piece = rest.prefix(pieces[turn % pieces.count])
      piece.withUnsafeBytes { reader.feed($0, &counts) }
      rest = rest.dropFirst(piece.count)
      turn += 1
    }
    return (counts, reader)
  }

  static let conversations: [(Workload.Wire, String, Int, requests: Int, hits: Int, misses: Int, errors: Int)] = [
    (.resp, "$5\r\nhello\r\n$-1\r\n+OK\r\n$0\r\n\r\n:12\r\n-ERR no\r\n_\r\n", 1, 7, 2, 2, 1),
    (.resp, "*3\r\n$1\r\na\r\n$-1\r\n$2\r\n\r\n\r\n*0\r\n*2\r\n$1\r\nb\r\n$1\r\nc\r\n-OOM full\r\n", 3, 4, 4, 1, 1),
    (.resp, "$12\r\n$3\r\nabc\r\n-no\r\n", 1, 1, 1, 0, 0),
    (.memcached, "VALUE k 0 5\r\nhello\r\nEND\r\nEND\r\nSTORED\r\nSERVER_ERROR full\r\n", 1, 4, 1, 1, 1),
    (.memcached, "VALUE a 0 5\r\nEND\r\n\r\nVALUE b 0 0\r\n\r\nEND\r\n", 3, 1, 2, 1, 0),
    (.meta, "VA 3 s3\r\nabc\r\nEN\r\nHD\r\nVA 0\r\n\r\nNS\r\n", 1, 5, 2, 1, 1),
    (
      .http,
      "HTTP/1.1 200 OK\r\nServer: x\r\nContent-Length: 3\r\n\r\nab\nHTTP/1.1 404 Not Found\r\ncontent-length:0\r\n\r\n"
        + "HTTP/1.1 503 Busy\r\nContent-Length: 2\r\n\r\n{}", 1, 3, 1, 1, 1
    ),
  ]

  @Test(arguments: conversations.indices) func repliesAreCountedHoweverTheNetworkCutsThem(conversation: Int) {
    let (wire, text, batch, requests, hits, misses, errors) = Self.conversations[conversation]
    for pieces in [[Int.max], [1], [2], [3, 1], [7], [5, 11, 2]] {
      let (counts, reader) = read(text, wire, batch: batch, pieces: pieces)
      #expect(counts.requests == requests, "in pieces of \(pieces)")
      #expect(counts.hits == hits)
      #expect(counts.misses == misses)
      #expect(counts.errors == errors)
      #expect(counts.alien == nil)
      #expect(reader.isBetweenReplies)
    }
  }

  @Test(arguments: [1, 2, 3]) func randomPipelinesAreCountedInRandomPieces(seed: UInt64) {
    var random = SplitMix64(seed: seed)
    var text = ""
    var hits = 0
    var misses = 0
    for _ in 0..<500 {
      if random.below(4) == 0 {
        text += "$-1\r\n"
        misses += 1
      } else {
        let length = Int(random.below(300))
        text += "$\(length)\r\n" + String(repeating: "\n", count: length) + "\r\n"
        hits += 1
      }
    }
    let pieces = (0..<97).map { _ in 1 + Int(random.below(400)) }
    let (counts, _) = read(text, .resp, pieces: pieces)
    #expect(counts.hits == hits, "seed \(seed)")
    #expect(counts.misses == misses, "seed \(seed)")
  }

  @Test func missesAreNotedByTheirPlaceInTheTurn() {
    var reader = ReplyReader(.resp, batch: 1)
    defer { reader.deallocate() }
    let missed = UnsafeMutablePointer<Int32>.allocate(capacity: 8)
    defer { missed.deallocate() }
    reader.missed = missed
    reader.beginTurn()
    var counts = ReplyCounts()
    Array("$1\r\na\r\n$-1\r\n$1\r\nb\r\n$-1\r\n".utf8).withUnsafeBytes { reader.feed($0, &counts) }
    #expect(UnsafeBufferPointer(start: missed, count: reader.missedCount).elementsEqual([1, 3]))
  }

  @Test func theFirstRefusalIsKeptInTheServersWords() {
    let (counts, _) = read("-OOM command not allowed\r\n-ERR other\r\n", .resp)
    #expect(counts.errors == 2)
    #expect(counts.firstError == "OOM command not allowed")
  }

  @Test(arguments: [
    (Workload.Wire.resp, "HTTP/1.1 400 Bad Request\r\n"), (.http, "-ERR unknown command\r\n"),
    (.memcached, "$-1\r\n"), (.resp, "ERROR\r\n"),
  ]) func anotherProtocolIsRecognised(wire: Workload.Wire, line: String) {
    #expect(read(line, wire).0.alien != nil)
  }

  @Test func httpWritesAreNeitherHitsNorMisses() {
    let (counts, _) = read("HTTP/1.1 201 Created\r\nContent-Length: 2\r\n\r\n{}", .http, writes: true)
    #expect(counts.requests == 1)
    #expect(counts.hits == 0)
  }
}
