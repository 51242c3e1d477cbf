import NexusModel
import NexusRESP
import NexusService

/// A command whose parts run with several members: what has come back of them, and the one reply that it makes.
final class Gathering {
  /// Some of the command's keys, which one member or slot has.
  struct Part {
    /// Which keys, counted from 0 in the order of the command.
    var keys: [Int]
    /// Who was asked, where every member is.
    var member: MemberID?
    /// How many slots that member has, and the mark that SCAN's cursors have of it.
    var weight = 1
    var mark: UInt64 = 0
    /// A reply's bytes, or why there is none. Nil while it is under way.
    var outcome: Outcome?
  }

  enum Outcome {
    case replied([UInt8])
    /// The reply, once the write has its copies.
    case held([UInt8])
    case failed(OperationFailure)
  }

  let command: Int
  let spread: Command.Spread
  let database: UInt16
  let protocolVersion: UInt8
  let flags: Operation.Flags
  /// The place in the session's queue.
  var place: UInt32 = 0
  /// The client does not want the reply.
  var isSilent = false
  /// The command's arguments, copied: a part that finds its slots elsewhere is divided anew.
  let arguments: [[UInt8]]
  /// From one key to the next among the arguments.
  let step: Int
  /// A number that chooses where any of several replies will do.
  var chance: UInt64 = 0
  /// FLUSHDB and FLUSHALL where slots have copies.
  var flush: Flush?
  var parts: [Part] = []
  /// Parts that have not come back.
  var missing = 0

  init(
    command: Int, spread: Command.Spread, session: Session, flags: Operation.Flags,
    arguments: [[UInt8]], step: Int
  ) {
    self.command = command
    self.spread = spread
    database = UInt16(session.database)
    protocolVersion = UInt8(session.protocolVersion)
    self.flags = flags
    self.arguments = arguments
    self.step = step
  }

  var keyCount: Int { (arguments.count - 1) / step }
  func key(_ index: Int) -> [UInt8] { arguments[1 + index * step] }

  /// The arguments of a command on these keys alone.
  func arguments(of keys: [Int]) -> [[UInt8]] {
    var words = [arguments[0]]
    for key in keys { words += arguments[(1 + key * step)..<(1 + key * step + step)] }
    return words
  }

  // MARK: The one reply

  /// Merges what the parts replied. Where a part failed, or replied an error, the reply is an error that names its
  /// keys and says why: never OK, a count or values for a part of what was asked.
  func writeReply(_ out: inout OutputBuffer) {
    if spread != .everywhere(.least), let failure = failureText() {
      return failure.withBytes { out.writeError(bytes: $0) }
    }
    switch spread {
    case .values: writeValues(&out)
    case .sum:
      var sum = 0
      for part in parts { sum += part.integer ?? 0 }
      out.writeInteger(sum)
    case .everywhere(let merge): writeMerged(merge, &out)
    case .all, .oneSlot, .here, .anywhere: out.writeOK()
    }
  }

  private func writeValues(_ out: inout OutputBuffer) {
    var elements = [Range<Int>](repeating: 0..<0, count: keyCount)
    var source = [Int](repeating: 0, count: keyCount)
    for (number, part) in parts.enumerated() {
      guard case .replied(let bytes) = part.outcome else { continue }
      for (key, element) in zip(part.keys, ReplySpan.elements(of: bytes)) {
        elements[key] = element
        source[key] = number
      }
    }
    out.writeArrayHeader(keyCount)
    for key in 0..<keyCount {
      guard case .replied(let bytes) = parts[source[key]].outcome else { continue }
      bytes[elements[key]].withUnsafeBytes { out.append($0) }
    }
  }

  // MARK: Failures

  /// How many keys an error names before it only counts them.
  static let namedKeysMost = 16

  private func failureText() -> FailureText? {
    var text = FailureText()
    var failed = 0
    for part in parts {
      guard let reason = part.reason else { continue }
      if let member = part.member {
        failed += 1
        text.add(Array(member.text.utf8), reason)
      }
      for key in part.keys {
        failed += 1
        if failed <= Self.namedKeysMost { text.add(self.key(key), reason) }
      }
    }
    guard failed > 0 else { return nil }
    if parts.contains(where: { $0.member != nil }) {
      text.finish(failed: failed, of: parts.count, "members", unnamed: 0)
    } else {
      text.finish(failed: failed, of: keyCount, "keys", unnamed: max(0, failed - Self.namedKeysMost))
    }
    return text
  }
}

extension Gathering.Part {
  /// Why the part counts for nothing; nil if it does count.
  var reason: String? {
    switch outcome {
    case .failed(let failure): failure.sentence
    case .replied(let bytes) where bytes.first == UInt8(ascii: "-"):
      String(decoding: bytes.dropFirst().prefix { $0 != 13 }, as: UTF8.self)
    case .replied, .held, nil: nil
    }
  }

  var integer: Int? {
    guard case .replied(let bytes) = outcome, bytes.first == UInt8(ascii: ":") else { return nil }
    return Int(String(decoding: bytes.dropFirst().prefix { $0 != 13 }, as: UTF8.self))
  }
}

/// `PARTIAL 2 of 5 keys failed: k1 (reason), k2 (reason)`
private struct FailureText {
  private var keys: [UInt8] = []
  private var head: [UInt8] = []

  /// Long keys are cut; what is not printable becomes `?`.
  mutating func add(_ key: [UInt8], _ reason: String) {
    if !keys.isEmpty { keys += Array(", ".utf8) }
    keys += key.prefix(64).map { (0x21...0x7E).contains($0) ? $0 : UInt8(ascii: "?") }
    if key.count > 64 { keys += Array("...".utf8) }
    keys += Array(" (\(reason))".utf8)
  }

  mutating func finish(failed: Int, of count: Int, _ what: String, unnamed: Int) {
    head = Array("PARTIAL \(failed) of \(count) \(what) failed: ".utf8)
    if unnamed > 0 { keys += Array(" and \(unnamed) more".utf8) }
  }

  func withBytes(_ body: (UnsafeRawBufferPointer) -> Void) { (head + keys).withUnsafeBytes(body) }
}
