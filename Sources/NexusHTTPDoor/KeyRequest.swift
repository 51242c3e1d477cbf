import NexusModel
import NexusService
import NexusStore

/// A request for one key, taken apart and found good: what is left is to run it, here or on the member that executes
/// the key's slot.
struct KeyRequest {
  enum Action: UInt8, BitwiseCopyable {
    case read = 0
    case write = 1
    case delete = 2
    /// Loads anew.
    case refresh = 3
    /// As delete, otherwise replied.
    case invalidate = 4
    /// Removes what this node executes of the keys that begin with this one.
    case purge = 5
    /// Removes what this node executes of the entries that have this tag.
    case purgeTag = 6

    var waitsForCopies: Bool {
      switch self {
      case .write, .delete, .invalidate: true
      case .read, .refresh, .purge, .purgeTag: false
      }
    }
  }

  var action: Action
  /// Borrowed, as `value` is.
  var key: Key
  var form = Reply.Form.json
  /// What to store.
  var value = UnsafeRawBufferPointer(start: nil, count: 0)
  var life = TimeToLive.namespaceDefault
  /// Of what is stored; none: those that are there stay.
  var tags = TagList()
  /// The writer says that this will be read often, everywhere.
  var isHot = false
  /// A read that the copy here of what another member executes may answer.
  var acceptsCopy = false
  /// More than half of the copies have been compared.
  var isCompared = false
  /// What the writer asks for; nil: the namespace's.
  var acknowledgement: Acknowledgement?

  init(_ action: Action, _ key: Key) {
    self.action = action
    self.key = key
  }
}

/// As one member gives it to another: three arguments, of which the first says what is meant (version, action, flags,
/// kind of TTL, then its milliseconds in little-endian order), the second is the key and the third the value; a
/// fourth has the tags, if there are any.
extension KeyRequest {
  private static let version: UInt8 = 1
  private static let headBytes = 12
  private static let bytesFlag: UInt8 = 1
  private static let plainFlag: UInt8 = 8
  private static let hotFlag: UInt8 = 16
  /// Two bits: 0 where the writer did not ask, else the level's place among all and 1.
  private static let acknowledgementShift: UInt8 = 1

  func withOperation<Result>(_ body: (Operation) -> Result) -> Result {
    withUnsafeTemporaryAllocation(byteCount: Self.headBytes, alignment: 8) { head in
      head[0] = Self.version
      head[1] = action.rawValue
      head[2] = Self.flag(of: form) | (isHot ? Self.hotFlag : 0)
      if let acknowledgement, let place = Acknowledgement.allCases.firstIndex(of: acknowledgement) {
        head[2] |= UInt8(place + 1) << Self.acknowledgementShift
      }
      let (kind, milliseconds): (UInt8, Int64) =
        switch life {
        case .namespaceDefault: (0, 0)
        case .unlimited: (1, 0)
        case .milliseconds(let count): (2, count)
        }
      head[3] = kind
      head.storeBytes(of: milliseconds.littleEndian, toByteOffset: 4, as: Int64.self)
      return withUnsafeTemporaryAllocation(of: Argument.self, capacity: 4) { arguments in
        let start = UnsafeRawPointer(head.baseAddress!)
        arguments.initializeElement(at: 0, to: Argument(base: start, count: Self.headBytes))
        arguments.initializeElement(at: 1, to: Argument(base: key.base, count: key.count))
        arguments.initializeElement(at: 2, to: Argument(base: value.baseAddress ?? start, count: value.count))
        return tags.withBytes { tags in
          arguments.initializeElement(at: 3, to: Argument(base: tags.baseAddress ?? start, count: tags.count))
          return body(
            Operation(
              kind: .http, flags: flags, database: key.namespace,
              protocolVersion: 2, slot: Slot(index: key.slot),
              arguments: UnsafeBufferPointer(rebasing: arguments[..<(tags.isEmpty ? 3 : 4)])))
        }
      }
    }
  }

  private var flags: Operation.Flags {
    switch action {
    case .read: .readOnly
    case .purge, .purgeTag: .thisNode
    default: []
    }
  }

  private static func flag(of form: Reply.Form) -> UInt8 {
    switch form {
    case .json: 0
    case .bytes: bytesFlag
    case .plain: plainFlag
    }
  }

  /// Nil if a member of another version means something that this one does not know. The namespace is one that there
  /// is.
  init?(_ operation: Operation, _ store: Store) {
    let arguments = operation.arguments
    guard operation.kind == .http, 3...4 ~= arguments.count, arguments[0].count == Self.headBytes else { return nil }
    let head = arguments[0].bytes
    guard head[0] == Self.version, let action = Action(rawValue: head[1]), head[2] < 32 else { return nil }
    self.init(action, store.key(arguments[1].bytes, in: operation.database))
    form = head[2] & Self.plainFlag != 0 ? .plain : head[2] & Self.bytesFlag != 0 ? .bytes : .json
    isHot = head[2] & Self.hotFlag != 0
    acceptsCopy = operation.flags.contains(.fromReplica)
    isCompared = operation.flags.contains(.compared)
    let level = Int(head[2] >> Self.acknowledgementShift & 3)
    if level > 0 { acknowledgement = Acknowledgement.allCases[level - 1] }
    value = arguments[2].bytes
    if arguments.count == 4 {
      guard let list = TagList(arguments[3].bytes) else { return nil }
      tags = list
    }
    let milliseconds = Int64(littleEndian: head.loadUnaligned(fromByteOffset: 4, as: Int64.self))
    switch head[3] {
    case 0: life = .namespaceDefault
    case 1: life = .unlimited
    case 2 where milliseconds > 0: life = .milliseconds(milliseconds)
    default: return nil
    }
  }
}

/// As the executing member gives it back: status (two bytes, little-endian), kind of body, body.
extension Reply {
  private static let headBytes = 3

  func append(to out: inout OutputBuffer) {
    out.append(byte: UInt8(truncatingIfNeeded: status))
    out.append(byte: UInt8(truncatingIfNeeded: status >> 8))
    out.append(byte: contentType.rawValue)
    out.append(bytes)
  }

  /// Nil if the bytes are none that `append` writes.
  init?(payload: UnsafeRawBufferPointer) {
    guard payload.count >= Self.headBytes, let type = ContentType(rawValue: payload[2]) else { return nil }
    let status = UInt16(payload[0]) | UInt16(payload[1]) << 8
    guard 200...599 ~= status else { return nil }
    var body = OutputBuffer(capacity: payload.count - Self.headBytes)
    body.append(UnsafeRawBufferPointer(rebasing: payload[Self.headBytes...]))
    self.init(status: status, type, .owned(body))
  }
}
