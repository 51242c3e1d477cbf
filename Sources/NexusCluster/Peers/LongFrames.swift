import NexusModel
import NexusService
import NexusWire

/// Frames that are too long to be sent at once: their parts leave as the other end takes them, so that what is small
/// overtakes what is large.
///
/// Belongs to one stream.
struct LongFrames {
  private struct Long {
    let bytes: OutputBuffer
    var splitter: FrameSplitter
  }

  private var waiting: [Long] = []
  private var lastID: UInt32 = 0
  /// Parts are queued on the stream up to here.
  private static let queuedBytesMost = 1 << 20

  var isEmpty: Bool { waiting.isEmpty }
  var waitingBytes: Int { waiting.reduce(0) { $0 + $1.splitter.remaining } }

  /// Copies the frame.
  mutating func add(_ frame: UnsafeRawBufferPointer) {
    var bytes = OutputBuffer(capacity: frame.count)
    bytes.append(frame)
    lastID &+= 1
    waiting.append(Long(bytes: bytes, splitter: FrameSplitter(id: lastID, frameCount: frame.count)))
  }

  mutating func send(on stream: any MessageStream, _ version: PlacementVersion) {
    while !waiting.isEmpty, stream.queuedBytes < Self.queuedBytesMost {
      let bytes = waiting[0].bytes
      guard stream.send({ waiting[0].splitter.appendNext(of: bytes.bytes, placementVersion: version, to: &$0) }) else {
        return
      }
      if waiting[0].splitter.isDone { waiting.removeFirst().bytes.deallocate() }
    }
  }

  mutating func clear() {
    for long in waiting { long.bytes.deallocate() }
    waiting = []
  }

  func deallocate() { for long in waiting { long.bytes.deallocate() } }
}
