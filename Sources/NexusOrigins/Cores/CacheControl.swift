import NexusService

/// What an HTTP answer says of how long it may be kept (RFC 9111, and RFC 5861 for stale answers), for a cache that
/// many share. Ages are in seconds.
struct CacheControl: Hashable, Sendable {
  private var noStore = false
  private var isPrivate = false
  private var noCache = false
  private var mustRevalidate = false
  private var maxAge: Int?
  private var sharedMaxAge: Int?
  private var staleWhileRevalidate: Int?
  private var staleIfError: Int?

  /// The directives of all `Cache-Control` fields. What is not understood is passed over.
  init(fields: [String]) {
    for field in fields {
      var rest = Array(field.utf8)[...]
      while let (name, argument) = Self.nextDirective(&rest) { take(name, argument) }
    }
  }

  /// - Parameters:
  ///   - age: the `Age` field.
  ///   - expires: the `Expires` field.
  ///   - date: the `Date` field.
  ///   - now: in seconds since the Unix epoch.
  func freshness(age: String?, expires: String?, date: String?, now: Int) -> OriginFreshness {
    var freshness = OriginFreshness(neverStore: noStore || isPrivate)
    let age = age.map { Self.seconds(Array($0.utf8)) ?? 0 } ?? 0
    var lifetime = sharedMaxAge ?? maxAge
    if lifetime == nil, let expires {
      // A date that cannot be read has passed (RFC 9111, section 5.3).
      lifetime = HTTPDate.seconds(expires, now: now).map {
        $0 - (date.flatMap { HTTPDate.seconds($0, now: now) } ?? now)
      }
      lifetime = max(0, lifetime ?? 0)
    }
    // How long it has been stale already when it arrives.
    let late = max(0, age - (lifetime ?? age))
    if let lifetime { freshness.timeToLiveMilliseconds = max(0, lifetime - age) * 1000 }
    freshness.staleWhileRevalidateMilliseconds = staleWhileRevalidate.map { max(0, $0 - late) * 1000 }
    freshness.staleIfErrorMilliseconds = staleIfError.map { max(0, $0 - late) * 1000 }
    if noCache { freshness.timeToLiveMilliseconds = 0 }
    if noCache || mustRevalidate {
      freshness.staleWhileRevalidateMilliseconds = 0
      freshness.staleIfErrorMilliseconds = 0
    }
    return freshness
  }

  private mutating func take(_ name: String, _ argument: [UInt8]?) {
    switch name {
    case "no-store": noStore = true
    // With an argument these are about single fields of the head, which are not kept.
    case "private": if argument == nil { isPrivate = true }
    case "no-cache": if argument == nil { noCache = true }
    case "must-revalidate", "proxy-revalidate": mustRevalidate = true
    case "max-age": Self.shorten(&maxAge, argument)
    case "s-maxage": Self.shorten(&sharedMaxAge, argument)
    case "stale-while-revalidate": Self.shorten(&staleWhileRevalidate, argument)
    case "stale-if-error": Self.shorten(&staleIfError, argument)
    default: break
    }
  }

  /// Of several ages the shortest counts, and one that cannot be read is none at all (RFC 9111, section 4.2.1).
  private static func shorten(_ age: inout Int?, _ argument: [UInt8]?) {
    let seconds = argument.flatMap(seconds) ?? 0
    age = min(age ?? seconds, seconds)
  }

  /// Digits; more than 2^31 counts as that (RFC 9111, section 1.2.2).
  private static func seconds(_ digits: [UInt8]) -> Int? {
    guard !digits.isEmpty else { return nil }
    var value = 0
    for digit in digits {
      guard (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(digit) else { return nil }
      value = min(value * 10 + Int(digit - UInt8(ascii: "0")), 1 << 31)
    }
    return value
  }

  /// The next `NAME`, `NAME=TOKEN` or `NAME="QUOTED"`; nil when there is no more. The name in lower case.
  private static func nextDirective(_ rest: inout ArraySlice<UInt8>) -> (String, [UInt8]?)? {
    let isGap: (UInt8) -> Bool = { $0 == UInt8(ascii: ",") || $0 == UInt8(ascii: " ") || $0 == UInt8(ascii: "\t") }
    rest = rest.drop(while: isGap)
    guard !rest.isEmpty else { return nil }
    let name = rest.prefix { !isGap($0) && $0 != UInt8(ascii: "=") }
    rest = rest.dropFirst(name.count)
    guard rest.first == UInt8(ascii: "=") else { return (String(decoding: name, as: UTF8.self).lowercased(), nil) }
    rest = rest.dropFirst()
    var argument: [UInt8] = []
    if rest.first == UInt8(ascii: "\"") {
      rest = rest.dropFirst()
      while let byte = rest.popFirst(), byte != UInt8(ascii: "\"") {
        argument.append(byte == UInt8(ascii: "\\") ? rest.popFirst() ?? byte : byte)
      }
      rest = rest.drop { $0 != UInt8(ascii: ",") }
    } else {
      argument = Array(rest.prefix { !isGap($0) })
      rest = rest.dropFirst(argument.count)
    }
    return (String(decoding: name, as: UTF8.self).lowercased(), argument)
  }
}
