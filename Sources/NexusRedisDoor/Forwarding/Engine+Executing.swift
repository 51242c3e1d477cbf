import NexusModel
import NexusRESP
import NexusService
import NexusStore

/// One session for each member that has had something executed here, and what a batch of its operations needs.
struct PeerSessions {
  private var sessions: [Session?] = []
  /// Invariant: room for `OperationBatch.largest`; nothing of it outlives a batch.
  let plans: UnsafeMutablePointer<Plan> = .allocate(capacity: OperationBatch.largest)

  /// One operation of a batch, found and hashed.
  struct Plan: BitwiseCopyable {
    var key: Key
    /// As `CommandTable.resolve` answers it.
    var command: Int32
    var hasKey: Bool
  }

  func deallocate() { plans.deallocate() }

  /// The session stands for all clients of that member: each operation brings its client's database and protocol.
  mutating func session(of member: MemberNumber, _ node: Node, now: UnixMilliseconds) -> Session {
    let index = Int(member)
    if index < sessions.count, let made = sessions[index] { return made }
    let seen = node.cluster?.picture.member(member)?.record.member
    let address = seen.map { "\($0.host):\($0.peerPort)" } ?? "member-\(member)"
    let session = Session(
      id: 0, connection: ConnectionID(slot: .max, generation: 0),
      peer: PeerAddress(remote: address, local: "", descriptor: -1, isUnixSocket: false), now: now)
    session.more.name = seen?.id.text ?? ""
    while sessions.count <= index { sessions.append(nil) }
    sessions[index] = session
    return session
  }
}

extension Engine: OperationExecutor {
  public func execute(_ batch: inout OperationBatch, for requester: MemberNumber) {
    let now = loop.now
    let session = peers.session(of: requester, node, now: now)
    session.activeAt = now
    plan(batch)
    if batch.count > 1 {
      for index in 0..<batch.count where peers.plans[index].hasKey { store.prefetchEntry(peers.plans[index].key) }
    }
    let started = loop.monotonicNanoseconds
    var clock = started
    let mayBePlain = mayBePlain
    var plain = PlainCounts()
    for index in 0..<batch.count {
      let operation = batch.operations + index
      if mayBePlain, let outcome = executePlain(operation, peers.plans + index, &batch.out, now, &plain) {
        batch.outcomes[index] = outcome
        continue
      }
      guard knowsNamespace(of: operation, peers.plans[index]) else {
        batch.outcomes[index] = refuse(unknownNamespace(operation.pointee.database), &batch)
        continue
      }
      session.database = Int(operation.pointee.database)
      session.namespace = databases.namespace(of: session.database)
      session.protocolVersion = Int(operation.pointee.protocolVersion)
      session.set(.noTouch, operation.pointee.flags.contains(.noTouch))
      session.set(.tracking, operation.pointee.flags.contains(.tracked))
      let outcome =
        switch operation.pointee.kind {
        case .command: execute(operation, peers.plans[index], &batch, session, now, &clock)
        case .transaction: executeTransaction(operation, &batch, session, requester, now)
        case .watch: executeWatch(operation, &batch, session, requester, now)
        case .unwatch: executeUnwatch(operation, &batch, requester)
        case .flush: executeFlush(operation, &batch)
        case .http, .count, .value, .hotCopy: refuse("ERR the Redis door does not execute such requests", &batch)
        }
      batch.outcomes[index] = outcome
      switch outcome {
      case .replied, .held: statistics.pointee.operationsExecuted.add()
      case .notHere, .keysMissing, .filling: break
      }
    }
    if plain.count > 0 { count(plain, nanoseconds: (loop.monotonicNanoseconds &- started) / UInt64(batch.count)) }
  }

  /// Members declare their namespaces one by one: another may have one that is unknown here. Channels have none.
  @inline(__always) private func knowsNamespace(
    of operation: UnsafePointer<Operation>, _ plan: PeerSessions.Plan
  ) -> Bool {
    let database = operation.pointee.database
    if database < Databases.count || store.isConfigured(database) { return true }
    return plan.command >= 0 && door.commands.slots[Int(plan.command)].traits.contains(.publishes)
  }

