extension CommandTable {
  static let infoCommand = Command(
    "info", arity: -1, [.loading, .stale], group: .server, since: "1.0.0", complexity: "O(1)",
    summary: "Reports figures about the server, by section."
  ) { call in
    let names = (1..<call.count).map { call.text($0).lowercased() }
    var report = InfoReport(door: call.door, now: call.now)
    report.write(InfoReport.sections(named: names))
    call.reply(verbatim: report.text)
  }
}
