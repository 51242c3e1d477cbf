import NexusModel
import NexusRESP
import NexusStore

/// The handlers of the string commands; `Command.stringCommands` declares them.
enum Strings {}

extension Strings {
  static func get(_ call: inout Call) {
    call.withFilled(call.key(1)) { call, value in
      call.countGet(found: value != nil)
      if let value { call.reply(bulk: value) } else { call.replyNull() }
    }
  }

  static func strlen(_ call: inout Call) {
    call.withFilled(call.key(1)) { call, value in
      call.countLookup(found: value != nil)
      call.reply(integer: value?.count ?? 0)
    }
  }

  static func mget(_ call: inout Call) {
    if call.engine.filler.fills(call.namespace) { return mgetFilled(&call) }
    call.reply(arrayOf: call.count - 1)
    call.forEachKey(from: 1) { call, store, key in
      let taken = store.lock(key, as: call.worker)
      let entry = store.find(key, now: call.now, touch: call.touches)
      call.countGet(found: entry != nil)
      if let entry, entry.isString { call.reply(bulk: entry.value) } else { call.replyNull() }
      store.unlock(key, taken)
    }
  }

  private static func mgetFilled(_ call: inout Call) {
    guard call.allFilled(from: 1) else { return }
    call.reply(arrayOf: call.count - 1)
    for index in 1..<call.count {
      call.withFilledOrNull(call.key(index)) { call, value in
        call.countGet(found: value != nil)
        if let value { call.reply(bulk: value) } else { call.replyNull() }
      }
    }
  }

  /// GETRANGE and its old name SUBSTR.
  static func getrange(_ call: inout Call) {
    guard let first = call.requireInteger(2), let last = call.requireInteger(3) else { return }
    call.withFilled(call.key(1)) { call, value in
      call.countLookup(found: value != nil)
      guard let value, !isBackwards(first, last),
        let range = positions(from: first, through: last, of: value.count)
      else { return call.reply(bulk: "") }
      call.reply(bulk: UnsafeRawBufferPointer(rebasing: value[range]))
    }
  }
}

/// Redis's inclusive ranges: negative indexes count from the end, what lies outside is cut off. Nil for a range without
/// any position.
func positions(from first: Int, through last: Int, of count: Int) -> Range<Int>? {
  let lower = max(0, first < 0 ? first + count : first)
  let upper = min(count - 1, max(0, last < 0 ? last + count : last))
  return count > 0 && lower <= upper ? lower..<upper + 1 : nil
}

/// GETRANGE and BITCOUNT refuse such a range even where cutting it off at the start would leave one position.
func isBackwards(_ first: Int, _ last: Int) -> Bool { first < 0 && last < 0 && first > last }
