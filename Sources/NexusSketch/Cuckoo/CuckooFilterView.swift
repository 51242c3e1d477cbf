/// A filter where it lies: in an entry's value, or in the array of a `CuckooFilter`. See `CuckooLayout`.
///
/// Items may be added more than once, and are then to be removed as often. Removing what was never added may make
/// another item absent: that is what false positives are here.
///
/// Borrows the bytes, and never reads or writes beside them, whatever they hold.
public struct CuckooFilterView: BitwiseCopyable {
  private let base: UnsafeMutableRawPointer
  public let byteCount: Int

  /// Nil where the bytes are no filter of this version.
  public init?(_ bytes: UnsafeMutableRawBufferPointer) {
    guard let base = bytes.baseAddress, bytes.count >= CuckooLayout.headerBytes,
      base.little(at: 0, UInt32.self) == CuckooLayout.magic,
      base.little(at: 4, UInt8.self) == CuckooLayout.version
    else { return nil }
    self.base = base
    byteCount = bytes.count
    guard bucketSlots >= 1, 1...CuckooLayout.layersMax ~= layerCount, fingerprintCount >= 1, isWhole else { return nil }
  }

  /// To ask only: nothing may be changed through such a view.
  public init?(reading bytes: UnsafeRawBufferPointer) { self.init(UnsafeMutableRawBufferPointer(mutating: bytes)) }

  /// Makes an empty filter of `plan.byteCount` bytes that are all 0.
  public init(_ plan: CuckooFilterPlan, seed: UInt64, in bytes: UnsafeMutableRawBufferPointer) {
    precondition(bytes.count == plan.byteCount)
    base = bytes.baseAddress!
    byteCount = bytes.count
    base.setLittle(CuckooLayout.magic, at: 0)
    base.setLittle(CuckooLayout.version, at: 4)
    base.setLittle(UInt8(plan.bucketSlots), at: 5)
    base.setLittle(UInt16(1), at: 6)
    base.setLittle(UInt16(plan.displacements), at: 8)
    base.setLittle(UInt16(plan.expansion), at: 10)
    base.setLittle(UInt32(plan.fingerprintCount), at: 12)
    base.setLittle(plan.falsePositiveRate.bitPattern, at: 16)
    base.setLittle(seed, at: 24)
    base.setLittle(UInt64(0), at: 32)
    writeLayer(
      at: CuckooLayout.headerBytes, buckets: plan.bucketCount, capacity: plan.capacity, slotBits: plan.slotBits)
  }

  // MARK: Figures

  public var bucketSlots: Int { Int(base.little(at: 5, UInt8.self)) }
  public var layerCount: Int { Int(base.little(at: 6, UInt16.self)) }
  public var displacements: Int { Int(base.little(at: 8, UInt16.self)) }
  public var expansion: Int { Int(base.little(at: 10, UInt16.self)) }
  public var falsePositiveRate: Double { Double(bitPattern: base.little(at: 16, UInt64.self)) }
  public var deletedCount: Int { Int(truncatingIfNeeded: base.little(at: 32, UInt64.self)) }
  public var itemCount: Int { sum { $0.itemCount } }
  public var capacity: Int { sum { $0.capacity } }
  public var bucketCount: Int { sum { Int($0.bucketCount) } }

  var fingerprintCount: UInt64 { UInt64(base.little(at: 12, UInt32.self)) }
  private var seed: UInt64 { base.little(at: 24, UInt64.self) }

  private func sum(_ figure: (CuckooLayer) -> Int) -> Int {
    var total = 0
    forEachLayer { total += figure($0) }
    return total
  }

  // MARK: Items

  public func contains(_ item: UnsafeRawBufferPointer) -> Bool { contains(CuckooItem(item, seed: seed)) }

  /// How often the item was added and not removed; more where it cannot be told from others.
  public func count(of item: UnsafeRawBufferPointer) -> Int {
    let item = CuckooItem(item, seed: seed)
    return sum { $0.count(of: item) }
  }

  public enum Addition: Equatable, Sendable {
    case added
    /// Nothing has changed: with so many bytes in all (the new ones 0) and after `grow`, there will be room.
    case needsBytes(Int)
    /// Nothing has changed, and nothing can be done.
    case full
  }

  public func add(_ item: UnsafeRawBufferPointer) -> Addition { add(CuckooItem(item, seed: seed)) }

  /// False, and nothing has changed, where the item is not in the filter.
  public func remove(_ item: UnsafeRawBufferPointer) -> Bool { remove(CuckooItem(item, seed: seed)) }

  func contains(_ item: CuckooItem) -> Bool {
    var cursor = LayerCursor(self)
    while let layer = cursor.next() {
      if layer.contains(item) { return true }
    }
    return false
  }

