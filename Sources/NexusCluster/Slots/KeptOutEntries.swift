import NexusService

/// Entries that came for namespaces that are not declared here. Nobody can say which limits they should have, so they
/// are lost; the log says so once for each namespace, by its number, which is all that came.
struct KeptOutEntries {
  private var seen: Set<UInt32> = []
  private(set) var count: UInt64 = 0

  mutating func add(_ namespace: UInt32, _ log: any Log) {
    count += 1
    guard seen.insert(namespace).inserted else { return }
    log.warning(
      "entries of a namespace are lost that other members have declared and this one has not: declare it here, too",
      ("number", "\(namespace)"))
  }
}
