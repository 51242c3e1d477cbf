import NexusService
import Synchronization

/// A fixed table: for tests, demonstrations, and values that change with the configuration only.
final class FixedOrigin: Origin {
  let name: String
  private let table: [[UInt8]: [UInt8]]
  private let loads = Atomic<Int>(0)

  init(name: String, _ table: [[UInt8]: [UInt8]]) {
    self.name = name
    self.table = table
  }

  var canStore: Bool { false }

  func load(_ request: OriginRequest, done: @escaping @Sendable (OriginAnswer) -> Void) {
    loads.add(1, ordering: .relaxed)
    done(table[request.key].map { .value(OriginValue($0)) } ?? .absent(.unspecified))
  }

  func store(_ write: OriginWrite, done: @escaping @Sendable (Result<Void, OriginError>) -> Void) {
    done(.failure(OriginError(origin: name, .cannotStore("a static table does not change"))))
  }

  var figures: OriginFigures {
    var figures = OriginFigures()
    figures.loads = loads.load(ordering: .relaxed)
    figures.attempts = figures.loads
    return figures
  }

  func stop() {}
}
