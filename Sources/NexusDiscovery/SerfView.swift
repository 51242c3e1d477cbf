import NexusModel
import NexusService

/// Where our members are, by what a Serf agent says. Without IO.
///
/// An agent that comes back knows nobody for a while: who is merely absent from its list stays found. Gone are those of
/// whom it says so, those without the tag, and those that many complete lists in a row did not have.
struct SerfView {
  /// Lists without a member after which it is gone.
  static let absenceLimit = 5

  private let tag: String
  private let own: NetworkAddress
  private var found: FoundAddresses<String>
  /// Of the other members that were found: complete lists in a row that did not have them.
  private var absences: [String: Int] = [:]
  /// Values of the tag that were complained about, by member.
  private var refused: [String: String] = [:]

  /// What is wrong with members' tags, since it was last taken: member and value.
  var complaints: [(member: String, value: String)] = []

  init(tag: String, own: NetworkAddress) {
    self.tag = tag
    self.own = own
    found = FoundAddresses(own: own)
  }

  /// All that the agent knows. `isPeriodic`: absence counts.
  mutating func onMembers(_ members: [SerfMember], isPeriodic: Bool) -> [DiscoveryEvent] {
    var events: [DiscoveryEvent] = []
    for member in members { events += onMember(member) }
    let present = Set(members.map(\.name))
    for name in present { if absences[name] != nil { absences[name] = 0 } }
    let knowsOthers = members.contains { absences[$0.name] != nil }
    if isPeriodic, knowsOthers {
      for (name, count) in absences where !present.contains(name) {
        absences[name] = count + 1
        if count + 1 >= Self.absenceLimit { events += forget(name) }
      }
    }
    return events
  }

  /// The agent says that something happened to them.
  mutating func onEvent(_ kind: String, _ members: [SerfMember]) -> [DiscoveryEvent] {
    let isOver = ["member-leave", "member-failed", "member-reap"].contains(kind)
    return members.flatMap { isOver ? forget($0.name) : onMember($0) }
  }

  private mutating func onMember(_ member: SerfMember) -> [DiscoveryEvent] {
    guard member.isAlive, let value = member.tags[tag] else { return forget(member.name) }
    guard let address = Self.address(value, of: member) else {
      if refused.updateValue(value, forKey: member.name) != value { complaints.append((member.name, value)) }
      return forget(member.name)
    }
    refused[member.name] = nil
    absences[member.name] = address == own ? nil : 0
    return found.set(member.name, [address])
  }

  private mutating func forget(_ name: String) -> [DiscoveryEvent] {
    absences[name] = nil
    return found.set(name, [])
  }

  /// `PORT`, at the address of the member's agent, or `IP:PORT`.
  static func address(_ value: String, of member: SerfMember) -> NetworkAddress? {
    let text = value.utf8.allSatisfy { (48...57).contains($0) } ? NetworkAddress.joined(member.address, value) : value
    guard let parsed = try? NetworkAddress(parsing: text), isNumericHost(parsed.host) else { return nil }
    return parsed
  }
}

extension NetworkAddress {
  /// An IPv6 address gets its brackets.
  static func joined(_ host: String, _ port: String) -> String {
    host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)"
  }
}
