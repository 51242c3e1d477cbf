import CIntrinsics

/// The store's name for a thread that is no event loop's and comes again and again, such as those of a program that
/// embeds the cache: one for the life of the thread, so that a stripe which it holds is its own when it meets it again.
public enum ThreadWorker {
  /// Above the numbers of loops and of visitors (`Settings.visitor`).
  @usableFromInline static var first: Worker { 3 << 30 }

  /// The calling thread's.
  @inlinable @inline(__always) public static var current: Worker { first | ci_thread_number() & (1 << 30 - 1) }
}
