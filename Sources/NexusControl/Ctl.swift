import Glibc
import NexusModel

/// `nexuscache ctl`: asks one node over HTTP about its cluster, and tells it what to do there.
public struct Ctl {
  enum Action: String, CaseIterable {
    case status, members, slots, join, leave, rebalance
  }

  let action: Action
  /// Of `join`.
  var addresses: [String] = []
  var client: HTTPClient
  var isJSON = false
  var isWatching = false
  var timeoutSeconds = 0
  var terminal = Terminal()

  public static let help = """
    Usage: nexuscache ctl COMMAND [--http HOST:PORT] [--password TEXT] [--json]

      status               is this node ready, and what has it?      exit status 1 while it is not ready
      members              who is in the cluster
      slots                which member runs which slots
      join HOST:PORT ...   has this node meet the members with these peer ports, and waits until it has
      leave                has this node hand its slots over and leave, and shows how far it is
      rebalance            slots on their way between members        --watch: until none is

      --http HOST:PORT     HTTP address of the node to ask [127.0.0.1:8080]
      --password TEXT      its password [NEXUSCACHE_PASSWORD]
      --json               JSON instead of tables
      --timeout SECONDS    how long join, leave and rebalance --watch wait [join 15; others: as long as it takes]

    Exit status: 0 done, 1 failed or not ready, 2 the command line could not be understood.

    """

  /// - Parameter environment: as `NAME=value`.
  public init(arguments: [String], environment: [String]) throws(ControlFailure) {
    guard let word = arguments.first, let action = Action(rawValue: word) else {
      let names = Action.allCases.map(\.rawValue).joined(separator: ", ")
      throw ControlFailure(
        arguments.first.map { "there is no 'ctl \($0)': write one of \(names)" }
          ?? "write what to do after 'ctl': one of \(names)", status: 2)
    }
    self.action = action
    client = HTTPClient(address: NetworkAddress(host: "127.0.0.1", port: 8080))
    let variable = "NEXUSCACHE_PASSWORD="
    client.password = environment.first { $0.hasPrefix(variable) }.map { String($0.dropFirst(variable.count)) }
    var rest = arguments.dropFirst()
    while let argument = rest.popFirst() {
      var value: String {
        get throws(ControlFailure) {
          guard let next = rest.popFirst(), !next.hasPrefix("--") else {
            throw ControlFailure("\(argument) needs a value", status: 2)
          }
          return next
        }
      }
      if let equals = argument.firstIndex(of: "="), argument.hasPrefix("--") {
        rest = [String(argument[..<equals]), String(argument[argument.index(after: equals)...])] + rest
        continue
      }
      switch argument {
      case "--http": client.address = try Self.address(try value)
      case "--password": client.password = try value
      case "--json": isJSON = true
      case "--watch" where action == .rebalance: isWatching = true
      case "--timeout":
        guard let seconds = Int(try value), seconds > 0 else {
          throw ControlFailure("--timeout is a number of seconds", status: 2)
        }
        timeoutSeconds = seconds
      default:
        guard action == .join, !argument.hasPrefix("-") else {
          throw ControlFailure(
            "'\(argument)' is not expected after 'ctl \(word)': see nexuscache ctl --help", status: 2)
        }
        addresses.append(argument)
      }
    }
    if action == .join, addresses.isEmpty {
      throw ControlFailure("write whom to join: nexuscache ctl join HOST:PORT, the peer port of a member", status: 2)
    }
  }

  private static func address(_ text: String) throws(ControlFailure) -> NetworkAddress {
    var text = text
    if text.hasPrefix("http://") { text = String(text.dropFirst(7)) }
    if text.hasSuffix("/") { text.removeLast() }
    guard let address = NetworkAddress(text), address.port > 0 else {
      throw ControlFailure("--http cannot be '\(text)': write HOST:PORT, such as 127.0.0.1:8080", status: 2)
    }
    return address
  }

  /// Does it, and answers the exit status.
  public mutating func run() throws(ControlFailure) -> Int32 {
    switch action {
    case .status: return try status()
    case .members: return try show("/v1/cluster/state") { ClusterState($0).map(Self.members) }
    case .slots: return try show("/v1/cluster/slots") { Self.slots($0) }
    case .join: return try join()
    case .leave: return try leave()
    case .rebalance: return try rebalance()
    }
  }

  private mutating func show(_ path: String, _ view: (JSONTree) -> String?) throws(ControlFailure) -> Int32 {
    let reply = try client.ask("GET", path)
    guard let text = view(reply.tree) else {
      throw ControlFailure("\(client.address) does not describe a cluster: is it a node of another version?")
    }
    terminal.print(isJSON ? reply.text + "\n" : text)
    return 0
  }

  private mutating func status() throws(ControlFailure) -> Int32 {
    let reply = try client.ask("GET", "/v1/cluster/state")
    guard let state = ClusterState(reply.tree) else {
      throw ControlFailure("\(client.address) does not describe a cluster: is it a node of another version?")
    }
    terminal.print(isJSON ? reply.text + "\n" : Self.status(state))
    return state.isReady ? 0 : 1
  }
}
