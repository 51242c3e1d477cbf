import Glibc

extension CommandTable {
  static let timeCommand = Command(
    "time", arity: 1, [.loading, .stale, .fast], spread: .anywhere, group: .server, since: "2.6.0",
    complexity: "O(1)",
    summary: "The server's clock: Unix seconds, and microseconds of the second."
  ) { call in
    let time = wallClockMicroseconds()
    call.reply(arrayOf: 2)
    call.reply(bulk: String(time / 1_000_000))
    call.reply(bulk: String(time % 1_000_000))
  }
}

/// Microseconds since the Unix epoch, read now: finer than the loop's clock, which is read once a turn.
func wallClockMicroseconds() -> Int {
  var time = timespec()
  clock_gettime(CLOCK_REALTIME, &time)
  return time.tv_sec * 1_000_000 + time.tv_nsec / 1000
}
