import CLinux
import Glibc
import NexusModel
import Synchronization

/// Tells a worker that nobody waits for its job any more.
protocol Interruption: AnyObject, Sendable {
  /// The worker turns to this job: what was raised before is forgotten.
  func begin(_ job: OriginJob)
  /// From any thread. Does nothing if the worker has turned to another job by now.
  func raise(for job: OriginJob)
}

/// For a worker thread: it waits for its descriptors together with this one.
final class DescriptorInterruption: Interruption, @unchecked Sendable {
  /// Of the kernel's event counters: readable while this is raised. -1 where there was none to have, and waits end by
  /// their deadlines only.
  let descriptor = eventfd(0, Int32(EFD_CLOEXEC) | Int32(EFD_NONBLOCK))
  private let job = Guarded<ObjectIdentifier?>(nil)
  /// Written under the lock of `job`.
  private let raised = Atomic<Bool>(false)

  deinit { if descriptor >= 0 { close(descriptor) } }

  var isRaised: Bool { raised.load(ordering: .acquiring) }

  func begin(_ next: OriginJob) {
    job.withLock { job in
      job = ObjectIdentifier(next)
      raised.store(false, ordering: .releasing)
      var count: eventfd_t = 0
      if descriptor >= 0 { eventfd_read(descriptor, &count) }
    }
  }

  func raise(for late: OriginJob) {
    job.withLock { job in
      guard job == ObjectIdentifier(late) else { return }
      raised.store(true, ordering: .releasing)
      if descriptor >= 0 { eventfd_write(descriptor, 1) }
    }
  }

  enum Waited { case ready(Int16), timedOut, interrupted }

  /// Waits for the descriptor (-1: none) to have one of the events.
  func wait(_ other: Int32 = -1, for events: Int32 = POLLIN, until deadline: Int) -> Waited {
    while !isRaised {
      let left = deadline - monotonicMilliseconds()
      guard left > 0 else { return .timedOut }
      var entries = [
        pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0),
        pollfd(fd: other, events: Int16(events), revents: 0),
      ]
      guard poll(&entries, 2, Int32(clamping: left)) > 0 else { continue }
      if entries[1].revents != 0 { return .ready(entries[1].revents) }
    }
    return .interrupted
  }
}

/// For one job's task: it is cancelled.
final class TaskInterruption: Interruption {
  private enum State {
    case idle, raised
    case running(Task<OriginOutcome, Never>)
  }
  private let state = Guarded(State.idle)

  func begin(_ job: OriginJob) {}

  func raise(for job: OriginJob) {
    let task = state.withLock { state -> Task<OriginOutcome, Never>? in
      defer { state = .raised }
      if case .running(let task) = state { return task }
      return nil
    }
    task?.cancel()
  }

  /// Cancelled at once if this has been raised before.
  func watch(_ task: Task<OriginOutcome, Never>) {
    let isRaised = state.withLock { state in
      if case .raised = state { return true }
      state = .running(task)
      return false
    }
    if isRaised { task.cancel() }
  }
}
