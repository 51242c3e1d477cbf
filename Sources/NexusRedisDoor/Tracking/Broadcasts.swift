import NexusModel
import NexusService

/// Who on one loop wants to hear of all keys with a prefix (CLIENT TRACKING with BCAST), and which keys have changed in
/// this turn. They are told at its end, each prefix's together.
struct Broadcasts {
  private var listeners: [[UInt8]: [Session]] = [:]
  /// By prefix, each key with the last client that changed it; 0: of nobody in particular.
  private var changed: [[UInt8]: [KeyName: UInt64]] = [:]

  mutating func add(_ session: Session, _ prefix: [UInt8]) { listeners[prefix, default: []].append(session) }

  mutating func remove(_ session: Session, _ prefix: [UInt8]) {
    listeners[prefix]?.removeAll { $0 === session }
    if listeners[prefix]?.isEmpty == true { listeners[prefix] = nil }
  }

  mutating func note(_ prefix: [UInt8], _ name: KeyName, writer: UInt64) {
    if listeners[prefix] != nil { changed[prefix, default: [:]][name] = writer }
  }

  var isEmpty: Bool { changed.isEmpty }

  /// What there is to tell, in the prefixes' order.
  mutating func take() -> [(listeners: [Session], changes: [KeyName: UInt64])] {
    let taken = changed.sorted { $0.key.lexicographicallyPrecedes($1.key) }
    changed = [:]
    return taken.compactMap { prefix, changes in listeners[prefix].map { ($0, changes) } }
  }
}
