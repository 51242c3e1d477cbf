/// One argument of a request, where it lies in the buffer that it arrived in.
public struct Argument: BitwiseCopyable {
  public let base: UnsafeRawPointer
  public let count: Int

  @inlinable @inline(__always) public init(base: UnsafeRawPointer, count: Int) {
    self.base = base
    self.count = count
  }

  @inlinable public var bytes: UnsafeRawBufferPointer { UnsafeRawBufferPointer(start: base, count: count) }
}
