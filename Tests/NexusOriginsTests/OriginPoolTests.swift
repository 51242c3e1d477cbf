import NexusModel
import NexusService
import NexusTestSupport
import Testing

@testable import NexusOrigins

@Suite struct OriginPoolTests {
  private func limits(_ change: (inout OriginLimits) -> Void) -> OriginLimits {
    var limits = OriginLimits()
    limits.backoffMilliseconds = 0
    change(&limits)
    return limits
  }

  @Test func noMoreAreAskedAtOnceThanThereAreConnectionsAndNoMoreWaitThanTheQueueHolds() async {
    let gate = Gate()
    let script = Script { key, _ in
      gate.pass()
      return .value(key)
    }
    let origin = script.origin(
      limits {
        $0.connections = 3
        $0.queue = 4
      })
    async let answers = withTaskGroup(of: OriginAnswer.self, returning: [OriginAnswer].self) { group in
      for index in 0..<20 { group.addTask { await origin.load("\(index)") } }
      return await group.reduce(into: []) { $0.append($1) }
    }
    // Thirteen of twenty are told at once; only the gate lets the others through.
    #expect(await eventually { origin.figures.refused == 13 && origin.figures.running == 3 })
    #expect(origin.figures.waiting == 4)
    gate.open()
    let all = await answers
    #expect(all.filter { $0.cause?.isTooBusy == true }.count == 13)
    #expect(all.filter { $0.text != nil }.count == 7)
    #expect(script.most == 3)
    #expect(origin.figures.loads == 20 && origin.figures.loadFailures == 13)
    origin.stop()
  }

