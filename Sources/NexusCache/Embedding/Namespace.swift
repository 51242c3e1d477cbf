import NexusService

/// A namespace of the cache as an embedding program uses it: keys are strings, values are of one type.
///
/// Made by ``NexusCache/namespace(_:_:load:)``. From any task and any thread.
public struct Namespace<Value: CacheValue>: Sendable {
  /// Its name, equal on all nodes of a cluster.
  public var name: String { core.name }
  /// The node; it lives at least as long as its namespaces.
  public let cache: NexusCache
  @usableFromInline let core: NamespaceCore

  init(_ cache: NexusCache, _ core: NamespaceCore) {
    self.cache = cache
    self.core = core
  }

  // MARK: Reading

  /// The value under the key: the cache's, else what the loader brings. Nil: there is none.
  ///
  /// A hit is answered on the calling thread, without suspending. Of all that wait for one key, on all nodes of the
  /// cluster, one load runs; cancelling the task that waits does not cancel it.
  @inlinable
  nonisolated(nonsending)
    public func get(_ key: String) async throws(CacheError) -> Value?
  {
    switch look(key, { Value(cacheBytes: $0) }, { Value(cacheBytes: $0) }) {
    case .some(.some(let value)): return value
    case .some(.none): throw undecodable(key)
    case .none: return try await load(key)
    }
  }

  /// The value under the key if this node has it at hand and it may be given. Loads nothing, waits for nothing.
  @inlinable public func cached(_ key: String) throws(CacheError) -> Value? {
    switch look(key, { Value(cacheBytes: $0) }, { Value(cacheBytes: $0) }) {
    case .some(.some(let value)): return value
    case .some(.none): throw undecodable(key)
    case .none: return nil
    }
  }

  /// Hands the bytes of the value under the key to `body`: of a hit without making a value. They are valid during the
  /// call. Nil: there is none.
  @inlinable
  nonisolated(nonsending)
    public func withValue<Result>(
      of key: String, _ body: (UnsafeRawBufferPointer) -> Result
    ) async throws(CacheError) -> Result?
  {
    if let result = look(key, body, { $0.withUnsafeBytes(body) }) { return result }
    return try await loadBytes(key)?.withUnsafeBytes(body)
  }

  /// Nil: not here, or not to be given.
  @inlinable @inline(__always)
  func look<Result>(
    _ key: String, _ short: (UnsafeRawBufferPointer) -> Result, _ long: ([UInt8]) -> Result
  ) -> Result? {
    var key = key
    return key.withUTF8 { key in
      withUnsafeTemporaryAllocation(byteCount: NamespaceCore.roomBytes, alignment: 16) { room in
        var large: [UInt8]?
        let count = core.copy(UnsafeRawBufferPointer(key), into: room.baseAddress!, &large)
        if count < 0 { return nil }
        if let large { return long(large) }
        return short(UnsafeRawBufferPointer(start: room.baseAddress!, count: count))
      }
    }
  }

  @usableFromInline nonisolated(nonsending) func load(_ key: String) async throws(CacheError) -> Value? {
    guard let bytes = try await loadBytes(key) else { return nil }
    guard let value = Value(cacheBytes: bytes) else { throw undecodable(key) }
    return value
  }

  @usableFromInline nonisolated(nonsending) func loadBytes(_ key: String) async throws(CacheError) -> [UInt8]? {
    switch await core.read(Array(key.utf8)) {
    case .value(let bytes): return bytes
    case .absent, .done: return nil
    case .failed(let error): throw error
    }
  }

  @usableFromInline func undecodable(_ key: String) -> CacheError {
    CacheError(.undecodable, "what is stored under '\(key.prefix(100))' in '\(name)' is no \(Value.self)")
  }

  // MARK: Writing

  /// Stores the value under the key, over whatever was there, on the node that owns the key.
  /// - Parameters:
  ///   - key: any string.
  ///   - value: at most of the setting max-value-size.
  ///   - timeToLive: nil: as the namespace's options say; `.zero`: for ever.
  nonisolated(nonsending)
    public func set(_ key: String, to value: Value, timeToLive: Duration? = nil) async throws(CacheError)
  {
    let life =
      switch timeToLive {
      case .none: TimeToLive.namespaceDefault
      case .some(.zero): TimeToLive.unlimited
      case .some(let duration): TimeToLive.milliseconds(Int64(max(1, duration.milliseconds)))
      }
    _ = try done(await core.ask(.write, Array(key.utf8), value.cacheBytes, life))
  }

  /// Deletes what is under the key, and forgets that the loader may have had nothing; what is being loaded is not
  /// stored. The next `get` loads anew.
  /// - Returns: whether there was something.
  @discardableResult
  nonisolated(nonsending) public func delete(_ key: String) async throws(CacheError) -> Bool {
    try done(await core.ask(.delete, Array(key.utf8)))
  }

  /// Has the value loaded anew, while the old one answers. Returns when the load has begun, or runs already.
  nonisolated(nonsending) public func refresh(_ key: String) async throws(CacheError) {
    _ = try done(await core.ask(.refresh, Array(key.utf8)))
  }

  private func done(_ reply: ValueReply) throws(CacheError) -> Bool {
    switch reply {
    case .done(let was): return was
    case .failed(let error): throw error
    case .value, .absent: return true
    }
  }

  // MARK: Figures

  /// What this node has done in the namespace since it started.
  public var statistics: NamespaceStatistics { NamespaceStatistics(core) }
}

/// What one node has done in a namespace since it started.
public struct NamespaceStatistics: Sendable, Equatable {
  /// Answered on the caller's thread.
  public let hits: Int
  /// Gone to an event loop: to be loaded, or to the node that owns the key.
  public let misses: Int
  /// Calls of this node's loader.
  public let loads: Int
  /// Requests that waited for a load which another had begun.
  public let joins: Int
  /// Loads that threw or took too long.
  public let failures: Int
  /// Loads that nobody waited for, because an older value answered.
  public let refreshes: Int
  /// Answered with a value that was no longer fresh.
  public let staleAnswers: Int
  /// Answered without asking the loader: that it has no such value was remembered.
  public let absentAnswers: Int

  init(_ core: NamespaceCore) {
    hits = Int(core.hits.total)
    misses = Int(core.misses.load(ordering: .relaxed))
    let source = core.node.filler.source(of: core.number)
    loads = source?.loads.load(ordering: .relaxed) ?? 0
    joins = source?.joins.load(ordering: .relaxed) ?? 0
    failures = source?.failures.load(ordering: .relaxed) ?? 0
    refreshes = source?.refreshes.load(ordering: .relaxed) ?? 0
    staleAnswers = source?.staleAnswers.load(ordering: .relaxed) ?? 0
    absentAnswers = source?.absentAnswers.load(ordering: .relaxed) ?? 0
  }
}
