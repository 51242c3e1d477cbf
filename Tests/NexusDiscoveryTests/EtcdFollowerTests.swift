import NexusModel
import NexusService
import NexusTestSupport
import Testing

@testable import NexusDiscovery

/// The follower without an etcd: what is said to it, and what it asks for.
@Suite struct EtcdFollowerTests {
  /// Lets a story be told in few words. Times are milliseconds.
  struct Story {
    var follower: EtcdFollower
    var now = 1000
    /// By the last input.
    var asked: [EtcdRequest] = []
    var addresses: [String] = []
    var events: [DiscoveryEvent] = []
    var lines: [String] = []
    var left: [Bool] = []
    var hangUps = 0

    init(_ urls: String = "http://10.0.0.1:2379", seed: UInt64 = 1) throws {
      follower = EtcdFollower(
        .init(
          endpoints: try EtcdEndpoint.list(urls), leaseSeconds: 9, timeoutMilliseconds: 2000,
          retryMilliseconds: 100...1000), prefix: "/m/", name: MemberID("me")!,
        own: NetworkAddress(host: "10.0.1.1", port: 7946), generator: Dice(seed: seed))
    }

    mutating func say(_ inputs: EtcdFollower.Input...) {
      asked = []
      for input in inputs { take(input) }
    }

    private mutating func take(_ input: EtcdFollower.Input) {
      for output in follower.step(input, now: now) {
        switch output {
        case .resolve("nobody.invalid"): take(.resolved(.failure(ResolverFailure(reason: "no such name"))))
        case .resolve(let host): take(.resolved(.success([host])))
        case .turn(let address): addresses.append("\(address)")
        case .ask(let request): asked.append(request)
        case .hangUp: hangUps += 1
        case .event(let event): events.append(event)
        case .log(let level, let text, let fields): lines.append("\(level) \(text) \(fields)")
        case .left(let isGone): left.append(isGone)
        }
      }
    }

    mutating func answer(_ answers: EtcdAnswer...) {
      asked = []
      for answer in answers { take(.answered(answer)) }
    }

    mutating func end(_ kind: EtcdRequest.Kind, _ code: CallStatus.Code, _ cause: CallEnd.Cause = .served) {
      say(.ended(kind, CallEnd(CallStatus(code, "reason"), cause)))
    }

    /// To the next deadline.
    mutating func wait() {
      now = max(now, follower.nextDeadline ?? now)
      say(.tick)
    }

    /// Registered under lease 7 at revision 10, and watching.
    mutating func settle(_ others: EtcdKey...) {
      say(.begin)
      answer(.range(others, revision: 9), .granted(lease: 7, seconds: 9), .put(revision: 10), .watched(created))
    }

    var created: EtcdWatched {
      var message = EtcdWatched()
      message.isCreated = true
      return message
    }
  }

  private let two = EtcdKey("/m/two", "10.0.1.2:7946", lease: 8, revision: 5)
  private let twoFound = DiscoveryEvent.found(NetworkAddress(host: "10.0.1.2", port: 7946))
  private let twoGone = DiscoveryEvent.gone(NetworkAddress(host: "10.0.1.2", port: 7946))

  @Test func `first the list and a lease, then the key, and the watch goes on where the list ends`() throws {
    var story = try Story()
    story.say(.begin)
    #expect(story.asked == [.range(prefix: "/m/"), .grant(seconds: 9)])
    story.answer(.range([two], revision: 9))
    #expect(story.asked == [.watch(prefix: "/m/", from: 10)])
    #expect(story.events == [twoFound])
    story.answer(.granted(lease: 7, seconds: 9))
    #expect(story.asked == [.put(key: "/m/me", value: "10.0.1.1:7946", lease: 7)])
    story.answer(.watched(story.created), .put(revision: 10))
    // Its own key, seen by the watch, is no news.
    var echo = EtcdWatched()
    echo.events = [.init(key: EtcdKey("/m/me", "10.0.1.1:7946", lease: 7, revision: 10))]
    story.answer(.watched(echo))
    #expect(story.asked.isEmpty && story.events.count == 1 && story.lines.isEmpty)
    // Three times in a lease's life.
    story.wait()
    #expect(story.now == 4000)
    #expect(story.asked == [.keepAlive(lease: 7)])
  }

