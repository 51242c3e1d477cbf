import NexusModel
import NexusService
import Testing

@testable import NexusDiscovery

/// What an agent says of its members, and what of that is news.
@Suite struct SerfViewTests {
  private var view = SerfView(tag: "peer", own: NetworkAddress(host: "10.0.0.1", port: 1))

  private func member(_ name: String, _ tag: String?, isAlive: Bool = true, at address: String = "10.0.0.9")
    -> SerfMember
  {
    SerfMember(name: name, address: address, tags: tag.map { ["peer": $0] } ?? [:], isAlive: isAlive)
  }

  private func address(_ host: String, _ port: UInt16) -> NetworkAddress {
    NetworkAddress(host: host, port: port)
  }

  @Test mutating func aTagNamesAPortOrAnAddress() {
    let events = view.onMembers(
      [
        member("own", "10.0.0.1:1"), member("a", "7"), member("b", "10.0.0.2:8"), member("c", "[fd00::1]:9"),
        member("d", "11", at: "fd00::2"), member("none", nil),
      ], isPeriodic: false)
    #expect(
      events == [
        .found(address("10.0.0.9", 7)), .found(address("10.0.0.2", 8)), .found(address("fd00::1", 9)),
        .found(address("fd00::2", 11)),
      ])
    #expect(view.complaints.isEmpty)
  }

  @Test mutating func aTagThatIsNoAddressIsSaidOnce() {
    for value in ["", "0", "65536", "name:7", "10.0.0.1", "10.0.0:1", "x", "[::1]"] {
      view.complaints = []
      for _ in 0..<3 { #expect(view.onMembers([member("a", value)], isPeriodic: false).isEmpty) }
      #expect(view.complaints.map(\.value) == [value])
    }
  }

  @Test mutating func membersComeAndGo() {
    let found = DiscoveryEvent.found(address("10.0.0.9", 7)), gone = DiscoveryEvent.gone(address("10.0.0.9", 7))
    for kind in ["member-leave", "member-failed", "member-reap"] {
      #expect(view.onEvent("member-join", [member("a", "7")]) == [found])
      #expect(view.onEvent("member-update", [member("a", "7")]).isEmpty)
      #expect(view.onEvent(kind, [member("a", "7")]) == [gone])
      #expect(view.onEvent(kind, [member("a", "7")]).isEmpty)
    }
    #expect(view.onMembers([member("a", "7")], isPeriodic: false) == [found])
    #expect(view.onMembers([member("a", "7", isAlive: false)], isPeriodic: false) == [gone])
    #expect(view.onMembers([member("a", "7")], isPeriodic: false) == [found])
    // The node left, its agent stays.
    #expect(view.onEvent("member-update", [member("a", nil)]) == [gone])
    #expect(view.onMembers([member("a", "7")], isPeriodic: false) == [found])
    #expect(view.onEvent("member-update", [member("a", "8")]) == [gone, .found(address("10.0.0.9", 8))])
  }

  @Test mutating func whoIsOnlyAbsentStaysForAWhile() {
    _ = view.onMembers([member("a", "7"), member("b", "8")], isPeriodic: true)
    // An agent that has just started knows itself alone: for as long as it likes.
    for _ in 0..<50 { #expect(view.onMembers([member("own", "10.0.0.1:1")], isPeriodic: true) == []) }
  }

  @Test mutating func whoIsAbsentFromManyListsIsGone() {
    _ = view.onMembers([member("a", "7"), member("b", "8")], isPeriodic: true)
    for _ in 0..<20 { #expect(view.onMembers([member("b", "8")], isPeriodic: false).isEmpty) }
    for _ in 1..<SerfView.absenceLimit { #expect(view.onMembers([member("b", "8")], isPeriodic: true).isEmpty) }
    #expect(view.onMembers([member("b", "8")], isPeriodic: true) == [.gone(address("10.0.0.9", 7))])
    #expect(view.onMembers([member("b", "8")], isPeriodic: true).isEmpty)
  }
}
