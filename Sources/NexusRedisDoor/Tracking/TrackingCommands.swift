import NexusModel
import NexusRESP
import NexusService

/// CLIENT TRACKING and what belongs to it. Checks come in Redis's order.
extension CommandTable {
  @Sendable static func tracking(_ call: inout Call) {
    var wish = TrackingWish()
    guard wish.read(&call) else { return }
    if call.matches(2, "ON") {
      // A promise that could not be kept: of keys that nobody here has read other members say nothing.
      if call.engine.routes.isClustered, wish.options.contains(.broadcast) {
        return call.reply(
          error: "ERR CLIENT TRACKING with BCAST is served by a node by itself only, so far: a member of a cluster "
            + "would not hear of all changes of other members' keys. Track without BCAST, which tells of what was read")
      }
      guard wish.fits(call.session.extras?.tracking, &call) else { return }
      call.engine.startTracking(call.session, wish)
    } else if call.matches(2, "OFF") {
      call.engine.stopTracking(call.session)
    } else {
      return call.replySyntaxError()
    }
    call.replyOK()
  }

  @Sendable static func caching(_ call: inout Call) {
    guard let tracking = call.session.extras?.tracking else {
      return call.reply(
        error: "ERR CLIENT CACHING can be called only when the client is in tracking mode with OPTIN or OPTOUT mode "
          + "enabled")
    }
    if call.matches(2, "YES") {
      guard tracking.options.contains(.optIn) else {
        return call.reply(error: "ERR CLIENT CACHING YES is only valid when tracking is enabled in OPTIN mode.")
      }
    } else if call.matches(2, "NO") {
      guard tracking.options.contains(.optOut) else {
        return call.reply(error: "ERR CLIENT CACHING NO is only valid when tracking is enabled in OPTOUT mode.")
      }
    } else {
      return call.replySyntaxError()
    }
    call.session.extras?.tracking?.isCachingGiven = true
    call.replyOK()
  }

  @Sendable static func trackingInfo(_ call: inout Call) {
    let tracking = call.session.extras?.tracking
    var flags = [tracking == nil ? "off" : "on"]
    if let tracking {
      let options = tracking.options
      if options.contains(.broadcast) { flags.append("bcast") }
      if options.contains(.optIn) { flags += tracking.isCachingGiven ? ["optin", "caching-yes"] : ["optin"] }
      if options.contains(.optOut) { flags += tracking.isCachingGiven ? ["optout", "caching-no"] : ["optout"] }
      if options.contains(.noLoop) { flags.append("noloop") }
      if tracking.isBroken { flags.append("broken_redirect") }
    }
    call.reply(mapOf: 3)
    call.reply(bulk: "flags")
    call.reply(setOf: flags.count)
    for flag in flags { call.reply(bulk: flag) }
    call.reply(bulk: "redirect")
    call.reply(integer: tracking?.redirectionNumber ?? -1)
    call.reply(bulk: "prefixes")
    let prefixes = tracking?.prefixes ?? []
    call.reply(arrayOf: prefixes.count)
    for prefix in prefixes { call.reply(bulk: prefix) }
  }
}

/// What CLIENT TRACKING asks for.
struct TrackingWish {
  private(set) var options: Tracking.Options = []
  private(set) var redirection: Tracking.Redirection?
  private(set) var prefixes: [[UInt8]] = []

  /// Reads the arguments behind ON or OFF. False: an error has been replied, or the call has been put off.
  mutating func read(_ call: inout Call) -> Bool {
    var index = 3
    while index < call.count {
      let hasMore = index + 1 < call.count
      if hasMore, call.matches(index, "REDIRECT") {
        index += 1
        guard readRedirection(index, &call) else { return false }
      } else if hasMore, call.matches(index, "PREFIX") {
        index += 1
        prefixes.append(Array(call[index]))
      } else if call.matches(index, "BCAST") {
        options.insert(.broadcast)
      } else if call.matches(index, "OPTIN") {
        options.insert(.optIn)
      } else if call.matches(index, "OPTOUT") {
        options.insert(.optOut)
      } else if call.matches(index, "NOLOOP") {
        options.insert(.noLoop)
      } else {
        call.replySyntaxError()
        return false
      }
      index += 1
    }
    return true
  }

  private mutating func readRedirection(_ index: Int, _ call: inout Call) -> Bool {
    if redirection != nil {
      call.reply(error: "ERR A client can only redirect to a single other client")
      return false
    }
    guard let id = call.requireInteger(index) else { return false }
    switch call.engine.whereabouts(ofClient: id, for: call.session) {
    case .loop(let loop): redirection = Tracking.Redirection(id: UInt64(id), loop: loop)
    case .nowhere:
      call.reply(error: "ERR The client ID you want redirect to does not exist")
      return false
    case .asked:
      call.isPostponed = true
      return false
    }
    return true
  }

  /// Whether the options agree with one another and with how the session tracks already; replies what does not.
  func fits(_ former: Tracking?, _ call: inout Call) -> Bool {
    let before = former?.options ?? options
    let isBroadcast = options.contains(.broadcast)
    if !isBroadcast, !prefixes.isEmpty {
      return refuse("ERR PREFIX option requires BCAST mode to be enabled", &call)
    }
    if before.contains(.broadcast) != isBroadcast {
      return refuse(
        "ERR You can't switch BCAST mode on/off before disabling tracking for this client, and then re-enabling it "
          + "with a different mode.", &call)
    }
    if isBroadcast, !options.isDisjoint(with: [.optIn, .optOut]) {
      return refuse("ERR OPTIN and OPTOUT are not compatible with BCAST", &call)
    }
    if options.isSuperset(of: [.optIn, .optOut]) {
      return refuse("ERR You can't specify both OPTIN mode and OPTOUT mode", &call)
    }
    if options.contains(.optIn) && before.contains(.optOut) || options.contains(.optOut) && before.contains(.optIn) {
      return refuse(
        "ERR You can't switch OPTIN/OPTOUT mode before disabling tracking for this client, and then re-enabling it "
          + "with a different mode.", &call)
    }
    return !isBroadcast || prefixesFit(former?.prefixes ?? [], &call)
  }

  private func refuse(_ text: String, _ call: inout Call) -> Bool {
    call.reply(error: text)
    return false
  }

  /// No two prefixes of a client may begin the same key.
  private func prefixesFit(_ former: [[UInt8]], _ call: inout Call) -> Bool {
    func overlap(_ one: [UInt8], _ other: [UInt8]) -> Bool { one.starts(with: other) || other.starts(with: one) }
    for (index, prefix) in prefixes.enumerated() {
      if let other = former.first(where: { overlap($0, prefix) }) {
        return refuse(prefix, "overlaps with an existing prefix", other, &call)
      }
      if let other = prefixes[(index + 1)...].first(where: { overlap($0, prefix) }) {
        return refuse(prefix, "overlaps with another provided prefix", other, &call)
      }
    }
    return true
  }

  private func refuse(_ prefix: [UInt8], _ what: String, _ other: [UInt8], _ call: inout Call) -> Bool {
    call.engine.noteError("ERR")
    // As C's formatting quotes them: up to a NUL.
    let text =
      Array("ERR Prefix '".utf8) + prefix.prefix { $0 != 0 } + Array("' \(what) '".utf8) + other.prefix { $0 != 0 }
      + Array("'. Prefixes for a single client must not overlap.".utf8)
    text.withUnsafeBytes { call.out.writeError(bytes: $0) }
    return false
  }
}
