import Glibc
import NexusModel
import NexusService

/// Members by what a Serf agent on this machine knows: each node has its own agent carry a tag with the node's peer
/// address, and reads the others' tags.
public final class SerfDiscovery: Discovery, @unchecked Sendable {
  public struct Configuration: Sendable {
    /// The agent's RPC.
    public var agent: NetworkAddress
    /// The agent's `rpc_auth`.
    public var authenticationKey: String?
    /// Whose value is a node's peer address. Clusters that share agents have a tag each.
    public var tag: String
    /// The whole list is asked for this often, beside the stream of events.
    public var refreshMilliseconds: Int
    /// For connecting, and for an answer.
    public var timeoutMilliseconds: Int
    /// Before the second attempt to connect, and at most.
    public var retryMilliseconds: ClosedRange<Int>

    public init(
      agent: NetworkAddress = NetworkAddress(host: "127.0.0.1", port: 7373), authenticationKey: String? = nil,
      tag: String = "nexuscache_peer", refreshMilliseconds: Int = 60_000, timeoutMilliseconds: Int = 10_000,
      retryMilliseconds: ClosedRange<Int> = 250...15_000
    ) {
      self.agent = agent
      self.authenticationKey = authenticationKey
      self.tag = tag
      self.refreshMilliseconds = refreshMilliseconds
      self.timeoutMilliseconds = timeoutMilliseconds
      self.retryMilliseconds = retryMilliseconds
    }
  }

  private enum Registration: Sendable { case wanted, unwanted, removed, refused }

  private let configuration: Configuration
  private let resolver: Resolver
  private let log: any Log
  private let registration = Guarded(Registration.wanted)
  /// Written by `start`, read by the others. Invariant: they are called by one thread at a time.
  private var thread: DiscoveryThread?

  public init(_ configuration: Configuration, resolver: @escaping Resolver = resolveBySystem, log: any Log) {
    self.configuration = configuration
    self.resolver = resolver
    self.log = log
  }

  public func start(_ member: Member, events: @escaping @Sendable (DiscoveryEvent) -> Void) {
    let own = NetworkAddress(host: member.host, port: member.peerPort)
    let thread = DiscoveryThread { [self] in follow(on: $0, own: own, events) }
    self.thread = thread
    thread.start()
  }

  public func deregister(timeoutMilliseconds: Int) -> Bool {
    guard let thread else { return false }
    registration.withLock { if $0 == .wanted { $0 = .unwanted } }
    thread.wake()
    let deadline = monotonicMilliseconds() + timeoutMilliseconds
    while true {
      let state = registration.withLock { $0 }
      if state == .removed { return true }
      if state == .refused { return false }
      if monotonicMilliseconds() >= deadline {
        log.warning(
          "the Serf agent did not take this node's tag away in time: others go on finding it until the agent leaves",
          ("agent", "\(configuration.agent)"), ("tag", configuration.tag))
        return false
      }
      usleep(5000)
    }
  }

  public func stop() {
    thread?.join()
    thread = nil
  }

  // MARK: The thread

  private func follow(
    on thread: DiscoveryThread, own: NetworkAddress, _ events: @Sendable (DiscoveryEvent) -> Void
  ) {
    var view = SerfView(tag: configuration.tag, own: own)
    var backoff = Backoff(
      first: configuration.retryMilliseconds.lowerBound, longest: configuration.retryMilliseconds.upperBound)
    var chance = SystemRandomNumberGenerator()
    // What was complained about since the agent last answered.
    var isLost = false
    var isRefused = false
    while !thread.isStopping {
      do throws(TCPStream.Failure) {
        let stream = try TCPStream(
          to: configuration.agent, resolver: resolver, timeoutMilliseconds: configuration.timeoutMilliseconds,
          on: thread)
        try converse(stream, own, &view, thread, events) {
          if isLost || isRefused { log.info("the Serf agent answers again", ("agent", "\(configuration.agent)")) }
          (isLost, isRefused) = (false, false)
          backoff.reset()
        }
      } catch {
        if thread.isStopping { return }
        // Once each, until it answers again: an agent that is not there may be one that refuses when it is.
        let isRefusal = if case .refused = error { true } else { false }
        if isRefusal ? !isRefused : !isLost {
          log.warning(
            "no conversation with the Serf agent: what it said last stands, and it is tried again and again",
            ("agent", "\(configuration.agent)"), ("reason", "\(error)"))
        }
        if isRefusal { isRefused = true } else { isLost = true }
        _ = thread.wait(milliseconds: backoff.next(using: &chance))
      }
    }
  }

