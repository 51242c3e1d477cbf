import NexusModel
import NexusService
import NexusWire

/// This loop's stream to one member: greets, gathers a turn's operations into one frame, and gives their replies back.
///
/// Belongs to its loop's thread. Its fields are read and written in single steps, as `PeerLoop`'s are.
final class PeerLink: MessageStreamHandler {
  enum Phase {
    case closed
    /// Our greeting is sent or waits for the connection.
    case greeting(nonce: [UInt8])
    case open
    /// Until this monotonic millisecond nothing is tried.
    case resting(until: UInt64)
  }

  /// It outlives its links.
  unowned(unsafe) let owner: PeerLoop
  let number: MemberNumber
  @exclusivity(unchecked) private(set) var entry: PeerDirectory.Entry
  @exclusivity(unchecked) private var phase = Phase.closed
  @exclusivity(unchecked) private var stream: (any MessageStream)?
  @exclusivity(unchecked) private var frames = FrameStore()
  @exclusivity(unchecked) private var pending = PendingOperations()
  @exclusivity(unchecked) private var isDirty = false
  private var board: LinkBoard.Link?
  private var failures = 0
  /// Of the last stream: see `StreamFences`.
  private var streamNumber: UInt64
  /// When something came last, and until when reads go elsewhere because nothing does.
  @exclusivity(unchecked) private var heardAt: UInt64 = 0
  @exclusivity(unchecked) private var silentUntil: UInt64 = 0
  private var assembler = FrameAssembler(frameLimitBytes: 640 << 20, limitBytes: 1 << 30)
  private var longFrames = LongFrames()
  /// Frames that wait for the greetings.
  private var early: [OutputBuffer] = []
  /// State of the generator that spreads the rests.
  private var restStep: UInt64 = 0

  private static let frameBytesMost = 192 * 1024
  private static let heldBytesMost = 64 << 20
  private static let (restMillisecondsLeast, restMillisecondsMost): (UInt64, UInt64) = (20, 1000)

  init(owner: PeerLoop, number: MemberNumber, entry: PeerDirectory.Entry) {
    self.owner = owner
    self.number = number
    self.entry = entry
    streamNumber = StreamFences.first(startedAt: owner.identity.startedAt)
  }

  deinit {
    frames.deallocate()
    pending.deallocate()
    longFrames.deallocate()
    dropEarly()
  }

  var id: MemberID { entry.id }

  /// Something may be queued for the member now.
  var isUsable: Bool {
    guard entry.isLive else { return false }
    if case .resting(let until) = phase { return owner.now >= until }
    return true
  }

  func update(_ entry: PeerDirectory.Entry?) {
    guard let entry else {
      stream?.cancel(CallStatus(.cancelled, "the member is gone"))
      self.entry.isLive = false
      return
    }
    let hasMoved = entry.address != self.entry.address
    // What waits for a member that is back need not wait out the rest.
    if entry.isLive, !self.entry.isLive || hasMoved, case .resting = phase { phase = .closed }
    let died = self.entry.isLive && !entry.isLive
    let oldAddress = self.entry.address
    if !self.entry.isLive, entry.isLive { owner.streams.hangUp(entry.address, ifEstablished: false) }
    self.entry = entry
    if hasMoved || died {
      stream?.cancel(CallStatus(.unavailable, hasMoved ? "the member has moved" : "the member is dead"))
      owner.streams.hangUp(oldAddress, ifEstablished: true)
    }
  }

  // MARK: Sending

  /// False: too much waits for this member already, or it cannot be reached now.
  func send(
    _ operation: Operation, ticket: UInt64, requester: UInt16, deadline: UInt64, attempts: UInt8,
    isDirect: Bool, copiesTried: UInt8 = 0
  ) -> Bool {
    guard !pending.isFull, frames.heldBytes < Self.heldBytesMost else { return false }
    prepareFrame()
    let now = owner.now
    let offset = frames.currentBytes.count
    let frame = frames.current
    let id = pending.next
    let left = deadline > now ? UInt32(min(deadline - now, UInt64(UInt32.max))) : 1
    frames.append(operations: 1) { operation.append(to: &$0, id: id, timeoutMilliseconds: left) }
    let count = frames.currentBytes.count - offset
    _ = pending.append(
      PendingOperation(
        ticket: ticket, deadline: deadline, frame: Int32(frame), offset: UInt32(offset),
        count: UInt32(count), slot: operation.slot, requester: requester, flags: operation.flags, attempts: attempts,
        isDirect: isDirect, isFromCopy: operation.flags.contains(.fromReplica), copiesTried: copiesTried,
        isLive: true, sentAt: now))
    if offset + count > Self.frameBytesMost { flush() }
    return true
  }

