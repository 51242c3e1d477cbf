import Glibc
import NexusBench
import NexusModel
import NexusStore

/// Entries whose TTLs end evenly over some seconds, and nobody who reads them: the CPU that it takes to return their
/// memory, and how long after its end an entry is gone.
func measureExpiry(_ options: Options) throws -> JSONObject {
  let rate = try options.count("rate", 1_000_000)
  let seconds = try options.count("seconds", 10)
  let entries = rate * seconds
  let subject = try Subject(maxMemoryBytes: entries * 200 + (1 << 30), seed: 1, largestValue: 32) { _ in }
  // Loading takes about half a microsecond an entry: the first TTL ends after it.
  let loadMilliseconds = Int64(2_000 + entries / 500)
  let firstEnd = Subject.now() + loadMilliseconds
  var random = SplitMix64(seed: 2)
  var now = Subject.now()
  for number in 0..<entries {
    if number % 256 == 0 {
      now = Subject.now()
      subject.maintain(now: now)
    }
    // In no order, as they come in a real cache.
    let end = firstEnd + Int64(random.below(UInt64(seconds * 1000)))
    guard subject.write(number, size: 32, .at(end), now: now) == .stored else { throw Complaint("a write was refused") }
  }
  while Subject.now() < firstEnd { runTurn(subject) }
  let takenAtStart = takenBytes(subject)
  let cpuAtStart = Clock.threadCPU()
  let startedAt = Clock.monotonic()
  var worstLag = 0.0
  var lastEnd: Double?
  let total = Double(entries)
  while true {
    runTurn(subject)
    let elapsed = Double(Subject.now() - firstEnd) / 1000
    let left = Double(subject.entries)
    // As many entries as this were due to be left so long ago.
    let due = (total - left) / total * Double(seconds)
    if left > 0 { worstLag = max(worstLag, elapsed - due) }
    if left == 0 && lastEnd == nil { lastEnd = elapsed }
    if elapsed > Double(seconds) + 3 || (lastEnd != nil && elapsed > Double(seconds) + 0.5) { break }
  }
  // The share while entries expired: afterwards there is nothing to do.
  let busySeconds = Double(Clock.threadCPU() - cpuAtStart) * 1e-9
  let wallSeconds = min(Double(Clock.monotonic() - startedAt) * 1e-9, lastEnd ?? .infinity)
  var result = JSONObject()
  result.add("rate", rate)
  result.add("seconds", seconds)
  result.add("cpu_share", busySeconds / wallSeconds)
  result.add("cpu_ns_per_expiry", busySeconds * 1e9 / total)
  result.add("lag_seconds", max(worstLag, lastEnd.map { $0 - Double(seconds) } ?? worstLag))
  result.add("left_entries", subject.entries)
  result.add("taken_bytes_before", takenAtStart)
  result.add("taken_bytes_after", takenBytes(subject))
  return result
}

/// One turn of a loop that has no clients: background work, then sleep until there may be more.
private func runTurn(_ subject: Subject) {
  let rest = subject.maintain(now: Subject.now())
  usleep(UInt32(min(rest, Subject.idleMilliseconds)) * 1000)
}

/// Bytes that other writes cannot have.
private func takenBytes(_ subject: Subject) -> Int {
  let memory = subject.store.memory
  return memory.usedBytes - memory.freeChunkBytes
}
