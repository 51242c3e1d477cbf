import NexusModel
import NexusRESP
import NexusService

extension CommandTable {
  static let connectionCommands: [Command] = [
    Command(
      "auth", arity: -2, [.noscript, .loading, .stale, .fast, .noAuth, .allowBusy, .skipMonitor], group: .connection,
      since: "1.0.0", complexity: "O(1)",
      summary: "Logs the connection in.", handler: auth),
    Command(
      "hello", arity: -1, [.noscript, .loading, .stale, .fast, .noAuth, .allowBusy, .skipMonitor], group: .connection,
      since: "6.0.0", complexity: "O(1)",
      summary: "Chooses the protocol's version; can log in and name the connection.", handler: hello),
    Command(
      "ping", arity: -1, [.fast], spread: .anywhere, group: .connection, since: "1.0.0", complexity: "O(1)",
      summary: "Answers PONG, or its argument.",
      handler: ping),
    Command(
      "echo", arity: 2, [.loading, .stale, .fast], spread: .anywhere, group: .connection, since: "1.0.0",
      complexity: "O(1)",
      summary: "Answers its argument."
    ) { $0.reply(bulk: $0[1]) },
    Command(
      "quit", arity: -1, [.noscript, .loading, .stale, .fast, .noAuth, .allowBusy], group: .connection,
      since: "1.0.0", complexity: "O(1)", summary: "Ends the connection after an OK."
    ) { call in
      call.session.set(.closing, true)
      call.replyOK()
    },
    Command(
      "reset", arity: 1, [.noscript, .loading, .stale, .fast, .noAuth, .allowBusy], group: .connection,
      since: "6.2.0", complexity: "O(1)", summary: "Makes the connection as new."
    ) { call in
      call.engine.reset(call.session)
      call.reply(simple: "RESET")
    },
    Command(
      "select", arity: 2, [.loading, .stale, .fast], group: .connection, since: "1.0.0", complexity: "O(1)",
      summary: "Chooses the database or namespace that this connection works on.", handler: select),
    Command(
      "swapdb", arity: 3, [.write, .fast], spread: .everywhere(.all), group: .server, since: "4.0.0",
      complexity: "O(N) for N watched keys",
      summary: "Exchanges two databases, for all clients at once.", handler: swap),
  ]

  @Sendable private static func swap(_ call: inout Call) {
    for index in 1...2 where call.namesNamespace(index) {
      return call.reply(
        error: "ERR SWAPDB exchanges two of the databases 0 to 15; '", quoting: index, "' is a namespace")
    }
    guard let first = call.integer(1).flatMap({ Int32(exactly: $0) }) else {
      return call.reply(error: "ERR invalid first DB index")
    }
    guard let second = call.integer(2).flatMap({ Int32(exactly: $0) }) else {
      return call.reply(error: "ERR invalid second DB index")
    }
    guard (0..<Databases.count).contains(Int(first)), (0..<Databases.count).contains(Int(second)) else {
      return call.reply(error: "ERR DB index is out of range")
    }
    let namespaces = [Int(first), Int(second)].map { call.door.databases.namespace(of: $0) }
    call.door.watches.swap(Int(first), Int(second), as: call.worker, now: call.now)
    if first != second { call.engine.interests.flushed(namespaces, as: call.worker) }
    call.replyOK()
  }

  @Sendable private static func ping(_ call: inout Call) {
    if call.count > 2 { return call.replyWrongArity() }
    if call.session.obstacles.contains(.subscribed), call.version == 2 {
      call.reply(arrayOf: 2)
      call.reply(bulk: "pong")
      if call.count == 2 { call.reply(bulk: call[1]) } else { call.reply(bulk: "" as StaticString) }
    } else if call.count == 2 {
      call.reply(bulk: call[1])
    } else {
      call.reply(simple: "PONG")
    }
  }

  @Sendable private static func select(_ call: inout Call) {
    let database: Int
    if call.isNumberLike(1) {
      guard let number = call.requireInteger(1, in: Int(Int32.min)...Int(Int32.max)) else { return }
      guard (0..<Databases.count).contains(number) else {
        return call.reply(error: "ERR DB index is out of range")
      }
      database = number
    } else {
      guard let number = call.store.number(named: call[1]) else {
        return call.reply(error: "ERR " + UnknownNamespace.sentence(call[1], in: call.store))
      }
      database = Int(number)
    }
    call.engine.choose(database, call.session)
    call.replyOK()
  }

