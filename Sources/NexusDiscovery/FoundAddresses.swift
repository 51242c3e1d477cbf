import NexusModel
import NexusService

/// What has been found so far, by who said so, and what of that is news. Two may name one address: it is gone when the
/// last of them takes it back.
struct FoundAddresses<Source: Hashable> {
  private var bySource: [Source: Set<NetworkAddress>] = [:]
  private let own: NetworkAddress

  /// - Parameter own: this node's address, which is no news.
  init(own: NetworkAddress) { self.own = own }

  var all: Set<NetworkAddress> { bySource.values.reduce(into: []) { $0.formUnion($1) } }

  /// What this source names now, instead of what it named before. What is gone comes first; equal input gives equal
  /// order.
  mutating func set(_ source: Source, _ addresses: Set<NetworkAddress>) -> [DiscoveryEvent] {
    let before = all
    bySource[source] = addresses.isEmpty ? nil : addresses.subtracting([own])
    let after = all
    let order: (NetworkAddress, NetworkAddress) -> Bool = { ($0.host, $0.port) < ($1.host, $1.port) }
    return before.subtracting(after).sorted(by: order).map { .gone($0) }
      + after.subtracting(before).sorted(by: order).map { .found($0) }
  }
}
