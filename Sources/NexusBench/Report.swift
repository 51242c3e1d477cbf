/// A run's figures for people and for programs.
struct Report {
  let workload: Workload
  let result: RunResult

  private static let quantiles: [(name: String, share: Double)] = [
    ("p50", 0.5), ("p90", 0.9), ("p99", 0.99), ("p99.9", 0.999), ("p99.99", 0.9999),
  ]

  private var rate: Double { result.seconds > 0 ? Double(result.operations) / result.seconds : 0 }
  private var lookups: Int { result.counts.hits + result.counts.misses }
  private var hitRatio: Double { lookups > 0 ? Double(result.counts.hits) / Double(lookups) : 0 }
  private func perOperation(_ seconds: Double) -> Double {
    result.operations > 0 ? seconds * 1e6 / Double(result.operations) : 0
  }

  var text: String {
    var lines = [title, ""]
    func add(_ name: String, _ value: String) {
      lines.append("  " + name + String(repeating: " ", count: max(1, 18 - name.utf8.count)) + value)
    }
    add("operations", "\(result.operations.grouped) in \(result.seconds.fixed(2)) s")
    add("rate", "\(rate.fixed(0))/s" + (workload.rate > 0 ? " (asked for \(workload.rate.fixed(0))/s)" : ""))
    if lookups > 0 {
      add("hit ratio", "\((hitRatio * 100).fixed(2))% of \(lookups.grouped) reads")
    }
    for (name, share) in Self.quantiles { add("latency " + name, microseconds(result.histogram.quantile(share))) }
    add("latency max", microseconds(result.histogram.max))
    let received = Double(result.bytesReceived) / 1e6 / max(result.seconds, 1e-9)
    let sent = Double(result.bytesSent) / 1e6 / max(result.seconds, 1e-9)
    add("traffic", "\(received.fixed(1)) MB/s received, \(sent.fixed(1)) MB/s sent")
    let busy = result.generatorSeconds / max(result.seconds, 1e-9)
    add(
      "generator CPU",
      "\(perOperation(result.generatorSeconds).fixed(3)) us per operation, \((busy * 100).fixed(0))% of a core")
    if let server = result.server {
      let share = server.cpuSeconds / max(result.seconds, 1e-9)
      add(
        "server CPU",
        "\(perOperation(server.cpuSeconds).fixed(3)) us per operation, \((share * 100).fixed(0))% of a core")
      add("server memory", "\((Double(server.residentBytes) / 1_048_576).fixed(1)) MiB resident")
      if busy > share + 0.02 && busy > 0.9 * Double(workload.threads) {
        lines.append("\n  The generator was busier than the server: the rate is the generator's.")
      }
    }
    if result.counts.errors > 0 {
      lines.append("\n  \(result.counts.errors.grouped) error replies, the first: \(result.counts.firstError ?? "")")
    }
    return lines.joined(separator: "\n") + "\n"
  }

  private var title: String {
    if let path = workload.tracePath {
      return "\(workload.endpoint) (\(workload.wire.rawValue)), look-aside replay of \(path)"
    }
    let values = workload.valueSizes
    let sizes = values.count == 1 ? "\(values.lowerBound)" : "\(values.lowerBound)-\(values.upperBound)"
    var parts = ["\(workload.endpoint) (\(workload.wire.rawValue))", workload.operation.rawValue]
    if workload.operation == .mix { parts[1] += " \(workload.setShare):\(workload.getShare)" }
    parts.append("\(workload.connections) connections, pipeline \(workload.pipeline)")
    if workload.batch > 1 { parts.append("\(workload.batch) keys a read") }
    let keys = "\(workload.keys.grouped) keys of \(workload.keySize) B, values of \(sizes) B"
    if case .zipf(let theta) = workload.distribution {
      parts.append("\(keys), Zipf \(theta)")
    } else {
      parts.append(keys)
    }
    return parts.joined(separator: ", ") + ", seed \(workload.seed)"
  }

  private func microseconds(_ nanoseconds: UInt64) -> String { "\((Double(nanoseconds) / 1000).fixed(1)) us" }

  /// One line. Times in the unit that their name ends in.
  var json: String {
    var object = JSONObject()
    object.add("protocol", workload.wire.rawValue)
    object.add("op", workload.operation.rawValue)
    object.add("connections", workload.connections)
    object.add("pipeline", workload.pipeline)
    object.add("batch", workload.batch)
    object.add("keys", Int(workload.keys))
    object.add("seed", Int(truncatingIfNeeded: workload.seed))
    object.add("operations", result.operations)
    object.add("seconds", result.seconds)
    object.add("ops_per_second", rate)
    object.add("hits", result.counts.hits)
    object.add("misses", result.counts.misses)
    object.add("errors", result.counts.errors)
    for (name, share) in Self.quantiles {
      let label = name.split(separator: ".").joined()
      object.add("\(label)_us", Double(result.histogram.quantile(share)) / 1000)
    }
    object.add("max_us", Double(result.histogram.max) / 1000)
    object.add("mean_us", result.histogram.mean / 1000)
    object.add("bytes_received", result.bytesReceived)
    object.add("bytes_sent", result.bytesSent)
    object.add("generator_cpu_us_per_op", perOperation(result.generatorSeconds))
    object.add("generator_busy", result.generatorSeconds / max(result.seconds, 1e-9))
    if let server = result.server {
      object.add("server_cpu_us_per_op", perOperation(server.cpuSeconds))
      object.add("server_tick_us_per_op", perOperation(server.tickSeconds))
      object.add("server_busy", server.cpuSeconds / max(result.seconds, 1e-9))
      object.add("server_rss_bytes", server.residentBytes)
    }
    if let error = result.counts.firstError { object.add("first_error", error) }
    return object.text + "\n"
  }
}

/// One flat JSON object.
public struct JSONObject {
  private var members: [String] = []

  public init() {}

  public mutating func add(_ name: String, _ value: Int) { members.append("\(Self.quoted(name)):\(value)") }

  public mutating func add(_ name: String, _ value: Double) {
    members.append("\(Self.quoted(name)):\(value.isFinite ? "\(value)" : "null")")
  }

  public mutating func add(_ name: String, _ value: String) {
    members.append("\(Self.quoted(name)):\(Self.quoted(value))")
  }

  public var text: String { "{" + members.joined(separator: ",") + "}" }

  private static func quoted(_ text: String) -> String {
    var quoted = "\""
    for scalar in text.unicodeScalars {
      switch scalar {
      case "\"": quoted += "\\\""
      case "\\": quoted += "\\\\"
      case _ where scalar.value < 0x20:
        let digits = String(scalar.value, radix: 16)
        quoted += "\\u" + String(repeating: "0", count: 4 - digits.utf8.count) + digits
      default: quoted.unicodeScalars.append(scalar)
      }
    }
    return quoted + "\""
  }
}
