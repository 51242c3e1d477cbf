import NexusModel

/// One load of a key at a time on this member: who asks while it runs joins it. The owner of a key is one member, so it
/// is one load in the cluster. After "singleflight" of groupcache; beyond it, a flight knows of writes that came
/// meanwhile.
///
/// Pure: the shell loads, stores and wakes as the effects say. Kept behind one lock: only misses come here.
public struct Flights: Sendable {
  /// Of a flight; unique while the value lives.
  public typealias ID = UInt64

  struct Flight: Sendable {
    var id: ID
    /// The loops whose requests wait for it: a bit each.
    var loops: Set<Int>
    /// The key was written, deleted or invalidated since the flight began: what it brings is older than that.
    var isOvertaken = false
    var startedAt: UInt64
  }

  public struct Landing: Sendable, Equatable {
    public let name: KeyName
    /// Loops that are to be told.
    public let loops: [Int]
    /// What was brought may be stored.
    public let mayStore: Bool
    /// How long it took.
    public let milliseconds: UInt64

    public init(name: KeyName, loops: [Int], mayStore: Bool, milliseconds: UInt64) {
      self.name = name
      self.loops = loops
      self.mayStore = mayStore
      self.milliseconds = milliseconds
    }
  }

  public enum Boarding: Sendable, Equatable {
    /// The caller starts the load.
    case began(ID)
    case joined
    /// As many loads as may be are under way.
    case full
  }

  private var flights: [KeyName: Flight] = [:]
  private var names: [ID: KeyName] = [:]
  private var lastID: ID = 0
  public let limit: Int

  /// - Parameter limit: loads at once; above 0.
  public init(limit: Int = 100_000) { self.limit = limit }

  public var count: Int { flights.count }
  public func isUnderWay(_ name: KeyName) -> Bool { flights[name] != nil }

  /// - Parameters:
  ///   - loop: whose request waits; nil: nobody does, the value is refreshed.
  ///   - now: monotonic milliseconds.
  public mutating func board(_ name: KeyName, from loop: Int?, now: UInt64) -> Boarding {
    if flights[name] != nil {
      if let loop { flights[name]!.loops.insert(loop) }
      return .joined
    }
    guard flights.count < limit else { return .full }
    lastID += 1
    flights[name] = Flight(id: lastID, loops: loop.map { [$0] } ?? [], startedAt: now)
    names[lastID] = name
    return .began(lastID)
  }

  /// The key changed otherwise. A flight under way still answers those that wait for it, and is not stored.
  public mutating func overtake(_ name: KeyName) { flights[name]?.isOvertaken = true }

  /// The same for every key that `isMeant` names.
  public mutating func overtake(where isMeant: (KeyName) -> Bool) {
    for name in flights.keys where isMeant(name) { flights[name]!.isOvertaken = true }
  }

  /// Nil for a flight that has landed already.
  public mutating func land(_ id: ID, now: UInt64) -> Landing? {
    guard let name = names.removeValue(forKey: id), let flight = flights.removeValue(forKey: name) else { return nil }
    return Landing(
      name: name, loops: flight.loops.sorted(), mayStore: !flight.isOvertaken,
      milliseconds: now - min(now, flight.startedAt))
  }

  /// Everything under way: when the origin goes away.
  public mutating func landAll(now: UInt64) -> [Landing] {
    names.keys.sorted().compactMap { land($0, now: now) }
  }
}
