import NexusModel

/// A piece of an encoded frame that is too long to travel at once.
public struct Part: PeerMessage, BitwiseCopyable {
  public static var frameKind: FrameKind { .part }

  /// Unique among the sender's unfinished frames on this stream.
  public var id: UInt32
  /// Bytes of the whole frame: every part says the same.
  public var total: UInt64
  /// Parts of one frame arrive in order.
  public var data: UnsafeRawBufferPointer
  public var isLast: Bool

  public init(id: UInt32, total: UInt64, data: UnsafeRawBufferPointer, isLast: Bool) {
    self.id = id
    self.total = total
    self.data = data
    self.isLast = isLast
  }

  private enum Field {
    static let id = WireField(1, "Part.id")
    static let total = WireField(2, "Part.total")
    static let data = WireField(3, "Part.data")
    static let isLast = WireField(4, "Part.last")
  }

  public func encode<Sink: WireSink>(to sink: inout Sink) {
    sink.put(Field.id, id)
    sink.put(Field.total, total)
    sink.put(Field.data, data)
    sink.put(Field.isLast, isLast)
  }

  public init(from reader: inout WireReader) throws(WireError) {
    self.init(id: 0, total: 0, data: UnsafeRawBufferPointer(start: nil, count: 0), isLast: false)
    while let tag = try reader.tag("Part") {
      switch tag.number {
      case 1: id = try reader.uint32(tag, Field.id)
      case 2: total = try reader.uint64(tag, Field.total)
      case 3: data = try reader.bytes(tag, Field.data)
      case 4: isLast = try reader.bool(tag, Field.isLast)
      default: try reader.skip(tag, "Part")
      }
    }
  }
}

/// Cuts an encoded frame into parts, one each time it is asked: between two of them other frames have their turn.
public struct FrameSplitter: BitwiseCopyable {
  public let id: UInt32
  private let total: Int
  private let partBytes: Int
  private var sent = 0

  public init(id: UInt32, frameCount: Int, partBytes: Int = WireLimits.partBytes) {
    precondition(frameCount > 0 && partBytes > 0)
    self.id = id
    self.total = frameCount
    self.partBytes = partBytes
  }

  public var isDone: Bool { sent == total }
  public var remaining: Int { total - sent }

  /// Appends a frame with the next part. `frame` is the whole frame, the same each time.
  public mutating func appendNext(
    of frame: UnsafeRawBufferPointer, placementVersion: PlacementVersion, to out: inout OutputBuffer
  ) {
    precondition(frame.count == total && !isDone)
    let end = min(total, sent + partBytes)
    let data = UnsafeRawBufferPointer(rebasing: frame[sent..<end])
    sent = end
    PeerFrame.begin(&out, placementVersion: placementVersion)
    PeerFrame.append(Part(id: id, total: UInt64(total), data: data, isLast: isDone), to: &out)
  }
}

/// Puts parts together again. Memory grows with the bytes that have arrived, never with what was announced.
public struct FrameAssembler: ~Copyable {
  private struct Unfinished {
    var buffer: OutputBuffer
    var total: Int
  }

  private var unfinished: [UInt32: Unfinished] = [:]
  private let frameLimitBytes: Int
  private let limitBytes: Int
  private let limitFrames: Int
  /// Held for unfinished frames.
  public private(set) var heldBytes = 0

  /// - Parameters:
  ///   - frameLimitBytes: of one whole frame.
  ///   - limitBytes: of all unfinished frames together.
  ///   - limitFrames: unfinished at once.
  public init(frameLimitBytes: Int, limitBytes: Int, limitFrames: Int = 1024) {
    self.frameLimitBytes = frameLimitBytes
    self.limitBytes = limitBytes
    self.limitFrames = limitFrames
  }

  deinit {
    for (_, frame) in unfinished { frame.buffer.deallocate() }
  }

  public var unfinishedCount: Int { unfinished.count }

  /// The whole frame with its last part: the caller's to read with `FrameReader(isAssembled: true)` and to deallocate.
  /// After an error the stream is of no use any more.
  public mutating func add(_ part: Part) throws(WireError) -> OutputBuffer? {
    guard part.total > 0, part.total <= UInt64(frameLimitBytes) else { throw WireError(.tooLong, "Part.total") }
    let total = Int(part.total)
    guard !part.data.isEmpty, part.data.count <= total else { throw WireError(.totalMismatch, "Part.data") }
    var frame: Unfinished
    if let known = unfinished[part.id] {
      guard known.total == total else { throw WireError(.totalMismatch, "Part.total") }
      frame = known
    } else {
      guard unfinished.count < limitFrames else { throw WireError(.tooMuchUnfinished, "Part.id") }
      frame = Unfinished(buffer: OutputBuffer(capacity: part.data.count), total: total)
      unfinished[part.id] = frame
    }
    guard frame.buffer.count + part.data.count <= total,
      part.isLast == (frame.buffer.count + part.data.count == total)
    else { throw WireError(.totalMismatch, "Part.last") }
    guard heldBytes + part.data.count <= limitBytes else { throw WireError(.tooMuchUnfinished, "Part.data") }
    if frame.buffer.count + part.data.count > frame.buffer.capacity {
      frame.buffer.grow(to: min(total, max(frame.buffer.capacity * 2, frame.buffer.count + part.data.count)))
    }
    frame.buffer.append(part.data)
    heldBytes += part.data.count
    guard part.isLast else {
      unfinished[part.id] = frame
      return nil
    }
    unfinished[part.id] = nil
    heldBytes -= total
    return frame.buffer
  }
}
