import NexusModel
import NexusService

/// What goes on between a node and etcd, without the connection: which endpoint is asked what, and when again. Times
/// are milliseconds of a clock that never goes back.
///
/// One conversation at a time, with one address of one endpoint. It ends with its first failure; then the next address
/// has its turn, and after all of them there is a pause. A refusal to register this node (rights, space) ends nothing:
/// every endpoint would say the same, and the others are still to be found.
struct EtcdFollower {
  struct Settings: Sendable {
    var endpoints: [EtcdEndpoint]
    var leaseSeconds: Int
    /// For an answer.
    var timeoutMilliseconds: Int
    /// The pause after the first round in vain, and the longest.
    var retryMilliseconds: ClosedRange<Int>
  }

  enum Input {
    case begin
    case resolved(Result<[String], ResolverFailure>)
    case answered(EtcdAnswer)
    /// A call ended without its answer, or one that should not end did.
    case ended(EtcdRequest.Kind, CallEnd)
    /// An answer made no sense.
    case garbled(String)
    case leave
    case tick
  }

  enum Output {
    case resolve(String)
    /// What is asked from here on is asked there.
    case turn(to: NetworkAddress)
    /// A `watch` takes the place of the one before.
    case ask(EtcdRequest)
    /// All calls end.
    case hangUp
    case event(DiscoveryEvent)
    case log(LogLevel, String, [(String, String)])
    /// The node's key is gone, or will not be taken away.
    case left(Bool)
  }

  private struct Conversation {
    let endpoint: EtcdEndpoint
    /// The watch was created at least once: etcd is as it should be.
    var isWatching = false
    /// When the watch must have been created.
    var watchDeadline: Int?
  }

  private enum Phase {
    case idle
    case resolving(EtcdEndpoint)
    case conversing(Conversation)
    case pausing(until: Int)
  }

  private let settings: Settings
  private var view: EtcdView
  private var registration: EtcdRegistration
  private var phase = Phase.idle
  /// In the order of the next round.
  private var endpoints: [EtcdEndpoint]
  /// What is left of this round: endpoints, and addresses of the endpoint that was looked up last.
  private var nextEndpoints: [EtcdEndpoint] = []
  private var nextAddresses: [(EtcdEndpoint, NetworkAddress)] = []
  private var generator: any RandomNumberGenerator
  private var backoff: Backoff
  /// Complained about since they last answered: one that is not there may be one that refuses when it is.
  private var lost: Set<EtcdEndpoint> = []
  private var refusing: Set<EtcdEndpoint> = []
  private var hasLeft = false
  private var outputs: [Output] = []

  /// - Parameters:
  ///   - prefix: of all members' keys; this node's name completes its own.
  ///   - own: what others shall find.
  init(
    _ settings: Settings, prefix: String, name: MemberID, own: NetworkAddress,
    generator: any RandomNumberGenerator
  ) {
    precondition(!settings.endpoints.isEmpty, "etcd without an endpoint")
    self.settings = settings
    self.generator = generator
    view = EtcdView(prefix: prefix, own: own, absenceMilliseconds: settings.leaseSeconds * 1000)
    registration = EtcdRegistration(
      key: prefix + name.text, value: own.description, seconds: settings.leaseSeconds,
      retryMilliseconds: settings.retryMilliseconds)
    endpoints = settings.endpoints
    backoff = Backoff(
      first: settings.retryMilliseconds.lowerBound, longest: settings.retryMilliseconds.upperBound)
  }

  mutating func step(_ input: Input, now: Int) -> [Output] {
    outputs = []
    switch (input, phase) {
    case (.begin, .idle):
      endpoints.shuffle(using: &generator)
      beginRound(now)
    case (.resolved(let result), .resolving(let endpoint)): onResolved(result, endpoint, now)
    case (.answered(let answer), .conversing(let conversation)): onAnswer(answer, conversation, now)
    case (.ended(let kind, let end), .conversing(let conversation)): onEnd(kind, end, conversation, now)
    case (.garbled(let reason), .conversing(let conversation)):
      fail(conversation, "what answers does not speak etcd's API: \(reason)", isRefusal: true, now)
    case (.leave, _):
      ask(registration.leave())
      // There is a lease to give back, and no patience.
      if case .pausing = phase, registration.state == .leaving { beginRound(now) }
    case (.tick, _): tick(now)
    // Of a conversation that is over.
    case (.begin, _), (.resolved, _), (.answered, _), (.ended, _), (.garbled, _): break
    }
    report()
    return outputs
  }

