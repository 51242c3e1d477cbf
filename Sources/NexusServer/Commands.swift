import Glibc
import NexusBench
import NexusCache
import NexusControl
import NexusService

/// Runs one command line and answers the exit status: 0 done, 1 the command failed, 2 it could not be understood.
/// A free function: what starts threads must not be isolated to the main actor, as code in main.swift is.
func runNexusCache(_ arguments: [String]) -> Int32 {
  let rest = Array(arguments.dropFirst())
  let wantsHelp = rest.contains("--help") || rest.contains("-h")
  switch arguments.first {
  case nil, "help", "--help", "-h":
    if arguments.first == "help", rest.first == "serve" { return show(Help.serve) }
    return show(Help.program)
  case "version", "--version", "-V": return show("\(Product.name) \(Product.version)\n")
  case "bench": return runBench(arguments: rest)
  case "serve": return wantsHelp ? show(Help.serve) : withUsage { () throws(UsageError) in try serve(rest) }
  case "ctl": return wantsHelp || rest.isEmpty ? show(Ctl.help) : ctl(rest)
  case "demo": return wantsHelp ? show(Demo.help) : withUsage { () throws(UsageError) in try demo(rest) }
  case "config": return wantsHelp ? show(Help.config) : withUsage { () throws(UsageError) in try config(rest) }
  case .some(let word) where word.hasPrefix("-"):
    return fail("settings belong to a command: nexuscache serve \(arguments.joined(separator: " "))", status: 2)
  case .some(let word):
    let hint = nearestName(to: word, among: ["serve", "demo", "ctl", "config", "bench", "help", "version"])
    return fail(
      "there is no command '\(word)'"
        + (hint.map { "; did you mean 'nexuscache \($0)'?" } ?? "; 'nexuscache --help' lists them"), status: 2)
  }
}

private func withUsage(_ body: () throws(UsageError) -> Int32) -> Int32 {
  do { return try body() } catch { return fail(error.description, status: 2) }
}

private func ctl(_ arguments: [String]) -> Int32 {
  // A reader that has gone (`| head`) shows as a failed write.
  signal(SIGPIPE, SIG_IGN)
  do throws(ControlFailure) {
    var ctl = try Ctl(arguments: arguments, environment: environment())
    return try ctl.run()
  } catch { return fail(error.description, status: error.status) }
}

private func demo(_ arguments: [String]) throws(UsageError) -> Int32 {
  var rest: [String] = []
  var nodes = 3
  var index = 0
  while index < arguments.count {
    let argument = arguments[index]
    index += 1
    var value: String?
    if argument == "--nodes" {
      value = index < arguments.count ? arguments[index] : ""
      index += 1
    } else if argument.hasPrefix("--nodes=") {
      value = String(argument.dropFirst("--nodes=".count))
    } else {
      rest.append(argument)
    }
    guard let value else { continue }
    guard let count = Int(value), (1...Demo.nodesMost).contains(count) else {
      throw UsageError("--nodes cannot be '\(value)': give a number from 1 to \(Demo.nodesMost)")
    }
    nodes = count
  }
  let settings = try Flags.parse(rest, of: "demo")
  for setting in settings where Demo.ownSettings.contains(setting.name) {
    throw UsageError("--\(setting.name) is chosen by 'demo' for each node: start nodes with 'serve' to set it")
  }
  do throws(ConfigurationError) { _ = try Configuration.load(flags: settings, environment: []) } catch {
    return fail(error.description, status: 1)
  }
  var path = [CChar](repeating: 0, count: Int(PATH_MAX))
  let length = readlink("/proc/self/exe", &path, path.count - 1)
  guard length > 0 else {
    return fail("cannot tell where this program lies: \(String(cString: strerror(errno)))", status: 1)
  }
  let program = String(decoding: path[..<length].map { UInt8(bitPattern: $0) }, as: UTF8.self)
  return Demo(
    program: program, command: CommandLine.arguments[0], nodes: nodes, settings: settings, environment: environment()
  ) { directory throws(ControlFailure) in
    do throws(StartFailure) { return try DemonstrationData.write(to: directory) } catch {
      throw ControlFailure(error.description)
    }
  }.run()
}

private func config(_ arguments: [String]) throws(UsageError) -> Int32 {
  guard let action = arguments.first, action == "check" || action == "show" else {
    throw UsageError("write 'nexuscache config check' or 'nexuscache config show'")
  }
  let flags = try Flags.parse(Array(arguments.dropFirst()), of: "config \(action)")
  do {
    let configuration = try Configuration.load(flags: flags, environment: environment())
    let report = SettingsReport(configuration.settings)
    return show(action == "check" ? report.withOrigins + "ok\n" : report.asFile)
  } catch {
    return fail(error.description, status: 1)
  }
}

/// The process's environment, as `NAME=value`.
func environment() -> [String] {
  var entries: [String] = []
  var next = environ
  while let entry = next.pointee {
    entries.append(String(cString: entry))
    next += 1
  }
  return entries
}

func show(_ text: String) -> Int32 {
  // A reader that has gone (`| head`) is no failure of ours, a full disk is.
  write(text, to: STDOUT_FILENO) || errno == EPIPE ? 0 : 1
}

func fail(_ sentence: String, status: Int32) -> Int32 {
  _ = write("nexuscache: \(sentence)\n", to: STDERR_FILENO)
  return status
}

private func write(_ text: String, to descriptor: Int32) -> Bool {
  var rest = Array(text.utf8)[...]
  while !rest.isEmpty {
    let written = rest.withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress, $0.count) }
    if written < 0 && errno != EINTR { return false }
    rest = rest.dropFirst(max(0, written))
  }
  return true
}
