import NexusModel
import NexusService
import NexusStore
import NexusTestSupport

@testable import NexusRedisDoor

/// Several nodes in one process, whose routers hand operations to each other's executors in an order that the dice
/// choose: replies of different slots overtake each other, those of one slot do not.
final class FakeCluster {
  private(set) var nodes: [FakeNode] = []
  var dice: Dice
  /// Who executes each slot, by the number of the node; -1 for nobody.
  private(set) var owners: [Int]
  /// Operations that have been given away and not been answered, oldest first.
  var underWay: [Letter] = []
  /// What a failing network makes of an operation; nil lets it through.
  var failure: (Letter) -> OperationFailure? = { _ in nil }
  /// Letters that came to a node which did not execute their slots.
  private(set) var redirections = 0
  private(set) var delivered = 0
  /// So many letters there have been.
  var given = 0
  var losses: UInt32 = 0
  private let isReplicated: Bool
  /// Replies to writes that wait for copies, by tickets of their own.
  private var heldReplies: [UInt64: (letter: Letter, reply: [UInt8])] = [:]
  private var lastHeld: UInt64 = 0
  /// Requesters are not told that there are no more replies for now.
  var answersWithoutEnd = false

  /// An operation on its way, with what it points to.
  final class Letter {
    /// In the order of giving away.
    let number: Int
    let from: Int
    let loop: Int
    let to: MemberNumber?
    let kind: Operation.Kind
    let flags: Operation.Flags
    let database: UInt16
    let protocolVersion: UInt8
    let slot: Slot
    let words: [[UInt8]]
    let ticket: UInt64
    let requester: any OperationRequester

    init(
      _ number: Int, _ operation: Operation, from: Int, loop: Int, to: MemberNumber?, ticket: UInt64,
      requester: any OperationRequester
    ) {
      self.number = number
      self.from = from
      self.loop = loop
      self.to = to
      kind = operation.kind
      flags = operation.flags
      database = operation.database
      protocolVersion = operation.protocolVersion
      slot = operation.slot
      words = operation.arguments.map { Array($0.bytes) }
      self.ticket = ticket
      self.requester = requester
    }

    /// Operations of one slot from one requester keep their order.
    func mayNotOvertake(_ other: Letter) -> Bool {
      guard from == other.from, loop == other.loop else { return false }
      return to != nil || other.to != nil ? to == other.to : slots.contains { other.slots.contains($0) }
    }

    /// Every slot that one of the words might name: several keys of a scattered command travel together.
    lazy var slots: Set<UInt16> =
      flags.contains(.severalSlots)
      ? Set(words.map { $0.withUnsafeBytes { Slot(of: $0).index } }) : [slot.index]
  }

  init(_ count: Int, loops: Int = 1, seed: UInt64 = 1, isReplicated: Bool = false) {
    self.isReplicated = isReplicated
    dice = Dice(seed: seed)
    owners = (0..<Slot.count).map { $0 * count / Slot.count }
    let faces = (0..<count).map { FakeFace(count, $0) }
    for index in 0..<count {
      let node = FakeNode(loops: loops) { node, loops in
        node.routes.becomeClustered()
        node.cluster = faces[index]
        node.routers = loops.map { FakeRouter(self, node: index, loop: $0.index) }
        if isReplicated { node.replicators = loops.map { _ in FakeReplicator() } }
      }
      nodes.append(node)
      node.settleEverything = { [weak self] in self?.settle() }
    }
    for slot in 0..<Slot.count { publish(slot) }
  }

  private func publish(_ slot: Int) {
    for (index, node) in nodes.enumerated() {
      let owner = owners[slot]
      let route: SlotRoute = owner < 0 ? .nowhere : owner == index ? .here : .member(MemberNumber(owner))
      node.node.routes.set(Slot(index: UInt16(slot)), route)
    }
  }

  func replicator(_ index: Int, loop: Int = 0) -> FakeReplicator {
    nodes[index].node.replicators[loop] as! FakeReplicator
  }

  /// Everything runs; then what the client has got since it was last looked.
  func settled(_ client: FakeClient) -> String {
    settle()
    return client.take()
  }

  func connect(to index: Int, loop: Int = 0) -> FakeClient {
    var client = nodes[index].connect(loop: loop)
    client.whole = self
    return client
  }

  /// A node that does not own the key, and one that does.
  func owner(of key: String) -> Int { owners[slot(of: key)] }
  func stranger(to key: String) -> Int { (owner(of: key) + 1) % nodes.count }
  func slot(of key: String) -> Int { Int(Array(key.utf8).withUnsafeBytes { Slot(of: $0) }.index) }

  /// Moves a slot with all that is in it. `telling` says whether the other nodes learn of it at once.
  func move(_ slot: Int, to target: Int, telling: Bool = true) {
    let source = owners[slot]
    guard source != target else { return }
    owners[slot] = target
    if source >= 0, target >= 0 {
      for namespace in 0..<16 { copy(slot, NamespaceNumber(namespace), from: nodes[source], to: nodes[target]) }
    }
    if telling {
      publish(slot)
    } else {
      if target >= 0 { nodes[target].node.routes.set(Slot(index: UInt16(slot)), .here) }
      if source >= 0 { nodes[source].node.routes.set(Slot(index: UInt16(slot)), .member(MemberNumber(max(target, 0)))) }
    }
  }

