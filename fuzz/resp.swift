import NexusModel
import NexusRESP

// Requests of the Redis protocol, and replies: whatever arrives, in whatever pieces, is read the same way, within the
// input, and only forwards. The short cut for GET and SET reads what the general parser reads.

@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzOne(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
  guard let start, count > 1 else { return 0 }
  // The first byte says in how large pieces the rest arrives.
  let piece = Int(start[0]) + 1
  let input = UnsafeRawBufferPointer(start: start + 1, count: count - 1)
  let whole = readAll(input, piece: input.count)
  let pieces = readAll(input, piece: piece)
  precondition(whole == pieces, "the same bytes in pieces of \(piece) read differently")
  compareLiteral(input, with: whole)
  precondition(
    readReplies(input, piece: input.count) == readReplies(input, piece: piece),
    "the same replies in pieces of \(piece) read differently")
  return 0
}

/// What the short cut finds at the start of the input is the first request.
func compareLiteral(_ input: UnsafeRawBufferPointer, with whole: Reading) {
  let copy = UnsafeMutableRawBufferPointer.allocate(byteCount: input.count, alignment: 1)
  copy.copyMemory(from: input)
  defer { copy.deallocate() }
  var cursor = UnsafeRawPointer(copy.baseAddress!)
  var key = Argument(base: cursor, count: 0)
  var value = key
  let literal = LiteralRequest.parse(&cursor, cursor + input.count, 512 << 20, &key, &value)
  guard literal != .other else { return }
  let found = literal == .get ? [Array(key.bytes)] : [Array(key.bytes), Array(value.bytes)]
  precondition(whole.requests.first.map { Array($0.dropFirst()) } == found, "the short cut reads another request")
}

func readReplies(_ input: UnsafeRawBufferPointer, piece: Int) -> [String] {
  var parser = ReplyParser(lengthLimit: 1 << 20)
  var found: [String] = []
  var done = 0
  while done < input.count {
    let end = min(input.count, done + piece)
    parser.append(UnsafeRawBufferPointer(rebasing: input[done..<end]))
    done = end
    do {
      while let reply = try parser.next() { found.append("\(reply)") }
    } catch {
      return found + ["\(error)"]
    }
  }
  return found
}

/// What was read, as far as it matters: the arguments of each request, and how it ended.
struct Reading: Equatable {
  var requests: [[[UInt8]]] = []
  var end = ""
}

func readAll(_ input: UnsafeRawBufferPointer, piece: Int) -> Reading {
  var parser = RequestParser()
  var arena = ArgumentArena(capacity: 16)
  var progress = ParseProgress()
  var reading = Reading()
  defer {
    parser.deallocate()
    arena.deallocate()
  }
  var done = 0
  var arrived = 0
  while arrived < input.count {
    arrived = min(input.count, arrived + piece)
    // A copy of exactly what has arrived, so that the sanitizer sees a read beyond it.
    let copy = UnsafeMutableRawBufferPointer.allocate(byteCount: arrived, alignment: 1)
    copy.copyMemory(from: UnsafeRawBufferPointer(rebasing: input[..<arrived]))
    defer { copy.deallocate() }
    let bytes = UnsafeRawBufferPointer(copy)
    next: while done < arrived {
      arena.count = 0
      switch parser.parse(bytes, from: done, &progress, &arena, RequestLimits()) {
      case .complete(let end), .inline(let end):
        precondition(end > done && end <= arrived)
        reading.requests.append((0..<arena.count).map { Array(arena.base[$0].bytes) })
        done = end
      case .ignored(let end):
        precondition(end > done && end <= arrived)
        done = end
      case .incomplete: break next
      case .invalid(let error):
        reading.end = "\(error)"
        return reading
      }
    }
  }
  return reading
}
