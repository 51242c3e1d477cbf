import NexusModel
import NexusService

/// One client connection: everything the transport knows about it, in raw memory of its loop.
///
/// The first 64 bytes are what reading, executing and writing touch. Idle connections own nothing beyond this
/// record and the door's session.
struct Connection {
  enum Phase: UInt8 {
    case free
    /// Outgoing, not established yet; its door has no session here.
    case connecting
    /// Reads, executes, writes.
    case open
    /// Reads no more; closes when its output has been taken.
    case draining
    /// Closes at the end of this turn.
    case doomed
    /// The door has let go and everything is sent: waits for the peer's end, so that closing does not throw away
    /// what the peer has not read yet.
    case lingering
  }

  struct Flags: OptionSet {
    let rawValue: UInt16
    /// The door asked to read no more until `resume`.
    static let suspended = Flags(rawValue: 1 << 0)
    /// Too much output waits: nothing is executed until the client has read.
    static let paused = Flags(rawValue: 1 << 1)
    /// In the loop's list of connections whose kept input is to be offered.
    static let queued = Flags(rawValue: 1 << 2)
    /// In the loop's list of connections with output to send at the end of the turn.
    static let dirty = Flags(rawValue: 1 << 3)
    /// The peer has shut down its writing side; everything it sent has been received.
    static let peerFinished = Flags(rawValue: 1 << 4)
    static let exemptFromIdleTimeout = Flags(rawValue: 1 << 5)
    /// To linger once its session is gone.
    static let lingers = Flags(rawValue: 1 << 6)
    /// Made by this node: no client, so it counts as none.
    static let outgoing = Flags(rawValue: 1 << 7)
    /// Its door writes only when it is asked to `produce`, so that what waits is bounded by that.
    static let produces = Flags(rawValue: 1 << 8)
    /// Its door has more to produce once what waits has been taken.
    static let hasMore = Flags(rawValue: 1 << 9)
    /// In the loop's list of connections whose door is to produce output at the end of the turn.
    static let producing = Flags(rawValue: 1 << 10)
    /// Its door has replies for it that come later.
    static let owed = Flags(rawValue: 1 << 11)

    static let holdsInput: Flags = [.suspended, .paused, .queued]
  }

  var descriptor: Int32 = -1
  var flags: Flags = []
  var phase: Phase = .free
  var interest: Poller.Interest = []
  var session: UnsafeMutableRawPointer?
  var input = KeptInput()
  /// When bytes last arrived, or waiting output was last taken.
  var lastActive: UnixMilliseconds = 0
  var output = PendingOutput()

  var slot: UInt32 = 0
  var generation: UInt32 = 0
  /// What the door last said the first held request will come to, in bytes; 0 where it does not know.
  var expected: UInt32 = 0
  var door: UInt8 = 0
  var closeReason: CloseReason = .byPeer
  /// When a lingering connection is closed whatever the peer does.
  var lingerUntil: UnixMilliseconds = 0

  var id: ConnectionID { ConnectionID(slot: slot, generation: generation) }
}

typealias ConnectionPointer = UnsafeMutablePointer<Connection>
