extension CommandTable {
  /// Single bits, ranges of bits and small numbers inside of values.
  static let bitCommands: [Command] = [
    Command(
      "setbit", arity: 4, [.write, .denyOOM], keys: .first, group: .bitmap, since: "2.2.0", complexity: "O(1)",
      summary: "Sets or clears one bit of a value, making it longer where needed", handler: Bits.setbit),
    Command(
      "getbit", arity: 3, [.readonly, .fast], keys: .first, group: .bitmap, since: "2.2.0", complexity: "O(1)",
      summary: "Answers one bit of a value", handler: Bits.getbit),
    Command(
      "bitcount", arity: -2, [.readonly], keys: .first, group: .bitmap, since: "2.6.0",
      complexity: "O(N) for a range of N bytes", summary: "Counts the bits that are set", handler: Bits.bitcount),
    Command(
      "bitpos", arity: -3, [.readonly], keys: .first, group: .bitmap, since: "2.8.7",
      complexity: "O(N) for a range of N bytes", summary: "Finds the first bit that is set, or clear",
      handler: Bits.bitpos),
    Command(
      "bitop", arity: -4, [.write, .denyOOM], keys: .range(first: 2, last: -1, step: 1), group: .bitmap,
      since: "2.6.0", complexity: "O(N) for N bytes in all sources",
      summary: "Combines values bit by bit and stores the result", handler: Bits.bitop),
    Command(
      "bitfield", arity: -2, [.write, .denyOOM], keys: .first, group: .bitmap, since: "3.2.0",
      complexity: "O(N) for N operations", summary: "Reads, sets and counts small integers inside of a value",
      handler: Bits.bitfield),
    Command(
      "bitfield_ro", arity: -2, [.readonly, .fast], keys: .first, group: .bitmap, since: "6.0.0",
      complexity: "O(N) for N operations", summary: "Reads small integers inside of a value",
      handler: Bits.bitfieldReadOnly),
  ]
}
