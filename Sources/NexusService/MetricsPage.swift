import NexusModel
import NexusStore

/// The figures of a node in Prometheus's text format, version 0.0.4. Read while the loops run: each figure is right,
/// but not all of the same instant.
public struct MetricsPage: ~Copyable {
  let node: Node
  let now: UnixMilliseconds
  let total: LoopStatistics

  public init(node: Node, now: UnixMilliseconds) {
    self.node = node
    self.now = now
    total = LoopStatistics(sumOf: UnsafeBufferPointer(start: node.statistics, count: node.loopCount))
  }

  public func write(to out: inout OutputBuffer) {
    writeRequests(&out)
    writeDoors(&out)
    let namespaces = node.store.configuredNumbers.compactMap { number in
      node.store.settings(of: number).map { (settings: $0, figures: node.store.statistics(of: number)) }
    }
    out.metric(.evictions, namespaces.reduce(0) { $0 + $1.figures.evictions })
    out.metric(.expirations, namespaces.reduce(0) { $0 + $1.figures.expirations })
    writeEvents(readers: total.eventReadersNow.value, missed: total.eventsMissed.value, &out)
    writeMemory(&out)
    writeNamespaces(namespaces, &out)
    writeFilling(&out)
    writeHotKeys(&out)
    if let cluster = node.cluster { writeCluster(cluster, &out) }
    writeProcess(&out)
  }

  private func writeRequests(_ out: inout OutputBuffer) {
    out.head(of: .requestsTotal)
    func line(_ operation: String, _ status: String, _ value: UInt64) {
      out.sample(Metric.requestsTotal, "operation=\"\(operation)\",status=\"\(status)\"", "\(value)")
    }
    line("get", "hit", total.getHits.value)
    line("get", "miss", total.getMisses.value)
    line("get", "error", total.getErrors.value)
    line("set", "ok", total.sets.value)
    line("set", "error", total.setErrors.value)
    line("delete", "hit", total.deleteHits.value)
    line("delete", "miss", total.deleteMisses.value)
    line("delete", "error", total.deleteErrors.value)

    out.histogram(.requestDuration, buckets: total.latencyBuckets, sumNanoseconds: total.latencySumNanoseconds.value)
    let lookups = total.keyspaceHits.value + total.keyspaceMisses.value
    out.metric(.hitRatio, lookups == 0 ? 0 : Double(total.keyspaceHits.value) / Double(lookups))
    out.metric(.keyspaceHits, total.keyspaceHits.value)
    out.metric(.keyspaceMisses, total.keyspaceMisses.value)

    out.metric(.peerRequests, total.operationsForwarded.value)
    out.metric(.peerExecuted, total.operationsExecuted.value)
    out.histogram(
      .peerDuration, buckets: total.peerLatencyBuckets, sumNanoseconds: total.peerLatencySumNanoseconds.value)
    let joined = node.filler.sources.reduce(0) { $0 + $1.1.joins.load(ordering: .relaxed) }
    out.metric(.singleflight, joined)
  }

  private func writeDoors(_ out: inout OutputBuffer) {
    out.metric(.commands, total.commands.value)
    out.metric(.errorReplies, total.errorReplies.value)
    out.metric(.protocolErrors, total.protocolErrors.value)
    out.metric(.httpRequests, total.httpRequests.value)
    out.head(of: .httpReplies)
    for hundreds in 2...5 {
      out.sample(.httpReplies, "status=\"\(hundreds)xx\"", "\(total.httpReplies[hundreds].value)")
    }
    out.head(of: .connections)
    out.sample(.connections, "door=\"redis\"", "\(total.connectionsNow.value)")
    out.sample(.connections, "door=\"http\"", "\(total.httpConnectionsNow.value)")
    out.head(of: .connectionsAccepted)
    out.sample(.connectionsAccepted, "door=\"redis\"", "\(total.connectionsAccepted.value)")
    out.sample(.connectionsAccepted, "door=\"http\"", "\(total.httpConnectionsAccepted.value)")
    out.metric(.connectionsRefused, total.connectionsRefused.value)
    out.metric(.outputLimitDisconnections, total.outputLimitDisconnections.value)
    out.head(of: .networkBytes)
    out.sample(.networkBytes, "direction=\"in\"", "\(total.bytesIn.value)")
    out.sample(.networkBytes, "direction=\"out\"", "\(total.bytesOut.value)")
  }

  private func writeMemory(_ out: inout OutputBuffer) {
    let memory = node.store.memory
    out.metric(.memoryLimit, node.store.maxMemoryBytes)
    out.metric(.memoryUsed, memory.usedBytes)
    out.metric(.memoryPeak, memory.peakBytes)
    out.head(of: .memoryParts)
    out.sample(.memoryParts, "part=\"entries\"", "\(memory.entryBytes)")
    out.sample(.memoryParts, "part=\"tombstones\"", "\(memory.tombstoneBytes)")
    out.sample(.memoryParts, "part=\"index\"", "\(memory.indexBytes)")
    out.sample(.memoryParts, "part=\"free\"", "\(memory.freeChunkBytes)")
    out.sample(.memoryParts, "part=\"outside\"", "\(memory.outsideBytes)")
  }

  private typealias NamespaceFigures = (settings: NamespaceSettings, figures: Store.NamespaceStatistics)

