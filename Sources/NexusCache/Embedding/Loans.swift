import NexusModel
import NexusOrigins
import NexusService

/// Loaders that this node borrows: it owns keys of namespaces that only programs elsewhere in the cluster can load.
/// Whoever asks for such a key says whether it has the loader, and is asked back to use it. The load is this node's
/// all the same, so that it is one for the whole cluster.
final class Loans: @unchecked Sendable {
  private let node: Node
  private let borrowed = Guarded<[NamespaceNumber: BorrowedOrigin]>([:])
  /// One per loop. Invariant: set once before any loop runs.
  var doors: [ValueDoor] = []

  init(_ node: Node) { self.node = node }

  /// The member has a loader for the namespace. Costs next to nothing where that is known, or this node has an origin.
  func offer(_ namespace: NamespaceNumber, by member: MemberNumber, timeoutMilliseconds: Int) {
    let isFilled = node.filler.fills(namespace)
    if isFilled, node.filler.source(of: namespace)?.origin is BorrowedOrigin == false { return }
    guard let settings = node.store.settings(of: namespace) else { return }
    borrowed.withLock { borrowed in
      let origin = borrowed[namespace] ?? BorrowedOrigin(settings.name, namespace, doors)
      borrowed[namespace] = origin
      origin.add(member)
      guard node.filler.source(of: namespace) == nil else { return }
      node.filler.setSource(
        FillSource(
          origin, FreshnessRules(settings), jitter: settings.ttlJitter,
          timeoutMilliseconds: max(1, timeoutMilliseconds)), of: namespace)
    }
  }

  /// When all loops have ended: what is held here holds the node.
  func letGo() {
    let namespaces = borrowed.withLock { borrowed in
      defer { borrowed = [:] }
      return Array(borrowed.keys)
    }
    for namespace in namespaces { node.filler.setSource(nil, of: namespace) }
    doors = []
  }

  /// The member is dead or has left.
  func forget(_ member: MemberNumber) {
    borrowed.withLock { borrowed in
      for (namespace, origin) in borrowed where origin.remove(member) {
        borrowed[namespace] = nil
        if node.filler.source(of: namespace)?.origin === origin { node.filler.setSource(nil, of: namespace) }
      }
    }
  }
}

/// An origin that is the loader of other members.
final class BorrowedOrigin: Origin, @unchecked Sendable {
  let name: String
  var canStore: Bool { false }
  var figures: OriginFigures { OriginFigures() }
  private let namespace: NamespaceNumber
  /// They hold the node, which holds this; both are let go when the loops have ended.
  private let doors: [ValueDoor]
  /// Who offered last comes first.
  private let members = Guarded<[MemberNumber]>([])

  init(_ name: String, _ namespace: NamespaceNumber, _ doors: [ValueDoor]) {
    self.name = name
    self.namespace = namespace
    self.doors = doors
  }

  func add(_ member: MemberNumber) {
    members.withLock { members in
      guard members.first != member else { return }
      members.removeAll { $0 == member }
      members.insert(member, at: 0)
    }
  }

  /// True where nobody is left.
  func remove(_ member: MemberNumber) -> Bool {
    members.withLock { members in
      members.removeAll { $0 == member }
      return members.isEmpty
    }
  }

  func load(_ request: OriginRequest, done: @escaping @Sendable (OriginAnswer) -> Void) {
    ask(members.withLock { $0 }[...], request, lastly: .unreachable("no program that has its loader is there"), done)
  }

  /// Whoever cannot be reached has loaded nothing, or has lost what it loaded: the next one is asked.
  private func ask(
    _ members: ArraySlice<MemberNumber>, _ request: OriginRequest, lastly cause: OriginError.Cause,
    _ done: @escaping @Sendable (OriginAnswer) -> Void
  ) {
    guard let member = members.first, let door = doors.first else {
      return done(.failure(OriginError(origin: name, cause)))
    }
    let value = ValueRequest(
      action: .load, namespace: namespace, key: request.key, timeoutMilliseconds: request.deadlineMilliseconds)
    door.onLoop { [self] in
      door.ask(member, value) { [self] reply in
        switch reply {
        case .payload(let bytes): done(answer(ValueReply(payload: bytes)))
        case .failed(let failure): ask(members.dropFirst(), request, lastly: .unreachable(failure.sentence), done)
        }
      }
    }
  }

  private func answer(_ reply: ValueReply) -> OriginAnswer {
    switch reply {
    case .value(let bytes): return .value(OriginValue(bytes))
    case .absent, .done: return .absent(.unspecified)
    case .failed(let error):
      // The words alone: who reads them is told the origin's name once.
      let prefix = "the origin \(name) failed: "
      let words = error.description
      return .failure(
        OriginError(origin: name, .thrown(words.hasPrefix(prefix) ? String(words.dropFirst(prefix.count)) : words)))
    }
  }

  func store(_ write: OriginWrite, done: @escaping @Sendable (Result<Void, OriginError>) -> Void) {
    done(.failure(OriginError(origin: name, .cannotStore("a loader of other members only loads"))))
  }

  func stop() {}
}
