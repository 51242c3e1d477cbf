import NexusModel
import NexusService
import NexusStore

@testable import NexusHTTPDoor

// HTTP requests behind libmicrohttpd's parsing: whatever method, path, headers and body they have, each gets a status
// that says whose fault it was, never a 5xx, and unless it asked for raw bytes or a page of text, JSON that our own
// strict reader takes.
//
// An input is a script of requests, each a line `METHOD path?query`, a tab before every `name:value`, then one byte
// with the body's length, then the body.

@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzOneInput(_ start: UnsafePointer<UInt8>?, _ count: Int) -> Int32 {
  let input = UnsafeRawBufferPointer(start: start, count: count)
  checkJSON(input)
  bench.clear()
  var rest = input[...]
  for _ in 0..<16 where !rest.isEmpty { bench.serve(nextRequest(&rest)) }
  return 0
}

nonisolated(unsafe) private let bench = Bench()

struct FuzzedRequest {
  var method: [CChar] = []
  var target: Slice<UnsafeRawBufferPointer>
  var headers: [(name: Slice<UnsafeRawBufferPointer>, value: Slice<UnsafeRawBufferPointer>)] = []
  var body: [UInt8] = []
}

func nextRequest(_ rest: inout Slice<UnsafeRawBufferPointer>) -> FuzzedRequest {
  let lineEnd = rest.firstIndex(of: 0x0A) ?? rest.endIndex
  let fields = rest[..<lineEnd].split(separator: 0x09, omittingEmptySubsequences: false)
  rest = lineEnd < rest.endIndex ? rest[(lineEnd + 1)...] : rest[rest.endIndex...]
  let first = fields[0].split(separator: 0x20, maxSplits: 1, omittingEmptySubsequences: false)
  var request = FuzzedRequest(target: first.count > 1 ? first[1] : first[0])
  request.method = first[0].prefix(16).map { CChar(bitPattern: $0) }.filter { $0 != 0 } + [0]
  for field in fields.dropFirst() {
    let parts = field.split(separator: UInt8(ascii: ":"), maxSplits: 1, omittingEmptySubsequences: false)
    request.headers.append((parts[0], parts.count > 1 ? parts[1] : parts[0].prefix(0)))
  }
  if let length = rest.popFirst() {
    request.body = Array(rest.prefix(Int(length)))
    rest = rest.dropFirst(Int(length))
  }
  return request
}

final class Bench {
  let responder: Responder

  init() {
    var store = StoreConfiguration()
    store.maxMemoryBytes = 64 << 20
    let node = Node(
      store: try! Store(store), loopCount: 1, log: SilentLog(), startedAt: 0, runID: String(repeating: "0", count: 40))
    responder = Responder(node: node, loop: 0, configuration: HTTPConfiguration(), seed: 1)
  }

  /// Every input starts from an empty store.
  func clear() {
    let store = responder.node.store
    for number in store.configuredNumbers { store.flush(number, as: responder.keyspace.worker) }
  }

  func serve(_ request: FuzzedRequest) {
    let mark = request.target.firstIndex(of: UInt8(ascii: "?")) ?? request.target.endIndex
    var head = RequestHead(
      method: request.method.withUnsafeBufferPointer { RequestHead.Method($0.baseAddress!) },
      path: UnsafeRawBufferPointer(rebasing: request.target[..<mark]))
    for pair in request.target[mark...].dropFirst().split(separator: UInt8(ascii: "&")) {
      let parts = pair.split(separator: UInt8(ascii: "="), maxSplits: 1, omittingEmptySubsequences: false)
      head.note(
        parameter: UnsafeRawBufferPointer(rebasing: parts[0]),
        UnsafeRawBufferPointer(rebasing: parts.count > 1 ? parts[1] : parts[0].prefix(0)))
    }
    for (name, value) in request.headers {
      head.note(header: UnsafeRawBufferPointer(rebasing: name), UnsafeRawBufferPointer(rebasing: value))
    }
    // A copy of exactly its length, so that the address sanitizer sees every step beyond it.
    let body = UnsafeMutableRawBufferPointer.allocate(byteCount: request.body.count, alignment: 1)
    defer { body.deallocate() }
    body.copyBytes(from: request.body)
    guard case .reply(let reply) = responder.respond(to: head, body: body, now: 1_700_000_000_000) else {
      preconditionFailure("a node by itself has every key")
    }
    defer { reply.deallocate() }
    precondition((200...499).contains(reply.status), "status \(reply.status)")
    if case .json = reply.contentType {
      precondition(fault(reply.bytes) == nil, "a reply is not JSON: \(String(decoding: reply.bytes, as: UTF8.self))")
    }
  }
}

func fault(_ text: UnsafeRawBufferPointer) -> JSONFault? {
  var reader = JSONReader(text)
  do throws(JSONFault) {
    _ = try reader.value()
    try reader.end()
    return nil
  } catch { return error }
}

/// A text that is taken as a string decodes to UTF-8 that prints and reads back as itself; base 64 comes back too.
func checkJSON(_ input: UnsafeRawBufferPointer) {
  var printed = OutputBuffer(capacity: 64)
  defer { printed.deallocate() }
  if printed.appendJSONString(input) {
    precondition(fault(printed.bytes) == nil)
    let inside = UnsafeMutableRawBufferPointer(start: printed.base + 1, count: printed.count - 2)
    precondition(JSONText.decodeInPlace(inside).elementsEqual(input))
  }
  printed.count = 0
  printed.appendBase64(input)
  let text = UnsafeMutableRawBufferPointer(start: printed.base, count: printed.count)
  precondition(Base64.decodeInPlace(text)?.elementsEqual(input) == true)

  var reader = JSONReader(input)
  guard let value = try? reader.value(), value.kind == .string else { return }
  let copy = UnsafeMutableRawBufferPointer.allocate(byteCount: value.end - value.start, alignment: 1)
  defer { copy.deallocate() }
  copy.copyMemory(from: UnsafeRawBufferPointer(rebasing: input[value.start..<value.end]))
  let decoded = JSONText.decodeInPlace(UnsafeMutableRawBufferPointer(rebasing: copy[1..<(copy.count - 1)]))
  printed.count = 0
  precondition(printed.appendJSONString(decoded), "a decoded string is not UTF-8")
}