  /// One connection, until it ends or the thread is to stop.
  private func converse(
    _ stream: borrowing TCPStream, _ own: NetworkAddress, _ view: inout SerfView, _ thread: DiscoveryThread,
    _ events: @Sendable (DiscoveryEvent) -> Void, isReady: () -> Void
  ) throws(TCPStream.Failure) {
    var session = SerfSession(authenticationKey: configuration.authenticationKey)
    var exchange = Exchange(now: monotonicMilliseconds())
    while !thread.isStopping {
      let now = monotonicMilliseconds()
      if exchange.isReady { ask(&session, &exchange, now) }
      if !session.isWaiting { exchange.answeredAt = now }
      if now - exchange.answeredAt > configuration.timeoutMilliseconds { throw .timedOut }
      try stream.send(&session.output)
      let wanted = session.output.isEmpty ? POLLIN : POLLIN | POLLOUT
      let patience = session.isWaiting ? configuration.timeoutMilliseconds : configuration.refreshMilliseconds
      let isReadable = thread.wait(stream.descriptor, for: wanted, milliseconds: min(patience, 1000) + 1)
      guard isReadable, !thread.isStopping else { continue }
      let bytes = try stream.receive()
      if !bytes.isEmpty { exchange.answeredAt = monotonicMilliseconds() }
      for output in session.receive(bytes) {
        let news: [DiscoveryEvent]
        switch output {
        case .ready:
          exchange.isReady = true
          isReady()
          session.subscribe()
          if registration.withLock({ $0 == .wanted }) { session.setTag(configuration.tag, own.description) }
          news = []
        case .members(let members):
          news = view.onMembers(members, isPeriodic: exchange.isPeriodic)
          exchange.isAsking = false
        case .event(let kind, let members):
          news = view.onEvent(kind, members)
          // What happened may be older than the list: the list decides.
          exchange.isStale = true
        case .tagSet: news = []
        case .tagRemoved:
          registration.withLock { $0 = .removed }
          news = []
        case .tagRefused(let reason):
          refused(reason)
          news = []
        case .failed(let reason): throw .refused(reason)
        }
        complain(&view)
        for event in news where !thread.isStopping { events(event) }
      }
    }
  }

  /// Where a conversation is.
  private struct Exchange {
    var isReady = false
    /// The list is on its way.
    var isAsking = false
    /// Something happened since it was asked for.
    var isStale = true
    /// The list on its way was asked for because it was time.
    var isPeriodic = false
    var isRemoving = false
    var askedAt: Int
    var answeredAt: Int

    init(now: Int) {
      askedAt = now
      answeredAt = now
    }
  }

  private func ask(_ session: inout SerfSession, _ exchange: inout Exchange, _ now: Int) {
    let isDue = now - exchange.askedAt >= configuration.refreshMilliseconds
    if !exchange.isAsking, exchange.isStale || isDue {
      session.askMembers()
      exchange.isPeriodic = isDue
      exchange.isAsking = true
      exchange.isStale = false
      exchange.askedAt = now
    }
    if !exchange.isRemoving, registration.withLock({ $0 == .unwanted }) {
      session.removeTag(configuration.tag)
      exchange.isRemoving = true
    }
  }

  private func refused(_ reason: String) {
    registration.withLock { if $0 == .unwanted { $0 = .refused } }
    log.error(
      "the Serf agent does not change its tags: others do not find this node through Serf. "
        + "An agent with a tags file of its own refuses; start it without -tags-file, or set the tag there",
      ("agent", "\(configuration.agent)"), ("tag", configuration.tag), ("reason", reason))
  }

  private func complain(_ view: inout SerfView) {
    for (member, value) in view.complaints {
      log.warning(
        "the tag of a Serf member is no address: give PORT or IP:PORT", ("member", member),
        ("tag", configuration.tag), ("value", value))
    }
    view.complaints = []
  }
}
