import NexusModel
import NexusService
import NexusStore

/// Runs requests for values on the node that executes their slots: this program's own, and those of other members.
///
/// One per loop, on its thread only.
final class ValueExecutor: OperationExecutor {
  private let node: Node
  /// Invariant: the loop outlives what it executes.
  private unowned let loop: any EventLoop
  private let keyspace: Keyspace
  private let loans: Loans

  /// - Parameter seed: feeds the jitter of TTLs.
  init(_ node: Node, _ loop: any EventLoop, _ loans: Loans, seed: UInt64) {
    self.node = node
    self.loans = loans
    self.loop = loop
    keyspace = Keyspace(node: node, loop: loop.index, seed: seed)
    keyspace.waits = true
  }

  func run(_ request: ValueRequest) throws(Misplaced) -> ValueReply {
    let now = loop.now
    // The compiler loses a thrown error's type on its way through a borrowed buffer.
    let outcome = request.key.withUnsafeBytes { bytes -> Result<ValueReply, Misplaced> in
      let key = node.store.key(bytes, in: request.namespace)
      do throws(Misplaced) {
        switch request.action {
        case .read: return .success(try read(key, now))
        case .write: return .success(try write(key, request, now))
        case .delete: return .success(.done(try keyspace.delete(key, now: now)))
        case .refresh: return .success(try refresh(key, now))
        case .load: return .success(try load(key, now))
        }
      } catch { return .failure(error) }
    }
    return try outcome.get()
  }

  private func read(_ key: Key, _ now: UnixMilliseconds) throws(Misplaced) -> ValueReply {
    try keyspace.get(key, now: now) {
      .value(Array($0))
    } _: { entry in
      guard let entry else { return .absent }
      guard entry.isString else {
        return .failed(CacheError(.undecodable, "the key holds something other than a value, such as a filter"))
      }
      return .value(Array(entry.value))
    }
  }

  private func write(_ key: Key, _ request: ValueRequest, _ now: UnixMilliseconds) throws(Misplaced) -> ValueReply {
    let outcome = try request.value.withUnsafeBytes { bytes -> Result<WriteOutcome, Misplaced> in
      do throws(Misplaced) { return .success(try keyspace.set(key, to: bytes, for: request.life, now: now)) } catch {
        return .failure(error)
      }
    }.get()
    guard outcome == .outOfMemory else { return .done(true) }
    return .failed(
      CacheError(.outOfMemory, "there is no room for the value and nothing may be evicted; raise maxMemoryBytes"))
  }

  private func refresh(_ key: Key, _ now: UnixMilliseconds) throws(Misplaced) -> ValueReply {
    guard !keyspace.isElsewhere(key) else { throw .elsewhere }
    let worker = keyspace.worker
    let taken = node.store.lock(key, as: worker)
    defer { node.store.unlock(key, taken) }
    node.filler.invalidateAbsence(key)
    let entry = node.store.find(key, now: now, touch: false)
    return .done(node.fillers[loop.index].refresh(key, entry))
  }

  /// For the owner, which has no loader: where the slot runs elsewhere nothing is stored here.
  private func load(_ key: Key, _ now: UnixMilliseconds) throws(Misplaced) -> ValueReply {
    let taken = node.store.lock(key, as: keyspace.worker)
    defer { node.store.unlock(key, taken) }
    guard node.filler.fills(key.namespace) else {
      return .failed(CacheError(.unavailable, "the node that was asked to load the key has no loader any more"))
    }
    switch node.fillers[loop.index].fill(key, nil, now: now, waits: true) {
    case .value(let bytes): return .value(bytes)
    case .useStore, .absent: return .absent
    case .failed(let error): throw .failed(error)
    case .wait(let number): throw .filling(number)
    }
  }

  /// Whether the write waits for copies, so that it has to take the way on which it can.
  func waitsForCopies(_ request: ValueRequest) -> Bool {
    acknowledgement(request) != .one
  }

  private func acknowledgement(_ request: ValueRequest) -> Acknowledgement {
    node.replicators.isEmpty || request.action != .write && request.action != .delete
      ? .one : node.store.acknowledgement(in: request.namespace)
  }

  // MARK: For the router

  func execute(_ batch: inout OperationBatch, for requester: MemberNumber) {
    for index in 0..<batch.count { batch.outcomes[index] = execute(batch.operations[index], &batch, requester) }
  }

  func forgetPeer(_ member: MemberNumber) { loans.forget(member) }

  private func execute(
    _ operation: Operation, _ batch: inout OperationBatch, _ requester: MemberNumber
  ) -> OperationOutcome {
    guard let request = ValueRequest(operation) else {
      return reply(.failed(CacheError(.refused, "the member that owns the key is of another version")), &batch)
    }
    guard node.store.isConfigured(request.namespace) else {
      return reply(
        .failed(CacheError(.configuration, "the node that owns the key has no such namespace: declare it there too")),
        &batch)
    }
    if request.mayLoad, request.action == .read, !keyspace.isElsewhere(key(of: operation)) {
      loans.offer(request.namespace, by: requester, timeoutMilliseconds: Int(operation.timeoutMilliseconds))
    }
    let level = acknowledgement(request)
    if level != .one {
      guard node.routes[slot: operation.slot.index] == .here else { return .notHere }
      guard node.replicators[loop.index].canWrite(operation.slot.index, level) else {
        return reply(.failed(CacheError(.refused, "fewer nodes live than the write asks copies of; try again")), &batch)
      }
      node.replicators[loop.index].beginWork()
    }
    do throws(Misplaced) {
      let outcome = reply(try run(request), &batch)
      guard level != .one, node.replicators[loop.index].hasWritten, case .replied(let end) = outcome else {
        return outcome
      }
      return .held(end: end, node.replicators[loop.index].hold(level))
    } catch {
      switch error {
      case .elsewhere: return .notHere
      case .unsettled:
        batch.missing.append(key(of: operation))
        return .keysMissing(first: batch.missing.count - 1, count: 1)
      case .filling(let number):
        let limit = node.filler.source(of: request.namespace)?.timeoutMilliseconds ?? 0
        return .filling(number: number, milliseconds: limit)
      case .failed(let error): return reply(.failed(CacheError(error)), &batch)
      }
    }
  }

  /// Its bytes are the operation's, which outlive the batch.
  private func key(of operation: Operation) -> Key {
    node.store.key(operation.arguments[1].bytes, in: operation.database)
  }

  private func reply(_ reply: ValueReply, _ batch: inout OperationBatch) -> OperationOutcome {
    reply.append(to: &batch.out)
    keyspace.statistics.pointee.operationsExecuted.add()
    return .replied(end: batch.out.count)
  }
}
