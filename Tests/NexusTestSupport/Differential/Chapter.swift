/// A sequence of commands over a few connections, from an empty keyspace on: the unit that is run, and shrunk.
public struct Chapter: Sendable {
  public struct Step: Sendable {
    public var connection: Int
    public var words: [[UInt8]]
    public var comparison: Comparison

    public init(connection: Int, words: [[UInt8]], comparison: Comparison) {
      self.connection = connection
      self.words = words
      self.comparison = comparison
    }

    public var name: String { String(decoding: words.first ?? [], as: UTF8.self).lowercased() }
    public var text: String { words.map(quoted).joined(separator: " ") }
  }

  /// RESP2 or RESP3, per connection.
  public var protocols: [Int]
  public var steps: [Step]

  public init(protocols: [Int], steps: [Step]) {
    self.protocols = protocols
    self.steps = steps
  }

  /// As it can be typed into redis-cli, each line after the number of its connection.
  public var transcript: String {
    let header = protocols.indices.map { "connection \($0) speaks RESP\(protocols[$0])" }.joined(separator: ", ")
    return ([header] + steps.map { "[\($0.connection)] \($0.text)" }).joined(separator: "\n")
  }
}

/// Makes chapters from command shapes.
public struct ChapterWriter {
  public var shapes: [CommandShape]
  public var connections = 3
  /// Of a hundred commands, how many are bent: an argument too few, too many, replaced or doubled.
  public var bentPercent = 6
  public var transactions = true

  public init(shapes: [CommandShape]) { self.shapes = shapes }

  public func write(_ count: Int, _ dice: inout Dice) -> Chapter {
    var chapter = Chapter(protocols: (0..<connections).map { _ in dice.pick([2, 3]) }, steps: [])
    var inTransaction = [Bool](repeating: false, count: connections)
    let choices = shapes.map { (weight: $0.weight, $0) }
    var connection = 0
    while chapter.steps.count < count {
      // Mostly the same connection again, so that its requests travel together.
      if dice.chance(10) { connection = dice.below(connections) }
      if transactions, let words = transactionStep(&dice, &inTransaction[connection]) {
        chapter.steps.append(.init(connection: connection, words: words, comparison: .exact))
        continue
      }
      let shape = dice.pick(choices)
      var words = shape.words(&dice)
      var comparison = shape.comparison
      if shape.bends, dice.chance(bentPercent) {
        bend(&words, &dice)
        // Another cursor than 0 means something only to the server that gave it.
        if case .scan = comparison { comparison = .sameType }
      }
      chapter.steps.append(.init(connection: connection, words: words, comparison: comparison))
    }
    return chapter
  }

  private func transactionStep(_ dice: inout Dice, _ inTransaction: inout Bool) -> [[UInt8]]? {
    let name: String
    switch (inTransaction, dice.below(200)) {
    case (false, 0..<3): name = "MULTI"
    case (true, 0..<25): name = "EXEC"
    case (true, 25..<29): name = "DISCARD"
    case (true, 29): name = "MULTI"
    case (false, 3): return [Array(dice.pick(["EXEC", "DISCARD", "UNWATCH"]).utf8)]
    case (_, 30..<33): return ["WATCH".word] + (0...dice.below(2)).map { _ in dice.key() }
    default: return nil
    }
    inTransaction = name == "MULTI"
    return [name.word]
  }

  private func bend(_ words: inout [[UInt8]], _ dice: inout Dice) {
    switch dice.below(6) {
    case 0 where words.count > 1: words.removeLast()
    case 1: words.append(dice.oddWord())
    case 2 where words.count > 1: words[dice.within(1...words.count - 1)] = dice.oddWord()
    case 3 where words.count > 1: words.insert(dice.pick(words), at: dice.within(1...words.count - 1))
    case 4: words[0] = words[0].map { dice.chance(50) ? $0 ^ ($0 > 64 ? 32 : 0) : $0 }
    case 5 where words.count > 2: words.swapAt(dice.within(1...words.count - 1), dice.within(1...words.count - 1))
    default: break
    }
  }
}