  private func copy(_ slot: Int, _ namespace: NamespaceNumber, from: FakeNode, to: FakeNode) {
    let (store, target) = (from.node.store, to.node.store)
    let now = from.loops[0].now
    var entries: [(key: [UInt8], value: [UInt8], expiresAt: UnixMilliseconds, type: ValueType)] = []
    store.visit(slot: UInt16(slot), in: namespace, as: 9, now: now) { entry in
      entries.append((Array(entry.keyBytes), Array(entry.value), entry.expiresAt, entry.type))
    }
    for entry in entries {
      entry.key.withUnsafeBytes { bytes in
        put(entry.value, entry.expiresAt, entry.type, target.key(bytes, in: namespace), target, now)
        let key = store.key(bytes, in: namespace)
        let taken = store.lock(key, as: 9)
        if let old = store.find(key, now: now, touch: false) { store.remove(key, old) }
        store.unlock(key, taken)
      }
    }
  }

  private func put(
    _ value: [UInt8], _ expiresAt: UnixMilliseconds, _ type: ValueType, _ key: Key, _ store: Store,
    _ now: UnixMilliseconds
  ) {
    let taken = store.lock(key, as: 9)
    defer { store.unlock(key, taken) }
    let existing = store.find(key, now: now, touch: false)
    let expiry: Expiry = expiresAt == 0 ? .none : .at(expiresAt)
    _ = value.withUnsafeBytes { store.put(key, over: existing, $0, expiry, type: type) }
  }

  // MARK: The post

  /// Runs everything until nothing is left to do.
  func settle() {
    repeat {
      for node in nodes { node.settle() }
    } while step() || nodes.contains { $0.loops.contains { !$0.mailbox.isEmpty } }
  }

  /// Delivers one letter that overtakes none of its own slot, or a few to one member at once; false if there is none.
  @discardableResult func step() -> Bool {
    guard !underWay.isEmpty else { return false }
    var index = dice.below(underWay.count)
    while let earlier = underWay[..<index].firstIndex(where: { underWay[index].mayNotOvertake($0) }) {
      index = earlier
    }
    let chosen = underWay[index]
    var batch = [chosen]
    for other in underWay[(index + 1)...].prefix(8) where dice.chance(70) && travelsWith(other, chosen) {
      if !underWay.contains(where: { $0 !== other && isBefore($0, other) && other.mayNotOvertake($0) }) {
        batch.append(other)
      }
    }
    deliver(batch)
    return true
  }

  private func travelsWith(_ other: Letter, _ letter: Letter) -> Bool {
    other.from == letter.from && other.loop == letter.loop && target(of: other) == target(of: letter)
  }

  private func isBefore(_ letter: Letter, _ other: Letter) -> Bool { letter.number < other.number }

  private func target(of letter: Letter) -> Int {
    if let to = letter.to { return Int(to) }
    let route = nodes[letter.from].node.routes[letter.slot]
    return route.member.map(Int.init) ?? (route == .here || route == .incoming ? letter.from : -1)
  }

  private func deliver(_ letters: [Letter]) {
    let to = target(of: letters[0])
    let requester = letters[0].requester
    for letter in letters {
      if let failure = failure(letter) ?? (to < 0 ? .noOwner(letter.slot) : nil) {
        remove(letter)
        requester.replied(letter.ticket, .failed(failure))
      }
    }
    let left = letters.filter { letter in underWay.contains { $0 === letter } }
    if to >= 0, !left.isEmpty { execute(left, on: to) }
    if !answersWithoutEnd { requester.repliesEnded() }
  }

  private func remove(_ letter: Letter) { underWay.removeAll { $0 === letter } }

  private func execute(_ letters: [Letter], on index: Int) {
    let node = nodes[index]
    let engine = node.loops[letters[0].loop % node.loops.count].engine!
    withOperations(letters) { operations in
      let outcomes = UnsafeMutablePointer<OperationOutcome>.allocate(capacity: letters.count)
      outcomes.initialize(repeating: .notHere, count: letters.count)
      var batch = OperationBatch(
        operations: operations, outcomes: outcomes, count: letters.count, out: OutputBuffer(capacity: 64))
      defer {
        outcomes.deallocate()
        batch.out.deallocate()
      }
      if isReplicated, letters.allSatisfy({ $0.kind == .count }) { return count(letters, on: index) }
      engine.execute(&batch, for: MemberNumber(letters[0].from))
      var start = 0
      for (number, letter) in letters.enumerated() {
        switch outcomes[number] {
        case .held(let end, let hold):
          let reply = Array(UnsafeRawBufferPointer(start: batch.out.base + start, count: end - start))
          start = end
          remove(letter)
          node.node.replicators[letter.loop % node.loops.count].notify(
            self, keep(letter, reply), of: hold, timeoutMilliseconds: 0)
        case .replied(let end):
          delivered += 1
          remove(letter)
          letter.requester.replied(
            letter.ticket, .payload(UnsafeRawBufferPointer(start: batch.out.base + start, count: end - start)))
          start = end
        case .filling: preconditionFailure("nothing is filled here")
        case .notHere: redirected(letter)
        case .keysMissing(let first, let count):
          for missing in batch.missing[first..<(first + count)] { fetch(missing, to: index) }
        }
      }
    }
  }

