import NexusModel
import NexusRESP
import NexusService

extension CommandTable {
  static let clientCommands: [Command] = [
    Command(
      "client", arity: -2, [], group: .connection, since: "2.4.0", complexity: "Depends on the subcommand",
      summary: "About connections: this one and the others.", subcommands: clientSubcommands
    ) { $0.replyWrongArity() },
    Command(
      "monitor", arity: 1, [.admin, .noscript, .loading, .stale], group: .server, since: "1.0.0", complexity: "",
      summary: "Shows every command that any client sends, as it runs."
    ) { call in
      if call.engine.isExecuting {
        return call.reply(error: "ERR MONITOR isn't allowed for DENY BLOCKING client")
      }
      call.engine.startMonitoring(call.session)
      call.replyOK()
    },
  ]

  private static func client(
    _ name: String, arity: Int, admin: Bool = false, since: String, complexity: String = "O(1)", summary: String,
    handler: @escaping Command.Handler
  ) -> Command {
    var flags: Command.Flags = [.noscript, .loading, .stale]
    if admin { flags.insert(.admin) }
    if name == "help" { flags.remove(.noscript) }
    return Command(
      "client|" + name, arity: arity, flags, group: .connection, since: since, complexity: complexity,
      summary: summary, handler: handler)
  }

  private static let clientSubcommands: [Command] = [
    client(
      "caching", arity: 3, since: "6.0.0",
      summary: "Whether what the next command reads is tracked (OPTIN, OPTOUT).", handler: caching),
    client("getname", arity: 2, since: "2.6.9", summary: "The name of this connection.") { call in
      let name = call.session.name
      if name.isEmpty { call.replyNull() } else { call.reply(bulk: name) }
    },
    client(
      "getredir", arity: 2, since: "6.0.0",
      summary: "The client that this one's invalidations go to: 0 for itself, -1 if it does not track."
    ) { $0.reply(integer: $0.session.extras?.tracking?.redirectionNumber ?? -1) },
    client(
      "help", arity: 2, since: "5.0.0", summary: "Explains the subcommands.", handler: help),
    client("id", arity: 2, since: "5.0.0", summary: "The number of this connection.") {
      $0.reply(integer: Int($0.session.id))
    },
    client(
      "info", arity: 2, since: "6.2.0", summary: "This connection, as CLIENT LIST shows it."
    ) { $0.reply(verbatim: ClientCard($0.session, $0.engine, now: $0.now).line + "\n") },
    client(
      "kill", arity: -3, admin: true, since: "2.4.0", complexity: "O(N) for N connections",
      summary: "Ends the connections that fit.", handler: kill),
    client(
      "list", arity: -2, admin: true, since: "2.4.0", complexity: "O(N) for N connections",
      summary: "All connections, or those that fit.", handler: list),
    client(
      "no-evict", arity: 3, admin: true, since: "7.0.0",
      summary: "Remembered, and shown by CLIENT LIST."
    ) { call in
      guard let on = onOrOff(call) else { return call.replySyntaxError() }
      call.session.isProtected = on
      call.replyOK()
    },
    client(
      "no-touch", arity: 3, since: "7.2.0",
      summary: "Whether this connection's reads leave the eviction policy alone."
    ) { call in
      guard let on = onOrOff(call) else { return call.replySyntaxError() }
      call.session.set(.noTouch, on)
      call.replyOK()
    },
    client(
      "pause", arity: -3, admin: true, since: "2.9.50",
      summary: "Holds all clients' commands back, or their writes.", handler: pause),
    client("reply", arity: 3, since: "3.2.0", summary: "Whether this connection wants replies.") { call in
      if call.matches(2, "ON") {
        call.session.replyMode = .on
        call.replyOK()
      } else if call.matches(2, "OFF") {
        call.session.replyMode = .off
      } else if call.matches(2, "SKIP") {
        if call.session.replyMode != .off { call.session.replyMode = .skipNext }
      } else {
        call.replySyntaxError()
      }
    },
    client(
      "setinfo", arity: 4, since: "7.2.0", summary: "Says which client library this is.",
      handler: setInfo),
    client("setname", arity: 3, since: "2.6.9", summary: "Names this connection.") { call in
      if call.setClientName(2) { call.replyOK() }
    },
    client(
      "tracking", arity: -3, since: "6.0.0",
      summary: "Whether this connection is told when keys that it has read change.", handler: tracking),
    client(
      "trackinginfo", arity: 2, since: "6.2.0", summary: "How this connection tracks.", handler: trackingInfo),
    client(
      "unblock", arity: -3, admin: true, since: "5.0.0",
      complexity: "O(N) for N connections",
      summary: "0: no command here blocks."
    ) { call in
      if call.count == 4, !call.matches(3, "TIMEOUT"), !call.matches(3, "ERROR") {
        return call.reply(error: "ERR CLIENT UNBLOCK reason should be TIMEOUT or ERROR")
      }
      if call.count > 4 { return call.replySyntaxError() }
      // No command here blocks its client.
      if call.requireInteger(2) != nil { call.reply(integer: 0) }
    },
    client(
      "unpause", arity: 2, admin: true, since: "6.2.0", complexity: "O(N) for N connections",
      summary: "Ends a pause."
    ) { call in
      call.door.endPause(now: call.now, force: true)
      call.door.onEveryLoop(from: call.engine) { $0.resumePaused() }
      call.replyOK()
    },
  ]

