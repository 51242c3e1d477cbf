import NexusModel
import NexusRESP
import NexusService
import NexusStore

/// Operations that this loop has given away, and the replies on their way back.
final class Forwarder {
  @exclusivity(unchecked) var table: ReplyTable
  /// Replies that go to `receiver` next. One client's replies mostly come in a row and leave in one piece.
  @exclusivity(unchecked) var out = OutputBuffer(capacity: 16 * 1024)
  @exclusivity(unchecked) var receiver: UnsafeMutablePointer<ReplyQueue>?
  /// About the largest reply of late, in bytes: bounds how many may be under way at once.
  @exclusivity(unchecked) var usualReply = 64
  /// Scattered commands whose parts are under way, by number; nil where the number is free.
  @exclusivity(unchecked) var gatherings: [Gathering?] = []
  @exclusivity(unchecked) var freeGatherings: [UInt32] = []
  /// What clients that track read with operations under way, by their places.
  @exclusivity(unchecked) var tracked: [UInt32: [KeyName]] = [:]
  /// The number of the last watch that another member was asked to keep.
  @exclusivity(unchecked) var lastWatch: UInt64 = 0
  let router: any OperationRouter

  init(_ router: any OperationRouter, _ gauge: MemoryGauge) {
    self.router = router
    table = ReplyTable(gauge)
  }

  deinit {
    table.deallocate()
    out.deallocate()
  }

  /// Of one session: operations, and bytes of their requests, and of the replies that may be expected.
  static let operationsMost = 1024
  static let requestBytesMost = 4 << 20
  static let replyBytesMost = 16 << 20
  /// Replies gathered before they are handed to the transport.
  static let outBytesMost = 128 * 1024

  /// Whether the session may give one more operation away now.
  @inline(__always) func hasRoom(_ queue: UnsafeMutablePointer<ReplyQueue>) -> Bool {
    let underWay = queue.pointee.underWay
    return underWay < Self.operationsMost && queue.pointee.requestBytes < Self.requestBytesMost
      && underWay &* usualReply &+ queue.pointee.heldBytes < Self.replyBytesMost
  }
}

extension Engine: OperationRequester {
  /// Made with the first operation that is given away.
  var forwarder: Forwarder {
    if let made = madeForwarder { return made }
    let made = Forwarder(node.routers[loop.index], store.configuration.outside)
    madeForwarder = made
    return made
  }

  // MARK: Giving away

  /// The session's queue, opened if it has none. What stands in `out` from `mark` on goes behind what is in it;
  /// `mark` is then the end of `out`.
  func queue(
    of session: Session, _ out: inout OutputBuffer, _ mark: inout Int
  ) -> UnsafeMutablePointer<ReplyQueue> {
    if let queue = session.pending {
      holdBack(queue, &out, mark)
      mark = out.count
      return queue
    }
    let queue = forwarder.table.openQueue(session, changes: routes.changes)
    session.pending = queue
    loop.owesReplies(session.connection, true)
    mark = out.count
    return queue
  }

  /// Moves what has been written from `mark` on behind the replies that are under way.
  func holdBack(_ queue: UnsafeMutablePointer<ReplyQueue>, _ out: inout OutputBuffer, _ mark: Int) {
    guard out.count > mark else { return }
    forwarder.table.append(UnsafeRawBufferPointer(start: out.base + mark, count: out.count - mark), to: queue)
    out.count = mark
  }

  /// Gives one operation away, whose reply has the next place in the session's queue.
  /// - Parameter tracked: what its client, who tracks, reads with it.
  func forward(
    _ operation: Operation, _ queue: UnsafeMutablePointer<ReplyQueue>, silent: Bool, requestBytes: Int,
    tracked: [KeyName]? = nil
  ) {
    let forwarder = forwarder
    let index = forwarder.table.take(queue, silent ? .silent : .reply)
    forwarder.table.append(index, to: queue)
    if let tracked { forwarder.tracked[index] = tracked }
    send(operation, index, queue, requestBytes, forwarder)
  }

  func send(
    _ operation: Operation, _ index: UInt32, _ queue: UnsafeMutablePointer<ReplyQueue>, _ requestBytes: Int,
    _ forwarder: Forwarder
  ) {
    let place = forwarder.table.places + Int(index)
    place.pointee.count = requestBytes
    place.pointee.protocolVersion = operation.protocolVersion
    queue.pointee.underWay &+= 1
    queue.pointee.requestBytes &+= requestBytes
    var operation = operation
    let namespace = databases.namespace(of: Int(operation.database))
    // A read of a quorum is its owner's to answer: no copy by itself does.
    if queue.pointee.mayHave(slot: operation.slot.index)
      || operation.flags.contains(.readOnly) && asksQuorum(namespace)
    {
      operation.flags.insert(.ordered)
    }
    queue.pointee.note(slot: operation.slot.index)
    statistics.pointee.operationsForwarded.add()
    let member = forwarder.router.route(operation, for: self, ticket: forwarder.table.ticket(index))
    if replicator != nil, !operation.flags.contains(.readOnly) { noteDistantWrite(queue, member, forwarder.router) }
  }

