import NexusModel
import NexusRESP
import NexusService
import NexusStore

extension Keys {
  private enum Relocation { case done, noSource, targetExists, noRoom }

  static func rename(_ call: inout Call) {
    switch relocate(&call, from: call.key(1), to: call.key(2), replacing: true, removing: true) {
    case .done, .targetExists: call.replyOK()
    case .noSource: call.replyNoSuchKey()
    case .noRoom: call.replyOutOfMemory()
    }
  }

  static func renamenx(_ call: inout Call) {
    switch relocate(&call, from: call.key(1), to: call.key(2), replacing: false, removing: true) {
    case .done: call.reply(integer: 1)
    case .targetExists: call.reply(integer: 0)
    case .noSource: call.replyNoSuchKey()
    case .noRoom: call.replyOutOfMemory()
    }
  }

  static func copy(_ call: inout Call) {
    var database = call.session.database
    var replacing = false
    var index = 3
    while index < call.count {
      if call.matches(index, "REPLACE") {
        replacing = true
      } else if call.matches(index, "DB"), index + 1 < call.count {
        guard let number = requireDatabase(&call, index + 1) else { return }
        database = number
        index += 1
      } else {
        return call.replySyntaxError()
      }
      index += 1
    }
    let target = call.store.key(call[2], in: call.door.databases.namespace(of: database))
    if target.namespace == call.namespace && call[1].elementsEqual(call[2]) { return replySame(&call) }
    reply(&call, relocate(&call, from: call.key(1), to: target, replacing: replacing, removing: false))
  }

  static func move(_ call: inout Call) {
    guard let database = requireDatabase(&call, 2) else { return }
    if database == call.session.database { return replySame(&call) }
    let target = call.store.key(call[1], in: call.door.databases.namespace(of: database))
    reply(&call, relocate(&call, from: call.key(1), to: target, replacing: false, removing: true))
  }

  private static func replySame(_ call: inout Call) {
    call.reply(error: "ERR source and destination objects are the same")
  }

  private static func reply(_ call: inout Call, _ relocation: Relocation) {
    switch relocation {
    case .done: call.reply(integer: 1)
    case .noSource, .targetExists: call.reply(integer: 0)
    case .noRoom: call.replyOutOfMemory()
    }
  }

  /// A database's number, 0...15; nil after replying that it is none, or that the connection is in none.
  private static func requireDatabase(_ call: inout Call, _ index: Int) -> Int? {
    if call.namesNamespace(index) {
      call.reply(
        error: "ERR keys are moved and copied between the databases 0 to 15; '", quoting: index, "' is a namespace")
      return nil
    }
    if call.session.database >= Databases.count {
      call.reply(
        error: "ERR keys are moved and copied between the databases 0 to 15; this connection is in the namespace "
          + "'\(call.engine.user(of: call.session))'")
      return nil
    }
    guard let number = call.requireInteger(index) else { return nil }
    guard let number = Int32(exactly: number) else {
      call.reply(error: "ERR value is out of range, value must between -2147483648 and 2147483647")
      return nil
    }
    guard 0..<16 ~= Int(number) else {
      call.reply(error: "ERR DB index is out of range")
      return nil
    }
    return Int(number)
  }

  /// Puts an entry's value and expiry under another key, and takes the first away where `removing`. A key is its own
  /// target without any change.
  ///
  /// The value goes from one entry straight into the other: a `put` never moves an entry but the one it is for. What
  /// stays in its namespace needs room only for the moment in which both are there.
  private static func relocate(
    _ call: inout Call, from source: Key, to target: Key, replacing: Bool, removing: Bool
  ) -> Relocation {
    let isFleeting = removing && source.namespace == target.namespace
    var outcome: Relocation?
    var room = isFleeting ? 0 : target.count + 512
    while outcome == nil {
      if room > 0, !hasRoom(&call, room, in: target.namespace) { return .noRoom }
      call.withLocked(source, target) { call in
        let existing = call.store.find(target, now: call.now, touch: false)
        // Last of the two: where this removes an expired entry, `existing` is not used any more.
        guard let entry = call.find(source) else {
          outcome = .noSource
          return
        }
        if source.isSame(as: target) || (existing != nil && !replacing) {
          outcome = .targetExists
          return
        }
        let value = entry.value
        let needed = isFleeting ? Call.fleetingRoom(value.count) : target.count + value.count
        guard needed <= room else {
          room = needed
          return
        }
        let expiry = entry.expiresAt == 0 ? Expiry.none : .at(entry.expiresAt)
        let tags = entry.tags
        guard call.store.put(target, over: existing, value, expiry, type: entry.type) == .stored else {
          outcome = .noRoom
          return
        }
        if !tags.isEmpty, let moved = call.store.find(target, now: call.now, touch: false) {
          _ = call.store.setFields(target, moved, tags: tags)
        }
        if removing, let entry = call.store.find(source, now: call.now, touch: false) {
          call.store.remove(source, entry)
        }
        outcome = .done
      }
    }
    return outcome!
  }

  private static func hasRoom(_ call: inout Call, _ byteCount: Int, in namespace: NamespaceNumber) -> Bool {
    if call.engine.isHolding { return call.engine.hasRoomWhileHolding(byteCount, in: namespace) }
    return call.engine.isExecuting
      || call.store.admit(byteCount, in: namespace, as: call.worker, now: call.now) == .stored
  }
}

extension Key {
  func isSame(as other: Key) -> Bool {
    hash == other.hash && namespace == other.namespace && bytes.elementsEqual(other.bytes)
  }
}
