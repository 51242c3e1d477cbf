import Glibc

/// A member as a Serf agent sees it.
struct SerfMember: Equatable {
  var name: String
  /// Of its agent.
  var address: String
  var tags: [String: String]
  var isAlive: Bool
}

/// One connection to a Serf agent, without the connection: bytes in, what they mean out (Serf, "RPC Protocol").
///
/// Each request is a header and perhaps a body, and so is each response, told apart by a number. A stream of events
/// uses its request's number for all of them.
struct SerfSession {
  enum Output: Equatable {
    /// The agent lets us in: ask what there is to ask.
    case ready
    /// All that the agent knows.
    case members([SerfMember])
    /// These joined, changed, left, failed or were given up.
    case event(String, [SerfMember])
    case tagSet
    case tagRemoved
    case tagRefused(String)
    /// The connection is of no use any more.
    case failed(String)
  }

  private enum Request { case handshake, authentication, members, stream, setTag, removeTag }

  /// What one response may hold at most: some hundred thousand members.
  static let inputLimitBytes = 64 << 20

  /// Bytes for the agent: whoever sends them takes them out.
  var output: [UInt8] = []
  private let authenticationKey: String?
  private var input: [UInt8] = []
  private var nextSequence: Int64 = 0
  private var awaited: [Int64: Request] = [:]
  /// The stream's, once the agent has agreed to it.
  private var streamSequence: Int64?

  init(authenticationKey: String?) {
    self.authenticationKey = authenticationKey
    send(.handshake, "handshake", ["Version": .integer(1)])
  }

  /// A response is owed: if it stays out, the agent is not there any more.
  var isWaiting: Bool { !awaited.isEmpty }

  mutating func askMembers() { send(.members, "members", nil) }
  mutating func subscribe() {
    let kinds = "member-join,member-leave,member-failed,member-update,member-reap"
    send(.stream, "stream", ["Type": .text(kinds)])
  }
  mutating func setTag(_ name: String, _ value: String) {
    send(.setTag, "tags", ["Tags": .map([name: .text(value)]), "DeleteTags": .array([])])
  }
  mutating func removeTag(_ name: String) {
    send(.removeTag, "tags", ["Tags": .map([:]), "DeleteTags": .array([.text(name)])])
  }

  private mutating func send(_ request: Request, _ command: String, _ body: [String: MessagePack]?) {
    output += MessagePack.map(["Command": .text(command), "Seq": .integer(nextSequence)]).encoded
    if let body { output += MessagePack.map(body).encoded }
    awaited[nextSequence] = request
    nextSequence += 1
  }

  // MARK: Receiving

  mutating func receive(_ bytes: some Sequence<UInt8>) -> [Output] {
    input += bytes
    var outputs: [Output] = []
    var reader = MessagePackReader(input)
    var done = 0
    do throws(MessagePackReader.Failure) {
      while !reader.isAtEnd {
        outputs += try response(&reader)
        done = reader.offset
        if case .failed = outputs.last { return outputs }
      }
    } catch {
      switch error {
      case .incomplete where input.count <= Self.inputLimitBytes: break
      case .incomplete: outputs.append(.failed("a response of more than \(Self.inputLimitBytes) bytes"))
      case .invalid, .tooDeep: outputs.append(.failed("what answers does not speak Serf's RPC (MessagePack)"))
      }
    }
    input.removeFirst(done)
    return outputs
  }

  /// Nothing has changed where this throws: it is called again when more has arrived.
  private mutating func response(_ reader: inout MessagePackReader) throws(MessagePackReader.Failure) -> [Output] {
    guard let header = try reader.value().map, let sequence = header["Seq"]?.integer else { throw .invalid }
    let error = header["Error"]?.text ?? ""
    if sequence == streamSequence, error.isEmpty {
      guard let body = try reader.value().map else { throw .invalid }
      return [.event(body["Event"]?.text ?? "", Self.members(body))]
    }
    guard let request = awaited[sequence] else { throw .invalid }
    guard error.isEmpty else {
      awaited[sequence] = nil
      return [request == .setTag || request == .removeTag ? .tagRefused(error) : .failed("it answers: \(error)")]
    }
    var outputs: [Output] = []
    switch request {
    case .handshake:
      if let authenticationKey {
        send(.authentication, "auth", ["AuthKey": .text(authenticationKey)])
      } else {
        outputs.append(.ready)
      }
    case .authentication: outputs.append(.ready)
    case .members:
      guard let body = try reader.value().map else { throw .invalid }
      outputs.append(.members(Self.members(body)))
    case .stream: streamSequence = sequence
    case .setTag: outputs.append(.tagSet)
    case .removeTag: outputs.append(.tagRemoved)
    }
    awaited[sequence] = nil
    return outputs
  }

  /// Those that can be understood.
  private static func members(_ body: [String: MessagePack]) -> [SerfMember] {
    (body["Members"]?.array ?? []).compactMap { value in
      guard let fields = value.map, let name = fields["Name"]?.text, let status = fields["Status"]?.text else {
        return nil
      }
      let address = fields["Addr"]?.bytes.flatMap(text(of:)) ?? ""
      let tags = (fields["Tags"]?.map ?? [:]).compactMapValues(\.text)
      return SerfMember(name: name, address: address, tags: tags, isAlive: status == "alive")
    }
  }

  /// 4 bytes, or 16, in which an IPv4 address may stand as well (RFC 4291, section 2.5.5.2).
  static func text(of address: [UInt8]) -> String? {
    let mapped: [UInt8] = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF]
    let isMapped = address.count == 16 && address.starts(with: mapped)
    let bytes = isMapped ? Array(address.dropFirst(12)) : address
    guard bytes.count == 4 || bytes.count == 16 else { return nil }
    var text = [CChar](repeating: 0, count: Int(INET6_ADDRSTRLEN))
    guard inet_ntop(bytes.count == 4 ? AF_INET : AF_INET6, bytes, &text, socklen_t(text.count)) != nil else {
      return nil
    }
    return String(decoding: text.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
  }
}
