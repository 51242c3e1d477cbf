import NexusGossip
import NexusModel
import NexusService
import NexusWire

/// One question to whoever listens at an address: greets, asks for its membership (or only for its name), and hangs up.
///
/// Belongs to the control loop's thread.
final class StateExchange: MessageStreamHandler {
  enum Answer {
    case name(MemberID)
    case state(Membership, from: MemberID)
    /// The host answered that nobody listens there, in contrast to silence or a stranger.
    case failed(isRefused: Bool)
  }

  private let identity: PeerIdentity
  private let nonce = randomBytes(PeerProof.nonceBytes)
  /// Nil: only the name is asked for.
  private let question: Membership?
  private let refused: (String) -> Void
  private var answered: ((Answer) -> Void)?
  private var stream: (any MessageStream)?
  private var other: MemberID?

  /// - Parameters:
  ///   - refused: why the two do not speak with one another, if so.
  ///   - answered: called once.
  init(
    _ identity: PeerIdentity, question: Membership?, refused: @escaping (String) -> Void,
    answered: @escaping (Answer) -> Void
  ) {
    self.identity = identity
    self.question = question
    self.refused = refused
    self.answered = answered
  }

  func opened(_ stream: any MessageStream) {
    self.stream = stream
    _ = stream.send { frame in
      PeerFrame.begin(&frame, placementVersion: PlacementVersion(digest: 0))
      PeerFrame.append(Hello(identity, loop: 0, nonce: nonce), to: &frame)
    }
  }

  func received(_ message: UnsafeRawBufferPointer) {
    do throws(WireError) { try read(message) } catch {
      end(.failed(isRefused: false), "sent what cannot be understood: \(error)")
    }
  }

  private func read(_ message: UnsafeRawBufferPointer) throws(WireError) {
    var reader = try FrameReader(message)
    var hello: Hello?
    while let item = try reader.next() {
      switch item.kind {
      case .hello: hello = try Hello(decoding: item.bytes)
      case .proof:
        guard let hello else { return end(.failed(isRefused: false), "sent its proof before its greeting") }
        try greet(hello, try Proof(decoding: item.bytes))
      case .membership:
        guard let other else { return end(.failed(isRefused: false), "sent a message before its greeting") }
        end(.state(try Membership(decoding: item.bytes), from: other), nil)
      case .goodbye: return end(.failed(isRefused: false), "says: \(try Goodbye(decoding: item.bytes).reason)")
      default: break
      }
    }
  }

  private func greet(_ hello: Hello, _ given: Proof) throws(WireError) {
    if hello.memberID == identity.id.text {
      // Ourselves, by one of our addresses: no stranger, and no help.
      return end(.name(identity.id), nil)
    }
    if let reason = identity.objection(to: hello, expecting: nil) { return end(.failed(isRefused: false), reason) }
    let names = (caller: identity.id.text, callee: hello.memberID)
    func proof(_ role: PeerProof.Role) -> [UInt8] {
      PeerProof.make(
        identity.key, role: role, callerNonce: nonce, calleeNonce: hello.nonce, caller: names.caller,
        callee: names.callee)
    }
    guard PeerProof.matches(given.authenticationCode, proof(.callee)) else {
      return end(.failed(isRefused: false), "does not know this cluster's secret")
    }
    guard let id = MemberID(hello.memberID) else { return }
    other = id
    guard let question else { return end(.name(id), nil) }
    let own = proof(.caller)
    _ = stream?.send { frame in
      PeerFrame.begin(&frame, placementVersion: PlacementVersion(digest: 0))
      PeerFrame.append(Proof(authenticationCode: own), to: &frame)
      PeerFrame.append(question, to: &frame)
    }
  }

  private func end(_ answer: Answer, _ reason: String?) {
    guard let answered else { return }
    self.answered = nil
    if let reason { refused(reason) }
    answered(answer)
    stream?.cancel(.ok)
  }

  func closed(_ end: CallEnd, _ trailers: [(name: String, value: String)]) {
    stream = nil
    var isRefused = false
    if case .notConnected(.refused) = end.cause { isRefused = true }
    if case .served = end.cause { refused("ended the conversation: \(end.status)") }
    answered?(.failed(isRefused: isRefused))
    answered = nil
  }
}
