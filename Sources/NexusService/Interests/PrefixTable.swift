/// Which beginnings of keys somebody wants to hear of, and who: a listener is a small number, a loop or a member.
///
/// A key is compared with all of them in one pass over its bytes: its beginning of each length that there is has a
/// hash, which grows byte by byte.
struct PrefixTable {
  private struct Entry {
    let prefix: [UInt8]
    /// Listeners, and how often each of them has asked.
    var listeners: [(number: Int, count: Int)]
  }

  private struct Name: Hashable {
    let length: Int
    let hash: UInt64
  }

  private var entries: [Name: [Entry]] = [:]
  /// Of the prefixes that there are, ascending, with how many have it.
  private var lengths: [(length: Int, count: Int)] = []
  private(set) var count = 0

  /// FNV-1a.
  private static let hashStart: UInt64 = 0xCBF2_9CE4_8422_2325
  @inline(__always) private static func extend(_ hash: UInt64, _ byte: UInt8) -> UInt64 {
    (hash ^ UInt64(byte)) &* 0x100_0000_01B3
  }

  private static func name(_ prefix: [UInt8]) -> Name {
    Name(length: prefix.count, hash: prefix.reduce(hashStart, extend))
  }

  mutating func add(_ prefix: [UInt8], for listener: Int) {
    let name = Self.name(prefix)
    guard let index = entries[name]?.firstIndex(where: { $0.prefix == prefix }) else {
      entries[name, default: []].append(Entry(prefix: prefix, listeners: [(listener, 1)]))
      return countLength(prefix.count, 1)
    }
    if let known = entries[name]![index].listeners.firstIndex(where: { $0.number == listener }) {
      entries[name]![index].listeners[known].count += 1
    } else {
      entries[name]![index].listeners.append((listener, 1))
    }
  }

  mutating func remove(_ prefix: [UInt8], for listener: Int) {
    let name = Self.name(prefix)
    guard let index = entries[name]?.firstIndex(where: { $0.prefix == prefix }),
      let known = entries[name]![index].listeners.firstIndex(where: { $0.number == listener })
    else { return }
    entries[name]![index].listeners[known].count -= 1
    if entries[name]![index].listeners[known].count == 0 { entries[name]![index].listeners.remove(at: known) }
    guard entries[name]![index].listeners.isEmpty else { return }
    entries[name]!.remove(at: index)
    if entries[name]!.isEmpty { entries[name] = nil }
    countLength(prefix.count, -1)
  }

  private mutating func countLength(_ length: Int, _ change: Int) {
    count += change
    let index = lengths.firstIndex { $0.length >= length } ?? lengths.count
    if index < lengths.count, lengths[index].length == length {
      lengths[index].count += change
      if lengths[index].count == 0 { lengths.remove(at: index) }
    } else {
      lengths.insert((length, change), at: index)
    }
  }

  /// Hands each prefix that the key begins with to `body`, with who wants to hear of it.
  func forEachMatch(_ key: UnsafeRawBufferPointer, _ body: (_ prefix: [UInt8], _ listener: Int) -> Void) {
    var hash = Self.hashStart
    var hashed = 0
    for (length, _) in lengths {
      guard length <= key.count else { return }
      while hashed < length {
        hash = Self.extend(hash, key[hashed])
        hashed += 1
      }
      guard let candidates = entries[Name(length: length, hash: hash)] else { continue }
      for entry in candidates where entry.prefix.elementsEqual(key[..<length]) {
        for listener in entry.listeners { body(entry.prefix, listener.number) }
      }
    }
  }
}
