import NexusModel
import NexusRESP
import NexusService
import NexusStore

@testable import NexusRedisDoor

/// Runs commands as one client's, without a socket and with a clock that stands where the test puts it.
final class CommandConsole {
  let node: Node
  let door: RedisDoor
  let engine: Engine
  let loop = StandingLoop()
  var session: Session

  init() {
    let store = try! Store(StoreConfiguration())
    node = Node(store: store, loopCount: 1, log: SilentLog(), startedAt: 0, runID: String(repeating: "0", count: 40))
    door = RedisDoor(node: node)
    engine = Engine(door: door, loop: loop)
    session = Session(
      id: 1, connection: ConnectionID(slot: 0, generation: 0),
      peer: PeerAddress(remote: "", local: "", descriptor: -1, isUnixSocket: false))
  }

  /// Changes the settings of the first database's namespace.
  func configure(_ change: (inout NamespaceSettings) -> Void) {
    var settings = node.store.settings(of: 0)!
    change(&settings)
    node.store.configure(0, settings, as: engine.worker)
  }

  /// The reply as the protocol has it.
  func send(_ words: [[UInt8]]) -> [UInt8] {
    // Words lie in one buffer, as they do when they arrive.
    let bytes = UnsafeMutableRawBufferPointer.allocate(byteCount: words.reduce(1) { $0 + $1.count }, alignment: 1)
    let arguments = UnsafeMutablePointer<Argument>.allocate(capacity: words.count)
    defer {
      bytes.deallocate()
      arguments.deallocate()
    }
    var end = 0
    for (index, word) in words.enumerated() {
      UnsafeMutableRawBufferPointer(rebasing: bytes[end...]).copyBytes(from: word)
      (arguments + index).initialize(to: Argument(base: bytes.baseAddress! + end, count: word.count))
      end += word.count
    }
    var index = door.commands.index(of: arguments[0].bytes)!
    if words.count > 1, let inner = door.commands.index(ofSubcommand: arguments[1].bytes, of: index) { index = inner }
    let command = door.commands.command(at: index)
    var call = Call(
      arguments: arguments, count: words.count, session: session, engine: engine, out: OutputBuffer(), now: loop.now,
      commandIndex: index)
    defer { call.out.deallocate() }
    if command.arity > 0 ? words.count == command.arity : words.count >= -command.arity {
      command.handler(&call)
    } else {
      call.replyWrongArity()
    }
    return Array(call.out.bytes)
  }

  /// The reply to a line as it is typed, in the notation of the transcripts.
  func type(_ line: String) -> String {
    var reader = ReplyReader(send(words(of: line)))
    return reader.next() + (reader.isAtEnd ? "" : " and more")
  }
}

/// A loop on which nothing happens by itself.
final class StandingLoop: EventLoop, @unchecked Sendable {
  let index = 0
  var now: UnixMilliseconds = 1_700_000_000_000
  var monotonicNanoseconds: UInt64 { UInt64(now) * 1_000_000 }
  func send(_ bytes: UnsafeRawBufferPointer, to id: ConnectionID) -> Bool { true }
  func close(_ id: ConnectionID, afterFlush: Bool) {}
  func resume(_ id: ConnectionID) {}
  func pendingOutputBytes(_ id: ConnectionID) -> Int { 0 }
  func pendingInputBytes(_ id: ConnectionID) -> Int { 0 }
  func after(milliseconds: Int, _ work: @escaping @Sendable () -> Void) {}
  func post(_ work: @escaping @Sendable () -> Void) {}
}

/// Words separated by spaces; in double quotes with `\n`, `\r`, `\"`, `\\` and `\xHH`.
func words(of line: String) -> [[UInt8]] {
  var words: [[UInt8]] = []
  var rest = Array(line.utf8)[...]
  while let first = rest.first {
    if first == UInt8(ascii: " ") {
      rest = rest.dropFirst()
    } else if first == UInt8(ascii: "\"") {
      var word: [UInt8] = []
      rest = rest.dropFirst()
      while let byte = rest.popFirst(), byte != UInt8(ascii: "\"") {
        guard byte == UInt8(ascii: "\\"), let escaped = rest.popFirst() else {
          word.append(byte)
          continue
        }
        switch escaped {
        case UInt8(ascii: "n"): word.append(10)
        case UInt8(ascii: "r"): word.append(13)
        case UInt8(ascii: "x"):
          word.append(UInt8(String(decoding: rest.prefix(2), as: UTF8.self), radix: 16)!)
          rest = rest.dropFirst(2)
        default: word.append(escaped)
        }
      }
      words.append(word)
    } else {
      let word = rest.prefix { $0 != UInt8(ascii: " ") }
      words.append(Array(word))
      rest = rest.dropFirst(word.count)
    }
  }
  return words
}

/// Replies in the notation of the transcripts: `+OK`, `-ERR ...`, `:1`, `"bulk"`, `nil`, `[elements]`.
struct ReplyReader {
  private var rest: ArraySlice<UInt8>

  init(_ bytes: [UInt8]) { rest = bytes[...] }

  var isAtEnd: Bool { rest.isEmpty }

  mutating func next() -> String {
    let line = rest.prefix { $0 != 13 }
    rest = rest.dropFirst(line.count + 2)
    let text = String(decoding: line, as: UTF8.self)
    switch text.first {
    case "$":
      guard let count = Int(text.dropFirst()), count >= 0 else { return "nil" }
      let bytes = rest.prefix(count)
      rest = rest.dropFirst(count + 2)
      return Self.quoted(bytes)
    case "_": return "nil"
    case "*", "~", ">":
      guard let count = Int(text.dropFirst()), count >= 0 else { return "nil" }
      return "[" + (0..<count).map { _ in next() }.joined(separator: " ") + "]"
    case "%":
      return "{" + (0..<Int(text.dropFirst())! * 2).map { _ in next() }.joined(separator: " ") + "}"
    default: return text
    }
  }

  private static func quoted(_ bytes: ArraySlice<UInt8>) -> String {
    var text = "\""
    for byte in bytes {
      switch byte {
      case UInt8(ascii: "\""), UInt8(ascii: "\\"): text += "\\" + String(UnicodeScalar(byte))
      case 32..<127: text += String(UnicodeScalar(byte))
      default: text += "\\x" + (byte < 16 ? "0" : "") + String(byte, radix: 16)
      }
    }
    return text + "\""
  }
}

/// A dialogue: lines that start with `> ` are sent, the line after each is the reply. Answers what differs.
func differences(_ transcript: String, on console: CommandConsole = CommandConsole()) -> [String] {
  var found: [String] = []
  var command: Substring?
  for line in transcript.split(separator: "\n") where !line.hasPrefix("#") {
    if line.hasPrefix("> ") {
      command = line.dropFirst(2)
    } else if let sent = command {
      let reply = console.type(String(sent))
      if reply != line { found.append("\(sent)\n  expected \(line)\n  but was  \(reply)") }
      command = nil
    }
  }
  return found
}
