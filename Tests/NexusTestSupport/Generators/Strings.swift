extension CommandShape {
  public static let strings: [CommandShape] = [
    .init(20) { ["GET", $0.key()] },
    .init(20) { ["SET", $0.key(), $0.value()] },
    .init(5) { ["INCRBY", $0.key(), $0.integer()] },
    .init(5) { ["DEL", $0.key()] },
  ]
}
