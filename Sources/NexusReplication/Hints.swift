import NexusModel

/// What members that cannot be reached have missed: keys, with the newest stamp of each, until they can be reached.
///
/// A hint does not hold the value: what is sent later is the version that the key has then. So a hint costs the same
/// for every value, and a key that is written a thousand times has one. The bound is over all members; past it the
/// member with the most hints loses them all, and its slots are marked for repair instead: nothing is forgotten.
///
/// Adding a hint allocates nothing but when the table grows.
public struct Hints: Sendable {
  public struct Hint: Hashable, Sendable, BitwiseCopyable {
    public var slot: Slot
    /// Its newest version when it was missed.
    public var version: KeyVersion
    /// It was evicted: if the key is not there at the time of sending, "remove if not newer" is sent. Otherwise
    /// nothing is: it may have expired, or the whole slot may be another member's by now.
    public var isEvicted: Bool

    public init(slot: Slot, version: KeyVersion, isEvicted: Bool = false) {
      self.slot = slot
      self.version = version
      self.isEvicted = isEvicted
    }

    func replaces(_ other: Hint) -> Bool {
      version.stamp == other.version.stamp && isEvicted || version.isNewer(than: other.version)
    }
  }

  public enum Input: Sendable {
    case missed(Hint, by: MemberNumber)
    /// Everything that is noted for it is sent, a portion at a time; and nothing new is noted until it is missed.
    case reachable(MemberNumber)
    case unreachable(MemberNumber)
    /// The member has confirmed the portion of this number.
    case delivered(portion: UInt64, MemberNumber)
    /// Its link broke first.
    case failed(portion: UInt64, MemberNumber)
    /// These slots are no longer the member's, or not sent from here any more: what was missed is somebody else's to
    /// bring.
    case forget(SlotSet, MemberNumber)
  }

  public enum Output: Hashable, Sendable {
    /// Send the versions that these keys have now, then `delivered` or `failed` with the same number.
    case push(portion: UInt64, [Hint], to: MemberNumber)
    /// For `RepairInput.marked`: these are no longer noted one by one.
    case mark(SlotSet, MemberNumber)
  }

  /// A hint, its place in the table, and what tables keep free.
  public static let bytesPerHint = 64

  private struct Notes {
    let member: MemberNumber
    var isReachable = false
    var hints: [Hint] = []
    /// By key hash, which namespaces and slots do not share: the place in `hints`.
    var places: [UInt64: Int] = [:]
    var sending: [Hint] = []
    var portion: UInt64 = 0
  }

  public let limitBytes: Int
  private let portionCount: Int
  /// Few, in the order of their first hint.
  private var notes: [Notes] = []
  private var lastPortion: UInt64 = 0
  public private(set) var count = 0

  public init(limitBytes: Int, portionCount: Int = 256) {
    self.limitBytes = limitBytes
    self.portionCount = portionCount
  }

  public var usedBytes: Int { count * Self.bytesPerHint }

  public func count(for member: MemberNumber) -> Int {
    notes.first { $0.member == member }.map { $0.hints.count + $0.sending.count } ?? 0
  }

  /// Slots of which some member has not got everything that was noted for it.
  public var slots: SlotSet {
    var slots = SlotSet()
    for note in notes {
      for hint in note.hints { slots.insert(hint.slot) }
      for hint in note.sending { slots.insert(hint.slot) }
    }
    return slots
  }

  /// The same, for one member.
  public func hasHint(in slot: Slot, for member: MemberNumber) -> Bool {
    guard let note = notes.first(where: { $0.member == member }) else { return false }
    return note.hints.contains { $0.slot == slot } || note.sending.contains { $0.slot == slot }
  }

  public mutating func step(_ input: Input) -> [Output] {
    switch input {
    case .missed(let hint, let member):
      let place = place(of: member)
      add(hint, at: place)
      return count > limitBytes / Self.bytesPerHint ? giveUpMost() : send(place)
    case .reachable(let member):
      let place = place(of: member)
      notes[place].isReachable = true
      return send(place)
    case .unreachable(let member):
      let place = place(of: member)
      notes[place].isReachable = false
      return []
    case .delivered(let portion, let member): return end(portion, member, isDelivered: true)
    case .failed(let portion, let member): return end(portion, member, isDelivered: false)
    case .forget(let slots, let member):
      forget(slots, at: place(of: member))
      return []
    }
  }

  private mutating func place(of member: MemberNumber) -> Int {
    if let place = notes.firstIndex(where: { $0.member == member }) { return place }
    notes.append(Notes(member: member))
    return notes.count - 1
  }

  private mutating func add(_ hint: Hint, at place: Int) {
    if let known = notes[place].places[hint.version.hash] {
      if hint.replaces(notes[place].hints[known]) { notes[place].hints[known] = hint }
      return
    }
    notes[place].places[hint.version.hash] = notes[place].hints.count
    notes[place].hints.append(hint)
    count += 1
  }

  private mutating func giveUpMost() -> [Output] {
    let most = notes.indices.max { notes[$0].hints.count < notes[$1].hints.count }!
    var slots = SlotSet()
    for hint in notes[most].hints { slots.insert(hint.slot) }
    count -= notes[most].hints.count
    notes[most].hints = []
    notes[most].places = [:]
    return [.mark(slots, notes[most].member)]
  }

  private mutating func send(_ place: Int) -> [Output] {
    guard notes[place].isReachable, notes[place].sending.isEmpty, !notes[place].hints.isEmpty else { return [] }
    let portion = notes[place].hints.suffix(portionCount)
    notes[place].sending = Array(portion)
    notes[place].hints.removeLast(portion.count)
    for hint in notes[place].sending { notes[place].places[hint.version.hash] = nil }
    lastPortion += 1
    notes[place].portion = lastPortion
    return [.push(portion: lastPortion, notes[place].sending, to: notes[place].member)]
  }

  private mutating func end(_ portion: UInt64, _ member: MemberNumber, isDelivered: Bool) -> [Output] {
    let place = place(of: member)
    guard notes[place].portion == portion, !notes[place].sending.isEmpty else { return [] }
    let sent = notes[place].sending
    notes[place].sending = []
    count -= sent.count
    if isDelivered { return send(place) }
    for hint in sent { add(hint, at: place) }
    return []
  }

  private mutating func forget(_ slots: SlotSet, at place: Int) {
    let kept = notes[place].hints.filter { !slots.contains($0.slot) }
    guard kept.count != notes[place].hints.count else { return }
    count -= notes[place].hints.count
    notes[place].hints = []
    notes[place].places = [:]
    for hint in kept { add(hint, at: place) }
  }
}
