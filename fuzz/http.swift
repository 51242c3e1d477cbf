import NexusModel
import NexusService
import NexusStore

@testable import NexusHTTPDoor

// An HTTP request behind libmicrohttpd's parsing: any method, path, headers and body get a reply with a status that
// says whose fault it was, and never a 5xx.
//
// The input: a byte for the method, the path up to a newline, `name:value` lines up to an empty one, the body.

nonisolated(unsafe) let responder: Responder = {
  var store = StoreConfiguration()
  store.maxMemoryBytes = 64 << 20
  let node = Node(
    store: Store(store), loopCount: 1, log: SilentLog(), startedAt: 0, runID: String(repeating: "0", count: 40))
  return Responder(node: node, loop: 0, configuration: HTTPConfiguration(), seed: 1)
}()

@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzOne(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
  guard let start, count > 1 else { return 0 }
  let copy = UnsafeMutableRawBufferPointer.allocate(byteCount: count, alignment: 1)
  defer { copy.deallocate() }
  copy.copyMemory(from: UnsafeRawBufferPointer(start: start, count: count))
  let input = UnsafeRawBufferPointer(copy)
  let method = RequestHead.Method(rawValue: input[0] % 6)!
  var at = 1
  func line() -> UnsafeRawBufferPointer {
    let begin = at
    while at < input.count, input[at] != UInt8(ascii: "\n") { at += 1 }
    let end = at
    at = min(input.count, at + 1)
    return UnsafeRawBufferPointer(rebasing: input[begin..<end])
  }
  let target = line()
  let mark = target.firstIndex(of: UInt8(ascii: "?")) ?? target.count
  var head = RequestHead(method: method, path: UnsafeRawBufferPointer(rebasing: target[..<mark]))
  for part in target.dropFirst(mark + 1).split(separator: UInt8(ascii: "&")) {
    let (name, value) = halves(UnsafeRawBufferPointer(rebasing: part), UInt8(ascii: "="))
    head.note(parameter: name, value)
  }
  while at < input.count {
    let header = line()
    if header.isEmpty { break }
    let (name, value) = halves(header, UInt8(ascii: ":"))
    head.note(header: name, value)
  }
  let body = UnsafeMutableRawBufferPointer(rebasing: copy[at...])
  let reply = responder.respond(to: head, body: body, now: 1_700_000_000_000)
  precondition((200...499).contains(reply.status), "status \(reply.status)")
  reply.deallocate()
  return 0
}

func halves(
  _ text: UnsafeRawBufferPointer, _ separator: UInt8
) -> (UnsafeRawBufferPointer, UnsafeRawBufferPointer) {
  let middle = text.firstIndex(of: separator) ?? text.count
  return (
    UnsafeRawBufferPointer(rebasing: text[..<middle]),
    UnsafeRawBufferPointer(rebasing: text[min(text.count, middle + 1)...])
  )
}
