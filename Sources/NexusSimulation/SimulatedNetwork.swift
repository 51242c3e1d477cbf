/// One direction between two hosts.
public struct SimulatedLink: Hashable, Sendable {
  public var from: Int
  public var to: Int

  public init(from: Int, to: Int) {
    self.from = from
    self.to = to
  }
}

/// What becomes of what is sent. Times are microseconds of world time.
public struct SimulatedNetwork: Sendable {
  /// Of a datagram; a lost piece of a stream is sent again and comes `retransmission` later.
  public var loss = 0.0
  public var duplication = 0.0
  /// With this probability a datagram takes up to `reorderingDelay` longer, and others overtake it.
  public var reordering = 0.0
  public var reorderingDelay: UInt64 = 20_000
  public var delay: ClosedRange<UInt64> = 100...1000
  public var retransmission: UInt64 = 200_000
  /// A stream to where nothing comes back is given up after this.
  public var streamTimeout: UInt64 = 2_000_000

  /// False: streams fail everywhere, by silence.
  public var streamsWork = true

  /// Cuts may overlap: a link works when every one of its cuts is mended.
  private var cuts: [SimulatedLink: Int] = [:]
  private var lastArrival: [SimulatedLink: UInt64] = [:]

  public init() {}

  public func isCut(_ from: Int, _ to: Int) -> Bool { !cuts.isEmpty && cuts[SimulatedLink(from: from, to: to)] != nil }

  public mutating func cut(_ link: SimulatedLink) { cuts[link, default: 0] += 1 }

  public mutating func mend(_ link: SimulatedLink) {
    guard let count = cuts[link] else { return }
    cuts[link] = count > 1 ? count - 1 : nil
  }

  public mutating func mendAll() { cuts = [:] }

  /// How long each copy of a datagram takes; none: it is lost.
  mutating func datagramDelays(from: Int, to: Int, _ random: inout SimulationRandom) -> [UInt64] {
    var copies: [UInt64] = []
    for _ in 0..<(random.chance(duplication) ? 2 : 1) {
      let isLost = random.chance(loss)
      var time = random.within(delay)
      if random.chance(reordering) { time += random.below(reorderingDelay + 1) }
      if !isLost { copies.append(time) }
    }
    return isCut(from, to) ? [] : copies
  }

  /// When a piece of a stream that is sent now arrives, after all that was sent before on that stream; nil: the
  /// network lets nothing through.
  mutating func streamArrival(from: Int, to: Int, now: UInt64, _ random: inout SimulationRandom) -> UInt64? {
    var time = random.within(delay)
    while loss < 1, random.chance(loss) { time += retransmission }
    guard streamsWork, !isCut(from, to), !isCut(to, from) else { return nil }
    let link = SimulatedLink(from: from, to: to)
    let arrival = max(lastArrival[link] ?? 0, now + time)
    lastArrival[link] = arrival
    return arrival
  }
}

/// A host's own clock: it began somewhere, and goes at its own rate.
public struct SimulatedClock: Sendable {
  /// Microseconds at world time 0.
  public var start: UInt64
  /// Parts per million faster than the world; real clocks stay within some hundreds.
  public var drift: Int64

  public init(start: UInt64 = 0, drift: Int64 = 0) {
    self.start = start
    self.drift = drift
  }

  public func local(_ world: UInt64) -> UInt64 {
    start + UInt64(Int64(world) + Int64(world) / 1000 * drift / 1000)
  }

  /// The first moment of the world at which this clock shows at least `local`.
  public func world(_ local: UInt64) -> UInt64 {
    guard local > start else { return 0 }
    let elapsed = Int64(local - start)
    var guess = max(0, elapsed - elapsed / 1000 * drift / 1000)
    while self.local(UInt64(guess)) < local { guess += 1 + (elapsed - Int64(self.local(UInt64(guess)) - start)) / 2 }
    return UInt64(guess)
  }
}
