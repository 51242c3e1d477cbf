import NexusModel
import NexusReplication
import NexusService

/// How large a replicated world is, and how fast its members do things. Milliseconds.
public struct ReplicaWorldSettings: Sendable {
  public var members = 4
  public var copies = 3
  public var slotCount = 5
  public var keyCount = 12
  public var clients = 3
  /// A client waits for so long between two requests.
  public var pause: ClosedRange<UInt64> = 20...300
  /// Requests begin within this time, and so do faults; then there is peace.
  public var storyMilliseconds: UInt64 = 10_000

  public var repair = RepairSettings()
  public var collection = TombstoneCollection.Settings()
  public var ownership = OwnershipSettings()
  public var tickMilliseconds: UInt64 = 200
  public var hintCount = 1000
  public var hintPortion = 8
  /// Effects that may wait for a member.
  public var queueBytes = 1000
  public var acknowledgementMilliseconds: UInt64 = 1000
  public var deadLinkMilliseconds: UInt64 = 2500
  public var clockBoundMilliseconds: Int64 = 5000
  /// A slot counts as partial for so long after its last eviction.
  public var pressureMilliseconds: Int64 = 1500

  // What happens. Percent are of all requests.
  public var deletePercent = 25
  public var getPercent = 15
  public var expiringPercent = 0
  public var evictions = 0
  /// Entries that a member has room for.
  public var entriesMost = Int.max
  /// Clocks are wrong by at most so much.
  public var skewMilliseconds: Int64 = 0
  /// Of what goes over control connections.
  public var loss = 0.0
  public var longestFaultSeconds: UInt64 = 4
  /// Only short cuts of single links, and no routine comparisons.
  public var isAboutLinks = false
  /// Members of which the memory may be lost at once.
  public var down = 1
  /// A member that is dead for so long is forgotten, and others get its places.
  public var forgetMilliseconds: UInt64 = .max

  public init() {
    repair.intervalMilliseconds = 1000
    repair.putOffMilliseconds = 300
    repair.keysPerInventories = 6
    repair.keysPerPortion = 3
    repair.longestRestMilliseconds = 3000
    repair.leftoverMilliseconds = 500
    collection.intervalMilliseconds = 700
    collection.leastAgeMilliseconds = 6000
    ownership.slotsPerPull = 8
    ownership.awayMilliseconds = 700
    ownership.pullRetryMilliseconds = 600
  }

  var allSlots: SlotSet { SlotSet(0..<slotCount) }
}

/// The membership as a member sees it, and the placement that follows.
public struct ReplicaPicture: Sendable {
  public enum Status: UInt8, Hashable, Sendable { case alive, dead, forgotten }

  public let version: PlacementVersion
  let live: [MemberNumber]
  /// Not forgotten.
  let known: [MemberNumber]
  let places: [MemberNumber]
  let owners: [MemberNumber]
  /// Forgotten ones among them: nobody leaves.
  let away: [MemberID]
  let ownershipView: OwnershipView

  /// Places by rendezvous hashing; a slot is executed by the first live member of its list, or the first live one at
  /// all.
  init(_ standings: [(status: Status, life: Int)], slotCount: Int, copies: Int) {
    var digest: UInt64 = 0
    for (index, standing) in standings.enumerated() {
      digest = Self.mix(digest ^ UInt64(index << 40 | standing.life << 8 | Int(standing.status.rawValue)))
    }
    version = PlacementVersion(digest: digest)
    let numbers = standings.indices.map { MemberNumber($0) }
    live = numbers.filter { standings[Int($0)].status == .alive }
    known = numbers.filter { standings[Int($0)].status != .forgotten }
    away = numbers.filter { standings[Int($0)].status == .dead }.map { ReplicaNode.id(Int($0)) }
    var places: [MemberNumber] = []
    var owners: [MemberNumber] = []
    for slot in 0..<slotCount {
      let order = known.sorted { Self.weight($0, slot) > Self.weight($1, slot) }
      let isLive = { (number: MemberNumber) in standings[Int(number)].status == .alive }
      let holders = order.prefix(copies)
      places += holders + Array(repeating: OwnershipView.nobody, count: copies - holders.count)
      owners.append(order.first(where: isLive) ?? OwnershipView.nobody)
    }
    self.places = places
    self.owners = owners
    ownershipView = OwnershipView(
      version: version, live: live.map { .init(number: $0, id: ReplicaNode.id(Int($0))) }, owners: owners)
  }

  private static func weight(_ number: MemberNumber, _ slot: Int) -> UInt64 { mix(UInt64(number) << 32 | UInt64(slot)) }

  private static func mix(_ word: UInt64) -> UInt64 {
    var random = SimulationRandom(seed: word)
    return random.next()
  }
}

extension ReplicaWorldSettings {
  /// The world that belongs to a seed: every kind of history comes up among a few seeds.
  public static func variation(of seed: UInt64) -> ReplicaWorldSettings {
    var settings = ReplicaWorldSettings()
    var random = SimulationRandom(seed: seed ^ 0x5EED)
    settings.members = 3 + random.below(3)
    settings.copies = random.chance(0.8) ? 3 : 2
    settings.loss = random.chance(0.4) ? Double(random.below(15)) / 100 : 0
    settings.skewMilliseconds = random.chance(0.5) ? 2000 : 20
    if random.chance(0.3) { settings.expiringPercent = 25 }
    if random.chance(0.25) { settings.evictions = 4 }
    if random.chance(0.2) { settings.queueBytes = 3 }
    if random.chance(0.15) { settings.hintCount = 3 }
    if random.chance(0.25) { settings.forgetMilliseconds = 1500 }
    if random.chance(0.25) { settings.down = 2 }
    // Links that break and come back before anybody is taken for dead, and no routine comparison that would find what
    // they lost: hints and marks alone have to bring it.
    if random.chance(0.2) {
      settings.isAboutLinks = true
      settings.repair.intervalMilliseconds = 3_600_000
      // What a copy evicts by itself is for those to bring back.
      settings.evictions = 0
      settings.loss = 0
    }
    return settings
  }
}
