import Glibc
import NexusModel

/// Hosts that see one another and nothing else, and that nothing else can reach: each is a network namespace, and the
/// cable between them runs through a thread of the tests, which cuts it, slows it down and loses packets as told.
///
/// Nothing has a name in the system, and nothing is left when this and the programs of its hosts have ended, however
/// they end. Making one needs CAP_SYS_ADMIN, CAP_NET_ADMIN and /dev/net/tun.
public final class PrivateNetwork: Sendable {
  /// One direction between two hosts.
  public struct Cable: Sendable {
    public var isCut = false
    public var lossPercent = 0
    public var delayMilliseconds: ClosedRange<Int> = 0...0
    /// Packets, since the network was made.
    public fileprivate(set) var carried = 0
    public fileprivate(set) var lost = 0
    /// Of TCP packets that were carried, heads included.
    public fileprivate(set) var streamBytes = 0
  }

  private let namespaces: [NetworkNamespace]
  private let devices: [TunDevice]
  private let wiring: Wiring
  /// A pipe, whose end the thread sees.
  private let bell: (read: Int32, write: Int32)
  private let thread: Guarded<pthread_t>

  /// Why there can be none here, in words for whoever runs the tests; nil where there can.
  public static let obstacle: String? = {
    do {
      _ = try PrivateNetwork(hosts: 1)
      return nil
    } catch {
      return "a network of their own for the nodes needs root (CAP_SYS_ADMIN, CAP_NET_ADMIN) and /dev/net/tun: \(error)"
    }
  }()

  /// - Parameter seed: of what is lost and how long it takes.
  public init(hosts: Int, seed: UInt64 = 1) throws {
    precondition((1...250).contains(hosts))
    let namespaces = try (0..<hosts).map { _ in try NetworkNamespace() }
    self.namespaces = namespaces
    devices = try (0..<hosts).map { host in
      try namespaces[host].inside { try TunDevice(PrivateAddress(host: host)) }
    }
    wiring = Wiring(hosts: hosts, seed: seed)
    var ends: [Int32] = [0, 0]
    guard pipe(&ends) == 0 else { throw NetworkFailure("make a pipe", errno) }
    for end in ends { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
    bell = (ends[0], ends[1])
    thread = Guarded(pthread_t())
    start()
  }

  deinit { end() }

  // MARK: Hosts

  public func address(of host: Int) -> String { PrivateAddress(host: host).description }

  /// Runs on this thread, with the network as the host sees it: sockets made here, and programs started here, stay in
  /// it.
  public func inside<Value>(_ host: Int, _ body: () throws -> Value) throws -> Value {
    try namespaces[host].inside(body)
  }

  // MARK: Cables

  /// Nothing passes between these, in silence, as where a cable is pulled out somewhere on the way.
  public func cut(_ some: [Int], _ others: [Int]) {
    for one in some {
      for other in others {
        change(from: one, to: other) { $0.isCut = true }
        change(from: other, to: one) { $0.isCut = true }
      }
    }
  }

  /// The second hears nothing of the first any more; the first goes on hearing the second.
  public func cutOneWay(from: Int, to: Int) { change(from: from, to: to) { $0.isCut = true } }

  public func impairAll(lossPercent: Int, delayMilliseconds: ClosedRange<Int>) {
    changeAll {
      $0.lossPercent = lossPercent
      $0.delayMilliseconds = delayMilliseconds
    }
  }

  /// Every cable carries everything at once again.
  public func heal() {
    changeAll {
      $0.isCut = false
      $0.lossPercent = 0
      $0.delayMilliseconds = 0...0
    }
  }

  public func cable(from: Int, to: Int) -> Cable { wiring.cable(from: from, to: to) }

  private func change(from: Int, to: Int, _ body: (inout Cable) -> Void) { wiring.change(from: from, to: to, body) }

  private func changeAll(_ body: (inout Cable) -> Void) {
    for from in namespaces.indices {
      for to in namespaces.indices { change(from: from, to: to, body) }
    }
  }

  // MARK: The thread

  private func start() {
    let relay = Unmanaged.passRetained(PacketRelay(devices.map(\.descriptor), wiring, end: bell.read)).toOpaque()
    thread.withLock {
      _ = pthread_create(
        &$0, nil,
        { argument in
          Unmanaged<PacketRelay>.fromOpaque(argument!).takeRetainedValue().run()
          return nil
        }, relay)
    }
  }

  private func end() {
    close(bell.write)
    thread.withLock { _ = pthread_join($0, nil) }
    close(bell.read)
  }
}

/// What is to become of the packets between any two hosts.
final class Wiring: Sendable {
  enum Fate {
    case lost
    case carried(afterMilliseconds: Int)
  }

  private struct State {
    /// From, to.
    var cables: [[PrivateNetwork.Cable]]
    var dice: Dice
  }

  private let state: Guarded<State>

  init(hosts: Int, seed: UInt64) {
    let row = [PrivateNetwork.Cable](repeating: PrivateNetwork.Cable(), count: hosts)
    state = Guarded(State(cables: [[PrivateNetwork.Cable]](repeating: row, count: hosts), dice: Dice(seed: seed)))
  }

  func cable(from: Int, to: Int) -> PrivateNetwork.Cable { state.withLock { $0.cables[from][to] } }

  func change(from: Int, to: Int, _ body: (inout PrivateNetwork.Cable) -> Void) {
    state.withLock { body(&$0.cables[from][to]) }
  }

  /// - Parameter streamBytes: of the packet, if it is TCP's.
  func fate(from: Int, to: Int, streamBytes: Int) -> Fate {
    state.withLock { state in
      let cable = state.cables[from][to]
      if cable.isCut || cable.lossPercent > 0 && state.dice.chance(cable.lossPercent) {
        state.cables[from][to].lost += 1
        return .lost
      }
      state.cables[from][to].carried += 1
      state.cables[from][to].streamBytes += streamBytes
      let delay = cable.delayMilliseconds
      return .carried(afterMilliseconds: delay.upperBound == 0 ? 0 : state.dice.within(delay))
    }
  }
}
