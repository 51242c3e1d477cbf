import NexusModel
import NexusService
import NexusStore
import NexusWire

/// One event loop's way to the other members: operations that leave, that arrive, and that wait.
///
/// An operation of a slot goes to whoever executes the slot as this node sees it. If that member says that it does not,
/// which proves that it did not run it, the operation is routed again, until its time is over. Until then it also
/// waits here for a slot that is on its way or has no live owner. A write that was sent and lost its answer is never
/// sent again: its outcome is unknown, and that is what its client is told.
///
/// Belongs to its loop's thread; other threads `post`. Its fields are read and written in single steps, never held
/// while other code runs: they need no check of exclusivity. Nothing holds it weakly: a side table would make every
/// count of its references slow.
final class PeerLoop: OperationRouter, TurnTask, @unchecked Sendable {
  let node: Node
  let loop: any EventLoop
  let streams: any MessageStreams
  let identity: PeerIdentity
  /// The cluster outlives its loops.
  unowned(unsafe) let control: any PeerControl
  /// This node's own number.
  let myself: MemberNumber
  @exclusivity(unchecked) private(set) var directory = PeerDirectory.empty
  /// By `Operation.Kind`.
  private var executors: [(any OperationExecutor)?] = []
  /// A bit for each kind that has an executor.
  @exclusivity(unchecked) private var kinds: UInt32 = 0
  @exclusivity(unchecked) private var links: [PeerLink?] = []
  @exclusivity(unchecked) private var dirtyLinks: [PeerLink] = []
  /// Set once, before the loop runs.
  var board = LinkBoard()
  let requesters = Requesters()
  let traffic = SlotTraffic()
  var parked: [ParkedOperation] = []
  var parkedBytes = 0
  /// What was loaded since the last pass.
  private var woken: Set<UInt64> = []
  @exclusivity(unchecked) var needsPass = false
  var pass: UInt16 = 0
  private var loads = AwaitedLoads()
  @exclusivity(unchecked) private var isTicking = false
  /// 0: not read in this turn.
  @exclusivity(unchecked) private var turnNow: UInt64 = 0
  @exclusivity(unchecked) var batch = BatchRunner()
  /// Streams whose members are told of changes, by the number that the interests know them by.
  var askers: [UInt64: PeerCallee] = [:]
  /// Nil where writes have no copies. Set once, before the loop runs.
  @exclusivity(unchecked) var replicator: LoopReplicator?
  @exclusivity(unchecked) var held = HeldReplies()
  /// How often a link was lost.
  @exclusivity(unchecked) var losses: UInt32 = 0
  /// What `losses` was after the last one of each member.
  @exclusivity(unchecked) var lostAt: [MemberNumber: UInt32] = [:]
  /// What operations of this loop's own requesters have written that waited here before they ran here.
  @exclusivity(unchecked) var ownWrites = WriteRecord()
  var questions = Questions()

  private static let tickMilliseconds = 10
  private static let (parkedMost, parkedBytesMost) = (100_000, 64 << 20)

  init(
    node: Node, loop: any EventLoop, streams: any MessageStreams, identity: PeerIdentity, control: any PeerControl,
    myself: MemberNumber
  ) {
    self.node = node
    self.loop = loop
    self.streams = streams
    self.identity = identity
    self.control = control
    self.myself = myself
    // The control's own loop executes nothing that could wait.
    if loop.index < node.fillers.count {
      node.fillers[loop.index].wake = { [unowned self] number in
        woken.insert(number)
        wake()
      }
    }
  }

  deinit {
    traffic.deallocate()
    batch.deallocate()
    held.deallocate()
  }

  func setExecutor(_ executor: any OperationExecutor, for kind: Operation.Kind) {
    while executors.count <= Int(kind.rawValue) { executors.append(nil) }
    executors[Int(kind.rawValue)] = executor
    kinds |= 1 << UInt32(kind.rawValue)
  }

