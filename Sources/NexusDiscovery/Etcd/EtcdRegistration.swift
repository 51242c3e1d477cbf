import NexusService

/// This node's own key in etcd: put under a lease, kept alive, put again where it got lost. Without IO.
///
/// Inputs return what is to be asked of etcd; what is worth a line in the log waits in `news`.
struct EtcdRegistration {
  enum State: Equatable {
    /// No lease is known, and none is asked for.
    case absent
    case granting
    case putting
    /// At this revision; 0: by a former conversation, so that any list may contradict.
    case registered(at: Int64)
    /// Somebody else has put the same key, and keeps it.
    case displaced
    case refused(until: Int)
    /// The node leaves: the lease is being revoked, or will be in the next conversation.
    case leaving
    case left
  }

  enum News: Equatable {
    case lost
    case displaced(by: String)
    case refused(reason: String)
    case registeredAgain
  }

  let key: String
  private let value: String
  private let seconds: Int
  private let retryMilliseconds: ClosedRange<Int>

  private(set) var state = State.absent
  private var lease: Int64?
  private var isConversing = false
  /// As a list or a watch said last; nil in `value`: deleted.
  private var seen: (value: EtcdKey?, revision: Int64)?
  /// The lease is kept alive at these times. `askedAt`: an answer is owed.
  private var keepAliveAt: Int?
  private var askedAt: Int?
  private var granted: Int
  private var backoff: Backoff
  private var isRefused = false
  var news: [News] = []

  init(key: String, value: String, seconds: Int, retryMilliseconds: ClosedRange<Int>) {
    self.key = key
    self.value = value
    self.seconds = seconds
    granted = seconds
    self.retryMilliseconds = retryMilliseconds
    backoff = Backoff(first: retryMilliseconds.lowerBound, longest: retryMilliseconds.upperBound)
  }

  // MARK: Conversations

  /// etcd can be asked. A lease of an earlier conversation may still live: its answer will say.
  mutating func begin(now: Int) -> [EtcdRequest] {
    isConversing = true
    seen = nil
    switch state {
    case .left: return []
    case .leaving: return revoke()
    default: break
    }
    guard let lease else { return grant() }
    if state != .displaced { state = .registered(at: 0) }
    return keepAlive(lease, now)
  }

  /// It cannot be asked any more.
  mutating func end() {
    isConversing = false
    (keepAliveAt, askedAt) = (nil, nil)
    if state == .granting { state = .absent }
  }

  // MARK: Answers

  mutating func onGranted(_ lease: Int64, _ seconds: Int, now: Int) -> [EtcdRequest] {
    self.lease = lease
    granted = max(1, seconds)
    keepAliveAt = now + intervalMilliseconds
    if state == .leaving { return revoke() }
    return put(lease)
  }

  mutating func onPut(at revision: Int64) -> [EtcdRequest] {
    guard state == .putting else { return [] }
    state = .registered(at: revision)
    backoff.reset()
    if isRefused { news.append(.registeredAgain) }
    isRefused = false
    return judge()
  }

  mutating func onKeptAlive(_ lease: Int64, _ seconds: Int, now: Int) -> [EtcdRequest] {
    guard lease == self.lease else { return [] }
    askedAt = nil
    guard seconds > 0 else { return onLost() }
    keepAliveAt = now + intervalMilliseconds
    return []
  }

  /// etcd has no such lease, and so no key of ours.
  mutating func onLost() -> [EtcdRequest] {
    lease = nil
    (keepAliveAt, askedAt) = (nil, nil)
    if state == .leaving {
      state = .left
      return []
    }
    news.append(.lost)
    return grant()
  }

  /// etcd answered that it will not.
  mutating func onRefused(_ reason: String, now: Int, using generator: inout some RandomNumberGenerator) {
    if state == .leaving || state == .left { return }
    state = .refused(until: now + backoff.next(using: &generator))
    if !isRefused { news.append(.refused(reason: reason)) }
    isRefused = true
  }

  mutating func onRevoked() {
    lease = nil
    (keepAliveAt, askedAt) = (nil, nil)
    state = .left
  }

  // MARK: What others see

  mutating func onList(_ keys: [EtcdKey], at revision: Int64) -> [EtcdRequest] {
    let own = keys.first { $0.key == key }
    seen = (own, own?.revision ?? revision)
    return judge()
  }

  mutating func onEvent(_ event: EtcdWatched.Event) -> [EtcdRequest] {
    guard event.key.key == key else { return [] }
    seen = (event.isDeletion ? nil : event.key, event.key.revision)
    return judge()
  }

  /// Compares what is seen with what was put. The later revision says what is true.
  private mutating func judge() -> [EtcdRequest] {
    guard let seen, let lease else { return [] }
    switch state {
    case .registered(let revision) where seen.revision > revision: break
    case .displaced: break
    default: return []
    }
    guard let value = seen.value else { return put(lease) }
    guard value.lease != lease else { return [] }
    if state != .displaced { news.append(.displaced(by: value.value)) }
    state = .displaced
    return []
  }

  // MARK: Leaving

  mutating func leave() -> [EtcdRequest] {
    switch state {
    case .leaving, .left: return []
    case .granting:
      // What is granted will be revoked.
      state = .leaving
      return []
    default:
      guard lease != nil else {
        state = .left
        return []
      }
      state = .leaving
      return isConversing ? revoke() : []
    }
  }

  // MARK: Time

  private var intervalMilliseconds: Int { granted * 1000 / 3 }

  var nextDeadline: Int? {
    guard isConversing else { return nil }
    if case .refused(let until) = state { return min(until, keepAliveAt ?? until) }
    return keepAliveAt
  }

  /// Since when a keep-alive has been waiting for its answer.
  var isOwedSince: Int? { askedAt }

  mutating func tick(now: Int) -> [EtcdRequest] {
    guard isConversing else { return [] }
    var requests: [EtcdRequest] = []
    if let keepAliveAt, keepAliveAt <= now, let lease { requests += keepAlive(lease, now) }
    if case .refused(let until) = state, until <= now { requests += lease.map { put($0) } ?? grant() }
    return requests
  }

  // MARK: Asking

  private mutating func grant() -> [EtcdRequest] {
    state = .granting
    return [.grant(seconds: seconds)]
  }

  private mutating func put(_ lease: Int64) -> [EtcdRequest] {
    state = .putting
    return [.put(key: key, value: value, lease: lease)]
  }

  private mutating func keepAlive(_ lease: Int64, _ now: Int) -> [EtcdRequest] {
    keepAliveAt = now + intervalMilliseconds
    if askedAt == nil { askedAt = now }
    return [.keepAlive(lease: lease)]
  }

  private mutating func revoke() -> [EtcdRequest] {
    guard let lease else {
      state = .left
      return []
    }
    (keepAliveAt, askedAt) = (nil, nil)
    return [.revoke(lease: lease)]
  }
}
