/// The layers of a filter as numbers, as it grows.
struct CuckooGrowth {
  let bucketSlots: Int
  let fingerprintBits: Int
  let expansion: Int
  /// Of the newest layer.
  private(set) var buckets: Int
  private(set) var capacity: Int
  /// Of all layers.
  private(set) var layerCount: Int
  private(set) var totalCapacity: Int
  private(set) var byteCount: Int

  init(
    bucketSlots: Int, fingerprintBits: Int, expansion: Int, buckets: Int, capacity: Int, layerCount: Int,
    totalCapacity: Int, byteCount: Int
  ) {
    self.bucketSlots = bucketSlots
    self.fingerprintBits = fingerprintBits
    self.expansion = expansion
    self.buckets = buckets
    self.capacity = capacity
    self.layerCount = layerCount
    self.totalCapacity = totalCapacity
    self.byteCount = byteCount
  }

  /// Of the newest layer.
  var slotBits: Int { fingerprintBits + CuckooFilterPlan.extraBits(ofLayer: layerCount - 1) }

  /// One layer more; false, and nothing has changed, where there can be none.
  mutating func grow() -> Bool {
    guard expansion > 0, layerCount < CuckooLayout.layersMax, buckets * expansion <= Int(UInt32.max) else {
      return false
    }
    buckets *= expansion
    capacity *= expansion
    layerCount += 1
    totalCapacity += capacity
    byteCount += CuckooLayout.layerBytes(buckets: buckets, bucketSlots: bucketSlots, slotBits: slotBits)
    return true
  }

  /// As many layers as so many items need, or as there can be in so many bytes.
  func holding(_ items: Int, limitBytes: Int) -> CuckooGrowth {
    var enough = self
    while enough.totalCapacity < items {
      var next = enough
      guard next.grow(), next.byteCount <= limitBytes else { break }
      enough = next
    }
    return enough
  }
}