  /// A message of the control's. It waits for the connection; it is lost with it.
  func send(_ message: some PeerMessage) {
    prepareFrame()
    frames.append(operations: 0) { PeerFrame.append(message, to: &$0) }
    if frames.currentBytes.count > Self.frameBytesMost { flush() }
  }

  // MARK: Effects

  /// Connects where nothing is connected and may be tried.
  func prepare() {
    guard entry.isLive else { return }
    switch phase {
    case .closed: connect()
    case .resting(let until): if owner.now >= until { connect() }
    case .greeting, .open: break
    }
  }

  /// A frame may be sent now, or as soon as the greetings are exchanged.
  var takesFrames: Bool {
    prepare()
    switch phase {
    case .greeting, .open: return true
    case .closed, .resting: return false
    }
  }

  /// Sends a frame by itself, of about so many bytes. It is lost with the connection.
  func send(frameOf byteCount: Int, _ write: (inout OutputBuffer) -> Void) {
    if case .open = phase, let stream, byteCount <= WireLimits.wholeFrameBytes {
      if !stream.send(write) { stream.cancel(CallStatus(.resourceExhausted, "the member does not read")) }
      return
    }
    var frame = OutputBuffer(capacity: byteCount)
    write(&frame)
    if case .open = phase, let stream {
      longFrames.add(frame.bytes)
      longFrames.send(on: stream, owner.directory.version)
      frame.deallocate()
    } else {
      early.append(frame)
    }
  }

  private func sendEarly() {
    let frames = early
    early = []
    for frame in frames {
      send(frameOf: frame.count) { $0.append(frame.bytes) }
      frame.deallocate()
    }
  }

  private func dropEarly() {
    for frame in early { frame.deallocate() }
    early = []
  }

  /// Bytes that wait for the member to take them.
  var queuedBytes: Int { (stream?.queuedBytes ?? 0) + frames.currentBytes.count + longFrames.waitingBytes }

  private func prepareFrame() {
    if frames.open() {
      frames.append(operations: 0) { PeerFrame.begin(&$0, placementVersion: owner.directory.version) }
    }
    if !isDirty {
      isDirty = true
      owner.noteDirty(self)
    }
    switch phase {
    case .closed: connect()
    case .resting(let until): if owner.now >= until { connect() }
    case .greeting, .open: break
    }
  }

  /// Gives the stream what has gathered.
  func flush() {
    isDirty = false
    guard case .open = phase, let stream, frames.current >= 0 else { return }
    let bytes = frames.currentBytes
    if bytes.count > WireLimits.wholeFrameBytes {
      longFrames.add(bytes)
      longFrames.send(on: stream, owner.directory.version)
    } else if !stream.send(bytes) {
      return stream.cancel(CallStatus(.resourceExhausted, "the member does not read"))
    }
    frames.close()
    board?.note(queuedBytes: queuedBytes)
  }

  // MARK: The stream

  private func connect() {
    let nonce = randomBytes(PeerProof.nonceBytes)
    phase = .greeting(nonce: nonce)
    streamNumber += 1
    let opened = owner.streams.open(
      to: entry.address, path: PeerIdentity.path, headers: [], timeoutMilliseconds: nil, self)
    // Where it cannot even be tried, `closed` has come already.
    if case .greeting = phase { stream = opened }
  }

