import NexusModel
import NexusTestSupport
import NexusWire
import Testing

/// Long frames travel in parts, between which others have their turn.
@Suite struct PartTests {
  @Test func severalLongFramesArriveWholeThoughTheirPartsAreMixed() throws {
    let seed = Dice.seed()
    print("NEXUS_SEED=\(seed)")
    var samples = Samples(seed: seed)
    let frames = (0..<5).map { _ in SampleFrame(&samples, items: 30) }.filter { !$0.bytes.isEmpty }
    var splitters = frames.indices.map {
      FrameSplitter(id: UInt32($0), frameCount: frames[$0].bytes.count, partBytes: samples.dice.within(1...997))
    }
    var assembler = FrameAssembler(frameLimitBytes: 1 << 20, limitBytes: 4 << 20)
    var arrived: Set<Int> = []
    while arrived.count < frames.count {
      let index = samples.dice.pick(frames.indices.filter { !arrived.contains($0) })
      let piece = written { out in
        frames[index].bytes.withUnsafeBytes {
          splitters[index].appendNext(of: $0, placementVersion: PlacementVersion(digest: 7), to: &out)
        }
      }
      try piece.withUnsafeBytes { bytes in
        var reader = try FrameReader(bytes)
        #expect(reader.placementVersion.digest == 7)
        let item = try #require(try reader.next())
        guard let whole = try assembler.add(Part(decoding: item.bytes)) else { return }
        defer { whole.deallocate() }
        #expect(Array(whole.bytes) == frames[index].bytes)
        #expect(splitters[index].isDone)
        arrived.insert(index)
      }
    }
    #expect(assembler.heldBytes == 0)
    #expect(assembler.unfinishedCount == 0)
  }

  /// Parts of one, two and three bytes: whatever does not add up is refused, and nothing is kept for it.
  @Test func whatDoesNotAddUpIsRefused() {
    let memory = Memory()
    func part(_ id: UInt32, _ total: UInt64, _ count: Int, last: Bool = false) -> Part {
      Part(id: id, total: total, data: memory.keep([UInt8](repeating: 1, count: count)), isLast: last)
    }
    let stories: [([Part], WireError)] = [
      ([part(1, 0, 1)], WireError(.tooLong, "Part.total")),
      ([part(1, 101, 1)], WireError(.tooLong, "Part.total")),
      ([part(1, .max, 1)], WireError(.tooLong, "Part.total")),
      ([part(1, 3, 0)], WireError(.totalMismatch, "Part.data")),
      ([part(1, 3, 4)], WireError(.totalMismatch, "Part.data")),
      ([part(1, 3, 2), part(1, 4, 2)], WireError(.totalMismatch, "Part.total")),
      ([part(1, 3, 2), part(1, 3, 2)], WireError(.totalMismatch, "Part.last")),
      ([part(1, 3, 2), part(1, 3, 1)], WireError(.totalMismatch, "Part.last")),
      ([part(1, 3, 2, last: true)], WireError(.totalMismatch, "Part.last")),
      ([part(1, 9, 2), part(2, 9, 2), part(3, 9, 2)], WireError(.tooMuchUnfinished, "Part.id")),
      ([part(1, 100, 60), part(2, 100, 61)], WireError(.tooMuchUnfinished, "Part.data")),
    ]
    withExtendedLifetime(memory) {
      for (parts, expected) in stories {
        var assembler = FrameAssembler(frameLimitBytes: 100, limitBytes: 120, limitFrames: 2)
        var error: WireError?
        do throws(WireError) {
          for part in parts { try assembler.add(part)?.deallocate() }
        } catch let thrown {
          error = thrown
        }
        #expect(error == expected)
      }
    }
  }

  @Test func partsWithinPartsAreRefused() throws {
    let bytes = written { out in
      PeerFrame.append(
        Part(id: 1, total: 1, data: UnsafeRawBufferPointer(start: nil, count: 0), isLast: true), to: &out)
    }
    try bytes.withUnsafeBytes { bytes in
      var reader = try FrameReader(bytes, isAssembled: true)
      #expect(throws: WireError(.partInPart, "PeerFrame.parts")) { try reader.next() }
    }
  }
}
