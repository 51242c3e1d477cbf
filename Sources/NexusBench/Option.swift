/// One option of `nexuscache bench`, declared once: the parser and the help text both read this table.
struct Option: Sendable {
  let name: String
  /// What stands for the value in the help; nil for a switch.
  let placeholder: String?
  let help: String
  /// Which values are accepted, for the error message.
  let accepted: String
  /// False if the value is not acceptable.
  let apply: @Sendable (inout Workload, String) -> Bool

  init(
    _ name: String, _ placeholder: String?, _ help: String, accepted: String = "",
    _ apply: @escaping @Sendable (inout Workload, String) -> Bool
  ) {
    self.name = name
    self.placeholder = placeholder
    self.help = help
    self.accepted = accepted
    self.apply = apply
  }

  /// A whole number (or `100k`) in `range`.
  static func count(
    _ name: String, _ placeholder: String, _ help: String, _ range: ClosedRange<Int>,
    _ path: WritableKeyPath<Workload, Int> & Sendable
  ) -> Option {
    Option(name, placeholder, help, accepted: "a number from \(range.lowerBound) to \(range.upperBound)") {
      guard let value = Quantities.count($1).flatMap({ Int(exactly: $0) }), range.contains(value) else { return false }
      $0[keyPath: path] = value
      return true
    }
  }

  static func seconds(
    _ name: String, _ help: String, _ path: WritableKeyPath<Workload, Double> & Sendable
  ) -> Option {
    Option(name, "TIME", help, accepted: "a time as 10s, 500ms or 2m") {
      guard let value = Quantities.seconds($1) else { return false }
      $0[keyPath: path] = value
      return true
    }
  }

  static func flag(
    _ name: String, _ help: String, _ path: WritableKeyPath<Workload, Bool> & Sendable, to value: Bool = true
  )
    -> Option
  {
    Option(name, nil, help) { workload, _ in
      workload[keyPath: path] = value
      return true
    }
  }
}

extension Option {
  struct Group: Sendable {
    let title: String
    let options: [Option]
  }

  static let groups: [Group] = [
    Group(title: "Server", options: serverOptions),
    Group(title: "Load", options: loadOptions),
    Group(title: "Keys and values", options: dataOptions),
    Group(title: "Time and output", options: outputOptions),
  ]

  private static let serverOptions: [Option] = [
    Option("host", "NAME", "host or address [127.0.0.1]") {
      $0.host = $1; return !$1.isEmpty
    },
    .count("port", "PORT", "TCP port [6379; http 8080; memcached 11211]", 1...65_535, \.port),
    Option(
      "node", "PORT=SLOTS", "one of several nodes, asked for --keys keys of its slots; repeat it for each",
      accepted: "a port and its slots, as 7000=0-5460"
    ) {
      let parts = $1.split(separator: "=", omittingEmptySubsequences: false)
      guard parts.count == 2, let port = Int(parts[0]), (1...65_535).contains(port),
        let slots = SlotSet(String(parts[1]))
      else { return false }
      $0.nodes.append(Workload.Node(port: port, slots: slots))
      return true
    },
    Option("unix-socket", "PATH", "connect to this Unix socket instead", accepted: "a path of at most 107 bytes") {
      $0.unixSocket = $1
      return !$1.isEmpty && $1.utf8.count <= 107
    },
    Option(
      "protocol", "NAME", "resp, http, memcached or memcached-meta [resp]",
      accepted: Workload.Wire.allCases.map(\.rawValue).joined(separator: ", ")
    ) {
      guard let wire = Workload.Wire(rawValue: $1) else { return false }
      $0.wire = wire
      return true
    },
    Option("password", "TEXT", "sent with AUTH first (resp only)") {
      $0.password = $1; return true
    },
    Option(
      "http-path", "PATH", "what stands before the key in HTTP requests [/api/cache/]", accepted: "a path from / on"
    ) {
      $0.httpPath = $1
      return $1.hasPrefix("/")
    },
  ]

