import Glibc
import NexusModel
import NexusService

/// Members by what etcd knows: each node keeps a key with its peer address there, under a lease, and watches the keys
/// of the others. Works on an event loop's thread, over that loop's message streams.
public final class EtcdDiscovery: Discovery, @unchecked Sendable {
  public struct Configuration: Sendable {
    public var endpoints: [EtcdEndpoint]
    /// Clusters that share an etcd have keys of their own.
    public var clusterName: String
    /// So long after a node's last sign of life etcd drops its key.
    public var leaseSeconds: Int
    /// For an answer.
    public var timeoutMilliseconds: Int
    /// The pause after all endpoints were tried in vain, at first and at most.
    public var retryMilliseconds: ClosedRange<Int>

    /// - Parameter endpoints: at least one.
    public init(
      endpoints: [EtcdEndpoint], clusterName: String, leaseSeconds: Int = 10, timeoutMilliseconds: Int = 3000,
      retryMilliseconds: ClosedRange<Int> = 250...4000
    ) {
      self.endpoints = endpoints
      self.clusterName = clusterName
      self.leaseSeconds = leaseSeconds
      self.timeoutMilliseconds = timeoutMilliseconds
      self.retryMilliseconds = retryMilliseconds
    }

    /// `/nexuscache/CLUSTER/members/`, in front of a node's name.
    public var prefix: String { "/nexuscache/\(clusterName)/members/" }
  }

  /// What other threads may touch.
  private struct Shared {
    var isStopped = false
    var hasLeft: Bool?
  }

  private let configuration: Configuration
  private let loop: any EventLoop
  private let streams: any MessageStreams
  private let resolver: Resolver
  private let log: any Log
  private let shared = Guarded(Shared())

  // Invariant: from here on all is touched by the loop's thread only, or before `start` has posted to it.
  private var events: @Sendable (DiscoveryEvent) -> Void = { _ in }
  private var follower: EtcdFollower?
  private var address: NetworkAddress?
  private var calls: [EtcdCall] = []
  private var inputs: [(EtcdFollower.Input, from: EtcdCall?)] = []
  private var isStepping = false
  /// When the timer comes that counts.
  private var timerAt = Int.max

  /// - Parameters:
  ///   - loop: where it works; never by a call that blocks.
  ///   - streams: that loop's.
  ///   - resolver: called on threads of its own.
  public init(
    _ configuration: Configuration, loop: any EventLoop, streams: any MessageStreams,
    resolver: @escaping Resolver = resolveBySystem, log: any Log
  ) {
    self.configuration = configuration
    self.loop = loop
    self.streams = streams
    self.resolver = resolver
    self.log = log
  }

  public func start(_ member: Member, events: @escaping @Sendable (DiscoveryEvent) -> Void) {
    self.events = events
    let settings = EtcdFollower.Settings(
      endpoints: configuration.endpoints, leaseSeconds: configuration.leaseSeconds,
      timeoutMilliseconds: configuration.timeoutMilliseconds, retryMilliseconds: configuration.retryMilliseconds)
    follower = EtcdFollower(
      settings, prefix: configuration.prefix, name: member.id,
      own: NetworkAddress(host: member.host, port: member.peerPort), generator: SystemRandomNumberGenerator())
    loop.post { [self] in take(.begin) }
  }

  /// Not on the loop's thread, which does the work.
  public func deregister(timeoutMilliseconds: Int) -> Bool {
    loop.post { [self] in take(.leave) }
    let deadline = monotonicMilliseconds() + timeoutMilliseconds
    while true {
      if let hasLeft = shared.withLock(\.hasLeft) { return hasLeft }
      if monotonicMilliseconds() >= deadline {
        log.warning(
          "etcd did not take this node's key away in time: others find it until its lease ends",
          ("seconds", "\(configuration.leaseSeconds)"))
        return false
      }
      usleep(5000)
    }
  }

  public func stop() {
    // Waits for an event that is being told.
    shared.withLock { $0.isStopped = true }
    loop.post { [self] in
      hangUp()
      follower = nil
      events = { _ in }
    }
  }

  // MARK: The loop's thread

