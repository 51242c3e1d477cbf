import NexusModel
import NexusService

// Reads whose slot's owner cannot be reached, or has fallen silent, go to the next member that has a copy.
//
// A copy that is not known to be good refuses, and the next one is asked; when none is left, the read waits for its
// slot as any other operation does.

extension PeerLoop {
  /// An owner that has said nothing for so long, while a read waits for it, is passed over.
  static let silenceMilliseconds: UInt64 = 150

  /// Whether another member's copy may answer this.
  func mayFailOver(_ flags: Operation.Flags) -> Bool {
    replicator != nil && flags.contains(.readOnly) && flags.isDisjoint(with: [.ordered, .thisNode, .severalSlots])
  }

  /// The next member that may have a good copy of the slot, this one first: nil where none is left.
  /// - Parameter tried: how many of them were considered before; rises.
  private func nextCopy(of slot: Slot, except owner: MemberNumber, _ tried: inout UInt8) -> MemberNumber? {
    guard let members = replicator?.members(of: slot.index) else { return nil }
    while Int(tried) <= members.count {
      let index = Int(tried)
      tried += 1
      if index == 0 {
        if node.goodCopies[slot: slot.index] { return myself }
      } else if members[index - 1] != owner, let link = knownLink(to: members[index - 1]), link.isUsable,
        !link.isSilent(now)
      {
        return members[index - 1]
      }
    }
    return nil
  }

  /// Sends a read that came a moment ago to a copy. False: there is none.
  func failOver(
    _ operation: Operation, _ requester: UInt16, _ ticket: UInt64, _ deadline: UInt64, from owner: MemberNumber
  ) -> Bool {
    var tried: UInt8 = 0
    guard let member = nextCopy(of: operation.slot, except: owner, &tried) else { return false }
    if member == myself {
      park(operation, requester, ticket, deadline, attempts: 0, direct: myself, origin: myself)
      if !parked.isEmpty, parked[parked.count - 1].ticket == ticket {
        parked[parked.count - 1].isFromCopy = true
        parked[parked.count - 1].copiesTried = tried
      }
      return true
    }
    guard let link = knownLink(to: member) else { return false }
    var operation = operation
    operation.flags.insert(.fromReplica)
    let isSent = link.send(
      operation, ticket: ticket, requester: requester, deadline: deadline, attempts: 0, isDirect: true,
      copiesTried: tried)
    if isSent { startTicking() }
    return isSent
  }

  /// Sends a parked read to a copy, or runs it here from this node's own; false: it has to stay.
  func failOver(_ parked: inout ParkedOperation, from owner: MemberNumber) -> Bool {
    guard parked.origin == myself, mayFailOver(parked.flags) else { return false }
    while let member = nextCopy(of: parked.slot, except: owner, &parked.copiesTried) {
      parked.isFromCopy = true
      defer { parked.isFromCopy = false }
      if member == myself {
        if run(&parked) { return true }
        continue
      }
      guard let link = knownLink(to: member) else { continue }
      let copy = parked
      let isSent = copy.withOperation { operation in
        link.send(
          operation, ticket: copy.ticket, requester: copy.requester, deadline: copy.deadline,
          attempts: copy.attempts, isDirect: true, copiesTried: copy.copiesTried)
      }
      if isSent { return true }
    }
    return false
  }

  /// A read that was sent to its slot's owner, which says nothing. True: it goes elsewhere.
  func passOver(_ record: PendingOperation, _ bytes: UnsafeRawBufferPointer, _ owner: MemberNumber) -> Bool {
    var parked = ParkedOperation(
      bytes: Array(bytes), flags: record.flags, slot: record.slot, ticket: record.ticket,
      requester: record.requester, deadline: record.deadline, attempts: record.attempts, direct: nil,
      copiesTried: record.copiesTried, origin: myself)
    guard failOver(&parked, from: owner) else { return false }
    release(record.slot)
    return true
  }
}
