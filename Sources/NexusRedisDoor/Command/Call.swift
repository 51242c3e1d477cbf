import NexusModel
import NexusRESP
import NexusService
import NexusStore

/// One command being executed: its arguments, who asked, and where the reply goes.
///
/// Handlers get it `inout`, check their arguments, lock their keys, work on `store`, and write exactly one reply.
/// The dispatcher has checked the arity, the rights and, for `denyOOM` commands, that the arguments' bytes fit.
public struct Call {
  /// [0] is the command's name as sent. Valid until the handler returns.
  public let arguments: UnsafeMutablePointer<Argument>
  public let count: Int
  public unowned(unsafe) let session: Session
  public unowned(unsafe) let engine: Engine
  /// The engine's, at hand: each step on the way to them through a class would count references.
  public unowned(unsafe) let store: Store
  public let worker: Worker
  let statistics: UnsafeMutablePointer<LoopStatistics>
  /// The session's when the command began.
  public let namespace: NamespaceNumber
  /// Whether what it finds counts as used (CLIENT NO-TOUCH).
  let touches: Bool
  /// Replies are appended here (`NexusRESP` extends `OutputBuffer` with the encoders).
  public var out: OutputBuffer
  public let now: UnixMilliseconds
  /// 2 or 3: which protocol the reply is written in.
  public var version: Int
  /// The command's place in the table.
  public let commandIndex: Int
  /// Set by a handler that has written nothing: the request waits, and is offered again when the loop resumes the
  /// connection.
  var isPostponed = false
  /// The first key, where the batch has hashed it already.
  var preparedKey: Key?
  var preparedKeyIndex = 0

  init(
    arguments: UnsafeMutablePointer<Argument>, count: Int, session: Session, engine: Engine, out: OutputBuffer,
    now: UnixMilliseconds, commandIndex: Int
  ) {
    self.arguments = arguments
    self.count = count
    self.session = session
    self.engine = engine
    self.store = engine.store
    self.worker = engine.worker
    self.statistics = engine.statistics
    self.namespace = session.namespace
    self.touches = session.touches
    self.out = out
    self.now = now
    self.version = session.protocolVersion
    self.commandIndex = commandIndex
  }

  /// What the loops of this node share: command table, databases, slow log, publish/subscribe.
  public var door: RedisDoor { engine.door }
  public subscript(index: Int) -> UnsafeRawBufferPointer { arguments[index].bytes }
  /// The argument as a key of the session's namespace.
  public func key(_ index: Int) -> Key {
    if index == preparedKeyIndex, let key = preparedKey, key.namespace == namespace { return key }
    return store.key(arguments[index].bytes, in: namespace)
  }
  /// The argument as a string; bytes that are not UTF-8 are replaced.
  public func text(_ index: Int) -> String { String(decoding: arguments[index].bytes, as: UTF8.self) }

  /// The command as errors name it: `get`, `client|kill`.
  public var commandName: String { door.commands.slots[commandIndex].name }

  /// True if the argument is this word, whatever the case of its letters.
  public func matches(_ index: Int, _ word: StaticString) -> Bool {
    equalIgnoringCase(
      arguments[index].bytes, UnsafeRawBufferPointer(start: word.utf8Start, count: word.utf8CodeUnitCount))
  }

  // MARK: Numbers

  /// The argument as a 64-bit integer; nil if it is not one in Redis's strict form.
  public func integer(_ index: Int) -> Int? { Decimal.integer(arguments[index].bytes) }

  /// The same, and where it is not one the error has been replied.
  public mutating func requireInteger(_ index: Int) -> Int? {
    if let value = integer(index) { return value }
    replyNotAnInteger()
    return nil
  }

  /// The same for a number that must also lie in a range.
  public mutating func requireInteger(_ index: Int, in range: ClosedRange<Int>) -> Int? {
    guard let value = requireInteger(index) else { return nil }
    if range.contains(value) { return value }
    reply(
      error: "ERR value is out of range, value must between \(range.lowerBound) and \(range.upperBound)")
    return nil
  }

  /// The argument as a double, as C's `strtod` reads it (no leading space, nothing after it, not NaN, in range).
  public func double(_ index: Int) -> Double? { parseDouble(arguments[index].bytes) }

  public mutating func requireDouble(_ index: Int) -> Double? {
    if let value = double(index) { return value }
    replyNotAFloat()
    return nil
  }

  // MARK: Locks and room

  /// The live entry of the key, whose stripe is locked. Counts as a use of it, unless the client has said that its
  /// reads shall not (CLIENT NO-TOUCH).
  @inline(__always) public func find(_ key: Key) -> Entry? { store.find(key, now: now, touch: touches) }

  /// Runs `body` with the key of this argument under its stripe's lock.
  @inline(__always) public mutating func withKey<Result>(
    _ index: Int = 1, _ body: (inout Call, Key) -> Result
  ) -> Result {
    let key = key(index)
    let taken = store.lock(key, as: worker)
    let result = body(&self, key)
    store.unlock(key, taken)
    return result
  }

  /// Runs `body` with the keys of these arguments, in this order, under all their stripes' locks.
  public mutating func withKeys<Result>(
    _ indices: some Collection<Int>, _ body: (inout Call, UnsafeBufferPointer<Key>) -> Result
  ) -> Result {
    let storage = UnsafeMutablePointer<Key>.allocate(capacity: max(indices.count, 1))
    defer { storage.deallocate() }
    for (offset, index) in indices.enumerated() { (storage + offset).initialize(to: key(index)) }
    let keys = UnsafeBufferPointer(start: storage, count: indices.count)
    let held = store.lock(keys, as: worker)
    let result = body(&self, keys)
    store.unlock(held)
    return result
  }

  /// Makes room for so many bytes before any lock is taken; false after having replied the OOM error.
  ///
  /// The dispatcher has done this for the bytes of a `denyOOM` command's arguments: only a command that grows by
  /// more than it was sent (SETRANGE, SETBIT, BITOP) asks again. Inside EXEC the stripes are already held, and
  /// nothing may be evicted then: the answer is true, and the store itself refuses what does not fit.
  public mutating func admit(_ byteCount: Int) -> Bool {
    if engine.isExecuting { return true }
    if engine.isHolding {
      if engine.hasRoomWhileHolding(byteCount, in: namespace) { return true }
      replyOutOfMemory()
      return false
    }
    // What is evicted now is not this client's writing.
    let writer = engine.interests.writer(as: worker)
    if writer != 0 { engine.interests.setWriter(0, as: worker) }
    let outcome = store.admit(byteCount, in: namespace, as: worker, now: now)
    if writer != 0 { engine.interests.setWriter(writer, as: worker) }
    if case .stored = outcome { return true }
    replyOutOfMemory()
    return false
  }
}
