import CIntrinsics

/// The lanes' view of the store's entries.
///
/// Links and queue are written under the lane's lock; the policy byte is shared with hits, which hold only the
/// stripe's lock, and is therefore changed by compare-and-swap.
struct Links: ItemAccess {
  let arena: UnsafeMutableRawPointer
  let unitShift: Int
  /// Chunk bytes by class, and what tells a handle's class.
  let pool: UnsafeMutablePointer<Page>
  let classBytes: UnsafeMutablePointer<UInt32>
  let pageShift: Int

  @inline(__always) func item(_ handle: UInt32) -> Item { Item(arena + Int(handle) &<< unitShift) }

  @inline(__always) func next(_ handle: UInt32) -> UInt32 { item(handle).base.load(as: UInt32.self) }
  @inline(__always) func setNext(_ handle: UInt32, _ next: UInt32) {
    item(handle).base.storeBytes(of: next, as: UInt32.self)
  }
  @inline(__always) func prev(_ handle: UInt32) -> UInt32 { item(handle).base.load(fromByteOffset: 4, as: UInt32.self) }
  @inline(__always) func setPrev(_ handle: UInt32, _ prev: UInt32) {
    item(handle).base.storeBytes(of: prev, toByteOffset: 4, as: UInt32.self)
  }

  @inline(__always) func frequency(_ handle: UInt32) -> UInt8 { atomicLoad(item(handle).policyByte) & 3 }
  @inline(__always) func setFrequency(_ handle: UInt32, _ frequency: UInt8) {
    change(handle, keeping: 0xFC, frequency)
  }
  @inline(__always) func queue(_ handle: UInt32) -> UInt8 { (atomicLoad(item(handle).policyByte) &>> 2) & 3 }
  @inline(__always) func setQueue(_ handle: UInt32, _ queue: UInt8) { change(handle, keeping: 0xF3, queue &<< 2) }

  @inline(__always) private func change(_ handle: UInt32, keeping mask: UInt8, _ bits: UInt8) {
    let byte = item(handle).policyByte
    while true {
      let old = atomicLoad(byte)
      if atomicSwap(byte, from: old, to: old & mask | bits) { return }
    }
  }

  @inline(__always) func chunkBytes(_ handle: UInt32) -> Int {
    let page = pool + ((Int(handle) &<< unitShift) &>> pageShift)
    return Int(classBytes[Int(page.pointee.classIndex)])
  }

  func bytes(_ handle: UInt32) -> Int {
    let item = item(handle)
    if item.flags & Item.Flag.external == 0 { return chunkBytes(handle) }
    return chunkBytes(handle) + Spans.touchedBytes(item.externalBytes)
  }

  func expiresAt(_ handle: UInt32) -> Int64 { item(handle).expiresAt }
}
