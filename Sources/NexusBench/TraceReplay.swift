import CLinux
import Glibc
import NexusModel

/// Replays a trace over one connection as an application would: reads, and writes what was not found.
///
/// Reads travel in pipelines of different keys: a batch ends where a key comes again, so that the order of a key's
/// own requests is what it would be without a pipeline.
struct TraceReplay {
  private let workload: Workload
  private let trace: Trace
  private let descriptor: Int32
  private let pieces: RequestPieces
  private let progress: ProgressBar
  private let received = UnsafeMutableRawBufferPointer.allocate(byteCount: 1 << 18, alignment: 64)
  private var reader: ReplyReader
  private var output = OutputBuffer(capacity: 1 << 16)
  private var result = RunResult()

  static func perform(_ workload: Workload, path: String) throws(RunFailure) -> RunResult {
    let trace: Trace
    do { trace = try Trace(path: path) } catch { throw RunFailure("\(error)") }
    guard !trace.keys.isEmpty else { throw RunFailure("\(path) has no requests") }
    var replay = try TraceReplay(workload, trace)
    defer { replay.deallocate() }
    return try replay.run()
  }

  private init(_ given: Workload, _ trace: Trace) throws(RunFailure) {
    var workload = given
    workload.firstKey = 0
    workload.keys = UInt64(trace.objectCount)
    workload.keySize = max(KeyFormat.digitCount(workload.keys), workload.keySize)
    let largest = max(trace.sizes.max() ?? 0, given.valueSizes.upperBound)
    workload.valueSizes = given.valueSizes.lowerBound...largest
    self.workload = workload
    self.trace = trace
    pieces = RequestPieces(workload)
    progress = ProgressBar(isShown: given.progress && !given.json && isatty(2) == 1)
    descriptor = try Dial.connect(workload)
    _ = fcntl(descriptor, F_SETFL, fcntl(descriptor, F_GETFL) & ~O_NONBLOCK)
    reader = ReplyReader(workload.wire, batch: 1)
    reader.missed = .allocate(capacity: workload.pipeline)
  }

  private func deallocate() {
    close(descriptor)
    received.deallocate()
    reader.missed?.deallocate()
    reader.deallocate()
    output.deallocate()
  }

  private mutating func run() throws(RunFailure) -> RunResult {
    let processes = workload.serverPIDs
    let before = ServerProcess.read(processes)
    let start = Clock.monotonic()
    let cpuAtStart = Clock.threadCPU()
    // The batch in which a key was asked for last.
    var askedIn = [UInt32](repeating: 0, count: trace.objectCount)
    var batch: UInt32 = 0
    var position = 0
    while position < trace.keys.count {
      batch += 1
      var end = position
      while end < trace.keys.count, end - position < workload.pipeline, askedIn[Int(trace.keys[end])] != batch {
        askedIn[Int(trace.keys[end])] = batch
        end += 1
      }
      try read(trace.keys[position..<end])
      position = end
      if batch % 1024 == 0 {
        let seconds = Double(Clock.monotonic() - start) * 1e-9
        progress.show(share: Double(position) / Double(trace.keys.count), operations: position, seconds: seconds)
      }
    }
    progress.clear()
    result.seconds = Double(Clock.monotonic() - start) * 1e-9
    result.generatorSeconds = Double(Clock.threadCPU() - cpuAtStart) * 1e-9
    result.operations = trace.keys.count
    if let before, !processes.isEmpty, let after = ServerProcess.read(processes) {
      result.server = (
        after.scheduledSeconds - before.scheduledSeconds, after.tickSeconds - before.tickSeconds, after.residentBytes
      )
    }
    return result
  }

  private mutating func read(_ keys: ArraySlice<UInt32>) throws(RunFailure) {
    output.count = 0
    for key in keys { _ = pieces.appendGet(UInt64(key), to: &output) }
    reader.beginTurn()
    reader.allWrites = false
    let startedAt = Clock.monotonic()
    try exchange(replies: keys.count)
    result.histogram.record(Clock.monotonic() - startedAt, times: keys.count)
    guard reader.missedCount > 0, let missed = reader.missed else { return }
    output.count = 0
    for place in 0..<reader.missedCount {
      let key = keys[keys.startIndex + Int(missed[place])]
      let size = trace.hasSizes ? trace.sizes[Int(key)] : workload.valueSizes.lowerBound
      _ = pieces.appendSet(
        UInt64(key), size: size, ttlMilliseconds: workload.ttlMilliseconds.lowerBound, to: &output)
    }
    let writes = reader.missedCount
    reader.beginTurn()
    reader.allWrites = true
    try exchange(replies: writes)
  }

  /// Sends the output and reads so many replies. The two interleave: a server may stop reading while its own replies
  /// wait to be read.
  private mutating func exchange(replies: Int) throws(RunFailure) {
    let wanted = result.counts.requests + replies
    var sent = 0
    while result.counts.requests < wanted {
      if sent < output.count {
        let flags = Int32(MSG_NOSIGNAL) | Int32(MSG_DONTWAIT)
        let count = send(descriptor, output.base + sent, output.count - sent, flags)
        if count < 0 && errno != EAGAIN { throw lost() }
        sent += max(0, count)
      }
      var interest = pollfd(
        fd: descriptor, events: Int16(POLLIN) | (sent < output.count ? Int16(POLLOUT) : 0), revents: 0)
      if sent < output.count { poll(&interest, 1, -1) }
      guard sent == output.count || interest.revents & Int16(POLLIN) != 0 else { continue }
      let count = recv(descriptor, received.baseAddress, received.count, 0)
      guard count > 0 else { throw lost() }
      result.bytesReceived += count
      reader.feed(UnsafeRawBufferPointer(rebasing: received[..<count]), &result.counts)
      if let alien = result.counts.alien {
        throw RunFailure("\(workload.endpoint) does not speak \(workload.wire.rawValue): it answered '\(alien)'")
      }
    }
    result.bytesSent += output.count
  }

  private func lost() -> RunFailure { RunFailure("\(workload.endpoint) closed the connection during the replay") }
}
