import NexusModel
import NexusRESP
import NexusService

extension Engine {
  // MARK: Subscribing

  func subscribe(_ kind: ChannelKind, _ name: [UInt8], _ call: inout Call) {
    let session = call.session
    if session.more.insert(kind, name) {
      subscribers.add(session, kind, name)
      door.channels.join(kind, name, loop: loop.index)
      session.set(.subscribed, true)
      noteWaiting(session)
    }
    confirm(kind.subscribed, name, kind, &call)
  }

  func unsubscribe(_ kind: ChannelKind, _ name: [UInt8], _ call: inout Call) {
    leave(call.session, kind, name)
    confirm(kind.unsubscribed, name, kind, &call)
  }

  /// Leaves every channel of a kind, with one confirmation each, or one without a name where there was none.
  func unsubscribeAll(_ kind: ChannelKind, _ call: inout Call) {
    let names = call.session.extras?.names(kind) ?? []
    if names.isEmpty { return confirm(kind.unsubscribed, nil, kind, &call) }
    for name in names { unsubscribe(kind, name, &call) }
  }

  /// Without a word to the client: it is gone, or has reset.
  func unsubscribeFromEverything(_ session: Session) {
    for kind in ChannelKind.allCases {
      for name in session.extras?.names(kind) ?? [] { leave(session, kind, name) }
    }
  }

  private func leave(_ session: Session, _ kind: ChannelKind, _ name: [UInt8]) {
    guard let extras = session.extras, extras.remove(kind, name) else { return }
    subscribers.remove(session, kind, name)
    door.channels.leave(kind, name, loop: loop.index)
    session.set(.subscribed, extras.subscriptionCount > 0)
    noteWaiting(session)
  }

  /// Who waits for messages is not idle, however long it says nothing.
  private func noteWaiting(_ session: Session) {
    loop.exemptFromIdleTimeout(session.connection, !session.obstacles.isDisjoint(with: [.subscribed, .monitor]))
  }

  private func confirm(_ word: StaticString, _ name: [UInt8]?, _ kind: ChannelKind, _ call: inout Call) {
    call.reply(pushOf: 3)
    call.reply(bulk: word)
    if let name { call.reply(bulk: name) } else { call.replyNull() }
    let extras = call.session.extras
    let count = kind == .shard ? extras?.shardChannels.count : extras.map { $0.channels.count + $0.patterns.count }
    call.reply(integer: count ?? 0)
  }

  // MARK: Publishing

  /// Sends to every subscriber on every loop; answers how many deliveries there are.
  func publish(_ kind: ChannelKind, _ channel: [UInt8], _ message: [UInt8], _ call: inout Call) -> Int {
    let receivers = door.channels.receivers(kind, channel)
    for (index, count) in receivers.enumerated() where count > 0 {
      let engine = door.engines[index]
      if engine === self {
        deliver(kind, channel, message, from: call.session, &call.out)
      } else {
        engine.post { engine.deliver(kind, channel, message) }
      }
    }
    return receivers.reduce(0, +)
  }

  /// To this loop's subscribers, from elsewhere.
  func deliver(_ kind: ChannelKind, _ channel: [UInt8], _ message: [UInt8]) {
    var unused = OutputBuffer(capacity: 0)
    deliver(kind, channel, message, from: nil, &unused)
    unused.deallocate()
  }

  /// To this loop's subscribers. What is for `sender` itself goes straight into its output, before its reply.
  private func deliver(
    _ kind: ChannelKind, _ channel: [UInt8], _ message: [UInt8], from sender: Session?, _ out: inout OutputBuffer
  ) {
    let word: StaticString = kind == .shard ? "smessage" : "message"
    for session in subscribers.listeners(kind, channel) {
      send(to: session, sender, &out) { buffer, version in
        buffer.writePushHeader(3, version)
        buffer.writeBulk(word)
        channel.withUnsafeBytes { buffer.writeBulk($0) }
        message.withUnsafeBytes { buffer.writeBulk($0) }
      }
    }
    guard kind == .channel else { return }
    for (pattern, listeners) in subscribers.matchingPatterns(channel) {
      for session in listeners {
        send(to: session, sender, &out) { buffer, version in
          buffer.writePushHeader(4, version)
          buffer.writeBulk("pmessage")
          pattern.withUnsafeBytes { buffer.writeBulk($0) }
          channel.withUnsafeBytes { buffer.writeBulk($0) }
          message.withUnsafeBytes { buffer.writeBulk($0) }
        }
      }
    }
  }