  private static let loadOptions: [Option] = [
    Option("op", "NAME", "get, set, mix, or load (each key once, then stop) [mix]", accepted: "get, set, mix, load") {
      guard let operation = Workload.Operation(rawValue: $1) else { return false }
      $0.operation = operation
      return true
    },
    Option("ratio", "W:R", "writes to reads of a mix [1:9]", accepted: "two whole numbers as 1:9, not both 0") {
      let parts = $1.split(separator: ":", omittingEmptySubsequences: false).compactMap { Int($0) }
      guard parts.count == 2, parts.min()! >= 0, parts.max()! > 0, parts.max()! <= 1_000_000 else { return false }
      ($0.setShare, $0.getShare) = (parts[0], parts[1])
      return true
    },
    .count("connections", "N", "connections over all threads [50]", 1...100_000, \.connections),
    .count("threads", "N", "threads of the generator [1]", 1...256, \.threads),
    .count("pipeline", "N", "requests in flight on each connection [1]", 1...10_000, \.pipeline),
    .count("batch", "N", "keys per read request: MGET, or memcached's multi-get [1]", 1...1_000, \.batch),
    Option("rate", "N", "operations a second over all connections, latency from the scheduled time [0: no limit]") {
      guard let rate = Quantities.count($1) else { return false }
      $0.rate = rate
      return true
    },
    .flag("spin", "poll instead of sleeping: for a generator with a core of its own", \.spin),
    .flag("load", "write every key once before measuring", \.loadFirst),
    .flag("fill", "write what a read did not find (look-aside)", \.fillMisses),
    Option("trace", "FILE", "replay `<key> [<size>]` lines look-aside on one connection; prints the miss ratio") {
      $0.tracePath = $1
      return !$1.isEmpty
    },
  ]

  private static let dataOptions: [Option] = [
    Option("keys", "N", "distinct keys [1m]", accepted: "a number from 1 to 1e12") {
      guard let keys = Quantities.count($1).flatMap({ UInt64(exactly: $0) }), (1...1_000_000_000_000).contains(keys)
      else {
        return false
      }
      $0.keys = keys
      return true
    },
    Option("first-key", "N", "number of the first key [0]", accepted: "a number from 0 to 1e12") {
      guard let first = Quantities.count($1).flatMap({ UInt64(exactly: $0) }), first <= 1_000_000_000_000 else {
        return false
      }
      $0.firstKey = first
      return true
    },
    Option(
      "slots", "LIST", "only keys of these slots: 0-8191,9000 [all]", accepted: "slots from 0 to 16383, as 0-99,200"
    ) {
      $0.slots = SlotSet($1)
      return $0.slots != nil
    },
    .count("key-size", "BYTES", "[16]", 1...250, \.keySize),
    Option("value-size", "BYTES", "32, 4kb, or a range as 100-2000 [32]", accepted: "a size or a range, at most 512mb")
    {
      guard let sizes = Quantities.range($1, Quantities.bytes), sizes.upperBound <= 512 << 20 else { return false }
      $0.valueSizes = sizes
      return true
    },
    Option("ttl", "TIME", "of written keys: 60s, or a range as 60s-120s [none]", accepted: "a time or a range of times")
    {
      let range = Quantities.range($1) { Quantities.seconds($0).map { Int($0 * 1000) } }
      guard let range else { return false }
      $0.ttlMilliseconds = range
      return true
    },
    Option(
      "distribution", "NAME", "uniform, zipf or zipf:THETA [uniform; theta 0.99]",
      accepted: "uniform, zipf, zipf:THETA with a THETA from 0 to 10"
    ) {
      let parts = $1.split(separator: ":", maxSplits: 1).map(String.init)
      let theta = parts.count == 2 ? Double(parts[1]) : 0.99
      switch (parts.first, theta) {
      case ("uniform", _) where parts.count == 1: $0.distribution = .uniform
      case ("zipf", .some(0...10)): $0.distribution = .zipf(theta: theta!)
      default: return false
      }
      return true
    },
    Option("seed", "N", "of the choice of keys, sizes and operations [1]", accepted: "a whole number") {
      guard let seed = UInt64($1) else { return false }
      $0.seed = seed
      return true
    },
  ]

  private static let outputOptions: [Option] = [
    .seconds("duration", "measured time [10s]", \.durationSeconds),
    .seconds("warm-up", "time before measuring [1s]", \.warmUpSeconds),
    Option(
      "server-pid", "PID[,PID]", "also report these processes' CPU per operation and memory", accepted: "process ids"
    ) {
      let parts = $1.split(separator: ",", omittingEmptySubsequences: false)
      $0.serverPIDs = parts.compactMap { Int32($0) }.filter { $0 > 0 }
      return $0.serverPIDs.count == parts.count
    },
    .flag("json", "one JSON object on standard output", \.json),
    .flag("no-progress", "no progress bar on the terminal", \.progress, to: false),
  ]
}
