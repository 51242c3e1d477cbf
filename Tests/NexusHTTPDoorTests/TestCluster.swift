import Glibc
import NexusModel
import NexusService
import NexusStore
import Synchronization

@testable import NexusHTTPDoor

/// Nodes in one process, each with its HTTP door on a loop of its own; their routers carry operations to each other.
///
/// Invariant: a node's executor is used on its loop's thread only.
final class TestCluster: @unchecked Sendable {
  let servers: [TestServer]
  private let executors: [HTTPExecutor]
  /// Who executes each slot; -1 for nobody.
  private let owners = Guarded<[Int]>([])
  /// What a failing network makes of the next operations; nil lets them through.
  let failure = Guarded<OperationFailure?>(nil)
  /// What becomes of writes that wait for copies; nil: they get them.
  let shortfall = Guarded<ReplicaShortfall?>(nil)
  /// What the last one waited for.
  let lastLevel = Guarded<Acknowledgement?>(nil)
  private let held = Guarded<(isHolding: Bool, letters: [Letter])>((false, []))
  /// Operations that came to a node which did not execute their slots, and those that waited for a key.
  private let redirections = Atomic<Int>(0)
  private let fetches = Atomic<Int>(0)
  var redirectionsCount: Int { redirections.load(ordering: .relaxed) }
  var fetchesCount: Int { fetches.load(ordering: .relaxed) }

  /// An operation on its way, with what it points to.
  struct Letter: Sendable {
    let from: Int
    let kind: Operation.Kind
    let flags: Operation.Flags
    let database: UInt16
    let slot: Slot
    let words: [[UInt8]]
    let ticket: UInt64
    /// This member, whatever it executes.
    var to: Int?
  }

  init(_ count: Int, _ change: @escaping (inout HTTPConfiguration) -> Void = { _ in }) throws {
    var servers: [TestServer] = []
    for index in 0..<count {
      servers.append(
        try TestServer(change) { node in
          node.routes.becomeClustered()
          node.cluster = TestFace(count, index)
          node.replicators = [TestReplicator()]
        })
    }
    self.servers = servers
    executors = servers.map { HTTPExecutor(node: $0.node, loop: $0.loop, seed: 1) }
    owners.withLock { $0 = (0..<Slot.count).map { $0 * count / Slot.count } }
    for (index, server) in servers.enumerated() { server.node.routers = [TestRouter(self, index)] }
    for slot in 0..<Slot.count { publish(slot) }
  }

  func stop() {
    // In its loops' order: what is under way is answered before the last one ends.
    for server in servers { server.stop() }
    for server in servers { server.node.routers = [] }
  }

  func owner(of key: String) -> Int {
    let slot = Int(Array(key.utf8).withUnsafeBytes { Slot(of: $0) }.index)
    return owners.withLock { $0[slot] }
  }
  func slot(of key: String) -> Slot { Array(key.utf8).withUnsafeBytes { Slot(of: $0) } }

  private func publish(_ slot: Int) {
    let owner = owners.withLock { $0[slot] }
    for (index, server) in servers.enumerated() {
      let route: SlotRoute = owner < 0 ? .nowhere : owner == index ? .here : .member(MemberNumber(owner))
      server.node.routes.set(Slot(index: UInt16(slot)), route)
    }
  }

  /// Moves a slot and the entries in it. `telling`: whether the nodes that are not concerned learn of it at once.
  func move(_ slot: Slot, to target: Int, telling: Bool) {
    let source = owners.withLock { owners in
      defer { owners[Int(slot.index)] = target }
      return owners[Int(slot.index)]
    }
    guard source != target else { return }
    servers[source].node.routes.set(slot, .member(MemberNumber(target)))
    var entries: [(key: [UInt8], value: [UInt8])] = []
    let store = servers[source].node.store
    store.visit(slot: slot.index, in: 0, as: 9, now: servers[source].loop.now) { entry in
      entries.append((Array(entry.keyBytes), Array(entry.value)))
    }
    let now = servers[source].loop.now
    for entry in entries {
      entry.key.withUnsafeBytes { bytes in
        let new = servers[target].node.store
        let key = new.key(bytes, in: 0)
        var taken = new.lock(key, as: 9)
        _ = entry.value.withUnsafeBytes { new.put(key, over: new.find(key, now: now, touch: false), $0, .none) }
        new.unlock(key, taken)
        let old = store.key(bytes, in: 0)
        taken = store.lock(old, as: 9)
        if let found = store.find(old, now: now, touch: false) { store.remove(old, found) }
        store.unlock(old, taken)
      }
    }
    servers[target].node.routes.set(slot, .here)
    if telling { publish(Int(slot.index)) }
  }

