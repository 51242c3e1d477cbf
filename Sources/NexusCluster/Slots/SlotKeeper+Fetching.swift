import NexusModel
import NexusService
import NexusStore
import NexusWire

// Single keys that are needed at once, of slots that have not arrived whole.

extension SlotKeeper {
  /// Calls back when the keys are settled here, or the slot is not executed here any more.
  func settle(_ slot: Slot, _ keys: [SettledKey], _ done: @escaping @Sendable () -> Void) {
    if let keeper = cluster.replicaKeeper, doubts.unverified.contains(slot) {
      return keeper.settle(slot, keys, askingToo: doubts.holders(of: slot), done)
    }
    lastWaiter += 1
    waiters[lastWaiter] = done
    carryOut(fetches.want(keys, of: slot, waiter: lastWaiter, now: now) { [unowned self] in hasLocal($1) })
  }

  func carryOut(_ effects: [KeyFetchEffect<SettledKey>]) {
    for effect in effects {
      switch effect {
      case .send(let fetch, let member): send(fetch, to: member)
      case .settle(let slot, let found, let absent, let overridesLocal):
        guard node.routes[slot] == .incoming else { continue }
        for key in found { if let entry = arriving[key] { put(entry, overridesLocal: overridesLocal) } }
        for name in absent {
          withKey(name) { settle(absent: $0, overridesLocal: overridesLocal) }
        }
      case .ready(let waiter): waiters.removeValue(forKey: waiter)?()
      }
    }
  }

  private func send(_ fetch: KeyFetch<SettledKey>, to id: MemberID) {
    guard let member = cluster.number(of: id), let link = cluster.controlPeers.controlLink(to: member) else { return }
    fetch.keys.withNames { link.send(Fetch(id: fetch.id, slot: fetch.slot, holding: fetch.holding, keys: $0)) }
  }

  func answer(_ fetch: Fetch, to member: MemberNumber) {
    guard let link = cluster.controlPeers.controlLink(to: member) else { return }
    guard holdings[fetch.slot.index] == fetch.holding else {
      return link.send(Fetched(id: fetch.id, unknown: fetch.keys))
    }
    store.withSlot(fetch.slot.index, as: worker) {
      var answer = Fetched(id: fetch.id)
      for name in fetch.keys {
        let namespace = NamespaceNumber(truncatingIfNeeded: name.namespace)
        let key = store.key(name.key, in: namespace)
        guard key.slot == fetch.slot.index, namespace == name.namespace, store.isConfigured(namespace),
          node.incoming.isSettled(key)
        else {
          answer.unknown.append(name)
          continue
        }
        if isStamped, let version = store.version(of: key) {
          answer.entries.append(WireEntry(version, key: name.key, namespace: name.namespace))
        } else if let entry = store.find(key, now: wallClock, touch: false) {
          answer.entries.append(WireEntry(entry, key: name.key, namespace: name.namespace))
        } else {
          answer.absent.append(name)
        }
      }
      link.send(answer)
    }
  }

  func take(_ fetched: Fetched, from member: MemberNumber) {
    guard let id = cluster.id(of: member) else { return }
    var answer = KeyFetched<SettledKey>(id: fetched.id)
    for entry in fetched.entries {
      let key = SettledKey(WireKey(namespace: entry.namespace, key: entry.key))
      arriving[key] = entry
      answer.found.append(key)
    }
    answer.absent = fetched.absent.map { SettledKey($0) }
    answer.unknown = fetched.unknown.map { SettledKey($0) }
    carryOut(fetches.answered(answer, by: id, now: now) { [unowned self] in hasLocal($1) })
    arriving = [:]
  }
}
