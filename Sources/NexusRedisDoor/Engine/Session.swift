import NexusModel
import NexusRESP
import NexusService

/// One client connection, as the Redis door sees it.
///
/// Lives on its loop's thread. What few clients use is in `extras`, so that an idle connection stays small. Its
/// fields are read and written in single steps, never held while other code runs: they need no check of exclusivity.
public final class Session {
  /// What keeps a request from the shortest way through the engine.
  struct Obstacles: OptionSet {
    let rawValue: UInt8
    static let unauthenticated = Obstacles(rawValue: 1 << 0)
    /// Between MULTI and EXEC.
    static let transaction = Obstacles(rawValue: 1 << 1)
    static let subscribed = Obstacles(rawValue: 1 << 2)
    static let repliesOff = Obstacles(rawValue: 1 << 3)
    /// Reads leave the eviction policy's counters alone (CLIENT NO-TOUCH).
    static let noTouch = Obstacles(rawValue: 1 << 4)
    static let monitor = Obstacles(rawValue: 1 << 5)
    /// The connection ends when the reply has been sent.
    static let closing = Obstacles(rawValue: 1 << 6)
    /// What it reads is remembered, or what it writes is not told to it (CLIENT TRACKING).
    static let tracking = Obstacles(rawValue: 1 << 7)
  }

  /// CLIENT REPLY.
  enum ReplyMode: UInt8 { case on, off, skipNext, skipping }

  /// As CLIENT ID shows it: rising over the whole node.
  public let id: UInt64
  public let connection: ConnectionID
  public let peer: PeerAddress
  public let createdAt: UnixMilliseconds
  /// When a request last arrived.
  @exclusivity(unchecked) public internal(set) var activeAt: UnixMilliseconds
  /// The number of the namespace behind it: read anew before each batch and after each command that may change it.
  @exclusivity(unchecked) public internal(set) var namespace: NamespaceNumber = 0
  /// What is selected: a database, 0...15, or a namespace's number.
  @exclusivity(unchecked) public internal(set) var database: Int = 0
  /// 2 or 3.
  @exclusivity(unchecked) public internal(set) var protocolVersion: Int = 2
  @exclusivity(unchecked) var obstacles: Obstacles = []
  @exclusivity(unchecked) var replyMode: ReplyMode = .on
  /// CLIENT NO-EVICT.
  @exclusivity(unchecked) var isProtected = false
  /// The index of the last command, -1 before the first.
  @exclusivity(unchecked) var lastCommand: Int32 = -1
  @exclusivity(unchecked) var progress = ParseProgress()
  @exclusivity(unchecked) var extras: SessionExtras?
  /// Replies that are under way from other members, and what waits behind them; nil while there are none.
  @exclusivity(unchecked) var pending: UnsafeMutablePointer<ReplyQueue>?
  /// What it has written that other members have copies of, for WAIT; nil until it does. Its own memory.
  @exclusivity(unchecked) var writes: UnsafeMutablePointer<SessionWrites>?
  /// READONLY: reads may come from this node's copies.
  @exclusivity(unchecked) var readsCopies = false
  /// It came through the port for cluster clients: told where a slot is, instead of being served from there.
  let redirects: Bool

  init(id: UInt64, connection: ConnectionID, peer: PeerAddress, now: UnixMilliseconds = 0, redirects: Bool = false) {
    self.id = id
    self.redirects = redirects
    self.connection = connection
    self.peer = peer
    createdAt = now
    activeAt = now
  }

  deinit { writes?.deallocate() }

  /// The extras, made when first asked for.
  var more: SessionExtras {
    if let extras { return extras }
    let made = SessionExtras()
    extras = made
    return made
  }

  /// CLIENT GETNAME; empty if none was set.
  public var name: String { extras?.name ?? "" }
  /// False while CLIENT NO-TOUCH is on: pass it to `Store.find`.
  public var touches: Bool { !obstacles.contains(.noTouch) }
  var isAuthenticated: Bool { !obstacles.contains(.unauthenticated) }

  func set(_ obstacle: Obstacles, _ on: Bool) {
    if on { obstacles.insert(obstacle) } else { obstacles.remove(obstacle) }
  }
}

/// What a session carries once it uses more than plain commands.
final class SessionExtras {
  var name = ""
  var libraryName = ""
  var libraryVersion = ""
  var transaction: Transaction?
  var watch: Watch?
  /// What another member watches for this session.
  var distantWatch: DistantWatch?
  /// While DEBUG SLEEP holds the session back: until when.
  var wakesAt: UnixMilliseconds?
  var channels: Set<[UInt8]> = []
  var patterns: Set<[UInt8]> = []
  var shardChannels: Set<[UInt8]> = []
  /// Every client's card, gathered for the command that the session waits to run.
  var census: Census?
  var tracking: Tracking?
  /// The same for one client: which loop has it.
  var search: ClientSearch?

  var subscriptionCount: Int { channels.count + patterns.count + shardChannels.count }
}
