import NexusModel

/// Slots sorted by what is the same about them. There are few groups: slots are moved by the thousand.
///
/// Invariants: no slot is in two groups, no group is empty, no two groups have equal keys.
struct SlotGroups<Key: Hashable & Sendable>: Sendable {
  struct Group: Sendable {
    var key: Key
    var slots: SlotSet
  }

  private(set) var groups: [Group] = []
  private(set) var all = SlotSet()

  var isEmpty: Bool { groups.isEmpty }

  /// The slots must be in no group.
  mutating func add(_ slots: SlotSet, _ key: Key) {
    guard !slots.isEmpty else { return }
    all.formUnion(slots)
    if let index = groups.firstIndex(where: { $0.key == key }) {
      groups[index].slots.formUnion(slots)
    } else {
      groups.append(Group(key: key, slots: slots))
    }
  }

  /// Those of the slots that are here, by group.
  func parts(of slots: SlotSet) -> [Group] {
    guard all.intersects(slots) else { return [] }
    return groups.compactMap { group in
      guard group.slots.intersects(slots) else { return nil }
      return Group(key: group.key, slots: group.slots.intersection(slots))
    }
  }

  /// As `parts`, and they are here no more.
  @discardableResult mutating func remove(_ slots: SlotSet) -> [Group] {
    let removed = parts(of: slots)
    guard !removed.isEmpty else { return [] }
    all.subtract(slots)
    for index in groups.indices { groups[index].slots.subtract(slots) }
    groups.removeAll { $0.slots.isEmpty }
    return removed
  }

  /// Removes the slots, and adds each part under its new key.
  mutating func change(_ slots: SlotSet, _ newKey: (Key) -> Key) {
    for part in remove(slots) { add(part.slots, newKey(part.key)) }
  }
}
