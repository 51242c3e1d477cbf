import NexusModel
import NexusService
import NexusTestSupport

/// What a node was told by its discovery.
final class Finds: Sendable {
  private let events = Guarded<[DiscoveryEvent]>([])

  var receive: @Sendable (DiscoveryEvent) -> Void { { event in self.events.withLock { $0.append(event) } } }
  var all: [DiscoveryEvent] { events.withLock { $0 } }

  /// Those found and not gone since.
  var current: Set<String> {
    all.reduce(into: []) { current, event in
      switch event {
      case .found(let address): current.insert("\(address)")
      case .gone(let address): current.remove("\(address)")
      }
    }
  }

  func become(_ addresses: Set<String>, seconds: Double = 120) -> Bool {
    eventually(seconds: seconds) { current == addresses }
  }
}

/// Keeps what was logged.
final class KeptLog: Log {
  private let lines = Guarded<[String]>([])

  var minimum: LogLevel { .debug }
  var all: [String] { lines.withLock { $0 } }

  func write(_ level: LogLevel, _ message: String, _ fields: [(String, String)]) {
    let line = "\(level.rawValue) \(message) " + fields.map { "\($0.0)=\($0.1)" }.joined(separator: " ")
    lines.withLock { $0.append(line) }
  }

  func count(_ part: String) -> Int { all.filter { $0.contains(part) }.count }
}

func member(_ name: String, port: UInt16) -> Member {
  Member(id: MemberID(name)!, host: "127.0.0.1", peerPort: port)
}
