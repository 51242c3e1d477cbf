import Glibc
import NexusBench
import NexusModel
import NexusStore

/// Measures the store without a server around it. Each command prints one JSON object; bench/run reads them.
func runStoreBench(_ arguments: [String]) -> Int32 {
  do {
    let options = try Options(Array(arguments.dropFirst()))
    let result: JSONObject
    switch arguments.first {
    case "growth": result = try measureGrowth(options)
    case "expiry": result = try measureExpiry(options)
    case "ceiling": result = try measureCeiling(options)
    case "replay": result = try replay(options)
    default: throw Complaint(usage)
    }
    try options.checkAllRead()
    print(result.text)
    return 0
  } catch {
    let line = Array("store-bench: \(error)\n".utf8)
    _ = write(STDERR_FILENO, line, line.count)
    return 2
  }
}

private let usage = """
  commands and their options:
    growth   --entries 10m --large-every 1000 --runs 3
             own CPU time of each write while the store grows from nothing
    expiry   --rate 1m --seconds 10
             CPU share of background work while so many entries expire a second, and how late memory returns
    ceiling  --limit 512mb --times 10 --eviction s3fifo --seed 1
             fills far past the limit with changing sizes and watches the resident memory
    replay   --trace FILE --entries N | --bytes SIZE  --eviction s3fifo
             misses of a look-aside replay, and those of exact LRU
  """

struct Complaint: Error, CustomStringConvertible {
  let description: String
  init(_ description: String) { self.description = description }
}

/// `--name value` pairs.
final class Options {
  private var values: [String: String] = [:]
  private var read: Set<String> = []

  init(_ arguments: [String]) throws {
    guard arguments.count % 2 == 0 else { throw Complaint("every option has a value: --name value") }
    for index in stride(from: 0, to: arguments.count, by: 2) {
      guard arguments[index].hasPrefix("--") else { throw Complaint("'\(arguments[index])' is no option") }
      values[String(arguments[index].dropFirst(2))] = arguments[index + 1]
    }
  }

  func text(_ name: String) -> String? {
    read.insert(name)
    return values[name]
  }

  func count(_ name: String, _ standard: Int) throws -> Int {
    guard let text = text(name) else { return standard }
    guard let value = Quantities.count(text).flatMap({ Int(exactly: $0) }) else {
      throw Complaint("--\(name) '\(text)' is no whole number")
    }
    return value
  }

  func bytes(_ name: String, _ standard: Int) throws -> Int {
    guard let text = text(name) else { return standard }
    guard let value = Quantities.bytes(text) else { throw Complaint("--\(name) '\(text)' is no size") }
    return value
  }

  func eviction() throws -> EvictionPolicyName {
    let name = text("eviction") ?? EvictionPolicyName.s3fifo.rawValue
    guard let policy = EvictionPolicyName(rawValue: name) else {
      throw Complaint("--eviction '\(name)' is none of \(EvictionPolicyName.allCases.map(\.rawValue))")
    }
    return policy
  }

  func checkAllRead() throws {
    for name in values.keys where !read.contains(name) { throw Complaint("--\(name) is no option of this command") }
  }
}
