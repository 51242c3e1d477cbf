import NexusModel
import NexusService
import NexusStore

/// From a request to its reply, without a socket: what HTTP means here. One per event loop, used on its thread only.
final class Responder {
  let keyspace: Keyspace
  let node: Node
  private let routes: SlotRoutes
  /// Nil where writes have no copies.
  lazy var replicator: (any Replicator)? = node.replicators.isEmpty ? nil : node.replicators[loopIndex]
  private let loopIndex: Int
  lazy var hot: HotKeeper? = node.hotKeepers.isEmpty ? nil : node.hotKeepers[loopIndex]
  let configuration: HTTPConfiguration
  /// False while the node drains: said by /health/ready.
  var isReady = true
  /// Bytes of replies that their readers have not taken yet; kept by whoever sends them.
  var pendingReplyBytes = 0

  /// This node's own replies; made with the first, when the node knows its name. Freed with this.
  private var own: Identity?
  /// Replies to requests that other members have given to this one, by the member's number.
  private var ofOthers: [Identity?] = []
  /// Replies from copies of hot keys, by the number of the key's owner.
  var copiesOf: [Identity?] = []
  /// Decoded keys and names. Valid until the next decoding.
  var scratch = OutputBuffer(capacity: 1024)

  init(node: Node, loop index: Int, configuration: HTTPConfiguration, seed: UInt64) {
    self.node = node
    routes = node.routes
    loopIndex = index
    self.configuration = configuration
    keyspace = Keyspace(node: node, loop: index, seed: seed)
  }

  deinit {
    own?.deallocate()
    for identity in ofOthers + copiesOf { identity?.deallocate() }
    scratch.deallocate()
  }

  enum Answer {
    case reply(Reply)
    /// Nothing was done: the key's slot is not executed here, or the key has to be fetched first. Borrows what the
    /// request does, and `scratch`.
    case elsewhere(KeyRequest)
    /// It was done here, with this many entries; the other members are to do the same. Borrows as well.
    case everywhere(KeyRequest, entries: Int)
    /// A stream that goes on.
    case events(EventQuery)
  }

  /// Answers a whole request. The body may be written to.
  func respond(to head: RequestHead, body: UnsafeMutableRawBufferPointer, now: UnixMilliseconds) -> Answer {
    let reply: Reply
    var route: Route?
    do throws(Problem) {
      let found = try Route(head.method, head.path)
      route = found
      try authorize(head, for: found)
      switch found {
      // Any page that a browser on this machine shows can send these, without reading the answer.
      case _ where found.isForbiddenToPages && head.hasOrigin: throw .fromAPage()
      case .read, .write, .delete, .formRead, .formWrite, .refresh, .invalidate:
        var request = try keyRequest(found, head, body)
        if request.action == .purge || request.action == .purgeTag {
          let entries = purge(request, now)
          if !node.otherMembers.isEmpty { return .everywhere(request, entries: entries) }
          reply = removed(entries)
          break
        }
        if replicator != nil, request.action == .read { request.acceptsCopy = keyspace.mayReadCopy(request.key) }
        if let hot, hot.sample(of: 1) != nil { hot.observe(request.key, isWrite: request.action != .read) }
        // What waits for copies takes the way of what runs elsewhere, which is the way of replies that come later.
        if routes.isClustered, !request.acceptsCopy,
          keyspace.isElsewhere(request.key) || acknowledgement(request) != .one
        {
          guard let found = hotReply(request) else { return .elsewhere(request) }
          reply = found
          break
        }
        switch try run(request, identity, now) {
        case .reply(let ran): reply = ran
        case .not(.failed(let error)): throw Problem(error)
        case .not: return .elsewhere(request)
        }
      case .events: return .events(try eventQuery(head))
      default: reply = try answer(found, head, body, now)
      }
    } catch {
      countError(route)
      reply = Reply(error.told(Route.form(of: head.path)))
    }
    count(reply)
    return .reply(reply)
  }

  /// How this node calls itself: its id as a member, or one that it was given.
  var nodeName: String {
    if let cluster = node.cluster { return cluster.myself.text }
    let name = node.settings.nodeID
    return name.isEmpty ? configuration.nodeName : name
  }

  /// What replies to this node's own clients say of who answers.
  var identity: Identity {
    if let own { return own }
    let name = nodeName
    let made = Identity(node: name, primary: name, isForwarded: false)
    own = made
    return made
  }

