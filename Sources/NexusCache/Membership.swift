import Dispatch
import NexusCluster
import NexusDiscovery
import NexusModel
import NexusRing
import NexusService
import NexusTransport

/// A node's membership in a cluster: its shell, the doors of its peers, and what finds the first of them.
final class Membership {
  let cluster: Cluster
  /// One per loop, in order.
  let doors: [HTTP2Door]
  private let discoveries: [any Discovery]

  /// Before the loops run.
  init(node: Node, runtime: Runtime, settings: Settings) throws(StartFailure) {
    guard let control = runtime.control else { preconditionFailure("a clustered node has a control loop") }
    let bind = try BindAddress.resolve(settings.bind)
    let configuration = try Self.configuration(node, settings, bind)
    let gauge = node.store.configuration.outside
    func door(_ loop: EpollLoop) -> HTTP2Door {
      HTTP2Door(loop: loop, limits: MessageStreamLimits(), gauge: gauge, log: node.log)
    }
    doors = runtime.loops.map(door)
    let controlDoor = door(control)
    node.routes.becomeClustered()
    do throws(ClusterRefusal) {
      cluster = try Cluster(
        configuration, node: node, loops: zip(runtime.loops, doors).map { (loop: $0, streams: $1) },
        control: (loop: control, streams: controlDoor), watch: { control.watch($0) })
    } catch { throw StartFailure(error.description) }
    node.cluster = cluster
    node.routers = cluster.routers
    node.replicators = cluster.replicators
    discoveries = try Self.discoveries(settings, loop: control, streams: controlDoor, node.log)
  }

  /// Once the loops run.
  func begin() {
    cluster.begin()
    for discovery in discoveries {
      discovery.start(cluster.configuration.member) { [weak cluster] event in
        if case .found(let address) = event { cluster?.found([address]) }
      }
    }
  }

  /// Hands over what can be handed over in this time, and says goodbye.
  func leave(limitMilliseconds: Int) {
    let done = DispatchSemaphore(value: 0)
    cluster.leave(limitMilliseconds: UInt64(limitMilliseconds)) { done.signal() }
    _ = done.wait(timeout: .now() + .milliseconds(limitMilliseconds + 500))
    for discovery in discoveries {
      discovery.deregister(timeoutMilliseconds: 200)
      discovery.stop()
    }
  }

  // MARK: What the settings mean

  private static func configuration(
    _ node: Node, _ settings: Settings, _ bind: [BindAddress]
  ) throws(StartFailure) -> ClusterConfiguration {
    guard let first = bind.first(where: { !$0.isOptional }) ?? bind.first else {
      throw StartFailure("bind is empty: a member needs an address")
    }
    let host = settings.advertise.isEmpty ? try advertised(first) : settings.advertise
    guard NetworkInterfaces.isAddress(host) else {
      throw StartFailure("advertise cannot be '\(host)': give the IP address at which others reach this node")
    }
    let member = Member(
      id: MemberID(settings.nodeID) ?? MemberID(node.runID)!, host: host, peerPort: UInt16(settings.peerPort),
      redisPort: UInt16(settings.redisPort), clusterPort: UInt16(settings.clusterPort),
      httpPort: UInt16(settings.httpPort), zone: settings.zone, weight: UInt16(settings.weight),
      version: Product.version, startedAt: UInt64(node.startedAt))
    let ring: RingSettings
    do throws(RingSettingsError) {
      ring = try RingSettings(
        hash: RingHash(rawValue: settings.ringHash) ?? .xxh3, virtualNodes: settings.virtualNodes,
        copies: settings.replicas)
    } catch { throw StartFailure(error.description) }
    let own = NetworkAddress(host: host, port: member.peerPort)
    let named = settings.join.compactMap { NetworkAddress($0) }
    let seeds = named.filter { $0 != own && NetworkInterfaces.isAddress($0.host) }
    let isRegistry = settings.discovery == "etcd" || settings.discovery == "serf"
    // Who is on its own list of first members may begin without the others; so may whoever a registry knows alone.
    let mayBeginAlone = isRegistry || named.contains(own)
    return ClusterConfiguration(
      member: member, clusterName: settings.clusterName, secret: settings.clusterSecret, ring: ring,
      bindHost: first.numeric, seeds: seeds, expectsOthers: isRegistry || named.contains { $0 != own },
      beginsAloneAfterMilliseconds: mayBeginAlone ? 3000 : nil)
  }

  private static func advertised(_ address: BindAddress) throws(StartFailure) -> String {
    let host = address.numeric
    guard host == "0.0.0.0" || host == "::" else { return host }
    guard let found = NetworkInterfaces.address(isIPv6: host == "::") else {
      throw StartFailure("this machine has no address of its own that others could reach: give one with advertise")
    }
    return found
  }

  private static func discoveries(
    _ settings: Settings, loop: any EventLoop, streams: any MessageStreams, _ log: any Log
  ) throws(StartFailure) -> [any Discovery] {
    var discoveries: [any Discovery] = []
    let join = settings.join.compactMap { NetworkAddress($0) }
    if !join.isEmpty { discoveries.append(StaticDiscovery(join, log: log)) }
    let registry: Registry
    do throws(ConfigurationError) { registry = try Registry(settings) } catch { throw StartFailure(error.description) }
    if let discovery = registry.discovery(settings, loop: loop, streams: streams, log: log) {
      discoveries.append(discovery)
    }
    return discoveries
  }
}
