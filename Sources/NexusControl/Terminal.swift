import Glibc

/// Standard output: whole texts, and one status line that is drawn over itself where that is possible.
struct Terminal {
  let isTerminal = isatty(STDOUT_FILENO) == 1
  private var hasLine = false
  /// Nobody reads any more.
  private(set) var isGone = false

  mutating func print(_ text: String) {
    clearLine()
    write(text)
  }

  /// Shows the line in place of the last one; off a terminal nothing.
  mutating func line(_ text: String) {
    guard isTerminal else { return }
    write("\r" + String(text.prefix(width - 1)) + "\u{1B}[K")
    hasLine = true
  }

  mutating func clearLine() {
    if hasLine { write("\r\u{1B}[K") }
    hasLine = false
  }

  private var width: Int {
    var size = winsize()
    guard ioctl(STDOUT_FILENO, UInt(TIOCGWINSZ), &size) == 0, size.ws_col > 20 else { return 80 }
    return Int(size.ws_col)
  }

  private mutating func write(_ text: String) {
    var rest = Array(text.utf8)[...]
    while !rest.isEmpty, !isGone {
      let written = rest.withUnsafeBytes { Glibc.write(STDOUT_FILENO, $0.baseAddress, $0.count) }
      if written < 0 && errno != EINTR { isGone = true }
      rest = rest.dropFirst(max(0, written))
    }
  }
}
