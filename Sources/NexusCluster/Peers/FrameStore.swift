import NexusModel

/// Frames with operations that were sent and are not all answered: an operation that its receiver has proven not to
/// have run is sent again from here, so that nobody else has to keep it.
///
/// Belongs to one link.
struct FrameStore {
  private struct Frame {
    var buffer: OutputBuffer
    var unanswered: Int
  }

  private var frames: [Frame] = []
  private var free: [Int] = []
  /// The frame that is being written; -1: none.
  private(set) var current = -1
  /// Of all frames.
  private(set) var heldBytes = 0

  private static let usualBytes = 16 * 1024
  private static let keptBytes = 512 * 1024
  private static let keptFrames = 8

  func deallocate() {
    for index in frames.indices where !free.contains(index) || frames[index].buffer.capacity > 0 {
      frames[index].buffer.deallocate()
    }
  }

  /// The frame being written, begun if there is none. True: it was begun now.
  mutating func open() -> Bool {
    if current >= 0 { return false }
    if let index = free.popLast() {
      current = index
    } else {
      frames.append(Frame(buffer: OutputBuffer(capacity: Self.usualBytes), unanswered: 0))
      current = frames.count - 1
    }
    heldBytes += frames[current].buffer.capacity
    return true
  }

  /// Lets `write` append to the current frame.
  @inline(__always) mutating func append(operations: Int, _ write: (inout OutputBuffer) -> Void) {
    let before = frames[current].buffer.capacity
    write(&frames[current].buffer)
    heldBytes += frames[current].buffer.capacity - before
    frames[current].unanswered += operations
  }

  var currentBytes: UnsafeRawBufferPointer {
    current < 0 ? UnsafeRawBufferPointer(start: nil, count: 0) : frames[current].buffer.bytes
  }

  /// The current frame is on its way; where it holds no operations it is done with.
  mutating func close() {
    let index = current
    current = -1
    if index >= 0, frames[index].unanswered == 0 { release(index) }
  }

  func bytes(_ frame: Int, _ offset: Int, _ count: Int) -> UnsafeRawBufferPointer {
    UnsafeRawBufferPointer(rebasing: frames[frame].buffer.bytes[offset..<(offset + count)])
  }

  mutating func answered(_ frame: Int) {
    frames[frame].unanswered -= 1
    if frames[frame].unanswered == 0, frame != current { release(frame) }
  }

  private mutating func release(_ index: Int) {
    heldBytes -= frames[index].buffer.capacity
    frames[index].buffer.count = 0
    if frames[index].buffer.capacity > Self.keptBytes || free.count >= Self.keptFrames {
      frames[index].buffer.shrink(to: 64)
    }
    free.append(index)
  }
}