  @Test func `a watch from a revision that etcd has forgotten begins again with a list`() throws {
    var story = try Story()
    story.settle(two)
    var canceled = EtcdWatched()
    (canceled.isCanceled, canceled.compactRevision) = (true, 40)
    story.answer(.watched(canceled))
    #expect(story.asked == [.range(prefix: "/m/")])
    story.answer(.range([EtcdKey("/m/me", "10.0.1.1:7946", lease: 7, revision: 10)], revision: 50))
    #expect(story.asked == [.watch(prefix: "/m/", from: 51)])
    story.answer(.watched(story.created))
    #expect(story.hangUps == 0 && story.lines.isEmpty)
    // It is absent, but nobody saw it go: it has a lease's time to return.
    #expect(story.events == [twoFound])
    let end = story.now + 9000
    while story.now < end {
      #expect(story.events == [twoFound])
      story.wait()
      story.answer(.keptAlive(lease: 7, seconds: 9))
    }
    #expect(story.events == [twoFound, twoGone])
  }

  @Test func `a watch that is ended for another reason ends the conversation`() throws {
    var story = try Story()
    story.settle()
    var canceled = EtcdWatched()
    (canceled.isCanceled, canceled.reason) = (true, "no leader")
    story.answer(.watched(canceled))
    #expect(story.hangUps == 1)
    #expect(story.lines.count == 1 && story.lines[0].contains("no leader"), "\(story.lines)")
    story.wait()
    #expect(story.asked == [.range(prefix: "/m/"), .keepAlive(lease: 7)])
  }

  @Test func `an etcd without a leader is left for another at once`() throws {
    var story = try Story("http://10.0.0.1:2379,http://10.0.0.2:2379")
    story.say(.begin)
    let first = story.addresses
    story.end(.range, .unavailable)
    #expect(story.addresses.count == 2 && story.addresses[1] != first[0])
    #expect(story.lines.count == 1)
    #expect(story.asked == [.range(prefix: "/m/"), .grant(seconds: 9)])
  }

  @Test func `pauses grow, and each endpoint is complained about once`() throws {
    let seed = Dice.seed()
    print("NEXUS_SEED=\(seed)")
    var story = try Story("http://10.0.0.1:2379,http://nobody.invalid:2379", seed: seed)
    story.say(.begin)
    var pauses: [Int] = []
    for _ in 0..<12 {
      story.end(.range, .unavailable, .notConnected(.refused))
      let before = story.now
      story.wait()
      pauses.append(story.now - before)
    }
    #expect((50...100).contains(pauses[0]), "\(pauses)")
    #expect(pauses.suffix(5).allSatisfy { (500...1000).contains($0) }, "\(pauses)")
    #expect(story.lines.count == 2, "\(story.lines)")
    story.answer(.range([], revision: 3), .watched(story.created))
    #expect(story.lines.count == 3 && story.lines[2].contains("answers again"), "\(story.lines)")
  }

  @Test func `silence ends a conversation, whatever it is that stays out`() throws {
    var story = try Story()
    story.say(.begin)
    story.answer(.range([], revision: 3))
    story.wait()
    #expect(story.now == 3000 && story.hangUps == 1)
    story.wait()
    story.answer(.range([], revision: 3), .watched(story.created), .granted(lease: 7, seconds: 9), .put(revision: 4))
    story.wait()
    #expect(story.hangUps == 1)
    story.wait()
    #expect(story.hangUps == 2)
  }

  @Test func `a lease that etcd does not know any more is granted anew`() throws {
    var story = try Story()
    story.settle()
    story.wait()
    story.answer(.keptAlive(lease: 7, seconds: 0))
    #expect(story.asked == [.grant(seconds: 9)])
    // What is still on its way for the old one means nothing.
    story.answer(.keptAlive(lease: 7, seconds: 0), .granted(lease: 8, seconds: 9))
    #expect(story.asked == [.put(key: "/m/me", value: "10.0.1.1:7946", lease: 8)])
    story.end(.put, .notFound)
    #expect(story.asked == [.grant(seconds: 9)])
  }

