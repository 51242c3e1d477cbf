import NexusModel
import NexusService
import NexusStore

/// The text of INFO: `# Section` lines, and `field:value` lines under them.
///
/// Every value is measured or follows from a setting. Redis's fields that have no meaning here are left out; those
/// that have one fixed answer stand in `InfoFacts` with the reason.
struct InfoReport {
  enum Section: String, CaseIterable {
    case server, clients, memory, persistence, stats, replication, cpu, modules, commandstats, errorstats, latencystats,
      cluster, keyspace

    /// As Redis writes it after `#`.
    var title: String { self == .cpu ? "CPU" : rawValue.prefix(1).uppercased() + rawValue.dropFirst() }
  }

  /// Without an argument.
  static let standard: Set<Section> = Set(Section.allCases).subtracting([.commandstats, .latencystats])
  static let all: Set<Section> = Set(Section.allCases).subtracting([.modules])

  /// The sections of these arguments; unknown names ask for nothing.
  static func sections(named names: [String]) -> Set<Section> {
    if names.isEmpty { return standard }
    var wanted: Set<Section> = []
    for name in names {
      switch name {
      case "default": wanted.formUnion(standard)
      case "all": wanted.formUnion(all)
      case "everything": wanted.formUnion(Section.allCases)
      default: if let section = Section(rawValue: name) { wanted.insert(section) }
      }
    }
    return wanted
  }

  let door: RedisDoor
  let now: UnixMilliseconds
  let process: ProcessReading
  let totals: LoopTotals
  private(set) var text = ""

  var node: Node { door.node }
  var settings: Settings { door.node.settings }

  init(door: RedisDoor, now: UnixMilliseconds) {
    self.door = door
    self.now = now
    process = door.node.processFigures.read()
    totals = door.diagnostics.totals()
  }

  mutating func write(_ sections: Set<Section>) {
    for section in Section.allCases where sections.contains(section) {
      if !text.isEmpty { text += "\r\n" }
      text += "# \(section.title)\r\n"
      write(section)
    }
  }

  private mutating func write(_ section: Section) {
    switch section {
    case .server: writeServer()
    case .clients: writeClients()
    case .memory: writeMemory()
    case .persistence: writeFacts(InfoFacts.persistence)
    case .stats: writeStats()
    case .replication: writeReplication()
    case .cpu: writeCPU()
    case .modules: break
    case .commandstats: writeCommandStatistics()
    case .errorstats: writeErrorStatistics()
    case .latencystats: writeLatencyStatistics()
    case .cluster: field("cluster_enabled", node.routes.isClustered ? 1 : 0)
    case .keyspace: writeKeyspace()
    }
  }

  // MARK: Lines

  mutating func field(_ name: String, _ value: String) { text += "\(name):\(value)\r\n" }
  mutating func field(_ name: String, _ value: some BinaryInteger) { text += "\(name):\(value)\r\n" }
  mutating func field(_ name: String, _ value: Double, digits: Int) {
    text += "\(name):\(fixed(value, digits: digits))\r\n"
  }
  mutating func writeFacts(_ facts: [InfoFact]) { for fact in facts { field(fact.name, fact.value) } }

  /// The field in bytes, and again for people.
  mutating func bytes(_ name: String, _ value: Int) {
    field(name, value)
    field("\(name)_human", humanBytes(value))
  }
}

/// A number with so many digits after the point, rounded.
func fixed(_ value: Double, digits: Int) -> String {
  guard value.isFinite else { return "0" }
  var scale = 1.0
  for _ in 0..<digits { scale *= 10 }
  let scaled = Int((abs(value) * scale).rounded())
  let sign = value < 0 && scaled > 0 ? "-" : ""
  if digits == 0 { return "\(sign)\(scaled)" }
  let fraction = String(scaled % Int(scale))
  return "\(sign)\(scaled / Int(scale)).\(String(repeating: "0", count: digits - fraction.utf8.count))\(fraction)"
}

/// `512B`, `1.50K`, `2.00M`, ... in powers of 1,024.
func humanBytes(_ count: Int) -> String {
  if count < 1024 { return "\(count)B" }
  var value = Double(count) / 1024
  for unit in ["K", "M", "G", "T", "P"] {
    if value < 1024 { return fixed(value, digits: 2) + unit }
    value /= 1024
  }
  return "\(count)B"
}
