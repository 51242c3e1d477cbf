import CLinux
import Glibc
import NexusModel
import NexusService
import Synchronization

/// One event loop: one thread, its own listening sockets, its own connections.
///
/// Invariant: everything but `post`, `index`, `limits` and `assigned` is touched by the loop's own thread only, or
/// before that thread has started and after it has ended.
public final class EpollLoop: EventLoop, @unchecked Sendable {
  public let index: Int
  let limits: LiveLimits
  let gauge: MemoryGauge
  let log: any Log
  let readBufferBytes: Int
  let poller: Poller
  let mailbox: Mailbox

  /// Where all of this loop's reads go first. Invariant: `readBufferBytes + assembleBytes` bytes.
  let readBuffer: UnsafeMutableRawPointer
  /// Kept input up to this size is put before what arrives; larger input is received into place.
  static let assembleBytes = 8 * 1024
  /// The output buffer goes back to its first size after a batch that made it larger than this.
  static let largestIdleOutputBytes = 1024 * 1024
  static let outputBytes = 64 * 1024
  /// The longest sleep, so that doors get to their idle work.
  static let idleMilliseconds = 200

  let state: UnsafeMutablePointer<LoopState>
  var table: ConnectionTable
  var listening: [ListeningSocket] = []
  var watched: [WatchedEntry] = []
  var timers = TimerHeap()
  /// Connections whose kept input is to be offered in the next turn.
  var queued: [ConnectionPointer] = []
  /// Connections with pushes to send at the end of the turn.
  var dirty: [ConnectionPointer] = []
  /// Connections whose doors are to produce output at the end of the turn.
  var producing: [ConnectionPointer] = []
  var producingNow: [ConnectionPointer] = []
  var turnTasks: [any TurnTask] = []
  /// Outgoing connections that are not established yet.
  var dials: [Dial] = []
  /// Connections to close at the end of the turn.
  var doomed: [ConnectionPointer] = []
  /// Closed in this turn: their records are reused only after it, because events of this turn may point to them.
  var retired: [ConnectionPointer] = []
  var lingering: [ConnectionPointer] = []
  var draining: [ConnectionPointer] = []

  public var now: UnixMilliseconds { state.pointee.now }
  var moreSoon = false
  var nextSweep: UnixMilliseconds = 0
  /// When clients may be asked again to make room in the buffers.
  var nextShedding: UnixMilliseconds = 0
  var lastAcceptComplaint: UnixMilliseconds = 0
  var stopDeadline: UInt64?
  var hasEnded = false
  /// The other loops of the runtime, for handing over what this one accepts for all.
  var siblings: [EpollLoop] = []
  /// Connections of this loop and those on their way to it. Any loop may read it, and add what it passes on.
  let assigned = Atomic<Int>(0)

  private let ownStatistics: UnsafeMutablePointer<LoopStatistics>
  private var thread: pthread_t = 0

  init(
    index: Int, readBufferBytes: Int, limits: LiveLimits, gauge: MemoryGauge, log: any Log
  ) throws(TransportError) {
    self.index = index
    self.readBufferBytes = readBufferBytes
    self.limits = limits
    self.gauge = gauge
    self.log = log
    poller = try Poller()
    mailbox = try Mailbox()
    table = ConnectionTable(gauge: gauge)
    readBuffer = .allocate(byteCount: readBufferBytes + Self.assembleBytes, alignment: 64)
    ownStatistics = .allocate(capacity: 1)
    ownStatistics.initialize(to: LoopStatistics())
    state = .allocate(capacity: 1)
    state.initialize(
      to: LoopState(
        now: wallClock(), output: OutputBuffer(capacity: Self.outputBytes), selfOutput: OutputBuffer(capacity: 256),
        doors: .allocate(capacity: LoopState.mostDoors), statistics: ownStatistics))
    gauge.add(sharedBytes)
    poller.add(mailbox.descriptor, token: Token.mailbox, .read)
  }

  deinit {
    for socket in listening { Glibc.close(socket.descriptor) }
    poller.close()
    readBuffer.deallocate()
    gauge.subtract(sharedBytes)
    letGo()
    state.pointee.doors.deallocate()
    state.pointee.output.deallocate()
    state.pointee.selfOutput.deallocate()
    state.deallocate()
    table.deallocate()
    ownStatistics.deallocate()
  }

  var sharedBytes: Int { readBufferBytes + Self.assembleBytes + Self.outputBytes }

  public var monotonicNanoseconds: UInt64 {
    var time = timespec()
    clock_gettime(CLOCK_MONOTONIC, &time)
    return UInt64(time.tv_sec) &* 1_000_000_000 &+ UInt64(time.tv_nsec)
  }

  public func post(_ work: @escaping @Sendable () -> Void) { mailbox.post(work) }

