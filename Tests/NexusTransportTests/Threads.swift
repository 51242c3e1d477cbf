import Glibc

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
