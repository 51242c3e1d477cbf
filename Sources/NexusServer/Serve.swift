import Glibc
import NexusCache
import NexusService
import NexusTransport

/// Starts a node and runs it until SIGTERM, SIGINT or SHUTDOWN.
func serve(_ arguments: [String]) throws(UsageError) -> Int32 {
  let flags = try Flags.parse(arguments, of: "serve")
  // Before any thread starts, so that only this one sees the signals.
  let signals = SignalWaiter()
  let configuration: Configuration
  do throws(ConfigurationError) {
    configuration = try Configuration.load(flags: flags, environment: environment())
  } catch { return fail(error.description, status: 1) }
  let server: NexusCacheServer
  do throws(StartFailure) {
    server = try NexusCacheServer(configuration)
    server.node.requestStop = SignalWaiter.requestTermination
    // The banner comes first, so that what the log says afterwards is read with it.
    try server.start { _ = show(Banner.text(server)) }
  } catch { return fail(error.description, status: 1) }
  while true {
    let signal = signals.wait()
    if signal == .hangUp {
      server.log.info("SIGHUP is ignored: change settings with CONFIG SET, or restart")
      continue
    }
    server.log.info("stopping", ("signal", signal == .interrupt ? "SIGINT" : "SIGTERM"))
    server.stop()
    return 0
  }
}

/// What a started node says of itself: where it listens, and three lines to try.
enum Banner {
  static func text(_ server: NexusCacheServer) -> String {
    let settings = server.configuration.settings
    let loops = server.node.loopCount
    var text = "\(Product.name) \(Product.version): \(loops) \(loops == 1 ? "loop" : "loops"), "
    text +=
      "up to \(memory(settings.maxMemoryBytes)) of memory, eviction \(settings.eviction.rawValue), pid \(getpid())\n\n"
    for door in server.doors {
      switch door.kind {
      case .redis: text += "  Redis  \(door.address)\n"
      case .http: text += "  HTTP   http://\(door.address)\n"
      case .unix: text += "  Redis  \(door.address) (Unix socket)\n"
      case .cluster: text += "  Redis  \(door.address) (for cluster clients)\n"
      case .peers: text += "  Peers  \(door.address)\n"
      }
    }
    let examples = self.examples(server)
    if !examples.isEmpty { text += "\nTry:\n" + examples.map { "  \($0)\n" }.joined() }
    return text + "\nStop: Ctrl-C\n\n"
  }

  private static func examples(_ server: NexusCacheServer) -> [String] {
    let secret = server.configuration.settings.password.isEmpty ? "" : " --askpass"
    var lines: [String] = []
    if let redis = server.doors.first(where: { $0.kind == .redis }) {
      lines.append("redis-cli -p \(redis.port)\(secret) set greeting hello")
    } else if let unix = server.doors.first(where: { $0.kind == .unix }) {
      lines.append("redis-cli -s \(unix.address)\(secret) set greeting hello")
    }
    if let http = server.doors.first(where: { $0.kind == .http }) {
      lines.append("curl http://\(http.address)/api/cache/greeting")
      lines.append("curl http://\(http.address)/metrics")
    }
    return lines
  }

  /// To three digits, for reading.
  private static func memory(_ bytes: Int) -> String {
    for (unit, size) in [("GiB", 1 << 30), ("MiB", 1 << 20)] where bytes >= size {
      let tenths = (bytes * 10 + size / 2) / size
      return tenths >= 1000 || tenths % 10 == 0 ? "\(tenths / 10) \(unit)" : "\(tenths / 10).\(tenths % 10) \(unit)"
    }
    return "\(bytes) bytes"
  }
}
