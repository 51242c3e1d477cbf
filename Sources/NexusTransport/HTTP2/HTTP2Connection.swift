import NexusModel
import NexusService

/// One connection of the door: a session and its place on the loop.
final class HTTP2Connection: HTTP2SessionOwner {
  /// Invariant: the door outlives its connections; it is the loop's, which closes them first.
  unowned let door: HTTP2Door
  private(set) var session: HTTP2Session!
  /// nil until it is established.
  var id: ConnectionID?
  /// What it will be then, where this side makes it.
  var dialing: ConnectionID?
  /// Where it leads; nil for one that was accepted.
  let address: NetworkAddress?
  /// In the door's list.
  var index = 0
  /// Why it was given up, where that was this side's decision.
  var reason: String?
  /// Everything is said; closes once it has been taken.
  var isClosing = false
  /// Milliseconds of the monotonic clock at which it was first seen without calls.
  var unusedSince: Int?

  init(_ door: HTTP2Door, to address: NetworkAddress?) {
    self.door = door
    self.address = address
    session = HTTP2Session(address == nil ? .serving : .calling, door.limits, door.gauge, owner: self)
  }

  func sessionHasOutput() {
    if let id { door.loop.requestOutput(id) }
  }

  func admit(_ head: CallHead) -> CallAdmission { door.admit(head) }

  func limit(_ call: Call, milliseconds: Int) { door.limit(call, milliseconds: milliseconds) }

  func produce(_ output: inout OutputBuffer) -> Bool {
    if isClosing {
      door.loop.close(id!, afterFlush: true)
      return false
    }
    let hasMore = session.write(into: &output, limit: HTTP2Door.outputBytes)
    isClosing = session.isOver
    return hasMore || isClosing
  }

  /// How the calls end that were open when the connection went.
  func end(_ reason: CloseReason) -> CallEnd {
    var text = self.reason ?? "the connection was lost (\(reason))"
    if let farewell = session.farewell {
      text += "; the other side said goodbye with error code \(farewell.code)"
      if !farewell.text.isEmpty { text += ": \(farewell.text)" }
    }
    let place = address.map { "\($0): " } ?? ""
    return CallEnd(CallStatus(.unavailable, place + text), .lost)
  }
}
