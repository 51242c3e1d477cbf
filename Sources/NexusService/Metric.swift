/// A metric, declared once as data: the metrics page and the test that compares it with docs/metrics.md read this.
public struct Metric: Sendable {
  public enum Kind: String, Sendable {
    case counter, gauge, histogram
  }
  public let name: StaticString
  public let kind: Kind
  /// One sentence, as the page's HELP line shows it.
  public let help: StaticString

  init(_ name: StaticString, _ kind: Kind, _ help: StaticString) {
    self.name = name
    self.kind = kind
    self.help = help
  }

  public static let all: [Metric] =
    requests + caching + peers + doors + events + memory + namespaces + filling + hotKeys + cluster + replication
    + process

  static let requests = [requestsTotal, requestDuration, hitRatio]
  static let caching = [evictions, expirations, keyspaceHits, keyspaceMisses]
  static let peers = [peerRequests, peerExecuted, peerDuration, singleflight]
  static let doors = [
    commands, errorReplies, protocolErrors, httpRequests, httpReplies, connections, connectionsAccepted,
    connectionsRefused, outputLimitDisconnections, networkBytes,
  ]
  static let events = [eventsTotal, eventReaders, eventsMissed]
  static let memory = [memoryLimit, memoryUsed, memoryPeak, memoryParts]
  static let namespaces = [
    namespaceEntries, namespaceBytes, namespaceLimitBytes, namespaceEvictions, namespaceExpirations,
  ]
  /// Of namespaces with an origin only.
  static let filling = [
    originLoads, originRefreshes, originFailures, originLoadTime, originBreakerOpen, originRunning, originWaiting,
    staleAnswers, absentAnswers, guardedAnswers,
  ]
  static let hotKeys = [hotCopies, hotBytes, hotHits, hotFetches, hotInvalidations]
  /// On members of a cluster only.
  static let cluster = [
    clusterMembers, clusterSlotsExecuted, clusterSlotsIncoming, clusterSlotsOutgoing, clusterReady,
    clusterDatagramsDropped, clusterRebalancedBytes, clusterEntriesKeptOut,
  ]
  /// On members of a cluster whose slots have copies only.
  static let replication = [
    replicaLagTime, replicaLagBytes, replicaLagChanges, replicationSent, replicationHinted, replicationRefused,
    replicationReceived, replicationClockRefused,
  ]
  static let process = [
    uptime, eventLoops, processCPU, processResident, processVirtual, processOpenDescriptors, processMaxDescriptors,
    processStart, processThreads,
  ]

