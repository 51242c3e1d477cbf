import Glibc
import NexusModel
import NexusTestSupport
import Synchronization

/// Clients that count by INCR, and read what they have counted, until they are told to stop.
///
/// Each key has an account: increments that were acknowledged, and those whose outcome nobody told. Its value must lie
/// between the first and the sum of both, whatever happened to the nodes. A key belongs to one client, except those
/// that all share.
final class CountingLoad: Sendable {
  struct Account {
    var acknowledged: Int64 = 0
    var unknown: Int64 = 0
    /// The value as last seen, increments of unknown outcome since, and how often it began from nothing again.
    var last: Int64 = 0
    var unknownSince: Int64 = 0
    var losses = 0

    /// Judges a value that was seen, where the key is one client's own; false if one owner cannot have counted so.
    mutating func saw(_ value: Int64, step: Int64, mayForget: Bool) -> Bool {
      let afterLoss = step...(step + unknownSince)
      let isExpected = (last + step...last + step + unknownSince).contains(value)
      let isLoss = !isExpected && mayForget && afterLoss.contains(value)
      if isLoss { losses += 1 }
      if step > 0 || isLoss { (last, unknownSince) = (value, step > 0 ? 0 : unknownSince) }
      return isExpected || isLoss
    }

    mutating func addUnknown() {
      unknown += 1
      unknownSince += 1
    }
  }

  struct Failure {
    var at: Double
    var key: String
    var text: String
  }

  struct Tally {
    var accounts: [String: Account] = [:]
    var failures: [Failure] = []
    var operations = 0
    /// What must never be seen, failures apart.
    var wrong: [String] = []
    /// Operations that took longer than a quarter of a second: when they ended, and how long they took.
    var slow: [(at: Double, took: Double)] = []
    /// Connections that ended while nothing was under way, or between requests.
    var reconnected = 0

    mutating func add(_ other: Tally) {
      accounts.merge(other.accounts) {
        Account(
          acknowledged: $0.acknowledged + $1.acknowledged, unknown: $0.unknown + $1.unknown,
          losses: max($0.losses, $1.losses))
      }
      failures += other.failures
      operations += other.operations
      wrong += other.wrong
      slow += other.slow
      reconnected += other.reconnected
    }
  }

  /// A connection of its own to a node.
  typealias Door = @Sendable () throws -> RESPClient

  /// Client n begins with the nth.
  private let doors: [Door]
  private let keys: @Sendable (_ client: Int) -> [String]
  private let shared: [String]
  /// Keys may have been lost with their node: a value that is too small is no mistake.
  private let mayForget: Bool
  private let operationsEach: Int
  private let isOver = Atomic<Bool>(false)
  private let done = Atomic<Int>(0)
  private let total = Guarded(Tally())
  private let threads = Guarded<[Background]>([])

  /// - Parameters:
  ///   - keys: those of a client beside the shared ones.
  ///   - shared: every fifth operation is one of these.
  init(
    clients: Int, doors: [Door], mayForget: Bool = false, operationsEach: Int = .max,
    shared: [String] = (0..<20).map { "shared:\($0)" },
    keys: @escaping @Sendable (_ client: Int) -> [String] = { client in (0..<40).map { "own:\(client):\($0)" } }
  ) {
    (self.doors, self.keys, self.shared) = (doors, keys, shared)
    (self.mayForget, self.operationsEach) = (mayForget, operationsEach)
    let started = (0..<clients).map { number in Background { [self] in run(number) } }
    threads.withLock { $0 = started }
  }

  convenience init(
    clients: Int, _ nodes: [ClusterOfProcesses.Node], mayForget: Bool = false, operationsEach: Int = .max
  ) {
    self.init(clients: clients, doors: nodes.map(\.door), mayForget: mayForget, operationsEach: operationsEach)
  }

  var operations: Int { done.load(ordering: .relaxed) }

  /// Returns when so many more operations have ended; false if they have not in time.
  func goesOn(for count: Int, seconds: Double = 30) -> Bool {
    let goal = operations + count
    return eventually(seconds: seconds) { operations >= goal }
  }

  func stop() -> Tally {
    isOver.store(true, ordering: .relaxed)
    return finish()
  }

  /// When each client has done what it was to do.
  func finish() -> Tally {
    threads.withLock { for thread in $0 { thread.join() } }
    return total.withLock { $0 }
  }

