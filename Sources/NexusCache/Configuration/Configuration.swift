import Glibc
import NexusModel
import NexusService

/// What a node is started with.
///
///     var configuration = Configuration()
///     try configuration.set("max-memory", to: "64mb")
///     let server = try NexusCacheServer(configuration).start()
public struct Configuration: Sendable {
  public let settings: Settings
  /// Nil: structured lines on stderr, as the settings say.
  public var log: (any Log)?
  /// The program that holds the node asks it itself: it may have no door.
  var isEmbedded = false

  public init() { settings = Settings(machineMemoryBytes: MachineMemory.bytes()) }

  public func set(_ name: String, to value: String) throws(SettingError) {
    try settings.configure(name, to: value, from: .flag)
  }

  /// Reads the three layers; a stronger one overrides a weaker one: flags, environment, file, defaults.
  /// - Parameters:
  ///   - flags: names without dashes, and values, in the order given; `config` names the file.
  ///   - environment: `NAME=value` for each variable; those that start with `NEXUSCACHE_` are read.
  public static func load(
    flags: [(name: String, value: String)], environment: [String]
  ) throws(ConfigurationError) -> Configuration {
    let configuration = Configuration()
    let settings = configuration.settings
    var variables = try EnvironmentLayer.variables(in: environment)
    let pathVariable = variables.removeValue(forKey: EnvironmentLayer.configVariable)
    if let path = flags.last(where: { $0.name == "config" })?.value ?? pathVariable, !path.isEmpty {
      let file = try ConfigurationFile(path: path, text: readText(path))
      for line in file.lines {
        try place("\(path):\(line.number)") { () throws(SettingError) in
          try settings.configure(line.name, to: line.value, from: .file(path: path, line: line.number))
        }
      }
    }
    for setting in Setting.all {
      guard let value = variables[setting.environmentName] else { continue }
      try place(setting.environmentName) { () throws(SettingError) in
        try settings.configure(setting.name, to: value, from: .environment(variable: setting.environmentName))
      }
    }
    for flag in flags where flag.name != "config" {
      do { try settings.configure(flag.name, to: flag.value, from: .flag) } catch {
        throw ConfigurationError("--\(error.description)")
      }
    }
    try configuration.check()
    return configuration
  }

  /// What each value alone cannot tell.
  public func check() throws(ConfigurationError) {
    if !isEmbedded, settings.redisPort + settings.httpPort + settings.formPort == 0, settings.unixSocket.isEmpty {
      throw ConfigurationError(
        "redis-port and http-port are 0 and unix-socket is empty: open at least one of these doors")
    }
    try checkPorts()
    try checkCluster()
    let group = settings.formGroup
    if NamespaceName.number(of: group) >= NamespaceName.databaseCount,
      !settings.namespaces.contains(where: { $0.name == group })
    {
      throw ConfigurationError("form-group cannot be '\(group)': declare this namespace with namespace")
    }
    if settings.bind.isEmpty && settings.redisPort + settings.httpPort + settings.formPort != 0 {
      throw ConfigurationError("bind is empty: give at least one address, such as 127.0.0.1")
    }
    // sockaddr_un holds 108 bytes with the closing zero.
    if settings.unixSocket.utf8.count > 107 {
      throw ConfigurationError(
        "unix-socket cannot be '\(settings.unixSocket)': a socket's path has at most 107 bytes")
    }
    var status = stat()
    if stat(settings.dataDirectory, &status) != 0 || status.st_mode & S_IFMT != S_IFDIR {
      throw ConfigurationError("data-dir cannot be '\(settings.dataDirectory)': there is no such folder")
    }
  }

  private func checkPorts() throws(ConfigurationError) {
    var ports = [
      ("redis-port", settings.redisPort), ("http-port", settings.httpPort), ("form-port", settings.formPort),
    ]
    if settings.isClustered { ports += [("cluster-port", settings.clusterPort), ("peer-port", settings.peerPort)] }
    ports.removeAll { $0.1 == 0 }
    for (index, (name, port)) in ports.enumerated() {
      guard let other = ports[..<index].first(where: { $0.1 == port }) else { continue }
      throw ConfigurationError(
        "\(name) cannot be '\(port)': \(other.0) is the same; give each door a port of its own")
    }
  }

  private static func place(
    _ place: String, _ body: () throws(SettingError) -> Void
  ) throws(ConfigurationError) {
    do { try body() } catch { throw ConfigurationError("\(place): \(error.description)") }
  }

  private static func readText(_ path: String) throws(ConfigurationError) -> String {
    guard let text = FileText.read(path, limitBytes: 1 << 20) else {
      throw ConfigurationError("config file '\(path)' cannot be read: \(String(cString: strerror(errno)))")
    }
    return text
  }
}

/// The variables that are meant for a node.
enum EnvironmentLayer {
  static let configVariable = "NEXUSCACHE_CONFIG"

  static func variables(in environment: [String]) throws(ConfigurationError) -> [String: String] {
    let known = [configVariable] + Setting.all.map(\.environmentName)
    var variables: [String: String] = [:]
    for entry in environment where entry.hasPrefix("NEXUSCACHE_") {
      let name = String(entry.prefix { $0 != "=" })
      let value = String(entry.dropFirst(name.count + 1))
      if isServiceLink(name, value) { continue }
      guard known.contains(name) else {
        let hint = nearestName(to: name, among: known).map { "; did you mean \($0)?" } ?? ""
        throw ConfigurationError("there is no setting for the environment variable \(name)\(hint)")
      }
      variables[name] = value
    }
    return variables
  }

  /// Kubernetes describes a service called `nexuscache...` to every container in variables such as
  /// `NEXUSCACHE_SERVICE_HOST` and `NEXUSCACHE_REDIS_PORT=tcp://10.0.0.7:6379`. They are not settings.
  private static func isServiceLink(_ name: String, _ value: String) -> Bool {
    name.hasSuffix("_SERVICE_HOST") || name.contains("_SERVICE_PORT") || name.contains("_PORT_")
      || (name.hasSuffix("_PORT") && (value.hasPrefix("tcp://") || value.hasPrefix("udp://")))
  }
}
