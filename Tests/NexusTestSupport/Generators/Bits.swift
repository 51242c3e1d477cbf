extension CommandShape {
  /// Single bits, ranges of bits, and numbers of any width.
  public static let bits: [CommandShape] = [
    .init(5) { ["SETBIT", $0.key(), $0.bitOffset(), $0.chance(95) ? $0.pick(["0", "1"]).word : $0.integer()] },
    .init(4) { ["GETBIT", $0.key(), $0.chance(95) ? $0.bitOffset() : "4294967295".word] },
    .init(5) { dice in ["BITCOUNT", dice.key()] + dice.bitRange(endAlways: true) },
    .init(6) { dice in
      ["BITPOS", dice.key(), dice.chance(95) ? dice.pick(["0", "1"]).word : dice.integer()]
        + dice.bitRange(endAlways: false)
    },
    .init(4) { dice in
      let operation = dice.pick(["AND", "OR", "XOR", "NOT"])
      let sources = operation == "NOT" && dice.chance(90) ? dice.keys(1...1) : dice.keys(1...4)
      return ["BITOP", dice.anyCase(operation), dice.key()] + sources
    },
    .init(8) { dice in
      ["BITFIELD", dice.chance(50) ? "bits".word : dice.key()]
        + (0...dice.below(4)).flatMap { _ in dice.bitOperation() }
    },
    .init(3) { dice in
      ["BITFIELD_RO", dice.chance(50) ? "bits".word : dice.key()]
        + (0...dice.below(3)).flatMap { _ in
          dice.chance(90) ? ["GET", dice.bitType(), dice.fieldOffset()] : dice.bitOperation()
        }
    },
  ]
}

extension Dice {
  /// Never so far that a value of half a gigabyte is made.
  mutating func bitOffset() -> [UInt8] {
    chance(95) ? within(0...2_000).word : pick(["-1", "4294967296", "9223372036854775807", "abc", "", "1.0"]).word
  }

  mutating func bitRange(endAlways: Bool) -> [any WordConvertible] {
    guard chance(75) else { return [] }
    if !endAlways && chance(30) { return [position()] }
    var words: [any WordConvertible] = [position(), position()]
    if chance(60) { words.append(chance(95) ? anyCase(pick(["BIT", "BYTE"])) : "WORD") }
    return words
  }

  mutating func bitType() -> [UInt8] {
    chance(96) ? "\(pick(["i", "u"]))\(within(1...64))".word : pick(["i65", "u0", "x8", "i", "", "i08", "U8"]).word
  }

  mutating func fieldOffset() -> [UInt8] {
    switch below(20) {
    case 0: bitOffset()
    case 1...5: "#\(below(20))".word
    default: below(300).word
    }
  }

  mutating func bitOperation() -> [any WordConvertible] {
    switch below(10) {
    case 0...2: ["GET", bitType(), fieldOffset()]
    case 3...4: [anyCase("SET"), bitType(), fieldOffset(), integer()]
    case 5...6: ["INCRBY", bitType(), fieldOffset(), integer()]
    default: ["OVERFLOW", chance(95) ? anyCase(pick(["WRAP", "SAT", "FAIL"])) : "NONE"]
    }
  }
}
