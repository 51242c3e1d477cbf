import CAllocator
import NexusModel
import NexusService

/// What one client is and has, as CLIENT LIST shows it and CLIENT KILL asks for it.
struct ClientCard: Sendable {
  let id: UInt64
  let loop: Int
  let connection: ConnectionID
  let remote: String
  let local: String
  let descriptor: Int32
  let name: String
  let libraryName: String
  let libraryVersion: String
  let ageSeconds: Int
  let idleSeconds: Int
  let flags: String
  /// A number also for a namespace: clients read one.
  let database: Int
  let user: String
  let channels: Int
  let patterns: Int
  let shardChannels: Int
  /// Queued commands, -1 outside of MULTI.
  let queued: Int
  let queuedBytes: Int
  let inputBytes: Int
  let outputBytes: Int
  let memoryBytes: Int
  let command: String
  let protocolVersion: Int
  /// Where its invalidations go: another client's id, 0 for itself, -1 where it does not track.
  let redirection: Int

  init(_ session: Session, _ engine: Engine, now: UnixMilliseconds) {
    let extras = session.extras
    id = session.id
    loop = engine.loop.index
    connection = session.connection
    remote = session.peer.remote
    local = session.peer.local
    descriptor = session.peer.descriptor
    name = session.name
    libraryName = extras?.libraryName ?? ""
    libraryVersion = extras?.libraryVersion ?? ""
    ageSeconds = Int(max(0, now - session.createdAt)) / 1000
    idleSeconds = Int(max(0, now - session.activeAt)) / 1000
    flags = Self.flags(of: session, now: now)
    database = session.database
    user = engine.user(of: session)
    channels = extras?.channels.count ?? 0
    patterns = extras?.patterns.count ?? 0
    shardChannels = extras?.shardChannels.count ?? 0
    queued = extras?.transaction?.commands.count ?? -1
    queuedBytes = extras?.transaction?.memoryBytes ?? 0
    inputBytes = engine.loop.pendingInputBytes(session.connection)
    outputBytes = engine.loop.pendingOutputBytes(session.connection)
    memoryBytes = inputBytes + outputBytes + queuedBytes + session.memoryBytes
    command = session.lastCommand < 0 ? "NULL" : engine.door.commands.slots[Int(session.lastCommand)].name
    protocolVersion = session.protocolVersion
    redirection = extras?.tracking?.redirectionNumber ?? -1
  }

  private static func flags(of session: Session, now: UnixMilliseconds) -> String {
    var flags = ""
    if session.obstacles.contains(.monitor) { flags += "O" }
    if session.obstacles.contains(.subscribed) { flags += "P" }
    if session.obstacles.contains(.transaction) || session.extras?.transaction != nil { flags += "x" }
    if let tracking = session.extras?.tracking {
      flags += "t"
      if tracking.isBroken { flags += "R" }
      if tracking.options.contains(.broadcast) { flags += "B" }
    }
    if session.extras?.watch?.isDirty(now: now) == true { flags += "d" }
    if session.obstacles.contains(.closing) { flags += "c" }
    if session.peer.isUnixSocket { flags += "U" }
    if session.isProtected { flags += "e" }
    if session.obstacles.contains(.noTouch) { flags += "T" }
    return flags.isEmpty ? "N" : flags
  }

  /// `normal` or `pubsub`; a monitor counts as a replica, as in Redis.
  var type: String { flags.contains("O") ? "replica" : flags.contains("P") ? "pubsub" : "normal" }

  /// One line of CLIENT LIST. Replies are written into their loop's buffer, so that a client has no reply buffer of
  /// its own (`rbs`, `rbp`, `obl` are 0) until it is slow to read (`omem`).
  var line: String {
    "id=\(id) addr=\(remote) laddr=\(local) fd=\(descriptor) name=\(name) age=\(ageSeconds) idle=\(idleSeconds) "
      + "flags=\(flags) db=\(database) sub=\(channels) psub=\(patterns) ssub=\(shardChannels) multi=\(queued) "
      + "qbuf=\(inputBytes) qbuf-free=0 argv-mem=0 multi-mem=\(queuedBytes) rbs=0 rbp=0 obl=0 "
      + "oll=\(outputBytes > 0 ? 1 : 0) omem=\(outputBytes) tot-mem=\(memoryBytes) "
      + "events=\(outputBytes > 0 ? "rw" : "r") cmd=\(command) user=\(user) redir=\(redirection) "
      + "resp=\(protocolVersion) "
      + "lib-name=\(libraryName) lib-ver=\(libraryVersion)"
  }
}

