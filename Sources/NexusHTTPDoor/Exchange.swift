import NexusModel
import NexusStore

/// One request on its way through the door, from its head until its reply is sent.
struct Exchange {
  enum Phase {
    /// The body, if there is one, is being read into `upload`.
    case reading
    /// The rest of the body is thrown away; then the problem is the reply.
    case discarding(Problem)
    /// Another member has been asked: its connection is suspended.
    case forwarded(Forwarding)
    /// Every other member has been asked: its connection is suspended.
    case gathering(Gathering)
    /// The other member's reply, which the connection sends as soon as it runs again. To be freed.
    case answered(Reply)
    case replied
    /// An event stream, by its number.
    case streaming(UInt64)
  }

  /// A request that every member runs.
  struct Gathering {
    let connection: OpaquePointer
    /// Monotonic nanoseconds.
    let begunAt: UInt64
    /// What the members that have answered removed.
    var entries: Int
    /// Members that have not answered.
    var missing = 0
    var failure: Problem?
  }

  struct Forwarding {
    let connection: OpaquePointer
    let action: KeyRequest.Action
    let form: Reply.Form
    /// Monotonic nanoseconds.
    let begunAt: UInt64
  }

  var phase: Phase = .reading
  /// See `RequestHead.preparedKey`. Borrows the connection's bytes, which stay until the request is completed.
  var preparedKey: Key?
  /// Invariant: freed when the exchange ends, if its capacity is above 0.
  var upload: OutputBuffer?
  /// Where the room for the upload is made.
  var namespace: NamespaceNumber = 0
  /// Bytes of body that the head announced; nil where it did not say.
  var announced: Int?
  var discardedBytes = 0
  /// Bytes of the reply, while it is being sent.
  var replyBytes = 0
  fileprivate var next: UnsafeMutablePointer<Exchange>?
}

/// Exchanges to use again: a request takes one without allocating.
struct ExchangePool {
  private var free: UnsafeMutablePointer<Exchange>?
  private(set) var inUse = 0

  mutating func take() -> UnsafeMutablePointer<Exchange> {
    inUse += 1
    guard let exchange = free else {
      let exchange = UnsafeMutablePointer<Exchange>.allocate(capacity: 1)
      exchange.initialize(to: Exchange())
      return exchange
    }
    free = exchange.pointee.next
    exchange.pointee.next = nil
    return exchange
  }

  /// Nobody may use the exchange afterwards.
  mutating func giveBack(_ exchange: UnsafeMutablePointer<Exchange>) {
    inUse -= 1
    exchange.pointee = Exchange()
    exchange.pointee.next = free
    free = exchange
  }

  mutating func deallocate() {
    while let exchange = free {
      free = exchange.pointee.next
      exchange.deinitialize(count: 1)
      exchange.deallocate()
    }
  }
}
