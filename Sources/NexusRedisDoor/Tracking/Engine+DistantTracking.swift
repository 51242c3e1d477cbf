import NexusModel
import NexusRESP
import NexusService
import NexusStore

// Clients that keep what other members have answered.
//
// The asking side puts a client's interest down when the answer arrives: until then the client has nothing that could
// change, and what the answering member tells of a change comes behind the answer, over the same stream. The answering
// side knows the stream only, and tells it.

extension Engine {
  /// The keys that a transaction's commands read.
  func keysRead(
    by transaction: Transaction, _ arguments: UnsafeMutablePointer<Argument>, _ session: Session
  ) -> [KeyName] {
    var names: [KeyName] = []
    for queued in transaction.commands {
      let slot = door.commands.slots + queued.command
      guard slot.pointee.flags.contains(.readonly), slot.pointee.isKeyed else { continue }
      let words = arguments + queued.firstArgument
      for position in slot.pointee.command.keys.positions(words, queued.count) {
        names.append(KeyName(namespace: session.namespace, key: Array(words[position].bytes)))
      }
    }
    return names
  }

  /// The answer has come, and the session knows from now on what these keys hold.
  func rememberAnswered(_ index: UInt32, _ session: Session?, _ reply: OperationReply, _ forwarder: Forwarder) {
    guard let names = forwarder.tracked.removeValue(forKey: index), case .payload = reply, let session,
      let tracking = session.extras?.tracking, !tracking.options.contains(.broadcast)
    else { return }
    let party = party(session)
    for name in names {
      name.key.withUnsafeBytes { bytes in
        let key = store.key(bytes, in: name.namespace)
        remember(key, party)
        // Run here after all, a moment ago: what has changed since was told to nobody.
        if routes[slot: key.slot].member == nil {
          interests.changedElsewhere(name.namespace, bytes, loop: loop.index)
        }
      }
    }
  }

  /// What the session reads now is remembered.
  func remembers(_ session: Session) -> Bool { session.extras?.tracking?.remembers == true }

  /// Another member's client tracks: the stream that asks for it is told.
  func runTrackedElsewhere(_ call: inout Call, _ slot: UnsafePointer<CommandTable.Slot>) {
    if slot.pointee.flags.contains(.readonly), let asker = interests.asker(as: worker) { remember(call, slot, asker) }
    slot.pointee.command.handler(&call)
  }
}
