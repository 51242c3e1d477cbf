import CLinux
import Glibc

/// One thread of the generator: its connections, its epoll, its buffers. Nothing here allocates, locks or suspends
/// while a run measures.
struct LoadThread {
  static let receiveCapacity = 1 << 18
  static let eventCapacity = 256

  private let workload: Workload
  private let control: RunControl
  private let tally: Tally
  private let poll: Int32
  /// Invariant: `count` initialised connections, each registered with `poll` under its index.
  private let connections: UnsafeMutablePointer<Connection>
  private let count: Int
  private let received: UnsafeMutableRawBufferPointer
  private let events: UnsafeMutablePointer<epoll_event>
  /// Invariant: an initialised writer for each of the workload's shares.
  private let writers: UnsafeMutablePointer<RequestWriter>
  private let shareCount: Int
  private var isMeasuring = false
  private var live = 0
  private let operationsPerRequest: Int
  /// Fixed rate: nanoseconds between two turns of one connection (0: as fast as replies come), and the schedule's
  /// next place. All connections take their turns one after the other.
  private let intervalNanoseconds: UInt64
  private var nextInSchedule = 0

  init(_ workload: Workload, _ dialled: [Dial.Dialled], seed: UInt64, _ control: RunControl, _ tally: Tally) {
    self.workload = workload
    self.control = control
    self.tally = tally
    poll = epoll_create1(Int32(EPOLL_CLOEXEC))
    count = dialled.count
    connections = .allocate(capacity: count)
    received = .allocate(byteCount: Self.receiveCapacity, alignment: 64)
    events = .allocate(capacity: Self.eventCapacity)
    let shares = workload.shares
    shareCount = shares.count
    writers = .allocate(capacity: shares.count)
    for (index, share) in shares.enumerated() {
      (writers + index).initialize(to: RequestWriter(share, seed: seed &+ UInt64(index)))
    }
    operationsPerRequest = workload.batch
    let turnsPerSecond = workload.rate / Double(workload.operationsPerTurn) / Double(workload.connections)
    intervalNanoseconds = workload.rate > 0 ? UInt64(1e9 / turnsPerSecond) : 0
    for (index, one) in dialled.enumerated() {
      (connections + index).initialize(to: Connection(one, workload))
      watch(index, writable: false, EPOLL_CTL_ADD)
    }
  }

  private func watch(_ index: Int, writable: Bool, _ change: Int32) {
    var event = epoll_event()
    event.events = EPOLLIN.rawValue | (writable ? EPOLLOUT.rawValue : 0)
    event.data.u64 = UInt64(index)
    epoll_ctl(poll, change, connections[index].descriptor, &event)
  }

  /// Runs until the control says stop, or all keys are loaded.
  mutating func run() {
    start()
    var cpuAtStart: UInt64 = 0
    var waitingSince: UInt64 = 0
    while live > 0 {
      let phase = control.phase
      if phase == .stop { break }
      if !isMeasuring && phase == .measure {
        isMeasuring = true
        cpuAtStart = Clock.threadCPU()
      }
      let timeout = sendDue()
      let ready = epoll_wait(poll, events, Int32(Self.eventCapacity), timeout)
      if workload.spin {
        if ready == 0 {
          if waitingSince == 0 { waitingSince = Clock.monotonic() }
          continue
        }
        if waitingSince != 0 {
          if isMeasuring { tally.idleNanoseconds += Clock.monotonic() - waitingSince }
          waitingSince = 0
        }
      }
      for place in 0..<max(0, Int(ready)) { handle(events[place]) }
      tally.operations.store(tally.counts.requests * operationsPerRequest, ordering: .relaxed)
    }
    if isMeasuring { tally.cpuNanoseconds = Clock.threadCPU() - cpuAtStart }
    deallocate()
  }

  private mutating func start() {
    let now = Clock.monotonic()
    live = count
    for index in 0..<count {
      if intervalNanoseconds > 0 {
        connections[index].dueAt = now + intervalNanoseconds * UInt64(index) / UInt64(count)
      } else {
        sendTurn(index, startedAt: Clock.monotonic())
      }
    }
  }

  /// Sends what is due by now; answers how long the poll may wait, in milliseconds.
  private mutating func sendDue() -> Int32 {
    guard intervalNanoseconds > 0 else { return workload.spin ? 0 : 100 }
    let now = Clock.monotonic()
    while true {
      let index = nextInSchedule
      let due = connections[index].dueAt
      guard due <= now else {
        let wait = (due - now) / 1_000_000
        return workload.spin ? 0 : Int32(min(wait, 100))
      }
      connections[index].dueAt = due + intervalNanoseconds
      nextInSchedule = index + 1 == count ? 0 : index + 1
      if connections[index].outstanding > 0 || connections[index].overdue > 0 {
        connections[index].overdue += 1
      } else {
        sendTurn(index, startedAt: due)
      }
    }
  }

  private mutating func handle(_ event: epoll_event) {
    let index = Int(event.data.u64)
    if event.events & EPOLLOUT.rawValue != 0 { sendRest(index) }
    guard event.events & (EPOLLIN.rawValue | EPOLLHUP.rawValue | EPOLLERR.rawValue) != 0 else { return }
    let byteCount = recv(
      connections[index].descriptor, received.baseAddress, Self.receiveCapacity, Int32(MSG_DONTWAIT))
    guard byteCount > 0 else {
      if byteCount < 0 && (errno == EAGAIN || errno == EINTR) { return }
      return lost(index, byteCount == 0 ? "closed a connection" : "broke a connection (\(Dial.reason(errno)))")
    }
    let now = Clock.monotonic()
    let requestsBefore = tally.counts.requests
    if isMeasuring {
      connections[index].reader.feed(UnsafeRawBufferPointer(rebasing: received[..<byteCount]), &tally.counts)
      tally.bytesReceived &+= byteCount
    } else {
      warmUp(index, byteCount)
      return next(index, now)
    }
    let answered = tally.counts.requests &- requestsBefore
    if tally.counts.alien != nil || answered > connections[index].outstanding { return wrongProtocol() }
    connections[index].outstanding &-= answered
    if answered > 0 {
      let latency = now &- min(now, connections[index].startedAt)
      tally.histogram.record(latency, times: answered &* operationsPerRequest)
    }
    next(index, now)
  }

