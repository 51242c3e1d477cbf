import NexusModel
import NexusService
import NexusTestSupport

/// A client that alone changes one key, one request after the other, and so knows what every answer must be.
final class HandoverClient {
  let key: String
  let slot: Slot
  let verbs: [(weight: Int, Request.Verb)]
  /// Values that the key may have. Nil: any, since a node crashed that alone knew it.
  private(set) var possible: Set<Cell?>? = [nil]
  var current: Request?
  /// A node crashed meanwhile: whatever it answers may be lost again.
  private var isTainted = false
  private(set) var failures = 0
  private(set) var finishedCount = 0
  var isStopped = false
  /// False where the cluster was torn: values may be old, and only what is at rest is judged.
  var judges = true
  var onEnd: () -> Void = {}

  init(key: String, verbs: [(weight: Int, Request.Verb)]) {
    self.key = key
    self.verbs = verbs
    let bytes = Array(key.utf8)
    slot = bytes.withUnsafeBytes { Slot(of: $0) }
  }

  private func after(_ request: Request, _ old: Cell?) -> Cell? {
    switch request.verb {
    case .get: old
    case .set: Cell(write: request.number, count: 0)
    case .increment: Cell(write: request.number, count: (old?.count ?? 0) + 1)
    case .delete: nil
    }
  }

  /// What is wrong with the answer, if anything.
  func finished(_ request: Request, _ cell: Cell?) -> String? {
    finishedCount += 1
    let known = possible
    possible = isTainted ? nil : [cell]
    isTainted = false
    current = nil
    guard let known, judges, !known.contains(where: { after(request, $0) == cell }) else { return nil }
    return "\(request.verb) \(key) (slot \(slot.index), request \(request.number) by n\(request.origin)) gave "
      + "\(cell.map { "\($0)" } ?? "nothing"); possible were \(known)"
  }

  /// It may have run, or not; it does not run any more.
  func failed(_ request: Request) {
    failures += 1
    if let before = possible { possible = before.union(before.map { after(request, $0) }) }
    if isTainted { possible = nil }
    isTainted = false
    current = nil
  }

  /// What only that node knew may be lost, and older copies may come to light.
  func noteCrash(of node: HandoverNode, others: [HandoverNode]) {
    if current != nil { isTainted = true }
    guard let before = possible else { return }
    let isConcerned = node.executes(slot) || node.held[slot] != nil
    let isSafe = before.allSatisfy { value in
      guard let value else { return !isConcerned }
      return others.contains { $0.store[slot]?[key] == value }
    }
    if !isSafe { possible = nil }
  }
}

/// All requests of all clients, and what is wrong.
final class RequestBook {
  static let patienceMilliseconds: UInt64 = 2000

  var clients: [HandoverClient] = []
  private(set) var problems: [String] = []
  private var open: [Int: HandoverClient] = [:]
  private var count = 0

  var failures: Int { clients.reduce(0) { $0 + $1.failures } }
  var finished: Int { clients.reduce(0) { $0 + $1.finishedCount } }
  /// Clients that know what their key must be.
  var certain: Int { clients.count { $0.possible != nil } }

  func problem(_ text: String) { if problems.count < 10 { problems.append(text) } }

  func begin(_ client: HandoverClient, origin: Int, _ now: UInt64, _ dice: inout Dice) -> Request {
    count += 1
    let request = Request(
      number: count, verb: dice.pick(client.verbs), key: client.key, slot: client.slot, origin: origin,
      deadline: now + Self.patienceMilliseconds)
    client.current = request
    open[count] = client
    return request
  }

  /// Answered, or too late to run.
  func isOver(_ request: Request, _ now: UInt64) -> Bool { open[request.number] == nil || now >= request.deadline }

  func finish(_ request: Request, _ cell: Cell?) {
    guard let client = open.removeValue(forKey: request.number) else { return }
    if let wrong = client.finished(request, cell) { problem(wrong) }
    client.onEnd()
  }

  func fail(_ request: Request) {
    guard let client = open.removeValue(forKey: request.number) else { return }
    client.failed(request)
    client.onEnd()
  }
}
