import NexusModel
import NexusRESP
import NexusStore

extension Strings {
  static func set(_ call: inout Call) {
    if call.count == 3 {
      guard store(&call, value: 2, call.defaultExpiry()) else { return }
      return call.replyOK()
    }
    guard let options = SetOptions(&call, from: 3, isGetex: false),
      let moment = options.moment(&call)
    else { return }
    call.withKey(1) { call, key in
      let entry = call.find(key)
      // What is overwritten may be of any type; what is answered is a string.
      if options.answersOld, !call.isString(entry) { return }
      let wanted =
        switch options.condition {
        case .always: true
        case .ifAbsent: entry == nil
        case .ifPresent: entry != nil
        }
      // The old value is answered before it is overwritten, and taken back where the write then fails.
      let mark = call.out.count
      if options.answersOld {
        call.countGet(found: entry != nil)
        if let entry { call.reply(bulk: entry.value) } else { call.replyNull() }
      } else if !wanted {
        call.replyNull()
      }
      guard wanted else { return }
      let expiry =
        switch (moment, options.lifetime) {
        case (let moment?, _): Expiry.at(moment)
        case (nil, .keep): call.kept(entry)
        case (nil, _): call.defaultExpiry()
        }
      guard call.set(key, over: entry, call[2], expiry, undoing: mark), !options.answersOld else { return }
      call.replyOK()
    }
  }

  /// Stores argument `value` under argument 1, whatever was there. False after replying that there is no room.
  @inline(__always)
  private static func store(_ call: inout Call, value: Int, _ expiry: Expiry) -> Bool {
    let outcome = call.store.set(
      call.key(1), to: call[value], expiry, touch: call.touches, as: call.worker, now: call.now)
    return call.counted(outcome)
  }

  static func setnx(_ call: inout Call) {
    let (store, key) = (call.store, call.key(1))
    let taken = store.lock(key, as: call.worker)
    defer { store.unlock(key, taken) }
    guard store.find(key, now: call.now, touch: call.touches) == nil else { return call.reply(integer: 0) }
    guard call.set(key, over: nil, call[2], call.defaultExpiry()) else { return }
    call.reply(integer: 1)
  }

  static func setex(_ call: inout Call) { setWithLifetime(&call, unit: 1000) }
  static func psetex(_ call: inout Call) { setWithLifetime(&call, unit: 1) }

  private static func setWithLifetime(_ call: inout Call, unit: Int) {
    guard let number = call.requireInteger(2),
      let moment = expiryMoment(&call, number, unit: unit, relative: true),
      store(&call, value: 3, .at(moment))
    else { return }
    call.replyOK()
  }

  static func getset(_ call: inout Call) {
    let key = call.key(1)
    call.withString(key) { call, entry in
      call.countGet(found: entry != nil)
      let mark = call.out.count
      if let entry { call.reply(bulk: entry.value) } else { call.replyNull() }
      _ = call.set(key, over: entry, call[2], call.defaultExpiry(), undoing: mark)
    }
  }

  static func getdel(_ call: inout Call) {
    let key = call.key(1)
    call.withString(key) { call, entry in
      call.countGet(found: entry != nil)
      guard let entry else { return call.replyNull() }
      call.reply(bulk: entry.value)
      call.store.remove(key, entry)
    }
  }

  static func getex(_ call: inout Call) {
    guard let options = SetOptions(&call, from: 2, isGetex: true) else { return }
    let key = call.key(1)
    call.withString(key) { call, entry in
      guard let entry else { return call.replyLoaded(key) }
      call.countGet(found: true)
      guard let moment = options.moment(&call) else { return }
      let mark = call.out.count
      call.reply(bulk: entry.value)
      if let moment, moment <= call.now { return call.store.remove(key, entry) }
      let changed =
        switch (moment, options.lifetime) {
        case (let moment?, _): call.store.setExpiry(key, entry, .at(moment))
        case (nil, .persist) where entry.expiresAt != 0: call.store.setExpiry(key, entry, .none)
        default: entry
        }
      if changed == nil {
        call.out.count = mark
        call.replyOutOfMemory()
      }
    }
  }

  // MARK: Many keys

  static func mset(_ call: inout Call) {
    if call.count % 2 == 0 { return call.replyWrongArity() }
    call.withAllLocked(from: 1, step: 2) { call, keys in
      if putAll(&call, keys) { call.replyOK() }
    }
  }

  static func msetnx(_ call: inout Call) {
    if call.count % 2 == 0 { return call.replyWrongArity() }
    call.withAllLocked(from: 1, step: 2) { call, keys in
      for key in keys where call.store.find(key, now: call.now, touch: false) != nil {
        return call.reply(integer: 0)
      }
      if putAll(&call, keys) { call.reply(integer: 1) }
    }
  }

  private static func putAll(_ call: inout Call, _ keys: UnsafeBufferPointer<Key>) -> Bool {
    let store = call.store
    for (index, key) in keys.enumerated() {
      let entry = store.find(key, now: call.now, touch: call.touches)
      guard call.set(key, over: entry, call[2 + index * 2], call.defaultExpiry()) else { return false }
    }
    return true
  }
}
