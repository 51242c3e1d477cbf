import NexusModel

@testable import NexusStore

/// What a version is, apart from the memory that it lies in.
struct Content: Hashable {
  var kind: Version.Kind
  var stamp: UInt64
  var value: [UInt8] = []
  var type = ValueType.string
  var expiresAt: UnixMilliseconds = 0
  var clientFlags: UInt32 = 0
  var version: UInt64 = 0
  var freshUntil: UnixMilliseconds = 0
  var tags: [UInt32] = []

  init(kind: Version.Kind, stamp: UInt64) {
    self.kind = kind
    self.stamp = stamp
  }

  init(_ version: Version) {
    kind = version.kind
    stamp = version.stamp.rawValue
    value = Array(version.value)
    type = version.type
    expiresAt = version.expiresAt
    clientFlags = version.clientFlags
    self.version = version.version
    freshUntil = version.freshUntil
    tags = (0..<version.tags.count).map { version.tags[$0] }
  }

  private var tagList: TagList {
    var list = TagList()
    for tag in tags { _ = list.insert(tag) }
    return list
  }

  func with<Result>(_ body: (Version) -> Result) -> Result {
    switch kind {
    case .tombstone: body(.tombstone(Stamp(rawValue: stamp)))
    case .evicted: body(.evicted(Stamp(rawValue: stamp)))
    case .value:
      value.withUnsafeBytes {
        body(
          Version(
            $0, type: type, expiresAt: expiresAt, clientFlags: clientFlags, version: version, freshUntil: freshUntil,
            tags: tagList, stamp: Stamp(rawValue: stamp)))
      }
    }
  }
}

struct Name: Hashable, CustomStringConvertible {
  var namespace: NamespaceNumber = 0
  var bytes: [UInt8]
  init(_ text: String, _ namespace: NamespaceNumber = 0) {
    bytes = Array(text.utf8)
    self.namespace = namespace
  }
  init(_ bytes: [UInt8], _ namespace: NamespaceNumber) {
    self.bytes = bytes
    self.namespace = namespace
  }
  var description: String { "\(namespace):\(String(decoding: bytes.prefix(20), as: UTF8.self))" }
}

/// One member's copies: a store whose first namespaces are stamped, as a test sees it.
struct Copy {
  var plain: Plain
  var store: Store { plain.store }
  var now: UnixMilliseconds {
    get { plain.now }
    set {
      plain.now = newValue
      store.noteTime(newValue)
    }
  }

  static let stampedCount = 3

  init(
    limitBytes: Int = 64 << 20, stamped: Int = Copy.stampedCount, mark: UInt64 = 0,
    eviction: EvictionPolicyName = .s3fifo
  ) throws {
    var configuration = StoreConfiguration()
    configuration.maxMemoryBytes = limitBytes
    configuration.stampMark = mark
    plain = Plain(try Store(configuration), as: 1)
    for number in 0..<16 {
      var settings = store.settings(of: NamespaceNumber(number))!
      settings.isStamped = number < stamped
      settings.eviction = eviction
      store.configure(NamespaceNumber(number), settings, as: 9)
    }
    now = 1_700_000_000_000
  }

  func merge(_ name: Name, _ content: Content) -> MergeOutcome {
    name.bytes.withUnsafeBytes { bytes in
      content.with { store.merge(store.key(bytes, in: name.namespace), $0, as: plain.worker, now: now) }
    }
  }

  func content(_ name: Name) -> Content? {
    plain.with(name.bytes, name.namespace) { store.version(of: $0).map { Content($0) } }
  }

  func slot(_ name: Name) -> UInt16 { plain.with(name.bytes, name.namespace) { $0.slot } }

  /// Every version of stamped namespaces, by inventory and lookup.
  func contents(_ slots: some Sequence<UInt16> = 0..<UInt16(Slot.count)) -> [Name: Content] {
    var found: [Name: Content] = [:]
    for slot in slots {
      var names: [(Name, UInt64)] = []
      store.inventory(of: slot, as: plain.worker) { names.append((Name(Array($0.keyBytes), $0.namespace), $0.hash)) }
      for (name, hash) in names {
        let isThere = store.version(of: hash, in: slot, of: name.namespace, as: plain.worker) { key, version in
          if Array(key.bytes) == name.bytes { found[name] = Content(version) }
        }
        if !isThere { fatalError("\(name) is in the inventory and cannot be found by its hash") }
      }
    }
    return found
  }

