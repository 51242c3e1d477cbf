/// The port through which a namespace's misses are filled, and its writes passed on.
///
/// No call blocks, so that event loops may make them; `stop` is the exception. Each `done` is called exactly once, at
/// the latest when the request's time is over, however long the origin itself takes. It may be called from any thread,
/// even from within the call that it was given to: hold no lock then, and return soon.
public protocol Origin: AnyObject, Sendable {
  /// For people: where values come from, without passwords.
  var name: String { get }
  /// Whether `store` is of use.
  var canStore: Bool { get }
  /// Since it began; costs a lock.
  var figures: OriginFigures { get }

  func load(_ request: OriginRequest, done: @escaping @Sendable (OriginAnswer) -> Void)

  /// Success means that the origin has it; with write-behind, that it is among the writes to be made. Writes of one key
  /// are made in the order of these calls. After `outcomeUnknown` the write may have been made, and may yet be.
  func store(_ write: OriginWrite, done: @escaping @Sendable (Result<Void, OriginError>) -> Void)

  /// Lets go of connections and threads. What is under way fails with `stopping`; writes that wait behind are made
  /// first, for as long as the configuration gives them. Blocks for that long; once only.
  func stop()
}

public struct OriginRequest: Hashable, Sendable {
  public var key: [UInt8]
  /// From now on.
  public var deadlineMilliseconds: Int
  /// Of the value that the cache still has, where this is a revalidation: the origin may answer `unchanged`. Not given,
  /// it never does. The digest guards against saying so of a value that came by another way.
  public var held: ValueDigest?

  public init(key: [UInt8], deadlineMilliseconds: Int, held: ValueDigest? = nil) {
    self.key = key
    self.deadlineMilliseconds = deadlineMilliseconds
    self.held = held
  }
}

public struct OriginWrite: Hashable, Sendable {
  public var key: [UInt8]
  /// Nil: the key is deleted.
  public var value: [UInt8]?
  /// Nil: it does not expire. Origins that know no expiry store the value without.
  public var timeToLiveMilliseconds: Int?
  /// From now on. Write-behind has its own time.
  public var deadlineMilliseconds: Int

  public init(key: [UInt8], value: [UInt8]?, timeToLiveMilliseconds: Int? = nil, deadlineMilliseconds: Int) {
    self.key = key
    self.value = value
    self.timeToLiveMilliseconds = timeToLiveMilliseconds
    self.deadlineMilliseconds = deadlineMilliseconds
  }
}
