import Glibc
import NexusModel
import NexusService

/// `nexuscache demo`: a cluster of child processes on this machine, for as long as this process lives.
public final class Demo {
  public static let nodesMost = 16
  /// Settings that the demonstration gives each node itself.
  public static let ownSettings: Set<String> = [
    "node-id", "cluster-name", "join", "bind", "redis-port", "http-port", "peer-port", "unix-socket", "data-dir",
    "form-port", "form-group",
    "discovery", "discovery-url", "advertise", "cluster-port",
  ]
  public static let help = """
    Usage: nexuscache demo [--nodes N] [--name value ...]

    Starts a cluster of N nodes (3, at most \(nodesMost)) on this machine, shows what to try, and stops them all with
    Ctrl-C. The first node has the usual ports (Redis 6379, HTTP 8080, and 9999 for /api/get and /api/set), the
    others the next ones; where one is taken it says so and takes the next that is free. The namespace
    'scores' is filled from a small SQLite database. Other settings of 'nexuscache serve' are given to every node.

    """

  private let program: String
  /// As it is typed in a terminal.
  private let command: String
  private let settings: [(name: String, value: String)]
  private let environment: [String]
  private let count: Int
  private let furnish: (_ directory: String) throws(ControlFailure) -> [(name: String, value: String)]
  private var formPort = 0
  private var nodes: [DemoNode] = []
  private var terminal = Terminal()
  private var directory = ""
  private var signals = sigset_t()

  /// - Parameters:
  ///   - program: what each node is started from.
  ///   - command: how the user calls it.
  ///   - settings: given to every node; none of `ownSettings`.
  ///   - environment: as `NAME=value`; what names a setting is left out.
  ///   - furnish: puts what the nodes shall have into their folder, and answers the settings that go with it.
  public init(
    program: String, command: String, nodes count: Int, settings: [(name: String, value: String)],
    environment: [String],
    furnish: @escaping (_ directory: String) throws(ControlFailure) -> [(name: String, value: String)]
  ) {
    self.program = program
    self.furnish = furnish
    self.command = command
    self.count = count
    self.settings = settings
    self.environment = environment.filter { !$0.hasPrefix("NEXUSCACHE_") }
  }

  /// Runs until a signal, and answers the exit status. No other thread may be running.
  public func run() -> Int32 {
    sigemptyset(&signals)
    for number in [SIGINT, SIGTERM, SIGHUP] { sigaddset(&signals, number) }
    pthread_sigmask(SIG_BLOCK, &signals, nil)
    // A reader that goes ends the demonstration too: `Terminal.isGone`.
    signal(SIGPIPE, SIG_IGN)
    defer { stop() }
    do throws(ControlFailure) {
      try start()
      guard try form() else { return 0 }
      terminal.print(introduction)
      return watch()
    } catch {
      terminal.clearLine()
      var text = "nexuscache: \(error.description)\n"
      text.withUTF8 { _ = write(STDERR_FILENO, $0.baseAddress, $0.count) }
      return error.status
    }
  }

  // MARK: Beginning

  private func start() throws(ControlFailure) {
    guard let plan = PortPlan(count) else { throw ControlFailure("there are not enough free ports on 127.0.0.1") }
    for note in plan.notes { terminal.print(note + "\n") }
    let temporary = environment.first { $0.hasPrefix("TMPDIR=") }.map { String($0.dropFirst(7)) } ?? "/tmp"
    var template = Array("\(temporary)/nexuscache-demo-XXXXXX".utf8CString)
    guard mkdtemp(&template) != nil else {
      throw ControlFailure("cannot make a folder in \(temporary): \(String(cString: strerror(errno)))")
    }
    directory = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
    terminal.print("Starting \(count) nodes; their logs are in \(directory)\n")
    formPort = plan.form
    let furniture = try furnish(directory)
    for (index, ports) in plan.nodes.enumerated() {
      let name = "node-\(index + 1)"
      nodes.append(
        try DemoNode(
          name: name, ports: ports, program: program,
          arguments: arguments(name, ports, plan.nodes[0].peer, index, furniture),
          environment: environment, logPath: "\(directory)/\(name).log",
          password: settings.first { $0.name == "password" }?.value))
    }
  }

  private func arguments(
    _ name: String, _ ports: PortPlan.Ports, _ firstPeer: Int, _ index: Int,
    _ furniture: [(name: String, value: String)]
  ) -> [String] {
    var arguments = [
      "serve", "--node-id", name, "--cluster-name", "demo", "--bind", "127.0.0.1", "--redis-port", "\(ports.redis)",
      "--http-port", "\(ports.http)", "--peer-port", "\(ports.peer)", "--data-dir", directory,
    ]
    if index > 0 { arguments += ["--join", "127.0.0.1:\(firstPeer)"] }
    if index == 0 { arguments += ["--form-port", "\(formPort)"] }
    // One machine's memory and cores are shared by all.
    if !settings.contains(where: { $0.name == "max-memory" }) {
      arguments += ["--max-memory", "\(max(1, 60 / count))%"]
    }
    if !settings.contains(where: { $0.name == "threads" }) {
      arguments += ["--threads", "\(max(1, sysconf(Int32(_SC_NPROCESSORS_ONLN)) / count))"]
    }
    for setting in furniture + settings { arguments += ["--\(setting.name)=\(setting.value)"] }
    return arguments
  }

