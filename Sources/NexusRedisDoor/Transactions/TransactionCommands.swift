extension CommandTable {
  static let transactionCommands: [Command] = [
    Command(
      "multi", arity: 1, [.noscript, .loading, .stale, .fast, .allowBusy], group: .transactions, since: "1.2.0",
      complexity: "O(1)", summary: "Starts queueing commands.", handler: multi),
    Command(
      "exec", arity: 1, [.noscript, .loading, .stale, .skipSlowlog], group: .transactions, since: "1.2.0",
      complexity: "The queued commands' own", summary: "Runs what was queued, as one.",
      handler: exec),
    Command(
      "discard", arity: 1, [.noscript, .loading, .stale, .fast, .allowBusy], group: .transactions, since: "2.0.0",
      complexity: "O(N) for N queued commands", summary: "Forgets what was queued.",
      handler: discard),
    Command(
      "watch", arity: -2, [.noscript, .loading, .stale, .fast, .allowBusy], keys: .range(first: 1, last: -1, step: 1),
      spread: .here, group: .transactions, since: "2.2.0", complexity: "O(N) for N keys",
      summary: "Lets EXEC run only if these keys have not changed by then.", handler: watch),
    Command(
      "unwatch", arity: 1, [.noscript, .loading, .stale, .fast, .allowBusy], group: .transactions, since: "2.2.0",
      complexity: "O(1)", summary: "Stops watching."
    ) { call in
      call.engine.unwatch(call.session)
      call.replyOK()
    },
  ]

  @Sendable private static func multi(_ call: inout Call) {
    if call.session.obstacles.contains(.transaction) {
      return call.reply(error: "ERR MULTI calls can not be nested")
    }
    call.engine.beginTransaction(call.session)
    call.replyOK()
  }

  @Sendable private static func exec(_ call: inout Call) {
    guard let transaction = call.session.extras?.transaction else {
      return call.reply(error: "ERR EXEC without MULTI")
    }
    call.engine.execute(transaction, &call)
  }

  @Sendable private static func discard(_ call: inout Call) {
    guard call.session.obstacles.contains(.transaction) else {
      return call.reply(error: "ERR DISCARD without MULTI")
    }
    call.engine.discardTransaction(call.session)
    call.replyOK()
  }

  @Sendable private static func watch(_ call: inout Call) {
    if call.session.obstacles.contains(.transaction) {
      return call.reply(error: "ERR WATCH inside MULTI is not allowed")
    }
    for index in 1..<call.count { call.engine.watch(call[index], call.session, now: call.now) }
    call.replyOK()
  }
}
