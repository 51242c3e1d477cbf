import Glibc
import NexusModel
import NexusService
import Synchronization

/// Structured lines on a descriptor (stderr). Callers only put a line in memory: a thread of its own writes, so that
/// a reader of the log that stalls never stalls a loop. When the reader is a megabyte behind, lines are dropped and
/// their number is said as soon as there is room.
public final class StreamLog: Log, @unchecked Sendable {
  private struct State: Sendable {
    var waiting: [UInt8] = []
    var dropped = 0
    var isWriting = false
  }

  private static let limitBytes = 1 << 20

  private let descriptor: Int32
  private let minimumRank: Atomic<Int>
  private let writesJSON: Atomic<Bool>
  private let state = Guarded(State())
  /// Posted once for each time that `waiting` stops being empty. Invariant: initialised for the life of the object.
  private let work: UnsafeMutablePointer<sem_t>

  public init(descriptor: Int32 = STDERR_FILENO, minimum: LogLevel = .info, json: Bool = false) {
    self.descriptor = descriptor
    minimumRank = Atomic(LogLevel.allCases.firstIndex(of: minimum)!)
    writesJSON = Atomic(json)
    work = .allocate(capacity: 1)
    work.initialize(to: sem_t())
    sem_init(work, 0, 0)
    startWriter(of: self)
  }

  public var minimum: LogLevel {
    get { LogLevel.allCases[minimumRank.load(ordering: .relaxed)] }
    set { minimumRank.store(LogLevel.allCases.firstIndex(of: newValue)!, ordering: .relaxed) }
  }

  public var json: Bool {
    get { writesJSON.load(ordering: .relaxed) }
    set { writesJSON.store(newValue, ordering: .relaxed) }
  }

  public func write(_ level: LogLevel, _ message: String, _ fields: [(String, String)]) {
    guard level >= minimum else { return }
    let line = LogLine(time: .now(), level: level, message: message, fields: fields)
    put(json ? line.json : line.text)
  }

  /// Waits until everything said so far is written, for at most this long.
  public func flush(milliseconds: Int = 1000) {
    for _ in 0..<max(1, milliseconds) {
      if state.withLock({ $0.waiting.isEmpty && !$0.isWriting }) { return }
      usleep(1000)
    }
  }

  private func put(_ line: String) {
    let wasEmpty = state.withLock { state in
      guard state.waiting.count + line.utf8.count < Self.limitBytes else {
        state.dropped += 1
        return false
      }
      let wasEmpty = state.waiting.isEmpty
      state.waiting += line.utf8
      return wasEmpty
    }
    if wasEmpty { sem_post(work) }
  }

  /// The writer thread's life: as long as the process.
  fileprivate func writeForever() {
    while true {
      while sem_wait(work) != 0 {}
      let (bytes, dropped) = state.withLock { state in
        let taken = (state.waiting, state.dropped)
        state.waiting = []
        state.dropped = 0
        state.isWriting = true
        return taken
      }
      writeFully(bytes)
      if dropped > 0 {
        let line = LogLine(
          time: .now(), level: .warning, message: "log lines dropped, their reader is too slow",
          fields: [("count", String(dropped))])
        writeFully(Array((json ? line.json : line.text).utf8))
      }
      state.withLock { $0.isWriting = false }
    }
  }

  private func writeFully(_ bytes: [UInt8]) {
    bytes.withUnsafeBytes { bytes in
      var done = 0
      while done < bytes.count {
        let written = Glibc.write(descriptor, bytes.baseAddress! + done, bytes.count - done)
        if written > 0 {
          done += written
        } else if errno == EAGAIN {
          var waiting = pollfd(fd: descriptor, events: Int16(POLLOUT), revents: 0)
          poll(&waiting, 1, 1000)
        } else if errno != EINTR {
          return
        }
      }
    }
  }
}

/// A free function: a closure made inside an isolated context would trap on a thread of its own.
private func startWriter(of log: StreamLog) {
  var thread = pthread_t()
  // Kept for ever: a log lives as long as its process.
  let held = Unmanaged.passRetained(log).toOpaque()
  let started = pthread_create(
    &thread, nil,
    { held in
      Unmanaged<StreamLog>.fromOpaque(held!).takeUnretainedValue().writeForever()
      return nil
    }, held)
  precondition(started == 0, "no thread for the log: \(String(cString: strerror(started)))")
  pthread_detach(thread)
}
