import Glibc
import NexusModel
import Synchronization
import Testing

@testable import NexusStore

/// Threads at once: each owns its keys and knows what it wrote last, all share stripes, lanes, heaps and the ceiling.
@Suite struct StoreThreadsTests {
  final class Team: Sendable {
    let store: Store
    let seed: UInt64
    let wrong = Atomic<Int>(0)
    let steps: Int

    init(_ store: Store, seed: UInt64, steps: Int) {
      self.store = store
      self.seed = seed
      self.steps = steps
    }
  }

  @Test(arguments: [EvictionPolicyName.s3fifo, .lru, .sizeAware, .random, .ttl])
  func whatAThreadFindsIsWhatItWroteLast(_ policy: EvictionPolicyName) throws {
    let seed = UInt64.random(in: 0...(.max))
    print("seed \(seed)")
    var configuration = StoreConfiguration()
    configuration.maxMemoryBytes = 8 << 20
    configuration.loops = 3
    let store = try Store(configuration)
    var settings = NamespaceSettings(name: "default")
    settings.eviction = policy
    store.configure(0, settings, as: 99)
    let team = Team(store, seed: seed, steps: 8000)
    var threads: [pthread_t] = []
    for number in 0..<3 {
      var thread = pthread_t()
      let context = Unmanaged.passRetained(Member(team, number)).toOpaque()
      #expect(pthread_create(&thread, nil, runMember, context) == 0)
      threads.append(thread)
    }
    for thread in threads { pthread_join(thread, nil) }
    #expect(team.wrong.load(ordering: .relaxed) == 0)
    var visible = 0
    var cursor: UInt64 = 0
    repeat {
      cursor = store.scan(0, from: cursor, budget: 100, as: 1, now: 2_000_000) { _ in visible += 1 }
    } while cursor != 0
    #expect(visible <= store.count(in: 0))
    #expect(store.memory.usedBytes < 9 << 20)
  }

  final class Member {
    let team: Team
    let number: Int
    var random: Seeded
    var written: [Int: UInt8] = [:]

    init(_ team: Team, _ number: Int) {
      self.team = team
      self.number = number
      random = Seeded(state: team.seed &+ UInt64(number))
    }

    func run() {
      var plain = Plain(team.store, as: Worker(number + 1))
      for step in 0..<team.steps {
        plain.now += 1
        let index = Int.random(in: 0..<4000, using: &random)
        let name = bytes("\(number):\(index)")
        switch Int.random(in: 0..<100, using: &random) {
        case 0..<45:
          let mark = UInt8(truncatingIfNeeded: step)
          let most = [50, 300, 3000, 20_000][Int.random(in: 0..<4, using: &random)]
          let count = Int.random(in: 1..<most, using: &random)
          let expiry: Expiry = step % 3 == 0 ? .at(plain.now + 500) : .none
          if plain.set(name, [UInt8](repeating: mark, count: count), 0, expiry) == .stored { written[index] = mark }
        case 45..<60:
          plain.delete(name)
          written[index] = nil
        case 60..<63:
          plain.maintain(loop: number)
        case 63: _ = team.store.compact(moves: 64, as: plain.worker)
        case 64 where step % 11 == 0:
          _ = team.store.scan(0, from: random.next() >> 20, budget: 50, as: plain.worker, now: plain.now) { _ in }
        case 65 where step % 400 == 0: team.store.flush(5, as: plain.worker)
        default:
          // Evicted, expired, or the last value: never another.
          if let value = plain.get(name), value.contains(where: { $0 != written[index] }) {
            team.wrong.wrappingAdd(1, ordering: .relaxed)
          }
        }
      }
    }
  }
}

private func runMember(_ context: UnsafeMutableRawPointer?) -> UnsafeMutableRawPointer? {
  Unmanaged<StoreThreadsTests.Member>.fromOpaque(context!).takeRetainedValue().run()
  return nil
}