  /// From now on operations are kept back until `release`.
  func hold() { held.withLock { $0.isHolding = true } }
  var heldCount: Int { held.withLock { $0.letters.count } }
  func release() {
    let letters = held.withLock { held in
      defer { held = (false, []) }
      return held.letters
    }
    for letter in letters { carry(letter) }
  }

  func take(_ letter: Letter) {
    let isKept = held.withLock { held in
      if held.isHolding { held.letters.append(letter) }
      return held.isHolding
    }
    if !isKept { carry(letter) }
  }

  private func carry(_ letter: Letter) {
    if let failure = failure.withLock({ $0 }) { return answer(letter, .failure(failure)) }
    if let to = letter.to { return servers[to].loop.post { [self] in execute(letter, on: to) } }
    let owner = owners.withLock { $0[Int(letter.slot.index)] }
    // As this node sees it, which may be a moment old.
    let seen = servers[letter.from].node.routes[letter.slot].member.map { Int($0) } ?? owner
    guard seen >= 0, owner >= 0 else { return answer(letter, .failure(.noOwner(letter.slot))) }
    servers[seen].loop.post { [self] in execute(letter, on: seen) }
  }

  private func execute(_ letter: Letter, on index: Int) {
    var out: [UInt8] = []
    let outcome = Self.run(letter, executors[index], &out)
    switch outcome {
    case .replied: answer(letter, .success(out))
    case .held(_, let hold):
      let level = servers[index].replicator.levels[hold.number]
      lastLevel.withLock { $0 = level }
      let shortfall = shortfall.withLock { $0 }
      answer(letter, shortfall.map { .failure(.tooFewCopies($0.sentence)) } ?? .success(out))
    case .notHere:
      redirections.wrappingAdd(1, ordering: .relaxed)
      let owner = owners.withLock { $0[Int(letter.slot.index)] }
      servers[owner].loop.post { [self] in execute(letter, on: owner) }
    case .filling: preconditionFailure("nothing is filled here")
    case .keysMissing:
      fetches.wrappingAdd(1, ordering: .relaxed)
      letter.words[1].withUnsafeBytes { bytes in
        let store = servers[index].node.store
        let key = store.key(bytes, in: NamespaceNumber(letter.database))
        let taken = store.lock(key, as: 9)
        servers[index].node.incoming.settle(key)
        store.unlock(key, taken)
      }
      servers[index].loop.post { [self] in execute(letter, on: index) }
    }
  }

  static func run(_ letter: Letter, _ executor: HTTPExecutor, _ reply: inout [UInt8]) -> OperationOutcome {
    var arguments: [Argument] = []
    var bytes = OutputBuffer(capacity: letter.words.reduce(64) { $0 + $1.count })
    defer { bytes.deallocate() }
    for word in letter.words {
      arguments.append(Argument(base: bytes.base + bytes.count, count: word.count))
      word.withUnsafeBytes { bytes.append($0) }
    }
    return arguments.withUnsafeBufferPointer { arguments in
      var operation = Operation(
        kind: letter.kind, flags: letter.flags, database: letter.database, protocolVersion: 2, slot: letter.slot,
        arguments: arguments)
      var outcome = OperationOutcome.notHere
      var batch = OperationBatch(
        operations: &operation, outcomes: &outcome, count: 1, out: OutputBuffer(capacity: 64))
      defer { batch.out.deallocate() }
      withUnsafePointer(to: &operation) { operations in
        withUnsafeMutablePointer(to: &outcome) { outcomes in
          var whole = OperationBatch(operations: operations, outcomes: outcomes, count: 1, out: batch.out)
          executor.execute(&whole, for: MemberNumber(letter.from))
          batch.out = whole.out
        }
      }
      reply = Array(batch.out.bytes)
      return outcome
    }
  }

