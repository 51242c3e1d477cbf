import NexusModel
import NexusService
import NexusStore

extension InfoReport {
  mutating func writeServer() {
    writeFacts(InfoFacts.server)
    field("nexuscache_version", Product.version)
    field("os", operatingSystem())
    field("process_id", processIdentifier())
    field("run_id", node.runID)
    field("tcp_port", settings.number(.redisPort))
    field("server_time_usec", wallClockMicroseconds())
    let seconds = max(0, (now - node.startedAt) / 1000)
    field("uptime_in_seconds", seconds)
    field("uptime_in_days", seconds / 86_400)
    field("executable", executablePath())
    field("io_threads_active", node.loopCount > 1 ? 1 : 0)
    field("threads", node.loopCount)
  }

  mutating func writeClients() {
    field("connected_clients", totals.connectionsNow)
    field("maxclients", settings.maxClients)
    writeFacts(InfoFacts.clients)
    field("tracking_clients", node.interests.clientCount)
    field("http_connections", totals.httpConnectionsNow)
  }

  mutating func writeMemory() {
    let memory = node.store.memory
    bytes("used_memory", memory.usedBytes)
    bytes("used_memory_rss", process.residentBytes)
    bytes("used_memory_peak", max(memory.peakBytes, memory.usedBytes))
    let peak = max(memory.peakBytes, memory.usedBytes)
    field("used_memory_peak_perc", percent(memory.usedBytes, of: peak))
    field("used_memory_overhead", memory.indexBytes + memory.outsideBytes)
    field("used_memory_dataset", memory.entryBytes)
    field("used_memory_dataset_perc", percent(memory.entryBytes, of: memory.usedBytes))
    field("used_memory_index", memory.indexBytes)
    field("used_memory_free_chunks", memory.freeChunkBytes)
    field("used_memory_buffers", memory.outsideBytes)
    bytes("total_system_memory", process.machineBytes)
    bytes("maxmemory", settings.maxMemoryBytes)
    field("maxmemory_policy", settings.redisValue("maxmemory-policy") ?? settings.text(.eviction))
    field("eviction", settings.text(.eviction))
    let ratio = memory.usedBytes > 0 ? Double(process.residentBytes) / Double(memory.usedBytes) : 0
    field("mem_fragmentation_ratio", ratio, digits: 2)
    field("mem_fragmentation_bytes", process.residentBytes - memory.usedBytes)
    field("mem_allocator", "nexuscache-arena")
  }

  private func percent(_ part: Int, of whole: Int) -> String {
    fixed(whole > 0 ? Double(part) * 100 / Double(whole) : 0, digits: 2) + "%"
  }

  mutating func writeStats() {
    let rate = door.diagnostics.perSecond(now: now)
    field("total_connections_received", totals.connectionsAccepted)
    field("total_commands_processed", totals.commands)
    field("instantaneous_ops_per_sec", Int(rate.commands.rounded()))
    field("total_net_input_bytes", totals.bytesIn)
    field("total_net_output_bytes", totals.bytesOut)
    field("instantaneous_input_kbps", rate.bytesIn / 1024, digits: 2)
    field("instantaneous_output_kbps", rate.bytesOut / 1024, digits: 2)
    field("rejected_connections", totals.connectionsRefused)
    field("expired_keys", door.diagnostics.expiredKeys)
    field("evicted_keys", door.diagnostics.evictedKeys)
    field("keyspace_hits", totals.keyspaceHits)
    field("keyspace_misses", totals.keyspaceMisses)
    field("pubsub_channels", door.channels.count(.channel))
    field("pubsub_patterns", door.channels.count(.pattern))
    field("pubsubshard_channels", door.channels.count(.shard))
    field("tracking_total_keys", node.interests.keyCount)
    field("tracking_total_items", node.interests.partyCount)
    field("tracking_total_prefixes", node.interests.prefixCount)
    let all = LoopStatistics(sumOf: UnsafeBufferPointer(start: node.statistics, count: node.loopCount))
    field("hot_copies", all.hotCopies.value)
    field("hot_copy_bytes", all.hotBytes.value)
    field("hot_copy_hits", all.hotHits.value)
    field("hot_copy_fetches", all.hotFetches.value)
    field("hot_copy_invalidations", all.hotInvalidations.value)
    field("total_error_replies", totals.errorReplies)
    field("protocol_errors", totals.protocolErrors)
    field("client_output_buffer_limit_disconnections", totals.outputLimitDisconnections)
    field("total_http_requests", totals.httpRequests)
  }

