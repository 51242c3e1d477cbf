#if canImport(Glibc)
  import Glibc
#else
  import Musl
#endif

/// A value that one thread at a time reads or changes: what `Synchronization.Mutex` is, over the C library's lock.
///
/// The thread sanitizer knows that lock. A contended `Mutex` is handed over by the kernel, unseen, and what it guards
/// looks unguarded; so this is the only lock of the project that a thread sleeps on.
public struct Guarded<Value>: ~Copyable, @unchecked Sendable {
  /// Invariant: both are initialised for the life of this; the value is touched while the lock is held only.
  private let lock: UnsafeMutablePointer<pthread_mutex_t>
  private let value: UnsafeMutablePointer<Value>

  public init(_ initial: consuming sending Value) {
    lock = .allocate(capacity: 1)
    lock.initialize(to: pthread_mutex_t())
    pthread_mutex_init(lock, nil)
    value = .allocate(capacity: 1)
    value.initialize(to: initial)
  }

  deinit {
    value.deinitialize(count: 1)
    value.deallocate()
    pthread_mutex_destroy(lock)
    lock.deallocate()
  }

  /// Waits for the value and hands it to `body`. Not to be called from within `body`: the thread would wait for
  /// itself.
  public borrowing func withLock<Result, Failure: Error>(
    _ body: (inout Value) throws(Failure) -> sending Result
  ) throws(Failure) -> sending Result {
    pthread_mutex_lock(lock)
    defer { pthread_mutex_unlock(lock) }
    return try body(&value.pointee)
  }
}
