import NexusModel
import NexusRESP
import NexusService
import NexusStore

extension Keys {
  /// More entries than a node can hold.
  private static let wholeDatabase = 1 << 40

  static func scan(_ call: inout Call) {
    guard let cursor = ScanCursor.parse(call[1]) else { return call.reply(error: "ERR invalid cursor") }
    var (budget, pattern, type) = (10, Int?.none, Int?.none)
    var index = 2
    while index < call.count {
      guard index + 1 < call.count else { return call.replySyntaxError() }
      if call.matches(index, "COUNT") {
        guard let number = call.requireInteger(index + 1) else { return }
        guard number >= 1 else { return call.replySyntaxError() }
        budget = min(number, wholeDatabase)
      } else if call.matches(index, "MATCH") {
        pattern = index + 1
      } else if call.matches(index, "TYPE") {
        type = index + 1
      } else {
        return call.replySyntaxError()
      }
      index += 2
    }
    let filter = pattern.map { call[$0] }.flatMap { GlobPattern.matchesEverything($0) ? nil : $0 }
    let start = call.out.count
    var found = 0
    let next = call.store.scan(
      call.namespace, from: cursor, budget: budget, as: call.worker, now: call.now, where: call.engine.ownSlots
    ) { entry in
      if let filter, !GlobPattern.matches(filter, entry.keyBytes) { return }
      if let type, !call.matches(type, entry.type.redisName) { return }
      call.reply(bulk: entry.keyBytes)
      found += 1
    }
    let end = call.out.count
    call.reply(arrayOf: 2)
    call.reply(bulk: String(next))
    call.reply(arrayOf: found)
    call.moveTail(from: end, to: start)
  }

  /// One pass over everything: a key that is there all the time stands in the answer once.
  static func keys(_ call: inout Call) {
    let pattern = call[1]
    let all = GlobPattern.matchesEverything(pattern)
    let start = call.out.count
    var found = 0
    var cursor: UInt64 = 0
    repeat {
      cursor = call.store.scan(
        call.namespace, from: cursor, budget: wholeDatabase, as: call.worker, now: call.now,
        where: call.engine.ownSlots
      ) { entry in
        guard all || GlobPattern.matches(pattern, entry.keyBytes) else { return }
        call.reply(bulk: entry.keyBytes)
        found += 1
      }
    } while cursor != 0
    let end = call.out.count
    call.reply(arrayOf: found)
    call.moveTail(from: end, to: start)
  }

  static func randomkey(_ call: inout Call) {
    let chance = call.engine.chance()
    let found = call.store.randomEntry(
      call.namespace, random: chance, as: call.worker, now: call.now, where: call.engine.ownSlots
    ) { call.reply(bulk: $0.keyBytes) }
    if !found { call.replyNull() }
  }

  static func dbsize(_ call: inout Call) {
    guard let ownSlots = call.engine.ownSlots else { return call.reply(integer: call.store.count(in: call.namespace)) }
    call.reply(
      integer: call.store.count(in: call.namespace, where: ownSlots, as: call.worker, now: call.now))
  }

  // MARK: Whole databases

  static func flushdb(_ call: inout Call) {
    guard acceptsFlushOption(&call) else { return }
    flush(call, call.namespace)
    call.engine.interests.flushed([call.namespace], as: call.worker)
    call.engine.node.announceFlush(of: [call.namespace], at: call.now)
    call.replyOK()
  }

  static func flushall(_ call: inout Call) {
    guard acceptsFlushOption(&call) else { return }
    let namespaces = Array(call.store.configuredNumbers)
    for namespace in namespaces { flush(call, namespace) }
    call.engine.interests.flushed(namespaces, as: call.worker)
    call.engine.node.announceFlush(of: nil, at: call.now)
    call.replyOK()
  }

  private static func flush(_ call: Call, _ namespace: NamespaceNumber) {
    call.door.watches.willFlush(namespace, as: call.worker, now: call.now)
    call.store.flush(namespace, as: call.worker)
  }

  /// As every member flushes one database, or (nil) everything: what is newer than `stamp` stays.
  static func flush(_ engine: Engine, database: Int?, _ stamp: Stamp) {
    let one = database.map { [engine.databases.namespace(of: $0)] }
    let namespaces = one ?? Array(engine.store.configuredNumbers)
    for namespace in namespaces {
      engine.door.watches.willFlush(namespace, as: engine.worker, now: engine.loop.now)
      engine.store.flush(namespace, stamp: stamp, as: engine.worker)
    }
    engine.interests.flushed(namespaces, as: engine.worker)
    engine.node.announceFlush(of: one, at: engine.loop.now)
  }

  /// SYNC and ASYNC mean the same: the namespace is empty at once, its memory returns in the background.
  private static func acceptsFlushOption(_ call: inout Call) -> Bool {
    if isFlushOption(call) { return true }
    call.replySyntaxError()
    return false
  }

  static func isFlushOption(_ call: Call) -> Bool {
    call.count == 1 || (call.count == 2 && (call.matches(1, "SYNC") || call.matches(1, "ASYNC")))
  }
}

enum ScanCursor {
  /// A cursor as C's `strtoul` reads it, which is what Redis accepts: nothing is 0, a sign is allowed and a minus
  /// wraps around, a zero byte ends it. Nil for anything else.
  static func parse(_ text: UnsafeRawBufferPointer) -> UInt64? {
    let characters = text.prefix { $0 != 0 }
    if characters.isEmpty { return 0 }
    let sign = characters.first == UInt8(ascii: "-") || characters.first == UInt8(ascii: "+")
    let digits = sign ? characters.dropFirst() : characters
    guard !digits.isEmpty else { return nil }
    var value: UInt64 = 0
    for byte in digits {
      let digit = byte &- UInt8(ascii: "0")
      let (tenfold, overflowed) = value.multipliedReportingOverflow(by: 10)
      let (sum, carried) = tenfold.addingReportingOverflow(UInt64(digit))
      guard digit <= 9, !overflowed, !carried else { return nil }
      value = sum
    }
    return characters.first == UInt8(ascii: "-") ? 0 &- value : value
  }
}

extension Call {
  /// Moves what has been written from `end` on before what has been written from `start` on: the header of elements
  /// that were counted while being written.
  mutating func moveTail(from end: Int, to start: Int) {
    let length = out.count - end
    withUnsafeTemporaryAllocation(byteCount: length, alignment: 8) { header in
      header.copyMemory(from: UnsafeRawBufferPointer(start: out.base + end, count: length))
      (out.base + start + length).copyMemory(from: out.base + start, byteCount: end - start)
      (out.base + start).copyMemory(from: header.baseAddress!, byteCount: length)
    }
  }
}
