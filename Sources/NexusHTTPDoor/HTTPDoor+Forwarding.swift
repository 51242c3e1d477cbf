import CMicrohttpd
import NexusModel
import NexusService

/// Exchanges whose requests other members have been asked, by ticket: a place, and how often it was used before.
struct ForwardedExchanges {
  private struct Place {
    var exchange: UnsafeMutablePointer<Exchange>?
    var generation: UInt32 = 0
  }

  private var places: [Place] = []
  private var free: [UInt32] = []
  private(set) var count = 0

  mutating func open(_ exchange: UnsafeMutablePointer<Exchange>) -> UInt64 {
    let index: UInt32
    if let used = free.popLast() {
      index = used
    } else {
      index = UInt32(places.count)
      places.append(Place())
    }
    places[Int(index)].exchange = exchange
    count += 1
    return UInt64(places[Int(index)].generation) << 32 | UInt64(index)
  }

  /// Nil if the ticket is not open.
  mutating func close(_ ticket: UInt64) -> UnsafeMutablePointer<Exchange>? {
    let index = Int(ticket & 0xFFFF_FFFF)
    guard index < places.count, UInt64(places[index].generation) == ticket >> 32,
      let exchange = places[index].exchange
    else { return nil }
    places[index].exchange = nil
    places[index].generation &+= 1
    free.append(UInt32(index))
    count -= 1
    return exchange
  }

  /// All that are open; none is afterwards.
  mutating func closeAll() -> [UnsafeMutablePointer<Exchange>] {
    let open = places.compactMap(\.exchange)
    for index in places.indices where places[index].exchange != nil {
      places[index].exchange = nil
      places[index].generation &+= 1
      free.append(UInt32(index))
    }
    count = 0
    return open
  }
}

/// Requests for keys of other members. The connection is suspended until the reply is here, so the library neither
/// reads on (what is pipelined keeps its order), nor sees a client that hangs up, nor counts the silence.
///
/// Invariant: a suspended connection's exchange stays alive, for the library completes it only once it is resumed.
extension HTTPDoor: OperationRequester {
  /// Gives the request to the member whose key it is. What it borrows may go afterwards.
  func forward(
    _ request: KeyRequest, _ exchange: UnsafeMutablePointer<Exchange>, _ connection: OpaquePointer, begunAt: UInt64
  ) -> MHD_Result {
    let routers = responder.node.routers
    guard loop.index < routers.count else {
      responder.countError(request.action)
      let problem = Problem(.noOwner(Slot(index: request.key.slot)))
      return send(refused(problem.told(request.form)), exchange, connection)
    }
    exchange.pointee.phase = .forwarded(
      Exchange.Forwarding(
        connection: connection, action: request.action, form: request.form, begunAt: begunAt))
    MHD_suspend_connection(connection)
    let ticket = forwarded.open(exchange)
    responder.keyspace.statistics.pointee.operationsForwarded.add()
    _ = request.withOperation { routers[loop.index].route($0, for: self, ticket: ticket) }
    return .YES
  }

  public func replied(_ ticket: UInt64, _ reply: OperationReply) {
    guard let exchange = forwarded.close(ticket) else { return }
    if case .gathering(let gathering) = exchange.pointee.phase { return gathered(reply, gathering, exchange) }
    guard case .forwarded(let forwarding) = exchange.pointee.phase else { return }
    exchange.pointee.phase = .answered(made(of: reply, forwarding))
    let nanoseconds = loop.monotonicNanoseconds &- forwarding.begunAt
    responder.keyspace.statistics.pointee.noteLatency(nanoseconds: nanoseconds)
    if case .payload = reply { responder.keyspace.statistics.pointee.notePeerLatency(nanoseconds: nanoseconds) }
    hasResumed = true
    MHD_resume_connection(forwarding.connection)
  }

  public func repliesEnded() {
    guard hasResumed else { return }
    hasResumed = false
    ready()
  }

  private func made(of reply: OperationReply, _ forwarding: Exchange.Forwarding) -> Reply {
    let problem: Problem
    switch reply {
    case .payload(let bytes):
      let isTooMuch = responder.repliesPend(before: bytes.count)
      if !isTooMuch, let reply = Reply(payload: bytes) {
        responder.count(reply)
        return reply
      }
      problem = isTooMuch ? .repliesPending() : .unknownForm()
    case .failed(let failure): problem = Problem(failure)
    }
    responder.countError(forwarding.action)
    return refused(problem.told(forwarding.form))
  }

  /// Before the library stops: nobody waits for these replies any more.
  func abandonForwarded() {
    for exchange in forwarded.closeAll() {
      let connection: OpaquePointer
      switch exchange.pointee.phase {
      case .forwarded(let forwarding): connection = forwarding.connection
      case .gathering(let gathering): connection = gathering.connection
      default: continue
      }
      exchange.pointee.phase = .replied
      MHD_resume_connection(connection)
    }
  }
}

/// Executes the requests for keys that came to other members' HTTP doors, whether or not this node has one itself.
/// One per loop, on its thread only.
public final class HTTPExecutor: OperationExecutor {
  private let responder: Responder
  private unowned let loop: any EventLoop

  /// `seed` feeds the jitter of TTLs.
  public init(node: Node, loop: any EventLoop, seed: UInt64) {
    self.loop = loop
    responder = Responder(node: node, loop: loop.index, configuration: HTTPConfiguration(), seed: seed)
    responder.keyspace.waits = true
  }

  public func execute(_ batch: inout OperationBatch, for requester: MemberNumber) {
    let now = loop.now
    let identity = responder.identity(of: requester)
    for index in 0..<batch.count {
      batch.outcomes[index] = responder.execute(batch.operations[index], identity, &batch, now)
    }
  }
}
