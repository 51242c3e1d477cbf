import NexusBench
import NexusModel
import NexusStore

/// Replays a trace look-aside and counts misses, beside those of exact LRU with the same capacity.
func replay(_ options: Options) throws -> JSONObject {
  guard let path = options.text("trace") else { throw Complaint("replay needs --trace FILE") }
  let entries = try options.count("entries", 0)
  let bytes = try options.bytes("bytes", 0)
  guard (entries > 0) != (bytes > 0) else { throw Complaint("replay needs either --entries or --bytes") }
  let eviction = try options.eviction()
  let trace: Trace
  do { trace = try Trace(path: path) } catch { throw Complaint("\(error)") }
  guard bytes == 0 || trace.hasSizes else { throw Complaint("--bytes needs a trace with sizes") }
  let largest = trace.sizes.max() ?? 8
  let subject = try Subject(maxMemoryBytes: 8 << 30, seed: 1, largestValue: largest) {
    $0.eviction = eviction
    $0.limitEntries = entries
    $0.limitBytes = bytes
  }
  var misses = 0
  var refused = 0
  // Logical time, 100,000 requests a second: policies that look at a clock see the same one in every run.
  let start: UnixMilliseconds = 1_700_000_000_000
  for (index, object) in trace.keys.enumerated() {
    let now = start + Int64(index / 100)
    if index % 256 == 0 { subject.maintain(now: now) }
    if subject.read(Int(object), now: now) { continue }
    misses += 1
    let size = bytes > 0 ? trace.sizes[Int(object)] : 8
    if subject.write(Int(object), size: size, .none, now: now) != .stored { refused += 1 }
  }
  let requests = Double(trace.keys.count)
  let capacity = max(entries, bytes)
  let exact = ExactLRU.misses(of: trace, capacity: capacity, countingBytes: bytes > 0)
  var result = JSONObject()
  result.add("requests", trace.keys.count)
  result.add("objects", trace.objectCount)
  result.add("total_bytes", trace.totalBytes)
  result.add("capacity", capacity)
  result.add("eviction", eviction.rawValue)
  result.add("miss_ratio", Double(misses) / requests)
  result.add("lru_miss_ratio", Double(exact) / requests)
  result.add("refused", refused)
  result.add("entries", subject.entries)
  return result
}
