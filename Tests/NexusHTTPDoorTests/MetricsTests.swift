import Foundation
import NexusModel
import NexusService
import NexusTelemetry
import Testing

@testable import NexusHTTPDoor

@Suite struct MetricsTests {
  /// name → type, and every sample by its name with labels.
  func page(_ http: ResponderHarness) -> (types: [String: String], samples: [String: Double]) {
    let reply = http.ask("GET /metrics")
    #expect(reply.status == 200)
    #expect(reply.text.hasSuffix("\n"))
    var types: [String: String] = [:]
    var samples: [String: Double] = [:]
    for line in reply.text.split(separator: "\n") {
      let words = line.split(separator: " ", maxSplits: 3).map(String.init)
      if line.hasPrefix("# TYPE ") {
        #expect(types[words[2]] == nil, "\(words[2]) is declared twice")
        types[words[2]] = words[3]
      } else if !line.hasPrefix("#") {
        let space = line.lastIndex(of: " ")!
        let name = String(line[..<space])
        #expect(samples[name] == nil, "\(name) stands twice")
        samples[name] = Double(line[line.index(after: space)...])
      }
    }
    return (types, samples)
  }

  @Test func everyMetricOfTheTableIsOnThePageAndNoOther() {
    let http = ResponderHarness()
    http.node.processFigures = LinuxProcessFigures()
    let alone = Set(page(http).types.keys)
    let face = TestFace(3, 0)
    http.node.cluster = face
    let clustered = Set(page(http).types.keys)
    #expect(clustered.subtracting(alone).allSatisfy { $0.hasPrefix("nexuscache_cluster_") })
    face.shownReplication.withLock { $0 = Self.replication }
    let (types, samples) = page(http)
    #expect(Set(types.keys).subtracting(clustered).allSatisfy { $0.hasPrefix("nexuscache_replica") })
    #expect(samples["nexuscache_replica_lag_seconds{member=\"node-2\"}"] == 1.5)
    #expect(samples["nexuscache_replication_received_total{outcome=\"older\"}"] == 4)
    #expect(samples["nexuscache_cluster_members{status=\"alive\"}"] == 3)
    #expect(samples["nexuscache_cluster_slots_executed"] == 5461)
    #expect(Set(types.keys) == Set(Metric.all.map { "\($0.name)" }))
    for metric in Metric.all { #expect(types["\(metric.name)"] == metric.kind.rawValue) }
    for name in samples.keys {
      var family = String(name.prefix { $0 != "{" })
      for ending in ["_bucket", "_sum", "_count"] where types[family] == nil {
        if family.hasSuffix(ending) { family.removeLast(ending.count) }
      }
      #expect(types[family] != nil, "\(name) has no TYPE")
    }
    #expect(samples["process_resident_memory_bytes"]! > 1e6)
  }

  private static var replication: ReplicationReport {
    var report = ReplicationReport()
    var replica = ReplicationReport.Replica(id: MemberID("node-2")!, number: 2, isLive: true)
    replica.lagMilliseconds = 1500
    report.replicas = [replica]
    report.older = 4
    return report
  }

  @Test func theSevenNamesThatDashboardsReadAreThere() {
    let names = Set(Metric.all.map { "\($0.name)" })
    for name in [
      "nexuscache_requests_total", "nexuscache_request_duration_seconds", "nexuscache_cache_evictions_total",
      "nexuscache_cache_expirations_total", "nexuscache_peer_requests_total",
      "nexuscache_peer_request_duration_seconds",
      "nexuscache_singleflight_dedup_total",
    ] { #expect(names.contains(name)) }
  }

  @Test func requestsAreCountedByOperationAndOutcome() {
    let http = ResponderHarness()
    _ = http.ask("PUT /api/cache/k", [:], #"{"value":"v"}"#)
    _ = http.ask("PUT /api/cache/k", [:], "no JSON")
    for _ in 0..<3 { _ = http.ask("GET /api/cache/k") }
    _ = http.ask("GET /api/cache/absent")
    _ = http.ask("GET /api/cache/%")
    _ = http.ask("DELETE /api/cache/k")
    _ = http.ask("DELETE /api/cache/k")
    let (_, samples) = page(http)
    func requests(_ operation: String, _ status: String) -> Double? {
      samples["nexuscache_requests_total{operation=\"\(operation)\",status=\"\(status)\"}"]
    }
    #expect(requests("get", "hit") == 3)
    #expect(requests("get", "miss") == 1)
    #expect(requests("get", "error") == 1)
    #expect(requests("set", "ok") == 1)
    #expect(requests("set", "error") == 1)
    #expect(requests("delete", "hit") == 1)
    #expect(requests("delete", "miss") == 1)
    #expect(samples["nexuscache_cache_hit_ratio"] == 0.75)
    #expect(samples["nexuscache_http_requests_total"] == 9)
    #expect(samples["nexuscache_http_replies_total{status=\"2xx\"}"] == 6)
    #expect(samples["nexuscache_http_replies_total{status=\"4xx\"}"] == 3)
    #expect(samples["nexuscache_uptime_seconds"] == 10)
  }

  @Test func theHistogramIsCumulativeAndEndsInItsCount() {
    let http = ResponderHarness()
    for nanoseconds: UInt64 in [500, 1_500, 1_900, 3_000, 1_000_000, 60_000_000_000] {
      http.node.statistics[0].noteLatency(nanoseconds: nanoseconds)
    }
    let (_, samples) = page(http)
    let name = "nexuscache_request_duration_seconds"
    #expect(samples["\(name)_bucket{le=\"0.000001\"}"] == 1)
    #expect(samples["\(name)_bucket{le=\"0.000002\"}"] == 3)
    #expect(samples["\(name)_bucket{le=\"0.000004\"}"] == 4)
    #expect(samples["\(name)_bucket{le=\"0.000512\"}"] == 4)
    #expect(samples["\(name)_bucket{le=\"0.001024\"}"] == 5)
    #expect(samples["\(name)_bucket{le=\"4.194304\"}"] == 5)
    #expect(samples["\(name)_bucket{le=\"+Inf\"}"] == 6)
    #expect(samples["\(name)_count"] == 6)
    #expect(abs(samples["\(name)_sum"]! - 60.0010069) < 1e-6)
  }

  @Test func namespacesHaveTheirOwnSeries() {
    let http = ResponderHarness()
    _ = http.ask("PUT /api/cache/a", raw, "v")
    _ = http.ask("PUT /api/cache/b?namespace=db1", raw, "v")
    let (_, samples) = page(http)
    #expect(samples["nexuscache_namespace_entries{namespace=\"default\"}"] == 1)
    #expect(samples["nexuscache_namespace_entries{namespace=\"db1\"}"] == 1)
    #expect(samples["nexuscache_namespace_entries{namespace=\"db2\"}"] == 0)
  }

  @Test func thePageThatDescribesTheMetricsAgreesWithTheTable() throws {
    let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
      .deletingLastPathComponent()
    let text = try String(contentsOf: root.appendingPathComponent("docs/metrics.md"), encoding: .utf8)
    var described: [String: String] = [:]
    for line in text.split(separator: "\n") where line.hasPrefix("| `") {
      let cells = line.split(separator: "|").map { $0.trimmingCharacters(in: .whitespaces) }
      described[cells[0].replacingOccurrences(of: "`", with: "")] = cells[1]
    }
    for metric in Metric.all {
      #expect(described["\(metric.name)"] == metric.kind.rawValue, "\(metric.name) in docs/metrics.md")
    }
    #expect(described.count == Metric.all.count)
  }
}
