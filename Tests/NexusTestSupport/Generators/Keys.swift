extension CommandShape {
  /// Keys of any type, their lifetimes, and whole databases.
  public static let keys: [CommandShape] = presence + lifetimes + moving + walking + introspection

  private static let presence: [CommandShape] = [
    .init(5) { ["DEL"] + $0.keys(1...3) },
    .init(2) { ["UNLINK"] + $0.keys(1...3) },
    .init(4) { ["EXISTS"] + $0.keys(1...4) },
    .init(2) { ["TOUCH"] + $0.keys(1...4) },
    .init(3) { ["TYPE", $0.key()] },
  ]

  private static let lifetimes: [CommandShape] = [
    .init(6, .within(3)) { [$0.pick(["TTL", "EXPIRETIME"]), $0.key()] },
    .init(6, .within(3_000)) { [$0.pick(["PTTL", "PEXPIRETIME"]), $0.key()] },
    .init(4) { ["EXPIRE", $0.key(), $0.seconds()] + $0.expiryConditions() },
    .init(3) { ["PEXPIRE", $0.key(), $0.milliseconds()] + $0.expiryConditions() },
    .init(4) { ["EXPIREAT", $0.key(), $0.unixSeconds()] + $0.expiryConditions() },
    .init(3) { ["PEXPIREAT", $0.key(), $0.unixMilliseconds()] + $0.expiryConditions() },
    .init(4) { ["PERSIST", $0.key()] },
  ]

  private static let moving: [CommandShape] = [
    .init(4) { ["RENAME", $0.key(), $0.key()] },
    .init(3) { ["RENAMENX", $0.key(), $0.key()] },
    .init(5) { dice in
      var options: [[any WordConvertible]] = []
      if dice.chance(40) { options.append([dice.anyCase("REPLACE")]) }
      if dice.chance(40) { options.append(["DB", dice.database()]) }
      options.shuffle(using: &dice)
      return ["COPY", dice.key(), dice.key()] + options.flatMap { $0 }
    },
    .init(3) { ["MOVE", $0.key(), $0.database()] },
    .init(1) { ["SWAPDB", $0.database(), $0.database()] },
  ]

  private static let walking: [CommandShape] = [
    .init(3, .unordered) { ["KEYS", $0.pattern()] },
    .init(4, .scan) { dice in
      var options: [[any WordConvertible]] = [["COUNT", "10000"]]
      if dice.chance(60) { options.append([dice.anyCase("MATCH"), dice.pattern()]) }
      if dice.chance(30) { options.append(["TYPE", dice.pick(["string", "STRING", "list", "nosuch", ""])]) }
      options.shuffle(using: &dice)
      return ["SCAN", "0"] + options.flatMap { $0 }
    },
    .init(1, .sameType) {
      ["SCAN", $0.pick(["x", "", "-", "18446744073709551616", "1 ", " 1"]), "COUNT", $0.integer()]
    },
    .init(2, .sameType) { _ in ["RANDOMKEY"] },
    // Redis counts entries that have expired until it comes across them.
    .init(3, .within(3)) { _ in ["DBSIZE"] },
    .init(1) { dice in
      [dice.chance(80) ? "FLUSHDB" : "FLUSHALL"]
        + (dice.chance(50) ? [dice.pick(["SYNC", "ASYNC", "async", "NOW", ""])] : [])
    },
  ]

  private static let introspection: [CommandShape] = [
    .init(3, .encoding) { ["OBJECT", $0.anyCase("ENCODING"), $0.key()] },
    .init(1, .sameType) { ["OBJECT", "REFCOUNT", $0.key()] },
    .init(1) { ["OBJECT", $0.pick(["NOSUCH", "", "ENCODE"]), $0.key()] },
    .init(1, .memory) { dice in
      ["MEMORY", "USAGE", dice.key()] + (dice.chance(40) ? [dice.anyCase("SAMPLES"), dice.integer()] : [])
    },
  ]
}

extension Comparison {
  /// How much an entry takes is each server's own affair, and Redis tells it even of one that has expired.
  public static let memory = Comparison.custom { expected, actual in
    let isNumber = if case .integer = expected { true } else { false }
    return isNumber && actual.elements == nil
  }

  /// Redis remembers how a value came about and calls what was changed in place `raw`; here the value alone counts.
  /// What Redis holds as an integer or calls `raw` for its length must be called the same.
  public static let encoding = Comparison.custom { expected, actual in
    switch (expected.string, actual.string) {
    case ("raw", "int"), ("raw", "embstr"), ("embstr", "int"): true
    default: expected == actual
    }
  }
}

extension Dice {
  mutating func database() -> [UInt8] {
    chance(90) ? pick(["0", "1", "1", "15"]).word : pick(["-1", "16", "abc", "", "99999999999", "1.0"]).word
  }

  mutating func expiryConditions() -> [any WordConvertible] {
    guard chance(40) else { return [] }
    let words = chance(90) ? ["NX", "XX", "GT", "LT"] : ["NX", "XX", "GT", "LT", "KEEP"]
    return (0...(chance(80) ? 0 : 1)).map { _ in anyCase(pick(words)) }
  }

  mutating func pattern() -> String {
    pick([
      "*", "**", "?", "k?", "k[12]", "k[^1]", "[a-c]", "[c-a]", "{tag}*", "*t*", "c*r", "\\a", "[a", "a*a", "", "*a",
    ])
  }
}