  @Test func `after a conversation that broke, the key is put again where it is missing`() throws {
    var story = try Story()
    story.settle()
    story.end(.watch, .unavailable, .lost)
    story.wait()
    #expect(story.asked == [.range(prefix: "/m/"), .keepAlive(lease: 7)])
    story.answer(.range([], revision: 3), .keptAlive(lease: 7, seconds: 9))
    #expect(story.asked == [.put(key: "/m/me", value: "10.0.1.1:7946", lease: 7), .watch(prefix: "/m/", from: 4)])
  }

  @Test func `of two nodes with one name the later keeps the key, and the earlier does not fight`() throws {
    var story = try Story()
    story.settle()
    var event = EtcdWatched()
    event.events = [.init(key: EtcdKey("/m/me", "10.0.1.9:7946", lease: 9, revision: 12))]
    story.answer(.watched(event))
    #expect(story.asked.isEmpty)
    #expect(story.lines.count == 1 && story.lines[0].contains("node-id"), "\(story.lines)")
    event.events = [.init(isDeletion: true, key: EtcdKey("/m/me", revision: 13))]
    story.answer(.watched(event))
    #expect(story.asked == [.put(key: "/m/me", value: "10.0.1.1:7946", lease: 7)])
    // What the watch says late of the time before the node put its key means nothing.
    story.answer(.put(revision: 20))
    event.events = [.init(isDeletion: true, key: EtcdKey("/m/me", revision: 19))]
    story.answer(.watched(event))
    #expect(story.asked.isEmpty)
  }

  @Test func `a refusal to register is said once, tried again, and keeps nobody from being found`() throws {
    var story = try Story()
    story.say(.begin)
    story.answer(.range([two], revision: 9), .watched(story.created))
    for _ in 0..<5 {
      story.end(.grant, .permissionDenied)
      #expect(story.lines.count == 1 && story.hangUps == 0, "\(story.lines)")
      story.wait()
      #expect(story.asked == [.grant(seconds: 9)])
    }
    #expect(story.events == [twoFound])
    story.answer(.granted(lease: 7, seconds: 9), .put(revision: 10))
    #expect(story.lines.count == 2)
  }

  @Test func `who leaves gives the lease back, as soon as there is somebody to give it to`() throws {
    var story = try Story()
    story.settle()
    story.end(.watch, .unavailable, .lost)
    story.say(.leave)
    #expect(story.asked == [.range(prefix: "/m/"), .revoke(lease: 7)])
    story.end(.revoke, .unavailable, .lost)
    story.wait()
    #expect(story.asked == [.range(prefix: "/m/"), .revoke(lease: 7)])
    #expect(story.left.isEmpty)
    story.answer(.revoked, .range([], revision: 30))
    #expect(story.left == [true])
    #expect(story.asked == [.watch(prefix: "/m/", from: 31)])
    // It never registers again, and goes on looking until it is stopped.
    story.answer(.watched(story.created))
    #expect(story.follower.nextDeadline == nil)
    #expect(story.asked.isEmpty)
  }

  @Test func `who leaves before it is registered leaves nothing behind`() throws {
    var early = try Story()
    early.say(.begin)
    early.say(.leave)
    early.answer(.granted(lease: 7, seconds: 9))
    #expect(early.asked.last == .revoke(lease: 7))
    early.end(.revoke, .notFound)
    #expect(early.left == [true])
    var never = try Story()
    never.say(.leave)
    #expect(never.left == [true])
  }

  @Test func `what is no answer of etcd's ends the conversation`() throws {
    var story = try Story()
    story.say(.begin)
    story.say(.garbled("RangeResponse: it is nonsense"))
    #expect(story.hangUps == 1)
    #expect(story.lines.count == 1 && story.lines[0].contains("RangeResponse: it is nonsense"), "\(story.lines)")
    // What arrives of it afterwards is not heard.
    story.answer(.range([two], revision: 9))
    #expect(story.events.isEmpty)
  }
}
