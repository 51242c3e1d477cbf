import NexusModel
import NexusRESP
import NexusStore

/// The handlers of the commands on keys of any type; `CommandTable.keyCommands` declares them.
enum Keys {}

extension Keys {
  /// DEL and UNLINK: a large value's memory goes back outside of the lock either way.
  static func del(_ call: inout Call) {
    var removed = 0
    call.forEachKey(from: 1) { call, store, key in
      let taken = store.lock(key, as: call.worker)
      let entry = store.find(key, now: call.now, touch: false)
      if let entry {
        store.remove(key, entry)
        removed += 1
      }
      call.engine.filler.invalidate(key)
      call.countDelete(found: entry != nil)
      store.unlock(key, taken)
    }
    call.reply(integer: removed)
  }

  static func exists(_ call: inout Call) { countPresent(&call, touch: false) }
  static func touch(_ call: inout Call) { countPresent(&call, touch: true) }

  /// A key named twice counts twice.
  private static func countPresent(_ call: inout Call, touch: Bool) {
    var present = 0
    call.forEachKey(from: 1) { call, store, key in
      let taken = store.lock(key, as: call.worker)
      let found = store.find(key, now: call.now, touch: touch) != nil
      store.unlock(key, taken)
      call.countLookup(found: found)
      if found { present += 1 }
    }
    call.reply(integer: present)
  }

  static func type(_ call: inout Call) {
    let found = inspect(&call, 1) { $0.type }
    call.reply(simple: found?.redisName ?? "none")
  }

  /// What `body` sees in the live entry under this argument, without that counting as a use; nil if there is none.
  @inline(__always)
  static func inspect<Result>(_ call: inout Call, _ index: Int, _ body: (Entry) -> Result) -> Result? {
    let (store, key) = (call.store, call.key(index))
    let taken = store.lock(key, as: call.worker)
    let result = store.find(key, now: call.now, touch: false).map(body)
    store.unlock(key, taken)
    call.countLookup(found: result != nil)
    return result
  }
}

extension ValueType {
  /// As TYPE answers it and SCAN filters by it.
  var redisName: StaticString {
    switch self {
    case .string: "string"
    // The name of RedisBloom's type.
    case .cuckooFilter: "MBbloomCF"
    }
  }
}
