import NexusModel
import NexusService
import NexusWire

extension LoopReplicator {
  /// Whoever shares the slot and lacks it gets it by repair, as after any other way by which copies come to differ.
  func take(_ effect: ForeignEffect) -> Bool {
    let entry = WireEntry(
      key: effect.key, value: effect.value ?? UnsafeRawBufferPointer(start: nil, count: 0),
      namespace: UInt32(effect.namespace), expiresAt: UInt64(clamping: effect.expiresAt),
      stamp: effect.stamp.rawValue, kind: effect.value == nil ? .tombstone : .value)
    var bytes = OutputBuffer(capacity: 128 + effect.key.count + (effect.value?.count ?? 0))
    defer { bytes.deallocate() }
    Effects.append(entry, to: &bytes)
    do throws(WireError) { return try take(bytes.bytes, from: nil)?.refused.isEmpty == true } catch { return false }
  }
}
