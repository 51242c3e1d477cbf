import NexusModel
import NexusRESP
import NexusService
import NexusStore

extension Engine {
  // MARK: MULTI

  func beginTransaction(_ session: Session) {
    session.more.transaction = Transaction(store.configuration.outside)
    session.set(.transaction, true)
  }

  func queue(
    _ arguments: UnsafeMutablePointer<Argument>, _ count: Int, _ command: Int, _ session: Session,
    _ state: inout ReceiveState
  ) {
    guard let transaction = session.extras?.transaction else { return }
    if transaction.memoryBytes > settings.maxQueryBufferBytes {
      return reject(
        command,
        "ERR the queued commands take more than \(settings.maxQueryBufferBytes) bytes: EXEC sooner, or raise "
          + "client-query-buffer-limit", session, &state.out)
    }
    // After an error nothing will run: there is no use in keeping it.
    if !transaction.isAborted { transaction.append(command, arguments, count, door.commands.slots + command) }
    session.lastCommand = Int32(command)
    state.out.append("+QUEUED\r\n")
  }

  /// Ends the transaction without running it, and forgets what was watched for it.
  func discardTransaction(_ session: Session) {
    session.extras?.transaction = nil
    session.set(.transaction, false)
    unwatch(session)
  }

  // MARK: EXEC

  /// EXEC on a node by itself.
  func execute(_ transaction: Transaction, _ call: inout Call) {
    let arguments = transaction.makeArguments()
    defer {
      arguments.deallocate()
      discardTransaction(call.session)
    }
    if transaction.isAborted {
      return call.reply(error: "EXECABORT Transaction discarded because of previous errors.")
    }
    _ = execute(transaction, arguments, call.session.extras?.watch, &call, checkingRoutes: false)
  }

  /// Runs the queued commands as one and replies their array; null if what was watched has changed. Where routes are
  /// checked and not all keys are this node's, nothing is done and nothing replied.
  func execute(
    _ transaction: Transaction, _ arguments: UnsafeMutablePointer<Argument>, _ watch: Watch?, _ call: inout Call,
    checkingRoutes: Bool
  ) -> Ownership {
    let session = call.session
    if watch?.isDirty(now: call.now) == true {
      call.replyNullArray()
      return .ran
    }
    if transaction.grownBytes > 0, !call.admit(transaction.grownBytes) { return .ran }
    let keys = keys(of: transaction, arguments, watch, call)
    let held = lock(keys)
    defer { store.unlock(held) }
    if checkingRoutes, let keys {
      let ownership = keys.withUnsafeBufferPointer { settle($0, call.now) }
      guard ownership == .ran else { return ownership }
    }
    // Between the first look and the locks another loop may have written.
    if watch?.isDirty(now: call.now) == true {
      call.replyNullArray()
      return .ran
    }
    session.set(.transaction, false)
    isExecuting = true
    defer { isExecuting = false }
    call.reply(arrayOf: transaction.commands.count)
    for queued in transaction.commands {
      let slot = door.commands.slots + queued.command
      let started = loop.monotonicNanoseconds
      var inner = Call(
        arguments: arguments + queued.firstArgument, count: queued.count, session: session, engine: self,
        out: call.out, now: call.now, commandIndex: queued.command)
      run(&inner, slot)
      call.out = inner.out
      finish(&inner, slot, nanoseconds: loop.monotonicNanoseconds &- started, &call.out)
      session.namespace = databases.namespace(of: session.database)
    }
    call.version = session.protocolVersion
    return .ran
  }

  /// Every key that the queued commands name and that is watched; nil if one of the commands works on the keyspace
  /// without naming keys.
  private func keys(
    of transaction: Transaction, _ arguments: UnsafeMutablePointer<Argument>, _ watch: Watch?, _ call: Call
  ) -> [Key]? {
    var keys: [Key] = []
    for queued in transaction.commands {
      let slot = door.commands.slots + queued.command
      let positions = slot.pointee.command.keys.positions(arguments + queued.firstArgument, queued.count)
      // A stripe follows from the slot alone: which database a SELECT in between chooses does not matter.
      for position in positions {
        keys.append(store.key(arguments[queued.firstArgument + position].bytes, in: call.session.namespace))
      }
      // Administration may change the store's settings, which takes all stripes too.
      if positions.isEmpty, !slot.pointee.flags.isDisjoint(with: [.write, .readonly, .admin]) { return nil }
    }
    for watched in watch?.keys ?? [] {
      watched.bytes.withUnsafeBytes { keys.append(store.key($0, in: call.session.namespace)) }
    }
    return keys
  }

  private func lock(_ keys: [Key]?) -> Store.StripeSet {
    guard let keys else { return store.lockEverything(as: worker) }
    return keys.withUnsafeBufferPointer { store.lock($0, as: worker) }
  }

  // MARK: WATCH

  func watch(_ bytes: UnsafeRawBufferPointer, _ session: Session, now: UnixMilliseconds) {
    let watch = session.more.watch ?? Watch()
    session.more.watch = watch
    add(bytes, to: watch, session, now: now)
  }

  func add(_ bytes: UnsafeRawBufferPointer, to watch: Watch, _ session: Session, now: UnixMilliseconds) {
    let copy = Array(bytes)
    if watch.keys.contains(where: { $0.database == session.database && $0.bytes == copy }) { return }
    let key = store.key(bytes, in: session.namespace)
    let taken = store.lock(key, as: worker)
    defer { store.unlock(key, taken) }
    let expiresAt = store.find(key, now: now, touch: false)?.expiresAt ?? 0
    store.watch(key)
    door.watches.add(watch.token, database: session.database, copy)
    watch.keys.append(
      Watch.WatchedKey(database: session.database, bytes: copy, slot: key.slot, expiresAt: expiresAt))
  }

  func unwatch(_ session: Session) {
    guard let extras = session.extras else { return }
    if let watch = extras.watch {
      extras.watch = nil
      forget(watch)
    }
    if let watch = extras.distantWatch {
      extras.distantWatch = nil
      unwatch(watch)
    }
  }

  func forget(_ watch: Watch) {
    for watched in watch.keys {
      watched.bytes.withUnsafeBytes { bytes in
        // Only its slot matters.
        let key = store.key(bytes, in: 0)
        let taken = store.lock(key, as: worker)
        door.watches.remove(watch.token, database: watched.database, watched.bytes)
        store.unwatch(slot: watched.slot)
        store.unlock(key, taken)
      }
    }
  }
}

extension Command.KeyPositions {
  /// Which arguments are keys.
  func positions(_ arguments: UnsafeMutablePointer<Argument>, _ count: Int) -> [Int] {
    switch self {
    case .none: return []
    case .range(let first, let last, let step):
      let end = last < 0 ? count + last : last
      guard first > 0, first <= end, end < count else { return [] }
      return Array(stride(from: first, through: end, by: max(step, 1)))
    case .computed(let compute):
      return compute((0..<count).map { Array(arguments[$0].bytes) }).filter { $0 > 0 && $0 < count }
    }
  }
}
