import Glibc

extension CommandTable {
  static let timeCommand = Command(
    "time", arity: 1, [.loading, .stale, .fast], group: .server, since: "2.6.0", complexity: "O(1)",
    summary: "The server's clock: Unix seconds, and microseconds of the second."
  ) { call in
    // Finer than the loop's clock, which is read once a turn.
    var time = timespec()
    clock_gettime(CLOCK_REALTIME, &time)
    call.reply(arrayOf: 2)
    call.reply(bulk: String(time.tv_sec))
    call.reply(bulk: String(time.tv_nsec / 1000))
  }
}
