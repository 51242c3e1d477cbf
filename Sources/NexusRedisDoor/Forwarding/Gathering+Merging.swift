import NexusModel
import NexusRESP

/// One reply of all members' replies. None of them is an error or missing.
extension Gathering {
  func writeMerged(_ merge: Command.Merge, _ out: inout OutputBuffer) {
    switch merge {
    case .sum: out.writeInteger(parts.reduce(0) { $0 + ($1.integer ?? 0) })
    case .all: out.writeOK()
    case .union: writeUnion(&out)
    case .any: writeAny(&out)
    case .counts: writeCounts(&out)
    case .newest: writeNewest(&out)
    case .walk: writeWalk(&out)
    case .least: out.writeInteger(least)
    }
  }

  /// Of integers; a part without one counts as 0.
  var least: Int { parts.map { $0.integer ?? 0 }.min() ?? 0 }

  private var replies: [[UInt8]] {
    parts.map { part in
      if case .replied(let bytes) = part.outcome { return bytes }
      return []
    }
  }

  private func writeUnion(_ out: inout OutputBuffer) {
    var seen: Set<ArraySlice<UInt8>> = []
    var elements: [ArraySlice<UInt8>] = []
    for reply in replies {
      for element in ReplySpan.elements(of: reply) where seen.insert(reply[element]).inserted {
        elements.append(reply[element])
      }
    }
    out.writeArrayHeader(elements.count)
    for element in elements { element.withUnsafeBytes { out.append($0) } }
  }

  private func writeAny(_ out: inout OutputBuffer) {
    let found = zip(replies, parts).filter { $0.0.first == UInt8(ascii: "$") && $0.0.count > 1 && $0.0[1] != 0x2D }
    let total = found.reduce(0) { $0 + max($1.1.weight, 1) }
    guard total > 0 else { return out.writeNull(Int(protocolVersion)) }
    var left = Int(chance % UInt64(total))
    for (reply, part) in found {
      left -= max(part.weight, 1)
      if left < 0 { return reply.withUnsafeBytes { out.append($0) } }
    }
  }

  private func writeCounts(_ out: inout OutputBuffer) {
    let all = replies.map { reply in ReplySpan.elements(of: reply).map { Array(reply[$0]) } }
    guard let first = all.first else { return out.writeArrayHeader(0) }
    out.writeArrayHeader(first.count)
    for index in first.indices {
      if index % 2 == 0 {
        first[index].withUnsafeBytes { out.append($0) }
      } else {
        out.writeInteger(all.reduce(0) { $0 + ($1.indices.contains(index) ? Self.integer($1[index]) : 0) })
      }
    }
  }

  private static func integer(_ element: [UInt8]) -> Int {
    Int(String(decoding: element.dropFirst().prefix { $0 != 13 }, as: UTF8.self)) ?? 0
  }

  /// Entries keep their form; the client's name, their last element, gets the member's id behind an `@`.
  private func writeNewest(_ out: inout OutputBuffer) {
    struct Entry {
      var seconds: Int
      var bytes: [UInt8]
      var lastAt: Int
      var member: String
    }
    var entries: [Entry] = []
    for (reply, part) in zip(replies, parts) {
      for span in ReplySpan.elements(of: reply) {
        let bytes = Array(reply[span])
        let fields = ReplySpan.elements(of: bytes)
        guard fields.count == 6 else { continue }
        entries.append(
          Entry(
            seconds: Self.integer(Array(bytes[fields[1]])), bytes: bytes, lastAt: fields[5].lowerBound,
            member: part.member?.text ?? ""))
      }
    }
    entries.sort { $0.seconds > $1.seconds }
    let asked = arguments.count > 2 ? Int(String(decoding: arguments[2], as: UTF8.self)) ?? 10 : 10
    let shown = entries.prefix(asked < 0 ? Int.max : asked)
    out.writeArrayHeader(shown.count)
    for entry in shown {
      entry.bytes[..<entry.lastAt].withUnsafeBytes { out.append($0) }
      let name = Self.bulk(entry.bytes[entry.lastAt...])
      out.writeBulk(String(decoding: name, as: UTF8.self) + "@" + entry.member)
    }
  }

  private static func bulk(_ element: ArraySlice<UInt8>) -> ArraySlice<UInt8> {
    guard let line = element.firstIndex(of: 10), element.count >= 4 else { return [] }
    return element[(line + 1)...].dropLast(2)
  }

  /// Keys of the slots that every member is through with, and of the first that one is not: as far as it came.
  private func writeWalk(_ out: inout OutputBuffer) {
    struct Share {
      var next: UInt64
      var keys: [ArraySlice<UInt8>]
      var mark: UInt64
      var slot: UInt64 { next == 0 ? UInt64(Slot.count) : next >> 32 }
    }
    let shares = zip(replies, parts).map { reply, part -> Share in
      let fields = ReplySpan.elements(of: reply).map { Array(reply[$0]) }
      guard fields.count == 2 else { return Share(next: 0, keys: [], mark: 0) }
      let keys = ReplySpan.elements(of: fields[1]).map { Self.bulk(fields[1][$0]) }
      return Share(
        next: UInt64(String(decoding: Self.bulk(fields[0][...]), as: UTF8.self)) ?? 0, keys: keys, mark: part.mark)
    }
    let reached = shares.map(\.slot).min() ?? UInt64(Slot.count)
    let last = shares.indices.first { shares[$0].slot == reached && shares[$0].next & 0xFFFF_FFFF != 0 }
    var keys: [ArraySlice<UInt8>] = []
    for index in shares.indices {
      for key in shares[index].keys {
        let slot = UInt64(key.withUnsafeBytes { Slot(of: $0) }.index)
        if slot < reached || (slot == reached && index == last) { keys.append(key) }
      }
    }
    var cursor: UInt64 = 0
    if reached < UInt64(Slot.count) {
      cursor = last.map { shares[$0].mark << 46 | shares[$0].next } ?? reached << 32
    }
    out.writeArrayHeader(2)
    out.writeBulk(String(cursor))
    out.writeArrayHeader(keys.count)
    for key in keys { key.withUnsafeBytes { out.writeBulk($0) } }
  }
}
