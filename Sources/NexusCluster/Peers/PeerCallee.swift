import NexusModel
import NexusService
import NexusWire

/// A member's stream to this node: greets, executes its operations in batches, answers.
///
/// Belongs to its loop's thread.
final class PeerCallee: MessageStreamHandler, OperationRequester, PeerAnswer, @unchecked Sendable {
  private enum Phase {
    case waiting
    case greeted(caller: MemberID, hello: Hello, nonce: [UInt8])
    case open(caller: MemberID)
    case closed
  }

  /// It outlives its streams.
  private unowned(unsafe) let owner: PeerLoop
  private let peer: String
  @exclusivity(unchecked) private var phase = Phase.waiting
  @exclusivity(unchecked) private var stream: (any MessageStream)?
  /// `phase` is `open`.
  @exclusivity(unchecked) private var isOpen = false
  private var board: LinkBoard.Link?
  /// The frame of answers that is being written.
  @exclusivity(unchecked) private var answers = OutputBuffer(capacity: 4096)
  /// What came over this stream has written.
  @exclusivity(unchecked) private var record = WriteRecord()
  private var assembler = FrameAssembler(frameLimitBytes: 640 << 20, limitBytes: 1 << 30)
  private var longFrames = LongFrames()
  /// Whether effects of this stream may still be taken; nil where nothing is taken at all.
  private var fence: StreamFence?
  /// The answers that are being written tell of changes.
  @exclusivity(unchecked) private var hasTold = false
  /// As the interests know this stream; nil until it asks to be told of changes.
  private(set) var asker: InterestedParty?

  /// The time a stranger has to greet, and to prove itself.
  private static let greetingMilliseconds = 5000

  init(owner: PeerLoop, peer: String) {
    self.owner = owner
    self.peer = peer
  }

  deinit {
    answers.deallocate()
    longFrames.deallocate()
  }

  func opened(_ stream: any MessageStream) {
    self.stream = stream
    owner.loop.after(milliseconds: Self.greetingMilliseconds) { [self] in checkGreeting() }
  }

  private func checkGreeting() {
    switch phase {
    case .waiting, .greeted: refuse("did not greet within \(Self.greetingMilliseconds) ms")
    case .open, .closed: break
    }
  }

  func received(_ message: UnsafeRawBufferPointer) {
    do throws(WireError) { try read(message, isAssembled: false) } catch {
      refuse("sent what cannot be understood: \(error)")
    }
    sendAnswers()
  }

  private func read(_ message: UnsafeRawBufferPointer, isAssembled: Bool) throws(WireError) {
    var reader = try FrameReader(message, isAssembled: isAssembled)
    // Plain pointers and numbers: what is read over and over stays in registers.
    var batch = owner.batch
    defer { owner.batch = batch }
    while let item = try reader.next() {
      if item.kind == .operation, isOpen {
        try gather(item.bytes, &batch)
        if batch.isFull { execute(&batch) }
        continue
      }
      execute(&batch)
      owner.batch = batch
      let goesOn = try readOther(item)
      batch = owner.batch
      if !goesOn { return }
    }
    execute(&batch)
    if case .open(let caller) = phase, reader.placementVersion != owner.directory.version,
      reader.placementVersion.digest != 0
    {
      owner.control.sawOtherPlacement(of: caller, reader.placementVersion)
    }
  }

  /// What is no operation. False: nothing more is read.
  private func readOther(_ item: FrameItem) throws(WireError) -> Bool {
    switch (item.kind, phase) {
    case (.hello, .waiting): greet(try Hello(decoding: item.bytes))
    case (.proof, .greeted(let caller, let hello, let nonce)):
      check(try Proof(decoding: item.bytes), caller, hello, nonce)
    case (.part, .open):
      guard let whole = try assembler.add(try Part(decoding: item.bytes)) else { return true }
      defer { whole.deallocate() }
      try read(whole.bytes, isAssembled: true)
    case (.effects, .open(let caller)): return try takeEffects(item.bytes, caller)
    case (.goodbye, _):
      stream?.finish(.ok)
      return false
    case (_, .open(let caller)):
      if isPassed() { return false }
      owner.control.received(item.kind, Array(item.bytes), from: caller, self)
    case (_, .closed): return false
    default:
      refuse("sent a message before its greeting")
      return false
    }
    return true
  }

  /// The sender goes on over a later stream: nothing more is taken from this one.
  private func isPassed() -> Bool {
    guard fence?.isPassed == true else { return false }
    refuse("goes on over a later stream, and what still comes over this one is not taken")
    return true
  }

