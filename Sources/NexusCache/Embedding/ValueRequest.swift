import NexusModel
import NexusService
import NexusStore

/// What an embedding program asks of one key.
struct ValueRequest: Sendable {
  enum Action: UInt8, Sendable {
    case read = 0
    case write = 1
    case delete = 2
    /// Load it anew; the old value answers until the new one has come.
    case refresh = 3
    /// Asked by the node that owns the key, and has no loader, of one that has: load it, and store nothing.
    case load = 4
  }

  var action: Action
  var namespace: NamespaceNumber
  var key: [UInt8]
  var value: [UInt8] = []
  var life = TimeToLive.namespaceDefault
  /// The asking node has a loader for the namespace: an owner without one may borrow it.
  var mayLoad = false
  /// What another member may take to answer.
  var timeoutMilliseconds = 0
}

/// As one member gives it to another: version, action and whether the asking one may load; key; value; time to live in
/// milliseconds as decimal digits (empty: the namespace's; 0: for ever).
extension ValueRequest {
  private static let version: UInt8 = 1

  func withOperation(_ slot: UInt16, _ body: (Operation) -> Void) {
    let life =
      switch life {
      case .namespaceDefault: ""
      case .unlimited: "0"
      case .milliseconds(let count): "\(count)"
      }
    let pieces = [[Self.version, action.rawValue, mayLoad ? 1 : 0], key, value, Array(life.utf8)]
    let bytes = pieces.flatMap { $0 }
    bytes.withUnsafeBytes { bytes in
      var start = 0
      let arguments = pieces.map { piece in
        defer { start += piece.count }
        return Argument(base: bytes.baseAddress! + start, count: piece.count)
      }
      arguments.withUnsafeBufferPointer { arguments in
        body(
          Operation(
            kind: .value, flags: flags, database: namespace, protocolVersion: 2,
            slot: Slot(index: slot), timeoutMilliseconds: UInt32(clamping: timeoutMilliseconds),
            arguments: arguments))
      }
    }
  }

  private var flags: Operation.Flags {
    switch action {
    case .read: .readOnly
    case .load: [.readOnly, .thisNode]
    case .write, .delete, .refresh: []
    }
  }

  /// Nil if a member of another version means something that this one does not know.
  init?(_ operation: Operation) {
    let arguments = operation.arguments
    guard operation.kind == .value, arguments.count == 4, arguments[0].count == 3,
      arguments[0].bytes[0] == Self.version, let action = Action(rawValue: arguments[0].bytes[1])
    else { return nil }
    self.init(
      action: action, namespace: operation.database, key: Array(arguments[1].bytes), value: Array(arguments[2].bytes))
    mayLoad = arguments[0].bytes[2] == 1
    guard arguments[3].count > 0 else { return }
    guard let milliseconds = Int64(String(decoding: arguments[3].bytes, as: UTF8.self)), milliseconds >= 0 else {
      return nil
    }
    life = milliseconds == 0 ? .unlimited : .milliseconds(milliseconds)
  }
}

/// What became of it.
enum ValueReply: Sendable {
  case value([UInt8])
  case absent
  /// Of a delete: the key was there. Of anything else: true.
  case done(Bool)
  case failed(CacheError)
}

/// As the executing member gives it back: a letter, for a failure its reason, then the value or the sentence.
extension ValueReply {
  private enum Letter {
    static let value = UInt8(ascii: "v"), absent = UInt8(ascii: "a"), done = UInt8(ascii: "d")
    static let nothing = UInt8(ascii: "n"), failed = UInt8(ascii: "f")
  }

  func append(to out: inout OutputBuffer) {
    switch self {
    case .value(let bytes):
      out.append(byte: Letter.value)
      bytes.withUnsafeBytes { out.append($0) }
    case .absent: out.append(byte: Letter.absent)
    case .done(true): out.append(byte: Letter.done)
    case .done(false): out.append(byte: Letter.nothing)
    case .failed(let error):
      out.append(byte: Letter.failed)
      out.append(byte: error.reason.rawValue)
      out.append(error.description)
    }
  }

  init(payload: UnsafeRawBufferPointer) {
    switch payload.first {
    case Letter.value: self = .value(Array(payload.dropFirst()))
    case Letter.absent: self = .absent
    case Letter.done: self = .done(true)
    case Letter.nothing: self = .done(false)
    case Letter.failed where payload.count > 1:
      let reason = CacheError.Reason(rawValue: payload[1]) ?? .refused
      self = .failed(CacheError(reason, String(decoding: payload.dropFirst(2), as: UTF8.self)))
    default:
      self = .failed(CacheError(.refused, "a member of another version answered in a way that is not known here"))
    }
  }
}
