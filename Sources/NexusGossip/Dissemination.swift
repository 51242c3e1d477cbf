/// News that waits to be told, by how often it was told: least told first, newest first among equals.
struct Dissemination: Sendable {
  private struct Item: Sendable {
    var place: Int
    var news: UInt32
  }

  /// `levels[k]` was told k times. Void items (their entry's `news` has gone on) are dropped when met.
  private var levels: [[Item]] = []
  private(set) var count = 0

  var isEmpty: Bool { count == 0 }

  mutating func put(_ place: Int, news: UInt32) {
    if levels.isEmpty { levels.append([]) }
    levels[0].append(Item(place: place, news: news))
    count += 1
  }

  /// Takes what fits the budget (bytes), counting it as told once. `present` is in the message already: told as well.
  /// What was told `limit` times is done.
  mutating func take(
    from table: MemberTable, budgetBytes: Int, accuserBytes: Int, limit: Int, present: Int?
  ) -> [Int] {
    var budget = budgetBytes
    var chosen: [Int] = []
    var told: [(item: Item, times: Int)] = []
    search: for level in levels.indices {
      while let item = levels[level].last {
        let entry = table.entries[item.place]
        if entry.news == item.news, item.place != present {
          let bytes = Int(entry.estimatedBytes) + accuserBytes
          // What is larger than any budget travels alone, so that it does not block the rest.
          if bytes > budget, !(chosen.isEmpty && bytes > budgetBytes) { break search }
          budget -= bytes
          chosen.append(item.place)
        }
        levels[level].removeLast()
        count -= 1
        if entry.news == item.news, level + 1 < limit { told.append((item, level + 1)) }
      }
    }
    for (item, times) in told {
      while levels.count <= times { levels.append([]) }
      levels[times].append(item)
      count += 1
    }
    return chosen
  }

  mutating func move(_ moves: [Int?]) {
    levels = levels.map { $0.compactMap { item in moves[item.place].map { Item(place: $0, news: item.news) } } }
    count = levels.reduce(0) { $0 + $1.count }
  }
}
