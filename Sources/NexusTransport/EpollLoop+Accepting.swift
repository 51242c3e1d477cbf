import CLinux
import Glibc
import NexusModel
import NexusService

/// From a listening socket to a connection with a session.
extension EpollLoop {
  /// Connections taken from one listening socket in one turn.
  static let acceptsPerTurn = 64
  /// How long accepting rests when the process is out of descriptors or memory.
  static let acceptRestMilliseconds = 100
  static let acceptComplaintMilliseconds: Int64 = 10_000
  /// Refused clients that may linger at the same time.
  static let mostLingering = 1024

  /// Before the thread starts, or on it.
  func addDoor(_ door: any StreamDoor) {
    precondition(state.pointee.doorCount < LoopState.mostDoors, "a runtime has at most 16 listeners")
    state.pointee.doors[state.pointee.doorCount] = .passRetained(DoorHolder(door))
    state.pointee.doorCount += 1
  }

  /// The door's place; it gets one with its first connection.
  func place(of door: any StreamDoor) -> UInt8 {
    for index in 0..<state.pointee.doorCount where state.pointee.doors[index].takeUnretainedValue().door === door {
      return UInt8(index)
    }
    addDoor(door)
    return UInt8(state.pointee.doorCount - 1)
  }

  func door(of connection: ConnectionPointer) -> any StreamDoor {
    state.pointee.doors[Int(connection.pointee.door)].takeUnretainedValue().door
  }

  /// After the thread has ended, or where it never started: doors, and what waits to be run, usually hold their loop.
  func letGo() {
    for index in 0..<state.pointee.doorCount { state.pointee.doors[index].release() }
    state.pointee.doorCount = 0
    watched = []
    dials = []
    turnTasks = []
    timers = TimerHeap()
    mailbox.close()
  }

  func closeListening() {
    for socket in listening {
      poller.remove(socket.descriptor)
      Glibc.close(socket.descriptor)
    }
    listening = []
  }

  func addListening(_ socket: ListeningSocket) {
    listening.append(socket)
    poller.add(socket.descriptor, token: Token.listener(listening.count - 1), .read)
  }

  func onAcceptable(_ index: Int) {
    let socket = listening[index]
    var peer = SocketAddress()
    for _ in 0..<Self.acceptsPerTurn {
      let descriptor = nexus_accept4(socket.descriptor, &peer.storage, &peer.length)
      if descriptor >= 0 {
        place(descriptor, socket, peer)
        continue
      }
      switch errno {
      case EAGAIN: return
      case EMFILE, ENFILE, ENOBUFS, ENOMEM: return restFromAccepting(index, errno)
      // What a connection that was already gone left behind: the next one may be fine.
      default: continue
      }
    }
  }

  /// Level-triggered readiness would report the waiting client again and again: look away for a moment.
  private func restFromAccepting(_ index: Int, _ code: Int32) {
    if now - lastAcceptComplaint >= Self.acceptComplaintMilliseconds {
      lastAcceptComplaint = now
      log.error(
        "clients are waiting that cannot be accepted: raise the limit of open files (ulimit -n) or lower the limit of "
          + "clients",
        ("reason", systemErrorText(code)), ("connections", "\(limits.connectionsNow.load(ordering: .relaxed))"))
    }
    let descriptor = listening[index].descriptor
    poller.modify(descriptor, token: Token.listener(index), [])
    after(milliseconds: Self.acceptRestMilliseconds) { [unowned self] in
      guard index < listening.count, listening[index].descriptor == descriptor else { return }
      poller.modify(descriptor, token: Token.listener(index), .read)
    }
  }

  /// The loop that is to have a new connection.
  ///
  /// The kernel deals connections out by a hash of their addresses, which is even only for many of them: a loop that
  /// has an eighth more than the mean passes new ones on to the one that has fewest. One loop accepts all that comes by
  /// a Unix socket, and passes on likewise: local clients are few and busy, and an even share matters more to them than
  /// one hop when they connect.
  private func holder(ofNew socket: ListeningSocket) -> EpollLoop {
    guard siblings.count > 1 else { return self }
    var total = 0
    var fewest = self
    for loop in siblings {
      let count = loop.assigned.load(ordering: .relaxed)
      total += count
      if count < fewest.assigned.load(ordering: .relaxed) { fewest = loop }
    }
    let mean = total / siblings.count
    let slack = socket.unixPath == nil ? max(1, mean / 8) : 0
    return assigned.load(ordering: .relaxed) > mean + slack ? fewest : self
  }

