import Foundation
import Glibc
import NexusModel
import NexusTestSupport
import Synchronization
import Testing

/// Clients that write keys of their own, delete some of them, and keep account of what was acknowledged.
final class WritingLoad: Sendable {
  struct Account {
    /// Written last, and acknowledged; nothing was tried since.
    var values: [String: String] = [:]
    /// Deleted, and acknowledged; nothing was tried since.
    var deleted: Set<String> = []
    var errors: [String: Int] = [:]
    var writes = 0

    mutating func add(_ other: Account) {
      values.merge(other.values) { $1 }
      deleted.formUnion(other.deleted)
      errors.merge(other.errors) { $0 + $1 }
      writes += other.writes
    }
  }

  private let isOver = Atomic<Bool>(false)
  private let account = Guarded(Account())
  private let group = DispatchGroup()

  init(clients: Int, _ doors: [@Sendable () throws -> RESPClient]) {
    for number in 0..<clients {
      let thread = Thread { [self] in
        let own = work(number, doors)
        account.withLock { $0.add(own) }
        group.leave()
      }
      group.enter()
      thread.start()
    }
  }

  func stop() -> Account {
    isOver.store(true, ordering: .relaxed)
    group.wait()
    return account.withLock { $0 }
  }

  private func work(_ number: Int, _ doors: [@Sendable () throws -> RESPClient]) -> Account {
    var account = Account()
    var client: RESPClient?
    var door = number
    var step = 0
    while !isOver.load(ordering: .relaxed) {
      step += 1
      let deletes = step % 5 == 0
      let key = "writer:\(number):\(deletes ? step - 3 : step)"
      // What is tried now is open until it is answered.
      account.values[key] = nil
      account.deleted.remove(key)
      do {
        let open = try client ?? doors[door % doors.count]()
        client = open
        let reply = try deletes ? open.ask("DEL", key) : open.ask("SET", key, "\(step)")
        account.writes += 1
        if deletes, reply.number != nil {
          account.deleted.insert(key)
        } else if reply == .ok {
          account.values[key] = "\(step)"
        } else {
          account.errors[String((reply.string ?? "\(reply)").prefix(12)), default: 0] += 1
        }
      } catch {
        // Its node is gone: the next one serves.
        client = nil
        door += 1
        usleep(20_000)
      }
    }
    return account
  }
}

extension ClusterTests {
  /// What replicas are for.
  @Suite struct DeadOwners {
    @Test("no write that a quorum acknowledged is lost and no delete undone, whichever of three nodes is killed")
    func killed() throws {
      try ClusterOfProcesses.story(3, ["--replicas", "3", "--ack", "quorum"]) { cluster in
        let doors = cluster.nodes.map { node in
          let port = node.redisPort
          return { @Sendable () throws -> RESPClient in try RESPClient(.tcp(port: port), timeoutSeconds: 20) }
        }
        let seed = Dice.seed()
        print("NEXUS_SEED=\(seed)")
        var dice = Dice(seed: seed)
        let load = WritingLoad(clients: 4, doors)
        for _ in 0..<2 {
          usleep(UInt32(400_000 + dice.below(400_000)))
          let victim = cluster[dice.below(3)]
          victim.kill()
          usleep(UInt32(dice.below(1_500_000)))
          try cluster.restart(victim)
          try cluster.waitUntilWhole(seconds: 60)
        }
        let account = load.stop()
        let (kept, removed) = (account.values.count, account.deleted.count)
        cluster.expect(kept > 200 && removed > 30, "little was written: \(account.writes)")
        try cluster.waitUntilWhole(seconds: 60)
        for node in cluster.nodes {
          let client = try node.client()
          let keys = Array(account.values.keys)
          let values = try client.pipeline(keys.map { ["GET", $0].map { Array($0.utf8) } })
          let lost = zip(keys, values).filter { account.values[$0] != $1.string }.map(\.0)
          cluster.expect(
            lost.isEmpty, "\(node.id): \(lost.count) of \(keys.count) are lost: \(lost.prefix(5)), seed \(seed)")
          let gone = Array(account.deleted)
          let back = try zip(gone, client.pipeline(gone.map { ["EXISTS", $0].map { Array($0.utf8) } }))
            .filter { $1.number != 0 }.map(\.0)
          cluster.expect(back.isEmpty, "\(node.id): \(back.count) came back: \(back.prefix(5)), seed \(seed)")
        }
      }
    }
  }
}
