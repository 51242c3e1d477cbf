import CLinux
import Glibc
import NexusModel

/// Output of one connection that its client has not taken yet: a chain of blocks, freed one by one as they are sent.
struct PendingOutput {
  struct Block {
    var next: UnsafeMutablePointer<Block>?
    var buffer: OutputBuffer
    var sent = 0
    /// What the gauge was told.
    var countedBytes: Int
  }

  enum Progress { case emptied, blocked, more, broken }

  private static let smallestBlock = 1024
  private static let largestBlock = 64 * 1024
  private static let overhead = MemoryLayout<Block>.stride + OutputBuffer.slack

  private var first: UnsafeMutablePointer<Block>?
  private var last: UnsafeMutablePointer<Block>?
  private(set) var bytes = 0

  var isEmpty: Bool { bytes == 0 }

  mutating func append(_ data: UnsafeRawPointer, _ byteCount: Int, _ gauge: MemoryGauge) {
    guard byteCount > 0 else { return }
    var data = data
    var left = byteCount
    if let last, last.pointee.buffer.capacity <= Self.largestBlock {
      let fits = min(left, last.pointee.buffer.capacity - last.pointee.buffer.count)
      last.pointee.buffer.append(data, fits)
      data += fits
      left -= fits
    }
    if left > 0 {
      let doubled = min(Self.largestBlock, (last?.pointee.buffer.capacity ?? 0) * 2)
      var buffer = OutputBuffer(capacity: max(Self.smallestBlock, left, doubled))
      buffer.append(data, left)
      link(buffer, gauge)
    }
    bytes += byteCount
  }

  /// Takes over a whole buffer, of which the first `sent` bytes have been sent already.
  mutating func adopt(_ buffer: OutputBuffer, sent: Int, _ gauge: MemoryGauge) {
    link(buffer, gauge)
    last!.pointee.sent = sent
    bytes += buffer.count - sent
  }

  private mutating func link(_ buffer: OutputBuffer, _ gauge: MemoryGauge) {
    let block = UnsafeMutablePointer<Block>.allocate(capacity: 1)
    // A large block's untouched tail has no pages: what it holds is what it costs.
    let counted = Self.overhead + (buffer.capacity > Self.largestBlock ? buffer.count : buffer.capacity)
    block.initialize(to: Block(buffer: buffer, countedBytes: counted))
    gauge.add(counted)
    if let last { last.pointee.next = block } else { first = block }
    last = block
  }

  /// Sends as much as the socket takes, at most about `limit` bytes; adds what went to `sentBytes`.
  mutating func send(to descriptor: Int32, limit: Int, sentBytes: borrowing Tally, _ gauge: MemoryGauge) -> Progress {
    var left = limit
    while bytes > 0 {
      if left <= 0 { return .more }
      let (sent, offered) = gatherAndSend(descriptor)
      if sent < 0 {
        if errno == EINTR { continue }
        return errno == EAGAIN ? .blocked : .broken
      }
      sentBytes.add(UInt64(sent))
      left -= sent
      drop(sent, gauge)
      if sent < offered { return .blocked }
    }
    return .emptied
  }

  private func gatherAndSend(_ descriptor: Int32) -> (sent: Int, offered: Int) {
    withUnsafeTemporaryAllocation(of: iovec.self, capacity: 32) { vectors in
      var count = 0
      var offered = 0
      var block = first
      while let current = block, count < vectors.count {
        let length = current.pointee.buffer.count - current.pointee.sent
        vectors[count] = iovec(iov_base: current.pointee.buffer.base + current.pointee.sent, iov_len: length)
        offered += length
        count += 1
        block = current.pointee.next
      }
      var message = msghdr()
      message.msg_iov = vectors.baseAddress
      message.msg_iovlen = count
      return (sendmsg(descriptor, &message, Int32(MSG_NOSIGNAL)), offered)
    }
  }

  private mutating func drop(_ byteCount: Int, _ gauge: MemoryGauge) {
    bytes -= byteCount
    var left = byteCount
    while let block = first {
      let length = block.pointee.buffer.count - block.pointee.sent
      if left < length {
        block.pointee.sent += left
        return
      }
      left -= length
      first = block.pointee.next
      if first == nil { last = nil }
      Self.free(block, gauge)
    }
  }

  mutating func release(_ gauge: MemoryGauge) {
    while let block = first {
      first = block.pointee.next
      Self.free(block, gauge)
    }
    self = PendingOutput()
  }

  private static func free(_ block: UnsafeMutablePointer<Block>, _ gauge: MemoryGauge) {
    gauge.subtract(block.pointee.countedBytes)
    block.pointee.buffer.deallocate()
    block.deallocate()
  }
}
