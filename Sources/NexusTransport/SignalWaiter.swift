import Glibc

/// Turns the signals that end or reload a process into a blocking call.
///
/// Create it on the first thread before any other is started: the signals are blocked in that thread and all that it
/// starts, so that only `wait` sees them.
public struct SignalWaiter: Sendable {
  public enum Signal: Int32, Sendable {
    case terminate = 15
    case interrupt = 2
    case hangUp = 1
  }

  private let set: sigset_t

  public init() {
    var set = sigset_t()
    sigemptyset(&set)
    for signal in [SIGTERM, SIGINT, SIGHUP] { sigaddset(&set, signal) }
    pthread_sigmask(SIG_BLOCK, &set, nil)
    self.set = set
  }

  /// Blocks until one of the signals arrives.
  public func wait() -> Signal {
    var set = set
    var number: Int32 = 0
    while true {
      if sigwait(&set, &number) == 0, let signal = Signal(rawValue: number) { return signal }
    }
  }

  /// From any thread: makes `wait` answer `terminate`.
  public static func requestTermination() { kill(getpid(), SIGTERM) }
}