  mutating func writeReplication() {
    if let report = node.cluster?.replication {
      writeReplicas(report)
    } else {
      writeFacts(InfoFacts.replication)
    }
    field("master_replid", node.runID)
  }

  /// Members that have copies stand where Redis has its replicas. Offsets count changes, not bytes.
  private mutating func writeReplicas(_ report: ReplicationReport) {
    let live = report.replicas.filter(\.isLive)
    for fact in InfoFacts.replication {
      switch fact.name {
      case "connected_slaves":
        field(fact.name, live.count)
        for (index, replica) in live.enumerated() {
          let member = node.cluster?.picture.member(replica.number)?.record.member
          field(
            "slave\(index)",
            "ip=\(member?.host ?? ""),port=\(member?.redisPort ?? 0),state=online,"
              + "offset=\(report.sent - min(report.sent, UInt64(replica.lagEffects))),"
              + "lag=\(replica.lagMilliseconds / 1000)")
        }
      case "master_repl_offset": field(fact.name, report.sent)
      default: field(fact.name, fact.value)
      }
    }
  }

  mutating func writeCPU() {
    field("used_cpu_sys", process.cpuSystemSeconds, digits: 6)
    field("used_cpu_user", process.cpuUserSeconds, digits: 6)
    field("used_cpu_sys_main_thread", process.threadSystemSeconds, digits: 6)
    field("used_cpu_user_main_thread", process.threadUserSeconds, digits: 6)
  }

  mutating func writeCommandStatistics() {
    for index in 0..<door.commands.count {
      let totals = door.diagnostics.totals(ofCommand: index)
      guard totals.calls > 0 || totals.rejected > 0 else { continue }
      let perCall = fixed(totals.microsecondsPerCall, digits: 2)
      field(
        "cmdstat_\(door.commands.command(at: index).name)",
        "calls=\(totals.calls),usec=\(totals.microseconds),usec_per_call=\(perCall),"
          + "rejected_calls=\(totals.rejected),failed_calls=\(totals.failed)")
    }
  }

  mutating func writeErrorStatistics() {
    for (code, count) in door.diagnostics.errorCounts() { field("errorstat_\(code)", "count=\(count)") }
  }

  mutating func writeLatencyStatistics() {
    for index in 0..<door.commands.count {
      let latency = door.diagnostics.totals(ofCommand: index).latency
      guard latency.total > 0 else { continue }
      let parts = [("p50", 50.0), ("p99", 99), ("p99.9", 99.9)].map {
        "\($0.0)=\(fixed(latency.percentile($0.1), digits: 3))"
      }
      field("latency_percentiles_usec_\(door.commands.command(at: index).name)", parts.joined(separator: ","))
    }
  }

  mutating func writeKeyspace() {
    for database in 0..<Databases.count {
      let namespace = door.databases.namespace(of: database)
      let keys = node.store.count(in: namespace)
      guard keys > 0 else { continue }
      field("db\(database)", "keys=\(keys),expires=\(node.store.countWithExpiry(in: namespace))")
    }
    for (number, name) in node.store.namedNamespaces {
      let keys = node.store.count(in: number)
      guard keys > 0 else { continue }
      // Of the form that clients read; the prefix keeps it apart from what else INFO has.
      field("ns_\(name)", "keys=\(keys),expires=\(node.store.countWithExpiry(in: number))")
    }
  }
}
