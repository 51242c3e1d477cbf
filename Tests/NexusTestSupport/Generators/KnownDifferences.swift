extension KnownDifference {
  /// What no two servers have to agree on, and where this one differs on purpose.
  public static let keyspace: [KnownDifference] = [
    KnownDifference("a cursor means something only to the server that gave it") { step, expected, actual in
      step.name == "scan" && step.words.count > 1 && step.words[1] != "0".word && expected.elements?.count == 2
        && actual.elements?.count == 2
    }
  ]
}
