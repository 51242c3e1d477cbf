import NexusModel
import NexusRESP
import NexusStore

/// The options of SET and GETEX, in any order.
struct SetOptions {
  enum Lifetime: Equatable {
    case unsaid
    case keep
    case persist
    /// Argument index of the number, its unit in milliseconds, and whether it counts from now.
    case given(index: Int, unit: Int, relative: Bool)
  }

  enum Condition { case always, ifAbsent, ifPresent }

  var lifetime = Lifetime.unsaid
  var condition = Condition.always
  var answersOld = false

  /// Nil after replying what is wrong. GETEX knows PERSIST, SET all the others beside the four TTLs.
  init?(_ call: inout Call, from first: Int, isGetex: Bool) {
    var index = first
    while index < call.count {
      let more = index + 1 < call.count
      if !isGetex, call.matches(index, "NX"), condition != .ifPresent {
        condition = .ifAbsent
      } else if !isGetex, call.matches(index, "XX"), condition != .ifAbsent {
        condition = .ifPresent
      } else if !isGetex, call.matches(index, "GET") {
        answersOld = true
      } else if !isGetex, call.matches(index, "KEEPTTL"), lifetime == .unsaid || lifetime == .keep {
        lifetime = .keep
      } else if isGetex, call.matches(index, "PERSIST"), lifetime == .unsaid || lifetime == .persist {
        lifetime = .persist
      } else if more, let (unit, relative) = Self.unit(call, index), accepts(unit, relative) {
        lifetime = .given(index: index + 1, unit: unit, relative: relative)
        index += 1
      } else {
        call.replySyntaxError()
        return nil
      }
      index += 1
    }
  }

  private static func unit(_ call: borrowing Call, _ index: Int) -> (Int, Bool)? {
    if call.matches(index, "EX") { return (1000, true) }
    if call.matches(index, "PX") { return (1, true) }
    if call.matches(index, "EXAT") { return (1000, false) }
    if call.matches(index, "PXAT") { return (1, false) }
    return nil
  }

  /// The same TTL option may come again (the last one counts), different ones may not meet.
  private func accepts(_ unit: Int, _ relative: Bool) -> Bool {
    switch lifetime {
    case .unsaid: true
    case .keep, .persist: false
    case .given(_, let former, let formerRelative): former == unit && formerRelative == relative
    }
  }

  /// The moment that the options name: nil after replying that it is not one, `.some(nil)` where they name none.
  func moment(_ call: inout Call) -> UnixMilliseconds?? {
    guard case .given(let index, let unit, let relative) = lifetime else { return .some(nil) }
    guard let number = call.requireInteger(index) else { return nil }
    return expiryMoment(&call, number, unit: unit, relative: relative).map { .some($0) }
  }
}

/// When a TTL given to a write ends; nil after replying that it is not above 0 or lies beyond what 64 bits hold.
func expiryMoment(
  _ call: inout Call, _ number: Int, unit: Int, relative: Bool
) -> UnixMilliseconds? {
  let (length, overflowed) = Int64(number).multipliedReportingOverflow(by: Int64(unit))
  let (moment, beyond) = length.addingReportingOverflow(relative ? call.now : 0)
  if number > 0 && !overflowed && !beyond { return moment }
  call.replyInvalidExpiry()
  return nil
}
