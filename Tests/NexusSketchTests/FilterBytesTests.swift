import NexusTestSupport
import Testing

@testable import NexusSketch

@Suite("A filter's bytes")
struct FilterBytesTests {
  /// As the store holds it: at an odd address, enlarged from outside, and with something on both sides of it.
  private final class Value {
    private(set) var memory: [UInt8] = []
    private var count: Int

    init(_ plan: CuckooFilterPlan, seed: UInt64) {
      count = plan.byteCount
      memory = Self.guarded([UInt8](repeating: 0, count: count))
      memory.withUnsafeMutableBytes { _ = CuckooFilterView(plan, seed: seed, in: inner($0)) }
    }

    var bytes: [UInt8] { Array(memory[9..<9 + count]) }
    var isUnharmed: Bool { (memory.prefix(9) + memory.dropFirst(9 + count)).allSatisfy { $0 == 0xA5 } }

    private static func guarded(_ bytes: [UInt8]) -> [UInt8] {
      [UInt8](repeating: 0xA5, count: 9) + bytes + [UInt8](repeating: 0xA5, count: 16)
    }

    private func inner(_ bytes: UnsafeMutableRawBufferPointer) -> UnsafeMutableRawBufferPointer {
      UnsafeMutableRawBufferPointer(rebasing: bytes[9..<9 + count])
    }

    func change<Result>(_ body: (CuckooFilterView) -> Result) -> Result {
      memory.withUnsafeMutableBytes { body(CuckooFilterView(inner($0))!) }
    }

    func add(_ item: Int) -> Bool {
      switch withBytes(item, { item in change { $0.add(item) } }) {
      case .added: return true
      case .full: return false
      case .needsBytes(let needed):
        let former = count
        memory = Self.guarded(bytes + [UInt8](repeating: 0, count: needed - former))
        count = needed
        #expect(memory.withUnsafeMutableBytes { CuckooFilterView.grow(inner($0), from: former) })
        return add(item)
      }
    }
  }

  @Test("are the same in the store and as a value of its own, after the same changes")
  func equalForms() {
    let seed = Dice.seed()
    for plan in [CuckooFilterPlan.of(30, rate: 0.02), .of(200, rate: 0.001, slots: 3), .of(500, rate: 0.01)] {
      var dice = Dice(seed: seed)
      let owned = Filter(plan, seed: 77)
      let value = Value(plan, seed: 77)
      for step in 0..<3000 {
        let item = dice.below(plan.capacity * 6)
        if dice.chance(70) {
          #expect(owned.add(item) == value.add(item))
        } else {
          #expect(owned.remove(item) == withBytes(item) { item in value.change { $0.remove(item) } })
        }
        guard step % 100 == 0 else { continue }
        #expect(owned.bytes == value.bytes, "step \(step), NEXUS_SEED=\(seed)")
      }
      #expect(value.isUnharmed && owned.layerCount > 1)
      // Whoever is sent the bytes has the filter.
      let received = Filter(bytes: value.bytes)!
      #expect(received.bytes == owned.bytes)
      for item in 0..<plan.capacity * 6 { #expect(received.contains(item) == owned.contains(item)) }
      #expect(received.add(-5) == owned.add(-5) && received.bytes == owned.bytes)
    }
  }

  @Test("are laid out as the page says, on every machine and in every version")
  func golden() {
    let filter = Filter(.of(8, rate: 0.1, expansion: 1), seed: 0x0102_0304_0506_0708)
    for item in 0..<9 { #expect(filter.add(item)) }
    #expect(filter.remove(3))
    let text = filter.bytes.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
    #expect(text == Self.goldenBytes)
  }

  private static let goldenBytes =
    "4e58434601040200f4010100190000009a9999999999b93f080706050403020101000000000000000600000008000000"
    + "070000000500000080010000004e02402a0083010000000000000000000000000600000008000000010000000a000000"
    + "00000000008b00000000000000000000000000000000000000000000000000000000000000000000"

  @Test("that are no filter are refused, and changed ones are never read or written beyond")
  func malformed() {
    #expect(Filter(bytes: []) == nil)
    let plan = CuckooFilterPlan.of(20, rate: 0.01, expansion: 1)
    let good = plan.filter(0..<50).bytes
    for count in 0..<good.count { #expect(Filter(bytes: Array(good.prefix(count))) == nil, "\(count) bytes") }
    #expect(Filter(bytes: good + [0]) == nil)
    let seed = Dice.seed()
    var dice = Dice(seed: seed)
    var accepted = 0
    for _ in 0..<4000 {
      var bytes = good
      for _ in 0...dice.below(3) {
        bytes[dice.chance(60) ? dice.below(60) : dice.below(bytes.count)] = UInt8(dice.below(256))
      }
      guard let filter = Filter(bytes: bytes) else { continue }
      accepted += 1
      for item in 40..<60 { _ = (filter.contains(item), filter.count(of: item)) }
      _ = (filter.remove(dice.below(50)), filter.add(dice.below(100)), filter.itemCount + filter.capacity)
    }
    #expect(accepted > 100, "NEXUS_SEED=\(seed)")
  }
}
