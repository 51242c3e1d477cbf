import NexusModel
import NexusService
import NexusWire

/// In this module the word means what doors give away; the wire's form of it is named in full.
typealias Operation = NexusService.Operation

/// Operations as they travel.
extension Operation {
  /// The wire's head of it.
  @inline(__always) func wire(id: UInt32, timeoutMilliseconds: UInt32) -> NexusWire.Operation {
    NexusWire.Operation(
      id: id, hops: 1, database: UInt32(database), slot: UInt32(slot.index), respVersion: UInt32(protocolVersion),
      timeoutMilliseconds: timeoutMilliseconds, flags: UInt32(flags.rawValue),
      kind: OperationKind(rawValue: UInt32(kind.rawValue)))
  }

  @inline(__always) func append(to out: inout OutputBuffer, id: UInt32, timeoutMilliseconds: UInt32) {
    wire(id: id, timeoutMilliseconds: timeoutMilliseconds)
      .append(to: &out, argumentCount: arguments.count) { arguments[$0].bytes }
  }

  /// By itself, as one frame without a version would hold it.
  var encoded: [UInt8] {
    var out = OutputBuffer(capacity: 256)
    defer { out.deallocate() }
    append(to: &out, id: 0, timeoutMilliseconds: timeoutMilliseconds)
    return Array(out.bytes)
  }

  /// Nil for what this build does not know. The arguments are set by whoever has gathered them.
  @inline(__always) init?(_ wire: NexusWire.Operation) {
    guard let kind = Kind(rawValue: UInt8(truncatingIfNeeded: wire.kind.rawValue)), wire.kind.rawValue < 256,
      wire.database < 1 << 16, wire.slot < UInt32(Slot.count)
    else { return nil }
    self.init(
      kind: kind, flags: Flags(rawValue: UInt16(truncatingIfNeeded: wire.flags)).subtracting(.compared),
      database: UInt16(wire.database),
      protocolVersion: wire.respVersion == 3 ? 3 : 2, slot: Slot(index: UInt16(wire.slot)),
      timeoutMilliseconds: wire.timeoutMilliseconds, arguments: UnsafeBufferPointer(start: nil, count: 0))
  }
}

extension ParkedOperation {
  /// Hands the operation, read again from its bytes, to `body`.
  func withOperation<Result>(_ body: (Operation) -> Result) -> Result {
    bytes.withUnsafeBytes { bytes in
      var arguments: [Argument] = []
      let base = UnsafeRawPointer(bytes.baseAddress!)
      guard
        let wire = try? Self.wire(bytes, { arguments.append(Argument(base: $0.baseAddress ?? base, count: $0.count)) }),
        var operation = Operation(wire)
      else { preconditionFailure("an operation that was encoded here cannot be read") }
      if quorum == .reached { operation.flags.insert(.compared) } else { operation.flags.remove(.compared) }
      if isFromCopy { operation.flags.insert(.fromReplica) } else { operation.flags.remove(.fromReplica) }
      return arguments.withUnsafeBufferPointer { arguments in
        operation.arguments = arguments
        return body(operation)
      }
    }
  }

  private static func wire(
    _ bytes: UnsafeRawBufferPointer, _ argument: (UnsafeRawBufferPointer) -> Void
  ) throws(WireError) -> NexusWire.Operation? {
    var reader = try FrameReader(bytes)
    return try reader.next().map { item throws(WireError) in
      try NexusWire.Operation(decoding: item.bytes, each: argument)
    }
  }
}
