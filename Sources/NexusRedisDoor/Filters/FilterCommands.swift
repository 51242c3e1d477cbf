extension CommandTable {
  /// Cuckoo filters, with the names and replies of RedisBloom.
  static let filterCommands: [Command] = [
    Command(
      "cf.reserve", arity: -3, [.write, .denyOOM, .fast], keys: .first, group: .cuckoo, since: "1.0.0",
      complexity: "O(N) for a capacity of N items", summary: "Makes an empty filter for so many items",
      handler: Filters.reserve),
    Command(
      "cf.add", arity: 3, [.write, .denyOOM], keys: .first, group: .cuckoo, since: "1.0.0",
      complexity: "O(K + I) for K sub-filters and I iterations",
      summary: "Adds an item to a filter, and makes the filter where there is none", handler: Filters.add),
    Command(
      "cf.addnx", arity: 3, [.write, .denyOOM], keys: .first, group: .cuckoo, since: "1.0.0",
      complexity: "O(K + I) for K sub-filters and I iterations",
      summary: "Adds an item to a filter that does not have it yet", handler: Filters.addnx),
    Command(
      "cf.insert", arity: -4, [.write, .denyOOM], keys: .first, group: .cuckoo, since: "1.0.0",
      complexity: "O(N * (K + I)) for N items, K sub-filters and I iterations",
      summary: "Adds items to a filter, and makes it as asked where there is none", handler: Filters.insert),
    Command(
      "cf.insertnx", arity: -4, [.write, .denyOOM], keys: .first, group: .cuckoo, since: "1.0.0",
      complexity: "O(N * (K + I)) for N items, K sub-filters and I iterations",
      summary: "Adds those items to a filter that it does not have yet", handler: Filters.insertnx),
    Command(
      "cf.exists", arity: 3, [.readonly, .fast], keys: .first, group: .cuckoo, since: "1.0.0",
      complexity: "O(K) for K sub-filters", summary: "Answers whether a filter has an item, at its error rate",
      handler: Filters.exists),
    Command(
      "cf.mexists", arity: -3, [.readonly], keys: .first, group: .cuckoo, since: "1.0.0",
      complexity: "O(N * K) for N items and K sub-filters", summary: "Answers which of the items a filter has",
      handler: Filters.mexists),
    Command(
      "cf.del", arity: 3, [.write, .fast], keys: .first, group: .cuckoo, since: "1.0.0",
      complexity: "O(K) for K sub-filters", summary: "Takes an item out of a filter, once", handler: Filters.del),
    Command(
      "cf.count", arity: 3, [.readonly, .fast], keys: .first, group: .cuckoo, since: "1.0.0",
      complexity: "O(K) for K sub-filters", summary: "Answers how often an item is in a filter, perhaps too much",
      handler: Filters.count),
    Command(
      "cf.info", arity: -2, [.readonly, .fast], keys: .first, group: .cuckoo, since: "1.0.0",
      complexity: "O(K) for K sub-filters", summary: "Answers what a filter was made for and what it holds",
      handler: Filters.info),
  ]
}
