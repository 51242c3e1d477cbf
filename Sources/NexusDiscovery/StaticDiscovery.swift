import NexusModel
import NexusService

/// Members by a list that the operator wrote. Names are resolved again and again, since what they stand for changes.
/// There is nowhere to register.
public final class StaticDiscovery: Discovery, @unchecked Sendable {
  private let addresses: [NetworkAddress]
  private let intervalMilliseconds: Int
  private let retryMilliseconds: Int
  private let resolver: Resolver
  private let log: any Log
  /// Written by `start`, read by `stop`. Invariant: both are called by one thread at a time.
  private var thread: DiscoveryThread?

  /// - Parameters:
  ///   - intervalMilliseconds: between two looks at names that resolved.
  ///   - retryMilliseconds: after the first look at which one did not; twice as long each time, up to the interval.
  public init(
    _ addresses: [NetworkAddress], intervalMilliseconds: Int = 30_000, retryMilliseconds: Int = 1000,
    resolver: @escaping Resolver = resolveBySystem, log: any Log
  ) {
    self.addresses = addresses
    self.intervalMilliseconds = intervalMilliseconds
    self.retryMilliseconds = retryMilliseconds
    self.resolver = resolver
    self.log = log
  }

  public func start(_ member: Member, events: @escaping @Sendable (DiscoveryEvent) -> Void) {
    let own = NetworkAddress(host: member.host, port: member.peerPort)
    let thread = DiscoveryThread { [self] in look(on: $0, own: own, events) }
    self.thread = thread
    thread.start()
  }

  public func deregister(timeoutMilliseconds: Int) -> Bool { true }

  public func stop() {
    thread?.join()
    thread = nil
  }

  private func look(
    on thread: DiscoveryThread, own: NetworkAddress, _ events: @Sendable (DiscoveryEvent) -> Void
  ) {
    var found = FoundAddresses<NetworkAddress>(own: own)
    var unresolved: Set<NetworkAddress> = []
    var retry = Backoff(first: retryMilliseconds, longest: max(retryMilliseconds, intervalMilliseconds))
    var chance = SystemRandomNumberGenerator()
    while !thread.isStopping {
      for address in addresses where !thread.isStopping {
        switch resolver(address.host) {
        case .success(let hosts):
          if unresolved.remove(address) != nil {
            log.info("a name of the static list resolves now", ("name", address.host))
          }
          let named = hosts.map { NetworkAddress(host: $0, port: address.port) }
          for event in found.set(address, Set(named)) where !thread.isStopping { events(event) }
        case .failure(let failure):
          // Once, until it resolves again. What it stood for before still stands.
          if unresolved.insert(address).inserted {
            log.warning(
              "a name of the static list does not resolve: its members are not looked for until it does; "
                + "it is tried again and again", ("name", address.host), ("reason", failure.reason))
          }
        }
      }
      if unresolved.isEmpty { retry.reset() }
      let pause = unresolved.isEmpty ? intervalMilliseconds : retry.next(using: &chance)
      if !thread.isStopping { _ = thread.wait(milliseconds: pause) }
    }
  }
}