  /// After the loop's thread has ended: what executes operations here holds this router, and has others run its own.
  func letGo() {
    (executors, kinds, replicator) = ([], 0, nil)
    (links, dirtyLinks, parked, askers) = ([], [], [], [:])
  }

  @inline(__always) func executes(_ kind: Operation.Kind) -> Bool { kinds & 1 << UInt32(kind.rawValue) != 0 }

  func executor(for kind: Operation.Kind) -> (any OperationExecutor)? {
    Int(kind.rawValue) < executors.count ? executors[Int(kind.rawValue)] : nil
  }

  /// Milliseconds of a clock that never goes back, read once a turn.
  var now: UInt64 {
    if turnNow == 0 { turnNow = loop.monotonicNanoseconds / 1_000_000 }
    return turnNow
  }

  func update(_ directory: PeerDirectory, _ copies: CopyMap?) {
    for number in 0..<MemberNumber(self.directory.entries.count) {
      guard self.directory.entry(number)?.isLive == true, directory.entry(number)?.isLive != true else { continue }
      for executor in executors { executor?.forgetPeer(number) }
    }
    self.directory = directory
    for (number, link) in links.enumerated() {
      if let link { link.update(directory.entry(MemberNumber(number))) }
    }
    if let copies, copies !== replicator?.map { replicator?.update(copies) }
    wake()
  }

  /// Something that the parked may have waited for has changed.
  func wake() { needsPass = !parked.isEmpty }

  // MARK: Leaving

  func route(
    _ operation: Operation, for requester: any OperationRequester, ticket: UInt64
  ) -> MemberNumber? {
    if !operation.flags.contains(.readOnly) { node.hotMarks.changed(operation.slot) }
    let lane = traffic[operation.slot]
    let number = requesters.number(of: requester)
    let deadline = now + UInt64(timeout(operation))
    let owner = node.routes[operation.slot].member
    if let owner, mayFailOver(operation.flags), link(to: owner)?.isSilent(now) != false,
      failOver(operation, number, ticket, deadline, from: owner)
    {
      return nil
    }
    if lane.pointee.parked == 0, let member = owner,
      lane.pointee.underWay == 0 || lane.pointee.member == member, let link = link(to: member)
    {
      if link.send(operation, ticket: ticket, requester: number, deadline: deadline, attempts: 0, isDirect: false) {
        lane.pointee.underWay += 1
        lane.pointee.member = member
        startTicking()
      } else {
        fail(number, ticket, .overloaded(link.id))
      }
      return member
    }
    park(operation, number, ticket, deadline, attempts: 0, direct: nil, origin: myself)
    return nil
  }

  func ask(_ member: MemberNumber, _ operation: Operation, for requester: any OperationRequester, ticket: UInt64) {
    let number = requesters.number(of: requester)
    let deadline = now + UInt64(timeout(operation))
    if member != myself, let link = link(to: member) {
      if link.send(operation, ticket: ticket, requester: number, deadline: deadline, attempts: 0, isDirect: true) {
        return startTicking()
      }
      return fail(number, ticket, .overloaded(link.id))
    }
    park(operation, number, ticket, deadline, attempts: 0, direct: member, origin: myself)
  }

  private func timeout(_ operation: Operation) -> Int {
    operation.timeoutMilliseconds > 0
      ? Int(operation.timeoutMilliseconds) : node.settings.forwardTimeoutMilliseconds
  }

  /// The link to a member, made when first needed; nil where nothing can be sent to it now.
  private func link(to member: MemberNumber) -> PeerLink? {
    let link = knownLink(to: member)
    return link?.isUsable == true ? link : nil
  }

  /// The same, whatever can be sent.
  func knownLink(to member: MemberNumber) -> PeerLink? {
    let index = Int(member)
    if index < links.count, let link = links[index] { return link }
    guard let entry = directory.entry(member) else { return nil }
    while links.count <= index { links.append(nil) }
    let link = PeerLink(owner: self, number: member, entry: entry)
    links[index] = link
    return link
  }

