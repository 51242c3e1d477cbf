import NexusModel

/// Cuts a stream of bytes into gRPC's messages: a byte of flags, four bytes of length (big-endian), then the message.
///
/// A message that lies whole in what arrives is handed on where it lies; one that comes in parts is gathered, once.
struct MessageReader {
  static let prefixBytes = 5

  enum Failure: Error, Equatable {
    /// The flag of compression without an agreed compression, or a flag that does not exist.
    case flags(UInt8)
    case tooLong(Int)
  }

  /// The beginning of a message, prefix included. Invariant: shorter than the whole.
  private var partial: OutputBuffer?
  private let limitBytes: Int

  init(limitBytes: Int) { self.limitBytes = limitBytes }

  var capacity: Int { partial?.capacity ?? 0 }
  /// A message has begun that is not complete.
  var isAmidst: Bool { (partial?.count ?? 0) > 0 }

  mutating func deallocate() {
    partial?.deallocate()
    partial = nil
  }

  /// Gives back the memory of a message that was gathered.
  mutating func trim() {
    if !isAmidst { deallocate() }
  }

  enum Step {
    /// A message; valid until the next call and as long as the input is.
    case message(UnsafeRawBufferPointer)
    case needsMore
  }

  /// Takes the next message off the front of `input`, or all of it where it completes none.
  mutating func next(_ input: inout UnsafeRawBufferPointer) throws(Failure) -> Step {
    if isAmidst { return try complete(&input) }
    guard input.count >= Self.prefixBytes else {
      keep(&input, input.count, expecting: Self.prefixBytes)
      return .needsMore
    }
    let length = try messageLength(input.baseAddress!)
    let whole = Self.prefixBytes + length
    guard input.count >= whole else {
      keep(&input, input.count, expecting: whole)
      return .needsMore
    }
    let message = UnsafeRawBufferPointer(rebasing: input[Self.prefixBytes..<whole])
    input = UnsafeRawBufferPointer(rebasing: input[whole...])
    return .message(message)
  }

  private mutating func complete(_ input: inout UnsafeRawBufferPointer) throws(Failure) -> Step {
    if partial!.count < Self.prefixBytes {
      keep(&input, min(input.count, Self.prefixBytes - partial!.count), expecting: Self.prefixBytes)
      guard partial!.count == Self.prefixBytes else { return .needsMore }
    }
    let whole = Self.prefixBytes + (try messageLength(partial!.base))
    keep(&input, min(input.count, whole - partial!.count), expecting: whole)
    guard partial!.count == whole else { return .needsMore }
    partial!.count = 0
    return .message(UnsafeRawBufferPointer(start: partial!.base + Self.prefixBytes, count: whole - Self.prefixBytes))
  }

  private func messageLength(_ prefix: UnsafeRawPointer) throws(Failure) -> Int {
    let flags = prefix.load(as: UInt8.self)
    guard flags == 0 else { throw .flags(flags) }
    let length = Int(UInt32(bigEndian: prefix.loadUnaligned(fromByteOffset: 1, as: UInt32.self)))
    guard length <= limitBytes else { throw .tooLong(length) }
    return length
  }

  /// A declared length allocates at most four times what has arrived, or 64 KiB.
  private mutating func keep(_ input: inout UnsafeRawBufferPointer, _ count: Int, expecting whole: Int) {
    guard count > 0 else { return }
    if partial == nil { partial = OutputBuffer(capacity: 64) }
    let needed = partial!.count + count
    if needed > partial!.capacity { partial!.grow(to: min(whole, max(64 * 1024, 4 * needed))) }
    partial!.append(input.baseAddress!, count)
    input = UnsafeRawBufferPointer(rebasing: input[count...])
  }
}
