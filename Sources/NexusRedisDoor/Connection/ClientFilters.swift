import NexusModel

/// CLIENT LIST and CLIENT KILL: which clients are meant.
extension CommandTable {
  @Sendable static func list(_ call: inout Call) {
    var cards = call.session.extras?.census?.cards ?? []
    if call.count == 4, call.matches(2, "TYPE") {
      guard let type = clientType(call, 3) else { return replyUnknownType(&call, 3) }
      cards.removeAll { $0.type != type }
    } else if call.count > 3, call.matches(2, "ID") {
      var wanted: Set<UInt64> = []
      for index in 3..<call.count {
        guard let id = call.integer(index), id > 0 else { return call.reply(error: "ERR Invalid client ID") }
        wanted.insert(UInt64(id))
      }
      cards.removeAll { !wanted.contains($0.id) }
    } else if call.count != 2 {
      return call.replySyntaxError()
    }
    cards.sort { $0.id < $1.id }
    call.reply(verbatim: cards.map { $0.line + "\n" }.joined())
  }

  @Sendable static func kill(_ call: inout Call) {
    var filter = ClientFilter()
    if call.count == 3 {
      filter.remote = call.text(2)
      filter.skipsCaller = false
    } else {
      guard filter.read(&call) else { return }
    }
    let cards = (call.session.extras?.census?.cards ?? []).filter { filter.fits($0, caller: call.session.id) }
    if cards.contains(where: { $0.id == call.session.id }) { call.session.set(.closing, true) }
    call.engine.kill(cards.filter { $0.id != call.session.id })
    if call.count > 3 { return call.reply(integer: cards.count) }
    if cards.isEmpty { call.reply(error: "ERR No such client") } else { call.replyOK() }
  }

  /// `normal`, `replica`, `master` or `pubsub`; `slave` is a replica.
  static func clientType(_ call: Call, _ index: Int) -> String? {
    let word = call.text(index).lowercased()
    if word == "slave" { return "replica" }
    return ["normal", "replica", "master", "pubsub"].contains(word) ? word : nil
  }

  static func replyUnknownType(_ call: inout Call, _ index: Int) {
    call.reply(error: "ERR Unknown client type '\(call.text(index))'")
  }
}

/// The clients that fit every filter that was given.
private struct ClientFilter {
  var id: UInt64?
  var type: String?
  var remote: String?
  var local: String?
  var user: String?
  var skipsCaller = true

  /// Reads pairs of filter and value from the third argument on; false after having replied an error.
  mutating func read(_ call: inout Call) -> Bool {
    var index = 2
    while index < call.count {
      guard index + 1 < call.count else {
        call.replySyntaxError()
        return false
      }
      if call.matches(index, "ID") {
        guard let id = call.integer(index + 1), id > 0 else {
          call.reply(error: "ERR client-id should be greater than 0")
          return false
        }
        self.id = UInt64(id)
      } else if call.matches(index, "TYPE") {
        guard let type = CommandTable.clientType(call, index + 1) else {
          CommandTable.replyUnknownType(&call, index + 1)
          return false
        }
        self.type = type
      } else if call.matches(index, "ADDR") {
        remote = call.text(index + 1)
      } else if call.matches(index, "LADDR") {
        local = call.text(index + 1)
      } else if call.matches(index, "USER") {
        let name = call.text(index + 1)
        guard call.store.userNames.contains(name) else {
          call.reply(error: "ERR No such user '\(name)'")
          return false
        }
        user = name
      } else if call.matches(index, "SKIPME") {
        guard call.matches(index + 1, "YES") || call.matches(index + 1, "NO") else {
          call.replySyntaxError()
          return false
        }
        skipsCaller = call.matches(index + 1, "YES")
      } else {
        call.replySyntaxError()
        return false
      }
      index += 2
    }
    return true
  }

  func fits(_ card: ClientCard, caller: UInt64) -> Bool {
    if skipsCaller, card.id == caller { return false }
    return (id ?? card.id) == card.id && (type ?? card.type) == card.type && (remote ?? card.remote) == card.remote
      && (local ?? card.local) == card.local && (user ?? card.user) == card.user
  }
}
