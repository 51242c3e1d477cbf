import NexusService

/// LOLWUT: the server's version, under a small piece of generative art. Each version asked for draws its own; ours is
/// a field of squares that lose their order towards the bottom, after Georg Nees's "Schotter" (1968).
extension CommandTable {
  static let lolwutCommand = Command(
    "lolwut", arity: -1, [.readonly, .fast], group: .server, since: "5.0.0", complexity: "O(1)",
    summary: "Draws a picture, and says which version drew it."
  ) { call in
    var next = 1
    if call.count >= 3, call.matches(1, "version") {
      guard call.requireInteger(2) != nil else { return }
      next = 3
    }
    // What is no number is no size; as in Redis that is no error either.
    let sizes = (next..<call.count).compactMap { call.integer($0) }
    let columns = min(max(sizes.first ?? 44, 1), 160)
    let rows = min(max(sizes.count > 1 ? sizes[1] : 10, 1), 40)
    let picture = Gravel.draw(columns: columns, rows: rows, seed: UInt64(bitPattern: call.now))
    call.reply(verbatim: "\(picture)\n\(Gravel.signature)\n")
  }
}

enum Gravel {
  static let signature = "NexusCache \(Product.version), speaks Redis ver. \(RedisDoor.redisVersion)"
  private static let stones: [Character] = ["#", "+", "x", "*", "'", ".", " "]

  /// Rows of stones, in order above, ever looser below. Equal seeds draw equal pictures.
  static func draw(columns: Int, rows: Int, seed: UInt64) -> String {
    var state = seed | 1
    func next(_ bound: Int) -> Int {
      state ^= state << 13
      state ^= state >> 7
      state ^= state << 17
      return Int(state % UInt64(bound))
    }
    var picture = ""
    for row in 0..<rows {
      for _ in 0..<columns {
        let loose = next(rows) < row
        picture.append(loose ? stones[next(stones.count)] : stones[0])
      }
      picture.append("\n")
    }
    return picture
  }
}
