import NexusModel
import NexusRESP
import NexusService
import NexusStore

// What sessions read and write that track.

extension Engine {
  func startTracking(_ session: Session, _ wish: TrackingWish) {
    var tracking = session.more.tracking ?? Tracking()
    if session.extras?.tracking == nil {
      interests.begin(party(session))
      trackers[session.id] = session
    }
    tracking.options = wish.options
    tracking.redirection = wish.redirection
    tracking.isBroken = false
    if wish.options.contains(.broadcast) {
      let wanted = wish.prefixes.isEmpty ? [[]] : wish.prefixes
      let new = wanted.filter { !tracking.prefixes.contains($0) }
      for prefix in new { broadcasts.add(session, prefix) }
      interests.listen(to: new, loop: loop.index)
      tracking.prefixes = (tracking.prefixes + new).sorted { $0.lexicographicallyPrecedes($1) }
    }
    session.more.tracking = tracking
    session.set(.tracking, tracking.isObstacle)
  }

  func stopTracking(_ session: Session) {
    guard let tracking = session.extras?.tracking else { return }
    interests.end(party(session))
    trackers[session.id] = nil
    if !tracking.prefixes.isEmpty {
      for prefix in tracking.prefixes { broadcasts.remove(session, prefix) }
      interests.unlisten(to: tracking.prefixes, loop: loop.index)
    }
    session.extras?.tracking = nil
    session.set(.tracking, false)
  }

  func party(_ session: Session) -> InterestedParty { .client(session.id, loop: loop.index) }

  // MARK: Commands

  /// Runs a command of a session that tracks.
  ///
  /// Its interest in the keys is put down before they are read: a change that comes in between is told, though what was
  /// read is as new as it.
  func runTracked(_ call: inout Call, _ slot: UnsafePointer<CommandTable.Slot>) {
    guard let tracking = call.session.extras?.tracking else { return runTrackedElsewhere(&call, slot) }
    if slot.pointee.flags.contains(.readonly), tracking.remembers { remember(call, slot) }
    let isSilent = tracking.options.contains(.noLoop) && slot.pointee.flags.contains(.write)
    if isSilent { interests.setWriter(call.session.id, as: worker) }
    slot.pointee.command.handler(&call)
    if isSilent { interests.setWriter(0, as: worker) }
  }

  private func remember(_ call: Call, _ slot: UnsafePointer<CommandTable.Slot>) {
    remember(call, slot, party(call.session))
  }

  func remember(_ call: Call, _ slot: UnsafePointer<CommandTable.Slot>, _ party: InterestedParty) {
    if slot.pointee.command.keys.isOne { return remember(call.key(slot.pointee.firstKey), party) }
    for position in slot.pointee.command.keys.positions(call.arguments, call.count) {
      remember(call.key(position), party)
    }
  }

  func remember(_ key: Key, _ party: InterestedParty) {
    let taken = store.lock(key, as: worker)
    interests.add(party, to: key)
    store.unlock(key, taken)
  }

  /// What a command has changed that its session has read is told to it behind the reply.
  func endTrackedCommand(_ session: Session, _ command: Int, _ out: inout OutputBuffer) {
    guard session.extras?.tracking != nil else { return }
    if session.extras?.tracking?.isCachingGiven == true, !session.obstacles.contains(.transaction),
      command < 0 || !door.commands.slots[command].name.hasPrefix("client|")
    {
      session.extras?.tracking?.isCachingGiven = false
    }
    if interests.hasNews(loop: loop.index) { takeNews(session, &out) }
  }

  // MARK: The client that hears in another's stead

  enum Whereabouts {
    case loop(Int)
    case nowhere
    /// The other loops have been asked: the session is resumed when all have answered.
    case asked
  }

  func whereabouts(ofClient number: Int, for session: Session) -> Whereabouts {
    guard number > 0 else { return .nowhere }
    let id = UInt64(number)
    if sessions[id] != nil { return .loop(loop.index) }
    if door.engines.count == 1 { return .nowhere }
    if let census = session.extras?.census, census.missing == 0 {
      return census.cards.first { $0.id == id }.map { .loop($0.loop) } ?? .nowhere
    }
    if let search = session.extras?.search, search.id == id, search.missing == 0 {
      session.extras?.search = nil
      return search.loop.map { .loop($0) } ?? .nowhere
    }
    if isExecuting { return .nowhere }
    self.search(for: id, asked: session)
    return .asked
  }

  private func search(for id: UInt64, asked session: Session) {
    session.more.search = ClientSearch(id: id, missing: door.engines.count - 1)
    let asker = session.id
    for engine in door.engines where engine !== self {
      engine.post { [self] in
        let hasIt = engine.sessions[id] != nil
        let index = engine.loop.index
        post { [self] in found(id, on: hasIt ? index : nil, for: asker) }
      }
    }
  }

  private func found(_ id: UInt64, on loop: Int?, for asker: UInt64) {
    guard let session = sessions[asker], var search = session.extras?.search, search.id == id else { return }
    search.missing -= 1
    if let loop { search.loop = loop }
    session.extras?.search = search
    if search.missing == 0 { self.loop.resume(session.connection) }
  }
}

extension Command.KeyPositions {
  /// Exactly one key, at a fixed place.
  var isOne: Bool {
    if case .range(let first, let last, _) = self { first > 0 && first == last } else { false }
  }
}