  private func unknownNamespace(_ number: UInt16) -> String {
    "ERR member \(node.cluster?.myself.text ?? "") has no namespace of the number \(number), which the client's has: "
      + "declare it on every member (namespace)"
  }

  // MARK: Plain GET and SET

  /// What a batch's plain operations count for.
  struct PlainCounts {
    var hits = 0
    var misses = 0
    var sets = 0
    var count: Int { hits &+ misses &+ sets }
  }

  /// No command has to be shown to a monitor, or timed by itself.
  private var mayBePlain: Bool {
    let slow = settings.slowlogThresholdMicroseconds
    return literals.get >= 0 && door.obstacles.load(ordering: .relaxed) == 0 && (slow < 0 || slow >= 1000)
  }

  /// A GET or SET without options, where nothing stands between it and the store; nil, with nothing done, otherwise.
  @inline(__always) private func executePlain(
    _ operation: UnsafePointer<Operation>, _ plan: UnsafePointer<PeerSessions.Plan>, _ out: inout OutputBuffer,
    _ now: UnixMilliseconds, _ counts: inout PlainCounts
  ) -> OperationOutcome? {
    let count = operation.pointee.arguments.count
    let isGet = plan.pointee.command == Int32(literals.get) && count == 2
    guard isGet || plan.pointee.command == Int32(literals.set) && count == 3, plan.pointee.hasKey,
      operation.pointee.flags.isDisjoint(with: [.noTouch, .thisNode, .tracked])
    else { return nil }
    let key = plan.pointee.key
    if filler.fills(key.namespace) { return nil }
    if isGet || operation.pointee.flags.contains(.ordered), asksQuorum(key.namespace) { return nil }
    if !isGet {
      guard replicator == nil || store.acknowledgement(in: key.namespace) == .one,
        store.lifetime(in: key.namespace).milliseconds == 0,
        store.admitsAtOnce(key.count &+ operation.pointee.arguments[2].count, in: key.namespace)
      else { return nil }
    }
    let taken = store.lock(key, as: worker)
    defer { store.unlock(key, taken) }
    guard routes[slot: key.slot] == .here else { return nil }
    if isGet {
      if let entry = store.find(key, now: now) {
        guard entry.isString else { return nil }
        out.writeBulk(entry.value)
        counts.hits &+= 1
      } else {
        out.writeNull(Int(operation.pointee.protocolVersion))
        counts.misses &+= 1
      }
    } else {
      let value = operation.pointee.arguments[2].bytes
      guard store.put(key, over: store.find(key, now: now), value, .none) == .stored else { return nil }
      out.writeOK()
      counts.sets &+= 1
    }
    return .replied(end: out.count)
  }

  /// - Parameter nanoseconds: the share of each operation in its batch.
  private func count(_ plain: PlainCounts, nanoseconds: UInt64) {
    let gets = plain.hits &+ plain.misses
    statistics.pointee.operationsExecuted.add(UInt64(plain.count))
    statistics.pointee.commands.add(UInt64(plain.count))
    statistics.pointee.keyspaceHits.add(UInt64(plain.hits))
    statistics.pointee.keyspaceMisses.add(UInt64(plain.misses))
    statistics.pointee.getHits.add(UInt64(plain.hits))
    statistics.pointee.getMisses.add(UInt64(plain.misses))
    statistics.pointee.sets.add(UInt64(plain.sets))
    if gets > 0 { counters.record(literals.get, nanoseconds: nanoseconds, calls: UInt64(gets)) }
    if plain.sets > 0 { counters.record(literals.set, nanoseconds: nanoseconds, calls: UInt64(plain.sets)) }
  }

