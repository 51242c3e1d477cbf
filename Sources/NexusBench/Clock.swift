import Glibc

/// The clocks of the generator, in nanoseconds.
public enum Clock {
  @inline(__always) public static func monotonic() -> UInt64 { read(CLOCK_MONOTONIC) }
  /// CPU time of the calling thread.
  @inline(__always) public static func threadCPU() -> UInt64 { read(CLOCK_THREAD_CPUTIME_ID) }

  @inline(__always) private static func read(_ clock: clockid_t) -> UInt64 {
    var time = timespec()
    clock_gettime(clock, &time)
    return UInt64(time.tv_sec) &* 1_000_000_000 &+ UInt64(time.tv_nsec)
  }
}
