extension CommandTable {
  /// What namespaces with an origin have beside the commands that fill themselves. Not in Redis.
  static let fillingCommands: [Command] = [
    Command(
      "fill.refresh", arity: -2, [.write], keys: .all, spread: .sum, group: .filling, since: "0.1.0",
      complexity: "O(N) for N keys", summary: "Has keys loaded anew from their origin, while what is there answers",
      handler: Fillings.refresh),
    Command(
      "fill.purge", arity: -2, [.write], spread: .everywhere(.sum), group: .filling, since: "0.1.0",
      complexity: "O(N) for the N keys of the namespace",
      summary: "Deletes every key that begins with one of the prefixes, and forgets what was absent",
      handler: Fillings.purge),
    Command(
      "fill.tag", arity: -3, [.write, .denyOOM, .fast], keys: .first, group: .filling, since: "0.1.0",
      complexity: "O(N) for N tags", summary: "Gives an entry tags, by which it can be purged", handler: Fillings.tag),
    Command(
      "fill.purgetag", arity: -2, [.write], spread: .everywhere(.sum), group: .filling, since: "0.1.0",
      complexity: "O(N) for the N keys of the namespace", summary: "Deletes every entry that has one of the tags",
      handler: Fillings.purgeTag),
    Command(
      "fill.info", arity: 1, [.readonly, .fast], spread: .here, group: .filling, since: "0.1.0", complexity: "O(1)",
      summary: "Tells of the namespace's origin, its rules, and what it did on this node", handler: Fillings.info),
  ]
}
