/// What was complained about, and when: the same again only after a while.
struct Complaints {
  private var saidAt: [String: (at: UInt64, since: Int)] = [:]
  private static let most = 1000

  /// Nil: not now. Otherwise how many were swallowed since the last time.
  mutating func note(_ subject: String, now: UInt64, every milliseconds: UInt64 = 10_000) -> Int? {
    if let said = saidAt[subject], now < said.at + milliseconds {
      saidAt[subject] = (said.at, said.since + 1)
      return nil
    }
    if saidAt.count >= Self.most { saidAt = [:] }
    let swallowed = saidAt[subject]?.since ?? 0
    saidAt[subject] = (now, 0)
    return swallowed
  }
}
