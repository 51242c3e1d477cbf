import NexusModel
import NexusRESP

/// Every command of the door, found by name without allocating.
///
/// Commands and subcommands live in one raw array; a command's `index` is its place there, by which loops count
/// calls. Built once per node and never changed.
public final class CommandTable: @unchecked Sendable {
  /// Invariant: initialised in `init`, constant and never freed afterwards, so that any loop may read it.
  let slots: UnsafeMutablePointer<Slot>
  /// Commands and subcommands together.
  public let count: Int
  /// Top-level commands, in the order of their families.
  public let commands: [Command]

  /// A command as the dispatcher uses it.
  struct Slot {
    let command: Command
    /// `client|kill` as it stands in errors and in INFO commandstats.
    let name: String
    let firstSubcommand: Int
    let subcommandCount: Int
    let parent: Int
    /// Position of the first key where it is fixed, otherwise 0: prefetched ahead of execution.
    let firstKey: Int
    let arity: Int
    let flags: Command.Flags
    let spread: Command.Spread
    /// Its keys decide where it runs in a cluster.
    let isKeyed: Bool
    let traits: Traits

    /// Without keys, it may still be part of a transaction that runs on another member.
    var travels: Bool { spread == .anywhere || traits.contains(.publishes) }

    init(_ command: Command, firstSubcommand: Int, parent: Int) {
      self.command = command
      self.name = command.name
      self.firstSubcommand = firstSubcommand
      self.subcommandCount = command.subcommands.count
      self.parent = parent
      if case .range(let first, _, _) = command.keys { firstKey = first } else { firstKey = 0 }
      arity = command.arity
      flags = command.flags
      spread = command.spread
      if case .none = command.keys {
        isKeyed = false
      } else {
        isKeyed = command.spread == .oneSlot || command.spread.isScattered
      }
      traits = Traits(command.name)
    }
  }

  /// What the dispatcher knows of single commands beyond their flags.
  struct Traits: OptionSet {
    let rawValue: UInt16
    /// Runs between MULTI and EXEC instead of being queued.
    static let transactionControl = Traits(rawValue: 1 << 0)
    static let allowedWhileSubscribed = Traits(rawValue: 1 << 1)
    /// Asks about the clients of all loops.
    static let needsCensus = Traits(rawValue: 1 << 2)
    /// Held back by CLIENT PAUSE WRITE like a write.
    static let publishes = Traits(rawValue: 1 << 3)
    static let executes = Traits(rawValue: 1 << 4)
    static let watches = Traits(rawValue: 1 << 5)
    /// May ask which loop has a client.
    static let findsClient = Traits(rawValue: 1 << 7)
    /// Waits for copies of what was written.
    static let counts = Traits(rawValue: 1 << 6)
    /// Empties whole databases.
    static let flushes = Traits(rawValue: 1 << 8)

    init(rawValue: UInt16) { self.rawValue = rawValue }

    init(_ name: String) {
      self = []
      switch name {
      case "multi", "discard": insert(.transactionControl)
      case "watch": formUnion([.transactionControl, .watches])
      case "exec": formUnion([.transactionControl, .executes])
      case "quit", "reset": formUnion([.transactionControl, .allowedWhileSubscribed])
      case "ping", "subscribe", "unsubscribe", "psubscribe", "punsubscribe", "ssubscribe", "sunsubscribe":
        insert(.allowedWhileSubscribed)
      case "client|list", "client|kill": insert(.needsCensus)
      case "client|tracking": insert(.findsClient)
      case "publish", "spublish": insert(.publishes)
      case "wait": insert(.counts)
      case "flushdb", "flushall": insert(.flushes)
      default: break
      }
    }
  }

  /// Open addressing over lower-case names of top-level commands.
  private let buckets: UnsafeMutablePointer<Bucket>
  private let mask: Int

  private struct Bucket {
    /// -1: empty.
    var index: Int32 = -1
    var length: Int32 = 0
    /// Up to 24 bytes of the name, lower case, zeros after it.
    var name: (UInt64, UInt64, UInt64) = (0, 0, 0)
  }

  public convenience init() { self.init(Self.families.flatMap { $0 }) }

  deinit {
    slots.deinitialize(count: count)
    slots.deallocate()
    buckets.deallocate()
  }

  public init(_ commands: [Command]) {
    self.commands = commands
    count = commands.reduce(0) { $0 + 1 + $1.subcommands.count }
    slots = .allocate(capacity: max(count, 1))
    var capacity = 64
    while capacity < commands.count * 4 { capacity *= 2 }
    mask = capacity - 1
    buckets = .allocate(capacity: capacity)
    buckets.initialize(repeating: Bucket(), count: capacity)
    var next = commands.count
    for (index, command) in commands.enumerated() {
      (slots + index).initialize(to: Slot(command, firstSubcommand: next, parent: -1))
      for subcommand in command.subcommands {
        (slots + next).initialize(to: Slot(subcommand, firstSubcommand: 0, parent: index))
        next += 1
      }
      insert(command.name, index)
    }
  }

