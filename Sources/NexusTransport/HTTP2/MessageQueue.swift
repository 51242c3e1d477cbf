import NexusModel

/// Messages of one stream that wait to leave, with their prefixes, as one run of bytes.
struct MessageQueue {
  /// Invariant: bytes `taken..<count` wait. Both are 0 where nothing does.
  private var buffer: OutputBuffer?
  private var taken = 0

  var count: Int { (buffer?.count ?? 0) - taken }
  var capacity: Int { buffer?.capacity ?? 0 }

  mutating func append(_ message: UnsafeRawBufferPointer) {
    append { $0.append(message) }
  }

  mutating func append(_ write: (inout OutputBuffer) -> Void) {
    makeRoom()
    var output = buffer!
    let start = output.count
    output.reserve(MessageReader.prefixBytes)
    output.count += MessageReader.prefixBytes
    write(&output)
    output.base.storeBytes(of: 0, toByteOffset: start, as: UInt8.self)
    let length = UInt32(output.count - start - MessageReader.prefixBytes)
    output.base.storeBytes(of: length.bigEndian, toByteOffset: start + 1, as: UInt32.self)
    buffer = output
  }

  /// Moves what waits to the front once at least as much has been taken: linear over all.
  private mutating func makeRoom() {
    if buffer == nil { buffer = OutputBuffer(capacity: 1024) }
    guard taken > 0, taken >= count else { return }
    let left = count
    buffer!.base.copyMemory(from: buffer!.base + taken, byteCount: left)
    buffer!.count = left
    taken = 0
  }

  mutating func take(_ byteCount: Int, into output: inout OutputBuffer) {
    output.append(buffer!.base + taken, byteCount)
    taken += byteCount
    guard taken == buffer!.count else { return }
    taken = 0
    buffer!.count = 0
  }

  mutating func clear() {
    taken = 0
    buffer?.count = 0
  }

  /// Gives back memory that is not in use.
  mutating func trim() {
    if count == 0 { deallocate() }
  }

  mutating func deallocate() {
    buffer?.deallocate()
    buffer = nil
    taken = 0
  }
}
