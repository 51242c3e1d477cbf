// swift-tools-version: 6.0
import PackageDescription

// The layers of docs/architecture.md, lowest first. Arrows point down only.
let package = Package(
  name: "nexuscache",
  products: [
    .executable(name: "nexuscache", targets: ["nexuscache"]),
    .library(name: "NexusCache", targets: ["NexusCache"]),
  ],
  targets: [
    // C: a few inline lines each, used by one Swift target each.
    .target(name: "CIntrinsics"),
    .target(name: "CXXHash"),
    .target(name: "CAllocator"),
    .target(name: "CLongDouble"),
    .target(name: "CLinux", cSettings: [.define("_GNU_SOURCE")]),
    .target(name: "CGnuTLS", linkerSettings: [.linkedLibrary("gnutls")]),
    .target(name: "CNettle", linkerSettings: [.linkedLibrary("nettle")]),
    .target(name: "CMicrohttpd", linkerSettings: [.linkedLibrary("microhttpd")]),
    .target(name: "CNghttp2", linkerSettings: [.linkedLibrary("nghttp2")]),
    .target(name: "CSQLite", linkerSettings: [.linkedLibrary("sqlite3")]),
    .target(name: "CPostgres", linkerSettings: [.linkedLibrary("pq")]),
    .target(name: "CCurl", linkerSettings: [.linkedLibrary("curl")]),
    .target(name: "CHiredis", linkerSettings: [.linkedLibrary("hiredis")]),

    // L0: the vocabulary.
    .target(name: "NexusModel"),

    // L1: pure cores.
    .target(name: "NexusStore", dependencies: ["NexusModel", "CIntrinsics", "CXXHash"]),
    .target(name: "NexusRESP", dependencies: ["NexusModel"]),
    .target(name: "NexusWire", dependencies: ["NexusModel"]),
    .target(name: "NexusRing", dependencies: ["NexusModel", "CNettle", "CXXHash"]),
    .target(name: "NexusGossip", dependencies: ["NexusModel"]),
    .target(name: "NexusReplication", dependencies: ["NexusModel"]),
    .target(name: "NexusSketch", dependencies: ["NexusModel", "CXXHash"]),

    // L2: use cases and ports.
    .target(name: "NexusService", dependencies: ["NexusModel", "NexusStore", "NexusSketch"]),

    // L3: doors and shells.
    .target(name: "NexusTransport", dependencies: ["NexusModel", "NexusService", "CLinux", "CNghttp2"]),
    .target(
      name: "NexusRedisDoor",
      dependencies: [
        "NexusModel", "NexusStore", "NexusSketch", "NexusRESP", "NexusService", "CAllocator", "CLongDouble",
      ]),
    .target(name: "NexusHTTPDoor", dependencies: ["NexusModel", "NexusStore", "NexusService", "CMicrohttpd"]),
    .target(
      name: "NexusCluster",
      dependencies: [
        "NexusModel", "NexusStore", "NexusRing", "NexusGossip", "NexusReplication", "NexusWire", "NexusService",
        "CGnuTLS",
      ]),
    .target(name: "NexusTelemetry", dependencies: ["NexusModel", "NexusService"]),
    .target(name: "NexusDiscovery", dependencies: ["NexusModel", "NexusService", "NexusWire"]),
    .target(
      name: "NexusOrigins",
      dependencies: [
        "NexusModel", "NexusSketch", "NexusService", "CLinux", "CSQLite", "CPostgres", "CCurl", "CHiredis",
      ]),

    // L4: where adapters meet, and the executable.
    .target(
      name: "NexusCache",
      dependencies: [
        "NexusModel", "NexusStore", "NexusRESP", "NexusService",
        "NexusTransport", "NexusRedisDoor", "NexusHTTPDoor", "NexusTelemetry", "NexusRing", "NexusCluster",
        "NexusDiscovery", "NexusOrigins",
      ]),
    .target(name: "NexusBench", dependencies: ["NexusModel", "CLinux"]),
    // The real cores in a fake world: for tests.
    .target(
      name: "NexusSimulation", dependencies: ["NexusModel", "NexusGossip", "NexusReplication", "NexusService"]),
    .target(name: "NexusControl", dependencies: ["NexusModel", "NexusService", "CLinux"]),
    .executableTarget(
      name: "nexuscache",
      dependencies: [
        "NexusModel", "NexusService", "NexusTransport", "NexusTelemetry", "NexusCache", "NexusBench", "NexusControl",
      ],
      path: "Sources/NexusServer"),
    // Measures the store without a server around it: for bench/run.
    .executableTarget(
      name: "store-bench", dependencies: ["NexusModel", "NexusStore", "NexusBench"], path: "Benchmarks/StoreBench"),
    // Measures hits of a program that embeds the cache: for bench/run.
    .executableTarget(
      name: "embedded-bench", dependencies: ["NexusCache", "NexusBench"], path: "Benchmarks/EmbeddedBench"),
    // What a program that embeds the cache looks like; the tests run it.
    .executableTarget(name: "Scores", dependencies: ["NexusCache"], path: "Examples/Scores"),

    // Tests, and what they share.
    .target(name: "NexusTestSupport", dependencies: ["NexusModel"], path: "Tests/NexusTestSupport"),
    .testTarget(
      name: "IntegrationTests",
      dependencies: ["NexusTestSupport", "nexuscache", "NexusModel", "NexusService", "NexusTransport"]),
    .testTarget(name: "NexusBenchTests", dependencies: ["NexusBench"]),
    .testTarget(name: "NexusControlTests", dependencies: ["NexusControl", "NexusModel"]),
    .testTarget(name: "TidyTests", dependencies: ["NexusService"]),
    .testTarget(name: "OperatorTests", dependencies: ["NexusTestSupport", "nexuscache"]),
    .testTarget(
      name: "NexusCacheTests",
      dependencies: ["NexusCache", "NexusModel", "NexusService", "NexusTestSupport", "nexuscache", "Scores"]),
    .testTarget(
      name: "NexusClusterTests",
      dependencies: [
        "NexusCluster", "NexusModel", "NexusStore", "NexusReplication", "NexusService", "NexusWire", "NexusRedisDoor",
        "NexusTestSupport",
      ]),
    .testTarget(name: "NexusTelemetryTests", dependencies: ["NexusTelemetry", "NexusService"]),
    .testTarget(name: "NexusModelTests", dependencies: ["NexusModel"]),
    .testTarget(
      name: "NexusServiceTests", dependencies: ["NexusModel", "NexusStore", "NexusService", "NexusTestSupport"]),
    .testTarget(
      name: "NexusHTTPDoorTests",
      dependencies: ["NexusModel", "NexusStore", "NexusService", "NexusTelemetry", "NexusHTTPDoor"]),
    .testTarget(name: "NexusTransportTests", dependencies: ["NexusTransport", "NexusService", "NexusModel"]),
    .testTarget(
      name: "NexusRedisDoorTests",
      dependencies: [
        "NexusModel", "NexusStore", "NexusRESP", "NexusService", "NexusRedisDoor", "NexusTestSupport",
      ]),
    .testTarget(name: "NexusGossipTests", dependencies: ["NexusModel", "NexusGossip"]),
    .testTarget(name: "NexusSketchTests", dependencies: ["NexusSketch", "NexusModel", "NexusTestSupport"]),
    .testTarget(
      name: "NexusReplicationTests", dependencies: ["NexusModel", "NexusReplication", "NexusTestSupport"]),
    .testTarget(
      name: "NexusSimulationTests",
      dependencies: [
        "NexusModel", "NexusGossip", "NexusRing", "NexusService", "NexusSimulation", "NexusTestSupport",
      ]),
    .testTarget(name: "NexusRESPTests", dependencies: ["NexusRESP", "NexusModel", "NexusTestSupport"]),
    .testTarget(
      name: "NexusDiscoveryTests",
      dependencies: ["NexusDiscovery", "NexusService", "NexusModel", "NexusTransport", "NexusTestSupport"]),
    .testTarget(
      name: "NexusOriginsTests", dependencies: ["NexusOrigins", "NexusModel", "NexusService", "NexusTestSupport"]),
    .testTarget(name: "NexusWireTests", dependencies: ["NexusWire", "NexusModel", "NexusTestSupport"]),
    .testTarget(name: "NexusRingTests", dependencies: ["NexusRing", "NexusModel"]),
    .testTarget(name: "NexusStoreTests", dependencies: ["NexusStore", "NexusModel", "CIntrinsics"]),
  ],
  swiftLanguageModes: [.v6]
)
