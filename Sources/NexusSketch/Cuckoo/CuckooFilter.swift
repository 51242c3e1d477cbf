/// A filter as a value of its own: which items are in a set, with some false positives and no false negatives, in a
/// few bits an item. It can stand before an origin and spare it questions about what does not exist.
public struct CuckooFilter: Equatable, Sendable {
  /// What a `CuckooFilterView` works on, and another member takes over.
  public private(set) var bytes: [UInt8]

  /// Different seeds make filters whose false positives have nothing to do with one another.
  public init(_ plan: CuckooFilterPlan, seed: UInt64 = 0) {
    bytes = [UInt8](repeating: 0, count: plan.byteCount)
    bytes.withUnsafeMutableBytes { _ = CuckooFilterView(plan, seed: seed, in: $0) }
  }

  /// A seed that follows from a name.
  public static func seed(for name: UnsafeRawBufferPointer) -> UInt64 { CuckooItem(name, seed: 0).hash }

  /// Nil where the bytes are no filter of this version.
  public init?(bytes: [UInt8]) {
    guard bytes.withUnsafeBytes({ CuckooFilterView(reading: $0) != nil }) else { return nil }
    self.bytes = bytes
  }

  /// The filter, to ask.
  public func reading<Result>(_ body: (CuckooFilterView) -> Result) -> Result {
    bytes.withUnsafeBytes { body(CuckooFilterView(reading: $0)!) }
  }

  public func contains(_ item: UnsafeRawBufferPointer) -> Bool { reading { $0.contains(item) } }
  public func count(of item: UnsafeRawBufferPointer) -> Int { reading { $0.count(of: item) } }

  /// Grows where it has to; false where the filter is full.
  public mutating func add(_ item: UnsafeRawBufferPointer) -> Bool {
    while true {
      switch change({ $0.add(item) }) {
      case .added: return true
      case .full: return false
      case .needsBytes(let count):
        let former = bytes.count
        bytes.append(contentsOf: repeatElement(0, count: count - former))
        let hasGrown = bytes.withUnsafeMutableBytes { CuckooFilterView.grow($0, from: former) }
        precondition(hasGrown, "a filter grows by as many bytes as it has asked for")
      }
    }
  }

  /// False where the item is not in the filter.
  public mutating func remove(_ item: UnsafeRawBufferPointer) -> Bool { change { $0.remove(item) } }

  private mutating func change<Result>(_ body: (CuckooFilterView) -> Result) -> Result {
    bytes.withUnsafeMutableBytes { body(CuckooFilterView($0)!) }
  }
}