  /// The same without counting, except for errors: they are told whenever they come.
  private mutating func warmUp(_ index: Int, _ byteCount: Int) {
    var counts = ReplyCounts()
    connections[index].reader.feed(UnsafeRawBufferPointer(rebasing: received[..<byteCount]), &counts)
    tally.counts.firstError = tally.counts.firstError ?? counts.firstError
    tally.counts.alien = tally.counts.alien ?? counts.alien
    if counts.alien != nil || counts.requests > connections[index].outstanding { return wrongProtocol() }
    connections[index].outstanding -= counts.requests
  }

  /// Begins the connection's next turn once this one is answered.
  @inline(__always) private mutating func next(_ index: Int, _ now: UInt64) {
    guard connections[index].outstanding == 0, connections[index].reader.isBetweenReplies else { return }
    if connections[index].reader.missedCount > 0 && !connections[index].isFilling { return sendFill(index, now) }
    if connections[index].isFilling {
      connections[index].isFilling = false
      connections[index].reader.allWrites = false
    }
    if intervalNanoseconds == 0 { return sendTurn(index, startedAt: now) }
    let overdue = connections[index].overdue
    guard overdue > 0 else { return }
    connections[index].overdue = overdue - 1
    sendTurn(index, startedAt: connections[index].dueAt - UInt64(overdue) * intervalNanoseconds)
  }

  private mutating func sendTurn(_ index: Int, startedAt: UInt64) {
    connections[index].reader.beginTurn()
    if workload.operation == .load {
      let taken = control.takeKeys(UInt64(workload.pipeline), of: workload.keys)
      guard taken.count > 0 else {
        connections[index].isDone = true
        live -= 1
        return
      }
      let bytes = writers[0].load(from: taken.first, count: taken.count)
      return transmit(index, bytes, requests: taken.count, startedAt)
    }
    let bytes = writers[connections[index].share].turn(connections[index].numbers, connections[index].reader.writes)
    transmit(index, bytes, requests: workload.pipeline, startedAt)
  }

  private mutating func sendFill(_ index: Int, _ now: UInt64) {
    let missed = connections[index].reader.missedCount
    guard let numbers = connections[index].numbers, let indices = connections[index].reader.missed else { return }
    let bytes = writers[connections[index].share].fill(
      numbers, missed: UnsafeBufferPointer(start: indices, count: missed))
    connections[index].reader.beginTurn()
    connections[index].isFilling = true
    connections[index].reader.allWrites = true
    transmit(index, bytes, requests: missed, now)
  }

  private func transmit(_ index: Int, _ bytes: UnsafeRawBufferPointer, requests: Int, _ startedAt: UInt64) {
    connections[index].outstanding = requests
    connections[index].startedAt = startedAt
    let flags = Int32(MSG_DONTWAIT) | Int32(MSG_NOSIGNAL)
    let sent = send(connections[index].descriptor, bytes.baseAddress, bytes.count, flags)
    if sent < 0 && errno != EAGAIN { return lost(index, "broke a connection (\(Dial.reason(errno)))") }
    tally.bytesSent &+= bytes.count
    let taken = max(0, sent)
    guard taken < bytes.count else { return }
    let rest = UnsafeMutableRawBufferPointer.allocate(byteCount: bytes.count - taken, alignment: 8)
    rest.copyMemory(from: UnsafeRawBufferPointer(rebasing: bytes[taken...]))
    connections[index].unsent = rest
    connections[index].unsentFrom = 0
    watch(index, writable: true, EPOLL_CTL_MOD)
  }

  private func sendRest(_ index: Int) {
    guard let rest = connections[index].unsent else { return }
    let from = connections[index].unsentFrom
    let flags = Int32(MSG_DONTWAIT) | Int32(MSG_NOSIGNAL)
    let sent = send(connections[index].descriptor, rest.baseAddress! + from, rest.count - from, flags)
    guard sent > 0 else { return }
    connections[index].unsentFrom = from + sent
    if from + sent == rest.count {
      rest.deallocate()
      connections[index].unsent = nil
      watch(index, writable: false, EPOLL_CTL_MOD)
    }
  }

  private func lost(_ index: Int, _ what: String) {
    let heard = tally.counts.firstError.map { "; before that it said: \($0)" } ?? ""
    let unanswered = connections[index].outstanding
    control.fail("\(workload.endpoint) \(what) with \(unanswered) requests unanswered\(heard)")
  }

  private func wrongProtocol() {
    let line = tally.counts.alien.map { "it answered '\($0)'" } ?? "it sent more replies than there were requests"
    control.fail("\(workload.endpoint) does not speak \(workload.wire.rawValue): \(line). See --protocol")
  }

  private func deallocate() {
    for index in 0..<count { connections[index].deallocate() }
    connections.deallocate()
    received.deallocate()
    events.deallocate()
    for index in 0..<shareCount { writers[index].deallocate() }
    writers.deinitialize(count: shareCount)
    writers.deallocate()
    close(poll)
  }
}
