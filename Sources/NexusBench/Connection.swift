import Glibc

/// One connection of the generator. Lives in raw memory beside its thread's others.
struct Connection {
  let descriptor: Int32
  /// Which of the workload's shares it carries.
  let share: Int
  var reader: ReplyReader
  /// Requests whose replies are still to come.
  var outstanding = 0
  /// From when the replies' latency counts: when the turn was sent, or when it was due.
  var startedAt: UInt64 = 0
  /// Fixed rate: when the next turn is due, and how many turns are overdue.
  var dueAt: UInt64 = 0
  var overdue = 0
  /// This turn writes what the last one did not find.
  var isFilling = false
  /// Nothing more to send.
  var isDone = false
  /// What the socket did not take yet; nil most of the time.
  var unsent: UnsafeMutableRawBufferPointer?
  var unsentFrom = 0
  /// Numbers of the keys of this turn, for `--fill`.
  var numbers: UnsafeMutablePointer<UInt64>?

  init(_ dialled: Dial.Dialled, _ workload: Workload) {
    descriptor = dialled.descriptor
    share = dialled.share
    reader = ReplyReader(workload.wire, batch: workload.batch)
    if workload.fillMisses {
      numbers = .allocate(capacity: workload.pipeline)
      reader.missed = .allocate(capacity: workload.pipeline)
    }
    if workload.wire == .http && workload.operation == .mix {
      reader.writes = .allocate(capacity: workload.pipeline)
    }
    reader.allWrites = workload.operation == .set || workload.operation == .load
  }

  /// Closes the socket and frees what belongs to it.
  func deallocate() {
    close(descriptor)
    reader.missed?.deallocate()
    reader.writes?.deallocate()
    reader.deallocate()
    numbers?.deallocate()
    unsent?.deallocate()
  }
}