  private func writeNamespaces(_ namespaces: [NamespaceFigures], _ out: inout OutputBuffer) {
    func family(_ metric: Metric, _ value: (NamespaceFigures) -> Int) {
      out.head(of: metric)
      for namespace in namespaces {
        out.sample(metric, "namespace=\"\(escaped(namespace.settings.name))\"", "\(value(namespace))")
      }
    }
    family(.namespaceEntries) { $0.figures.entries }
    family(.namespaceBytes) { $0.figures.bytes }
    family(.namespaceLimitBytes) { $0.settings.limitBytes }
    family(.namespaceEvictions) { $0.figures.evictions }
    family(.namespaceExpirations) { $0.figures.expirations }
  }

  private func writeCluster(_ cluster: any ClusterFace, _ out: inout OutputBuffer) {
    let picture = cluster.picture
    out.head(of: .clusterMembers)
    for status in MemberStatus.allCases {
      let count = picture.members.count { $0.record.status == status }
      out.sample(.clusterMembers, "status=\"\(status)\"", "\(count)")
    }
    let myself = picture.members.first { $0.record.member.id == cluster.myself }
    out.metric(.clusterSlotsExecuted, myself?.slotCount ?? 0)
    out.metric(.clusterSlotsIncoming, picture.incomingCount)
    out.metric(.clusterSlotsOutgoing, picture.outgoingCount)
    out.metric(.clusterReady, picture.isReady ? 1 : 0)
    out.head(of: .clusterDatagramsDropped)
    for (reason, count) in picture.datagramsDropped {
      out.sample(.clusterDatagramsDropped, "reason=\"\(reason)\"", "\(count)")
    }
    out.metric(.clusterRebalancedBytes, picture.rebalancedBytes)
    out.metric(.clusterEntriesKeptOut, picture.entriesKeptOut)
    if let report = cluster.replication { writeReplication(report, &out) }
  }

  private func writeReplication(_ report: ReplicationReport, _ out: inout OutputBuffer) {
    func family(_ metric: Metric, _ value: (ReplicationReport.Replica) -> String) {
      out.head(of: metric)
      for replica in report.replicas { out.sample(metric, "member=\"\(replica.id)\"", value(replica)) }
    }
    family(.replicaLagTime) { "\(Double($0.lagMilliseconds) / 1000)" }
    family(.replicaLagBytes) { "\($0.lagBytes)" }
    family(.replicaLagChanges) { "\($0.lagEffects)" }
    out.metric(.replicationSent, report.sent)
    out.metric(.replicationHinted, report.hinted)
    out.metric(.replicationRefused, report.refusedThere)
    out.head(of: .replicationReceived)
    out.sample(.replicationReceived, "outcome=\"applied\"", "\(report.applied)")
    out.sample(.replicationReceived, "outcome=\"older\"", "\(report.older)")
    out.sample(.replicationReceived, "outcome=\"refused\"", "\(report.refusedHere)")
    out.metric(.replicationClockRefused, report.tooFarAhead)
  }

  private func writeProcess(_ out: inout OutputBuffer) {
    let process = node.processFigures.read()
    out.metric(.uptime, Double(now - node.startedAt) / 1000)
    out.metric(.eventLoops, node.loopCount)
    out.metric(.processCPU, process.cpuUserSeconds + process.cpuSystemSeconds)
    out.metric(.processResident, process.residentBytes)
    out.metric(.processVirtual, process.virtualBytes)
    out.metric(.processOpenDescriptors, process.openDescriptors)
    out.metric(.processMaxDescriptors, process.maxDescriptors)
    out.metric(.processStart, process.startTimeSeconds)
    out.metric(.processThreads, process.threads)
  }

  /// As a label's value: backslash, quote and line feed are escaped.
  func escaped(_ name: String) -> String {
    var text = ""
    for character in name.unicodeScalars {
      switch character {
      case "\\": text += "\\\\"
      case "\"": text += "\\\""
      case "\n": text += "\\n"
      default: text.unicodeScalars.append(character)
      }
    }
    return text
  }
}

extension OutputBuffer {
  mutating func head(of metric: Metric) {
    append("# HELP ")
    append(metric.name)
    append(" ")
    append(metric.help)
    append("\n# TYPE ")
    append(metric.name)
    append(" \(metric.kind.rawValue)\n" as String)
  }

  mutating func sample(_ metric: Metric, _ labels: String, _ value: String) {
    append(metric.name)
    append("{\(labels)} \(value)\n" as String)
  }

  /// A metric with one sample and no labels.
  mutating func metric(_ metric: Metric, _ value: some CustomStringConvertible) {
    head(of: metric)
    append(metric.name)
    append(" \(value.description)\n" as String)
  }

  /// `buckets` as `LoopStatistics.latencyBuckets` has them. Its last one has no upper bound, and so no line but +Inf's.
  mutating func histogram(
    _ metric: Metric, buckets: borrowing InlineArray<24, Tally>, sumNanoseconds: UInt64
  ) {
    head(of: metric)
    var count: UInt64 = 0
    for index in 0..<23 {
      count += buckets[index].value
      append(metric.name)
      append("_bucket{le=\"\(Self.seconds(microseconds: 1 << UInt64(index)))\"} \(count)\n" as String)
    }
    count += buckets[23].value
    append(metric.name)
    append("_bucket{le=\"+Inf\"} \(count)\n" as String)
    append(metric.name)
    append("_sum \(Double(sumNanoseconds) / 1e9)\n" as String)
    append(metric.name)
    append("_count \(count)\n" as String)
  }

  /// `0.000128`: exact, and the same text at every scrape.
  private static func seconds(microseconds: UInt64) -> String {
    let fraction = String(microseconds % 1_000_000)
    return "\(microseconds / 1_000_000)." + String(repeating: "0", count: 6 - fraction.count) + fraction
  }
}