  /// False: nothing more is taken.
  private func takeEffects(_ bytes: UnsafeRawBufferPointer, _ caller: MemberID) throws(WireError) -> Bool {
    if isPassed() { return false }
    guard let confirmed = try owner.replicator?.take(bytes, from: owner.directory.number(of: caller)) else {
      return true
    }
    beginAnswers()
    PeerFrame.append(confirmed, to: &answers)
    return true
  }

  // MARK: The greeting

  private func greet(_ hello: Hello) {
    if let reason = owner.identity.objection(to: hello, expecting: nil) { return refuse(reason) }
    guard let caller = MemberID(hello.memberID) else { return }
    let nonce = randomBytes(PeerProof.nonceBytes)
    phase = .greeted(caller: caller, hello: hello, nonce: nonce)
    let proof = PeerProof.make(
      owner.identity.key, role: .callee, callerNonce: hello.nonce, calleeNonce: nonce, caller: caller.text,
      callee: owner.identity.id.text)
    _ = stream?.send { frame in
      PeerFrame.begin(&frame, placementVersion: owner.directory.version)
      PeerFrame.append(Hello(owner.identity, loop: owner.loop.index, nonce: nonce), to: &frame)
      PeerFrame.append(Proof(authenticationCode: proof), to: &frame)
    }
  }

  private func check(_ proof: Proof, _ caller: MemberID, _ hello: Hello, _ nonce: [UInt8]) {
    let expected = PeerProof.make(
      owner.identity.key, role: .caller, callerNonce: hello.nonce, calleeNonce: nonce, caller: caller.text,
      callee: owner.identity.id.text)
    guard PeerProof.matches(proof.authenticationCode, expected) else {
      return refuse("does not know this cluster's secret")
    }
    fence = owner.replicator?.fences.begin(hello.stream, of: caller, loop: hello.loop)
    phase = .open(caller: caller)
    board = owner.board.open(.from, caller, at: owner.loop.now)
    isOpen = true
  }

  private func refuse(_ reason: String) {
    if case .closed = phase { return }
    phase = .closed
    isOpen = false
    owner.control.refused(peer, reason)
    _ = stream?.send { frame in
      PeerFrame.begin(&frame, placementVersion: owner.directory.version)
      PeerFrame.append(Goodbye(reason: "the peer \(reason)"), to: &frame)
    }
    stream?.finish(CallStatus(.failedPrecondition, reason))
  }

  // MARK: Operations

  private func gather(_ bytes: UnsafeRawBufferPointer, _ batch: inout BatchRunner) throws(WireError) {
    batch.begin()
    let wire: NexusWire.Operation
    do throws(WireError) { wire = try NexusWire.Operation(decoding: bytes) { batch.add($0) } } catch {
      batch.abandon()
      throw error
    }
    let operation = Operation(wire)
    if asker == nil, let operation, operation.kind == .hotCopy || operation.flags.contains(.tracked) { beginAsking() }
    if let operation, operation.kind == .count { return count(wire.id, &batch) }
    guard let operation, owner.executes(operation.kind) else {
      batch.abandon()
      return answer(wire.id, .unknownKind, "this member knows no operation of kind \(wire.kind.rawValue)")
    }
    batch.end(operation, id: wire.id)
  }

  private func execute(_ batch: inout BatchRunner) {
    guard batch.count > 0, case .open(let caller) = phase else { return }
    guard let number = owner.directory.number(of: caller) else { return refuseStranger(caller, &batch) }
    owner.replicator?.beginRecord()
    defer { if let replicator = owner.replicator, replicator.hasRecord { replicator.takeRecord(into: &record) } }
    if let asker { owner.node.interests.setAsker(asker, as: owner.worker) }
    defer { if asker != nil { owner.node.interests.setAsker(nil, as: owner.worker) } }
    batch.run({ owner.executor(for: $0)! }, for: number) { id, operation, outcome, reply, missing in
      switch outcome {
      case .replied:
        beginAnswers()
        Reply(id: id, outcome: .payload(reply)).append(to: &answers)
      case .held(_, let hold):
        owner.hold(reply, hold, for: self, UInt64(id), timeoutMilliseconds: Int(operation.timeoutMilliseconds))
      case .notHere: settle(id, operation, number)
      case .keysMissing: owner.park(operation, self, UInt64(id), missing: missing, origin: number)
      case .filling(let woken, _):
        owner.park(operation, self, UInt64(id), missing: [], origin: number, filling: woken)
      }
    }
  }

  /// How many copies everything has that came over this stream before.
  private func count(_ id: UInt32, _ batch: inout BatchRunner) {
    let numbers = batch.begun.map { Int(String(decoding: $0.bytes, as: UTF8.self)) ?? 0 }
    batch.abandon()
    execute(&batch)
    guard numbers.count == 2, let replicator = owner.replicator else {
      return answer(id, .notForwarded, "this member keeps no copies")
    }
    owner.count(record, replicator, enough: numbers[0], milliseconds: numbers[1], for: self, UInt64(id))
  }

