import Dispatch
import Glibc
import NexusModel
import NexusOrigins
import NexusService

/// A node of the cache inside this program: groupcache for Swift.
///
/// ```swift
/// let cache = try await NexusCache.start()
/// let scores = try cache.namespace("scores") { key, context in try await database.lookup(key) }
/// let points = try await scores.get("Tom")
/// await cache.stop()
/// ```
///
/// Programs whose configurations name the same cluster share their values: every key is loaded once, by the node that
/// owns it. See <doc:Clusters>.
public final class NexusCache: Sendable {
  /// Where this node can be reached, where its configuration opens something.
  public var doors: [NexusCacheServer.Door] { server.value.doors }

  private let server: OnOneQueue
  let node: Node
  private let turnstile = Turnstile()
  private let names = Guarded<Set<String>>([])
  /// Blocking calls, one after the other: none of Swift's own threads waits for them.
  private let queue: DispatchQueue

  private static let graceMilliseconds = 1000

  /// Invariant: what is not safe to share is called on the queue.
  private struct OnOneQueue: @unchecked Sendable {
    let value: NexusCacheServer
  }

  private init(_ server: OnOneQueue, _ queue: DispatchQueue) {
    self.server = server
    self.queue = queue
    node = server.value.node
  }

  /// Starts a node. Where it belongs to a cluster, it has joined when this returns.
  public static func start(_ configuration: Configuration = Configuration()) async throws(CacheError) -> NexusCache {
    let queue = DispatchQueue(label: "nexuscache")
    let started = await withCheckedContinuation { (continuation: CheckedContinuation<Result<_, CacheError>, Never>) in
      queue.async { continuation.resume(returning: open(configuration)) }
    }
    let cache = NexusCache(try started.get(), queue)
    if let cluster = configuration.cluster, try await !cache.hasJoined(within: cluster.joinTimeout) {
      await cache.stop()
      let seeds = cluster.seeds.isEmpty ? "nobody" : cluster.seeds.joined(separator: ", ")
      throw CacheError(
        .unavailable,
        "the node has not joined the cluster '\(cluster.name)' within \(cluster.joinTimeout): it asked \(seeds); see "
          + "whether they run, and whether name and secret are the same there")
    }
    return cache
  }

  private static func open(_ configuration: Configuration) -> Result<OnOneQueue, CacheError> {
    do {
      return .success(OnOneQueue(value: try NexusCacheServer(.init(configuration)).start()))
    } catch {
      return .failure(CacheError(.configuration, "the node cannot start: \(error)"))
    }
  }

  private func hasJoined(within limit: Duration) async throws(CacheError) -> Bool {
    let deadline = ContinuousClock.now + limit
    while node.cluster?.picture.isReady == false {
      guard ContinuousClock.now < deadline else { return false }
      do { try await Task.sleep(for: .milliseconds(10)) } catch {
        await stop()
        throw .cancelled
      }
    }
    return true
  }

  // MARK: Namespaces

  /// A namespace whose misses are loaded by a closure of this program.
  ///
  /// The closure is called for one key at a time, however many wait for it: on the node that owns the key. What it
  /// throws goes to all of them; where it returns nil, there is no such value, which is remembered for the options'
  /// `absentTimeToLive`. Its task is cancelled when `context.deadline` has passed; nobody waits any longer then.
  ///
  /// - Parameters:
  ///   - name: 1 to 64 letters, digits, `.`, `_` and `-`. Equal on all nodes of a cluster, each of which declares it.
  ///   - options: what is not said there follows the node's settings.
  ///   - load: gives the value of a key, or nil.
  /// - Throws: where the name or an option cannot be, or the namespace has a loader already.
  public func namespace<Value: CacheValue>(
    _ name: String, _ options: NamespaceOptions = NamespaceOptions(),
    load: @escaping @Sendable (_ key: String, _ context: LoadContext) async throws -> Value?
  ) throws(CacheError) -> Namespace<Value> {
    var limits = OriginLimits()
    limits.timeoutMilliseconds = max(1, options.loadTimeout.milliseconds)
    limits.connections = max(1, options.concurrentLoads)
    limits.queue = max(0, options.waitingLoads)
    limits.valueLimitBytes = node.settings.maxValueBytes
    let origin = ClosureOrigin(name: name, limits: limits) { bytes, context in
      guard let key = String(validating: bytes, as: UTF8.self) else {
        throw OriginError(origin: name, .unsuitableKey("it is no UTF-8, and the loader takes a String"))
      }
      return try await load(key, LoadContext(namespace: name, deadline: context.deadline))
        .map { OriginValue($0.cacheBytes) }
    }
    return try declare(name, options, origin)
  }

  /// A namespace that holds what is stored there, and loads nothing.
  public func namespace<Value: CacheValue>(
    _ name: String, of type: Value.Type, _ options: NamespaceOptions = NamespaceOptions()
  ) throws(CacheError) -> Namespace<Value> {
    try declare(name, options, nil)
  }

  private func declare<Value: CacheValue>(
    _ name: String, _ options: NamespaceOptions, _ loader: ClosureOrigin?
  ) throws(CacheError) -> Namespace<Value> {
    if turnstile.isClosed { throw .stopped }
    guard names.withLock({ $0.insert(name).inserted }) else {
      throw CacheError(
        .configuration, "the namespace '\(name)' is there already: keep what the first call of namespace() returned")
    }
    do {
      let server = server.value
      let number = try server.declareNamespace(name, options.texts)
      let timeout = max(1, options.loadTimeout.milliseconds)
      if let loader, !server.fill(number, loader, timeoutMilliseconds: timeout) {
        throw CacheError(.configuration, "the namespace '\(name)' has an origin already, which a setting names")
      }
      let core = NamespaceCore(
        name, number, node, doors: server.valueDoors, loader: loader, timeoutMilliseconds: timeout,
        turnstile: turnstile)
      server.hitReporter?.add(core.hits)
      return Namespace(self, core)
    } catch {
      names.withLock { _ = $0.remove(name) }
      throw error as? CacheError ?? CacheError(.configuration, "\(error)")
    }
  }

  // MARK: The end

  /// Takes no further requests, answers those that are under way for a second at most, hands over what belongs to other
  /// nodes from now on, and closes everything: within about five seconds. Who still waits then gets an error. May be
  /// called again.
  public func stop() async {
    await withCheckedContinuation { continuation in
      queue.async { [self] in
        turnstile.close()
        for _ in 0..<Self.graceMilliseconds where !turnstile.isEmpty { usleep(1000) }
        server.value.stop()
        continuation.resume()
      }
    }
  }
}

/// What a loader is told besides the key.
public struct LoadContext: Sendable {
  public let namespace: String
  /// Nobody waits for the value after this; the loader's task is cancelled then.
  public let deadline: ContinuousClock.Instant
}
