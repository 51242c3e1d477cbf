import Glibc
import Synchronization

/// What a run measured, over all its threads.
struct RunResult {
  var counts = ReplyCounts()
  var histogram = Histogram()
  var operations = 0
  var seconds = 0.0
  var bytesReceived = 0
  var bytesSent = 0
  /// The generator's own CPU, without the time it only polled.
  var generatorSeconds = 0.0
  var server: (cpuSeconds: Double, tickSeconds: Double, residentBytes: Int)?
}

/// One run: opens the connections, starts the threads, times the phases, adds up.
struct LoadRun {
  let workload: Workload
  private let progress: ProgressBar

  init(_ workload: Workload) {
    self.workload = workload
    progress = ProgressBar(isShown: workload.progress && !workload.json && isatty(2) == 1)
  }

  func perform() throws(RunFailure) -> RunResult {
    let control = RunControl(threads: workload.threads)
    let dialled = try dialAll()
    let tallies = (0..<workload.threads).map { _ in Tally() }
    var handles: [pthread_t] = []
    let isLoad = workload.operation == .load
    if isLoad { control.phase = .measure }
    let processes = workload.serverPIDs
    var startReading = ServerProcess.read(processes)
    if startReading == nil {
      let named = processes.map(String.init).joined(separator: ",")
      throw RunFailure("--server-pid \(named): no such process, or it is not yours to look at")
    }
    var startedAt = Clock.monotonic()
    for thread in 0..<workload.threads {
      let own = stride(from: thread, to: dialled.count, by: workload.threads).map { dialled[$0] }
      handles.append(startThread(own, thread, control, tallies[thread]))
    }
    InterruptFlag.install()
    if !isLoad {
      wait(workload.warmUpSeconds, control) { _ in }
      startReading = ServerProcess.read(processes)
      startedAt = Clock.monotonic()
      if control.failure == nil && !InterruptFlag.isRaised { control.phase = .measure }
    }
    wait(isLoad ? .infinity : workload.durationSeconds, control) { elapsed in
      let operations = tallies.reduce(0) { $0 + $1.operations.load(ordering: .relaxed) }
      let share = isLoad ? Double(operations) / Double(workload.keys) : elapsed / workload.durationSeconds
      progress.show(share: share, operations: operations, seconds: elapsed)
    }
    let endedAt = Clock.monotonic()
    let endReading = ServerProcess.read(processes)
    control.phase = .stop
    for handle in handles { pthread_join(handle, nil) }
    progress.clear()
    if let failure = control.failure { throw RunFailure(failure) }
    var result = sum(tallies)
    result.seconds = Double(endedAt - startedAt) * 1e-9
    if !processes.isEmpty, let before = startReading, let after = endReading {
      result.server = (
        after.scheduledSeconds - before.scheduledSeconds, after.tickSeconds - before.tickSeconds, after.residentBytes
      )
    }
    return result
  }

  private func dialAll() throws(RunFailure) -> [Dial.Dialled] {
    let shares = workload.shares
    var dialled: [Dial.Dialled] = []
    do {
      for index in 0..<workload.connections {
        // Each thread has connections of every share.
        let share = index / workload.threads % shares.count
        dialled.append(Dial.Dialled(descriptor: try Dial.connect(shares[share]), share: share))
      }
    } catch {
      for one in dialled { close(one.descriptor) }
      throw error
    }
    return dialled
  }

  private func startThread(
    _ dialled: [Dial.Dialled], _ number: Int, _ control: RunControl, _ tally: Tally
  ) -> pthread_t {
    let seed = workload.seed &+ UInt64(number) &* 0xA24B_AED4_963E_E407
    let box = ThreadBox(LoadThread(workload, dialled, seed: seed, control, tally), control)
    var handle = pthread_t()
    pthread_create(&handle, nil, runThread, Unmanaged.passRetained(box).toOpaque())
    return handle
  }

  /// Waits, looking up every 20 ms (200 ms between drawings), until the time is over or the run is.
  private func wait(_ seconds: Double, _ control: RunControl, _ draw: (Double) -> Void) {
    let start = Clock.monotonic()
    var drawnAt = 0.0
    while !control.isOver && control.phase != .stop && !InterruptFlag.isRaised {
      let elapsed = Double(Clock.monotonic() - start) * 1e-9
      if elapsed >= seconds { return }
      if elapsed - drawnAt >= 0.2 {
        draw(elapsed)
        drawnAt = elapsed
      }
      usleep(UInt32(min(0.02, seconds - elapsed) * 1e6) + 1)
    }
  }

  private func sum(_ tallies: [Tally]) -> RunResult {
    var result = RunResult()
    for tally in tallies {
      result.counts.requests += tally.counts.requests
      result.counts.hits += tally.counts.hits
      result.counts.misses += tally.counts.misses
      result.counts.errors += tally.counts.errors
      result.counts.firstError = result.counts.firstError ?? tally.counts.firstError
      result.histogram.merge(tally.histogram)
      result.bytesReceived += tally.bytesReceived
      result.bytesSent += tally.bytesSent
      result.generatorSeconds += Double(tally.cpuNanoseconds - min(tally.cpuNanoseconds, tally.idleNanoseconds)) * 1e-9
    }
    result.operations = result.counts.requests * workload.batch
    return result
  }
}

/// Carries a thread's state through `pthread_create`.
private final class ThreadBox {
  var thread: LoadThread
  let control: RunControl
  init(_ thread: LoadThread, _ control: RunControl) {
    self.thread = thread
    self.control = control
  }
}

private func runThread(_ argument: UnsafeMutableRawPointer?) -> UnsafeMutableRawPointer? {
  let box = Unmanaged<ThreadBox>.fromOpaque(argument!).takeRetainedValue()
  // A local copy: state behind a class reference would be read and written through it in every inner loop.
  var thread = box.thread
  thread.run()
  box.control.threadEnded()
  return nil
}

/// Ctrl-C ends a run early; what was measured until then is reported.
enum InterruptFlag {
  private static let raised = Atomic<Bool>(false)

  static var isRaised: Bool { raised.load(ordering: .relaxed) }

  static func install() {
    raised.store(false, ordering: .relaxed)
    signal(SIGINT) { _ in
      InterruptFlag.raised.store(true, ordering: .relaxed)
      // A second Ctrl-C ends the program at once.
      signal(SIGINT, SIG_DFL)
    }
  }
}
