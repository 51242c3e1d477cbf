import NexusModel
import NexusService
import NexusTestSupport
import Testing

@testable import NexusOrigins

@Suite struct WriteBehindOriginTests {
  private func origin(
    _ script: Script, log: any Log = SilentLog(), _ change: (inout WriteBehindSettings, inout OriginLimits) -> Void
  ) -> WriteBehindOrigin {
    var settings = WriteBehindSettings()
    settings.drainMilliseconds = 60_000
    var limits = OriginLimits()
    limits.backoffMilliseconds = 1
    limits.backoffLimitMilliseconds = 1
    limits.breakerFailures = 0
    limits.timeoutMilliseconds = 60_000
    change(&settings, &limits)
    return WriteBehindOrigin(script.origin(limits), settings, limits: limits, log: log)
  }

  @Test func writesAreAcknowledgedAtOnceReadableAtOnceAndMadeTogether() async {
    let script = Script()
    let origin = origin(script) { settings, _ in settings.delayMilliseconds = 3_600_000 }
    for (key, value) in [("a", "1"), ("b", "2"), ("a", "3"), ("c", nil)] {
      #expect(await origin.store(key, value, timeToLiveMilliseconds: value == "2" ? 3_600_000 : nil).succeeded)
    }
    #expect(origin.figures.pendingWrites == 3 && script.stored.isEmpty)
    #expect(await origin.load("a") == .value("3"))
    #expect(await origin.load("c").isAbsent)
    guard case .value(let b) = await origin.load("b") else { return }
    #expect((1...3_600_000).contains(b.freshness.timeToLiveMilliseconds ?? 0))
    // Nobody asked the origin for these; another key is its business.
    #expect(script.loads.isEmpty)
    #expect(await origin.load("d") == .value("d"))
    origin.stop()
    #expect(script.stored == ["a=3", "b=2", "c=(deleted)"])
    #expect(origin.figures.pendingWrites == 0 && origin.figures.lostWrites == 0)
    #expect(await origin.store("a", "4").cause == .stopping)
  }

  @Test func aWriteIsMadeWithoutAnybodysStopping() async {
    let script = Script()
    let origin = origin(script) { settings, _ in settings.delayMilliseconds = 1 }
    for round in 0..<3 {
      #expect(await origin.store("a", "\(round)").succeeded)
      #expect(await eventually { script.stored.last == "a=\(round)" && origin.figures.pendingWrites == 0 })
    }
    #expect(await origin.load("a") == .value("a"))
    origin.stop()
  }

  @Test func anOriginThatIsAwayIsTriedUntilItIsBack() async {
    let isUp = Guarded(false)
    let script = Script(onStore: { _, _ in isUp.withLock { $0 } ? nil : .unreachable("down") })
    let origin = origin(script) { settings, _ in settings.delayMilliseconds = 0 }
    for index in 0..<50 { #expect(await origin.store("\(index)", "1").succeeded) }
    #expect(await eventually { script.stored.count > 200 })
    #expect(origin.figures.pendingWrites == 50)
    isUp.withLock { $0 = true }
    #expect(await eventually { origin.figures.pendingWrites == 0 })
    #expect(Set(script.stored).count == 50 && origin.figures.lostWrites == 0)
    origin.stop()
  }

  @Test func whenTheQueueIsFullAWriteIsMadeBeforeItIsAcknowledged() async {
    let isUp = Guarded(false)
    let script = Script(onStore: { _, _ in isUp.withLock { $0 } ? nil : .rejected("read only now") })
    let log = RecordingLog()
    let origin = origin(script, log: log) { settings, _ in
      settings.delayMilliseconds = 3_600_000
      settings.writes = 2
    }
    #expect(await origin.store("a", "1").succeeded)
    #expect(await origin.store("b", "1").succeeded)
    // The third finds no room, and what the origin says is what its client is told.
    #expect(await origin.store("c", "1").cause == .rejected("read only now"))
    isUp.withLock { $0 = true }
    #expect(await origin.store("c", "2").succeeded)
    #expect(script.stored == ["c=1", "c=2"])
    #expect(await origin.store("a", "2").succeeded)
    #expect(
      log.lines == ["the queue of writes for an origin is full: further ones wait for the origin origin=scripted"])
    origin.stop()
    #expect(Set(script.stored) == ["c=1", "c=2", "a=2", "b=1"])
  }

