import Glibc
import NexusModel
import NexusService
import Synchronization
import Testing

@testable import NexusTransport

@Suite struct `The loop's own work` {
  @Test func `letters are read in the order they were posted, from several threads too`() throws {
    let server = try EchoServer()
    let seen = Collected()
    let loop = server.runtime.loops[0]
    let posters = (0..<4).map { number in
      Thread { for item in 0..<1000 { loop.post { seen.add(number * 1000 + item) } } }
    }
    for poster in posters { poster.join() }
    #expect(eventually { seen.values.count == 4000 })
    for number in 0..<4 {
      let own = seen.values.filter { $0 / 1000 == number }
      #expect(own == Array(number * 1000..<(number + 1) * 1000))
    }
  }

  @Test func `a letter for a loop that has ended is let go of, with what it holds`() throws {
    final class Thing: Sendable {}
    weak var early: Thing?
    weak var late: Thing?
    let server = try EchoServer()
    let loop = server.runtime.loops[0]
    do {
      let (one, other) = (Thing(), Thing())
      (early, late) = (one, other)
      // What the last letter that is read leaves behind comes too late already.
      loop.post { loop.post { loop.post { _ = (loop, one) } } }
      server.runtime.stop()
      loop.post { _ = (loop, other) }
    }
    #expect(early == nil)
    #expect(late == nil)
  }

  @Test func `timers fire in the order of their deadlines`() throws {
    let server = try EchoServer()
    let seen = Collected()
    server.onLoop { loop in
      for delay in [30, 10, 20, 10, 0] { loop.after(milliseconds: delay) { seen.add(delay) } }
    }
    #expect(eventually { seen.values.count == 5 })
    #expect(seen.values == [0, 10, 10, 20, 30])
  }

  @Test(arguments: 1...8 as ClosedRange<UInt64>) func `the timer heap sorts any deadlines`(_ seed: UInt64) {
    var heap = TimerHeap()
    var state = seed
    var expected: [UInt64] = []
    for _ in 0..<500 {
      state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
      let deadline = state >> 56
      expected.append(deadline)
      heap.add(deadline: deadline) {}
    }
    var popped: [UInt64] = []
    while let next = heap.nextDeadline {
      popped.append(next)
      #expect(heap.popDue(now: next) != nil)
    }
    #expect(popped == expected.sorted(), "seed \(seed)")
  }

  @Test func `an idle loop sleeps`() throws {
    let server = try EchoServer()
    #expect(try server.client().echo("e") == "e")
    let before = server.journal.turns.load(ordering: .relaxed)
    var used = timespec()
    clock_gettime(CLOCK_MONOTONIC, &used)
    let start = used.tv_sec * 1000 + used.tv_nsec / 1_000_000
    usleep(500_000)
    clock_gettime(CLOCK_MONOTONIC, &used)
    let milliseconds = used.tv_sec * 1000 + used.tv_nsec / 1_000_000 - start
    let turns = server.journal.turns.load(ordering: .relaxed) - before
    #expect(turns <= milliseconds / 100 + 3)
  }

  @Test func `a watched descriptor is served when it is readable and when its time has come`() throws {
    let pipe = Pipe()
    let server = try EchoServer()
    let loop = server.runtime.loops[0]
    loop.post { [unowned loop] in loop.watch(pipe) }
    pipe.write("now")
    #expect(eventually { pipe.seen.withLock { $0 == "now" } })
    let quiet = pipe.calls.load(ordering: .relaxed)
    pipe.timeout.store(5, ordering: .relaxed)
    loop.post {}
    #expect(eventually { pipe.calls.load(ordering: .relaxed) > quiet + 3 })
    server.onLoop { $0.unwatch(pipe) }
    let after = pipe.calls.load(ordering: .relaxed)
    pipe.write("unseen")
    #expect(try server.client().echo("e") == "e")
    #expect(pipe.calls.load(ordering: .relaxed) == after)
  }
}

final class Collected: Sendable {
  private let all = Guarded<[Int]>([])
  func add(_ value: Int) { all.withLock { $0.append(value) } }
  var values: [Int] { all.withLock { $0 } }
}

final class Pipe: WatchedDescriptor, @unchecked Sendable {
  let descriptor: Int32
  private let writer: Int32
  let seen = Guarded("")
  let calls = Atomic<Int>(0)
  let timeout = Atomic<Int>(-1)

  init() {
    var ends: [Int32] = [0, 0]
    pipe(&ends)
    _ = fcntl(ends[0], F_SETFL, O_NONBLOCK)
    descriptor = ends[0]
    writer = ends[1]
  }

  deinit {
    close(descriptor)
    close(writer)
  }

  func write(_ text: String) {
    _ = text.utf8.withContiguousStorageIfAvailable { Glibc.write(writer, $0.baseAddress!, $0.count) }
  }

  func ready() {
    calls.wrappingAdd(1, ordering: .relaxed)
    var bytes = [UInt8](repeating: 0, count: 100)
    let count = read(descriptor, &bytes, 100)
    if count > 0 { seen.withLock { $0 += String(decoding: bytes[..<count], as: UTF8.self) } }
  }

  func nextTimeout() -> Int? {
    let milliseconds = timeout.load(ordering: .relaxed)
    return milliseconds < 0 ? nil : milliseconds
  }
}
