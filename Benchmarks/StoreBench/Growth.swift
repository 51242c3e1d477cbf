import Glibc
import NexusBench
import NexusStore

/// Own CPU time of each write while the store grows from nothing, a few large values among small ones.
///
/// A thread's CPU clock also runs while an interrupt or the hypervisor takes the core. Such noise strikes anywhere,
/// but the store is deterministic: what is its own strikes the same write in every run. So the run is repeated, and a
/// write counts with the least of its times.
func measureGrowth(_ options: Options) throws -> JSONObject {
  let entries = try options.count("entries", 10_000_000)
  let largeEvery = try options.count("large-every", 1_000)
  let runs = try options.count("runs", 3)
  let large = 64 << 10
  var slow: [[Int: UInt64]] = []
  var histogram = Histogram()
  var turns = Histogram()
  for _ in 0..<max(1, runs) {
    let limit = entries * 160 + entries / max(1, largeEvery) * (large + 4096) + (1 << 30)
    let subject = try Subject(maxMemoryBytes: limit, seed: 1, largestValue: large) { _ in }
    slow.append([:])
    let now = Subject.now()
    for number in 0..<entries {
      let isLarge = number % largeEvery == largeEvery - 1
      let before = Clock.threadCPU()
      subject.write(number, size: isLarge ? large : 32, .none, now: now)
      let own = Clock.threadCPU() - before
      histogram.record(own)
      if own > 50_000 { slow[slow.count - 1][number] = own }
      // A turn of the server's loop runs up to 64 writes for each of its clients.
      if number % 256 == 255 {
        let start = Clock.threadCPU()
        subject.maintain(now: now)
        turns.record(Clock.threadCPU() - start)
      }
    }
    guard subject.entries == entries else { throw Complaint("\(subject.entries) of \(entries) entries are there") }
  }
  let repeated = slow[0].compactMap { number, own in
    slow.dropFirst().reduce(own) { min($0, $1[number] ?? 0) }
  }
  var result = JSONObject()
  result.add("entries", entries)
  result.add("runs", slow.count)
  result.add("p50_us", Double(histogram.quantile(0.5)) / 1000)
  result.add("p99_us", Double(histogram.quantile(0.99)) / 1000)
  result.add("p9999_us", Double(histogram.quantile(0.9999)) / 1000)
  result.add("p999999_us", Double(histogram.quantile(0.999999)) / 1000)
  result.add("slowest_seen_us", Double(histogram.max) / 1000)
  result.add("slowest_repeated_us", max(Double(repeated.max() ?? 0), Double(histogram.quantile(0.9999))) / 1000)
  result.add("maintenance_p9999_us", Double(turns.quantile(0.9999)) / 1000)
  result.add("maintenance_max_us", Double(turns.max) / 1000)
  return result
}
