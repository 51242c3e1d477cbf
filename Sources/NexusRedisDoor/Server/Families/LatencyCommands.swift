extension CommandTable {
  private static let flags: Command.Flags = [.admin, .noscript, .loading, .stale]

  static let latencyCommand = Command(
    "latency", arity: -2, [], group: .server, since: "2.8.13", complexity: "Depends on the subcommand",
    summary: "What took longer than it should, and how long commands take.",
    subcommands: [
      subcommand("latency|doctor", 2, "O(1)", "Explains the events in words.") { call in
        call.reply(verbatim: LatencyDoctor.report(call.door))
      },
      subcommand("latency|graph", 3, "O(1)", "Draws the history of an event.") { call in
        guard let event = call.door.diagnostics.latency.event(call.text(2)), !event.samples.isEmpty else {
          return call.reply(error: "ERR No samples available for event '", quoting: 2, "'")
        }
        call.reply(verbatim: LatencyGraph.draw(call.text(2), event))
      },
      subcommand("latency|histogram", -2, "O(N) with N the number of commands", "How long commands take.") {
        $0.replyLatencyHistograms()
      },
      subcommand("latency|history", 3, "O(1)", "The samples of an event.") { call in
        let samples = call.door.diagnostics.latency.event(call.text(2))?.samples ?? []
        call.reply(arrayOf: samples.count)
        for sample in samples {
          call.reply(arrayOf: 2)
          call.reply(integer: sample.unixSeconds)
          call.reply(integer: sample.milliseconds)
        }
      },
      subcommand("latency|latest", 2, "O(1)", "The last sample of every event.") { call in
        let events = call.door.diagnostics.latency.all()
        call.reply(arrayOf: events.count)
        for (name, event) in events {
          call.reply(arrayOf: 4)
          call.reply(bulk: name)
          call.reply(integer: event.samples.last?.unixSeconds ?? 0)
          call.reply(integer: event.samples.last?.milliseconds ?? 0)
          call.reply(integer: event.longestMilliseconds)
        }
      },
      subcommand("latency|reset", -2, "O(1)", "Forgets events, or all of them.") { call in
        call.reply(integer: call.door.diagnostics.latency.reset((2..<call.count).map { call.text($0) }))
      },
      Command(
        "latency|help", arity: 2, [.loading, .stale], group: .server, since: "2.8.13", complexity: "O(1)",
        summary: "Lists the subcommands."
      ) { call in
        call.reply(
          helpFor: "LATENCY",
          [
            ("DOCTOR", "Explain the events in words."), ("GRAPH <event>", "Draw the history of an event."),
            ("HISTOGRAM [<command> ...]", "How many calls took at most 1, 2, 4, ... microseconds."),
            ("HISTORY <event>", "The samples of an event."), ("LATEST", "The last sample of every event."),
            ("RESET [<event> ...]", "Forget these events, or all."),
          ])
      },
    ]
  ) { $0.replyWrongArity() }

  private static func subcommand(
    _ name: String, _ arity: Int, _ complexity: String, _ summary: String, _ handler: @escaping Command.Handler
  ) -> Command {
    Command(
      name, arity: arity, flags, group: .server, since: name == "latency|histogram" ? "7.0.0" : "2.8.13",
      complexity: complexity, summary: summary, handler: handler)
  }
}

extension Call {
  mutating func replyLatencyHistograms() {
    var indices: [Int] = []
    if count == 2 {
      indices = Array(0..<door.commands.count)
    } else {
      for index in 2..<count { indices += door.commands.indices(named: text(index)) }
    }
    let rows = indices.map { ($0, door.diagnostics.totals(ofCommand: $0).latency) }.filter { $0.1.total > 0 }
    reply(mapOf: rows.count)
    for (index, latency) in rows {
      reply(bulk: door.commands.command(at: index).name)
      reply(mapOf: 2)
      reply(bulk: "calls")
      reply(integer: Int(latency.total))
      reply(bulk: "histogram_usec")
      let steps = latency.powersOfTwo()
      reply(mapOf: steps.count)
      for step in steps {
        reply(integer: step.microseconds)
        reply(integer: Int(step.calls))
      }
    }
  }
}

extension CommandTable {
  /// A command's place, and those of its subcommands where it has some.
  func indices(named name: String) -> [Int] {
    let wanted = name.lowercased()
    return (0..<count).filter { index in
      let name = command(at: index).name
      if name == wanted { return command(at: index).subcommands.isEmpty }
      return parent(of: index).map { command(at: $0).name == wanted } ?? false
    }
  }
}

/// LATENCY DOCTOR's text.
enum LatencyDoctor {
  static func report(_ door: RedisDoor) -> String {
    let threshold = door.node.settings.latencyThresholdMilliseconds
    let events = door.diagnostics.latency.all()
    if threshold == 0 && events.isEmpty {
      return """
        Nothing is recorded: latency-threshold is off. CONFIG SET latency-monitor-threshold <milliseconds> records \
        every command that takes longer.
        """
    }
    if events.isEmpty { return "No command took \(threshold) ms or longer since recording began." }
    var lines = ["\(events.count) kind\(events.count == 1 ? "" : "s") of events took \(threshold) ms or longer:"]
    for (name, event) in events {
      let average = fixed(Double(event.sumMilliseconds) / Double(max(1, event.total)), digits: 1)
      let often = event.total == 1 ? "once" : "\(event.total) times"
      lines.append("- \(name): \(often), \(average) ms on average, \(event.longestMilliseconds) ms at worst.")
    }
    lines.append(
      "SLOWLOG GET names the commands. One command that works on much data holds up all clients of its loop:")
    lines.append("prefer SCAN to KEYS, and several small requests to one very large one.")
    return lines.joined(separator: "\n") + "\n"
  }
}

/// LATENCY GRAPH's picture: one column a sample, its height the milliseconds, its age below.
enum LatencyGraph {
  static let rows = 4
  static let columns = 80

  static func draw(_ name: String, _ event: LatencyHistory.Event) -> String {
    let samples = event.samples.suffix(columns)
    let high = samples.map(\.milliseconds).max() ?? 0
    let low = samples.map(\.milliseconds).min() ?? 0
    let newest = samples.last?.unixSeconds ?? 0
    var lines = ["\(name) - high \(high) ms, low \(low) ms (all time high \(event.longestMilliseconds) ms)"]
    lines.append(String(repeating: "-", count: columns))
    for row in stride(from: rows, to: 0, by: -1) {
      let line = samples.map { sample -> Character in
        let height = high == low ? rows : 1 + (sample.milliseconds - low) * (rows - 1) / (high - low)
        return height > row ? "|" : height == row ? "#" : " "
      }
      lines.append(String(line))
    }
    let ages = samples.map { sample in Array(age(newest - sample.unixSeconds)) }
    for position in 0..<(ages.map(\.count).max() ?? 0) {
      lines.append(String(ages.map { position < $0.count ? $0[position] : " " }))
    }
    return "\n" + lines.joined(separator: "\n") + "\n"
  }

  private static func age(_ seconds: Int) -> String {
    if seconds < 60 { return "\(seconds)s" }
    if seconds < 3600 { return "\(seconds / 60)m" }
    return seconds < 86_400 ? "\(seconds / 3600)h" : "\(seconds / 86_400)d"
  }
}
