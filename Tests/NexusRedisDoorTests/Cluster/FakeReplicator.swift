import NexusModel
import NexusService

/// Copies that exist when the test says so. Every piece of work that is asked about has written something.
final class FakeReplicator: Replicator {
  var configuredCopies = 3
  var live = 3
  /// What `count` answers.
  var copies = 2
  private var lastHold: UInt64 = 0
  private(set) var waiting: [(waiter: any ReplicaWaiter, ticket: UInt64, level: Acknowledgement)] = []
  private(set) var counts: [(record: WriteRecord, enough: Int, waiter: any ReplicaWaiter, ticket: UInt64)] = []
  private var levels: [UInt64: Acknowledgement] = [:]
  private(set) var turn: UInt64 = 1
  /// Pieces of work in the present record.
  private(set) var works = 0

  func liveCopies(of slot: UInt16) -> Int { live }
  func beginWork() { works += 1 }
  var hasWritten: Bool { true }
  func beginRecord() { works = 0 }
  var hasRecord: Bool { works > 0 }
  func takeRecord(into record: inout WriteRecord) { record.note(set: 0, turn: turn) }

  func hold(_ acknowledgement: Acknowledgement) -> ReplicaHold {
    lastHold += 1
    levels[lastHold] = acknowledgement
    return ReplicaHold(number: lastHold)
  }

  func notify(_ waiter: any ReplicaWaiter, _ ticket: UInt64, of hold: ReplicaHold, timeoutMilliseconds: Int) {
    waiting.append((waiter, ticket, levels.removeValue(forKey: hold.number)!))
  }

  func count(
    _ record: WriteRecord, enough: Int, timeoutMilliseconds: Int, for waiter: any ReplicaWaiter, ticket: UInt64
  ) { counts.append((record, enough, waiter, ticket)) }

  /// What waits gets its copies, or so few of them.
  func end(confirmed: Int? = nil) {
    let ended = waiting
    waiting = []
    for one in ended {
      let shortfall = confirmed.map { ReplicaShortfall(confirmed: $0, needed: 2, configured: 3) }
      one.waiter.copied(one.ticket, shortfall)
    }
    for one in ended { one.waiter.copiesEnded() }
    let counted = counts
    counts = []
    for one in counted { one.waiter.counted(one.ticket, copies) }
    for one in counted { one.waiter.copiesEnded() }
  }
}