  func opened(_ stream: any MessageStream) {
    guard case .greeting(let nonce) = phase else { return }
    self.stream = stream
    _ = stream.send { frame in
      PeerFrame.begin(&frame, placementVersion: owner.directory.version)
      let hello = Hello(owner.identity, loop: owner.loop.index, nonce: nonce, stream: streamNumber)
      PeerFrame.append(hello, to: &frame)
    }
  }

  func received(_ message: UnsafeRawBufferPointer) {
    heardAt = owner.now
    silentUntil = 0
    do throws(WireError) { try read(message, isAssembled: false) } catch {
      refuse("sent what cannot be understood: \(error)")
    }
  }

  private func read(_ message: UnsafeRawBufferPointer, isAssembled: Bool) throws(WireError) {
    var reader = try FrameReader(message, isAssembled: isAssembled)
    var hello: Hello?
    while let item = try reader.next() {
      switch (item.kind, phase) {
      case (.reply, .open): take(try Reply(decoding: item.bytes))
      case (.confirmed, .open): owner.replicator?.confirmed(number, try Confirmed(decoding: item.bytes))
      case (.hello, .greeting): hello = try Hello(decoding: item.bytes)
      case (.proof, .greeting(let nonce)):
        guard let hello else { return refuse("sent its proof before its greeting") }
        try greet(hello, try Proof(decoding: item.bytes), nonce)
      case (.part, .open):
        guard let whole = try assembler.add(try Part(decoding: item.bytes)) else { continue }
        defer { whole.deallocate() }
        try read(whole.bytes, isAssembled: true)
      case (.event, .open): owner.happened(try Event(decoding: item.bytes), item.bytes, from: entry.id)
      case (.goodbye, _):
        let reason = try Goodbye(decoding: item.bytes).reason
        return refuse("says: \(reason)")
      case (_, .open): owner.control.received(item.kind, Array(item.bytes), from: entry.id, nil)
      default: return refuse("sent a message before its greeting")
      }
    }
    if case .open = phase, reader.placementVersion != owner.directory.version, reader.placementVersion.digest != 0 {
      owner.control.sawOtherPlacement(of: entry.id, reader.placementVersion)
    }
  }

  private func greet(_ hello: Hello, _ proof: Proof, _ nonce: [UInt8]) throws(WireError) {
    if let reason = owner.identity.objection(to: hello, expecting: entry.id) { return refuse(reason) }
    let caller = owner.identity.id.text
    let expected = PeerProof.make(
      owner.identity.key, role: .callee, callerNonce: nonce, calleeNonce: hello.nonce, caller: caller,
      callee: hello.memberID)
    guard PeerProof.matches(proof.authenticationCode, expected) else {
      return refuse("does not know this cluster's secret")
    }
    let own = PeerProof.make(
      owner.identity.key, role: .caller, callerNonce: nonce, calleeNonce: hello.nonce, caller: caller,
      callee: hello.memberID)
    _ = stream?.send { frame in
      PeerFrame.begin(&frame, placementVersion: owner.directory.version)
      PeerFrame.append(Proof(authenticationCode: own), to: &frame)
    }
    phase = .open
    board = owner.board.open(.to, entry.id, at: owner.loop.now)
    failures = 0
    owner.replicator?.opened(number)
    sendEarly()
    flush()
    owner.wake()
  }

  private func refuse(_ reason: String) {
    owner.control.refused("\(entry.id) at \(entry.address)", reason)
    stream?.cancel(CallStatus(.failedPrecondition, reason))
  }

  private func take(_ reply: Reply) {
    guard let record = pending.take(reply.id) else { return }
    if !record.flags.contains(.readOnly) { owner.node.hotMarks.changed(record.slot) }
    switch reply.outcome {
    case .payload(let bytes): owner.answered(record, .payload(bytes))
    case .moved: again(record, .moved(entry.id))
    case .failure(let code, let text):
      let text = String(decoding: text, as: UTF8.self)
      switch code {
      case .unspecified: owner.answered(record, .failed(failure(of: record)))
      case .tooLate: owner.answered(record, .failed(.noOwner(record.slot)))
      case .overloaded: owner.answered(record, .failed(.overloaded(entry.id)))
      case .tooFewCopies: owner.answered(record, .failed(.tooFewCopies(text)))
      // Nothing was run: whoever divided it among owners divides it anew.
      case .stopping: again(record, .moved(entry.id))
      default: owner.answered(record, .failed(.refused(entry.id, text)))
      }
    }
    frames.answered(Int(record.frame))
  }

