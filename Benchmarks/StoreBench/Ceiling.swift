import Glibc
import NexusBench
import NexusModel
import NexusStore

/// Writes many times the limit with sizes that change from small to large and back, overwriting and deleting, and
/// watches that resident memory stays under the limit and no write that fits is refused.
func measureCeiling(_ options: Options) throws -> JSONObject {
  let limit = try options.bytes("limit", 512 << 20)
  let times = try options.count("times", 10)
  let eviction = try options.eviction()
  let seed = UInt64(try options.count("seed", 1))
  let largest = 4 << 20
  let subject = try Subject(maxMemoryBytes: limit, seed: seed, largestValue: largest) { $0.eviction = eviction }
  let residentBefore = residentBytes()
  var random = SplitMix64(seed: seed)
  var refused = 0
  var writes = 0
  var residentMax = 0
  var usedMax = 0
  for phase in Phase.all {
    var left = limit / Phase.all.count * times
    var sinceLook = 0
    while left > 0 {
      let now = Subject.now()
      let number = Int(random.below(phase.keys(limit)))
      if random.below(10) == 0 {
        subject.remove(number, now: now)
        continue
      }
      let size = phase.size(&random)
      let expiry: Expiry = random.below(8) == 0 ? .at(now + 1 + Int64(random.below(5_000))) : .none
      if subject.write(number, size: size, expiry, now: now) != .stored { refused += 1 }
      writes += 1
      // Each write counts with about what an entry costs: tiny values would make a phase of millions.
      left -= size + 64
      sinceLook += size + 200
      if writes % 64 == 0 { subject.maintain(now: now) }
      if sinceLook > limit / 256 {
        sinceLook = 0
        residentMax = max(residentMax, residentBytes() - residentBefore)
        usedMax = max(usedMax, subject.store.memory.usedBytes)
      }
    }
  }
  var result = JSONObject()
  result.add("limit_bytes", limit)
  result.add("eviction", eviction.rawValue)
  result.add("seed", Int(seed))
  result.add("writes", writes)
  result.add("refused", refused)
  result.add("entries", subject.entries)
  result.add("resident_max_bytes", residentMax)
  result.add("used_max_bytes", usedMax)
  result.add("resident_over_limit", Double(residentMax) / Double(limit))
  return result
}

/// One mix of sizes; a ceiling campaign goes through them in turn.
private struct Phase {
  let smallest: Int
  let largest: Int

  static let all = [
    Phase(smallest: 1, largest: 200), Phase(smallest: 1, largest: 4 << 20),
    Phase(smallest: 64 << 10, largest: 4 << 20), Phase(smallest: 1, largest: 2_000), Phase(smallest: 1, largest: 64),
  ]

  /// Every order of magnitude comes equally often.
  func size(_ random: inout SplitMix64) -> Int {
    let low = log(Double(smallest))
    return min(largest, Int(exp(low + random.unit() * (log(Double(largest)) - low)).rounded()))
  }

  /// So many keys that the mix would fill the limit about three times.
  func keys(_ limit: Int) -> UInt64 {
    let ratio = Double(largest) / Double(smallest)
    let mean = smallest == largest ? Double(smallest) : Double(largest - smallest) / log(ratio)
    return UInt64(max(100, 3 * Double(limit) / (mean + 40)))
  }
}
