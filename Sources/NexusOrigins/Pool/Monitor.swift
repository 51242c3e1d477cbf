import CLinux
import Glibc

/// A value under a lock on which threads can wait for a change: `Guarded`, with condition variables.
///
/// The C library's own, which the thread sanitizer knows, on the clock that never goes back.
final class Monitor<Value>: @unchecked Sendable {
  /// Invariant: all are initialised for the life of this; the value is touched while the lock is held only.
  private let lock: UnsafeMutablePointer<pthread_mutex_t>
  private let conditions: UnsafeMutableBufferPointer<pthread_cond_t>
  private let value: UnsafeMutablePointer<Value>

  /// - Parameter conditions: how many there are to wait on; they are named 0, 1, ...
  init(_ initial: sending Value, conditions count: Int = 1) {
    lock = .allocate(capacity: 1)
    lock.initialize(to: pthread_mutex_t())
    pthread_mutex_init(lock, nil)
    var attributes = pthread_condattr_t()
    pthread_condattr_init(&attributes)
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC)
    conditions = .allocate(capacity: count)
    for index in conditions.indices {
      conditions.initializeElement(at: index, to: pthread_cond_t())
      pthread_cond_init(conditions.baseAddress! + index, &attributes)
    }
    pthread_condattr_destroy(&attributes)
    value = .allocate(capacity: 1)
    value.initialize(to: initial)
  }

  deinit {
    value.deinitialize(count: 1)
    value.deallocate()
    for index in conditions.indices { pthread_cond_destroy(conditions.baseAddress! + index) }
    conditions.deallocate()
    pthread_mutex_destroy(lock)
    lock.deallocate()
  }

  func withLock<Result>(_ body: (inout Value) -> Result) -> Result {
    pthread_mutex_lock(lock)
    defer { pthread_mutex_unlock(lock) }
    return body(&value.pointee)
  }

  enum Wait<Result> {
    case done(Result)
    /// Until this time (nil: for as long as it takes) or a signal; then `body` is asked again.
    case until(Int?)
  }

  /// Runs `body` under the lock, again and again as it asks for, and lets go of the lock while it waits.
  func wait<Result>(on condition: Int = 0, _ body: (inout Value) -> Wait<Result>) -> Result {
    pthread_mutex_lock(lock)
    defer { pthread_mutex_unlock(lock) }
    while true {
      switch body(&value.pointee) {
      case .done(let result): return result
      case .until(nil): pthread_cond_wait(conditions.baseAddress! + condition, lock)
      case .until(let milliseconds?):
        var time = timespec(tv_sec: milliseconds / 1000, tv_nsec: milliseconds % 1000 * 1_000_000)
        pthread_cond_timedwait(conditions.baseAddress! + condition, lock, &time)
      }
    }
  }

  /// One of those who wait.
  func signal(_ condition: Int = 0) { pthread_cond_signal(conditions.baseAddress! + condition) }

  func signalAll(_ condition: Int = 0) { pthread_cond_broadcast(conditions.baseAddress! + condition) }
}

/// Milliseconds of a clock that never goes back.
func monotonicMilliseconds() -> Int {
  var time = timespec()
  clock_gettime(CLOCK_MONOTONIC, &time)
  return time.tv_sec * 1000 + time.tv_nsec / 1_000_000
}

/// A thread that nobody waits for the end of. False if the system has none to give.
func beginThread(named name: StaticString = "origin", _ body: @escaping @Sendable () -> Void) -> Bool {
  var handle = pthread_t()
  let held = Unmanaged.passRetained(
    ThreadBody {
      nexus_name_thread(name.utf8Start)
      body()
    })
  var attributes = pthread_attr_t()
  pthread_attr_init(&attributes)
  defer { pthread_attr_destroy(&attributes) }
  pthread_attr_setdetachstate(&attributes, Int32(PTHREAD_CREATE_DETACHED))
  // Signals are the main thread's; a new thread starts with the mask of the one that makes it.
  var all = sigset_t(), before = sigset_t()
  sigfillset(&all)
  pthread_sigmask(SIG_SETMASK, &all, &before)
  let result = pthread_create(
    &handle, &attributes,
    { held in
      Unmanaged<ThreadBody>.fromOpaque(held!).takeRetainedValue().run()
      return nil
    }, held.toOpaque())
  pthread_sigmask(SIG_SETMASK, &before, nil)
  if result != 0 { held.release() }
  return result == 0
}

private final class ThreadBody: Sendable {
  let run: @Sendable () -> Void
  init(_ run: @escaping @Sendable () -> Void) { self.run = run }
}
