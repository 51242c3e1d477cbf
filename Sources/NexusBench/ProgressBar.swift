import Glibc

/// One line on the terminal that is drawn over itself; nothing where there is no terminal.
struct ProgressBar {
  let isShown: Bool
  static let width = 30

  func show(share: Double, operations: Int, seconds: Double) {
    guard isShown else { return }
    let bounded = max(0, min(1, share))
    let filled = Int(bounded * Double(Self.width))
    let bar = String(repeating: "█", count: filled) + String(repeating: "░", count: Self.width - filled)
    let rate = seconds > 0 ? Double(operations) / seconds : 0
    write("\r\(bar) \(Int(bounded * 100))%  \(operations.grouped) operations, \(rate.fixed(0))/s\u{1B}[K")
  }

  func clear() {
    if isShown { write("\r\u{1B}[K") }
  }

  private func write(_ text: String) {
    var text = text
    text.withUTF8 { _ = Glibc.write(2, $0.baseAddress, $0.count) }
  }
}
