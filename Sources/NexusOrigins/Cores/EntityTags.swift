import NexusService

/// Which entity tag came with which value, for the keys that were last asked for: so many, and no more.
struct EntityTags: Sendable {
  private struct Entry {
    var tag: String
    var value: ValueDigest
    var place: Int
  }

  /// What is longer is not worth remembering.
  private static let longestKey = 1024
  private static let longestTag = 256

  private let capacity: Int
  private var entries: [[UInt8]: Entry] = [:]
  /// Keys in the order in which they came; a ring once it is full.
  private var keys: [[UInt8]] = []
  private var next = 0

  init(capacity: Int) { self.capacity = capacity }

  var count: Int { entries.count }

  /// The tag that came with exactly this value of the key.
  func tag(of key: [UInt8], with value: ValueDigest) -> String? {
    entries[key].flatMap { $0.value == value ? $0.tag : nil }
  }

  mutating func remember(_ tag: String, of key: [UInt8], with value: ValueDigest) {
    guard capacity > 0, key.count <= Self.longestKey, tag.utf8.count <= Self.longestTag else { return forget(key) }
    if let place = entries[key]?.place {
      entries[key] = Entry(tag: tag, value: value, place: place)
      return
    }
    if keys.count < capacity {
      keys.append(key)
    } else {
      // The key that stood here may have been forgotten, and come again elsewhere.
      if entries[keys[next]]?.place == next { entries[keys[next]] = nil }
      keys[next] = key
    }
    entries[key] = Entry(tag: tag, value: value, place: next)
    next = (next + 1) % capacity
  }

  mutating func forget(_ key: [UInt8]) { entries[key] = nil }
}
