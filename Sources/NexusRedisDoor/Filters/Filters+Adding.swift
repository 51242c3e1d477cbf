import NexusModel
import NexusRESP
import NexusSketch
import NexusStore

extension Filters {
  static func reserve(_ call: inout Call) {
    guard let plan = FilterOptions(reserving: &call)?.plan(&call) else { return }
    withRoom(&call) { call, key, room in
      if let entry = call.find(key) {
        if call.filter(entry) != nil { call.reply(error: "ERR item exists") }
        return 0
      }
      let needed = key.count + plan.byteCount
      if needed > room { return needed }
      if create(&call, key, plan) == nil { call.replyOutOfMemory() } else { call.replyOK() }
      return 0
    }
  }

  static func add(_ call: inout Call) { addOne(&call, onlyNew: false) }
  static func addnx(_ call: inout Call) { addOne(&call, onlyNew: true) }
  static func insert(_ call: inout Call) { insert(&call, onlyNew: false) }
  static func insertnx(_ call: inout Call) { insert(&call, onlyNew: true) }

  private static func addOne(_ call: inout Call, onlyNew: Bool) {
    add(
      &call,
      Addition(
        plan: FilterOptions.standardPlan, items: 2..<3, onlyNew: onlyNew, isOne: true, limitBytes: call.filterBytesMax))
  }

  private static func insert(_ call: inout Call, onlyNew: Bool) {
    // The plan is checked even where it will not be needed: what is asked for is right or wrong whatever exists.
    guard let options = FilterOptions(inserting: &call), let plan = options.plan(&call) else { return }
    add(
      &call,
      Addition(
        plan: options.creates ? plan : nil, items: options.firstItem..<call.count, onlyNew: onlyNew, isOne: false,
        limitBytes: call.filterBytesMax))
  }

  /// Runs `body` under the lock of the first key, with the room that has been made for it so far. It answers 0 when it
  /// has replied; otherwise how much room it takes, and has changed nothing: room is made outside of the lock, and how
  /// much is only known under it.
  private static func withRoom(_ call: inout Call, _ body: (inout Call, Key, Int) -> Int) {
    var room = 0
    while true {
      let needed = call.withKey { call, key in body(&call, key, room) }
      if needed == 0 { return }
      guard call.admit(needed) else { return }
      room = needed
    }
  }

  private static func create(_ call: inout Call, _ key: Key, _ plan: CuckooFilterPlan) -> Entry? {
    // The seed follows from the key: filters differ, and those who run the same commands make the same bytes.
    let seed = CuckooFilter.seed(for: key.bytes)
    let outcome = call.store.resize(key, nil, to: plan.byteCount, call.kept(nil), type: .cuckooFilter) {
      _ = CuckooFilterView(plan, seed: seed, in: $0)
    }
    return outcome == .stored ? call.store.find(key, now: call.now, touch: false) : nil
  }

  // MARK: Adding

  private enum Added { case yes, present, full, noRoom }

  /// What is to be added, and how the answer looks.
  private struct Addition {
    let plan: CuckooFilterPlan?
    let items: Range<Int>
    let onlyNew: Bool
    /// One number or an error, instead of an array of numbers.
    let isOne: Bool
    let limitBytes: Int
  }

  private static func add(_ call: inout Call, _ addition: Addition) {
    withRoom(&call) { call, key, room in
      var found = call.find(key)
      if found == nil {
        guard let plan = addition.plan else {
          call.replyNoFilter()
          return 0
        }
        let needed = key.count + plan.byteCount(holding: addition.items.count, limitBytes: addition.limitBytes)
        if needed > room { return needed }
        found = create(&call, key, plan)
        if found == nil { call.replyOutOfMemory() }
      }
      guard let entry = found, let filter = call.filter(entry) else { return 0 }
      let needed = filter.byteCount(holding: addition.items.count, limitBytes: addition.limitBytes)
      if needed > filter.byteCount, key.count + needed > room { return key.count + needed }
      return add(&call, key, entry, filter, addition, room)
    }
  }

  private static func add(
    _ call: inout Call, _ key: Key, _ found: Entry, _ opened: CuckooFilterView, _ addition: Addition, _ room: Int
  ) -> Int {
    var (entry, filter) = (found, opened)
    var isChanged = false
    let mark = call.out.count
    if !addition.isOne { call.reply(arrayOf: addition.items.count) }
    for index in addition.items {
      var step = add(call[index], to: filter, addition)
      if case .grow(let byteCount) = step {
        let needed = key.count + byteCount
        if needed > room, !call.store.admitsAtOnce(needed, in: key.namespace) {
          // Rare: a layer is full before its capacity, because many items are alike to it.
          if !isChanged {
            call.out.count = mark
            return needed
          }
          step = .done(.noRoom)
        } else if let grown = grow(&call, key, entry, to: byteCount) {
          (entry, filter) = grown
          step = add(call[index], to: filter, addition)
        } else {
          step = .done(.noRoom)
        }
      }
      if case .done(let added) = step {
        if added == .yes { isChanged = true }
        reply(&call, added, addition.isOne)
      } else {
        // A new layer that takes nothing: not one of ours.
        reply(&call, .full, addition.isOne)
      }
    }
    if isChanged { call.store.changed(key) }
    return 0
  }

  private enum Step {
    case done(Added)
    case grow(Int)
  }

  private static func add(
    _ item: UnsafeRawBufferPointer, to filter: CuckooFilterView, _ addition: Addition
  ) -> Step {
    if addition.onlyNew, filter.contains(item) { return .done(.present) }
    switch filter.add(item) {
    case .added: return .done(.yes)
    case .full: return .done(.full)
    case .needsBytes(let byteCount): return byteCount <= addition.limitBytes ? .grow(byteCount) : .done(.full)
    }
  }

  private static func grow(
    _ call: inout Call, _ key: Key, _ entry: Entry, to byteCount: Int
  ) -> (Entry, CuckooFilterView)? {
    let former = entry.value.count
    var hasGrown = false
    let outcome = call.store.resize(key, entry, to: byteCount, type: .cuckooFilter) {
      hasGrown = CuckooFilterView.grow($0, from: former)
    }
    guard outcome == .stored, hasGrown, let grown = call.store.find(key, now: call.now, touch: false),
      let filter = CuckooFilterView(grown.mutableValue)
    else { return nil }
    return (grown, filter)
  }

  private static func reply(_ call: inout Call, _ added: Added, _ isOne: Bool) {
    switch added {
    case .yes: call.reply(integer: 1)
    case .present: call.reply(integer: 0)
    case .full where isOne: call.reply(error: "ERR Filter is full")
    case .noRoom where isOne: call.replyOutOfMemory()
    case .full, .noRoom: call.reply(integer: -1)
    }
  }
}
