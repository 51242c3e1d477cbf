import NexusModel

/// A member that does not answer, until it refutes or the time is over (Lifeguard, section IV-B): the more members
/// found out by themselves, the sooner.
struct Suspicion: Sendable {
  private let startedAt: UInt64
  private let shortest: UInt64
  private let longest: UInt64
  /// So many confirmations lead to `shortest`; 0 where nobody is there to confirm.
  private let needed: Int
  private(set) var accusers: [MemberID]
  /// Moved ahead by better evidence than silence.
  private var capAt = UInt64.max

  /// `live` counts everybody, the suspect and this node too.
  init(startedAt: UInt64, accuser: MemberID, live: Int, settings: GossipSettings) {
    self.startedAt = startedAt
    shortest = settings.suspicionPeriods * settings.periodMilliseconds * log10Thousandths(live) / 1000
    longest = shortest * settings.suspicionFactor
    needed = max(0, min(settings.suspicionConfirmations, live - 2, Self.shares.count))
    accusers = [accuser]
  }

  /// False if this accuser is known, or enough are.
  mutating func confirm(_ accuser: MemberID) -> Bool {
    guard accusers.count <= needed, !accusers.contains(accuser) else { return false }
    accusers.append(accuser)
    return true
  }

  /// Of the word of somebody who takes it for dead already.
  private(set) var isOfDoubt = false

  mutating func becomeDoubt() {
    isOfDoubt = true
    cap(at: startedAt + shortest)
  }

  mutating func cap(at time: UInt64) { capAt = min(capAt, time) }

  /// `longest - (longest - shortest) * log(c + 1) / log(k + 1)` for c of k confirmations.
  var deadline: UInt64 {
    guard needed > 0 else { return min(capAt, startedAt + 2 * shortest) }
    let share = Self.shares[needed - 1][min(accusers.count - 1, needed)]
    return min(capAt, startedAt + longest - (longest - shortest) * share / 1000)
  }

  /// Thousandths of log(c + 1) / log(k + 1), for k of 1, 2, 3.
  private static let shares: [[UInt64]] = [[0, 1000], [0, 631, 1000], [0, 500, 792, 1000]]
}

/// The logarithm of n to the base 10 in thousandths, at least 1000; from the bits of n, 10% too small at most.
func log10Thousandths(_ n: Int) -> UInt64 {
  guard n > 1 else { return 1000 }
  let bits = Int.bitWidth - 1 - n.leadingZeroBitCount
  let rest = ((n - (1 << bits)) * 1000) >> bits
  return max(1000, UInt64((bits * 1000 + rest) * 301 / 1000))
}

/// ceil(log10(n + 1)).
func digits(_ n: Int) -> Int {
  var count = 0
  var rest = n
  while rest > 0 {
    count += 1
    rest /= 10
  }
  return max(1, count)
}