  private func run(_ number: Int) {
    var client = Client(number, doors, mayForget: mayForget)
    let own = keys(number)
    var round = 0
    while round < operationsEach, !isOver.load(ordering: .relaxed) {
      round += 1
      if round % 5 == 0, !shared.isEmpty {
        client.increment(shared[round / 5 % shared.count], isShared: true)
      } else {
        let key = own[round % own.count]
        if round % 3 == 0 { client.read(key) } else { client.increment(key, isShared: false) }
      }
      done.add(1, ordering: .relaxed)
    }
    let tally = client.tally
    total.withLock { $0.add(tally) }
  }

  private struct Client {
    var tally = Tally()
    private let doors: [Door]
    private let mayForget: Bool
    private var place: Int
    private var connection: RESPClient?

    init(_ number: Int, _ doors: [Door], mayForget: Bool) {
      (self.doors, self.mayForget, place) = (doors, mayForget, number)
    }

    private enum Outcome {
      case reply(RESPValue)
      case lost(String)
    }

    private mutating func ask(_ key: String, _ command: String) -> Outcome {
      let start = MonotonicClock.seconds()
      defer {
        let end = MonotonicClock.seconds()
        tally.operations += 1
        if end - start > 0.25 { tally.slow.append((end, end - start)) }
      }
      do {
        while connection == nil {
          do { connection = try doors[place % doors.count]() } catch {
            place += 1
            tally.reconnected += 1
            if MonotonicClock.seconds() - start > 15 { throw error }
            usleep(2_000)
          }
        }
        return .reply(try connection!.ask(command, key))
      } catch {
        connection = nil
        place += 1
        return .lost("\(error)")
      }
    }

    mutating func increment(_ key: String, isShared: Bool) {
      var account = tally.accounts[key] ?? Account()
      defer { tally.accounts[key] = account }
      switch ask(key, "INCR") {
      case .reply(.integer(let value)):
        let before = account
        account.acknowledged += 1
        if isShared {
          if value < account.acknowledged, !mayForget { tally.wrong.append("INCR \(key) answers \(value): \(before)") }
        } else if !account.saw(value, step: 1, mayForget: mayForget) {
          tally.wrong.append("INCR \(key) answers \(value): \(before)")
        }
      case .reply(let reply):
        let text = reply.string ?? "\(reply)"
        if text.hasPrefix("UNKNOWN") { account.addUnknown() }
        fail(key, text)
      case .lost(let text):
        account.addUnknown()
        fail(key, text)
      }
    }

    mutating func read(_ key: String) {
      var account = tally.accounts[key] ?? Account()
      switch ask(key, "GET") {
      case .reply(.error(let text)): fail(key, String(decoding: text, as: UTF8.self))
      case .reply(let reply):
        let before = account
        if !account.saw(reply.number ?? 0, step: 0, mayForget: mayForget) {
          tally.wrong.append("GET \(key) answers \(reply): \(before)")
        }
        tally.accounts[key] = account
      case .lost(let text): fail(key, text)
      }
    }

    private mutating func fail(_ key: String, _ text: String) {
      tally.failures.append(Failure(at: MonotonicClock.seconds(), key: key, text: text))
    }
  }
}

extension CountingLoad.Tally {
  /// Every key has its value within its bounds, whichever node is asked. Returns what is not so.
  func differences(
    from nodes: [ClusterOfProcesses.Node], where isJudged: (String) -> Bool = { _ in true }
  ) throws -> [String] {
    var found: [String] = []
    for node in nodes {
      let client = try node.client()
      let names = accounts.keys.filter(isJudged).sorted()
      for (name, reply) in zip(names, try client.pipeline(names.map { [Array("GET".utf8), Array($0.utf8)] })) {
        let account = accounts[name]!
        let value = reply.number ?? (reply == .nullBulk ? 0 : -1)
        if value < account.acknowledged || value > account.acknowledged + account.unknown {
          found.append("\(name) at \(node.id): \(reply), \(account)")
        }
      }
    }
    return found
  }

  /// Seconds from then on until the last operation that failed, or took more than a quarter of a second.
  func recovery(from start: Double, to end: Double) -> Double {
    (failures.map(\.at) + slow.map(\.at)).filter { $0 > start && $0 < end }.max().map { $0 - start } ?? 0
  }

  /// How often each text, the commonest first.
  var reasons: String {
    var counts: [String: Int] = [:]
    for failure in failures { counts[failure.text, default: 0] += 1 }
    return counts.sorted { $0.value > $1.value }.prefix(8).map { "\($1) x \($0)" }.joined(separator: "; ")
  }
}
