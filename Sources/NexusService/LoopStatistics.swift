/// What one event loop has counted. Written by its own thread without locks; read by others for reports, where a
/// value a moment old is good enough (aligned 64-bit loads and stores do not tear).
public struct LoopStatistics: Sendable {
  public var commands: UInt64 = 0
  public var keyspaceHits: UInt64 = 0
  public var keyspaceMisses: UInt64 = 0
  public var connectionsAccepted: UInt64 = 0
  public var connectionsRefused: UInt64 = 0
  public var connectionsNow: UInt64 = 0
  public var bytesIn: UInt64 = 0
  public var bytesOut: UInt64 = 0
  public var errorReplies: UInt64 = 0
  public var protocolErrors: UInt64 = 0
  public var outputLimitDisconnections: UInt64 = 0
  public var getHits: UInt64 = 0
  public var getMisses: UInt64 = 0
  public var getErrors: UInt64 = 0
  public var sets: UInt64 = 0
  public var setErrors: UInt64 = 0
  public var deleteHits: UInt64 = 0
  public var deleteMisses: UInt64 = 0
  public var deleteErrors: UInt64 = 0
  /// Operations given away because their slots are not executed here, and those executed for other members.
  public var operationsForwarded: UInt64 = 0
  public var operationsExecuted: UInt64 = 0
  public var httpRequests: UInt64 = 0
  /// Replies by the hundreds of their status: [2] counts 200 to 299.
  public var httpReplies: InlineArray<6, UInt64> = .init(repeating: 0)
  public var httpConnectionsAccepted: UInt64 = 0
  public var httpConnectionsNow: UInt64 = 0
  /// Time from reading a request to having its reply, by power-of-two microseconds: [0] below 1 us, [i] below 2^i us.
  public var latencyBuckets: InlineArray<24, UInt64> = .init(repeating: 0)
  public var latencySumNanoseconds: UInt64 = 0
  /// The same of other members' answers, from giving a request away to having its reply.
  public var peerLatencyBuckets: InlineArray<24, UInt64> = .init(repeating: 0)
  public var peerLatencySumNanoseconds: UInt64 = 0

  public init() {}

  /// Counts requests that each took this long from being read to having their reply.
  @inlinable @inline(__always) public mutating func noteLatency(nanoseconds: UInt64, requests: UInt64 = 1) {
    let microseconds = nanoseconds / 1000
    latencyBuckets[min(23, 64 &- microseconds.leadingZeroBitCount)] &+= requests
    latencySumNanoseconds &+= nanoseconds &* requests
  }

  @inlinable @inline(__always) public mutating func notePeerLatency(nanoseconds: UInt64) {
    let microseconds = nanoseconds / 1000
    peerLatencyBuckets[min(23, 64 &- microseconds.leadingZeroBitCount)] &+= 1
    peerLatencySumNanoseconds &+= nanoseconds
  }

  /// All loops together.
  ///
  /// Invariant: every stored property is `UInt64` counters, so that the sum of two is the sum of their words.
  public init(sumOf loops: UnsafeBufferPointer<LoopStatistics>) {
    self.init()
    withUnsafeMutableBytes(of: &self) { sum in
      let sum = sum.bindMemory(to: UInt64.self)
      for loop in loops {
        withUnsafeBytes(of: loop) { counters in
          for index in sum.indices { sum[index] &+= counters.loadUnaligned(fromByteOffset: 8 * index, as: UInt64.self) }
        }
      }
    }
  }
}