  private func insert(_ name: String, _ index: Int) {
    let bytes = Array(name.utf8)
    precondition(bytes.count <= 24, "a command's name has at most 24 bytes: \(name)")
    bytes.withUnsafeBytes { bytes in
      let words = Self.folded(bytes)
      var at = Self.hash(words, bytes.count) & mask
      while buckets[at].index >= 0 {
        precondition(buckets[at].name != words, "the command \(name) is declared twice")
        at = (at + 1) & mask
      }
      buckets[at] = Bucket(index: Int32(index), length: Int32(bytes.count), name: words)
    }
  }

  // MARK: Looking up

  /// The index of a top-level command, whatever the case of its letters; nil if there is none.
  public func index(of name: UnsafeRawBufferPointer) -> Int? {
    guard name.count <= 24, name.count > 0 else { return nil }
    let words = Self.folded(name)
    var at = Self.hash(words, name.count) & mask
    while true {
      let bucket = buckets + at
      if bucket.pointee.index < 0 { return nil }
      if bucket.pointee.name == words, bucket.pointee.length == name.count { return Int(bucket.pointee.index) }
      at = (at + 1) & mask
    }
  }

  /// The index of a subcommand of the command at `parent`; nil if it has none of that name.
  public func index(ofSubcommand name: UnsafeRawBufferPointer, of parent: Int) -> Int? {
    let first = slots[parent].firstSubcommand
    let prefix = slots[parent].name.utf8.count + 1
    for index in first..<(first + slots[parent].subcommandCount) {
      var full = slots[index].name
      let matches = full.withUTF8 { full in
        equalIgnoringCase(name, UnsafeRawBufferPointer(rebasing: UnsafeRawBufferPointer(full)[prefix...]))
      }
      if matches { return index }
    }
    return nil
  }

  /// The index of the command that a request means: -1 for none, and below -1 for an unknown subcommand of a command
  /// that is known (`parent(ofUnresolved:)`).
  func resolve(_ arguments: UnsafeMutablePointer<Argument>, _ count: Int) -> Int {
    guard let index = index(of: arguments[0].bytes) else { return -1 }
    guard slots[index].subcommandCount > 0, count > 1 else { return index }
    return self.index(ofSubcommand: arguments[1].bytes, of: index) ?? -2 - index
  }

  static func parent(ofUnresolved code: Int) -> Int? { code <= -2 ? -2 - code : nil }

  /// The command, or subcommand, at an index.
  public func command(at index: Int) -> Command { slots[index].command }
  /// The top-level command that the one at this index belongs to, or nil if it is one itself.
  public func parent(of index: Int) -> Int? { slots[index].parent < 0 ? nil : slots[index].parent }

  /// The command by a name as people write it: `get`, `CLIENT|KILL`; nil if unknown.
  public func find(_ name: String) -> Command? {
    let parts = name.split(separator: "|", maxSplits: 1).map { Array($0.utf8) }
    guard let first = parts.first, let index = first.withUnsafeBytes({ self.index(of: $0) }) else { return nil }
    guard parts.count == 2 else { return slots[index].command }
    return parts[1].withUnsafeBytes { self.index(ofSubcommand: $0, of: index) }.map { slots[$0].command }
  }

  // MARK: Names as words

  private static func folded(_ bytes: UnsafeRawBufferPointer) -> (UInt64, UInt64, UInt64) {
    var words: (UInt64, UInt64, UInt64) = (0, 0, 0)
    withUnsafeMutableBytes(of: &words) { words in
      for offset in 0..<min(bytes.count, 24) {
        let byte = bytes[offset]
        words[offset] = byte &- 0x41 < 26 ? byte | 0x20 : byte
      }
    }
    return words
  }

  private static func hash(_ words: (UInt64, UInt64, UInt64), _ length: Int) -> Int {
    let mixed = (words.0 ^ (words.1 &<< 7) ^ (words.2 &<< 17)) &* 0x9E37_79B9_7F4A_7C15
    return Int(truncatingIfNeeded: (mixed &>> 40) ^ UInt64(length))
  }
}

/// Compares bytes; letters A to Z equal their small ones.
@inlinable
public func equalIgnoringCase(_ left: UnsafeRawBufferPointer, _ right: UnsafeRawBufferPointer) -> Bool {
  guard left.count == right.count else { return false }
  for offset in 0..<left.count {
    let a = left[offset]
    let b = right[offset]
    if a != b, a | 0x20 != b | 0x20 || (a | 0x20) &- 0x61 >= 26 { return false }
  }
  return true
}