  /// For the control's own messages: the link even while it is not connected.
  func controlLink(to member: MemberNumber) -> PeerLink? { link(to: member) }

  func noteDirty(_ link: PeerLink) { dirtyLinks.append(link) }

  // MARK: Waiting

  func park(
    _ operation: Operation, _ requester: UInt16, _ ticket: UInt64, _ deadline: UInt64, attempts: UInt8,
    direct: MemberNumber?, origin: MemberNumber, filling: UInt64 = 0
  ) {
    guard parked.count < Self.parkedMost, parkedBytes < Self.parkedBytesMost else {
      return fail(requester, ticket, .overloaded(identity.id))
    }
    let bytes = operation.encoded
    parkedBytes += bytes.count
    parked.append(
      ParkedOperation(
        bytes: bytes, flags: operation.flags, slot: operation.slot, ticket: ticket,
        requester: requester, deadline: deadline, attempts: attempts, direct: direct, origin: origin,
        filling: filling))
    if direct == nil { traffic[operation.slot].pointee.parked += 1 }
    needsPass = true
    startTicking()
  }

  /// A member's operation that cannot run yet: its slot is on its way here, or keys of it, or what an origin has.
  func park(
    _ operation: Operation, _ requester: any OperationRequester, _ ticket: UInt64, missing: ArraySlice<Key>,
    origin: MemberNumber, filling: UInt64 = 0
  ) {
    let number = requesters.number(of: requester)
    park(
      operation, number, ticket, now + UInt64(timeout(operation)), attempts: 0,
      direct: operation.flags.contains(.thisNode) ? myself : nil, origin: origin, filling: filling)
    guard !missing.isEmpty else { return }
    let quorum = fetch(Self.settledKeys(missing), operation.slot, operation.flags, .notAsked)
    // Unless there was no room for it.
    if let last = parked.indices.last, parked[last].ticket == ticket { parked[last].quorum = quorum }
  }

  func startTicking() {
    guard !isTicking else { return }
    isTicking = true
    loop.after(milliseconds: Self.tickMilliseconds) { [self] in tick() }
  }

  private func tick() {
    isTicking = false
    turnNow = 0
    var isWaiting = !parked.isEmpty
    let now = self.now
    for case let link? in links where link.expire(now) { isWaiting = true }
    if !parked.isEmpty { needsPass = true }
    if isWaiting { startTicking() }
  }

  func turnEnding() -> Bool {
    if needsPass { runParked() }
    let hasMore = replicator?.turnEnding() ?? false
    if node.interests.hasStreamNews(loop: loop.index) { tellChanges() }
    flushReplies()
    for link in dirtyLinks { link.flush() }
    dirtyLinks.removeAll(keepingCapacity: true)
    turnNow = 0
    return needsPass || hasMore
  }

  /// Tries every parked operation once more, in order; those of a slot whose first one has to stay stay with it.
  private func runParked() {
    needsPass = false
    pass &+= 1
    if pass == 0 { pass = 1 }
    let waiting = parked
    parked.removeAll(keepingCapacity: true)
    parkedBytes = 0
    let now = self.now
    var stay: [ParkedOperation] = []
    for var operation in waiting {
      if !settle(&operation, now) { stay.append(operation) }
    }
    woken.removeAll(keepingCapacity: true)
    loads.removeAll()
    parkedBytes += stay.reduce(0) { $0 + $1.bytes.count }
    // What was parked meanwhile came later.
    parked = stay + parked
    forgetQuestions()
  }