  func digests() -> [UInt64] { (0..<UInt16(Slot.count)).map { store.digest(of: $0, as: plain.worker) } }

  /// Everything that is counted, counted again. Nil if it agrees, else what does not.
  func complaint() -> String? {
    var figures = Figures()
    for slot in 0..<UInt16(Slot.count) {
      let digest = store.digest(of: slot, as: plain.worker)
      if let wrong = figures.count(slot, in: store, as: plain.worker, digest) { return wrong }
    }
    if store.tombstoneCount != figures.tombstones { return "\(store.tombstoneCount) tombstones counted" }
    if store.tombstoneBytes != figures.tombstoneBytes { return "\(store.tombstoneBytes) bytes of tombstones" }
    if store.memory.entryBytes != figures.entryBytes { return "\(store.memory.entryBytes) bytes of entries" }
    for number in 0..<16 {
      let statistics = store.statistics(of: NamespaceNumber(number))
      if statistics.entries != figures.entries[number] {
        return "\(statistics.entries) entries in \(number), \(figures.entries[number]) seen"
      }
      if statistics.bytes != figures.bytes[number] { return "\(statistics.bytes) bytes in \(number)" }
      let expiring = store.countWithExpiry(in: NamespaceNumber(number))
      if expiring != figures.expiring[number] { return "\(expiring) with expiry in \(number)" }
    }
    return nil
  }
}

/// What the tables really hold.
private struct Figures {
  var entries = [Int](repeating: 0, count: 16)
  var bytes = [Int](repeating: 0, count: 16)
  var expiring = [Int](repeating: 0, count: 16)
  var entryBytes = 0
  var tombstones = 0
  var tombstoneBytes = 0

  mutating func count(_ slot: UInt16, in store: Store, as worker: Worker, _ digest: UInt64) -> String? {
    var wrong: String?
    var sum: UInt64 = 0
    var buried = 0
    var places = 0
    var oldest = UInt64.max
    store.withSlot(slot, as: worker) {
      store.walk(slot, as: worker) { place in
        let item = place.item
        let number = Int(item.namespace)
        let size = store.links.bytes(place.handle)
        places += 1
        if store.isOfOtherEpoch(item) { wrong = "slot \(slot) has flushed entries after its digest was asked for" }
        if item.isTombstone {
          buried += 1
          oldest = min(oldest, item.stamp)
          tombstoneBytes += size
          if item.keyCount == 0 && item.valueCount != 0 { wrong = "a tombstone with a value" }
        } else {
          entries[number] += 1
          bytes[number] += size
          entryBytes += size
          if item.flags & Item.Flag.expiry != 0 { expiring[number] += 1 }
        }
        let isStamped = store.namespaces[number].isStamped
        if isStamped, item.stamp == 0 { wrong = "an entry without a stamp in slot \(slot)" }
        if item.isTombstone, !isStamped { wrong = "a tombstone in a namespace without stamps" }
        let clock = store.stampClock(Store.stripe(of: slot)).pointee
        if isStamped, item.stamp > clock { wrong = "a stamp above its clock" }
        if isStamped, item.stamp > store.lastStamp(of: slot).rawValue { wrong = "a stamp above its slot's last" }
        if isStamped, !item.isTombstone {
          sum &+= Store.contribution(hash: store.hash(of: item), stamp: item.stamp)
        }
      }
    }
    tombstones += buried
    let known = store.tombstones(in: slot)
    if known.count != buried { wrong = "slot \(slot) counts \(known.count) tombstones, has \(buried)" }
    if buried > 0, known.oldest.rawValue > oldest { wrong = "a tombstone older than the oldest" }
    if places != store.slots[Int(slot)].count { wrong = "slot \(slot) counts \(store.slots[Int(slot)].count) places" }
    if sum != digest { wrong = "slot \(slot) has the digest \(digest), should have \(sum)" }
    return wrong
  }
}
