import NexusModel
import NexusService

/// Where our members are, by the keys that etcd has under one prefix. Without IO.
///
/// A key that was deleted is gone at once: its node left, or its lease ended. A key that is merely absent from a new
/// list stays found for as long as a lease lasts, since an etcd that came back without its data learns its keys anew.
struct EtcdView {
  let prefix: String
  private let absenceMilliseconds: Int
  private let own: NetworkAddress
  private var found: FoundAddresses<String>
  private var known: Set<String> = []
  /// Known, but not in the last list: until when that is overlooked.
  private var absent: [String: Int] = [:]
  /// Values that were complained about, by key.
  private var refused: [String: String] = [:]

  /// What is wrong with values, since it was last taken.
  var complaints: [(key: String, value: String)] = []

  init(prefix: String, own: NetworkAddress, absenceMilliseconds: Int) {
    self.prefix = prefix
    self.own = own
    self.absenceMilliseconds = absenceMilliseconds
    found = FoundAddresses(own: own)
  }

  /// All keys that there are.
  mutating func onList(_ keys: [EtcdKey], now: Int) -> [DiscoveryEvent] {
    let events = keys.flatMap { onKey($0) }
    for key in known.subtracting(keys.map(\.key)) where absent[key] == nil { absent[key] = now + absenceMilliseconds }
    return events
  }

  mutating func onEvent(_ event: EtcdWatched.Event) -> [DiscoveryEvent] {
    event.isDeletion ? forget(event.key.key) : onKey(event.key)
  }

  /// When `expire` has something to do; nil: never.
  var nextExpiry: Int? { absent.values.min() }

  mutating func expire(now: Int) -> [DiscoveryEvent] {
    absent.filter { $0.value <= now }.keys.sorted().flatMap { forget($0) }
  }

  /// etcd cannot be asked: absence proves nothing until there is a new list.
  mutating func onSilence() { absent = [:] }

  private mutating func onKey(_ key: EtcdKey) -> [DiscoveryEvent] {
    // Keys further down are of others, whose cluster's name has a slash in it.
    guard key.key.hasPrefix(prefix), MemberID(String(key.key.dropFirst(prefix.count))) != nil else { return [] }
    guard let address = Self.address(key.value) else {
      if refused.updateValue(key.value, forKey: key.key) != key.value { complaints.append((key.key, key.value)) }
      return forget(key.key, butItsComplaint: true)
    }
    refused[key.key] = nil
    absent[key.key] = nil
    known.insert(key.key)
    return found.set(key.key, [address])
  }

  private mutating func forget(_ key: String, butItsComplaint: Bool = false) -> [DiscoveryEvent] {
    if !butItsComplaint { refused[key] = nil }
    absent[key] = nil
    known.remove(key)
    return found.set(key, [])
  }

  /// `IP:PORT`; what follows behind a space is for people.
  static func address(_ value: String) -> NetworkAddress? {
    guard let first = value.split(separator: " ").first, let parsed = try? NetworkAddress(parsing: String(first)),
      isNumericHost(parsed.host)
    else { return nil }
    return parsed
  }
}