  // MARK: Rounds

  private mutating func beginRound(_ now: Int) {
    nextEndpoints = endpoints
    nextAddresses = []
    goOn(now)
  }

  /// To the next address of this round, or to a pause.
  private mutating func goOn(_ now: Int) {
    if !nextAddresses.isEmpty {
      let (endpoint, address) = nextAddresses.removeFirst()
      phase = .conversing(Conversation(endpoint: endpoint))
      outputs += [.turn(to: address), .ask(.range(prefix: view.prefix))]
      ask(registration.begin(now: now))
    } else if !nextEndpoints.isEmpty {
      let endpoint = nextEndpoints.removeFirst()
      phase = .resolving(endpoint)
      outputs.append(.resolve(endpoint.address.host))
    } else {
      phase = .pausing(until: now + backoff.next(using: &generator))
    }
  }

  private mutating func onResolved(_ result: Result<[String], ResolverFailure>, _ endpoint: EtcdEndpoint, _ now: Int) {
    switch result {
    case .success(let hosts):
      nextAddresses = hosts.map { (endpoint, NetworkAddress(host: $0, port: endpoint.address.port)) }
    case .failure(let failure):
      complain(endpoint, "its name does not resolve: \(failure.reason)", isRefusal: false)
    }
    goOn(now)
  }

  /// The conversation is over.
  private mutating func fail(_ conversation: Conversation, _ reason: String, isRefusal: Bool, _ now: Int) {
    outputs.append(.hangUp)
    registration.end()
    view.onSilence()
    complain(conversation.endpoint, reason, isRefusal: isRefusal)
    if conversation.isWatching {
      // It was good for a while: a new round after a short pause, in which the others come first.
      (nextEndpoints, nextAddresses) = ([], [])
      if let index = endpoints.firstIndex(of: conversation.endpoint) {
        endpoints = Array(endpoints[(index + 1)...] + endpoints[...index])
      }
    }
    goOn(now)
  }

  private mutating func complain(_ endpoint: EtcdEndpoint, _ reason: String, isRefusal: Bool) {
    let isNews = isRefusal ? refusing.insert(endpoint).inserted : lost.insert(endpoint).inserted
    guard isNews else { return }
    log(
      .warning, "no conversation with etcd: what it said last stands, and it is tried again and again",
      ("endpoint", "\(endpoint)"), ("reason", reason))
  }

  // MARK: Conversations

  private mutating func onAnswer(_ answer: EtcdAnswer, _ conversation: Conversation, _ now: Int) {
    switch answer {
    case .granted(let lease, let seconds): ask(registration.onGranted(lease, seconds, now: now))
    case .keptAlive(let lease, let seconds): ask(registration.onKeptAlive(lease, seconds, now: now))
    case .put(let revision): ask(registration.onPut(at: revision))
    case .revoked: registration.onRevoked()
    case .range(let keys, let revision):
      tell(view.onList(keys, now: now))
      ask(registration.onList(keys, at: revision))
      var conversation = conversation
      conversation.watchDeadline = now + settings.timeoutMilliseconds
      phase = .conversing(conversation)
      outputs.append(.ask(.watch(prefix: view.prefix, from: revision + 1)))
    case .watched(let message): onWatched(message, conversation, now)
    }
  }

  private mutating func onWatched(_ message: EtcdWatched, _ conversation: Conversation, _ now: Int) {
    for event in message.events {
      tell(view.onEvent(event))
      ask(registration.onEvent(event))
    }
    if message.isCanceled {
      guard message.compactRevision != 0 else {
        return fail(conversation, "it ended the watch: \(message.reason)", isRefusal: true, now)
      }
      // What happened since the list is forgotten there: another list says where it led.
      outputs.append(.ask(.range(prefix: view.prefix)))
    } else if message.isCreated {
      var conversation = conversation
      conversation.watchDeadline = nil
      conversation.isWatching = true
      phase = .conversing(conversation)
      backoff.reset()
      let wasLost = lost.remove(conversation.endpoint) != nil
      let wasRefusing = refusing.remove(conversation.endpoint) != nil
      if wasLost || wasRefusing { log(.info, "etcd answers again", ("endpoint", "\(conversation.endpoint)")) }
    }
  }

