import NexusModel
import NexusRESP
import NexusService
import NexusStore

/// What became of a call whose keys may lie elsewhere.
enum Ownership {
  case ran
  /// Nothing was done: not all of its slots are executed here.
  case notHere
  /// Nothing was done: `Engine.missingKeys` have to be fetched first.
  case unsettled
  /// Nothing was done: what it reads is loaded first (`Engine.awaited`).
  case filling
}

extension Engine {
  /// Runs the call, whose keys are in `keyList`, while all of them are this node's.
  func runWhereOwned(_ call: inout Call, _ slot: UnsafePointer<CommandTable.Slot>) -> Ownership {
    let ownership = runWhileOwned(&call, slot)
    guard call.isPostponed else { return ownership }
    return .filling
  }

  private func runWhileOwned(_ call: inout Call, _ slot: UnsafePointer<CommandTable.Slot>) -> Ownership {
    guard slot.pointee.flags.contains(.readonly) else { return runLocked(&call, slot) }
    // What reads only needs no lock around it: if no route changed meanwhile, everything was read here.
    let (mark, before) = (call.out.count, routes.changes)
    if keyList.keys.allSatisfy({ routes[slot: $0.slot] == .here }) {
      run(&call, slot)
      if routes.changes == before { return .ran }
      call.out.count = mark
    }
    return runLocked(&call, slot)
  }

  /// Checks routes and runs the call under the locks of all its keys, so that both are one step.
  private func runLocked(_ call: inout Call, _ slot: UnsafePointer<CommandTable.Slot>) -> Ownership {
    let mark = call.out.count
    roomGranted = 0
    while true {
      roomWanted = 0
      let ownership = underLocks { keys in
        let ownership = settle(keys, call.now)
        guard ownership == .ran else { return ownership }
        isHolding = true
        run(&call, slot)
        isHolding = false
        return .ran
      }
      // Room is made where no lock is held; the command has changed nothing before it asked.
      guard roomWanted > 0, roomWanted > roomGranted,
        store.admit(roomWanted, in: roomNamespace, as: worker, now: call.now) == .stored
      else { return ownership }
      roomGranted = roomWanted
      call.out.count = mark
    }
  }

  private func underLocks<Result>(_ body: (UnsafeBufferPointer<Key>) -> Result) -> Result {
    let keys = keyList.keys
    if keys.count == 1 {
      let taken = store.lock(keys[0], as: worker)
      defer { store.unlock(keys[0], taken) }
      return body(keys)
    }
    let held = store.lock(keys, as: worker)
    defer { store.unlock(held) }
    return body(keys)
  }

  /// Whether all keys may be read and changed here now. Their stripes are locked.
  func settle(_ keys: UnsafeBufferPointer<Key>, _ now: UnixMilliseconds) -> Ownership {
    var isAnyIncoming = false
    for key in keys {
      let route = routes[slot: key.slot]
      if route == .here { continue }
      guard route == .incoming else { return .notHere }
      isAnyIncoming = true
    }
    return isAnyIncoming ? settleIncoming(keys, now) : .ran
  }

  @inline(never) private func settleIncoming(_ keys: UnsafeBufferPointer<Key>, _ now: UnixMilliseconds) -> Ownership {
    missingKeys.removeAll(keepingCapacity: true)
    let incoming = node.incoming
    for key in keys where routes[slot: key.slot] == .incoming && !incoming.isSettled(key) {
      // What this node has of it may be older than what a holder has.
      missingKeys.append(key)
    }
    return missingKeys.isEmpty ? .ran : .unsettled
  }

  /// Room for a command that runs under the locks of its keys, where none can be made. Where it is short, the command
  /// ends, room is made, and it runs once more.
  func hasRoomWhileHolding(_ byteCount: Int, in namespace: NamespaceNumber) -> Bool {
    if byteCount <= roomGranted || store.admitsAtOnce(byteCount, in: namespace) { return true }
    roomWanted = byteCount
    roomNamespace = namespace
    return false
  }
}