  /// It was not run there.
  private func again(_ record: PendingOperation, _ failure: OperationFailure) {
    if record.flags.contains(.severalSlots) {
      owner.answered(record, .failed(failure))
    } else {
      owner.again(record, bytes(of: record), on: number)
    }
  }

  private func bytes(of record: PendingOperation) -> UnsafeRawBufferPointer {
    frames.bytes(Int(record.frame), Int(record.offset), Int(record.count))
  }

  private func failure(of record: PendingOperation) -> OperationFailure {
    let waited = owner.node.settings.forwardTimeoutMilliseconds
    return record.flags.contains(.readOnly)
      ? .timedOut(entry.id, milliseconds: waited) : .outcomeUnknown(entry.id, milliseconds: waited)
  }

  func drained() {
    guard let stream else { return }
    longFrames.send(on: stream, owner.directory.version)
    board?.note(queuedBytes: queuedBytes)
  }

  func closed(_ end: CallEnd, _ trailers: [(name: String, value: String)]) {
    let wasOpen = if case .open = phase { true } else { false }
    owner.board.close(&board)
    stream = nil
    failures += 1
    let rest = min(Self.restMillisecondsMost, Self.restMillisecondsLeast << UInt64(min(failures, 6)))
    // Spread out, so that all loops of all members do not come back in the same moment.
    restStep = restStep &* 6_364_136_223_846_793_005 &+ UInt64(number) &+ UInt64(owner.loop.index) &+ 1
    phase = .resting(until: owner.now + rest / 2 + (restStep >> 33) % (rest / 2 + 1))
    longFrames.clear()
    dropEarly()
    assembler = FrameAssembler(frameLimitBytes: 640 << 20, limitBytes: 1 << 30)
    let unsentFrame = frames.current
    for id in pending.liveIDs() {
      guard let record = pending.take(id) else { continue }
      let wasSent = wasOpen && !end.isUntouched && Int(record.frame) != unsentFrame
      if wasSent && !record.flags.contains(.readOnly) {
        owner.answered(record, .failed(.outcomeUnknown(entry.id, milliseconds: nil)))
      } else {
        again(record, wasSent ? failure(of: record) : .unreachable(entry.id))
      }
      frames.answered(Int(record.frame))
    }
    frames.close()
    isDirty = false
    owner.lost(number, wasOpen: wasOpen)
    owner.control.lostConnection(to: number)
    owner.wake()
  }

  /// Reads need not be sent to it now.
  func isSilent(_ now: UInt64) -> Bool { silentUntil > now }

  /// Where nothing comes although reads wait for it, others' copies answer these. It is tried again after a while.
  private func passOverReads(_ now: UInt64) {
    guard heardAt + PeerLoop.silenceMilliseconds <= now else { return }
    let late = pending.liveIDs {
      owner.mayFailOver($0.flags) && !$0.isDirect && $0.sentAt + PeerLoop.silenceMilliseconds <= now
    }
    if late.isEmpty { return }
    silentUntil = now + 2 * PeerLoop.silenceMilliseconds
    for id in late {
      guard let record = pending.peek(id), owner.passOver(record, bytes(of: record), number) else { continue }
      _ = pending.take(id)
      frames.answered(Int(record.frame))
    }
  }

  /// Gives up what has waited too long. True: some still wait.
  func expire(_ now: UInt64) -> Bool {
    guard pending.liveCount > 0 else { return false }
    passOverReads(now)
    for id in pending.liveIDs(where: { $0.deadline <= now }) {
      guard let record = pending.take(id) else { continue }
      let isUnsent: Bool
      if case .open = phase { isUnsent = Int(record.frame) == frames.current } else { isUnsent = true }
      owner.answered(record, .failed(isUnsent ? .unreachable(entry.id) : failure(of: record)))
      frames.answered(Int(record.frame))
    }
    return pending.liveCount > 0
  }
}