  @Test func aWriteThatTheOriginRefusesIsLostLoudly() async {
    let script = Script(onStore: { key, _ in key == "bad\n" ? .rejected("no such column") : nil })
    let log = RecordingLog()
    let origin = origin(script, log: log) { settings, _ in settings.delayMilliseconds = 0 }
    #expect(await origin.store("bad\n", "1").succeeded)
    #expect(await origin.store("good", "1").succeeded)
    #expect(await eventually { origin.figures.pendingWrites == 0 })
    #expect(origin.figures.lostWrites == 1)
    #expect(
      await eventually {
        log.lines == [
          "a write that was acknowledged was refused by its origin and is lost there origin=scripted key=bad%0A "
            + "reason=the origin scripted refuses: no such column"
        ]
      })
    origin.stop()
  }

  @Test func whatCannotBeMadeBeforeTheEndIsReported() async {
    let gate = Gate()
    let script = Script(onStore: { _, _ in
      gate.pass()
      return nil
    })
    let log = RecordingLog()
    let origin = origin(script, log: log) { settings, limits in
      settings.delayMilliseconds = 0
      settings.batch = 1
      settings.drainMilliseconds = 20
      limits.connections = 1
    }
    for key in ["a", "b", "c"] { #expect(await origin.store(key, "1").succeeded) }
    #expect(await eventually { script.now == 1 })
    try? await onThread { origin.stop() }
    #expect(origin.figures.lostWrites == 3)
    #expect(log.lines.count == 1 && log.lines[0].contains("writes=3"), "\(log.lines)")
    gate.open()
  }

  @Test func aClosuresWritesCanWaitAsWell() async {
    let stored = Guarded<[String]>([])
    var limits = OriginLimits()
    limits.timeoutMilliseconds = 60_000
    let closure = ClosureOrigin(
      name: "closure", limits: limits,
      store: { write, _ in stored.withLock { $0.append(String(decoding: write.key, as: UTF8.self)) } },
      load: { _, _ in nil })
    let origin = Origins.writingBehind(closure, limits: limits, log: SilentLog())
    for key in ["a", "b", "a"] { #expect(await origin.store(key, "1").succeeded) }
    #expect(await eventually { stored.withLock { $0.sorted() } == ["a", "b"] })
    #expect(await eventually { origin.figures.pendingWrites == 0 })
    origin.stop()
  }

  @Test func aRealDatabaseHasEveryWriteInTheEnd() async throws {
    let directory = TemporaryDirectory()
    let path = directory.path + "/scores.db"
    try DemoScores.create(at: path)
    let origin = try Origins.make(
      OriginConfiguration(
        "sqlite:\(path)?query=SELECT value FROM scores WHERE key = ?&write-behind=yes&write-behind-delay=5ms"
          + "&write-behind-drain=1m&delete=DELETE FROM scores WHERE key = ?&timeout=1m"
          + "&write=INSERT INTO scores VALUES(?1, ?2) ON CONFLICT(key) DO UPDATE SET value = ?2"))
    await withTaskGroup(of: Void.self) { group in
      for worker in 0..<4 {
        group.addTask {
          for round in 0..<500 {
            #expect(await origin.store("new-\(worker)-\(round % 100)", "\(round)").succeeded)
            if round % 50 == 0 { #expect(await origin.load("new-\(worker)-\(round % 100)").text == "\(round)") }
          }
          for key in 0..<10 { #expect(await origin.store("new-\(worker)-\(key)", nil).succeeded) }
        }
      }
    }
    try await onThread { origin.stop() }
    #expect(origin.figures.pendingWrites == 0 && origin.figures.lostWrites == 0)
    let reader = try Origins.make(
      OriginConfiguration(
        "sqlite:\(path)?query=SELECT count(*) || ' ' || sum(value) FROM scores WHERE key LIKE ? || '%25'"))
    // Of each worker's hundred keys ninety are left, each with its last value, 410 to 499.
    #expect(await reader.load("new-").text == "360 \(4 * (410...499).reduce(0, +))")
    reader.stop()
  }
}
