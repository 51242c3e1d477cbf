import NexusModel
import NexusWire

// Frames of the peer protocol: whatever arrives is read within its bytes, and what was read, written again, reads the
// same.

@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzOne(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
  guard let start, count > 0 else { return 0 }
  let frame = UnsafeRawBufferPointer(start: start, count: count)
  again(GossipPacket.self, frame)
  do { try readFrame(frame) } catch { precondition(!error.description.isEmpty) }
  return 0
}

func readFrame(_ frame: UnsafeRawBufferPointer) throws(WireError) {
  var reader = try FrameReader(frame)
  var assembler = FrameAssembler(frameLimitBytes: 1000, limitBytes: 1500, limitFrames: 3)
  while let item = try reader.next() {
    precondition(item.bytes.count <= frame.count)
    switch item.kind {
    case .operation: operation(item.bytes)
    case .reply: reply(item.bytes)
    case .hello: again(Hello.self, item.bytes)
    case .proof: again(Proof.self, item.bytes)
    case .membership: again(Membership.self, item.bytes)
    case .ownership: break
    case .entries: again(Entries.self, item.bytes)
    case .fetch: again(Fetch.self, item.bytes)
    case .fetched: again(Fetched.self, item.bytes)
    case .event: again(Event.self, item.bytes)
    case .goodbye: again(Goodbye.self, item.bytes)
    case .confirmed: again(Confirmed.self, item.bytes)
    case .effects: effects(item.bytes)
    case .part:
      again(Part.self, item.bytes)
      if let whole = try assembler.add(Part(decoding: item.bytes)) { whole.deallocate() }
      precondition(assembler.heldBytes <= 1500 && assembler.unfinishedCount <= 3)
    }
  }
}

/// A message that can be read is written so that it reads and writes the same for ever after.
func again<Message: WireMessage>(_ type: Message.Type, _ bytes: UnsafeRawBufferPointer) {
  guard let message = try? Message(decoding: bytes) else { return }
  var first = OutputBuffer(capacity: 1)
  var second = OutputBuffer(capacity: 1)
  defer {
    first.deallocate()
    second.deallocate()
  }
  message.encode(to: &first)
  precondition(first.count == message.encodedCount)
  guard let copy = try? Message(decoding: first.bytes) else { fatalError("\(type): what was written cannot be read") }
  copy.encode(to: &second)
  precondition(first.bytes.elementsEqual(second.bytes), "\(type): written twice, not the same")
}

func effects(_ bytes: UnsafeRawBufferPointer) {
  guard let read = try? Effects(decoding: bytes) else { return }
  var out = OutputBuffer(capacity: 1)
  defer { out.deallocate() }
  try? read.each { entry in
    out.count = 0
    Effects.append(entry, to: &out)
    precondition(out.count > entry.key.count + entry.value.count)
  }
}

func operation(_ bytes: UnsafeRawBufferPointer) {
  var arguments: [UnsafeRawBufferPointer] = []
  guard let read = try? Operation.decode(bytes, into: &arguments) else { return }
  var out = OutputBuffer(capacity: 1)
  defer { out.deallocate() }
  arguments.withUnsafeBufferPointer { read.append(to: &out, arguments: $0) }
  var copies: [UnsafeRawBufferPointer] = []
  guard var reader = try? FrameReader(out.bytes), let item = try? reader.next(),
    let copy = try? Operation.decode(item.bytes, into: &copies)
  else { fatalError("an operation that was written cannot be read") }
  precondition(copy == read && copies.count == arguments.count)
  precondition(zip(copies, arguments).allSatisfy { $0.elementsEqual($1) })
}

func reply(_ bytes: UnsafeRawBufferPointer) {
  guard let read = try? Reply(decoding: bytes) else { return }
  var first = OutputBuffer(capacity: 1)
  var second = OutputBuffer(capacity: 1)
  defer {
    first.deallocate()
    second.deallocate()
  }
  read.append(to: &first)
  guard var reader = try? FrameReader(first.bytes), let item = try? reader.next(),
    let copy = try? Reply(decoding: item.bytes)
  else { fatalError("a reply that was written cannot be read") }
  copy.append(to: &second)
  precondition(first.bytes.elementsEqual(second.bytes))
}
