import NexusModel
import NexusService
import NexusStore
import NexusWire

extension [UInt8] {
  /// `withUnsafeBytes` with the error's type kept.
  func reading<Result>(
    _ body: (UnsafeRawBufferPointer) throws(WireError) -> Result
  ) throws(WireError) -> Result {
    let outcome = withUnsafeBytes { bytes -> Swift.Result<Result, WireError> in
      do throws(WireError) { return .success(try body(bytes)) } catch { return .failure(error) }
    }
    return try outcome.get()
  }
}

extension SettledKey {
  init(_ name: WireKey) {
    self.init(namespace: NamespaceNumber(truncatingIfNeeded: name.namespace), key: Array(name.key))
  }
}

extension WireEntry {
  /// Borrows the version's bytes.
  init(_ version: Version, key: UnsafeRawBufferPointer, namespace: UInt32) {
    self.init(
      key: key, value: version.value, namespace: namespace, expiresAt: UInt64(max(0, version.expiresAt)),
      stamp: version.stamp.rawValue, clientFlags: version.clientFlags, version: version.version,
      type: UInt32(version.type.rawValue), kind: EntryKind(rawValue: UInt32(version.kind.rawValue)),
      freshUntil: UInt64(max(0, version.freshUntil)), tags: version.tags)
  }

  /// Borrows the entry's bytes: for as long as its stripe is locked.
  init(_ entry: Entry, key: UnsafeRawBufferPointer, namespace: UInt32) {
    self.init(
      key: key, value: entry.value, namespace: namespace, expiresAt: UInt64(max(0, entry.expiresAt)),
      stamp: entry.stamp, clientFlags: entry.clientFlags, version: entry.version, type: UInt32(entry.type.rawValue),
      freshUntil: UInt64(max(0, entry.freshUntil)), tags: entry.tags)
  }
}

extension [SettledKey] {
  /// Hands the keys, as they travel, to `body`.
  func withNames(_ body: ([WireKey]) -> Void) {
    var bytes: [UInt8] = []
    for key in self { bytes += key.key }
    bytes.withUnsafeBytes { bytes in
      var start = 0
      body(
        map { key in
          defer { start += key.key.count }
          return WireKey(
            namespace: UInt32(key.namespace),
            key: UnsafeRawBufferPointer(rebasing: bytes[start..<(start + key.key.count)]))
        })
    }
  }
}
