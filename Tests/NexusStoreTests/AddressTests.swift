import Glibc
import Testing

@testable import NexusStore

/// Addresses cost no memory, but a process has only so many; under a sanitizer few.
@Suite struct AddressTests {
  /// Whether anything lies at this address.
  private func isMapped(_ address: UnsafeRawPointer) -> Bool {
    var residency: UInt8 = 0
    return mincore(UnsafeMutableRawPointer(mutating: address), 1, &residency) == 0
  }

  @Test func storesThatAreLetGoGiveTheirAddressesBack() throws {
    var addresses: [UnsafeRawPointer] = []
    weak var last: Store?
    try {
      let stores = try (0..<8).map { _ in try Plain(limitBytes: 64 << 20) }
      for store in stores {
        // A value in a page, one in a span, and a table in the middle of growing.
        for index in 0..<3000 { store.set(bytes("{slot}:\(index)"), bytes("value")) }
        store.set(bytes("large"), [UInt8](repeating: 1, count: 1 << 20))
      }
      addresses = stores.flatMap { [$0.store.pool.base, $0.store.spans.regions[0].baseAddress!] }.map { .init($0) }
      #expect(addresses.allSatisfy(isMapped))
      last = stores.last?.store
    }()
    #expect(last == nil)
    // Tests beside this one may have taken some of the addresses meanwhile, but never all.
    #expect(!addresses.allSatisfy(isMapped))
  }

  @Test func whereAReservationIsUsedUpTheNextOneIsMade() throws {
    let spans = try Spans(limitBytes: Store.limitBytesMin, ledger: Ledger(limitBytes: 1 << 30, outside: .init()))
    let bytes = (512 << 20) + 4096
    let taken = (0..<3).compactMap { _ in spans.allocate(bytes, as: 1) }
    #expect(taken.count == 3)
    #expect(spans.regions.count == 3)
    for (index, span) in taken.enumerated() {
      for offset in [0, bytes - 1] {
        #expect(span.load(fromByteOffset: offset, as: UInt8.self) == 0)
        span.storeBytes(of: UInt8(index + 1), toByteOffset: offset, as: UInt8.self)
      }
    }
    for (index, span) in taken.enumerated() {
      #expect(span.load(fromByteOffset: bytes - 1, as: UInt8.self) == UInt8(index + 1))
      spans.free(span, bytes, as: 1)
    }
    let again = try #require(spans.allocate(bytes, as: 1))
    #expect(again == taken[2])
    #expect(again.load(fromByteOffset: 0, as: UInt8.self) == 0, "what was freed comes back as zeros")
    #expect(spans.regions.count == 3)
  }
}
