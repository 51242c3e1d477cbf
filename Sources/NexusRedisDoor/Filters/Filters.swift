import NexusModel
import NexusRESP
import NexusSketch
import NexusStore

/// The handlers of the filter commands; `CommandTable.filterCommands` declares them.
enum Filters {}

extension Filters {
  static func exists(_ call: inout Call) {
    read(&call) { call, filter in call.reply(integer: filter?.contains(call[2]) == true ? 1 : 0) }
  }

  static func mexists(_ call: inout Call) {
    read(&call) { call, filter in
      call.reply(arrayOf: call.count - 2)
      for index in 2..<call.count { call.reply(integer: filter?.contains(call[index]) == true ? 1 : 0) }
    }
  }

  static func count(_ call: inout Call) {
    read(&call) { call, filter in call.reply(integer: filter?.count(of: call[2]) ?? 0) }
  }

  static func info(_ call: inout Call) {
    guard call.count <= 3 else { return call.replyWrongArity() }
    read(&call) { call, filter in
      guard let filter else { return call.replyNoFilter() }
      guard call.count == 2 else { return info(&call, of: filter, 2) }
      let figures: [(StaticString, Int)] = [
        ("Size", filter.byteCount), ("Number of buckets", filter.bucketCount),
        ("Number of filters", filter.layerCount), ("Number of items inserted", filter.itemCount),
        ("Number of items deleted", filter.deletedCount), ("Bucket size", filter.bucketSlots),
        ("Expansion rate", filter.expansion), ("Max iterations", filter.displacements),
      ]
      call.reply(mapOf: figures.count)
      for (name, figure) in figures {
        call.reply(simple: name)
        call.reply(integer: figure)
      }
    }
  }

  /// What RedisBloom's clients do not expect among the figures, asked for by itself.
  private static func info(_ call: inout Call, of filter: CuckooFilterView, _ index: Int) {
    if call.matches(index, "CAPACITY") {
      call.reply(arrayOf: 1)
      call.reply(integer: filter.capacity)
    } else if call.matches(index, "ERROR") {
      call.reply(arrayOf: 1)
      call.reply(double: filter.falsePositiveRate)
    } else {
      call.reply(error: "ERR Invalid information value: CAPACITY and ERROR are known, or none")
    }
  }

  static func del(_ call: inout Call) {
    call.withKey { call, key in
      guard let entry = call.find(key) else { return call.replyNoFilter() }
      guard let filter = call.filter(entry) else { return }
      let removed = filter.remove(call[2])
      if removed { call.store.changed(key) }
      call.reply(integer: removed ? 1 : 0)
    }
  }

  /// Runs `body` with the filter under the first key, or nil where there is none; replies itself where it is something
  /// else. Counts the hit or the miss.
  private static func read(_ call: inout Call, _ body: (inout Call, CuckooFilterView?) -> Void) {
    call.withKey { call, key in
      let entry = call.find(key)
      call.countLookup(found: entry != nil)
      guard let entry else { return body(&call, nil) }
      if let filter = call.filter(entry) { body(&call, filter) }
    }
  }
}

extension Call {
  /// The entry's filter, to read and to change in place; nil after replying that it is none.
  mutating func filter(_ entry: Entry) -> CuckooFilterView? {
    guard entry.type == .cuckooFilter else {
      replyWrongType()
      return nil
    }
    if let filter = CuckooFilterView(entry.mutableValue) { return filter }
    reply(error: "ERR the filter under this key has a form that this version does not know; delete it, or update")
    return nil
  }

  /// The longest that a filter may become.
  var filterBytesMax: Int { min(Self.longestValue, engine.node.settings.maxValueBytes) }

  mutating func replyNoFilter() { reply(error: "ERR not found") }
}