  private func answer(_ letter: Letter, _ result: Result<[UInt8], OperationFailure>) {
    let server = servers[letter.from]
    server.loop.post {
      switch result {
      case .success(let bytes): bytes.withUnsafeBytes { server.door.replied(letter.ticket, .payload($0)) }
      case .failure(let failure): server.door.replied(letter.ticket, .failed(failure))
      }
      server.door.repliesEnded()
    }
  }
}

/// Two of three members that could have copies live; who waits for them is the cluster's affair.
final class TestReplicator: Replicator {
  var configuredCopies: Int { 3 }
  private(set) var levels: [UInt64: Acknowledgement] = [:]

  func liveCopies(of slot: UInt16) -> Int { 2 }
  func beginWork() {}
  var hasWritten: Bool { true }
  func beginRecord() {}
  var hasRecord: Bool { false }
  func takeRecord(into record: inout WriteRecord) {}
  func hold(_ acknowledgement: Acknowledgement) -> ReplicaHold {
    let hold = ReplicaHold(number: UInt64(levels.count))
    levels[hold.number] = acknowledgement
    return hold
  }
  func notify(_ waiter: any ReplicaWaiter, _ ticket: UInt64, of hold: ReplicaHold, timeoutMilliseconds: Int) {}
  func count(
    _ record: WriteRecord, enough: Int, timeoutMilliseconds: Int, for waiter: any ReplicaWaiter, ticket: UInt64
  ) {}
}

extension TestServer {
  var replicator: TestReplicator { node.replicators[0] as! TestReplicator }
  func setAcknowledgement(_ level: Acknowledgement) {
    var settings = node.store.settings(of: 0)!
    settings.acknowledgement = level
    node.store.configure(0, settings, as: 8)
  }
}

/// The way out of one node.
final class TestRouter: OperationRouter {
  private let cluster: TestCluster
  private let index: Int

  init(_ cluster: TestCluster, _ index: Int) {
    self.cluster = cluster
    self.index = index
  }

  func route(
    _ operation: Operation, for requester: any OperationRequester, ticket: UInt64
  ) -> MemberNumber? {
    cluster.take(letter(operation, ticket))
    return nil
  }

  func ask(_ member: MemberNumber, _ operation: Operation, for requester: any OperationRequester, ticket: UInt64) {
    var letter = letter(operation, ticket)
    letter.to = Int(member)
    cluster.take(letter)
  }

  private func letter(_ operation: Operation, _ ticket: UInt64) -> TestCluster.Letter {
    TestCluster.Letter(
      from: index, kind: operation.kind, flags: operation.flags, database: operation.database, slot: operation.slot,
      words: operation.arguments.map { Array($0.bytes) }, ticket: ticket)
  }
}

/// A cluster of members `node-0`, `node-1`, ... with equal shares.
final class TestFace: ClusterFace {
  let myself: MemberID
  private let shown: Guarded<ClusterPicture>
  let joined = Guarded<[String]>([])
  let shownReplication = Guarded<ReplicationReport?>(nil)
  var replication: ReplicationReport? { shownReplication.withLock { $0 } }
  let hasLeft = Atomic<Bool>(false)

  init(_ count: Int, _ index: Int) {
    myself = MemberID("node-\(index)")!
    var picture = ClusterPicture()
    picture.clusterName = "test"
    picture.version = PlacementVersion(digest: 0xAB)
    picture.members = (0..<count).map { number in
      let member = Member(
        id: MemberID("node-\(number)")!, host: "127.0.0.1", peerPort: 7946 + UInt16(number),
        redisPort: 6379 + UInt16(number), httpPort: 8080 + UInt16(number), zone: "z\(number)", version: "1.0")
      return ClusterPicture.Seen(
        number: MemberNumber(number), record: MemberRecord(member: member, incarnation: 3, status: .alive),
        slotCount: Slot.count / count)
    }
    picture.places = (0..<Slot.count).map { MemberNumber($0 * count / Slot.count) }
    shown = Guarded(picture)
  }

  var picture: ClusterPicture { shown.withLock { $0 } }
  func change(_ body: (inout ClusterPicture) -> Void) { shown.withLock { body(&$0) } }
  func join(_ addresses: [String]) throws(ClusterRefusal) {
    if addresses.contains("127.0.0.1:7946") { throw ClusterRefusal("127.0.0.1:7946 is this node itself") }
    joined.withLock { $0 += addresses }
  }
  func leave() { hasLeft.store(true, ordering: .relaxed) }
}
