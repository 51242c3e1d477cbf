import Glibc
import NexusModel
import NexusTestSupport
import Synchronization

/// Clients that write in pipelines, at a rate of all together, each key once, and remember which of them were
/// acknowledged. What one client does not get an answer for is left out of the account, and it goes to the next node.
final class FastWrites: Sendable {
  struct Account {
    /// By client, the numbers of its keys.
    var acknowledged: [[Int]] = []
    var unanswered = 0
    var refused: [String: Int] = [:]
    var seconds = 0.0

    var count: Int { acknowledged.reduce(0) { $0 + $1.count } }
    var perSecond: Int { Int(Double(count) / max(seconds, 0.001)) }
  }

  private static let batch = 50

  private let name: String
  private let doors: [CountingLoad.Door]
  private let interval: Double
  private let isOver = Atomic<Bool>(false)
  private let accounts: Guarded<[Account]>
  private let threads = Guarded<[Background]>([])
  private let start = MonotonicClock.seconds()

  /// - Parameters:
  ///   - name: of the keys; no two loads on one cluster have the same.
  ///   - rate: writes per second of all clients, if the cluster and this process manage.
  init(_ name: String, clients: Int = 4, rate: Int, _ doors: [CountingLoad.Door]) {
    (self.name, self.doors) = (name, doors)
    interval = Double(Self.batch * clients) / Double(rate)
    accounts = Guarded(Array(repeating: Account(), count: clients))
    let started = (0..<clients).map { client in Background { [self] in work(client) } }
    threads.withLock { $0 = started }
  }

  func key(_ client: Int, _ number: Int) -> String { "\(name):\(client):\(number)" }

  func stop() -> Account {
    isOver.store(true, ordering: .relaxed)
    threads.withLock { for thread in $0 { thread.join() } }
    var sum = Account()
    for account in accounts.withLock({ $0 }) {
      sum.acknowledged += account.acknowledged
      sum.unanswered += account.unanswered
      sum.refused.merge(account.refused) { $0 + $1 }
    }
    sum.seconds = MonotonicClock.seconds() - start
    return sum
  }

  private func work(_ client: Int) {
    var account = Account()
    var acknowledged: [Int] = []
    var connection: RESPClient?
    var place = client
    var next = 0
    var due = MonotonicClock.seconds()
    while !isOver.load(ordering: .relaxed) {
      let early = due - MonotonicClock.seconds()
      if early > 0 { usleep(UInt32(early * 1_000_000)) }
      // Who was held up does not make up for more than a moment.
      due = max(due + interval, MonotonicClock.seconds() - 0.2)
      let numbers = next..<(next + Self.batch)
      next += Self.batch
      do {
        let open = try connection ?? doors[place % doors.count]()
        connection = open
        try open.send(numbers.reduce(into: "") { $0 += "SET \(key(client, $1)) \($1)\r\n" })
        for number in numbers {
          let reply = try open.read()
          if reply == .ok {
            acknowledged.append(number)
          } else {
            account.refused[String((reply.string ?? "\(reply)").prefix(24)), default: 0] += 1
          }
        }
      } catch {
        connection = nil
        place += 1
        account.unanswered += Self.batch
        usleep(5_000)
      }
    }
    account.acknowledged = [acknowledged]
    accounts.withLock { [account] in $0[client] = account }
  }

  /// Acknowledged keys that do not have their value at this node.
  func missing(_ account: Account, at node: ClusterOfProcesses.Node) throws -> [String] {
    let client = try node.client(timeoutSeconds: 60)
    var missing: [String] = []
    for (number, own) in account.acknowledged.enumerated() {
      for start in stride(from: 0, to: own.count, by: 500) {
        let part = own[start..<min(start + 500, own.count)]
        try client.send(part.reduce(into: "") { $0 += "GET \(key(number, $1))\r\n" })
        for index in part where try client.read() != .text("\(index)") { missing.append(key(number, index)) }
      }
    }
    return missing
  }
}
