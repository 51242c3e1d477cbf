import NexusModel
import NexusService
import NexusStore
import NexusWire

/// Slots on their way to a new owner: one after the other, in stretches.
///
/// Belongs to the control loop's thread.
struct SlotStream {
  private(set) var slots: SlotSet
  let holding: UInt64
  let pull: UInt64
  let member: MemberNumber
  private var current: Slot?
  /// Of the current slot: what is still to be sent, the next one last.
  private var keys: [SettledKey] = []
  private var sequence: UInt32 = 0

  /// One stretch at most, unless a single entry is larger.
  private static let stretchBytes = 64 << 10

  init(slots: SlotSet, holding: UInt64, pull: UInt64, member: MemberNumber) {
    self.slots = slots
    self.holding = holding
    self.pull = pull
    self.member = member
  }

  var isDone: Bool { slots.isEmpty && current == nil }

  mutating func drop(_ others: SlotSet) {
    slots.subtract(others)
    if let slot = current, others.contains(slot) { current = nil }
  }

  /// Sends the next stretch; answers about how many bytes it had.
  mutating func sendNext(on link: PeerLink, _ keeper: SlotKeeper, now: UnixMilliseconds) -> Int {
    guard let slot = current ?? begin(keeper, now) else { return 0 }
    var bytes = 64
    keeper.store.withSlot(slot.index, as: keeper.worker) {
      // Entries borrow the store's bytes and keys ours until the message is encoded, which is before the lock is gone.
      var sent: [SettledKey] = []
      while let name = keys.popLast() {
        bytes += name.key.count + size(of: name, keeper, now)
        sent.append(name)
        if bytes > Self.stretchBytes { break }
      }
      encode(sent, slot, on: link, keeper, now)
    }
    sequence += 1
    if keys.isEmpty { current = nil }
    return bytes
  }

  private mutating func begin(_ keeper: SlotKeeper, _ now: UnixMilliseconds) -> Slot? {
    guard let slot = slots.first(1).slots.first else { return nil }
    slots.remove(slot)
    current = slot
    keys = []
    sequence = 0
    if keeper.isStamped, !keeper.node.incoming.isOpen(slot) {
      // Tombstones too. It is executed elsewhere: what comes meanwhile comes from there, or goes there as well.
      keeper.store.inventory(of: slot.index, as: keeper.worker) {
        keys.append(SettledKey(namespace: $0.namespace, key: Array($0.keyBytes)))
      }
      return slot
    }
    keeper.store.withSlot(slot.index, as: keeper.worker) {
      if !keeper.node.incoming.isOpen(slot) {
        keeper.store.visit(slot: slot.index, in: nil, as: keeper.worker, now: now) {
          keys.append(SettledKey(namespace: $0.namespace, key: Array($0.keyBytes)))
        }
      } else {
        // What it did not settle, whoever is behind it knows better.
        for (namespace, key) in keeper.node.incoming.settled(slot) {
          keys.append(SettledKey(namespace: namespace, key: key))
        }
      }
    }
    return slot
  }

  private func size(of name: SettledKey, _ keeper: SlotKeeper, _ now: UnixMilliseconds) -> Int {
    name.key.withUnsafeBytes { bytes in
      keeper.store.find(keeper.store.key(bytes, in: name.namespace), now: now, touch: false)?.value.count ?? 0
    }
  }

  private func encode(
    _ names: [SettledKey], _ slot: Slot, on link: PeerLink, _ keeper: SlotKeeper, _ now: UnixMilliseconds
  ) {
    var joined: [UInt8] = []
    for name in names { joined += name.key }
    joined.withUnsafeBytes { bytes in
      var message = Entries(slot: slot, entries: [], isLast: keys.isEmpty, pull: pull, sequence: sequence)
      var start = 0
      for name in names {
        let key = UnsafeRawBufferPointer(rebasing: bytes[start..<(start + name.key.count)])
        start += name.key.count
        let prepared = keeper.store.key(key, in: name.namespace)
        if keeper.isStamped, let version = keeper.store.version(of: prepared) {
          message.entries.append(WireEntry(version, key: key, namespace: UInt32(name.namespace)))
        } else if let entry = keeper.store.find(prepared, now: now, touch: false) {
          message.entries.append(WireEntry(entry, key: key, namespace: UInt32(name.namespace)))
        } else {
          message.absent.append(WireKey(namespace: UInt32(name.namespace), key: key))
        }
      }
      link.send(message)
    }
  }
}
