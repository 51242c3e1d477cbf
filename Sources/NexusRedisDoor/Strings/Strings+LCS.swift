import NexusModel
import NexusRESP
import NexusStore

extension Strings {
  private struct LCSOptions {
    var positions = false
    var lengthOnly = false
    var withLengths = false
    var shortest = 0

    init?(_ call: inout Call) {
      var index = 3
      while index < call.count {
        if call.matches(index, "IDX") {
          positions = true
        } else if call.matches(index, "LEN") {
          lengthOnly = true
        } else if call.matches(index, "WITHMATCHLEN") {
          withLengths = true
        } else if call.matches(index, "MINMATCHLEN"), index + 1 < call.count {
          guard let number = call.requireInteger(index + 1) else { return nil }
          shortest = max(0, number)
          index += 1
        } else {
          call.replySyntaxError()
          return nil
        }
        index += 1
      }
      guard positions && lengthOnly else { return }
      call.reply(error: "ERR If you want both the length and indexes, please just use IDX.")
      return nil
    }
  }

  /// Works on copies: the time grows with the product of the lengths, and no stripe may stay locked that long.
  static func lcs(_ call: inout Call) {
    let (one, other) = (call.key(1), call.key(2))
    var lengths = (0, 0)
    var bothStrings = true
    call.withLocked(one, other) { call in
      (lengths, bothStrings) = measure(&call, one, other)
      call.countLookup(found: lengths.0 > 0)
      call.countLookup(found: lengths.1 > 0)
    }
    guard bothStrings else {
      return call.reply(error: "ERR The specified keys must contain string values")
    }
    guard let options = LCSOptions(&call) else { return }
    var copied = false
    while !copied {
      // The limit is Redis's, for its table of four bytes a cell. It bounds the time, too.
      let cells = (lengths.0 + 1).multipliedReportingOverflow(by: lengths.1 + 1)
      if cells.overflow || cells.partialValue > Call.longestValue / 4 {
        return call.reply(
          error: "ERR Insufficient memory, transient memory for LCS exceeds proto-max-bulk-len")
      }
      let room = Call.fleetingRoom(lengths.0 + lengths.1)
      if room > 0, !call.admit(room) { return }
      call.withScratch(lengths.0 + lengths.1) { call, copies in
        let first = UnsafeMutableRawBufferPointer(rebasing: copies[..<lengths.0])
        let second = UnsafeMutableRawBufferPointer(rebasing: copies[lengths.0...])
        call.withLocked(one, other) { call in
          let present = measure(&call, one, other).lengths
          copied = present == lengths
          lengths = present
          guard copied else { return }
          if let entry = call.find(one) { first.copyMemory(from: entry.value) }
          if let entry = call.find(other) { second.copyMemory(from: entry.value) }
        }
        guard copied else { return }
        compare(
          &call, CommonSubsequence(first: UnsafeRawBufferPointer(first), second: UnsafeRawBufferPointer(second)),
          options)
      }
    }
  }

  private static func measure(
    _ call: inout Call, _ one: Key, _ other: Key
  ) -> (lengths: (Int, Int), bothStrings: Bool) {
    // One after the other: a found entry is not valid any more once a second search has removed an expired one.
    let (first, firstIsString) = length(call.find(one))
    let (second, secondIsString) = length(call.find(other))
    return ((first, second), firstIsString && secondIsString)
  }

  private static func length(_ entry: Entry?) -> (Int, Bool) {
    guard let entry else { return (0, true) }
    return (entry.value.count, entry.isString)
  }

  private static func compare(_ call: inout Call, _ strings: CommonSubsequence, _ options: LCSOptions) {
    if options.lengthOnly { return call.reply(integer: strings.length) }
    let byteCount = CommonSubsequence.wayBackBytes(strings.first.count, strings.second.count)
    call.withScratch(byteCount) { call, wayBack in
      wayBack.initializeMemory(as: UInt8.self, repeating: 0)
      let length = strings.fill(wayBack)
      if options.positions {
        replyPositions(&call, strings, wayBack, length, options)
      } else {
        replySubsequence(&call, strings, wayBack, length)
      }
    }
  }

  private static func replySubsequence(
    _ call: inout Call, _ strings: CommonSubsequence, _ wayBack: UnsafeMutableRawBufferPointer, _ length: Int
  ) {
    call.withScratch(length) { call, result in
      var end = length
      strings.matches(wayBack) { match in
        let run = strings.first[match.first]
        result[(end - run.count)..<end].copyBytes(from: run)
        end -= run.count
      }
      call.reply(bulk: UnsafeRawBufferPointer(result))
    }
  }

  private static func replyPositions(
    _ call: inout Call, _ strings: CommonSubsequence, _ wayBack: UnsafeMutableRawBufferPointer, _ length: Int,
    _ options: LCSOptions
  ) {
    var found = 0
    strings.matches(wayBack) { if $0.first.count >= options.shortest { found += 1 } }
    call.reply(mapOf: 2)
    call.reply(bulk: "matches")
    call.reply(arrayOf: found)
    strings.matches(wayBack) { match in
      guard match.first.count >= options.shortest else { return }
      call.reply(arrayOf: options.withLengths ? 3 : 2)
      for range in [match.first, match.second] {
        call.reply(arrayOf: 2)
        call.reply(integer: range.lowerBound)
        call.reply(integer: range.upperBound - 1)
      }
      if options.withLengths { call.reply(integer: match.first.count) }
    }
    call.reply(bulk: "len")
    call.reply(integer: length)
  }
}
