import NexusService

/// A command line that cannot be understood, in one sentence.
struct UsageError: Error, CustomStringConvertible {
  let description: String
  init(_ description: String) { self.description = description }
}

/// `--name value` and `--name=value`.
enum Flags {
  static func parse(_ arguments: [String], of command: String) throws(UsageError) -> [(name: String, value: String)] {
    var flags: [(name: String, value: String)] = []
    var index = 0
    while index < arguments.count {
      let argument = arguments[index]
      index += 1
      guard argument.hasPrefix("--"), argument.count > 2 else {
        throw UsageError("'\(argument)' is not expected after '\(command)': write settings as --name value")
      }
      let name = String(argument.dropFirst(2).prefix { $0 != "=" })
      guard name == "config" || Setting.named(name) != nil else { throw unknown(name) }
      if let equals = argument.firstIndex(of: "=") {
        flags.append((name, String(argument[argument.index(after: equals)...])))
        continue
      }
      guard index < arguments.count, !arguments[index].hasPrefix("--") else {
        let accepted = Setting.named(name)?.accepted ?? "the path of a file"
        throw UsageError("--\(name) needs a value: give \(accepted)")
      }
      flags.append((name, arguments[index]))
      index += 1
    }
    return flags
  }

  private static func unknown(_ name: String) -> UsageError {
    let known = Setting.all.map(\.name) + ["config", "help"]
    let hint = nearestName(to: name.lowercased(), among: known).map { "; did you mean --\($0)?" }
    return UsageError("there is no flag --\(name)" + (hint ?? "; 'nexuscache serve --help' lists them all"))
  }
}
