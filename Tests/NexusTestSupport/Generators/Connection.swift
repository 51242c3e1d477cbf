extension CommandShape {
  /// Commands about the connection itself, as far as two servers can agree on them.
  public static let connection: [CommandShape] = [
    .init(4) { $0.chance(50) ? ["PING"] : ["PING", $0.value()] },
    .init(4) { ["ECHO", $0.value()] },
    // A word that is no number may be a namespace's name here.
    .init(2, .anyError) { ["SELECT", $0.chance(80) ? $0.pick(["0", "0", "0", "1"]) : $0.oddWord()] },
    .init(2) { ["CLIENT", $0.anyCase("SETNAME"), $0.pick(["worker", "", "with space", "new\nline", "ünï"])] },
    .init(2) { ["CLIENT", $0.anyCase("GETNAME")] },
    .init(1, .sameType) { _ in ["CLIENT", "ID"] },
    .init(1) { ["CLIENT", "NO-EVICT", $0.pick(["on", "off", "maybe"])] },
    .init(1) { _ in ["CLIENT", "TRACKINGINFO"] },
    .init(1) { ["CLIENT", $0.pick(["NOSUCH", "", "INFO2"])] },
    .init(1) {
      ["CLIENT", "KILL", $0.pick(["ID", "TYPE", "ADDR", "SKIPME"]), $0.pick(["0", "abc", "1.2.3.4:5", "-1"])]
    },
    .init(1) { ["AUTH", $0.value()] },
    .init(1) { ["AUTH", $0.pick(["default", "nobody"]), $0.value()] },
    .init(2, .hello) { ["HELLO", $0.pick(["2", "3", "2", "3", "1", "4", "abc", ""])] },
    .init(1, .hello) { ["HELLO", $0.pick(["2", "3"]), "SETNAME", $0.pick(["a", "with space"])] },
    .init(1, .hello) { ["HELLO", $0.pick(["2", "3"]), "AUTH", "default", $0.value()] },
    .init(1) { _ in ["RESET"] },
    .init(1) { ["NOSUCHCOMMAND", $0.value(), $0.key()] },
    .init(1) { [$0.pick(["", "x", "get get", "\u{0}", "GE\r\nT", "1", "*"]), $0.value()] },
  ]
}

extension Comparison {
  /// HELLO's fields except those that name the server.
  public static let hello = Comparison.custom { expected, actual in
    guard Comparison.shape(expected) == Comparison.shape(actual) else { return false }
    return ["proto", "mode", "role"].allSatisfy { expected[$0] == actual[$0] }
  }
}
