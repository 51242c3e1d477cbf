import NexusModel
import NexusService

// What the node says of itself and of its cluster, and what it is told to do there.

extension Responder {
  func cluster() throws(Problem) -> any ClusterFace {
    guard let cluster = node.cluster else { throw .notClustered() }
    return cluster
  }

  func join(_ addresses: [String]) throws(Problem) -> Reply {
    let cluster = try cluster()
    do throws(ClusterRefusal) { try cluster.join(addresses) } catch { throw .refusedByCluster(error) }
    node.log.info("asked to join", ("addresses", addresses.joined(separator: " ")))
    return Reply(.owned(ClusterPage(cluster, node).state))
  }

  func leave() throws(Problem) -> Reply {
    let cluster = try cluster()
    cluster.leave()
    node.log.info("asked to leave")
    return Reply(status: 202, .json, .owned(ClusterPage(cluster, node).state))
  }

  // MARK: Health

  func health() -> Reply {
    var out = OutputBuffer(capacity: 96)
    out.append("{\"healthy\":true,\"node\":")
    out.appendJSONString(nodeName)
    let size = node.cluster.map { ClusterPage($0, node).liveCount } ?? 1
    out.append(",\"cluster_size\":\(size)}")
    return Reply(.owned(out))
  }

  func ready() -> Reply {
    let reason: String? =
      isReady ? node.cluster.flatMap { ClusterPage($0, node).whyNotReady } : "This node is stopping."
    guard let reason else { return Reply(.constant("{\"ready\":true}")) }
    var out = OutputBuffer(capacity: 96)
    out.append("{\"ready\":false,\"reason\":")
    out.appendJSONString(reason)
    out.append("}")
    return Reply(status: 503, .json, .owned(out))
  }
}
