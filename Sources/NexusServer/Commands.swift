import Glibc
import NexusBench
import NexusCache
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
  case "config": return wantsHelp ? show(Help.config) : withUsage { () throws(UsageError) in try config(rest) }
  case .some(let word) where word.hasPrefix("-"):
    return fail("settings belong to a command: nexuscache serve \(arguments.joined(separator: " "))", status: 2)
  case .some(let word):
    let hint = nearestName(to: word, among: ["serve", "config", "bench", "help", "version"])
    return fail(
      "there is no command '\(word)'"
        + (hint.map { "; did you mean 'nexuscache \($0)'?" } ?? "; 'nexuscache --help' lists them"), status: 2)
  }
}

private func withUsage(_ body: () throws(UsageError) -> Int32) -> Int32 {
  do { return try body() } catch { return fail(error.description, status: 2) }
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