  public func after(milliseconds: Int, _ work: @escaping @Sendable () -> Void) {
    timers.add(deadline: monotonicNanoseconds &+ UInt64(max(0, milliseconds)) &* 1_000_000, work)
  }

  public func atTurnEnd(_ task: any TurnTask) { turnTasks.append(task) }

  // MARK: The turn

  /// Runs until stopped; called on the loop's thread.
  func run() {
    log.debug("event loop started", ("loop", "\(index)"))
    while !hasEnded {
      let events = poller.wait(milliseconds: sleepMilliseconds())
      state.pointee.now = wallClock()
      if events > 1 { dispatchTogether(events) } else if events == 1 { dispatch(poller[0]) }
      runMailbox()
      runTimers()
      if !watched.isEmpty { runWatchedDue() }
      runQueued()
      endTurn()
    }
    // Whoever left a letter before the end gets it read.
    runMailbox()
  }

  /// Sends what was pushed, closes what is to be closed, and lets records be used again.
  private func endTurn() {
    moreSoon = false
    for task in turnTasks where task.turnEnding() { moreSoon = true }
    for index in 0..<state.pointee.doorCount {
      if state.pointee.doors[index]._withUnsafeGuaranteedRef({ $0.turnEnded(now: state.pointee.now) }) {
        moreSoon = true
      }
    }
    if !dials.isEmpty { runDials() }
    if stopDeadline != nil { stopStep() }
    if !producing.isEmpty { runProducing() }
    if !dirty.isEmpty { flushDirty() }
    if gauge.bytes > limits.allBuffersBytes.load(ordering: .relaxed) { askAllToShed() }
    // The second condition: the wall clock was set back.
    if now >= nextSweep || nextSweep - now > 5000 { sweep() }
    if !doomed.isEmpty { closeDoomed() }
    if hasEnded && !dials.isEmpty { runDials() }
    if !retired.isEmpty {
      for connection in retired { table.release(connection) }
      retired.removeAll(keepingCapacity: true)
    }
  }

  @inline(__always) func dispatch(_ event: Poller.Event) {
    if event.token & 7 == 0 {
      let connection = ConnectionPointer(bitPattern: UInt(event.token))!
      if event.isWritable { onWritable(connection) }
      if event.isReadable {
        onReadable(connection)
      } else if event.isBroken {
        onBroken(connection)
      }
    } else {
      dispatchOther(event.token)
    }
  }

  private func dispatchOther(_ token: UInt64) {
    let index = Int(token >> 3)
    switch token & 7 {
    case 1: mailbox.silence()
    case 2: if index < listening.count { onAcceptable(index) }
    case 3: if index < watched.count { watched[index].target?.ready() }
    default: break
    }
  }

  private func runMailbox() {
    for work in mailbox.take() { work() }
  }

  private func runTimers() {
    guard let first = timers.nextDeadline else { return }
    let time = monotonicNanoseconds
    guard first <= time else { return }
    while let work = timers.popDue(now: time) { work() }
  }

  private func sleepMilliseconds() -> Int {
    if !queued.isEmpty || !doomed.isEmpty || !dirty.isEmpty || !producing.isEmpty { return 0 }
    var sleep = moreSoon ? 1 : stopDeadline != nil ? 5 : Self.idleMilliseconds
    if let deadline = timers.nextDeadline {
      let time = monotonicNanoseconds
      sleep = min(sleep, deadline <= time ? 0 : Int((deadline - time + 999_999) / 1_000_000))
    }
    if !watched.isEmpty { sleep = min(sleep, watchedMilliseconds()) }
    if !dials.isEmpty { sleep = min(sleep, dialsMilliseconds()) }
    return sleep
  }

  // MARK: The thread

  /// Invariant: the runtime keeps the loop alive until it has joined the thread.
  func startThread() throws(TransportError) {
    let context = Unmanaged.passUnretained(self).toOpaque()
    let code = pthread_create(&thread, nil, runLoopThread, context)
    guard code == 0 else { throw .system("cannot start the thread of event loop \(index)", code) }
  }

  func joinThread() {
    guard thread != 0 else { return }
    pthread_join(thread, nil)
    thread = 0
  }
}

func wallClock() -> UnixMilliseconds {
  var time = timespec()
  clock_gettime(CLOCK_REALTIME, &time)
  return Int64(time.tv_sec) &* 1000 &+ Int64(time.tv_nsec) / 1_000_000
}

/// The thread's entry: a free function, because a closure would carry its creator's isolation along.
private func runLoopThread(_ context: UnsafeMutableRawPointer?) -> UnsafeMutableRawPointer? {
  let loop = Unmanaged<EpollLoop>.fromOpaque(context!).takeUnretainedValue()
  nexus_name_thread("loop-\(loop.index)")
  loop.run()
  return nil
}