  /// False: it has to stay.
  private func settle(_ operation: inout ParkedOperation, _ now: UInt64) -> Bool {
    let lane = traffic[operation.slot]
    if now >= operation.deadline {
      if operation.direct == nil { lane.pointee.parked -= 1 }
      fail(operation.requester, operation.ticket, outOfTime(operation))
      return true
    }
    if operation.filling != 0, !woken.contains(operation.filling) {
      if operation.direct == nil {
        lane.pointee.heldInPass = pass
        loads.note(operation)
      }
      return false
    }
    if let isDone = isAnswered(&operation) { return isDone }
    if let member = operation.direct {
      if member == myself || operation.origin != myself {
        if run(&operation) { return true }
        // Its copy is not good any more: it goes the usual way.
        if operation.isFromCopy {
          (operation.isFromCopy, operation.direct) = (false, nil)
          lane.pointee.parked += 1
          needsPass = true
        }
        return false
      }
      guard let link = link(to: member) else { return false }
      resend(operation, link, isDirect: true)
      return true
    }
    let route = node.routes[operation.slot]
    if let member = route.member, link(to: member) == nil, failOver(&operation, from: member) {
      lane.pointee.parked -= 1
      return true
    }
    if lane.pointee.heldInPass == pass {
      loads.join(&operation, now: now, isOurs: operation.origin == myself)
      return false
    }
    if route == .here || route == .incoming, lane.pointee.underWay == 0, run(&operation) {
      lane.pointee.parked -= 1
      return true
    }
    if operation.origin != myself, let member = route.member {
      // Another member's operation is not sent on: it is told who has the slot.
      lane.pointee.parked -= 1
      requesters.reply(operation.requester, operation.ticket, .failed(.moved(memberID(member))))
      return true
    }
    if let member = route.member, lane.pointee.underWay == 0 || lane.pointee.member == member,
      let link = link(to: member)
    {
      lane.pointee.parked -= 1
      if resend(operation, link, isDirect: false) {
        lane.pointee.underWay += 1
        lane.pointee.member = member
      }
      return true
    }
    lane.pointee.heldInPass = pass
    loads.note(operation)
    return false
  }

  func memberID(_ number: MemberNumber) -> MemberID {
    number == myself ? identity.id : directory.entry(number)?.id ?? identity.id
  }

  @discardableResult
  private func resend(_ parked: ParkedOperation, _ link: PeerLink, isDirect: Bool) -> Bool {
    let sent = parked.withOperation { operation in
      link.send(
        operation, ticket: parked.ticket, requester: parked.requester, deadline: parked.deadline,
        attempts: min(parked.attempts, 254) + 1, isDirect: isDirect)
    }
    if !sent { fail(parked.requester, parked.ticket, .overloaded(link.id)) }
    return sent
  }

  /// Runs it on this node. False: not here, or not yet.
  func run(_ parked: inout ParkedOperation) -> Bool {
    var filling: (number: UInt64, milliseconds: Int)?
    let quorum = parked.quorum
    var asked: ParkedOperation.Quorum?
    defer {
      if let filling { parked.wait(for: filling, now: now, isOurs: parked.origin == myself) }
      if let asked { parked.quorum = asked }
    }
    return parked.withOperation { operation in
      guard let executor = executor(for: operation.kind) else {
        fail(parked.requester, parked.ticket, .refused(identity.id, "this node has no door for such a request"))
        return true
      }
      var missing: [SettledKey] = []
      if parked.flags.contains(.tracked) { setAsker(requesters[parked.requester]) }
      defer { if parked.flags.contains(.tracked) { node.interests.setAsker(nil, as: worker) } }
      replicator?.beginRecord()
      let outcome = batch.run(operation, executor, for: parked.origin) { outcome, reply in
        answer(parked, operation, outcome, reply)
      } missing: {
        missing = Self.settledKeys($0)
      }
      switch outcome {
      case .replied, .held: return true
      case .notHere:
        guard operation.flags.contains(.severalSlots) else { return false }
        fail(parked.requester, parked.ticket, .moved(identity.id))
        return true
      case .keysMissing:
        asked = fetch(missing, operation.slot, operation.flags, quorum)
        return false
      case .filling(let number, let milliseconds):
        filling = (number, milliseconds)
        return false
      }
    }
  }
}
