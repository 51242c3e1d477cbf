import NexusModel

/// What one event loop has counted. Written by its own thread without locks; read by any for reports.
public struct LoopStatistics: ~Copyable, Sendable {
  public let commands = Tally()
  public let keyspaceHits = Tally()
  public let keyspaceMisses = Tally()
  public let connectionsAccepted = Tally()
  public let connectionsRefused = Tally()
  public let connectionsNow = Tally()
  public let bytesIn = Tally()
  public let bytesOut = Tally()
  public let errorReplies = Tally()
  public let protocolErrors = Tally()
  public let outputLimitDisconnections = Tally()
  public let getHits = Tally()
  public let getMisses = Tally()
  public let getErrors = Tally()
  public let sets = Tally()
  public let setErrors = Tally()
  public let deleteHits = Tally()
  public let deleteMisses = Tally()
  public let deleteErrors = Tally()
  /// Operations given away because their slots are not executed here, and those executed for other members.
  public let operationsForwarded = Tally()
  public let operationsExecuted = Tally()
  /// Copies of other members' hot keys: now, with their bytes, and reads that they answered, how often one was asked
  /// for, and how often one was to be dropped because its owner said so.
  public let hotCopies = Tally()
  public let hotBytes = Tally()
  public let hotHits = Tally()
  public let hotFetches = Tally()
  public let hotInvalidations = Tally()
  public let httpRequests = Tally()
  /// Replies by the hundreds of their status: [2] counts 200 to 299.
  public let httpReplies = InlineArray<6, Tally> { _ in Tally() }
  public let httpConnectionsAccepted = Tally()
  public let httpConnectionsNow = Tally()
  /// Event streams that are open, and events that their readers were too slow for.
  public let eventReadersNow = Tally()
  public let eventsMissed = Tally()
  /// Time from reading a request to having its reply, by power-of-two microseconds: [0] below 1 us, [i] below 2^i us.
  public let latencyBuckets = InlineArray<24, Tally> { _ in Tally() }
  public let latencySumNanoseconds = Tally()
  /// The same of other members' answers, from giving a request away to having its reply.
  public let peerLatencyBuckets = InlineArray<24, Tally> { _ in Tally() }
  public let peerLatencySumNanoseconds = Tally()

  public init() {}

  /// Counts requests that each took this long from being read to having their reply.
  @inlinable @inline(__always) public func noteLatency(nanoseconds: UInt64, requests: UInt64 = 1) {
    let microseconds = nanoseconds / 1000
    latencyBuckets[min(23, 64 &- microseconds.leadingZeroBitCount)].add(requests)
    latencySumNanoseconds.add(nanoseconds &* requests)
  }

  @inlinable @inline(__always) public func notePeerLatency(nanoseconds: UInt64) {
    let microseconds = nanoseconds / 1000
    peerLatencyBuckets[min(23, 64 &- microseconds.leadingZeroBitCount)].add()
    peerLatencySumNanoseconds.add(nanoseconds)
  }

  /// All loops together.
  ///
  /// Invariant: every stored property is of tallies, so that the sum of two is the sum of their words.
  public init(sumOf loops: UnsafeBufferPointer<LoopStatistics>) {
    self.init()
    withUnsafePointer(to: self) { sum in
      let count = MemoryLayout<LoopStatistics>.size / MemoryLayout<Tally>.stride
      let sums = UnsafeRawPointer(sum).assumingMemoryBound(to: Tally.self)
      for loop in loops.indices {
        let tallies = UnsafeRawPointer(loops.baseAddress! + loop).assumingMemoryBound(to: Tally.self)
        for index in 0..<count { sums[index].add(tallies[index].value) }
      }
    }
  }
}