  /// Finds commands, hashes first keys, and asks memory for their buckets.
  private func plan(_ batch: OperationBatch) {
    for index in 0..<batch.count {
      let operation = batch.operations + index
      let plan = peers.plans + index
      plan.pointee.hasKey = false
      plan.pointee.command = -1
      let arguments = operation.pointee.arguments
      guard operation.pointee.kind == .command, arguments.count > 0 else { continue }
      let command = door.commands.resolve(UnsafeMutablePointer(mutating: arguments.baseAddress!), arguments.count)
      plan.pointee.command = Int32(command)
      guard command >= 0 else { continue }
      let position = door.commands.slots[command].firstKey
      guard position > 0, position < arguments.count, knowsNamespace(of: operation, plan.pointee) else { continue }
      let namespace = databases.namespace(of: Int(operation.pointee.database))
      plan.pointee.key = store.key(arguments[position].bytes, in: namespace)
      plan.pointee.hasKey = true
      store.prefetchBucket(plan.pointee.key)
    }
  }

  private func execute(
    _ operation: UnsafePointer<Operation>, _ plan: PeerSessions.Plan, _ batch: inout OperationBatch,
    _ session: Session, _ now: UnixMilliseconds, _ clock: inout UInt64
  ) -> OperationOutcome {
    let arguments = UnsafeMutablePointer(mutating: operation.pointee.arguments.baseAddress!)
    let count = operation.pointee.arguments.count
    let command = Int(plan.command)
    guard command >= 0, operation.pointee.arguments.count > 0 else {
      return refuse("ERR this member does not know the command", &batch)
    }
    let slot = door.commands.slots + command
    let arity = slot.pointee.arity
    if arity > 0 ? count != arity : count < -arity {
      counters.noteRejected(command)
      return refuse("ERR wrong number of arguments for '\(slot.pointee.name)' command", &batch)
    }
    var call = Call(
      arguments: arguments, count: count, session: session, engine: self, out: batch.out, now: now,
      commandIndex: command)
    if plan.hasKey {
      call.preparedKey = plan.key
      call.preparedKeyIndex = slot.pointee.firstKey
    }
    if slot.pointee.flags.contains(.denyOOM), !hasRoom(arguments, count, session, now) {
      counters.noteRejected(command)
      // Whether there is room is the owner's to say, and only where it is here.
      let route = routes[operation.pointee.slot]
      if slot.pointee.isKeyed, route != .here, route != .incoming { return .notHere }
      return refuse(Self.outOfMemory, &batch)
    }
    let level = slot.pointee.flags.contains(.write) ? acknowledgement(session) : .one
    if level != .one, let outcome = beginWrite(operation.pointee.slot, level, &batch) {
      counters.noteRejected(command)
      return outcome
    }
    call.out = batch.out
    if slot.pointee.isKeyed, !operation.pointee.flags.contains(.thisNode) {
      collectKeys(slot, arguments, count, plan.hasKey ? plan.key : nil, session.namespace)
      if let outcome = noteQuorum(operation, slot, session.namespace, &batch) { return outcome }
      filling = .here
      let ownership =
        operation.pointee.flags.contains(.fromReplica) ? runFromCopy(&call, slot) : runWhereOwned(&call, slot)
      filling = .none
      batch.out = call.out
      switch ownership {
      case .ran: break
      case .notHere: return .notHere
      case .unsettled: return noteMissing(&batch)
      case .filling: return .filling(number: awaited.number, milliseconds: awaited.milliseconds)
      }
    } else {
      run(&call, slot)
    }
    let ended = loop.monotonicNanoseconds
    batch.out = call.out
    finish(&call, slot, nanoseconds: ended &- clock, &batch.out)
    clock = ended
    return endWrite(level, batch)
  }

  func noteMissing(_ batch: inout OperationBatch) -> OperationOutcome {
    let first = batch.missing.count
    batch.missing += missingKeys
    return .keysMissing(first: first, count: missingKeys.count)
  }

  func refuse(_ text: String, _ batch: inout OperationBatch) -> OperationOutcome {
    noteError(text)
    batch.out.writeError(text)
    return .replied(end: batch.out.count)
  }
}
