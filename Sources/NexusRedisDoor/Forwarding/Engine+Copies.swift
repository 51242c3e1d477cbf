import NexusModel
import NexusRESP
import NexusService
import NexusStore

// Writes that are answered once other members have copies of them.

extension Engine {
  static let notEnoughReplicas = "NOREPLICAS Not enough good replicas to write."

  /// Where this node also has copies of others' slots: those that it executes itself. Nil: all that are here.
  var ownSlots: ((UInt16) -> Bool)? {
    guard replicator != nil else { return nil }
    return { [routes] slot in routes[slot: slot] == .here || routes[slot: slot] == .incoming }
  }

  /// Whether reads of this session may come from copies here. What an origin fills is filled by its owner alone.
  func readsCopies(_ session: Session) -> Bool {
    guard replicator != nil else { return false }
    let preference = store.readPreference(in: session.namespace)
    guard preference == .any || session.readsCopies && preference == .owner else { return false }
    return !filler.fills(session.namespace)
  }

  /// Whether more than half of the copies are compared before something of the namespace is read.
  @inline(__always) func asksQuorum(_ namespace: NamespaceNumber) -> Bool {
    replicator != nil && store.readPreference(in: namespace) == .quorum
  }

  /// The keys in `keyList` are compared first, or a write waits behind its client's reads that are. Nil, and nothing is
  /// noted, if that has been done or need not be.
  func noteQuorum(
    _ operation: UnsafePointer<Operation>, _ slot: UnsafePointer<CommandTable.Slot>, _ namespace: NamespaceNumber,
    _ batch: inout OperationBatch
  ) -> OperationOutcome? {
    let flags = operation.pointee.flags
    guard slot.pointee.flags.contains(.readonly) || flags.contains(.ordered), asksQuorum(namespace),
      keyList.count > 0, !flags.contains(.compared)
    else { return nil }
    let isHere = keyList.keys.allSatisfy { routes[slot: $0.slot] == .here || routes[slot: $0.slot] == .incoming }
    guard isHere else { return .notHere }
    missingKeys.removeAll(keepingCapacity: true)
    missingKeys += keyList.keys
    return noteMissing(&batch)
  }

  /// A read of the slot may come from the copy here, and does not overtake what the session has under way on it.
  func isGoodCopy(_ slot: UInt16, _ session: Session) -> Bool {
    goodCopies[slot: slot] && session.pending.map { !$0.pointee.mayHave(slot: slot) } ?? true
  }

  /// What a write of this session waits for.
  @inline(__always) func acknowledgement(_ session: Session) -> Acknowledgement {
    replicator == nil ? .one : store.acknowledgement(in: session.namespace)
  }

  /// Whether as many members live as the keys in `keyList` need.
  func hasReplicas(_ acknowledgement: Acknowledgement) -> Bool {
    guard acknowledgement != .one, let replicator else { return true }
    return keyList.keys.allSatisfy { replicator.canWrite($0.slot, acknowledgement) }
  }

  /// The reply that stands in `out` from `start` on leaves once the write has its copies.
  @inline(never) func holdReply(
    _ session: Session, _ state: inout ReceiveState, from start: Int, _ acknowledgement: Acknowledgement
  ) {
    guard let replicator, replicator.hasWritten, !isSilent(session) else { return }
    let forwarder = forwarder
    let reply = UnsafeRawBufferPointer(start: state.out.base + start, count: state.out.count - start)
    if session.pending == nil { state.mark = start }
    state.out.count = start
    let queue = queue(of: session, &state.out, &state.mark)
    let index = forwarder.table.hold(reply, in: queue)
    queue.pointee.underWay &+= 1
    replicator.notify(
      self, forwarder.table.ticket(index), of: replicator.hold(acknowledgement), timeoutMilliseconds: 0)
  }
}

// MARK: What other members have this one execute

extension Engine {
  /// Begins a write that waits for copies. What became of it, where it is refused or not this node's.
  func beginWrite(
    _ slot: Slot, _ acknowledgement: Acknowledgement, _ batch: inout OperationBatch,
    refusal: String = Engine.notEnoughReplicas
  ) -> OperationOutcome? {
    guard let replicator else { return nil }
    guard replicator.canWrite(slot.index, acknowledgement) else {
      // Whether there are enough is the owner's to say, and only where it is here.
      let route = routes[slot]
      return route == .here || route == .incoming ? refuse(refusal, &batch) : .notHere
    }
    replicator.beginWork()
    return nil
  }

  /// Who executes the slot does not answer: a read from the copy here, if that is good.
  func runFromCopy(_ call: inout Call, _ slot: UnsafePointer<CommandTable.Slot>) -> Ownership {
    guard slot.pointee.flags.contains(.readonly), !filler.fills(call.namespace),
      keyList.keys.allSatisfy({ routes[slot: $0.slot] == .here || goodCopies[slot: $0.slot] })
    else { return runWhereOwned(&call, slot) }
    run(&call, slot)
    return .ran
  }

  func endWrite(_ acknowledgement: Acknowledgement, _ batch: borrowing OperationBatch) -> OperationOutcome {
    guard acknowledgement != .one, let replicator, replicator.hasWritten else {
      return .replied(end: batch.out.count)
    }
    return .held(end: batch.out.count, replicator.hold(acknowledgement))
  }
}

extension Engine: ReplicaWaiter {
  public func copied(_ ticket: UInt64, _ shortfall: ReplicaShortfall?) {
    let forwarder = forwarder
    if let index = forwarder.table.place(ticket) { return partCopied(index, shortfall) }
    guard let index = forwarder.table.place(ticket, .held), let queue = forwarder.table.places[Int(index)].queue else {
      return
    }
    queue.pointee.underWay &-= 1
    if let shortfall {
      _ = forwarder.table.takeHeld(index, of: queue)
      completeFailed(index, queue, forwarder.table.places[Int(index)], .tooFewCopies(shortfall.sentence))
    } else if queue.pointee.first == index {
      complete(index, queue, forwarder.table.takeHeld(index, of: queue))
    } else {
      forwarder.table.places[Int(index)].state = .written
    }
  }

  public func counted(_ ticket: UInt64, _ copies: Int) {
    var reply = OutputBuffer(capacity: 32)
    defer { reply.deallocate() }
    reply.writeInteger(copies)
    replied(ticket, .payload(reply.bytes))
  }

  public func copiesEnded() { flushReplies() }
}
