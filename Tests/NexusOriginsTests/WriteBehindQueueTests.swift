import NexusService
import NexusTestSupport
import Testing

@testable import NexusOrigins

@Suite struct WriteBehindQueueTests {
  private var queue = WriteBehindQueue(
    WriteBehindQueue.Limits(
      writes: 10, bytes: 100_000, batch: 3, delayMilliseconds: 100,
      backoff: Backoff(firstMilliseconds: 50, longestMilliseconds: 400)))

  private func write(_ key: String, _ value: String? = "1", timeToLive: Int? = nil) -> OriginWrite {
    OriginWrite(
      key: Array(key.utf8), value: value.map { Array($0.utf8) }, timeToLiveMilliseconds: timeToLive,
      deadlineMilliseconds: 0)
  }

  private mutating func put(_ keys: String..., at now: Int = 0) {
    for key in keys { #expect(accepts(key, at: now) == true) }
  }

  private mutating func accepts(_ key: String, _ value: String? = "1", timeToLive: Int? = nil, at now: Int = 0)
    -> Bool
  {
    queue.put(write(key, value, timeToLive: timeToLive), now: now)
  }

  private mutating func take(at now: Int) -> [String] {
    queue.takeBatch(now: now).map { write in
      String(decoding: write.key, as: UTF8.self) + "="
        + (write.value.map { String(decoding: $0, as: UTF8.self) } ?? "nil")
    }
  }

  private mutating func finish(_ keys: String..., cause: OriginError.Cause? = nil, at now: Int = 0)
    -> [WriteBehindQueue.Lost]
  {
    let result: Result<Void, OriginError> =
      cause.map { .failure(OriginError(origin: "o", $0)) } ?? .success(())
    return queue.finish(keys.map { (Array($0.utf8), result) }, now: now, chance: 0)
  }

  private func latest(_ key: String, at now: Int = 0) -> OriginWrite? { queue.latest(Array(key.utf8), now: now) }

  @Test mutating func aWriteWaitsForOthersButNotForLong() {
    put("a")
    #expect(queue.nextBatch(now: 0) == 100)
    #expect(take(at: 99) == [])
    #expect(take(at: 100) == ["a=1"])
    #expect(queue.count == 1 && queue.nextBatch(now: 100) == nil)
    #expect(finish("a") == [])
    #expect(queue.isEmpty && queue.bytes == 0)
  }

  @Test mutating func aFullBatchWaitsForNothing() {
    put("a", "b", "c", "d")
    #expect(take(at: 0) == ["a=1", "b=1", "c=1"])
    #expect(take(at: 0) == [])
    #expect(queue.nextBatch(now: 0) == 100)
    queue.hurry()
    #expect(take(at: 0) == ["d=1"])
  }

  @Test mutating func ofOneKeyTheNewestIsMadeAndKeepsItsTurn() {
    put("a", "b")
    #expect(accepts("a", "2", at: 90) == true)
    #expect(accepts("a", nil, at: 95) == true)
    #expect(queue.count == 2)
    #expect(take(at: 100) == ["a=nil", "b=1"])
  }

  @Test mutating func whileAKeyIsUnderWayItsNextWriteWaits() {
    put("a")
    #expect(take(at: 100) == ["a=1"])
    #expect(accepts("a", "2", at: 100) == true)
    put("b", at: 150)
    #expect(queue.count == 3 && latest("a")?.value == [UInt8(ascii: "2")])
    #expect(take(at: 250) == ["b=1"])
    #expect(finish("a") == [])
    #expect(take(at: 250) == ["a=2"])
  }

  @Test mutating func whatFailedForNowIsMadeLaterUnlessANewerOneCame() {
    put("a", "b", "c")
    #expect(take(at: 0).count == 3)
    #expect(accepts("b", "2", at: 10) == true)
    #expect(finish("a", "b", "c", cause: .unreachable("down"), at: 10) == [])
    #expect(queue.count == 3)
    // After a pause, which grows while nothing succeeds.
    #expect(take(at: 59) == [])
    #expect(take(at: 60) == ["b=2", "a=1", "c=1"])
    #expect(finish("a", "b", "c", cause: .timedOut(milliseconds: 5), at: 60) == [])
    #expect(take(at: 159) == [])
    #expect(take(at: 160).count == 3)
    #expect(finish("a", "b", "c", at: 160) == [])
    #expect(queue.isEmpty)
  }

  @Test mutating func oneThatFailsForNowHoldsUpNoOther() {
    put("a", "b", "c", "d", "e", "f")
    #expect(take(at: 0) == ["a=1", "b=1", "c=1"])
    #expect(finish("b", "c") == [])
    #expect(finish("a", cause: .wrongStatus(500)) == [])
    queue.hurry()
    #expect(take(at: 0) == ["d=1", "e=1", "f=1"])
    #expect(take(at: 0) == ["a=1"])
  }

  @Test mutating func whatCanNeverBeMadeIsHandedBackUnlessANewerOneCame() {
    put("a", "b", "c")
    #expect(take(at: 0).count == 3)
    #expect(accepts("b", "2", at: 10) == true)
    let lost = finish("a", "b", cause: .rejected("no"))
    #expect(lost == [WriteBehindQueue.Lost(key: Array("a".utf8), error: OriginError(origin: "o", .rejected("no")))])
    #expect(finish("c") == [])
    #expect(queue.count == 1)
  }

  @Test mutating func whatDoesNotFitIsRefused() {
    for index in 0..<10 { put("\(index)") }
    #expect(accepts("x", at: 0) == false)
    #expect(accepts("3", "2", at: 0) == true)
    #expect(accepts("3", String(repeating: "x", count: 100_000), at: 0) == false)
    #expect(latest("3")?.value == [UInt8(ascii: "2")])
    // What is under way is not made yet.
    #expect(take(at: 0).count == 3)
    #expect(accepts("x", at: 0) == false)
    #expect(finish("0") == [])
    #expect(accepts("x") == true)
    #expect(queue.count == 10)
  }

  @Test mutating func aWriteMadePastTheQueueOutdatesWhatWaits() {
    put("a", "b")
    let pass = queue.beginPass(Array("a".utf8))
    // Nothing of its key may overtake it.
    #expect(take(at: 100) == ["b=1"])
    queue.endPass(pass, succeeded: true)
    #expect(latest("a") == nil && queue.count == 1)
    #expect(take(at: 1000) == [])
  }

  @Test mutating func aWriteThatFailedPastTheQueueLeavesWhatWasAcknowledgedBefore() {
    put("a")
    let pass = queue.beginPass(Array("a".utf8))
    #expect(take(at: 100) == [])
    queue.endPass(pass, succeeded: false)
    #expect(take(at: 100) == ["a=1"])
  }

  @Test mutating func aWriteMadePastTheQueueOutdatesWhatIsUnderWayButNotWhatCameLater() {
    put("a", "b")
    #expect(take(at: 100) == ["a=1", "b=1"])
    let passes = ["a", "b"].map { queue.beginPass(Array($0.utf8)) }
    #expect(accepts("b", "2", at: 100) == true)
    for pass in passes { queue.endPass(pass, succeeded: true) }
    #expect(finish("a", "b", cause: .unreachable("down"), at: 100) == [])
    #expect(latest("a") == nil && latest("b")?.value == [UInt8(ascii: "2")])
    #expect(take(at: 500) == ["b=2"])
  }

  @Test mutating func theTimeToLiveGoesOnWhileAWriteWaits() {
    #expect(accepts("a", timeToLive: 1000, at: 0) == true)
    #expect(latest("a", at: 400)?.timeToLiveMilliseconds == 600)
    let batch = queue.takeBatch(now: 5000)
    #expect(batch.map(\.timeToLiveMilliseconds) == [1])
  }

  /// An origin that keeps the newest write that reached it, and a client that knows what it was told.
  @Test func whateverHappensNothingThatWasAcknowledgedIsLostOrOverwrittenByOlder() {
    let seed = Dice.seed()
    print("NEXUS_SEED=\(seed)")
    var dice = Dice(seed: seed)
    for round in 0..<200 { run(round, &dice) }
  }

  private struct Flight {
    var write: OriginWrite
    /// Once the origin has dealt with it. The queue hears of it later.
    var result: Result<Void, OriginError>?
  }

  private struct World {
    var origin: [UInt8: Int] = [:]
    var acknowledged: [UInt8: Int] = [:]
    /// Written past the queue after that, with an unknown end.
    var unknown: [UInt8: Set<Int>] = [:]
    var lost: [UInt8: Set<Int>] = [:]
    var batches: [[Flight]] = []
    var passes: [(WriteBehindQueue.Pass, UInt8, Int)] = []
    var now = 0
    var last = 0
  }

  private func value(_ write: OriginWrite) -> Int { write.value!.reduce(0) { $0 << 8 | Int($1) } }

  private func run(_ round: Int, _ dice: inout Dice) {
    let limits = WriteBehindQueue.Limits(
      writes: dice.within(1...12), bytes: dice.pick([600, 100_000]), batch: dice.within(1...5),
      delayMilliseconds: dice.below(50), backoff: Backoff(firstMilliseconds: 5, longestMilliseconds: 40))
    var queue = WriteBehindQueue(limits)
    var world = World()
    for step in 0..<600 {
      world.now += dice.below(6)
      switch dice.below(10) {
      case 0...4 where step < 500: put(UInt8(dice.below(8)), &queue, &world)
      case 5, 6: take(&queue, &world)
      case 7: if !world.batches.isEmpty { finishBatch(dice.below(world.batches.count), &queue, &world, &dice) }
      default: if !world.passes.isEmpty { endPass(dice.below(world.passes.count), &queue, &world, &dice) }
      }
      #expect(queue.count <= limits.writes && queue.bytes <= limits.bytes, "round \(round)")
    }
    var calm = Dice(seed: 0)
    queue.hurry()
    for _ in 0..<1000 where !queue.isEmpty || !world.passes.isEmpty {
      world.now += 50
      take(&queue, &world)
      while !world.batches.isEmpty { finishBatch(0, &queue, &world, &calm, succeeds: true) }
      while !world.passes.isEmpty { endPass(0, &queue, &world, &calm, succeeds: true) }
    }
    #expect(queue.isEmpty && queue.bytes == 0 && queue.nextBatch(now: .max / 2) == nil, "round \(round)")
    for (key, value) in world.acknowledged {
      let isRight =
        world.origin[key] == value || world.lost[key]?.contains(value) == true
        || world.unknown[key]?.contains(world.origin[key] ?? 0) == true
      #expect(isRight, "round \(round): key \(key) is \(world.origin[key] ?? 0), acknowledged was \(value)")
    }
  }

  private func put(_ key: UInt8, _ queue: inout WriteBehindQueue, _ world: inout World) {
    world.last += 1
    let value = [UInt8(world.last >> 8), UInt8(world.last & 255)]
    if queue.put(OriginWrite(key: [key], value: value, deadlineMilliseconds: 0), now: world.now) {
      world.acknowledged[key] = world.last
      world.unknown[key] = []
      #expect(queue.latest([key], now: world.now)?.value == value)
    } else {
      world.passes.append((queue.beginPass([key]), key, world.last))
    }
  }

  private func take(_ queue: inout WriteBehindQueue, _ world: inout World) {
    let batch = queue.takeBatch(now: world.now)
    guard !batch.isEmpty else { return }
    let busy = Set(world.batches.joined().map(\.write.key)).union(world.passes.map { [$0.1] })
    #expect(Set(batch.map(\.key)).count == batch.count && busy.isDisjoint(with: batch.map(\.key)))
    world.batches.append(batch.map { Flight(write: $0) })
  }

  private func finishBatch(
    _ index: Int, _ queue: inout WriteBehindQueue, _ world: inout World, _ dice: inout Dice, succeeds: Bool = false
  ) {
    arrive(index, &world, &dice, succeeds: succeeds)
    let batch = world.batches.remove(at: index)
    let results = batch.map { (key: $0.write.key, result: $0.result!) }
    for lost in queue.finish(results, now: world.now, chance: dice.next()) {
      world.lost[lost.key[0], default: []].insert(value(batch.first { $0.write.key == lost.key }!.write))
    }
  }

  private func arrive(_ index: Int, _ world: inout World, _ dice: inout Dice, succeeds: Bool = false) {
    for (place, flight) in world.batches[index].enumerated() where flight.result == nil {
      let key = flight.write.key[0]
      var cause: OriginError.Cause?
      switch succeeds ? 0 : dice.below(6) {
      case 0...2: world.origin[key] = value(flight.write)
      case 3:
        world.origin[key] = value(flight.write)
        cause = .outcomeUnknown("")
      case 4: cause = .unreachable("")
      default: cause = .rejected("")
      }
      world.batches[index][place].result = cause.map { .failure(OriginError(origin: "o", $0)) } ?? .success(())
    }
  }

  /// As the pool makes writes of one key in their order, what is under way has reached the origin before this does.
  private func endPass(
    _ index: Int, _ queue: inout WriteBehindQueue, _ world: inout World, _ dice: inout Dice, succeeds: Bool = false
  ) {
    let (pass, key, value) = world.passes[index]
    for earlier in world.batches.indices where world.batches[earlier].contains(where: { $0.write.key == [key] }) {
      arrive(earlier, &world, &dice)
    }
    guard world.passes.firstIndex(where: { $0.1 == key }) == index else { return }
    world.passes.remove(at: index)
    switch succeeds ? 0 : dice.below(3) {
    case 0:
      world.origin[key] = value
      // Something newer may have been acknowledged meanwhile.
      if value > world.acknowledged[key] ?? 0 {
        world.acknowledged[key] = value
        world.unknown[key] = []
      }
      queue.endPass(pass, succeeded: true)
    case 1:
      world.origin[key] = value
      world.unknown[key, default: []].insert(value)
      queue.endPass(pass, succeeded: false)
    default: queue.endPass(pass, succeeded: false)
    }
  }
}
