/// Why a command line was not understood, in a sentence for the one who typed it.
struct UsageError: Error, Equatable {
  let message: String
  init(_ message: String) { self.message = message }
}

extension Workload {
  /// Reads `--name value`, `--name=value` and switches; nil where help was asked for.
  static func parse(_ arguments: [String]) throws(UsageError) -> Workload? {
    var workload = Workload()
    var named: Set<String> = []
    var index = 0
    while index < arguments.count {
      let argument = arguments[index]
      index += 1
      if argument == "--help" || argument == "-h" { return nil }
      guard argument.hasPrefix("--") else {
        throw UsageError("unexpected argument '\(argument)': options begin with --, see nexuscache bench --help")
      }
      let parts = argument.dropFirst(2).split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
      let name = parts.first.map(String.init) ?? ""
      guard let option = Option.groups.lazy.flatMap(\.options).first(where: { $0.name == name }) else {
        throw UsageError("unknown option '--\(name)': see nexuscache bench --help")
      }
      var value = ""
      if option.placeholder != nil {
        if parts.count == 2 {
          value = String(parts[1])
        } else if index < arguments.count {
          value = arguments[index]
          index += 1
        } else {
          throw UsageError("--\(name) needs a value: --\(name) \(option.placeholder!)")
        }
      } else if parts.count == 2 {
        throw UsageError("--\(name) takes no value")
      }
      guard option.apply(&workload, value) else {
        let accepted = option.accepted.isEmpty ? "" : ": accepted is \(option.accepted)"
        throw UsageError("--\(name) '\(value)' is not valid\(accepted)")
      }
      named.insert(name)
    }
    workload.adjust(named)
    try workload.check(named)
    try workload.chooseKeys()
    return workload
  }

  /// Defaults that depend on other options.
  private mutating func adjust(_ named: Set<String>) {
    if !named.contains("port") {
      switch wire {
      case .http: port = 8080
      case .memcached, .meta: port = 11_211
      case .resp: break
      }
    }
    // Never a thread without a connection.
    threads = min(threads, connections)
  }

  /// What options mean together.
  private func check(_ named: Set<String>) throws(UsageError) {
    if slots != nil && tracePath != nil {
      throw UsageError("--slots chooses keys, and a trace has its own: leave one out")
    }
    if !nodes.isEmpty { try checkNodes(named) }
    for share in shares { try share.checkKeys() }
    if batch > 1 && (wire == .http || wire == .meta) {
      throw UsageError(
        "--batch is for resp and memcached: \(wire.rawValue) has no read of several keys; use --pipeline")
    }
    if batch > 1 && operation != .get {
      throw UsageError("--batch joins reads: use it with --op get")
    }
    if fillMisses && batch > 1 {
      throw UsageError("--fill needs one key per request: leave --batch out and use --pipeline")
    }
    if wire != .resp && password != nil {
      throw UsageError("--password is for --protocol resp")
    }
    if durationSeconds <= 0 && operation != .load && tracePath == nil {
      throw UsageError("--duration must be above 0")
    }
  }

  private func checkNodes(_ named: Set<String>) throws(UsageError) {
    if let other = ["port", "unix-socket", "slots", "trace", "load"].first(where: named.contains) {
      throw UsageError("--node says where keys are: leave --\(other) out, or leave out --node")
    }
    if operation == .load {
      throw UsageError("--op load fills one server: use --port and --slots for each node")
    }
    if connections / threads < nodes.count {
      throw UsageError("\(nodes.count) nodes need as many --connections for each thread")
    }
  }

  private func checkKeys() throws(UsageError) {
    if slots != nil && largestKey - firstKey > UInt64(UInt32.max) {
      throw UsageError("--keys is too many for so few slots: name more slots, or fewer keys")
    }
    let needed = KeyFormat.digitCount(largestKey)
    if keySize < needed {
      throw UsageError("--key-size \(keySize) cannot hold key number \(largestKey): use at least \(needed)")
    }
  }

  /// With `--slots` or `--node`: which numbers those keys have.
  private mutating func chooseKeys() throws(UsageError) {
    keyOffsets = try offsetsOfKeys()
    let shares = shares
    for index in nodes.indices { nodes[index].keyOffsets = try shares[index].offsetsOfKeys() }
  }

  private func offsetsOfKeys() throws(UsageError) -> [UInt32] {
    guard let slots else { return [] }
    let offsets = slots.offsets(of: keys, from: firstKey, keyFormat)
    if offsets.count < keys {
      throw UsageError("there are only \(offsets.count) keys of these slots up to number \(largestKey)")
    }
    return offsets
  }

  static var help: String {
    var text = """
      nexuscache bench [options]: loads a cache server and reports rates, latencies and CPU per operation.

      Without --rate each connection sends its next requests when the last ones are answered. With --rate,
      requests are due on a schedule and latency counts from the moment they were due, sent or not.


      """
    for group in Option.groups {
      text += group.title + "\n"
      for option in group.options {
        let left = "  --\(option.name)" + (option.placeholder.map { " \($0)" } ?? "")
        text += left + String(repeating: " ", count: max(2, 24 - left.utf8.count)) + option.help + "\n"
      }
      text += "\n"
    }
    return text + """
      Examples
        nexuscache bench --load --op get --pipeline 16
        nexuscache bench --protocol http --distribution zipf:0.9 --ratio 1:20 --rate 20k
        nexuscache bench --keys 10m --value-size 100-2000 --ttl 60s-120s --op load

      """
  }
}
