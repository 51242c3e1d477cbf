extension CommandTable {
  static let shutdownCommand = Command(
    "shutdown", arity: -1, [.admin, .noscript, .loading, .stale, .noMulti, .allowBusy], group: .server,
    since: "1.0.0", complexity: "O(1)", summary: "Stops the server: answers what is in flight, then ends."
  ) { call in
    var saving = false
    var refusingToSave = false
    var aborting = false
    var other = false
    for index in 1..<call.count {
      if call.matches(index, "save") {
        saving = true
      } else if call.matches(index, "nosave") {
        refusingToSave = true
      } else if call.matches(index, "now") || call.matches(index, "force") {
        other = true
      } else if call.matches(index, "abort") {
        aborting = true
      } else {
        return call.replySyntaxError()
      }
    }
    if (aborting && (saving || refusingToSave || other)) || (saving && refusingToSave) {
      return call.replySyntaxError()
    }
    if aborting { return call.reply(error: "ERR No shutdown in progress.") }
    if saving {
      return call.reply(error: "ERR this server keeps everything in memory: there is nothing on disk to save to")
    }
    // As in Redis there is no reply: the connection ends with all others.
    call.engine.node.requestStop()
  }
}