  // MARK: AUTH and HELLO

  @Sendable private static func auth(_ call: inout Call) {
    if call.count > 3 { return call.replySyntaxError() }
    if call.count == 2, call.engine.node.settings.password.isEmpty {
      return call.reply(
        error: "ERR AUTH <password> called without any password configured for the default user. "
          + "Are you sure your configuration is correct?")
    }
    guard logIn(call, user: call.count == 3 ? call[1] : nil, password: call[call.count - 1]) else {
      return replyWrongPassword(&call)
    }
    call.replyOK()
  }

  /// Users are the namespaces, all with the node's one password; without a password anybody is any of them. A user
  /// is in its namespace from now on; `default`, or nobody in particular, stays in its database.
  private static func logIn(
    _ call: Call, user: UnsafeRawBufferPointer?, password: UnsafeRawBufferPointer
  ) -> Bool {
    let wanted = Array(call.engine.node.settings.password.utf8)
    let number = user.map { call.store.number(named: $0) } ?? 0
    guard let number, wanted.isEmpty || isEqual(password, wanted) else { return false }
    call.session.set(.unauthenticated, false)
    if number != 0 {
      call.engine.choose(Int(number), call.session)
    } else if user != nil, call.session.database >= Databases.count {
      call.engine.choose(0, call.session)
    }
    return true
  }

  /// Takes the same time wherever the first difference is.
  private static func isEqual(_ given: UnsafeRawBufferPointer, _ wanted: [UInt8]) -> Bool {
    var difference = given.count ^ wanted.count
    for index in 0..<given.count { difference |= Int(given[index] ^ wanted[index % wanted.count]) }
    return difference == 0
  }

  private static func replyWrongPassword(_ call: inout Call) {
    call.reply(error: "WRONGPASS invalid username-password pair or user is disabled.")
  }

  @Sendable private static func hello(_ call: inout Call) {
    var version = call.session.protocolVersion
    if call.count > 1 {
      guard let asked = call.integer(1) else {
        return call.reply(error: "ERR Protocol version is not an integer or out of range")
      }
      guard asked == 2 || asked == 3 else { return call.reply(error: "NOPROTO unsupported protocol version") }
      version = asked
    }
    // As in Redis each option takes effect as it is read, even if a later one is wrong.
    var index = 2
    while index < call.count {
      if call.matches(index, "AUTH"), index + 2 < call.count {
        guard logIn(call, user: call[index + 1], password: call[index + 2]) else { return replyWrongPassword(&call) }
        index += 3
      } else if call.matches(index, "SETNAME"), index + 1 < call.count {
        guard call.setClientName(index + 1) else { return }
        index += 2
      } else {
        return call.reply(error: "ERR Syntax error in HELLO option '", quoting: index, "'")
      }
    }
    guard call.session.isAuthenticated else {
      return call.reply(
        error: "NOAUTH HELLO must be called with the client already authenticated, otherwise the HELLO <proto> AUTH "
          + "<user> <pass> option can be used to authenticate the client and select the RESP protocol version at the "
          + "same time")
    }
    call.session.protocolVersion = version
    call.version = version
    replyServer(&call)
  }

  private static func replyServer(_ call: inout Call) {
    call.reply(mapOf: 7)
    // Clients decide by this name what they may send: it says whose protocol this is.
    for (name, value) in [("server", "redis"), ("version", RedisDoor.redisVersion)] {
      call.reply(bulk: name)
      call.reply(bulk: value)
    }
    call.reply(bulk: "proto")
    call.reply(integer: call.version)
    call.reply(bulk: "id")
    call.reply(integer: Int(call.session.id))
    for (name, value) in [("mode", "standalone"), ("role", "master")] {
      call.reply(bulk: name)
      call.reply(bulk: value)
    }
    call.reply(bulk: "modules")
    call.reply(arrayOf: 0)
  }
}

extension Engine {
  /// RESET: the session as it was when the client connected, but for its id.
  func reset(_ session: Session) {
    session.set(.transaction, false)
    forget(session)
    session.set(.subscribed, false)
    session.set(.noTouch, false)
    session.set(.unauthenticated, !node.settings.password.isEmpty)
    session.isProtected = false
    session.replyMode = .on
    session.readsCopies = false
    session.protocolVersion = 2
    choose(0, session)
    session.extras?.name = ""
  }
}
