extension CommandShape {
  /// Whole values and parts of them.
  public static let strings: [CommandShape] = reading + setting + editing

  private static let reading: [CommandShape] = [
    .init(12) { [$0.anyCase("GET"), $0.key()] },
    .init(4) { ["MGET"] + $0.keys(1...5) },
    .init(4) { ["STRLEN", $0.key()] },
    .init(5) { [$0.pick(["GETRANGE", "GETRANGE", "SUBSTR"]), $0.key(), $0.position(), $0.position()] },
    .init(3) { dice in
      var words: [any WordConvertible] = ["LCS", dice.key(), dice.key()]
      words += dice.some(["LEN", "IDX", "WITHMATCHLEN"], percent: 40).map { dice.anyCase($0) }
      if dice.chance(30) { words += ["MINMATCHLEN", dice.chance(80) ? dice.within(-1...5).word : dice.integer()] }
      return words
    },
  ]

  private static let setting: [CommandShape] = [
    .init(12) { ["SET", $0.key(), $0.value()] },
    .init(10) { dice in
      var options: [[any WordConvertible]] = dice.some(["NX", "XX", "GET", "KEEPTTL"], percent: 15).map { [$0] }
      if dice.chance(40) { options.append(dice.lifetime()) }
      options.shuffle(using: &dice)
      return [dice.anyCase("SET"), dice.key(), dice.value()] + options.flatMap { $0 }
    },
    .init(3) { ["SETNX", $0.key(), $0.value()] },
    .init(2) { ["SETEX", $0.key(), $0.seconds(), $0.value()] },
    .init(2) { ["PSETEX", $0.key(), $0.milliseconds(), $0.value()] },
    .init(3) { ["GETSET", $0.key(), $0.value()] },
    .init(3) { ["GETDEL", $0.key()] },
    .init(4) { dice in
      ["GETEX", dice.key()] + (dice.chance(70) ? dice.lifetime() : [])
        + (dice.chance(30) ? [dice.anyCase("PERSIST")] : [])
    },
    .init(3) { dice in ["MSET"] + (0...dice.below(3)).flatMap { _ in [dice.key(), dice.value()] } },
    .init(2) { dice in ["MSETNX"] + (0...dice.below(3)).flatMap { _ in [dice.key(), dice.value()] } },
  ]

  private static let editing: [CommandShape] = [
    .init(5) { ["APPEND", $0.key(), $0.value()] },
    .init(4) { ["SETRANGE", $0.key(), $0.chance(80) ? $0.within(0...300).word : $0.position(), $0.value()] },
    .init(4) { [$0.pick(["INCR", "DECR"]), $0.pick([$0.key(), "counter".word])] },
    .init(4) { [$0.pick(["INCRBY", "DECRBY"]), $0.pick([$0.key(), "counter".word]), $0.integer()] },
    .init(4) { ["INCRBYFLOAT", $0.pick([$0.key(), "counter".word]), $0.pick([$0.float(), $0.integer()])] },
  ]
}

extension Dice {
  /// An index into a value: mostly near one of its ends.
  mutating func position() -> [UInt8] {
    switch below(10) {
    case 0: integer()
    case 1: pick(["536870912", "-536870913", "4294967295"]).word
    default: within(-25...25).word
    }
  }

  /// A TTL option of SET and GETEX, sometimes without its number.
  mutating func lifetime() -> [any WordConvertible] {
    let (name, number) =
      switch below(4) {
      case 0: ("EX", seconds())
      case 1: ("PX", milliseconds())
      case 2: ("EXAT", unixSeconds())
      default: ("PXAT", unixMilliseconds())
      }
    return chance(95) ? [anyCase(name), number] : [anyCase(name)]
  }
}
