import NexusDiscovery
import NexusModel
import NexusService
import NexusTransport

/// An event loop with message streams, for nodes to look for one another on.
final class DiscoveryLoop {
  let runtime: Runtime
  let streams: HTTP2Door
  var loop: EpollLoop { runtime.loops[0] }

  /// - Parameter serving: whether it listens too, as a gRPC server that knows no method.
  init(serving: Bool = false) throws {
    var configuration = RuntimeConfiguration(listeners: serving ? [.init(name: "grpc", port: 0)] : [])
    configuration.threads = 1
    let gauge = MemoryGauge()
    let runtime = try Runtime(configuration: configuration, gauge: gauge, log: SilentLog())
    self.runtime = runtime
    let streams = HTTP2Door(
      loop: runtime.loops[0], limits: MessageStreamLimits(), gauge: gauge, log: SilentLog())
    self.streams = streams
    try runtime.start { _, _ in streams }
  }

  deinit { runtime.stop(graceMilliseconds: 0) }

  func discovery(_ urls: String, cluster: String = "test", leaseSeconds: Int = 3, log: any Log = SilentLog()) throws
    -> EtcdDiscovery
  {
    EtcdDiscovery(
      EtcdDiscovery.Configuration(
        endpoints: try EtcdEndpoint.list(urls), clusterName: cluster, leaseSeconds: leaseSeconds,
        timeoutMilliseconds: 2000, retryMilliseconds: 20...500), loop: loop, streams: streams, log: log)
  }
}
