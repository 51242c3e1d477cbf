extension CommandTable {
  static let publishCommands: [Command] = [
    Command(
      "subscribe", arity: -2, [.pubsub, .noscript, .loading, .stale], group: .pubsub, since: "2.0.0",
      complexity: "O(N) for N channels",
      summary: "Receives what is published to these channels."
    ) { subscribe(.channel, &$0) },
    Command(
      "unsubscribe", arity: -1, [.pubsub, .noscript, .loading, .stale], group: .pubsub, since: "2.0.0",
      complexity: "O(N) for N channels",
      summary: "Leaves these channels, or all."
    ) { unsubscribe(.channel, &$0) },
    Command(
      "psubscribe", arity: -2, [.pubsub, .noscript, .loading, .stale], group: .pubsub, since: "2.0.0",
      complexity: "O(N) for N channels",
      summary: "Receives what is published to channels that match these patterns."
    ) { subscribe(.pattern, &$0) },
    Command(
      "punsubscribe", arity: -1, [.pubsub, .noscript, .loading, .stale], group: .pubsub, since: "2.0.0",
      complexity: "O(N+M) for N subscribers and M patterns on the node",
      summary: "Leaves these patterns, or all."
    ) { unsubscribe(.pattern, &$0) },
    Command(
      "ssubscribe", arity: -2, [.pubsub, .noscript, .loading, .stale], keys: .range(first: 1, last: -1, step: 1),
      spread: .here, group: .pubsub, since: "7.0.0",
      complexity: "O(N) for N channels",
      summary: "Receives what is published to these shard channels."
    ) { subscribe(.shard, &$0) },
    Command(
      "sunsubscribe", arity: -1, [.pubsub, .noscript, .loading, .stale], keys: .range(first: 1, last: -1, step: 1),
      spread: .here, group: .pubsub, since: "7.0.0",
      complexity: "O(N) for N channels",
      summary: "Leaves these shard channels, or all."
    ) { unsubscribe(.shard, &$0) },
    Command(
      "publish", arity: 3, [.pubsub, .loading, .stale, .fast], spread: .everywhere(.sum), group: .pubsub,
      since: "2.0.0",
      complexity: "O(N+M) for N subscribers and M patterns on the node",
      summary: "Sends a message to a channel's subscribers."
    ) { publish(.channel, &$0) },
    Command(
      "spublish", arity: 3, [.pubsub, .loading, .stale, .fast], keys: .range(first: 1, last: 1, step: 1),
      spread: .everywhere(.sum), group: .pubsub, since: "7.0.0",
      complexity: "O(N) for N channels",
      summary: "Sends a message to a shard channel's subscribers."
    ) { publish(.shard, &$0) },
    Command(
      "pubsub", arity: -2, [], group: .pubsub, since: "2.8.0", complexity: "Depends on the subcommand",
      summary: "Who listens to what.", subcommands: pubsubSubcommands
    ) { $0.replyWrongArity() },
  ]

  private static let pubsubSubcommands: [Command] = [
    Command(
      "pubsub|channels", arity: -2, [.pubsub, .loading, .stale], spread: .everywhere(.union), group: .pubsub,
      since: "2.8.0",
      complexity: "O(N) for N channels",
      summary: "Channels with subscribers."
    ) { listChannels(.channel, &$0) },
    Command(
      "pubsub|help", arity: 2, [.loading, .stale], group: .pubsub, since: "6.2.0", complexity: "O(1)",
      summary: "Explains the subcommands."
    ) { call in
      call.reply(
        helpFor: "PUBSUB",
        [
          ("CHANNELS [<pattern>]", "Channels with subscribers, those that match where a pattern is given."),
          ("NUMPAT", "How many different patterns have subscribers."),
          ("NUMSUB [<channel> ...]", "How many subscribers each channel has, patterns not counted."),
          ("SHARDCHANNELS [<pattern>]", "Shard channels with subscribers."),
          ("SHARDNUMSUB [<shardchannel> ...]", "How many subscribers each shard channel has."),
        ])
    },
    Command(
      "pubsub|numpat", arity: 2, [.pubsub, .loading, .stale], spread: .everywhere(.sum), group: .pubsub, since: "2.8.0",
      complexity: "O(1)",
      summary: "How many different patterns have subscribers."
    ) { $0.reply(integer: $0.door.channels.count(.pattern)) },
    Command(
      "pubsub|numsub", arity: -2, [.pubsub, .loading, .stale], spread: .everywhere(.counts), group: .pubsub,
      since: "2.8.0",
      complexity: "O(N) for N channels",
      summary: "How many subscribers each channel has."
    ) { countSubscribers(.channel, &$0) },
    Command(
      "pubsub|shardchannels", arity: -2, [.pubsub, .loading, .stale], spread: .everywhere(.union), group: .pubsub,
      since: "7.0.0",
      complexity: "O(N) for N channels",
      summary: "Shard channels with subscribers."
    ) { listChannels(.shard, &$0) },
    Command(
      "pubsub|shardnumsub", arity: -2, [.pubsub, .loading, .stale], spread: .everywhere(.counts), group: .pubsub,
      since: "7.0.0",
      complexity: "O(N) for N channels",
      summary: "How many subscribers each shard channel has."
    ) { countSubscribers(.shard, &$0) },
  ]

  private static func subscribe(_ kind: ChannelKind, _ call: inout Call) {
    for index in 1..<call.count { call.engine.subscribe(kind, Array(call[index]), &call) }
  }

  private static func unsubscribe(_ kind: ChannelKind, _ call: inout Call) {
    if call.count == 1 { return call.engine.unsubscribeAll(kind, &call) }
    for index in 1..<call.count { call.engine.unsubscribe(kind, Array(call[index]), &call) }
  }

  private static func publish(_ kind: ChannelKind, _ call: inout Call) {
    if EventChannels.isReserved(call[1]) {
      return call.reply(
        error: "ERR channels whose names begin with \(EventChannels.reserved) tell the node's own events: "
          + "clients subscribe to them and cannot publish there")
    }
    let receivers = call.engine.publish(kind, Array(call[1]), Array(call[2]), &call)
    // As a part of a transaction it cannot wait for the others' counts.
    if call.engine.isExecuting { call.engine.tellOthers(call) }
    call.reply(integer: receivers)
  }

  private static func listChannels(_ kind: ChannelKind, _ call: inout Call) {
    guard call.count <= 3 else { return replyTooMany(&call) }
    let names = call.door.channels.names(kind, matching: call.count == 3 ? Array(call[2]) : nil)
    call.reply(arrayOf: names.count)
    for name in names { call.reply(bulk: name) }
  }

  private static func countSubscribers(_ kind: ChannelKind, _ call: inout Call) {
    call.reply(arrayOf: (call.count - 2) * 2)
    for index in 2..<call.count {
      call.reply(bulk: call[index])
      call.reply(integer: call.door.channels.subscribers(kind, Array(call[index])))
    }
  }

  private static func replyTooMany(_ call: inout Call) {
    call.reply(
      error: "ERR unknown subcommand or wrong number of arguments for '\(call.text(1))'. Try PUBSUB HELP.")
  }
}
