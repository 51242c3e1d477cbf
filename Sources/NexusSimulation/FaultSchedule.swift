/// What goes wrong, and when it is put right.
public enum SimulatedFault: Hashable, Sendable {
  case cut(SimulatedLink)
  case mend(SimulatedLink)
  /// These hosts hear nobody else and nobody else hears them.
  case partition([Int])
  case heal([Int])
  /// kill -9: the host lives on, refuses connections and resets those that were open.
  case kill(Int)
  /// The power fails: silence.
  case powerOff(Int)
  /// A new process, which remembers nothing.
  case restart(Int)
  /// The process stands still; what is sent to it waits.
  case pause(Int)
  /// All that waited is handled at once.
  case resume(Int)
  case loss(Double)
  /// All links mended, nothing lost or doubled or overtaken, everybody running.
  case peace
}

/// Faults by time (microseconds of world time).
public struct FaultSchedule: Hashable, Sendable {
  public private(set) var faults: [(at: UInt64, fault: SimulatedFault)] = []

  public init() {}

  public mutating func add(_ fault: SimulatedFault, at time: UInt64) { faults.append((time, fault)) }

  /// Faults of all kinds, about one a second, each put right after 0.1 to `longest` seconds, and peace at the end.
  /// At most `down` hosts are killed or without power at once.
  public static func random(
    hosts: Int, from: UInt64, until: UInt64, longestSeconds: UInt64 = 60, down: Int = 1,
    _ random: inout SimulationRandom
  ) -> FaultSchedule {
    var schedule = FaultSchedule()
    var downUntil = [UInt64](repeating: 0, count: hosts)
    var pausedUntil = downUntil
    var time = from
    while true {
      time += random.within(200_000...1_800_000)
      guard time < until else { break }
      // Short troubles are more frequent than long ones.
      let length = 100_000 + random.below(1 + random.below(longestSeconds * 1_000_000))
      let end = min(time + length, until)
      let host = random.below(hosts)
      let link = SimulatedLink(from: host, to: (host + 1 + random.below(hosts - 1)) % hosts)
      switch random.below(7) {
      case 0, 1:
        schedule.add(.cut(link), at: time)
        schedule.add(.mend(link), at: end)
      case 2:
        let group = (0..<hosts).filter { _ in random.chance(0.5) }
        schedule.add(.partition(group), at: time)
        schedule.add(.heal(group), at: end)
      case 3, 4:
        guard downUntil[host] < time, downUntil.count(where: { $0 >= time }) < down else { continue }
        schedule.add(random.chance(0.5) ? .kill(host) : .powerOff(host), at: time)
        schedule.add(.restart(host), at: end)
        downUntil[host] = end
      case 5:
        guard pausedUntil[host] < time else { continue }
        schedule.add(.pause(host), at: time)
        schedule.add(.resume(host), at: end)
        pausedUntil[host] = end
      default:
        schedule.add(.loss(Double(random.below(30)) / 100), at: time)
        schedule.add(.loss(0), at: end)
      }
    }
    schedule.add(.peace, at: until)
    return schedule
  }

  public static func == (left: FaultSchedule, right: FaultSchedule) -> Bool {
    left.faults.elementsEqual(right.faults) { $0.at == $1.at && $0.fault == $1.fault }
  }

  public func hash(into hasher: inout Hasher) { hasher.combine(faults.count) }
}