  /// A write of this stream has run after it had waited.
  func note(_ writes: WriteRecord) { record.add(writes) }

  /// It is a member whose name gossip has not brought here yet: nothing was run, and it may try again at once.
  private func refuseStranger(_ caller: MemberID, _ batch: inout BatchRunner) {
    batch.discard { answer($0, .stopping, "member \(caller) is not known here yet") }
  }

  /// An operation whose slot is not executed here: it waits if the slot is on its way here, otherwise it goes back.
  private func settle(_ id: UInt32, _ operation: Operation, _ number: MemberNumber) {
    if !operation.flags.contains(.severalSlots), owner.node.routes[operation.slot].member == nil,
      owner.node.routes[operation.slot] != .nowhere
    {
      owner.park(operation, self, UInt64(id), missing: [], origin: number)
    } else {
      let member = owner.node.routes[operation.slot].member
      answerMoved(id, member.map { owner.memberID($0) })
    }
  }

  // MARK: Answers

  private func beginAnswers() {
    if answers.count == 0 { PeerFrame.begin(&answers, placementVersion: owner.directory.version) }
  }

  private func answer(_ id: UInt32, _ code: FailureCode, _ text: String) {
    beginAnswers()
    var text = text
    text.withUTF8 { Reply(id: id, outcome: .failure(code, text: UnsafeRawBufferPointer($0))).append(to: &answers) }
  }

  private func answerMoved(_ id: UInt32, _ member: MemberID?) {
    beginAnswers()
    var text = member?.text ?? ""
    text.withUTF8 { Reply(id: id, outcome: .moved(memberID: UnsafeRawBufferPointer($0))).append(to: &answers) }
  }

  private func sendAnswers() {
    guard answers.count > 0, let stream else { return }
    defer {
      hasTold = false
      answers.count = 0
      answers.shrink(to: 64 * 1024)
    }
    // What is told of a change does not pass the answer that it is about.
    if answers.count > WireLimits.wholeFrameBytes || (hasTold && !longFrames.isEmpty) {
      longFrames.add(answers.bytes)
      longFrames.send(on: stream, owner.directory.version)
    } else if !stream.send(answers.bytes) {
      stream.cancel(CallStatus(.resourceExhausted, "the member does not read its replies"))
    }
    board?.note(queuedBytes: stream.queuedBytes + longFrames.waitingBytes)
  }

  func replied(_ ticket: UInt64, _ reply: OperationReply) {
    let id = UInt32(truncatingIfNeeded: ticket)
    switch reply {
    case .payload(let bytes):
      beginAnswers()
      Reply(id: id, outcome: .payload(bytes)).append(to: &answers)
    case .failed(.moved(let member)): answerMoved(id, member)
    case .failed(.noOwner): answer(id, .tooLate, "its slot did not arrive in time")
    case .failed(.tooFewCopies(let text)): answer(id, .tooFewCopies, text)
    case .failed(.overloaded): answer(id, .overloaded, "too much waits here already")
    case .failed(let failure): answer(id, .notForwarded, failure.sentence)
    }
  }

  func repliesEnded() { sendAnswers() }

  // MARK: What has changed

  private func beginAsking() {
    guard owner.loop.index < owner.node.loopCount else { return }
    let party = owner.node.interests.beginStream(loop: owner.loop.index)
    asker = party
    owner.askers[party.stream] = self
  }

  func tell(changed name: KeyName) {
    beginAnswers()
    hasTold = true
    name.key.withUnsafeBytes { PeerFrame.append(Event(changed: $0, in: name.namespace), to: &answers) }
  }

  func tell(flushed namespaces: [NamespaceNumber]) {
    beginAnswers()
    hasTold = true
    // Fewer than an event may have fields.
    for start in stride(from: 0, to: namespaces.count, by: 16) {
      let some = namespaces[start..<min(start + 16, namespaces.count)]
      PeerFrame.append(Event(changedAllOf: some), to: &answers)
    }
  }

  func answer(_ membership: Membership) {
    owner.loop.post { [self] in
      beginAnswers()
      PeerFrame.append(membership, to: &answers)
      sendAnswers()
    }
  }

  func drained() {
    guard let stream else { return }
    longFrames.send(on: stream, owner.directory.version)
  }

  func finished() { stream?.finish(.ok) }

  func closed(_ end: CallEnd, _ trailers: [(name: String, value: String)]) {
    phase = .closed
    isOpen = false
    owner.board.close(&board)
    stream = nil
    if let asker {
      owner.node.interests.endStream(asker)
      owner.askers[asker.stream] = nil
    }
    owner.forget(self)
  }
}
