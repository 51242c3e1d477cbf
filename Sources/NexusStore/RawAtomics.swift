import Synchronization

// Atomic access to words in raw memory: the store's entries, tables and locks are not Swift objects. Spelled with
// the standard library's `Atomic`, which the thread sanitizer sees into.
//
// Invariant: a word that is accessed like this is aligned, and every access that may meet another thread's is atomic or
// under the word's lock.

@inlinable @inline(__always)
func atomicWord<Value: AtomicRepresentable>(_ word: UnsafePointer<Value>) -> UnsafePointer<Atomic<Value>> {
  UnsafeRawPointer(word).assumingMemoryBound(to: Atomic<Value>.self)
}

@inlinable @inline(__always) func atomicLoad(_ word: UnsafePointer<UInt8>) -> UInt8 {
  atomicWord(word).pointee.load(ordering: .relaxed)
}
@inlinable @inline(__always) func atomicLoadAcquiring(_ word: UnsafePointer<UInt8>) -> UInt8 {
  atomicWord(word).pointee.load(ordering: .acquiring)
}
@inlinable @inline(__always) func atomicStoreReleasing(_ word: UnsafePointer<UInt8>, _ value: UInt8) {
  atomicWord(word).pointee.store(value, ordering: .releasing)
}
@inlinable @inline(__always) func atomicIncrement(_ word: UnsafePointer<UInt8>) {
  atomicWord(word).pointee.wrappingAdd(1, ordering: .relaxed)
}
@inlinable @inline(__always)
func atomicSwap(_ word: UnsafePointer<UInt8>, from expected: UInt8, to desired: UInt8) -> Bool {
  atomicWord(word).pointee.compareExchange(expected: expected, desired: desired, ordering: .relaxed).exchanged
}
@inlinable @inline(__always) func atomicLoad(_ word: UnsafePointer<UInt16>) -> UInt16 {
  atomicWord(word).pointee.load(ordering: .relaxed)
}
@inlinable @inline(__always) func atomicStore(_ word: UnsafePointer<UInt16>, _ value: UInt16) {
  atomicWord(word).pointee.store(value, ordering: .relaxed)
}
@inlinable @inline(__always) func atomicLoad(_ word: UnsafePointer<UInt32>) -> UInt32 {
  atomicWord(word).pointee.load(ordering: .relaxed)
}
@inlinable @inline(__always) func atomicStore(_ word: UnsafePointer<UInt32>, _ value: UInt32) {
  atomicWord(word).pointee.store(value, ordering: .relaxed)
}
/// Shows others what was written before, and finds it.
@inlinable @inline(__always) func atomicStoreReleasing(_ word: UnsafePointer<UInt32>, _ value: UInt32) {
  atomicWord(word).pointee.store(value, ordering: .releasing)
}
@inlinable @inline(__always) func atomicLoadAcquiring(_ word: UnsafePointer<UInt32>) -> UInt32 {
  atomicWord(word).pointee.load(ordering: .acquiring)
}
@inlinable @inline(__always) func atomicLoad(_ word: UnsafePointer<UInt64>) -> UInt64 {
  atomicWord(word).pointee.load(ordering: .relaxed)
}
@inlinable @inline(__always) func atomicStore(_ word: UnsafePointer<UInt64>, _ value: UInt64) {
  atomicWord(word).pointee.store(value, ordering: .relaxed)
}
@inlinable @inline(__always) func atomicLoad(_ word: UnsafePointer<Int64>) -> Int64 {
  atomicWord(word).pointee.load(ordering: .relaxed)
}
@inlinable @inline(__always) func atomicStore(_ word: UnsafePointer<Int64>, _ value: Int64) {
  atomicWord(word).pointee.store(value, ordering: .relaxed)
}
/// Answers the sum.
@inlinable @inline(__always) @discardableResult
func atomicAdd(_ word: UnsafePointer<Int64>, _ value: Int64) -> Int64 {
  atomicWord(word).pointee.wrappingAdd(value, ordering: .relaxed).newValue
}
@inlinable @inline(__always) func atomicAdd(_ word: UnsafePointer<UInt32>, _ value: UInt32) {
  atomicWord(word).pointee.wrappingAdd(value, ordering: .relaxed)
}
@inlinable @inline(__always) func atomicSubtract(_ word: UnsafePointer<UInt32>, _ value: UInt32) {
  atomicWord(word).pointee.wrappingSubtract(value, ordering: .relaxed)
}
@inlinable @inline(__always)
func atomicLoad(_ word: UnsafePointer<UnsafeMutableRawPointer>) -> UnsafeMutableRawPointer {
  atomicWord(word).pointee.load(ordering: .relaxed)
}
/// Shows others memory that is complete.
@inlinable @inline(__always)
func atomicPublish(_ word: UnsafePointer<UnsafeMutableRawPointer>, _ value: UnsafeMutableRawPointer) {
  atomicWord(word).pointee.store(value, ordering: .releasing)
}
@inlinable @inline(__always)
func atomicPublish(_ word: UnsafePointer<UnsafeMutableRawPointer?>, _ value: UnsafeMutableRawPointer?) {
  atomicWord(word).pointee.store(value, ordering: .releasing)
}
/// Finds what was shown.
@inlinable @inline(__always)
func atomicPublished(_ word: UnsafePointer<UnsafeMutableRawPointer?>) -> UnsafeMutableRawPointer? {
  atomicWord(word).pointee.load(ordering: .acquiring)
}

/// Takes the lock at `word` for `holder` if it is free.
@inlinable @inline(__always) func atomicTryLock(_ word: UnsafePointer<UInt32>, _ holder: Worker) -> Bool {
  atomicWord(word).pointee.compareExchange(
    expected: 0, desired: holder, successOrdering: .acquiring, failureOrdering: .relaxed
  ).exchanged
}
@inlinable @inline(__always) func atomicUnlock(_ word: UnsafePointer<UInt32>) {
  atomicWord(word).pointee.store(0, ordering: .releasing)
}
