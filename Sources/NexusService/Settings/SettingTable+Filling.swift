extension Setting {
  /// How misses are filled from origins. What is set here holds in every namespace that does not say otherwise.
  static let filling: [Setting] = [
    Setting(
      .origin, "origin", .filling, .text, "",
      "Where misses of the default namespace are filled from (docs/origins.md). Empty: nowhere.", mutable: true,
      secret: true),
    Setting(
      .staleWhileRevalidate, "stale-while-revalidate", .filling, .duration(0...second * 3_153_600), "off",
      "An origin's value that is no longer fresh answers for this long while it is loaded anew.", mutable: true,
      words: ["off": 0]),
    Setting(
      .staleIfError, "stale-if-error", .filling, .duration(0...second * 3_153_600), "off",
      "An origin's value that is no longer fresh answers for this long while its origin fails.", mutable: true,
      words: ["off": 0]),
    Setting(
      .absentTTL, "absent-ttl", .filling, .duration(0...second * 3_153_600), "5s",
      "That the origin does not have a key is remembered for this long.", mutable: true, words: ["off": 0]),
    Setting(
      .earlyRefresh, "early-refresh", .filling, .percent(0...1000), "0%",
      "Load values anew before their time, by chance, so that not all readers wait at once; 100% is usual.",
      mutable: true, words: ["off": 0]),
  ]

  private static let second = 1_000_000
}
