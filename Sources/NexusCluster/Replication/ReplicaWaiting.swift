import NexusModel
import NexusReplication
import NexusService

/// Who waits for copies on one loop.
struct ReplicaWaiting {
  /// One for everything that a set's members get in one turn and that is waited for at one level.
  struct Wait {
    var set: Int
    var acknowledgement: Acknowledgement
    /// Places among `holds`.
    var holds: [Int] = []
  }

  /// A piece of work that is done, and whose reply is kept.
  struct Hold {
    var generation: UInt32 = 0
    var isTaken = false
    /// Waits that have not ended.
    var pending = 0
    var acknowledgement = Acknowledgement.one
    /// The fewest confirmations of a wait that has failed.
    var failed: Int?
    /// Doors live as long as their loop. Nil: nobody has asked to be told.
    unowned(unsafe) var waiter: (any ReplicaWaiter)?
    var ticket: UInt64 = 0
    var deadline: UInt64 = .max
    var waits: [UInt64] = []
  }

  /// Somebody who counts the copies of what was written before.
  struct Count {
    var record: WriteRecord
    var enough: Int
    var deadline: UInt64
    unowned(unsafe) var waiter: any ReplicaWaiter
    var ticket: UInt64
  }

  /// Those that begin at the end of this turn, and those under way by their ids.
  var ofTurn: [Wait] = []
  var underWay: [UInt64: Wait] = [:]
  var lastWait: UInt64 = 0
  var holds: [Hold] = []
  var free: [Int] = []
  var counts: [Count] = []
  /// Who has been told something in this turn.
  var told: [any ReplicaWaiter] = []
  var isTicking = false

  mutating func takeHold() -> Int {
    if let used = free.popLast() { return used }
    holds.append(Hold())
    return holds.count - 1
  }

  mutating func giveBack(_ index: Int) {
    holds[index].generation &+= 1
    holds[index].isTaken = false
    holds[index].failed = nil
    holds[index].waiter = nil
    holds[index].deadline = .max
    holds[index].waits.removeAll(keepingCapacity: true)
    free.append(index)
  }

  mutating func note(_ waiter: any ReplicaWaiter) {
    if !told.contains(where: { $0 === waiter }) { told.append(waiter) }
  }

  var isWaiting: Bool { !underWay.isEmpty || !counts.isEmpty }
}
