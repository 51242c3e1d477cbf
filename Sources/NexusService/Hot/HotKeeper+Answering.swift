import NexusModel
import NexusStore

// The owner's side: copies are given to members that ask, and each that was given is told of when it changes.

extension HotKeeper: OperationExecutor {
  /// Longer values are not copied.
  static let valueBytesMost = 1 << 20

  public func execute(_ batch: inout OperationBatch, for requester: MemberNumber) {
    let asker = interests.asker(as: worker)
    for index in 0..<batch.count {
      answer(batch.operations[index], asker, &batch.out)
      batch.outcomes[index] = .replied(end: batch.out.count)
    }
  }

  private func answer(_ operation: Operation, _ asker: InterestedParty?, _ out: inout OutputBuffer) {
    let arguments = operation.arguments
    guard arguments.count == 2, let asker,
      let namespace = NamespaceNumber(String(decoding: arguments[0].bytes, as: UTF8.self)),
      store.isConfigured(namespace)
    else { return HotAnswer.append(.none, to: &out) }
    let key = store.key(arguments[1].bytes, in: namespace)
    let taken = store.lock(key, as: worker)
    defer { store.unlock(key, taken) }
    guard routes[slot: key.slot] == .here else { return HotAnswer.append(.none, to: &out) }
    guard let entry = store.find(key, now: now) else {
      // Where misses are filled, the next read brings what the origin has.
      guard !fills(namespace) else { return HotAnswer.append(.none, to: &out) }
      interests.add(asker, to: key)
      return HotAnswer.append(.absent, to: &out)
    }
    guard entry.isString, entry.value.count <= Self.valueBytesMost, let lifetime = lifetime(of: entry) else {
      return HotAnswer.append(.none, to: &out)
    }
    interests.add(asker, to: key)
    HotAnswer.append(.value(entry.value, milliseconds: lifetime), to: &out)
  }

  /// How long the entry is as it is; 0: no end is known, nil: it is over already.
  private func lifetime(of entry: Entry) -> UInt64? {
    let ends = [entry.expiresAt, entry.freshUntil].filter { $0 != 0 }
    guard let end = ends.min() else { return 0 }
    return end > now ? UInt64(end - now) : nil
  }
}