  private func place(_ descriptor: Int32, _ socket: ListeningSocket, _ peer: SocketAddress) {
    let holder = holder(ofNew: socket)
    // Counted here, so that what is still on its way is counted too.
    holder.assigned.wrappingAdd(1, ordering: .relaxed)
    if holder === self { return adopt(descriptor, socket, peer) }
    holder.post { [unowned holder] in holder.adopt(descriptor, socket, peer) }
  }

  private func adopt(_ descriptor: Int32, _ socket: ListeningSocket, _ peer: SocketAddress) {
    guard stopDeadline == nil, let connection = table.allocate() else {
      assigned.wrappingSubtract(1, ordering: .relaxed)
      Glibc.close(descriptor)
      return
    }
    state.pointee.statistics.pointee.connectionsAccepted.add()
    connection.pointee.descriptor = descriptor
    connection.pointee.door = socket.door
    connection.pointee.lastActive = now
    connection.pointee.phase = .open
    let door = door(of: connection)
    var farewell = OutputBuffer(capacity: 0)
    defer { farewell.deallocate() }
    let clients = limits.connectionsNow.wrappingAdd(1, ordering: .relaxed).newValue
    if clients > limits.clients.load(ordering: .relaxed) {
      door.refuse(&farewell)
      return refuse(connection, farewell)
    }
    let session = door.open(connection.pointee.id, address(of: descriptor, socket, peer), farewell: &farewell)
    guard let session else { return refuse(connection, farewell) }
    connection.pointee.session = session
    state.pointee.statistics.pointee.connectionsNow.add()
    if socket.unixPath == nil { setTCPOptions(descriptor) }
    if door.producesOutput { connection.pointee.flags.insert(.produces) }
    connection.pointee.interest = .read
    guard poller.add(descriptor, token: Token.connection(connection), .read) else {
      return doom(connection, .ioError)
    }
    if farewell.count > 0 { deliver(connection, &farewell) }
  }

  private func address(of descriptor: Int32, _ socket: ListeningSocket, _ peer: SocketAddress) -> PeerAddress {
    if let path = socket.unixPath {
      return PeerAddress(remote: path + ":0", local: path + ":0", descriptor: descriptor, isUnixSocket: true)
    }
    return PeerAddress(
      remote: peer.description, local: SocketAddress(localOf: descriptor).description, descriptor: descriptor,
      isUnixSocket: false)
  }

  func setTCPOptions(_ descriptor: Int32) {
    setOption(descriptor, Int32(IPPROTO_TCP), TCP_NODELAY, 1)
    let seconds = limits.keepaliveSeconds.load(ordering: .relaxed)
    guard seconds > 0 else { return }
    // First question after `seconds` of silence, then two more, a third of that apart.
    setOption(descriptor, SOL_SOCKET, SO_KEEPALIVE, 1)
    setOption(descriptor, Int32(IPPROTO_TCP), TCP_KEEPIDLE, Int32(clamping: min(seconds, 32_767)))
    setOption(descriptor, Int32(IPPROTO_TCP), TCP_KEEPINTVL, Int32(clamping: max(1, min(seconds / 3, 32_767))))
    setOption(descriptor, Int32(IPPROTO_TCP), TCP_KEEPCNT, 3)
  }

  private func refuse(_ connection: ConnectionPointer, _ farewell: OutputBuffer) {
    state.pointee.statistics.pointee.connectionsRefused.add()
    limits.connectionsNow.wrappingSubtract(1, ordering: .relaxed)
    assigned.wrappingSubtract(1, ordering: .relaxed)
    let descriptor = connection.pointee.descriptor
    if farewell.count > 0 { Glibc.send(descriptor, farewell.base, farewell.count, Int32(MSG_NOSIGNAL)) }
    guard lingering.count < Self.mostLingering, poller.add(descriptor, token: Token.connection(connection), .read)
    else { return retire(connection) }
    connection.pointee.interest = .read
    linger(connection)
  }

  public func exemptFromIdleTimeout(_ id: ConnectionID, _ isExempt: Bool) {
    guard let connection = table.find(id) else { return }
    if isExempt {
      connection.pointee.flags.insert(.exemptFromIdleTimeout)
    } else {
      connection.pointee.flags.remove(.exemptFromIdleTimeout)
      connection.pointee.lastActive = now
    }
  }
}
