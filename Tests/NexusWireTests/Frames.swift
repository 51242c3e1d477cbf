import NexusModel
import NexusTestSupport
import NexusWire

/// A frame of random messages, what it says, and where its items end.
struct SampleFrame {
  var bytes: [UInt8] = []
  var description = Description()
  /// Offsets at which a frame that ends there is whole.
  var boundaries: Set<Int> = []

  init(_ samples: inout Samples, items: Int) {
    let version = samples.number()
    var counts: [String: Int] = [:]
    var description = Description()
    var boundaries: Set<Int> = [0]
    bytes = written { out in
      PeerFrame.begin(&out, placementVersion: PlacementVersion(digest: version))
      boundaries.insert(out.count)
      for _ in 0..<items {
        Self.append(samples.dice.pick(FrameKind.allCases), &samples, &out, &description, &counts)
        boundaries.insert(out.count)
      }
    }
    description.add(version: version, counts: counts)
    self.description = description
    self.boundaries = boundaries
  }

  static func append(
    _ kind: FrameKind, _ samples: inout Samples, _ out: inout OutputBuffer, _ description: inout Description,
    _ counts: inout [String: Int]
  ) {
    let isSingular = [.hello, .proof, .membership, .goodbye].contains(kind)
    // A second one of these would be merged with the first by Google's readers.
    if isSingular, counts[kind.path] != nil { return }
    let path = isSingular ? kind.path : "\(kind.path)[\(counts[kind.path, default: 0])]"
    counts[kind.path] = isSingular ? 0 : counts[kind.path, default: 0] + 1
    func put<Message: PeerMessage>(_ message: Message, _ describe: (inout Description, String, Message) -> Void) {
      PeerFrame.append(message, to: &out)
      describe(&description, path, message)
    }
    switch kind {
    case .operation:
      let (operation, arguments) = samples.operation()
      arguments.withUnsafeBufferPointer { operation.append(to: &out, arguments: $0) }
      description.add(path, operation, arguments)
    case .reply:
      let reply = samples.reply()
      if case .payload(let bytes) = reply.outcome, samples.flag() {
        let opening = Reply.open(reply.id, in: &out)
        out.append(bytes)
        Reply.close(opening, in: &out)
      } else {
        reply.append(to: &out)
      }
      description.add(path, reply)
    case .hello: put(samples.hello()) { $0.add($1, $2) }
    case .proof:
      put(Proof(authenticationCode: (0..<samples.dice.within(16...64)).map(UInt8.init))) { $0.add($1, $2) }
    case .membership: put(samples.membership()) { $0.add($1, $2) }
    // Their codecs are with their shells.
    case .ownership, .replication: counts[kind.path] = nil
    case .entries:
      put(
        Entries(
          slot: samples.slot(), entries: samples.list { $0.entry() }, absent: samples.list { $0.key() },
          isLast: samples.flag(), pull: samples.number(), sequence: samples.number32())
      ) { $0.add($1, $2) }
    case .fetch:
      put(
        Fetch(
          id: samples.number(), slot: samples.slot(), holding: samples.number(), keys: samples.list { $0.key() })
      ) { $0.add($1, $2) }
    case .fetched:
      put(
        Fetched(
          id: samples.number(), entries: samples.list { $0.entry() }, absent: samples.list { $0.key() },
          unknown: samples.list { $0.key() })
      ) { $0.add($1, $2) }
    case .event: put(samples.event()) { $0.add($1, $2) }
    case .goodbye: put(Goodbye(reason: samples.text())) { $0.add($1, $2) }
    case .confirmed:
      put(Confirmed(through: samples.number(), refused: samples.list { $0.number() })) { $0.add($1, $2) }
    case .effects:
      let (first, entries) = (samples.number(), samples.list { $0.entry() })
      Self.append(first, entries, &out)
      description.add(path, firstSequence: first, entries)
    case .part:
      put(
        Part(id: samples.number32(), total: samples.number(), data: samples.raw(), isLast: samples.flag())
      ) { $0.add($1, $2) }
    }
  }

  /// As a loop does it: entries first, into a buffer of their own.
  private static func append(_ firstSequence: UInt64, _ entries: [WireEntry], _ out: inout OutputBuffer) {
    let bytes = written { buffer in for entry in entries { Effects.append(entry, to: &buffer) } }
    Effects.begin(&out, firstSequence: firstSequence, entryBytes: bytes.count)
    bytes.withUnsafeBytes { out.append($0) }
  }
}

extension FrameKind {
  /// The field's name in PeerFrame.
  var path: String {
    switch self {
    case .operation: "operations"
    case .reply: "replies"
    case .hello: "hello"
    case .proof: "proof"
    case .membership: "membership"
    case .ownership: "ownership"
    case .replication: "replication"
    case .entries: "entries"
    case .fetch: "fetches"
    case .fetched: "fetched"
    case .event: "events"
    case .goodbye: "goodbye"
    case .part: "parts"
    case .confirmed: "confirmed"
    case .effects: "effects"
    }
  }
}

extension Description {
  /// All that a frame says, read by our reader.
  init(frame: UnsafeRawBufferPointer) throws(WireError) {
    var reader = try FrameReader(frame)
    var counts: [String: Int] = [:]
    var arguments: [UnsafeRawBufferPointer] = []
    while let item = try reader.next() {
      let isSingular = [.hello, .proof, .membership, .goodbye].contains(item.kind)
      let path = isSingular ? item.kind.path : "\(item.kind.path)[\(counts[item.kind.path, default: 0])]"
      counts[item.kind.path] = isSingular ? 0 : counts[item.kind.path, default: 0] + 1
      switch item.kind {
      case .operation:
        let operation = try Operation.decode(item.bytes, into: &arguments)
        add(path, operation, arguments)
      case .reply: add(path, try Reply(decoding: item.bytes))
      case .hello: add(path, try Hello(decoding: item.bytes))
      case .proof: add(path, try Proof(decoding: item.bytes))
      case .membership: add(path, try Membership(decoding: item.bytes))
      case .ownership, .replication: break
      case .entries: add(path, try Entries(decoding: item.bytes))
      case .fetch: add(path, try Fetch(decoding: item.bytes))
      case .fetched: add(path, try Fetched(decoding: item.bytes))
      case .event: add(path, try Event(decoding: item.bytes))
      case .goodbye: add(path, try Goodbye(decoding: item.bytes))
      case .part: add(path, try Part(decoding: item.bytes))
      case .confirmed: add(path, try Confirmed(decoding: item.bytes))
      case .effects:
        let effects = try Effects(decoding: item.bytes)
        var entries: [WireEntry] = []
        try effects.each { entries.append($0) }
        add(path, firstSequence: effects.firstSequence, entries)
      }
    }
    add(version: reader.placementVersion.digest, counts: counts)
  }

  /// Reads from memory of exactly this size, so that the address sanitizer sees a read beyond it.
  static func frame(_ bytes: [UInt8]) -> Result<Description, WireError> {
    let memory = Memory()
    let place = memory.keep(bytes)
    return withExtendedLifetime(memory) {
      do throws(WireError) { return .success(try Description(frame: place)) } catch { return .failure(error) }
    }
  }
}