  // MARK: Replies

  public func replied(_ ticket: UInt64, _ reply: OperationReply) {
    let forwarder = forwarder
    guard let index = forwarder.table.place(ticket) else { return }
    let place = forwarder.table.places[Int(index)]
    if !forwarder.tracked.isEmpty {
      rememberAnswered(index, place.queue?.pointee.session?.takeUnretainedValue(), reply, forwarder)
    }
    if place.purpose == .unwanted { return forwarder.table.giveBack(index) }
    guard let queue = place.queue else { return }
    queue.pointee.underWay &-= 1
    queue.pointee.requestBytes &-= place.count
    if place.purpose == .part { return partReplied(index, place, reply) }
    switch reply {
    case .payload(let bytes):
      forwarder.usualReply = max(bytes.count, forwarder.usualReply &- forwarder.usualReply >> 6)
      complete(index, queue, place.purpose == .silent ? UnsafeRawBufferPointer(start: nil, count: 0) : bytes)
    case .failed(let failure): completeFailed(index, queue, place, failure)
    }
  }

  @inline(never) func completeFailed(
    _ index: UInt32, _ queue: UnsafeMutablePointer<ReplyQueue>, _ place: AwaitedReply, _ failure: OperationFailure
  ) {
    var text = OutputBuffer(capacity: 256)
    defer { text.deallocate() }
    noteError(failure.code)
    if place.purpose != .silent { text.writeError("\(failure.code) \(failure.sentence)") }
    complete(index, queue, text.bytes)
  }

  /// The place's reply is here: it leaves, with all that waited for it, or waits itself for those before it.
  func complete(_ index: UInt32, _ queue: UnsafeMutablePointer<ReplyQueue>, _ bytes: UnsafeRawBufferPointer) {
    let forwarder = forwarder
    guard queue.pointee.first == index else { return forwarder.table.write(bytes, at: index, of: queue) }
    if forwarder.receiver != queue {
      flushReplies()
      forwarder.receiver = queue
    }
    var out = forwarder.out
    if queue.pointee.session != nil { out.append(bytes) }
    forwarder.table.advance(queue, &out)
    forwarder.out = out
    if out.count > Forwarder.outBytesMost { flushReplies() }
  }

  public func repliesEnded() { flushReplies() }

  /// Sends what has been gathered for one session, and lets it go on where it waited for that.
  func flushReplies() {
    let forwarder = forwarder
    guard let queue = forwarder.receiver else { return }
    forwarder.receiver = nil
    if let session = queue.pointee.session, forwarder.out.count > 0 {
      session._withUnsafeGuaranteedRef { _ = loop.send(forwarder.out.bytes, to: $0.connection) }
    }
    forwarder.out.count = 0
    forwarder.out.shrink(to: Forwarder.outBytesMost * 2)
    if queue.pointee.first == 0 { return emptied(queue) }
    if queue.pointee.waits == .forRoom, queue.pointee.underWay <= Forwarder.operationsMost / 2,
      forwarder.hasRoom(queue), let session = queue.pointee.session
    {
      queue.pointee.waits = .no
      loop.resume(session._withUnsafeGuaranteedRef { $0.connection })
    }
  }

  private func emptied(_ queue: UnsafeMutablePointer<ReplyQueue>) {
    let waited = queue.pointee.waits != .no
    let session = queue.pointee.session
    forwarder.table.close(queue)
    guard let session = session?.takeUnretainedValue() else { return }
    session.pending = nil
    loop.owesReplies(session.connection, false)
    if session.obstacles.contains(.closing) {
      loop.close(session.connection, afterFlush: true)
    } else if waited {
      loop.resume(session.connection)
    }
  }

  /// The connection is gone: replies that still come are dropped.
  func abandonReplies(of session: Session) {
    guard let queue = session.pending else { return }
    session.pending = nil
    queue.pointee.session = nil
  }

  /// Sends to a client out of turn: behind its replies where some are under way, as if they had been sent already.
  func push(_ bytes: UnsafeRawBufferPointer, to session: Session) {
    if session.pending?.pointee.first == 0 { flushReplies() }
    if let queue = session.pending { return forwarder.table.append(bytes, to: queue) }
    loop.send(bytes, to: session.connection)
  }
}

extension OperationFailure {
  /// What an error reply starts with.
  var code: String {
    switch self {
    case .noOwner, .unreachable: "CLUSTERDOWN"
    case .overloaded, .moved: "TRYAGAIN"
    case .timedOut: "TIMEOUT"
    case .outcomeUnknown: "UNKNOWN"
    case .tooFewCopies: "NOREPLICAS"
    case .refused: "ERR"
    }
  }
}
