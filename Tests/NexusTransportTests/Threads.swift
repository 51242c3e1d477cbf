import Glibc

/// A value behind a lock that the thread sanitizer knows: it does not see into `Synchronization.Mutex` where that
/// waits.
final class Guarded<Value>: @unchecked Sendable {
  private var value: Value
  private let lock: UnsafeMutablePointer<pthread_mutex_t>

  init(_ value: Value) {
    self.value = value
    lock = .allocate(capacity: 1)
    pthread_mutex_init(lock, nil)
  }

  deinit {
    pthread_mutex_destroy(lock)
    lock.deallocate()
  }

  func withLock<Result>(_ body: (inout Value) -> Result) -> Result {
    pthread_mutex_lock(lock)
    defer { pthread_mutex_unlock(lock) }
    return body(&value)
  }
}

/// A thread for a test's closure.
final class Thread: @unchecked Sendable {
  fileprivate let work: @Sendable () -> Void
  private var thread: pthread_t = 0

  init(_ work: @escaping @Sendable () -> Void) {
    self.work = work
    pthread_create(&thread, nil, runThread, Unmanaged.passRetained(self).toOpaque())
  }

  var handle: pthread_t { thread }
  func join() { pthread_join(thread, nil) }
}

private func runThread(_ context: UnsafeMutableRawPointer?) -> UnsafeMutableRawPointer? {
  Unmanaged<Thread>.fromOpaque(context!).takeRetainedValue().work()
  return nil
}

/// Waits for something that another thread will make true; gives up after ten seconds.
func eventually(_ condition: () -> Bool) -> Bool {
  for _ in 0..<50_000 {
    if condition() { return true }
    usleep(200)
  }
  return condition()
}
