import NexusModel
import NexusRESP
import NexusStore

/// BITOP: bytes of several values, combined one by one; shorter values count as followed by zeros.
enum BitOperation {
  case and, or, xor, not

  init?(_ call: borrowing Call, _ index: Int) {
    if call.matches(index, "AND") {
      self = .and
    } else if call.matches(index, "OR") {
      self = .or
    } else if call.matches(index, "XOR") {
      self = .xor
    } else if call.matches(index, "NOT") {
      self = .not
    } else {
      return nil
    }
  }

  /// Combines a source into the result, which holds the ones before it; `isFirst` replaces what it holds.
  func apply(_ source: UnsafeRawBufferPointer, to result: UnsafeMutableRawBufferPointer, isFirst: Bool) {
    guard let target = result.baseAddress else { return }
    if isFirst {
      result.copyMemory(from: source)
      UnsafeMutableRawBufferPointer(rebasing: result[source.count...]).initializeMemory(as: UInt8.self, repeating: 0)
      if self == .not { for index in 0..<result.count { result[index] = ~result[index] } }
      return
    }
    var offset = 0
    if let bytes = source.baseAddress {
      while offset + 8 <= source.count {
        let one = target.loadUnaligned(fromByteOffset: offset, as: UInt64.self)
        let other = bytes.loadUnaligned(fromByteOffset: offset, as: UInt64.self)
        target.storeBytes(of: combine(one, other), toByteOffset: offset, as: UInt64.self)
        offset += 8
      }
      while offset < source.count {
        result[offset] = UInt8(truncatingIfNeeded: combine(UInt64(result[offset]), UInt64(source[offset])))
        offset += 1
      }
    }
    if self == .and {
      UnsafeMutableRawBufferPointer(rebasing: result[offset...]).initializeMemory(as: UInt8.self, repeating: 0)
    }
  }

  @inline(__always) private func combine(_ one: UInt64, _ other: UInt64) -> UInt64 {
    switch self {
    case .and: one & other
    case .or: one | other
    case .xor, .not: one ^ other
    }
  }
}

extension Bits {
  static func bitop(_ call: inout Call) {
    guard let operation = BitOperation(call, 1) else { return call.replySyntaxError() }
    if operation == .not && call.count != 4 {
      return call.reply(error: "ERR BITOP NOT must be called with a single source key.")
    }
    // The result's length is known only under the locks, its room is made outside of them: measured first, and
    // measured again where a source has grown meanwhile.
    var length = 0
    var finished = false
    call.withAllLocked(from: 2) { call, keys in
      finished = !longestSource(&call, keys, &length)
    }
    while !finished {
      guard call.admit(call[2].count + length + Call.fleetingRoom(length)) else { return }
      call.withScratch(length) { call, scratch in
        call.withAllLocked(from: 2) { call, keys in
          guard longestSource(&call, keys, &length) else {
            finished = true
            return
          }
          guard length <= scratch.count else { return }
          finished = true
          let result = UnsafeMutableRawBufferPointer(rebasing: scratch[..<length])
          for (index, key) in keys.dropFirst().enumerated() {
            let source = call.find(key)
            let bytes = source?.value ?? UnsafeRawBufferPointer(start: nil, count: 0)
            operation.apply(bytes, to: result, isFirst: index == 0)
          }
          store(&call, UnsafeRawBufferPointer(result), under: keys[0])
        }
      }
    }
  }

  /// False after replying that a source is not a string.
  private static func longestSource(
    _ call: inout Call, _ keys: UnsafeBufferPointer<Key>, _ length: inout Int
  ) -> Bool {
    length = 0
    for key in keys.dropFirst() {
      let source = call.find(key)
      guard call.isString(source) else { return false }
      length = max(length, source?.value.count ?? 0)
    }
    return true
  }

  private static func store(_ call: inout Call, _ result: UnsafeRawBufferPointer, under key: Key) {
    let target = call.store.find(key, now: call.now, touch: false)
    if result.isEmpty {
      if let target { call.store.remove(key, target) }
    } else {
      guard call.succeeded(call.store.put(key, over: target, result, call.defaultExpiry())) else { return }
    }
    call.reply(integer: result.count)
  }
}
