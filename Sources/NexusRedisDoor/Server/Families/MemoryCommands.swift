import NexusModel
import NexusStore

extension CommandTable {
  static let memoryCommand = Command(
    "memory", arity: -2, [], group: .server, since: "4.0.0", complexity: "Depends on the subcommand",
    summary: "What memory is used for.",
    subcommands: [
      subcommand("memory|doctor", "O(1)", "Looks for memory problems.") { call in
        call.reply(verbatim: MemoryDoctor.report(call.door))
      },
      subcommand("memory|malloc-stats", "O(1)", "The allocator's own figures.") { call in
        call.reply(verbatim: MemoryDoctor.arena(call.store.memory))
      },
      subcommand("memory|purge", "O(1)", "Returns free memory to the system.") { call in
        // The store gives free pages back by itself; this only lets it do now what it would do in its next turns.
        let loop = call.engine.loop
        call.store.maintain(loop: loop.index, as: call.worker, now: call.now) { loop.monotonicNanoseconds }
        call.replyOK()
      },
      subcommand("memory|stats", "O(1)", "Memory by purpose.") { $0.replyMemoryStatistics() },
      memoryUsage,
      Command(
        "memory|help", arity: 2, [.loading, .stale], group: .server, since: "4.0.0", complexity: "O(1)",
        summary: "Lists the subcommands."
      ) { call in
        call.reply(
          helpFor: "MEMORY",
          [
            ("DOCTOR", "Look for memory problems."), ("MALLOC-STATS", "The allocator's own figures."),
            ("PURGE", "Return free memory to the system."), ("STATS", "Memory by purpose."),
            ("USAGE <key> [SAMPLES <count>]", "Bytes that a key and its value take in all."),
          ])
      },
    ]
  ) { $0.replyWrongArity() }

  private static func subcommand(
    _ name: String, _ complexity: String, _ summary: String, _ handler: @escaping Command.Handler
  ) -> Command {
    Command(
      name, arity: 2, [], group: .server, since: "4.0.0", complexity: complexity, summary: summary, handler: handler)
  }

  static let memoryUsage = Command(
    "memory|usage", arity: -3, [.readonly], keys: .range(first: 2, last: 2, step: 1), group: .server, since: "4.0.0",
    complexity: "O(1)", summary: "Bytes that a key and its value take in all."
  ) { call in
    var next = 3
    while next < call.count {
      guard call.matches(next, "samples"), next + 1 < call.count else { return call.replySyntaxError() }
      guard let samples = call.requireInteger(next + 1) else { return }
      if samples < 0 { return call.replySyntaxError() }
      next += 2
    }
    let bytes = call.withKey(2) { call, key in
      call.store.find(key, now: call.now, touch: false).map { call.store.memoryBytes(of: $0) }
    }
    if let bytes { call.reply(integer: bytes) } else { call.replyNull() }
  }
}

extension Call {
  mutating func replyMemoryStatistics() {
    let memory = store.memory
    let keys = store.configuredNumbers.reduce(0) { $0 + store.count(in: $1) }
    let process = engine.node.processFigures.read()
    let peak = max(memory.peakBytes, memory.usedBytes)
    let integers = [
      ("peak.allocated", peak), ("total.allocated", memory.usedBytes), ("clients.normal", memory.outsideBytes),
      ("overhead.total", memory.indexBytes + memory.outsideBytes), ("index.bytes", memory.indexBytes),
      ("free-chunks.bytes", memory.freeChunkBytes), ("keys.count", keys),
      ("keys.bytes-per-key", keys > 0 ? (memory.entryBytes + memory.indexBytes) / keys : 0),
      ("dataset.bytes", memory.entryBytes), ("allocator.resident", process.residentBytes),
    ]
    let doubles = [
      ("dataset.percentage", memory.usedBytes > 0 ? Double(memory.entryBytes) * 100 / Double(memory.usedBytes) : 0),
      ("peak.percentage", peak > 0 ? Double(memory.usedBytes) * 100 / Double(peak) : 0),
      ("fragmentation", memory.usedBytes > 0 ? Double(process.residentBytes) / Double(memory.usedBytes) : 0),
    ]
    reply(mapOf: integers.count + doubles.count)
    for (name, value) in integers {
      reply(bulk: name)
      reply(integer: value)
    }
    for (name, value) in doubles {
      reply(bulk: name)
      reply(double: value)
    }
  }
}

enum MemoryDoctor {
  /// Sentences about what is wrong with memory, or that nothing is.
  static func report(_ door: RedisDoor) -> String {
    let memory = door.node.store.memory
    let limit = door.node.settings.maxMemoryBytes
    let resident = door.node.processFigures.read().residentBytes
    var findings: [String] = []
    if memory.usedBytes < 5 << 20 {
      return "The node uses less than 5 MB: too little for anything to be wrong with it."
    }
    if memory.usedBytes > limit / 10 * 9 {
      findings.append(
        "\(humanBytes(memory.usedBytes)) of max-memory's \(humanBytes(limit)) are used: entries are being evicted, or "
          + "soon will be. Raise max-memory, shorten TTLs, or store less.")
    }
    if memory.outsideBytes > memory.usedBytes / 4 {
      findings.append(
        "\(humanBytes(memory.outsideBytes)) are in connection buffers: clients ask for more than they read. "
          + "CLIENT LIST shows them (omem); lower output-buffer-limit.")
    }
    if memory.freeChunkBytes > memory.usedBytes / 3 {
      findings.append(
        "\(humanBytes(memory.freeChunkBytes)) are free pieces between entries, left by values of other sizes. They are "
          + "used again by values of their size.")
    }
    if resident > memory.usedBytes / 2 * 3 {
      findings.append(
        "The process holds \(humanBytes(resident)) where \(humanBytes(memory.usedBytes)) are counted: memory once used "
          + "has not yet gone back to the system.")
    }
    if findings.isEmpty { return "Nothing is wrong with memory here." }
    return findings.joined(separator: "\n") + "\n"
  }

  /// The store's arena in lines of name and bytes.
  static func arena(_ memory: Store.MemoryStatistics) -> String {
    [
      ("used", memory.usedBytes), ("peak", memory.peakBytes), ("entries", memory.entryBytes),
      ("index", memory.indexBytes), ("free chunks", memory.freeChunkBytes), ("buffers", memory.outsideBytes),
    ].map { "\($0.0): \($0.1) bytes (\(humanBytes($0.1)))\n" }.joined()
  }
}
