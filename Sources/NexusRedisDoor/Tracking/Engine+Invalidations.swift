import NexusModel
import NexusRESP
import NexusService

// Telling clients which keys have changed.

extension Engine {
  /// At the end of a turn: what has come for this loop's clients since.
  func tellChanges() {
    interests.trim(as: worker)
    if interests.hasNews(loop: loop.index) {
      var unused = OutputBuffer(capacity: 0)
      takeNews(nil, &unused)
      unused.deallocate()
    }
    if !broadcasts.isEmpty { tellBroadcasts() }
  }

  /// `current`: the session whose command has just run, with its output. What is for it goes there, behind the reply.
  func takeNews(_ current: Session?, _ out: inout OutputBuffer) {
    var distant = DistantInvalidations()
    for news in interests.takeNews(loop: loop.index) {
      switch news {
      case .changed(let client, let name, let writer):
        // It may have gone, or tracks otherwise by now.
        guard let session = trackers[client], let options = session.extras?.tracking?.options,
          !options.contains(.broadcast), !(options.contains(.noLoop) && writer == client)
        else { continue }
        invalidate(session, .keys(Self.array(of: [name.key])), &distant, current, &out)
      case .broadcast(let prefix, let name, let writer): broadcasts.note(prefix, name, writer: writer)
      case .flushed(let namespaces):
        for session in trackers.values where namespaces.contains(where: { concerns($0, session) }) {
          invalidate(session, .everything, &distant, current, &out)
        }
      case .lost:
        for session in trackers.values where session.extras?.tracking?.options.contains(.broadcast) == false {
          invalidate(session, .everything, &distant, current, &out)
        }
      case .tooMany:
        for session in trackers.values where session.extras?.tracking?.options.contains(.broadcast) == true {
          invalidate(session, .everything, &distant, current, &out)
        }
      }
    }
    send(distant)
  }

  /// Whether the session may have anything of the namespace: the databases count as one, and of other namespaces nobody
  /// hears who has not chosen them.
  private func concerns(_ namespace: NamespaceNumber, _ session: Session) -> Bool {
    let wanted = Tracking.region(of: Int(namespace))
    return Tracking.region(of: session.database) == wanted || session.extras?.tracking?.former.contains(wanted) == true
  }

  private func tellBroadcasts() {
    var distant = DistantInvalidations()
    var unused = OutputBuffer(capacity: 0)
    for (listeners, changes) in broadcasts.take() {
      // The same for nearly all: those in the databases that want to hear everything.
      var common: [UInt8]?
      for session in listeners {
        let isSilent = session.extras?.tracking?.options.contains(.noLoop) == true
        let isCommon = !isSilent && session.database < Databases.count
        if let common, isCommon {
          if !common.isEmpty { invalidate(session, .keys(common), &distant, nil, &unused) }
          continue
        }
        let keys = changes.filter { concerns($0.key.namespace, session) && !(isSilent && $0.value == session.id) }
        let sorted = Set(keys.keys.map(\.key)).sorted { $0.lexicographicallyPrecedes($1) }
        let array = sorted.isEmpty ? [] : Self.array(of: sorted)
        if isCommon { common = array }
        if !array.isEmpty { invalidate(session, .keys(array), &distant, nil, &unused) }
      }
    }
    unused.deallocate()
    send(distant)
  }

  private static func array(of keys: [[UInt8]]) -> [UInt8] {
    var out = OutputBuffer(capacity: 64)
    defer { out.deallocate() }
    out.writeArrayHeader(keys.count)
    for key in keys { key.withUnsafeBytes { out.writeBulk($0) } }
    return Array(out.bytes)
  }

  // MARK: One client

  /// What goes to clients of other loops: by loop, with who tracks and who hears in its stead.
  struct DistantInvalidations {
    struct Letter: Sendable {
      let tracker: UInt64
      let target: UInt64
      let what: Invalidation
    }
    var letters: [Int: [Letter]] = [:]
  }

  private func invalidate(
    _ session: Session, _ what: Invalidation, _ distant: inout DistantInvalidations, _ current: Session?,
    _ out: inout OutputBuffer
  ) {
    guard let redirection = session.extras?.tracking?.redirection else {
      // A client of RESP2 that has named no other cannot hear it.
      if session.protocolVersion > 2 { write(what, to: session, isRedirected: false, current, &out) }
      return
    }
    guard redirection.loop == loop.index else {
      distant.letters[redirection.loop, default: []].append(
        .init(tracker: session.id, target: redirection.id, what: what))
      return
    }
    if let target = sessions[redirection.id] {
      write(what, to: target, isRedirected: true, current, &out)
    } else {
      breakRedirection(session, current, &out)
    }
  }

  /// To a client that speaks RESP3, or in RESP2 to one that is subscribed to something.
  private func write(
    _ what: Invalidation, to session: Session, isRedirected: Bool, _ current: Session?, _ out: inout OutputBuffer
  ) {
    let isMessage = session.protocolVersion == 2
    if isMessage, !isRedirected || !session.obstacles.contains(.subscribed) { return }
    send(to: session, current, &out) { buffer, version in
      buffer.writePushHeader(isMessage ? 3 : 2, version)
      if isMessage {
        buffer.writeBulk("message" as StaticString)
        buffer.writeBulk("__redis__:invalidate" as StaticString)
      } else {
        buffer.writeBulk("invalidate" as StaticString)
      }
      switch what {
      case .keys(let array): array.withUnsafeBytes { buffer.append($0) }
      case .everything: buffer.writeNull(version)
      }
    }
  }

  private func breakRedirection(_ session: Session, _ current: Session?, _ out: inout OutputBuffer) {
    guard let redirection = session.extras?.tracking?.redirection else { return }
    session.extras?.tracking?.isBroken = true
    guard session.protocolVersion > 2 else { return }
    send(to: session, current, &out) { buffer, version in
      buffer.writePushHeader(2, version)
      buffer.writeBulk("tracking-redir-broken" as StaticString)
      buffer.writeInteger(Int(redirection.id))
    }
  }

  // MARK: Clients of other loops

  private func send(_ distant: DistantInvalidations) {
    for (index, letters) in distant.letters {
      let engine = door.engines[index]
      engine.post { [self] in
        let undelivered = engine.deliver(letters)
        guard !undelivered.isEmpty else { return }
        post { [self] in breakRedirections(undelivered) }
      }
    }
  }

  /// Answers those whose clients are gone.
  private func deliver(_ letters: [DistantInvalidations.Letter]) -> [DistantInvalidations.Letter] {
    var unused = OutputBuffer(capacity: 0)
    defer { unused.deallocate() }
    return letters.filter { letter in
      guard let target = sessions[letter.target] else { return true }
      write(letter.what, to: target, isRedirected: true, nil, &unused)
      return false
    }
  }

  private func breakRedirections(_ letters: [DistantInvalidations.Letter]) {
    var unused = OutputBuffer(capacity: 0)
    defer { unused.deallocate() }
    for letter in letters {
      // It may name another client by now.
      guard let session = trackers[letter.tracker],
        session.extras?.tracking?.redirection?.id == letter.target
      else { continue }
      breakRedirection(session, nil, &unused)
    }
  }
}
