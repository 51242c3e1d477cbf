// Where the atomic words of the store's records lie. Computed from the record's address: the address of a field taken
// with `&` counts as a change of the whole field to the compiler and to the thread sanitizer.
//
// Invariant: the offsets are those of the declarations; `checkRecordLayouts` says so at every start.

enum NamespaceWord: Int {
  case entries = 2
  case bytes, expiring, evictions, expirations, dying, laneCursor, tombstones
}

extension UnsafeMutablePointer where Pointee == NamespaceState {
  @usableFromInline @inline(__always) var touchMaskWord: UnsafePointer<UInt64> {
    UnsafeRawPointer(self).assumingMemoryBound(to: UInt64.self)
  }
  @inline(__always) var laneWord: UnsafePointer<UnsafeMutableRawPointer?> {
    (UnsafeRawPointer(self) + 8).assumingMemoryBound(to: UnsafeMutableRawPointer?.self)
  }
  @inline(__always) var configuredWord: UnsafePointer<UInt8> {
    (UnsafeRawPointer(self) + 82).assumingMemoryBound(to: UInt8.self)
  }
  @inline(__always) func word(_ word: NamespaceWord) -> UnsafePointer<Int64> {
    UnsafeRawPointer(self).assumingMemoryBound(to: Int64.self) + word.rawValue
  }
}

extension UnsafeMutablePointer where Pointee == Lane {
  @inline(__always) var lock: UnsafeMutablePointer<UInt32> {
    (UnsafeMutableRawPointer(self) + 16).assumingMemoryBound(to: UInt32.self)
  }
  @inline(__always) var bytesWord: UnsafePointer<Int64> {
    (UnsafeRawPointer(self) + 8).assumingMemoryBound(to: Int64.self)
  }
}

extension UnsafeMutablePointer where Pointee == CompactionState {
  @inline(__always) var lock: UnsafeMutablePointer<UInt32> {
    (UnsafeMutableRawPointer(self) + 4).assumingMemoryBound(to: UInt32.self)
  }
}

extension UnsafeMutablePointer where Pointee == SlotTable {
  @usableFromInline @inline(__always) var bucketsWord: UnsafePointer<UnsafeMutableRawPointer> {
    UnsafeRawPointer(self).assumingMemoryBound(to: UnsafeMutableRawPointer.self)
  }
  @usableFromInline @inline(__always) var bucketCountWord: UnsafePointer<UInt32> {
    (UnsafeRawPointer(self) + 8).assumingMemoryBound(to: UInt32.self)
  }
  @inline(__always) var countAndFlagWord: UnsafePointer<UInt32> {
    (UnsafeRawPointer(self) + 12).assumingMemoryBound(to: UInt32.self)
  }
}

extension UnsafeMutablePointer where Pointee == Page {
  @inline(__always) var evacuatingWord: UnsafePointer<UInt8> {
    (UnsafeRawPointer(self) + 19).assumingMemoryBound(to: UInt8.self)
  }
}

func checkRecordLayouts() {
  precondition(MemoryLayout<NamespaceState>.offset(of: \.touchMask) == 0)
  precondition(MemoryLayout<NamespaceState>.offset(of: \.laneBase) == 8)
  precondition(MemoryLayout<NamespaceState>.offset(of: \.entries) == NamespaceWord.entries.rawValue * 8)
  precondition(MemoryLayout<NamespaceState>.offset(of: \.tombstones) == NamespaceWord.tombstones.rawValue * 8)
  precondition(MemoryLayout<NamespaceState>.offset(of: \.isConfigured) == 82)
  precondition(MemoryLayout<Lane>.offset(of: \.lockWord) == 16 && MemoryLayout<Lane>.offset(of: \.bytes) == 8)
  precondition(MemoryLayout<CompactionState>.offset(of: \.lockWord) == 4)
  precondition(MemoryLayout<SlotTable>.offset(of: \.bucketCount) == 8)
  precondition(MemoryLayout<SlotTable>.offset(of: \.countAndFlag) == 12)
  precondition(MemoryLayout<Page>.offset(of: \.evacuating) == 19)
  precondition(MemoryLayout<SlotRecord>.offset(of: \.tombstones) == 40 && MemoryLayout<SlotRecord>.stride == 48)
}
