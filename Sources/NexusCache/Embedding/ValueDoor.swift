import NexusModel
import NexusService
import NexusStore

/// Where requests of the embedding program come onto an event loop: what is to be had here is run here, and waits here
/// for loads; the rest goes to the member that executes its slot. An owner without a loader asks others from here.
///
/// One per loop, on its thread only, but for `take`.
final class ValueDoor: OperationRequester, @unchecked Sendable {
  private let node: Node
  private let loop: any EventLoop
  private let executor: ValueExecutor
  /// By the number that wakes them.
  private var waiting: [UInt64: [Errand]] = [:]
  /// By ticket.
  private var givenAway: [UInt64: Errand] = [:]
  private var loads: [UInt64: @Sendable (OperationReply) -> Void] = [:]
  private var lastTicket: UInt64 = 0

  /// Before the loops run, and after the loop's router was made.
  init(_ node: Node, _ loop: any EventLoop, _ executor: ValueExecutor) {
    self.node = node
    self.loop = loop
    self.executor = executor
    let filler = node.fillers[loop.index]
    let wakeOthers = filler.wake
    filler.wake = { [unowned self] number in
      wakeOthers(number)
      woken(number)
    }
  }

  /// From any thread.
  func take(_ errand: Errand) { loop.post { [self] in run(errand) } }

  /// From any thread.
  func onLoop(_ work: @escaping @Sendable () -> Void) { loop.post(work) }

  private func run(_ errand: Errand) {
    if executor.waitsForCopies(errand.request) { return giveAway(errand) }
    do throws(Misplaced) { errand.finish(try executor.run(errand.request)) } catch {
      switch error {
      case .elsewhere, .unsettled: giveAway(errand)
      case .filling(let number): waiting[number, default: []].append(errand)
      case .failed(let error): errand.finish(.failed(CacheError(error)))
      }
    }
  }

  private func woken(_ number: UInt64) {
    for errand in waiting.removeValue(forKey: number) ?? [] { run(errand) }
  }

  // MARK: Elsewhere

  private func giveAway(_ errand: Errand) {
    guard loop.index < node.routers.count else { return errand.finish(.failed(.stopped)) }
    lastTicket += 1
    let ticket = lastTicket
    givenAway[ticket] = errand
    node.statistics[loop.index].operationsForwarded.add()
    let slot = errand.request.key.withUnsafeBytes { Slot(of: $0).index }
    errand.request.withOperation(slot) { operation in
      _ = node.routers[loop.index].route(operation, for: self, ticket: ticket)
    }
  }

  /// Asks a member for what its loader brings. On the loop's thread.
  func ask(_ member: MemberNumber, _ request: ValueRequest, done: @escaping @Sendable (OperationReply) -> Void) {
    guard loop.index < node.routers.count else {
      return done(.failed(.unreachable(node.cluster?.myself ?? MemberID("this-node")!)))
    }
    lastTicket += 1
    loads[lastTicket] = done
    let slot = request.key.withUnsafeBytes { Slot(of: $0).index }
    request.withOperation(slot) { node.routers[loop.index].ask(member, $0, for: self, ticket: lastTicket) }
  }

  func replied(_ ticket: UInt64, _ reply: OperationReply) {
    if let done = loads.removeValue(forKey: ticket) { return done(reply) }
    guard let errand = givenAway.removeValue(forKey: ticket) else { return }
    switch reply {
    case .payload(let bytes): errand.finish(ValueReply(payload: bytes))
    case .failed(let failure): errand.finish(.failed(CacheError(failure)))
    }
  }

  func repliesEnded() {}

  /// When the loop has ended: who waits is told.
  func letGo() {
    waiting = [:]
    givenAway = [:]
    loads = [:]
  }
}