  private mutating func onEnd(_ kind: EtcdRequest.Kind, _ end: CallEnd, _ conversation: Conversation, _ now: Int) {
    // An etcd without a leader is unavailable: another endpoint may have one.
    if end.cause == .served, end.status.code != .unavailable {
      let isUnknownLease = end.status.code == .notFound
      switch kind {
      case .put where isUnknownLease: return ask(registration.onLost())
      case .revoke where isUnknownLease: return registration.onRevoked()
      case .grant, .put: return registration.onRefused("\(end.status)", now: now, using: &generator)
      case .revoke:
        log(.warning, "etcd does not take this node's key away: it goes with its lease", ("reason", "\(end.status)"))
        return outputs.append(.left(false))
      case .keepAlive, .range, .watch: break
      }
    }
    fail(conversation, reason(end), isRefusal: end.cause == .served, now)
  }

  private func reason(_ end: CallEnd) -> String {
    switch end.cause {
    case .notConnected(let failure): "\(failure)"
    case .served: "it answers: \(end.status)"
    case .given: silence
    case .refused, .reset, .lost: end.status.message
    }
  }

  private var silence: String { "no answer within \(settings.timeoutMilliseconds) ms" }

  // MARK: Time

  /// When `tick` has something to do; nil: never.
  var nextDeadline: Int? {
    switch phase {
    case .idle, .resolving: return nil
    case .pausing(let until): return until
    case .conversing(let conversation):
      let expiry = conversation.isWatching ? view.nextExpiry : nil
      return [patience(conversation), registration.nextDeadline, expiry].compactMap(\.self).min()
    }
  }

  /// When etcd counts as silent; nil: nothing is owed that its call's own time limit does not watch over.
  private func patience(_ conversation: Conversation) -> Int? {
    let keptAlive = registration.isOwedSince.map { $0 + settings.timeoutMilliseconds }
    return [conversation.watchDeadline, keptAlive].compactMap(\.self).min()
  }

  private mutating func tick(_ now: Int) {
    switch phase {
    case .idle, .resolving: return
    case .pausing(let until): if until <= now { beginRound(now) }
    case .conversing(let conversation):
      if let end = patience(conversation), end <= now { return fail(conversation, silence, isRefusal: false, now) }
      ask(registration.tick(now: now))
      if conversation.isWatching { tell(view.expire(now: now)) }
    }
  }

  // MARK: What comes of it

  private mutating func ask(_ requests: [EtcdRequest]) { outputs += requests.map { .ask($0) } }
  private mutating func tell(_ events: [DiscoveryEvent]) { outputs += events.map { .event($0) } }

  private mutating func log(_ level: LogLevel, _ message: String, _ fields: (String, String)...) {
    outputs.append(.log(level, message, fields))
  }

  /// What the parts have to say.
  private mutating func report() {
    for (key, value) in view.complaints {
      log(.warning, "a member's key in etcd has no address: put IP:PORT there", ("key", key), ("value", value))
    }
    view.complaints = []
    for news in registration.news {
      switch news {
      case .lost: log(.info, "etcd has lost this node's lease: the node registers again")
      case .displaced(let value):
        log(
          .warning, "another node has registered in etcd under this one's name: give each node a node-id of its own",
          ("key", registration.key), ("value", value))
      case .refused(let reason):
        log(
          .error,
          "etcd does not register this node: others do not find it through etcd. It is tried again and again",
          ("key", registration.key), ("reason", reason))
      case .registeredAgain: log(.info, "etcd registers this node again", ("key", registration.key))
      }
    }
    registration.news = []
    if registration.state == .left, !hasLeft {
      hasLeft = true
      outputs.append(.left(true))
    }
  }
}