extension Session {
  /// The session's own objects; what its buffers hold is the transport's to tell.
  var memoryBytes: Int {
    let bytes = allocatedBytes(self) + heapBytes(peer.remote) + heapBytes(peer.local)
    return bytes + (extras?.memoryBytes ?? 0)
  }
}

extension SessionExtras {
  /// Without the transaction, which counts for itself.
  fileprivate var memoryBytes: Int {
    var bytes = allocatedBytes(self) + heapBytes(name) + heapBytes(libraryName) + heapBytes(libraryVersion)
    for names in [channels, patterns, shardChannels] where names.capacity > 0 {
      // A set's table is three quarters full at most.
      bytes += objectHeadBytes + names.capacity * 4 / 3 * MemoryLayout<[UInt8]>.stride
      for name in names { bytes += heapBytes(name) }
    }
    if let tracking {
      bytes += objectHeadBytes + tracking.prefixes.capacity * MemoryLayout<[UInt8]>.stride
      for prefix in tracking.prefixes { bytes += heapBytes(prefix) }
    }
    if let watch {
      bytes += allocatedBytes(watch) + allocatedBytes(watch.token)
      bytes += objectHeadBytes + watch.keys.capacity * MemoryLayout<Watch.WatchedKey>.stride
      for key in watch.keys { bytes += heapBytes(key.bytes) }
    }
    return bytes
  }
}

/// What the allocator set aside for an object.
private func allocatedBytes(_ object: AnyObject) -> Int {
  nexus_allocated_bytes(Unmanaged.passUnretained(object).toOpaque())
}

/// An array's or string's storage before its first element: type, reference counts, count and capacity.
private let objectHeadBytes = 32

private func heapBytes(_ bytes: [UInt8]) -> Int { bytes.capacity == 0 ? 0 : objectHeadBytes + bytes.capacity }

/// Up to 15 bytes lie in the string itself.
private func heapBytes(_ text: String) -> Int {
  text.utf8.count <= 15 ? 0 : objectHeadBytes + text.utf8.count + 1
}

/// Every client of the node, gathered from all loops.
struct Census: Sendable {
  var cards: [ClientCard] = []
  /// Loops that have not answered yet.
  var missing = 0
}

extension Engine {
  func ownCards(now: UnixMilliseconds) -> [ClientCard] { sessions.values.map { ClientCard($0, self, now: now) } }

  func hasCensus(_ session: Session) -> Bool {
    if door.engines.count == 1 {
      session.more.census = Census(cards: ownCards(now: loop.now))
      return true
    }
    return session.extras?.census?.missing == 0
  }

  /// Asks every loop for its clients; the session waits, and runs its command again when all have answered.
  func gatherCensus(for session: Session) {
    session.more.census = Census(cards: ownCards(now: loop.now), missing: door.engines.count - 1)
    let id = session.id
    for engine in door.engines where engine !== self {
      engine.post { [self] in
        let cards = engine.ownCards(now: engine.loop.now)
        post { [self] in addToCensus(cards, of: id) }
      }
    }
  }

  private func addToCensus(_ cards: [ClientCard], of id: UInt64) {
    guard let session = sessions[id], let extras = session.extras, var census = extras.census else { return }
    census.cards += cards
    census.missing -= 1
    extras.census = census
    if census.missing == 0 { loop.resume(session.connection) }
  }

  /// Ends other clients' connections, wherever they are.
  func kill(_ cards: [ClientCard]) {
    for engine in door.engines {
      let own = cards.filter { $0.loop == engine.loop.index }
      if own.isEmpty { continue }
      if engine === self { killHere(own) } else { engine.post { engine.killHere(own) } }
    }
  }

  private func killHere(_ cards: [ClientCard]) {
    for card in cards where sessions[card.id] != nil { loop.close(card.connection, afterFlush: false) }
  }

  /// Lets the sessions go on that a pause held back.
  func resumePaused() {
    let waiting = paused
    paused.removeAll()
    for id in waiting {
      if let session = sessions[id] { loop.resume(session.connection) }
    }
  }
}
