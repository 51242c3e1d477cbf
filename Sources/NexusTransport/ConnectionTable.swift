import NexusModel
import NexusService

/// The connection records of one loop: chunks of raw memory that are never given back while the loop lives, so that a
/// stale pointer always points to a record (whose phase and generation tell that it is stale).
struct ConnectionTable {
  static let chunkRecords = 512
  static let recordBytes = 128
  private static let maximumChunks = 8192

  /// Invariant: the first `chunkCount` point to `chunkRecords * recordBytes` bytes each.
  private let chunks: UnsafeMutablePointer<UnsafeMutableRawPointer>
  private var chunkCount = 0
  /// Slots below this have been used at least once; records above are not initialised yet.
  private(set) var highWater: UInt32 = 0
  private var freeSlots: [UInt32] = []
  /// Connections that are not free.
  private(set) var count = 0
  private let gauge: MemoryGauge

  init(gauge: MemoryGauge) {
    precondition(MemoryLayout<Connection>.stride <= Self.recordBytes)
    chunks = .allocate(capacity: Self.maximumChunks)
    self.gauge = gauge
  }

  func deallocate() {
    for index in 0..<chunkCount { chunks[index].deallocate() }
    chunks.deallocate()
    gauge.subtract(chunkCount * Self.chunkRecords * Self.recordBytes)
  }

  @inline(__always) func record(_ slot: UInt32) -> ConnectionPointer {
    let index = Int(slot)
    return (chunks[index / Self.chunkRecords] + index % Self.chunkRecords * Self.recordBytes)
      .assumingMemoryBound(to: Connection.self)
  }

  /// The record of a connection that still lives, or nil.
  func find(_ id: ConnectionID) -> ConnectionPointer? {
    guard id.slot < highWater else { return nil }
    let connection = record(id.slot)
    return connection.pointee.generation == id.generation && connection.pointee.phase != .free ? connection : nil
  }

  /// A record to fill in, or nil when the table is full (four million connections).
  mutating func allocate() -> ConnectionPointer? {
    if let slot = freeSlots.popLast() {
      count += 1
      return record(slot)
    }
    if Int(highWater) == chunkCount * Self.chunkRecords {
      guard chunkCount < Self.maximumChunks else { return nil }
      let bytes = Self.chunkRecords * Self.recordBytes
      chunks[chunkCount] = .allocate(byteCount: bytes, alignment: 64)
      gauge.add(bytes)
      chunkCount += 1
    }
    let connection = record(highWater)
    connection.initialize(to: Connection())
    connection.pointee.slot = highWater
    connection.pointee.generation = 1
    highWater += 1
    count += 1
    return connection
  }

  /// Makes the record's slot free for a later connection, under the next generation.
  mutating func release(_ connection: ConnectionPointer) {
    let slot = connection.pointee.slot
    let generation = connection.pointee.generation &+ 1
    connection.pointee = Connection()
    connection.pointee.slot = slot
    connection.pointee.generation = generation
    freeSlots.append(slot)
    count -= 1
  }
}
