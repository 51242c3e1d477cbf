import NexusModel
import NexusStore

// Clients that keep what other members have answered. These tell over the stream that the answer came over, which is
// the client's loop's own: what they tell concerns the clients of that loop, and comes behind what it is about.

extension Interests {
  /// A member has told this loop of a change of a key that is not executed here.
  public func changedElsewhere(_ namespace: NamespaceNumber, _ bytes: UnsafeRawBufferPointer, loop: Int) {
    guard keyCount > 0 else { return }
    let worker = Node.worker(ofLoop: loop)
    let key = store.key(bytes, in: namespace)
    let taken = store.lock(key, as: worker)
    defer { store.unlock(key, taken) }
    guard let interest = tables[Int(key.slot)]?.take(key, where: { !$0.isMember && !$0.isStream && $0.loop == loop })
    else { return }
    releaseIfEmpty(Int(key.slot))
    if self.interest(in: key) == nil {
      forget(interest, key.slot)
    } else {
      count(keys: 0, parties: -interest.count, bytes: -interest.count * MemoryLayout<InterestedParty>.stride)
    }
    tell(interest, from: worker, writer: 0)
  }

  private func interest(in key: Key) -> InterestTable.Interest? { tables[Int(key.slot)]?.interest(in: key) }

  /// What other members have answered to clients of this loop may have changed, and nobody will say so.
  public func lostElsewhere(loop: Int) {
    guard clientCount > 0 else { return }
    send(.lost, to: loop, from: Node.worker(ofLoop: loop))
  }
}
