import NexusModel
import NexusService

extension Configuration {
  /// What membership needs. Nothing is asked of a node that stays by itself.
  func checkCluster() throws(ConfigurationError) {
    if !settings.nodeID.isEmpty, MemberID(settings.nodeID) == nil {
      throw ConfigurationError(
        "node-id cannot be '\(settings.nodeID)': it has 1 to \(MemberID.longest) letters, digits, '.', '_' and '-'")
    }
    guard settings.isClustered else { return }
    if settings.clusterName.isEmpty { throw ConfigurationError("cluster-name is empty: give the cluster a name") }
    for address in settings.join where NetworkAddress(address) == nil {
      throw ConfigurationError("join cannot be '\(address)': write HOST:PORT, such as 10.0.0.1:7946 or [::1]:7946")
    }
    if settings.discovery == "static", settings.join.isEmpty {
      throw ConfigurationError("discovery is static: name the members with join")
    }
    _ = try Registry(settings)
    if settings.clusterSecret.isEmpty, !settings.bind.allSatisfy(Self.isLoopback) {
      throw ConfigurationError(
        "cluster-secret is empty and bind is '\(settings.bind.joined(separator: " "))': beyond this machine a cluster "
          + "needs a secret that all members share")
    }
  }

  private static func isLoopback(_ host: String) -> Bool {
    let host = host.hasPrefix("-") ? String(host.dropFirst()) : host
    return host == "localhost" || host == "::1" || host.hasPrefix("127.")
  }
}