  /// Out of turn: behind what the session is owed. What is for `sender`, whose command runs, goes into its output.
  func send(
    to session: Session, _ sender: Session?, _ out: inout OutputBuffer, _ write: (inout OutputBuffer, Int) -> Void
  ) {
    if session === sender { return write(&out, session.protocolVersion) }
    var buffer = messageBuffer
    buffer.count = 0
    write(&buffer, session.protocolVersion)
    push(buffer.bytes, to: session)
    buffer.shrink(to: 64 * 1024)
    messageBuffer = buffer
  }

  // MARK: MONITOR

  func startMonitoring(_ session: Session) {
    guard !session.obstacles.contains(.monitor) else { return }
    session.set(.monitor, true)
    noteWaiting(session)
    monitors.append(session)
    door.monitorCount.wrappingAdd(1, ordering: .relaxed)
    door.obstacles.wrappingAdd(1, ordering: .relaxed)
  }

  func stopMonitoring(_ session: Session) {
    guard session.obstacles.contains(.monitor) else { return }
    session.set(.monitor, false)
    noteWaiting(session)
    monitors.removeAll { $0 === session }
    door.monitorCount.wrappingSubtract(1, ordering: .relaxed)
    door.obstacles.wrappingSubtract(1, ordering: .relaxed)
  }

  /// Shows a command to every monitor of the node. `out` is the client's own output: it may be one of them.
  func feedMonitors(_ call: Call, _ out: inout OutputBuffer) {
    let total = door.monitorCount.load(ordering: .relaxed)
    guard total > 0 else { return }
    let line = monitorLine(call)
    for session in monitors {
      if session === call.session {
        line.withUnsafeBytes { out.append($0) }
      } else {
        line.withUnsafeBytes { push($0, to: session) }
      }
    }
    guard total > monitors.count else { return }
    for engine in door.engines where engine !== self {
      engine.post {
        for session in engine.monitors {
          line.withUnsafeBytes { engine.push($0, to: session) }
        }
      }
    }
  }

  private func monitorLine(_ call: Call) -> [UInt8] {
    let peer = call.session.peer
    let address = peer.isUnixSocket ? "unix:\(peer.remote)" : peer.remote
    let microseconds = String(1_000_000 + call.now % 1000 * 1000).dropFirst()
    var line = Array("+\(call.now / 1000).\(microseconds) [\(call.session.database) \(address)]".utf8)
    for index in 0..<call.count {
      line.append(0x20)
      appendQuoted(call[index], to: &line)
    }
    line += [0x0D, 0x0A]
    return line
  }
}

/// Appends the bytes in double quotes, with C's escapes for what is not printable.
func appendQuoted(_ bytes: UnsafeRawBufferPointer, to text: inout [UInt8]) {
  let digits = Array("0123456789abcdef".utf8)
  text.append(UInt8(ascii: "\""))
  for byte in bytes {
    switch byte {
    case UInt8(ascii: "\\"), UInt8(ascii: "\""): text += [UInt8(ascii: "\\"), byte]
    case 0x0A: text += Array("\\n".utf8)
    case 0x0D: text += Array("\\r".utf8)
    case 0x09: text += Array("\\t".utf8)
    case 0x07: text += Array("\\a".utf8)
    case 0x08: text += Array("\\b".utf8)
    case 0x20...0x7E: text.append(byte)
    default: text += [UInt8(ascii: "\\"), UInt8(ascii: "x"), digits[Int(byte >> 4)], digits[Int(byte & 15)]]
    }
  }
  text.append(UInt8(ascii: "\""))
}

extension SessionExtras {
  func names(_ kind: ChannelKind) -> [[UInt8]] {
    switch kind {
    case .channel: Array(channels)
    case .pattern: Array(patterns)
    case .shard: Array(shardChannels)
    }
  }

  func insert(_ kind: ChannelKind, _ name: [UInt8]) -> Bool {
    switch kind {
    case .channel: channels.insert(name).inserted
    case .pattern: patterns.insert(name).inserted
    case .shard: shardChannels.insert(name).inserted
    }
  }

  func remove(_ kind: ChannelKind, _ name: [UInt8]) -> Bool {
    switch kind {
    case .channel: channels.remove(name) != nil
    case .pattern: patterns.remove(name) != nil
    case .shard: shardChannels.remove(name) != nil
    }
  }
}
