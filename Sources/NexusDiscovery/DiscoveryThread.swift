import Glibc
import NexusModel
import NexusService
import Synchronization

/// A thread of its own for an adapter: it waits, is woken, and ends when it is told to. Discovery is not hot, and names
/// are resolved by a call that blocks.
final class DiscoveryThread: @unchecked Sendable {
  /// Both ends of a pipe: a byte in it wakes the thread. Invariant: open as long as the object lives.
  private let readEnd: Int32
  private let writeEnd: Int32
  private let stopping = Atomic<Bool>(false)
  /// Written before the thread runs, and by `join`. Invariant: `start` and `join` are called by one thread.
  private var handle: pthread_t?
  private let body: @Sendable (DiscoveryThread) -> Void

  init(_ body: @escaping @Sendable (DiscoveryThread) -> Void) {
    var ends: [Int32] = [-1, -1]
    precondition(pipe(&ends) == 0, "no pipe for a thread of discovery: \(String(cString: strerror(errno)))")
    for end in ends {
      _ = fcntl(end, F_SETFL, O_NONBLOCK)
      _ = fcntl(end, F_SETFD, FD_CLOEXEC)
    }
    (readEnd, writeEnd) = (ends[0], ends[1])
    self.body = body
  }

  deinit {
    close(readEnd)
    close(writeEnd)
  }

  var isStopping: Bool { stopping.load(ordering: .acquiring) }

  func start() { handle = startThread(of: self) }

  func wake() {
    var byte: UInt8 = 1
    _ = write(writeEnd, &byte, 1)
  }

  /// Tells it to end, and waits until it has.
  func join() {
    stopping.store(true, ordering: .releasing)
    wake()
    if let handle { pthread_join(handle, nil) }
    handle = nil
  }

  /// Waits until it is woken, the descriptor (-1: none) has one of the events, or the time is over. True if the
  /// descriptor has.
  func wait(_ descriptor: Int32 = -1, for events: Int32 = POLLIN, milliseconds: Int) -> Bool {
    var entries = [
      pollfd(fd: readEnd, events: Int16(POLLIN), revents: 0),
      pollfd(fd: descriptor, events: Int16(events), revents: 0),
    ]
    let count = poll(&entries, 2, Int32(clamping: max(0, milliseconds)))
    guard count > 0 else { return false }
    if entries[0].revents != 0 {
      var bytes = [UInt8](repeating: 0, count: 64)
      while read(readEnd, &bytes, bytes.count) > 0 {}
    }
    return entries[1].revents != 0
  }

  fileprivate func run() { body(self) }
}

/// A free function: a closure made inside an isolated context would trap on a thread of its own.
private func startThread(of thread: DiscoveryThread) -> pthread_t {
  var handle = pthread_t()
  let held = Unmanaged.passRetained(thread).toOpaque()
  let started = pthread_create(
    &handle, nil,
    { held in
      Unmanaged<DiscoveryThread>.fromOpaque(held!).takeRetainedValue().run()
      return nil
    }, held)
  precondition(started == 0, "no thread for discovery: \(String(cString: strerror(started)))")
  return handle
}

/// Work that blocks and that nobody waits for the end of.
func onThreadOfItsOwn(_ work: @escaping @Sendable () -> Void) {
  var handle = pthread_t()
  let held = Unmanaged.passRetained(DetachedWork(work)).toOpaque()
  let started = pthread_create(
    &handle, nil,
    { held in
      Unmanaged<DetachedWork>.fromOpaque(held!).takeRetainedValue().work()
      return nil
    }, held)
  precondition(started == 0, "no thread for discovery: \(String(cString: strerror(started)))")
  pthread_detach(handle)
}

private final class DetachedWork: Sendable {
  let work: @Sendable () -> Void
  init(_ work: @escaping @Sendable () -> Void) { self.work = work }
}

/// Milliseconds until the next attempt: twice as long after each failure, half of it by chance, so that many nodes that
/// lost the same service do not return at the same moment.
struct Backoff {
  let first: Int
  let longest: Int
  private var current: Int

  init(first: Int, longest: Int) {
    self.first = first
    self.longest = longest
    current = first
  }

  mutating func reset() { current = first }

  mutating func next(using generator: inout some RandomNumberGenerator) -> Int {
    defer { current = min(longest, current * 2) }
    return current / 2 + Int.random(in: 0...current / 2, using: &generator)
  }
}

/// Milliseconds of a clock that never goes back.
func monotonicMilliseconds() -> Int {
  var time = timespec()
  clock_gettime(CLOCK_MONOTONIC, &time)
  return time.tv_sec * 1000 + time.tv_nsec / 1_000_000
}
