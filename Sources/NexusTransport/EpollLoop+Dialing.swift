import Glibc
import NexusModel
import NexusService

/// An outgoing connection on its way.
struct Dial {
  let connection: ConnectionPointer
  let door: any OutgoingDoor
  let session: UnsafeMutableRawPointer
  let timeoutMilliseconds: Int
  /// In monotonic nanoseconds.
  let deadline: UInt64
  /// Set once it is known; the door is told at the end of the turn, never within a call of its own.
  var outcome: Outcome = .pending

  enum Outcome {
    case pending
    case failed(ConnectFailure)
  }
}

/// Connections that this node makes.
extension EpollLoop {
  @discardableResult public func connect(
    to address: NetworkAddress, timeoutMilliseconds: Int, _ door: any OutgoingDoor, _ session: UnsafeMutableRawPointer
  ) -> ConnectionID {
    guard let connection = table.allocate() else { preconditionFailure("four million connections on one loop") }
    connection.pointee.phase = .connecting
    connection.pointee.flags = [.outgoing, .exemptFromIdleTimeout]
    connection.pointee.door = place(of: door)
    let patience = UInt64(max(0, timeoutMilliseconds)) &* 1_000_000
    var dial = Dial(
      connection: connection, door: door, session: session, timeoutMilliseconds: timeoutMilliseconds,
      deadline: monotonicNanoseconds &+ patience)
    if stopDeadline != nil {
      dial.outcome = .failed(.cancelled)
    } else if let failure = begin(connection, address) {
      dial.outcome = .failed(failure)
    }
    dials.append(dial)
    return connection.pointee.id
  }

  private func begin(_ connection: ConnectionPointer, _ address: NetworkAddress) -> ConnectFailure? {
    guard let target = SocketAddress(digits: address) else { return .invalidAddress(address.host) }
    let type = Int32(SOCK_STREAM.rawValue | SOCK_NONBLOCK.rawValue | SOCK_CLOEXEC.rawValue)
    let descriptor = socket(Int32(target.family), type, 0)
    guard descriptor >= 0 else { return Self.failure(errno) }
    connection.pointee.descriptor = descriptor
    setTCPOptions(descriptor)
    let result = target.withSockaddr { Glibc.connect(descriptor, $0, $1) }
    if result != 0 && errno != EINPROGRESS { return Self.failure(errno) }
    connection.pointee.interest = .write
    return poller.add(descriptor, token: Token.connection(connection), .write) ? nil : Self.failure(errno)
  }

  private static func failure(_ code: Int32) -> ConnectFailure {
    switch code {
    case ECONNREFUSED: .refused
    case ETIMEDOUT: .unreachable(systemErrorText(code))
    case EMFILE, ENFILE, ENOBUFS, ENOMEM, EADDRNOTAVAIL, EAGAIN: .exhausted(systemErrorText(code))
    default: .unreachable(systemErrorText(code))
    }
  }

  /// The system has an answer.
  func onConnected(_ connection: ConnectionPointer) {
    guard let index = dials.firstIndex(where: { $0.connection == connection }) else { return }
    guard case .pending = dials[index].outcome else { return }
    var code: Int32 = 0
    var length = socklen_t(MemoryLayout<Int32>.size)
    if getsockopt(connection.pointee.descriptor, SOL_SOCKET, SO_ERROR, &code, &length) != 0 { code = errno }
    if code != 0 { return giveUpDialing(connection, Self.failure(code)) }
    let dial = dials.remove(at: index)
    connection.pointee.phase = .open
    connection.pointee.session = dial.session
    connection.pointee.lastActive = now
    if dial.door.producesOutput { connection.pointee.flags.insert(.produces) }
    setInterest(connection, .read)
    var peer = SocketAddress()
    let descriptor = connection.pointee.descriptor
    peer.withMutableSockaddr { getpeername(descriptor, $0, $1) }
    dial.door.connected(
      dial.session, connection.pointee.id,
      PeerAddress(
        remote: peer.description, local: SocketAddress(localOf: descriptor).description, descriptor: descriptor,
        isUnixSocket: false))
  }

  func giveUpDialing(_ connection: ConnectionPointer, _ failure: ConnectFailure) {
    guard let index = dials.firstIndex(where: { $0.connection == connection }) else { return }
    guard case .pending = dials[index].outcome else { return }
    dials[index].outcome = .failed(failure)
    // Level-triggered: a broken socket would be reported again and again.
    poller.remove(connection.pointee.descriptor)
  }

  /// Tells doors what failed, and gives up what takes too long. Doors may dial again from here: that is seen next turn.
  func runDials() {
    let time = monotonicNanoseconds
    var failed: [(Dial, ConnectFailure)] = []
    dials.removeAll { dial in
      switch dial.outcome {
      case .failed(let failure): failed.append((dial, failure))
      case .pending where dial.deadline <= time:
        failed.append((dial, .timedOut(milliseconds: dial.timeoutMilliseconds)))
      case .pending: return false
      }
      return true
    }
    for (dial, failure) in failed {
      retire(dial.connection)
      dial.door.failed(dial.session, failure)
    }
  }

  func dialsMilliseconds() -> Int {
    let time = monotonicNanoseconds
    var least = Int.max
    for dial in dials {
      guard case .pending = dial.outcome, dial.deadline > time else { return 0 }
      least = min(least, Int((dial.deadline - time + 999_999) / 1_000_000))
    }
    return least
  }
}