  /// What replies say to clients of another member.
  func identity(of requester: MemberNumber) -> Identity {
    let index = Int(requester)
    if index < ofOthers.count, let made = ofOthers[index] { return made }
    guard let cluster = node.cluster else { return identity }
    let myself = cluster.myself
    let asking = cluster.picture.member(requester)?.record.member.id
    // Its own: it waited here for its slot. (A stranger's name comes with gossip.)
    guard let asking, asking != myself else { return identity }
    let made = Identity(node: asking.text, primary: myself.text, isForwarded: true)
    while ofOthers.count <= index { ofOthers.append(nil) }
    ofOthers[index] = made
    return made
  }

  func count(_ reply: Reply) {
    keyspace.statistics.pointee.httpRequests.add()
    keyspace.statistics.pointee.httpReplies[min(5, Int(reply.status / 100))].add()
  }

  func countStream() {
    keyspace.statistics.pointee.httpRequests.add()
    keyspace.statistics.pointee.httpReplies[2].add()
  }

  /// Bytes of one request's body.
  var bodyLimitBytes: Int { node.settings.httpMaxBodyBytes }

  /// The key of a path, if nothing in it is encoded, as one of the default namespace; its bucket is on its way into the
  /// cache then. A guess: the headers may name another namespace.
  func prepareKey(_ path: UnsafeRawBufferPointer) -> Key? {
    guard Route.hasCachePrefix(path), !path.contains(UInt8(ascii: "%")) else { return nil }
    let key = node.store.key(
      UnsafeRawBufferPointer(rebasing: path[Route.cachePrefix.utf8CodeUnitCount...]), in: 0)
    node.store.prefetchBucket(key)
    return key
  }

  /// What can be said before the body is read: nil to go on reading.
  func refusal(of head: RequestHead) -> Problem? {
    var problem: Problem?
    do throws(Problem) { try authorize(head, for: nil) } catch { problem = error }
    if problem == nil, let length = head.contentLength {
      if length > bodyLimitBytes {
        problem = .bodyTooLarge(limitBytes: bodyLimitBytes)
      } else if length > node.store.maxMemoryBytes {
        // Room would be made for it by evicting everything else, in vain.
        problem = .outOfMemory()
      }
    }
    return problem?.told(Route.form(of: head.path))
  }

  /// The namespace whose limits a body on its way in counts against; the default one where the request is wrong
  /// (which `respond` will say).
  func namespaceForUpload(_ head: RequestHead) -> NamespaceNumber {
    do throws(Problem) {
      return try Route.form(of: head.path) == .plain ? group(head) : namespace(head)
    } catch { return 0 }
  }

  private func answer(
    _ route: Route, _ head: RequestHead, _ body: UnsafeMutableRawBufferPointer, _ now: UnixMilliseconds
  ) throws(Problem) -> Reply {
    switch route {
    case .read, .write, .delete, .formRead, .formWrite, .refresh, .invalidate, .events:
      preconditionFailure("answered elsewhere")
    case .index: return Reply(.text, .constant(Pages.index))
    case .health: return health()
    case .live: return Reply(.constant("{\"live\":true}"))
    case .ready: return ready()
    case .clusterState: return Reply(.owned(ClusterPage(try cluster(), node).state))
    case .clusterSlots: return Reply(.owned(ClusterPage(try cluster(), node).slots))
    case .join: return try join(try JoinBody.addresses(UnsafeRawBufferPointer(body)))
    case .setPeer: return try join([try JoinBody.peer(body, defaultPort: node.settings.peerPort)])
    case .leave: return try leave()
    case .replicate: return try replicate(head, body, now)
    case .metrics:
      var page = OutputBuffer(capacity: 32 * 1024)
      MetricsPage(node: node, now: now).write(to: &page)
      return Reply(.metrics, .owned(page))
    }
  }

  private func countError(_ route: Route?) {
    switch route {
    case .read, .formRead: countError(.read)
    case .write, .formWrite: countError(.write)
    case .delete, .invalidate: countError(.delete)
    default: break
    }
  }

  func countError(_ action: KeyRequest.Action) {
    switch action {
    case .read: keyspace.statistics.pointee.getErrors.add()
    case .write: keyspace.statistics.pointee.setErrors.add()
    case .delete, .invalidate: keyspace.statistics.pointee.deleteErrors.add()
    case .refresh, .purge, .purgeTag: break
    }
  }
}