  /// Waits until all nodes are one cluster. False: a signal came first.
  private func form() throws(ControlFailure) -> Bool {
    for _ in 0..<300 {
      if pause(milliseconds: 100) { return false }
      for node in nodes where node.hasJustEnded() {
        throw ControlFailure("\(node.farewell)\nIts log is \(node.logPath)")
      }
      for node in nodes { node.look() }
      let states = nodes.compactMap(\.state)
      terminal.line("forming: \(states.count) of \(count) nodes answer, \(states.count(where: \.isReady)) are ready")
      let executed = states.reduce(0) { $0 + $1.executed }
      if states.count == count, executed == Slot.count,
        states.allSatisfy({ $0.isReady && $0.live.count == count })
      {
        return true
      }
    }
    throw ControlFailure("the nodes have not become a cluster within 30 s; their logs are in \(directory)")
  }

  private var introduction: String {
    let secret = settings.contains { $0.name == "password" }
    let (first, last) = (nodes[0], nodes[count - 1])
    let http = first.ports.http == 8080 ? "" : " --http 127.0.0.1:\(first.ports.http)"
    var table = TextTable("NODE", "REDIS", "HTTP", "PEERS", "PID")
    for node in nodes {
      table.add(
        node.name, "127.0.0.1:\(node.ports.redis)", "http://127.0.0.1:\(node.ports.http)",
        "127.0.0.1:\(node.ports.peer)", "\(node.pid)")
    }
    let ask = secret ? " --askpass" : ""
    let user = secret ? "-u :PASSWORD " : ""
    var text =
      "\nA cluster of \(count) \(count == 1 ? "node" : "nodes"):\n\n" + table.text + "\nTry, in another terminal:\n"
    text += "  redis-cli -p \(first.ports.redis)\(ask) set greeting hello\n"
    text += "  redis-cli -p \(last.ports.redis)\(ask) get greeting\n"
    text += "  curl \(user)http://127.0.0.1:\(nodes[count / 2].ports.http)/api/cache/greeting\n"
    let form = "http://localhost:\(formPort)/api"
    text += "  curl \(user)\"\(form)/get?key=Tom\"     # value=630, from a SQLite database\n"
    text += "  curl \(user)-X POST \"\(form)/set\" -d \"key=user1&value=Hemant&expire=5&hot=false\"\n"
    text += "  curl \(user)\"\(form)/get?key=user1\"   # value=Hemant, for five seconds\n"
    text += "  \(command) ctl members\(http)\n"
    text += "  \(command) bench --port \(first.ports.redis) --keys 100k\n"
    if count > 1 { text += "  kill -9 \(last.pid)     # a member dies, the others notice and go on\n" }
    return text + "\nStop: Ctrl-C\n\n"
  }

  // MARK: Running

  private func watch() -> Int32 {
    var shown = ""
    var last = (operations: nodes.reduce(0) { $0 + $1.operations }, at: Self.milliseconds())
    while !terminal.isGone {
      if pause(milliseconds: 1000) { return 0 }
      for node in nodes where node.hasJustEnded() { terminal.print(node.farewell + "\n") }
      if nodes.allSatisfy({ $0.end != nil }) {
        terminal.print("No node is left; their logs are in \(directory)\n")
        return 1
      }
      for node in nodes { node.look() }
      let running = nodes.filter { $0.end == nil }
      let now = (operations: running.reduce(0) { $0 + $1.operations }, at: Self.milliseconds())
      let rate = max(0, now.operations - last.operations) * 1000 / max(1, now.at - last.at)
      last = now
      let slots = Self.slots(running)
      terminal.line("\(slots), \(running.reduce(0) { $0 + $1.keys }) keys, \(rate) operations/s   (Ctrl-C stops)")
      if !terminal.isTerminal, slots != shown { terminal.print(slots + "\n") }
      shown = slots
    }
    return 0
  }

  /// `3 members, slots 5462 5461 5461`.
  private static func slots(_ nodes: [DemoNode]) -> String {
    let states = nodes.compactMap(\.state)
    let live = states.map(\.live.count).max() ?? 0
    let moving = states.reduce(0) { $0 + $1.incoming }
    return "\(live) \(live == 1 ? "member" : "members"), slots "
      + nodes.map { $0.state.map { "\($0.executed)" } ?? "?" }.joined(separator: " ")
      + (moving > 0 ? " (\(moving) on their way)" : "")
  }

  // MARK: Ending

  private func stop() {
    guard !nodes.isEmpty else { return }
    terminal.clearLine()
    if nodes.contains(where: { $0.end == nil }) { terminal.print("Stopping.\n") }
    for node in nodes { node.signal(SIGTERM) }
    let start = Self.milliseconds()
    while nodes.contains(where: { !$0.hasJustEnded() && $0.end == nil }) {
      // A second Ctrl-C does not wait.
      if pause(milliseconds: 20) || Self.milliseconds() - start > 8000 {
        for node in nodes { node.signal(SIGKILL) }
      }
    }
  }

  /// True if a signal that ends the demonstration came meanwhile.
  private func pause(milliseconds: Int) -> Bool {
    var time = timespec(tv_sec: milliseconds / 1000, tv_nsec: milliseconds % 1000 * 1_000_000)
    return sigtimedwait(&signals, nil, &time) > 0
  }

  private static func milliseconds() -> Int {
    var time = timespec()
    clock_gettime(CLOCK_MONOTONIC, &time)
    return time.tv_sec * 1000 + time.tv_nsec / 1_000_000
  }
}