  fileprivate func take(_ input: EtcdFollower.Input, from call: EtcdCall? = nil) {
    inputs.append((input, from: call))
    guard !isStepping else { return }
    isStepping = true
    defer { isStepping = false }
    while !inputs.isEmpty {
      let (input, call) = inputs.removeFirst()
      // What a call said before it was hung up belongs to a conversation that is over.
      if call?.isSilenced == true || shared.withLock(\.isStopped) { continue }
      for output in follower?.step(input, now: nowMilliseconds) ?? [] { perform(output) }
    }
    setTimer()
  }

  private func perform(_ output: EtcdFollower.Output) {
    switch output {
    case .resolve(let host): resolve(host)
    case .turn(let address): self.address = address
    case .ask(let request): ask(request)
    case .hangUp: hangUp()
    case .event(let event): shared.withLock { if !$0.isStopped { events(event) } }
    case .log(let level, let message, let fields): if level >= log.minimum { log.write(level, message, fields) }
    case .left(let isGone): shared.withLock { $0.hasLeft = isGone }
    }
  }

  private func resolve(_ host: String) {
    if isNumericHost(host) { return take(.resolved(.success([host]))) }
    onThreadOfItsOwn { [self] in
      let result = resolver(host)
      loop.post { [self] in take(.resolved(result)) }
    }
  }

  private func ask(_ request: EtcdRequest) {
    if case .keepAlive = request, let call = calls.first(where: { $0.kind == .keepAlive }) { return call.send(request) }
    if case .watch = request, let index = calls.firstIndex(where: { $0.kind == .watch }) {
      calls.remove(at: index).hangUp()
    }
    guard let address else { return }
    let call = EtcdCall(request.kind, self)
    calls.append(call)
    // Without it a watch of a member that has lost its leader would go on in silence.
    streams.open(
      to: address, path: request.kind.path, headers: [("hasleader", "true")],
      timeoutMilliseconds: request.kind.isStream ? nil : configuration.timeoutMilliseconds, call)
    call.send(request)
  }

  private func hangUp() {
    for call in calls { call.hangUp() }
    calls = []
  }

  fileprivate func ended(_ call: EtcdCall) { calls.removeAll { $0 === call } }

  private var nowMilliseconds: Int { Int(loop.monotonicNanoseconds / 1_000_000) }

  private func setTimer() {
    guard let deadline = follower?.nextDeadline, deadline < timerAt else { return }
    timerAt = deadline
    loop.after(milliseconds: max(0, deadline - nowMilliseconds) + 1) { [weak self] in
      // A timer that an earlier one has overtaken does nothing.
      guard let self, timerAt == deadline else { return }
      timerAt = .max
      take(.tick)
    }
  }
}

/// One call to etcd.
private final class EtcdCall: MessageStreamHandler {
  let kind: EtcdRequest.Kind
  private weak var owner: EtcdDiscovery?
  private var stream: (any MessageStream)?
  private var hasAnswered = false
  /// Nobody wants to hear of it any more.
  private(set) var isSilenced = false

  init(_ kind: EtcdRequest.Kind, _ owner: EtcdDiscovery) {
    self.kind = kind
    self.owner = owner
  }

  func send(_ request: EtcdRequest) {
    _ = stream?.send { request.encode(to: &$0) }
    if !kind.isStream { stream?.finish(.ok) }
  }

  func hangUp() {
    isSilenced = true
    stream?.cancel(CallStatus(.cancelled))
  }

  func opened(_ stream: any MessageStream) { self.stream = stream }

  func received(_ message: UnsafeRawBufferPointer) {
    if isSilenced { return }
    hasAnswered = true
    do { owner?.take(.answered(try EtcdAnswer(kind, decoding: message)), from: self) } catch {
      owner?.take(.garbled("\(error)"), from: self)
    }
  }

  func closed(_ end: CallEnd, _ trailers: [(name: String, value: String)]) {
    stream = nil
    if isSilenced { return }
    owner?.ended(self)
    if !kind.isStream, hasAnswered, end.status.isOK { return }
    owner?.take(.ended(kind, end), from: self)
  }
}