  private func count(_ letters: [Letter], on index: Int) {
    for letter in letters {
      remove(letter)
      let enough = Int(String(decoding: letter.words[0], as: UTF8.self))!
      replicator(index).count(
        WriteRecord(), enough: enough, timeoutMilliseconds: 0, for: self, ticket: keep(letter, []))
    }
  }

  private func keep(_ letter: Letter, _ reply: [UInt8]) -> UInt64 {
    lastHeld += 1
    heldReplies[lastHeld] = (letter, reply)
    return lastHeld
  }

  /// Learns where the slot is; the letter stays and is sent there the next time.
  private func redirected(_ letter: Letter) {
    redirections += 1
    precondition(redirections < 1_000_000, "letters go in circles")
    if letter.flags.contains(.severalSlots) {
      remove(letter)
      let id = MemberID("n\(target(of: letter))")!
      letter.requester.replied(letter.ticket, .failed(.moved(id)))
    }
    for slot in letter.slots { publish(Int(slot)) }
  }

  /// Asks the former holder for a key: whoever has it still.
  private func fetch(_ key: Key, to index: Int) {
    let (store, now) = (nodes[index].node.store, nodes[index].loops[0].now)
    let wanted = store.key(key.bytes, in: key.namespace)
    for other in nodes where other !== nodes[index] {
      let there = other.node.store.key(key.bytes, in: key.namespace)
      let taken = other.node.store.lock(there, as: 9)
      let entry = other.node.store.find(there, now: now, touch: false)
      if let entry { put(Array(entry.value), entry.expiresAt, entry.type, wanted, store, now) }
      if let entry { other.node.store.remove(there, entry) }
      other.node.store.unlock(there, taken)
    }
    let taken = store.lock(wanted, as: 9)
    nodes[index].node.incoming.settle(wanted)
    store.unlock(wanted, taken)
  }

  /// A slot's owner changes, and its keys stay behind to be fetched one by one.
  func moveLazily(_ slot: Int, to target: Int) {
    owners[slot] = target
    publish(slot)
    let node = nodes[target].node
    node.incoming.begin(Slot(index: UInt16(slot)))
    node.routes.set(Slot(index: UInt16(slot)), .incoming)
  }

  private func withOperations(_ letters: [Letter], _ body: (UnsafePointer<Operation>) -> Void) {
    let words = letters.flatMap(\.words)
    let bytes = UnsafeMutableRawBufferPointer.allocate(byteCount: words.reduce(1) { $0 + $1.count }, alignment: 1)
    let arguments = UnsafeMutablePointer<Argument>.allocate(capacity: words.count + 1)
    let operations = UnsafeMutablePointer<Operation>.allocate(capacity: letters.count)
    defer {
      bytes.deallocate()
      arguments.deallocate()
      operations.deallocate()
    }
    var (end, next) = (0, 0)
    for (number, letter) in letters.enumerated() {
      let first = next
      for word in letter.words {
        UnsafeMutableRawBufferPointer(rebasing: bytes[end...]).copyBytes(from: word)
        (arguments + next).initialize(to: Argument(base: bytes.baseAddress! + end, count: word.count))
        end += word.count
        next += 1
      }
      (operations + number).initialize(
        to: Operation(
          kind: letter.kind, flags: letter.flags, database: letter.database, protocolVersion: letter.protocolVersion,
          slot: letter.slot,
          arguments: UnsafeBufferPointer(start: arguments + first, count: letter.words.count)))
    }
    body(operations)
  }
}

extension FakeCluster: ReplicaWaiter {
  func copied(_ ticket: UInt64, _ shortfall: ReplicaShortfall?) {
    let (letter, reply) = heldReplies.removeValue(forKey: ticket)!
    if let shortfall {
      letter.requester.replied(letter.ticket, .failed(.tooFewCopies(shortfall.sentence)))
    } else {
      reply.withUnsafeBytes { letter.requester.replied(letter.ticket, .payload($0)) }
    }
    letter.requester.repliesEnded()
  }

  func counted(_ ticket: UInt64, _ copies: Int) {
    let letter = heldReplies.removeValue(forKey: ticket)!.letter
    Array(":\(copies)\r\n".utf8).withUnsafeBytes { letter.requester.replied(letter.ticket, .payload($0)) }
    letter.requester.repliesEnded()
  }

  func copiesEnded() {}
}
