import NexusModel
import NexusService
import NexusTestSupport
import Testing

@testable import NexusOrigins

@Suite struct ClosureOriginTests {
  private struct Broken: Error, CustomStringConvertible { let description = "the database is on fire" }

  /// Tasks may have to wait for a thread of the few that other tests use as well.
  private func limits(_ change: (inout OriginLimits) -> Void = { _ in }) -> OriginLimits {
    var limits = OriginLimits()
    limits.timeoutMilliseconds = 120_000
    change(&limits)
    return limits
  }

  @Test func aClosureGivesAValueOrNilOrThrows() async {
    let origin = ClosureOrigin(name: "closure", limits: limits()) { key, context in
      #expect(context.deadline > .now)
      switch String(decoding: key, as: UTF8.self) {
      case "Tom": return OriginValue(Array("630".utf8), OriginFreshness(timeToLiveMilliseconds: 5))
      case "broken": throw Broken()
      case "gone": throw OriginError(origin: "behind", .unreachable("no route"))
      default: return nil
      }
    }
    #expect(
      await origin.load("Tom")
        == .value(OriginValue(Array("630".utf8), OriginFreshness(timeToLiveMilliseconds: 5))))
    #expect(await origin.load("nobody").isAbsent)
    #expect(await origin.load("broken").cause == .thrown("the database is on fire"))
    #expect(await origin.load("gone") == .failure(OriginError(origin: "behind", .unreachable("no route"))))
    #expect(!origin.canStore)
    #expect(await origin.store("a", "1").cause == .cannotStore("no closure for writes was given"))
    origin.stop()
  }

  @Test func aClosureThatThrowsForOneKeyDoesNotCloseTheDoorForOthers() async {
    let origin = ClosureOrigin(name: "closure", limits: limits()) { key, _ in
      if key == [1] { throw Broken() }
      return OriginValue(key)
    }
    for _ in 0..<100 { _ = await origin.load([1]) }
    #expect(await origin.load([2]) == .value(OriginValue([2])))
    origin.stop()
  }

  @Test func aClosureThatNeverReturnsKeepsNobodyWaiting() async {
    let held = Guarded<[CheckedContinuation<Void, Never>]>([])
    let limits = limits {
      $0.connections = 2
      $0.breakerFailures = 0
    }
    let origin = ClosureOrigin(name: "closure", limits: limits) { key, _ in
      // It does not even mind being cancelled.
      await withCheckedContinuation { continuation in held.withLock { $0.append(continuation) } }
      return OriginValue(key)
    }
    let bothHang = await eventually {
      #expect(await origin.load("a", milliseconds: 15).cause == .timedOut(milliseconds: 15))
      return origin.figures.running == 2 && held.withLock(\.count) == 2
    }
    #expect(bothHang)
    #expect(await origin.load("a", milliseconds: 15).cause == .timedOut(milliseconds: 15))
    for continuation in held.withLock({ $0 }) { continuation.resume() }
    #expect(await eventually { origin.figures.running == 0 })
    origin.stop()
  }

  @Test func itsTaskIsCancelledWhenItsTimeIsOver() async {
    let wasCancelled = Guarded(false)
    let limits = limits {
      $0.breakerFailures = 0
    }
    let origin = ClosureOrigin(name: "closure", limits: limits) { _, _ in
      await withTaskCancellationHandler {
        try? await Task.sleep(for: .seconds(60))
      } onCancel: {
        wasCancelled.withLock { $0 = true }
      }
      return nil
    }
    // On a busy machine its time may be over before it begins.
    let isCancelled = await eventually {
      #expect(await origin.load("a", milliseconds: 20).cause == .timedOut(milliseconds: 20))
      return wasCancelled.withLock { $0 }
    }
    #expect(isCancelled)
    #expect(await eventually { origin.figures.running == 0 })
    origin.stop()
  }

  @Test func stoppingCancelsToo() async {
    let origin = ClosureOrigin(name: "closure", limits: limits()) { _, _ in
      try await Task.sleep(for: .seconds(60))
      return nil
    }
    async let answer = origin.load("a")
    #expect(await eventually { origin.figures.running == 1 })
    origin.stop()
    #expect(await answer.cause == .stopping)
    #expect(await eventually { origin.figures.running == 0 })
  }

  @Test func noMoreRunAtOnceThanAllowed() async {
    let now = Guarded((now: 0, most: 0))
    let limits = limits {
      $0.connections = 3
    }
    let origin = ClosureOrigin(name: "closure", limits: limits) { key, _ in
      now.withLock {
        $0.now += 1
        $0.most = max($0.most, $0.now)
      }
      for _ in 0..<10 { await Task.yield() }
      now.withLock { $0.now -= 1 }
      return OriginValue(key)
    }
    await withTaskGroup(of: Void.self) { group in
      for index in 0..<200 {
        group.addTask { #expect(await origin.load("\(index)").text == "\(index)") }
      }
    }
    #expect(now.withLock(\.most) <= 3)
    origin.stop()
  }

  @Test func aValueOverTheLimitIsAFailure() async {
    let limits = limits {
      $0.valueLimitBytes = 10
    }
    let origin = ClosureOrigin(name: "closure", limits: limits) { key, _ in OriginValue(key) }
    #expect(await origin.load("0123456789").text == "0123456789")
    #expect(await origin.load("0123456789a").cause == .tooLarge(limitBytes: 10))
    origin.stop()
  }

  @Test func writesGoToTheirOwnClosure() async {
    let table = Guarded<[[UInt8]: [UInt8]]>([:])
    let origin = ClosureOrigin(
      name: "closure", limits: limits(), store: { write, _ in table.withLock { $0[write.key] = write.value } },
      load: { key, _ in table.withLock { $0[key] }.map { OriginValue($0) } })
    #expect(origin.canStore)
    #expect(await origin.store("a", "1").succeeded)
    #expect(await origin.load("a").text == "1")
    #expect(await origin.store("a", nil).succeeded)
    #expect(await origin.load("a").isAbsent)
    origin.stop()
  }

  @Test func whatAClosureLoadsInTurnKnowsOfTheLoadsItIsPartOf() async {
    let inner = ClosureOrigin(name: "inner", limits: limits()) { key, _ in
      OriginValue(Array(LoadUnderway.chain.map { "\($0.origin):\($0.key)" }.joined(separator: " ").utf8))
    }
    let outer = ClosureOrigin(name: "outer", limits: limits()) { key, _ in
      if case .value(let value) = await inner.load(key + [2]) { value } else { nil }
    }
    #expect(await outer.load([1]).text == "outer:[1] inner:[1, 2]")
    #expect(await inner.load([3]).text == "inner:[3]")
    #expect(LoadUnderway.chain.isEmpty)
    outer.stop()
    inner.stop()
  }

  @Test func aFixedTableAnswersAtOnce() async throws {
    let origin = try Origins.make(OriginConfiguration("static:Tom=630,Jack=589"))
    #expect(await origin.load("Tom").text == "630")
    #expect(await origin.load("tom").isAbsent)
    #expect(!origin.canStore)
    #expect(await origin.store("Tom", "1").cause == .cannotStore("a static table does not change"))
    #expect(origin.name == "static:(2 keys)")
  }
}