  private static func onOrOff(_ call: Call) -> Bool? {
    call.matches(2, "ON") ? true : call.matches(2, "OFF") ? false : nil
  }

  // MARK: PAUSE

  @Sendable private static func pause(_ call: inout Call) {
    if call.count > 4 { return call.replySyntaxError() }
    var writesOnly = false
    if call.count == 4 {
      writesOnly = call.matches(3, "WRITE")
      if !writesOnly, !call.matches(3, "ALL") {
        return call.reply(error: "ERR CLIENT PAUSE mode must be WRITE or ALL")
      }
    }
    guard let timeout = call.integer(2) else {
      return call.reply(error: "ERR timeout is not an integer or out of range")
    }
    if timeout < 0 { return call.reply(error: "ERR timeout is negative") }
    let (until, overflowed) = call.now.addingReportingOverflow(Int64(timeout))
    if overflowed { return call.reply(error: "ERR timeout is out of range") }
    call.door.beginPause(until: until, writesOnly: writesOnly, now: call.now)
    call.engine.endPauseLater(milliseconds: timeout)
    call.replyOK()
  }

  // MARK: SETINFO

  @Sendable private static func setInfo(_ call: inout Call) {
    guard call[3].allSatisfy({ $0 > 0x20 && $0 < 0x7F }) else {
      return call.reply(
        error: "ERR \(call.text(2).lowercased()) cannot contain spaces, newlines or special characters.")
    }
    if call.matches(2, "LIB-NAME") {
      call.session.more.libraryName = call.text(3)
    } else if call.matches(2, "LIB-VER") {
      call.session.more.libraryVersion = call.text(3)
    } else {
      return call.reply(error: "ERR Unrecognized option '\(call.text(2))'")
    }
    call.replyOK()
  }

  @Sendable private static func help(_ call: inout Call) {
    call.reply(
      helpFor: "CLIENT",
      [
        ("CACHING (YES|NO)", "Track what the next command reads (OPTIN), or do not (OPTOUT)."),
        ("GETNAME", "The name of this connection."),
        ("GETREDIR", "The client that this one's invalidations go to; 0: itself, -1: it does not track."),
        ("ID", "The number of this connection."),
        ("INFO", "This connection, as LIST shows it."),
        ("KILL <ip:port>", "End the connection from this address."),
        (
          "KILL (ID|TYPE|USER|ADDR|LADDR|SKIPME) <value> ...",
          "End the connections that all filters fit; this one only with SKIPME no."
        ),
        ("LIST [TYPE (NORMAL|MASTER|REPLICA|PUBSUB)] [ID <id> ...]", "All connections, or some."),
        ("NO-EVICT (ON|OFF)", "Remembered, and shown by LIST."),
        ("NO-TOUCH (ON|OFF)", "Whether this connection's reads leave the eviction policy alone."),
        ("PAUSE <milliseconds> [WRITE|ALL]", "Hold back all clients' commands, or their writes."),
        ("REPLY (ON|OFF|SKIP)", "Whether this connection wants replies; SKIP: not the next one."),
        ("SETINFO (LIB-NAME|LIB-VER) <value>", "Which client library this is."),
        ("SETNAME <name>", "Name this connection; an empty name takes it away."),
        (
          "TRACKING (ON|OFF) [REDIRECT <id>] [BCAST] [PREFIX <prefix> ...] [OPTIN] [OPTOUT] [NOLOOP]",
          "Be told when keys change that were read, or (BCAST) that begin with a prefix."
        ),
        ("TRACKINGINFO", "How this connection tracks."),
        ("UNBLOCK <id> [TIMEOUT|ERROR]", "0: no command here blocks."),
        ("UNPAUSE", "End a pause."),
      ])
  }
}

extension Engine {
  /// When a pause is over, this loop wakes every loop's waiting clients. One that was made longer meanwhile is waited
  /// for again.
  func endPauseLater(milliseconds: Int) {
    loop.after(milliseconds: min(max(milliseconds, 1), Int(Int32.max))) { [self] in
      if door.endPause(now: loop.now) {
        door.onEveryLoop(from: self) { $0.resumePaused() }
      } else {
        endPauseLater(milliseconds: door.pauseLeft(now: loop.now))
      }
    }
  }
}

extension Call {
  /// Names the connection by an argument; false after having replied why it cannot be.
  mutating func setClientName(_ index: Int) -> Bool {
    guard self[index].allSatisfy({ $0 > 0x20 && $0 < 0x7F }) else {
      reply(error: "ERR Client names cannot contain spaces, newlines or special characters.")
      return false
    }
    if self[index].count > 0 || session.extras != nil { session.more.name = text(index) }
    return true
  }
}