  static let requestsTotal = Metric(
    "nexuscache_requests_total", .counter, "Reads, writes and deletes of keys, by operation and outcome.")
  static let requestDuration = Metric(
    "nexuscache_request_duration_seconds", .histogram,
    "Time from having read a request to having its reply, all doors together.")
  static let hitRatio = Metric(
    "nexuscache_cache_hit_ratio", .gauge, "Share of key lookups that found something, since the start; 0 before any.")
  static let evictions = Metric(
    "nexuscache_cache_evictions_total", .counter, "Entries removed to make room, all namespaces together.")
  static let expirations = Metric(
    "nexuscache_cache_expirations_total", .counter, "Entries whose TTL ran out, all namespaces together.")
  static let keyspaceHits = Metric("nexuscache_keyspace_hits_total", .counter, "Key lookups that found something.")
  static let keyspaceMisses = Metric("nexuscache_keyspace_misses_total", .counter, "Key lookups that found nothing.")
  static let peerRequests = Metric(
    "nexuscache_peer_requests_total", .counter, "Requests given to other members because their keys are not here.")
  static let peerExecuted = Metric(
    "nexuscache_peer_requests_executed_total", .counter, "Requests of other members' clients run here.")
  static let peerDuration = Metric(
    "nexuscache_peer_request_duration_seconds", .histogram, "Time until another node answered.")
  static let singleflight = Metric(
    "nexuscache_singleflight_dedup_total", .counter, "Requests that waited for an equal one instead of being made.")
  static let commands = Metric("nexuscache_commands_total", .counter, "Commands run by the Redis door.")
  static let errorReplies = Metric("nexuscache_error_replies_total", .counter, "Error replies of the Redis door.")
  static let protocolErrors = Metric(
    "nexuscache_protocol_errors_total", .counter, "Connections of the Redis door that sent something malformed.")
  static let httpRequests = Metric("nexuscache_http_requests_total", .counter, "Requests answered by the HTTP door.")
  static let httpReplies = Metric(
    "nexuscache_http_replies_total", .counter, "Replies of the HTTP door, by the class of their status.")
  static let connections = Metric("nexuscache_connections", .gauge, "Client connections now, by door.")
  static let connectionsAccepted = Metric(
    "nexuscache_connections_accepted_total", .counter, "Client connections accepted, by door.")
  static let connectionsRefused = Metric(
    "nexuscache_connections_refused_total", .counter, "Client connections of the Redis door turned away.")
  static let outputLimitDisconnections = Metric(
    "nexuscache_output_limit_disconnections_total", .counter,
    "Connections of the Redis door closed because the client did not read its replies.")
  static let networkBytes = Metric(
    "nexuscache_network_bytes_total", .counter, "Bytes received and sent by the Redis door, by direction.")
  static let eventsTotal = Metric("nexuscache_events_total", .counter, "Events that this node has announced, by type.")
  static let eventReaders = Metric("nexuscache_event_readers", .gauge, "Event streams open over HTTP.")
  static let eventsMissed = Metric(
    "nexuscache_events_missed_total", .counter,
    "Events that readers over HTTP did not get, for they asked or read too late.")
  static let memoryLimit = Metric("nexuscache_memory_limit_bytes", .gauge, "The node's memory ceiling.")
  static let memoryUsed = Metric(
    "nexuscache_memory_used_bytes", .gauge, "Memory that counts against the ceiling, all parts together.")
  static let memoryPeak = Metric("nexuscache_memory_peak_bytes", .gauge, "The most that was ever used.")
  static let memoryParts = Metric(
    "nexuscache_memory_bytes", .gauge, "Memory that counts against the ceiling, by what it is for.")
  static let namespaceEntries = Metric("nexuscache_namespace_entries", .gauge, "Entries now, by namespace.")
  static let namespaceBytes = Metric(
    "nexuscache_namespace_bytes", .gauge, "Memory of the entries now, by namespace.")
  static let namespaceLimitBytes = Metric(
    "nexuscache_namespace_limit_bytes", .gauge, "The namespace's own limit; 0 where it has none.")
  static let namespaceEvictions = Metric(
    "nexuscache_namespace_evictions_total", .counter, "Entries removed to make room, by namespace.")
  static let namespaceExpirations = Metric(
    "nexuscache_namespace_expirations_total", .counter, "Entries whose TTL ran out, by namespace.")
  static let originLoads = Metric(
    "nexuscache_origin_loads_total", .counter, "Keys asked of the namespace's origin, refreshes included.")
  static let originRefreshes = Metric(
    "nexuscache_origin_refreshes_total", .counter, "Keys asked of the origin while an older value answered.")
  static let originFailures = Metric(
    "nexuscache_origin_failures_total", .counter, "Loads that the origin did not answer, or not with a value.")
  static let originLoadTime = Metric(
    "nexuscache_origin_load_seconds", .gauge, "What a load takes, as a moving mean.")
  static let originBreakerOpen = Metric(
    "nexuscache_origin_breaker_open", .gauge, "1 while the origin is left alone because it failed too often.")
  static let originRunning = Metric("nexuscache_origin_running", .gauge, "Requests that the origin works on now.")
  static let originWaiting = Metric(
    "nexuscache_origin_waiting", .gauge, "Requests that wait for a connection to the origin now.")
  static let staleAnswers = Metric(
    "nexuscache_stale_answers_total", .counter, "Reads answered with a value that is no longer fresh.")
  static let absentAnswers = Metric(
    "nexuscache_absent_answers_total", .counter, "Reads answered from the memory of what the origin does not have.")
  static let guardedAnswers = Metric(
    "nexuscache_guarded_answers_total", .counter, "Reads answered because the guard does not know the key.")
  static let hotCopies = Metric("nexuscache_hot_copies", .gauge, "Hot keys of other members that have a place here.")
  static let hotBytes = Metric("nexuscache_hot_bytes", .gauge, "Memory of the copies of other members' hot keys.")
  static let hotHits = Metric(
    "nexuscache_hot_hits_total", .counter, "Reads of other members' keys answered by a copy here.")
  static let hotFetches = Metric(
    "nexuscache_hot_fetches_total", .counter, "Copies of hot keys asked of their owners.")
  static let hotInvalidations = Metric(
    "nexuscache_hot_invalidations_total", .counter, "Times that an owner told of a change of what it had given.")
  static let clusterMembers = Metric(
    "nexuscache_cluster_members", .gauge, "Members of the cluster as this node sees them, by status.")
  static let clusterSlotsExecuted = Metric(
    "nexuscache_cluster_slots_executed", .gauge, "Slots that this node executes, of 16,384.")
  static let clusterSlotsIncoming = Metric(
    "nexuscache_cluster_slots_incoming", .gauge, "Slots on their way to this node.")
  static let clusterSlotsOutgoing = Metric(
    "nexuscache_cluster_slots_outgoing", .gauge, "Slots on their way from this node.")
  static let clusterDatagramsDropped = Metric(
    "nexuscache_cluster_datagrams_dropped_total", .counter,
    "Datagrams on the peer port that were not let in, by reason.")
  static let clusterRebalancedBytes = Metric(
    "nexuscache_cluster_rebalanced_bytes_total", .counter, "Entries sent to new owners of their slots.")
  static let clusterEntriesKeptOut = Metric(
    "nexuscache_cluster_entries_kept_out_total", .counter,
    "Entries that came from other members for namespaces that are not declared here: lost.")
  static let clusterReady = Metric(
    "nexuscache_cluster_ready", .gauge, "1 once this node has joined and all that is its own has arrived.")
  static let replicaLagTime = Metric(
    "nexuscache_replica_lag_seconds", .gauge,
    "Time since the oldest change that a member with copies has not confirmed, by member.")
  static let replicaLagBytes = Metric(
    "nexuscache_replica_lag_bytes", .gauge, "Changes sent and not confirmed, by member.")
  static let replicaLagChanges = Metric(
    "nexuscache_replica_lag_changes", .gauge, "The same as a number of changes, by member.")
  static let replicationSent = Metric(
    "nexuscache_replication_sent_total", .counter, "Changes sent, once for each member that gets them.")
  static let replicationHinted = Metric(
    "nexuscache_replication_hinted_total", .counter,
    "Changes not sent, because a member could not be reached or was too slow: their keys were noted.")
  static let replicationRefused = Metric(
    "nexuscache_replication_refused_total", .counter, "Changes that the members refused that they were sent to.")
  static let replicationReceived = Metric(
    "nexuscache_replication_received_total", .counter, "Changes of other members, by outcome.")
  static let replicationClockRefused = Metric(
    "nexuscache_replication_clock_refused_total", .counter,
    "Changes refused because their member's clock is further ahead than clock-bound.")
  static let uptime = Metric("nexuscache_uptime_seconds", .gauge, "Time since the node started.")
  static let eventLoops = Metric("nexuscache_event_loops", .gauge, "Event loops, one thread each.")
  static let processCPU = Metric(
    "process_cpu_seconds_total", .counter, "CPU time of the process, user and system together.")
  static let processResident = Metric("process_resident_memory_bytes", .gauge, "Resident memory of the process.")
  static let processVirtual = Metric("process_virtual_memory_bytes", .gauge, "Virtual memory of the process.")
  static let processOpenDescriptors = Metric("process_open_fds", .gauge, "Open file descriptors of the process.")
  static let processMaxDescriptors = Metric("process_max_fds", .gauge, "Most file descriptors it may have open.")
  static let processStart = Metric(
    "process_start_time_seconds", .gauge, "When the process started, in seconds since the Unix epoch.")
  static let processThreads = Metric("process_threads", .gauge, "Threads of the process.")
}