  @Test func whoWaitsForAHangingOriginIsAnsweredInTimeAndOnce() async {
    let gate = Gate()
    let script = Script { key, _ in
      gate.pass()
      return .value(key)
    }
    let origin = script.origin(
      limits {
        $0.connections = 2
        $0.breakerFailures = 0
      })
    let answers = Guarded<[OriginAnswer]>([])
    func ask(_ key: String, _ milliseconds: Int) {
      origin.load(OriginRequest(key: Array(key.utf8), deadlineMilliseconds: milliseconds)) { answer in
        answers.withLock { $0.append(answer) }
      }
    }
    // Whoever has begun is answered in time as well as those who wait for them.
    var asked = 0
    let bothHang = await eventually {
      ask("hangs", 20)
      asked += 1
      return origin.figures.running == 2
    }
    #expect(bothHang)
    #expect(await eventually { answers.withLock(\.count) == asked })
    for index in 0..<10 { ask("waits", 20 + index) }
    #expect(await eventually { answers.withLock(\.count) == asked + 10 })
    #expect(
      answers.withLock { Set($0.suffix(10).map(\.cause)) } == Set((20..<30).map { .timedOut(milliseconds: $0) }))
    #expect(script.loads == ["hangs", "hangs"])
    #expect(origin.figures.running == 2 && origin.figures.waiting == 0)
    gate.open()
    #expect(await eventually { origin.figures.running == 0 })
    #expect(await origin.load("then").text == "then")
    #expect(answers.withLock(\.count) == asked + 10)
    origin.stop()
  }

  @Test func aFailureThatMayPassIsTriedAgain() async {
    let failures = Guarded<[OriginError.Cause]>([.unreachable("down"), .wrongStatus(503)])
    let script = Script { key, _ in failures.withLock { $0.popLast() }.map(failing) ?? .value(key) }
    let origin = script.origin(limits { $0.retries = 2 })
    #expect(await origin.load("a").text == "a")
    #expect(script.loads == ["a", "a", "a"])
    #expect(origin.figures.attempts == 3 && origin.figures.loads == 1 && origin.figures.loadFailures == 0)
    origin.stop()
  }

  @Test(arguments: [
    OriginError.Cause.rejected("no"), .wrongType("a list"), .tooLarge(limitBytes: 1), .unsuitableKey("no"),
    .wrongStatus(403),
  ])
  func aFailureThatStaysIsNotTriedAgainAndDoesNotOpenTheBreaker(_ cause: OriginError.Cause) async {
    let script = Script { _, _ in failing(cause) }
    let origin = script.origin(OriginLimits())
    for _ in 0..<50 { #expect(await origin.load("a").cause == cause) }
    #expect(script.loads.count == 50)
    #expect(origin.figures.breaker == .closed)
    origin.stop()
  }

  @Test func attemptsEndWithTheRetriesOrWithTheTime() async {
    let script = Script { _, _ in failing(.unreachable("down")) }
    let few = script.origin(limits { $0.retries = 4 })
    #expect(await few.load("a").cause == .unreachable("down"))
    #expect(script.loads.count == 5)
    few.stop()
    // A pause that would last longer than there is time for is not begun.
    let slow = script.origin(
      limits {
        $0.retries = 4
        $0.backoffMilliseconds = 3_600_000
        $0.backoffLimitMilliseconds = 3_600_000
      })
    #expect(await slow.load("a").cause == .unreachable("down"))
    #expect(script.loads.count == 6)
    slow.stop()
  }

  @Test func anOriginThatKeepsFailingIsLeftAlone() async {
    let script = Script { _, _ in failing(.unreachable("down")) }
    let origin = script.origin(
      limits {
        $0.retries = 0
        $0.breakerFailures = 5
        $0.breakerWindow = 10
        $0.breakerOpenMilliseconds = 3_600_000
        $0.breakerOpenLimitMilliseconds = 3_600_000
      })
    for _ in 0..<5 { #expect(await origin.load("a").cause == .unreachable("down")) }
    #expect(origin.figures.breaker == .open)
    guard case .refusedByBreaker(let milliseconds) = await origin.load("a").cause else {
      Issue.record("it was asked")
      return
    }
    #expect((1...3_600_000).contains(milliseconds))
    #expect(script.loads.count == 5)
    #expect(origin.figures.refused == 1)
    origin.stop()
  }

  @Test func anOriginThatIsWellAgainIsFoundOutByOneRequest() async {
    let isUp = Guarded(false)
    let script = Script { key, _ in isUp.withLock { $0 } ? .value(key) : failing(.unreachable("down")) }
    let origin = script.origin(
      limits {
        $0.retries = 0
        $0.breakerFailures = 5
        $0.breakerWindow = 10
        $0.breakerOpenMilliseconds = 1
        $0.breakerOpenLimitMilliseconds = 1
      })
    for _ in 0..<5 { _ = await origin.load("a") }
    isUp.withLock { $0 = true }
    #expect(await eventually { await origin.load("a").text == "a" })
    #expect(origin.figures.breaker == .closed)
    #expect(await origin.load("a").text == "a")
    origin.stop()
  }

  @Test func anOriginThatHangsOpensTheBreakerToo() async {
    let gate = Gate()
    let script = Script { key, _ in
      gate.pass()
      return .value(key)
    }
    let origin = script.origin(
      limits {
        $0.connections = 1
        $0.breakerFailures = 4
      })
    for _ in 0..<4 { #expect(await origin.load("a", milliseconds: 5).cause?.isTimeout == true) }
    #expect(origin.figures.breaker == .open)
    gate.open()
    origin.stop()
  }

  @Test func writesOfOneKeyAreMadeInTheirOrderAndThoseOfOthersMeanwhile() async {
    let gate = Gate()
    let script = Script(onStore: { key, value in
      if value == "first" { gate.pass() }
      return nil
    })
    let origin = script.origin(OriginLimits())
    async let first = origin.store("a", "first")
    #expect(await eventually { script.now == 1 })
    let results = Guarded<[String]>([])
    for value in ["second", "third"] {
      origin.store(OriginWrite(key: [97], value: Array(value.utf8), deadlineMilliseconds: 20_000)) { _ in
        results.withLock { $0.append(value) }
      }
    }
    #expect(await origin.store("b", nil).succeeded)
    #expect(await origin.load("a").text == "a")
    #expect(script.stored == ["a=first", "b=(deleted)"])
    gate.open()
    #expect(await first.succeeded)
    #expect(await eventually { results.withLock(\.count) == 2 })
    #expect(script.stored == ["a=first", "b=(deleted)", "a=second", "a=third"])
    origin.stop()
  }

  @Test func aWriteThatWasBegunAndNotAnsweredMayHaveBeenMade() async {
    let gate = Gate()
    let script = Script(onStore: { _, _ in
      gate.pass()
      return nil
    })
    let origin = script.origin(limits { $0.connections = 1 })
    // On a busy machine the time may be over before it is begun.
    let wasBegun = await eventually {
      let cause = await origin.store("a", "1", milliseconds: 20).cause
      return cause?.isUnknownOutcome == true
    }
    #expect(wasBegun)
    // This one never came to a connection.
    #expect(await origin.store("b", "1", milliseconds: 20).cause == .timedOut(milliseconds: 20))
    // The next write of the key that hangs has to wait for it.
    gate.open()
    #expect(await origin.store("a", "2").succeeded)
    #expect(script.stored == ["a=1", "a=2"])
    origin.stop()
  }

  @Test func aWriteWhoseSecondAttemptFailsMayHaveBeenMadeByTheFirst() async {
    let failures = Guarded<[OriginError.Cause]>([.unreachable("down"), .outcomeUnknown("cut off")])
    let script = Script(onStore: { _, _ in failures.withLock { $0.popLast() } })
    let origin = script.origin(limits { $0.retries = 1 })
    #expect(await origin.store("a", "1").cause?.isUnknownOutcome == true)
    #expect(await origin.store("a", "1").succeeded)
    origin.stop()
  }

  @Test func stoppingAnswersEveryoneAndInterruptsWhoWorks() async {
    let script = Script { _, interruption in
      // As a connection does that waits for its descriptor.
      if case .interrupted = interruption.wait(until: .max) { return failing(.stopping) }
      return failing(.garbage("not interrupted"))
    }
    let origin = script.origin(limits { $0.connections = 2 })
    async let answers = withTaskGroup(of: OriginAnswer.self, returning: [OriginAnswer].self) { group in
      for index in 0..<6 { group.addTask { await origin.load("\(index)") } }
      return await group.reduce(into: []) { $0.append($1) }
    }
    #expect(await eventually { origin.figures.running == 2 && origin.figures.waiting == 4 })
    origin.stop()
    #expect(await answers.allSatisfy { $0.cause == .stopping })
    #expect(script.connections == 0)
    #expect(await origin.load("late").cause == .stopping)
    #expect(await origin.store("late", "1").cause == .stopping)
  }

  @Test func whatIsIdleIsLetGoAndMadeAnew() async {
    let script = Script()
    let origin = script.origin(limits { $0.idleMilliseconds = 5 })
    for _ in 0..<3 {
      #expect(await origin.load("a").text == "a")
      #expect(await eventually { script.connections == 0 })
    }
    origin.stop()
  }

  @Test func aDeadlineThatIsOverBeforeItBeginsIsAnsweredAsWell() async {
    let gate = Gate()
    let script = Script { key, _ in
      gate.pass()
      return .value(key)
    }
    let origin = script.origin(limits { $0.connections = 1 })
    for milliseconds in [0, -1, .min] {
      #expect(await origin.load("a", milliseconds: milliseconds).cause == .timedOut(milliseconds: 0))
    }
    gate.open()
    #expect(await origin.load("a", milliseconds: .max).text == "a")
    origin.stop()
  }

  @Test func whateverHappensEveryRequestIsAnsweredOnce() async {
    let seed = Dice.seed()
    print("NEXUS_SEED=\(seed)")
    var dice = Dice(seed: seed)
    for round in 0..<20 {
      let chance = Guarded(Dice(seed: dice.next()))
      let outcome: @Sendable () -> Int = { chance.withLock { $0.below(10) } }
      let script = Script(
        onLoad: { key, interruption in
          switch outcome() {
          case 0: return failing(.unreachable("down"))
          case 1: return failing(.rejected("no"))
          case 2:
            _ = interruption.wait(until: monotonicMilliseconds() + 10)
            return .value(key)
          default: return .value(key)
          }
        },
        onStore: { _, _ in outcome() == 0 ? .unreachable("down") : nil })
      let connections = dice.within(1...4)
      let origin = script.origin(
        limits {
          $0.connections = connections
          $0.queue = dice.within(0...50)
          $0.breakerOpenMilliseconds = 1
          $0.idleMilliseconds = dice.pick([1, 1000])
        })
      let count = 300, stopsAt = dice.within(0...600)
      let answered = Guarded([Int](repeating: 0, count: count))
      for index in 0..<count {
        if index == stopsAt { origin.stop() }
        let milliseconds = dice.pick([0, 1, 5, 1000]), key = [UInt8(dice.below(5))]
        if dice.chance(50) {
          origin.load(OriginRequest(key: key, deadlineMilliseconds: milliseconds)) { _ in
            answered.withLock { $0[index] += 1 }
          }
        } else {
          origin.store(OriginWrite(key: key, value: [1], deadlineMilliseconds: milliseconds)) { _ in
            answered.withLock { $0[index] += 1 }
          }
        }
      }
      let all = await eventually { answered.withLock { $0.allSatisfy { $0 > 0 } } }
      origin.stop()
      #expect(all, "round \(round)")
      #expect(answered.withLock { $0.allSatisfy { $0 == 1 } }, "round \(round)")
      #expect(script.most <= connections && script.connections == 0, "round \(round)")
      let figures = origin.figures
      #expect(figures.loads + figures.stores == count)
      #expect(figures.running == 0 && figures.waiting == 0)
    }
  }
}
