import Glibc
import NexusModel
import Testing

@testable import NexusStore

/// Real request sequences: `TRACES=DIR swift test -c release -Xswiftc -enable-testing --filter EvictionTraceTests`.
@Suite struct EvictionTraceTests {
  static let directory = getenv("TRACES").map { String(cString: $0) }
  static let names = ["scarab-recs", "arc-oltp", "orm-busy", "arc-p6-extents"]

  struct Trace {
    var numbers: [Int32] = []
    var sizes: [Int32] = []
    var objects = 0
    var bytes = 0

    /// Lines of `number` or `number size`, numbered from 0 by first appearance.
    init?(_ name: String) {
      let file = "\(EvictionTraceTests.directory ?? "")/\(name).txt.xz"
      guard access(file, R_OK) == 0, let pipe = popen("xz -dc '\(file)'", "r") else { return nil }
      defer { pclose(pipe) }
      var line = [CChar](repeating: 0, count: 64)
      while fgets(&line, 64, pipe) != nil {
        let fields = line.split(separator: 10)[0].prefix { $0 != 0 }.split(separator: 32)
        let number = Self.integer(fields[0])
        let size = fields.count > 1 ? Self.integer(fields[1]) : 1
        if number >= objects {
          objects = number + 1
          bytes += size
        }
        numbers.append(Int32(number))
        sizes.append(Int32(size))
      }
    }

    private static func integer(_ digits: ArraySlice<CChar>) -> Int { digits.reduce(0) { $0 * 10 + Int($1) - 48 } }

    func missRatio(_ name: EvictionPolicyName, limit: Int, bySize: Bool = false, lanes: Int = 1) -> Double {
      var cache = FakeCache(name, objects: objects, limit: limit, lanes: lanes)
      defer { cache.release() }
      for index in numbers.indices {
        cache.request(Int(numbers[index]), bytes: bySize ? Int(sizes[index]) : 1)
      }
      return Double(cache.misses) / Double(numbers.count)
    }
  }

  func show(_ ratio: Double) -> String {
    let digits = String(Int((ratio * 10_000).rounded()))
    return ratio < 1
      ? "0." + String(repeating: "0", count: 4 - digits.count) + digits : "\(digits.dropLast(4)).\(digits.suffix(4))"
  }

  @Test func s3fifoMissesLessThanLRUOnRealTraces() throws {
    guard Self.directory != nil else { return print("TRACES names no directory: trace replay skipped") }
    var logarithms = 0.0
    var cells = 0.0
    print("trace objects  LRU  s3fifo (ratio)  size-aware  random")
    for name in Self.names {
      let trace = try #require(Trace(name))
      for share in [0.001, 0.01, 0.1] {
        let limit = Int((Double(trace.objects) * share).rounded())
        let lru = trace.missRatio(.lru, limit: limit)
        let tuned = trace.missRatio(.s3fifo, limit: limit)
        let sized = trace.missRatio(.sizeAware, limit: limit)
        let random = trace.missRatio(.random, limit: limit)
        print(name, limit, show(lru), show(tuned), "(\(show(tuned / lru)))", show(sized), show(random))
        guard limit >= 64 else { continue }
        #expect(tuned <= 1.04 * lru, "\(name) at \(limit) objects")
        logarithms += log(tuned / lru)
        cells += 1
      }
    }
    print("geometric mean of s3fifo / LRU:", show(exp(logarithms / cells)))
    #expect(exp(logarithms / cells) <= 0.94)
  }

  @Test func sizeAwareMissesMuchLessThanLRUAtEqualBytes() throws {
    guard Self.directory != nil else { return print("TRACES names no directory: trace replay skipped") }
    let trace = try #require(Trace("arc-p6-extents"))
    for share in [0.001, 0.01, 0.1] {
      let limit = Int((Double(trace.bytes) * share).rounded())
      let lru = trace.missRatio(.lru, limit: limit, bySize: true)
      let tuned = trace.missRatio(.s3fifo, limit: limit, bySize: true)
      let sized = trace.missRatio(.sizeAware, limit: limit, bySize: true)
      print(
        "arc-p6-extents", limit, "B: LRU", show(lru), "s3fifo", show(tuned), "size-aware", show(sized),
        "(\(show(sized / lru)))")
      if share >= 0.01 { #expect(sized <= 0.85 * lru, "\(limit) bytes") }
    }
  }

  @Test func lanesCostLittle() throws {
    guard Self.directory != nil else { return print("TRACES names no directory: trace replay skipped") }
    var logarithms = 0.0
    var cells = 0.0
    for name in Self.names {
      let trace = try #require(Trace(name))
      for share in [0.01, 0.1] {
        let limit = Int((Double(trace.objects) * share).rounded())
        let lanes = min(64, limit / 64)
        let lru = trace.missRatio(.lru, limit: limit)
        let lanedLRU = trace.missRatio(.lru, limit: limit, lanes: lanes)
        let tuned = trace.missRatio(.s3fifo, limit: limit, lanes: lanes)
        print(name, limit, "in \(lanes) lanes: lru", show(lanedLRU / lru), "s3fifo", show(tuned / lru), "of exact LRU")
        #expect(lanedLRU <= 1.01 * lru)
        #expect(tuned <= 1.04 * lru)
        logarithms += log(tuned / lru)
        cells += 1
      }
    }
    print("geometric mean of s3fifo in lanes / LRU:", show(exp(logarithms / cells)))
    #expect(exp(logarithms / cells) <= 0.94)
  }

  @Test func lruMissesExactlyAsOftenAsTheReference() throws {
    guard Self.directory != nil else { return print("TRACES names no directory: trace replay skipped") }
    let reference = [
      "scarab-recs": ["0.8174", "0.6529", "0.3940"], "arc-oltp": ["0.8623", "0.5836", "0.3348"],
      "orm-busy": ["0.4981", "0.2297", "0.1199"], "arc-p6-extents": ["0.9975", "0.9939", "0.4166"],
    ]
    for name in Self.names {
      let trace = try #require(Trace(name))
      for (share, expected) in zip([0.001, 0.01, 0.1], reference[name] ?? []) {
        let limit = Int((Double(trace.objects) * share).rounded())
        #expect(show(trace.missRatio(.lru, limit: limit)) == expected, "\(name) at \(limit) objects")
      }
    }
  }
}