  func add(_ item: CuckooItem) -> Addition {
    var cursor = LayerCursor(self)
    // No layer is filled beyond its capacity, for which its rate was made.
    while let layer = cursor.next() {
      if layer.itemCount < layer.capacity, layer.add(item, displacements: displacements) { return .added }
    }
    // A filter that is nearly empty has no room for items only that are all alike: growing would be endless.
    let (items, capacity) = (itemCount, capacity)
    var growth = growth
    guard items >= capacity / 2 || capacity < 1024, growth.grow() else { return .full }
    return .needsBytes(growth.byteCount)
  }

  func remove(_ item: CuckooItem) -> Bool {
    var cursor = LayerCursor(self)
    var newest: CuckooLayer?
    while let layer = cursor.next() {
      if layer.contains(item) { newest = layer }
    }
    guard let newest, newest.remove(item) else { return false }
    base.setLittle(base.little(at: 32, UInt64.self) &+ 1, at: 32)
    return true
  }

  // MARK: Growing

  private var growth: CuckooGrowth {
    let last = lastLayer
    return CuckooGrowth(
      bucketSlots: bucketSlots, fingerprintBits: fingerprintBits, expansion: expansion,
      buckets: Int(last.bucketCount), capacity: last.capacity, layerCount: layerCount, totalCapacity: capacity,
      byteCount: byteCount)
  }

  /// What the filter takes when it has grown to hold so many items more, as far as it may.
  public func byteCount(holding more: Int, limitBytes: Int) -> Int {
    growth.holding(itemCount + more, limitBytes: limitBytes).byteCount
  }

  /// Adds a layer to the filter of which these bytes hold everything but that. False where it is none.
  public static func grow(_ bytes: UnsafeMutableRawBufferPointer, from byteCount: Int) -> Bool {
    let former = UnsafeMutableRawBufferPointer(rebasing: bytes[..<min(byteCount, bytes.count)])
    guard let view = CuckooFilterView(former) else { return false }
    var next = view.growth
    guard next.grow(), bytes.count == next.byteCount else { return false }
    view.writeLayer(at: byteCount, buckets: next.buckets, capacity: next.capacity, slotBits: next.slotBits)
    view.base.setLittle(UInt16(next.layerCount), at: 6)
    return true
  }

  private func writeLayer(at offset: Int, buckets: Int, capacity: Int, slotBits: Int) {
    base.setLittle(UInt32(buckets), at: offset)
    base.setLittle(UInt32(capacity), at: offset + 4)
    base.setLittle(UInt32(0), at: offset + 8)
    base.setLittle(UInt16(slotBits), at: offset + 12)
    base.setLittle(UInt16(0), at: offset + 14)
  }

  // MARK: Layers

  private var fingerprintBits: Int { UInt64.bitWidth - fingerprintCount.leadingZeroBitCount }

  private var lastLayer: CuckooLayer {
    var last: CuckooLayer?
    forEachLayer { last = $0 }
    return last!
  }

  func forEachLayer(_ body: (CuckooLayer) -> Void) {
    var cursor = LayerCursor(self)
    while let layer = cursor.next() { body(layer) }
  }

  /// Whether the layers fill the bytes exactly, so that nothing beside them can be meant.
  private var isWhole: Bool {
    var offset = CuckooLayout.headerBytes
    for number in 0..<layerCount {
      guard offset + CuckooLayout.layerHeaderBytes <= byteCount else { return false }
      let buckets = Int(base.little(at: offset, UInt32.self))
      let slotBits = fingerprintBits + CuckooFilterPlan.extraBits(ofLayer: number)
      guard buckets > 0, 1...buckets * bucketSlots ~= Int(base.little(at: offset + 4, UInt32.self)),
        Int(base.little(at: offset + 12, UInt16.self)) == slotBits
      else { return false }
      offset += CuckooLayout.layerBytes(buckets: buckets, bucketSlots: bucketSlots, slotBits: slotBits)
    }
    return offset == byteCount
  }

  /// The layers from the oldest on.
  private struct LayerCursor {
    private let bucketSlots: Int
    private let fingerprintCount: UInt64
    private let count: Int
    private var number = 0
    private var header: UnsafeMutableRawPointer

    @inline(__always) init(_ view: CuckooFilterView) {
      bucketSlots = view.bucketSlots
      fingerprintCount = view.fingerprintCount
      count = view.layerCount
      header = view.base + CuckooLayout.headerBytes
    }

    @inline(__always) mutating func next() -> CuckooLayer? {
      guard number < count else { return nil }
      let layer = CuckooLayer(
        header, bucketSlots: bucketSlots, fingerprintCount: fingerprintCount,
        extraBits: CuckooFilterPlan.extraBits(ofLayer: number))
      number += 1
      if number < count {
        header += CuckooLayout.layerBytes(
          buckets: Int(layer.bucketCount), bucketSlots: bucketSlots, slotBits: Int(header.little(at: 12, UInt16.self)))
      }
      return layer
    }
  }
}
