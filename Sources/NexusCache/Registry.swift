import NexusModel
import NexusDiscovery
import NexusService

/// Where a node registers and looks for the others, as `discovery` and `discovery-url` say.
enum Registry {
  case none
  case etcd([EtcdEndpoint])
  case serf(NetworkAddress)

  init(_ settings: Settings) throws(ConfigurationError) {
    let url = settings.discoveryURL
    switch settings.discovery {
    case "etcd", "serf":
      if url.isEmpty {
        throw ConfigurationError("discovery is \(settings.discovery): say where it is with discovery-url")
      }
    default:
      self = .none
      return
    }
    do {
      self = settings.discovery == "etcd" ? .etcd(try EtcdEndpoint.list(url)) : .serf(try NetworkAddress(parsing: url))
    } catch {
      throw ConfigurationError("discovery-url cannot be '\(url)': \(error)")
    }
  }

  /// - Parameters:
  ///   - loop: on which etcd is spoken to.
  ///   - streams: that loop's.
  func discovery(
    _ settings: Settings, loop: any EventLoop, streams: any MessageStreams, log: any Log
  ) -> (any Discovery)? {
    switch self {
    case .none: return nil
    case .etcd(let endpoints):
      let configuration = EtcdDiscovery.Configuration(endpoints: endpoints, clusterName: settings.clusterName)
      return EtcdDiscovery(configuration, loop: loop, streams: streams, log: log)
    case .serf(let agent):
      // Nodes of two clusters may share agents.
      var configuration = SerfDiscovery.Configuration(agent: agent)
      if settings.clusterName != Self.usualClusterName { configuration.tag += "_" + settings.clusterName }
      return SerfDiscovery(configuration, log: log)
    }
  }

  private static let usualClusterName = "nexuscache"
}
