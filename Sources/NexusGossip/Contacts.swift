import NexusModel

/// Addresses at which somebody may be who is not heard of now: seeds, and members that were lost. Bounded: the oldest
/// lost one makes room.
struct Contacts: Sendable {
  private struct Contact: Sendable {
    var address: NetworkAddress
    var isSeed: Bool
  }

  private var list: [Contact] = []
  private var cursor = 0
  private let limit: Int

  init(limit: Int) { self.limit = limit }

  var count: Int { list.count }

  mutating func add(_ address: NetworkAddress, isSeed: Bool = false) {
    if let index = list.firstIndex(where: { $0.address == address }) {
      if isSeed { list[index].isSeed = true }
      return
    }
    if list.count >= limit {
      guard let oldest = list.firstIndex(where: { !$0.isSeed }) else { return }
      list.remove(at: oldest)
    }
    list.append(Contact(address: address, isSeed: isSeed))
  }

  /// Somebody who is known now answers there. Seeds stay.
  mutating func remove(_ address: NetworkAddress) {
    list.removeAll { $0.address == address && !$0.isSeed }
  }

  /// This address leads back to this node.
  mutating func removeMine(_ address: NetworkAddress) { list.removeAll { $0.address == address } }

  /// One after the other, round and round.
  mutating func next() -> NetworkAddress? {
    guard !list.isEmpty else { return nil }
    cursor = (cursor + 1) % list.count
    return list[cursor].address
  }
}
