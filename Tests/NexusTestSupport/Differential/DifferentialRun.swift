/// A difference between the servers that is meant to be, and why.
public struct KnownDifference: Sendable {
  public typealias Covers =
    @Sendable (
      _ chapter: Chapter, _ index: Int, _ expected: RESPValue, _ actual: RESPValue
    ) -> Bool

  public let reason: String
  /// After it the two servers hold different data, and the rest of the chapter shows nothing.
  public let endsChapter: Bool
  public let covers: Covers

  /// `covers` gets the chapter, and which of its steps was answered.
  public init(_ reason: String, endsChapter: Bool = false, _ covers: @escaping Covers) {
    self.reason = reason
    self.endsChapter = endsChapter
    self.covers = covers
  }
}

public struct Difference: CustomStringConvertible {
  public let index: Int
  public let step: Chapter.Step
  public let expected: RESPValue
  public let actual: RESPValue

  public var description: String {
    "[\(step.connection)] \(step.text)\nexpected:\n\(Self.lines(expected))\nactual:\n\(Self.lines(actual))"
  }

  private static func lines(_ reply: RESPValue) -> String {
    let lines = reply.description.split(separator: "\n", omittingEmptySubsequences: false)
    let rest = lines.count > 40 ? "\n... and \(lines.count - 40) lines" : ""
    return lines.prefix(40).joined(separator: "\n") + rest
  }
}

/// Runs chapters on an oracle and on the server under test, and compares every reply.
public final class DifferentialRun {
  let oracle: any RedisSpeaker
  let subject: any RedisSpeaker
  let knownDifferences: [KnownDifference]
  /// How often each known difference was met.
  public private(set) var met: [String: Int] = [:]
  public private(set) var commandsCompared = 0
  /// Replies that were not errors, by command: shows that a campaign does reach the commands it means to.
  public private(set) var successes: [String: Int] = [:]

  public init(oracle: any RedisSpeaker, subject: any RedisSpeaker, knownDifferences: [KnownDifference] = []) {
    self.oracle = oracle
    self.subject = subject
    self.knownDifferences = knownDifferences
  }

  /// Runs the chapter from an empty keyspace on both; the first difference, if any.
  public func run(_ chapter: Chapter) throws -> Difference? {
    let oracles = try open(oracle, chapter)
    let subjects = try open(subject, chapter)
    var queued = [[Comparison]?](repeating: nil, count: chapter.protocols.count)
    var start = 0
    while start < chapter.steps.count {
      let connection = chapter.steps[start].connection
      var end = start
      while end < chapter.steps.count, end - start < 64, chapter.steps[end].connection == connection { end += 1 }
      let requests = chapter.steps[start..<end].map(\.words)
      let expected = try oracles[connection].pipeline(requests)
      let actual: [RESPValue]
      do {
        actual = try subjects[connection].pipeline(requests)
      } catch {
        throw Lost(index: start..<end, cause: error)
      }
      for offset in 0..<(end - start) {
        let index = start + offset
        let comparison = Self.track(chapter.steps[index], expected[offset], &queued[connection])
        switch compare(chapter, index, expected[offset], actual[offset], comparison) {
        case .same: break
        case .endOfChapter: return nil
        case .different(let difference): return difference
        }
      }
      start = end
    }
    return nil
  }

  /// The server under test broke the connection or the protocol while these steps were running.
  struct Lost: Error, CustomStringConvertible {
    let index: Range<Int>
    let cause: any Error
    var description: String { "connection lost at steps \(index): \(cause)" }
  }

  private func open(_ server: any RedisSpeaker, _ chapter: Chapter) throws -> [RESPClient] {
    let clients = try chapter.protocols.map { version in
      let client = try server.connect()
      if version == 3 { try client.ask("HELLO", "3") }
      return client
    }
    try clients[0].ask("FLUSHALL")
    return clients
  }

  private enum Verdict {
    case same, endOfChapter
    case different(Difference)
  }

  private func compare(
    _ chapter: Chapter, _ index: Int, _ expected: RESPValue, _ actual: RESPValue, _ comparison: Comparison
  ) -> Verdict {
    let step = chapter.steps[index]
    commandsCompared += 1
    if !expected.isError { successes[step.name, default: 0] += 1 }
    if comparison.holds(expected, actual) { return .same }
    for known in knownDifferences where known.covers(chapter, index, expected, actual) {
      met[known.reason, default: 0] += 1
      return known.endsChapter ? .endOfChapter : .same
    }
    return .different(Difference(index: index, step: step, expected: expected, actual: actual))
  }

  /// Follows a connection through MULTI and EXEC: the elements of EXEC's reply compare as their commands do.
  private static func track(_ step: Chapter.Step, _ reply: RESPValue, _ queued: inout [Comparison]?) -> Comparison {
    if reply == .simple(Array("QUEUED".utf8)) {
      queued?.append(step.comparison)
      return .exact
    }
    switch step.name {
    case "multi" where reply == .ok: queued = []
    case "exec":
      defer { if !reply.isError || reply.string?.hasPrefix("EXECABORT") == true { queued = nil } }
      guard let comparisons = queued, let elements = reply.elements, elements.count == comparisons.count else { break }
      return .custom { expected, actual in
        guard let first = expected.elements, let second = actual.elements, first.count == second.count else {
          return false
        }
        return zip(comparisons, zip(first, second)).allSatisfy { $0.holds($1.0, $1.1) }
      }
    case "discard", "reset": if !reply.isError { queued = nil }
    default: break
    }
    return step.comparison
  }

  // MARK: Shrinking

  /// A much shorter chapter that still differs (or still loses the connection), found by leaving steps out.
  public func shrink(_ chapter: Chapter, budget: Int = 400) -> Chapter {
    var best = chapter
    var runs = 0
    func stillFails(_ candidate: Chapter) -> Chapter? {
      runs += 1
      do {
        guard let difference = try run(candidate) else { return nil }
        var shorter = candidate
        shorter.steps = Array(candidate.steps[...difference.index])
        return shorter
      } catch is Lost {
        return candidate
      } catch {
        return nil
      }
    }
    guard let first = stillFails(best) else { return chapter }
    best = first
    // First only what names one of the last command's words, then ever smaller pieces.
    if let last = best.steps.last {
      let words = Set(last.words.dropFirst())
      var related = best
      related.steps = best.steps.filter { !words.isDisjoint(with: $0.words) || $0.words.count == 1 }
      if let shorter = stillFails(related) { best = shorter }
    }
    var piece = max(1, best.steps.count / 2)
    while runs < budget {
      var start = 0
      var removed = false
      while start < best.steps.count, runs < budget {
        var candidate = best
        candidate.steps.removeSubrange(start..<min(start + piece, best.steps.count))
        if !candidate.steps.isEmpty, let shorter = stillFails(candidate) {
          best = shorter
          removed = true
        } else {
          start += piece
        }
      }
      if piece == 1 && !removed { break }
      piece = max(1, piece / 2)
    }
    return best
  }
}

/// Runs chapter after chapter until a number of commands has been compared.
public struct DifferentialCampaign {
  public var commands: Int
  public var chapterLength = 1_000
  public var seed: UInt64
  public var writer: ChapterWriter

  public init(commands: Int, seed: UInt64, writer: ChapterWriter) {
    self.commands = commands
    self.seed = seed
    self.writer = writer
  }

  /// Nil where all replies agree; otherwise a report with the seed and the shortest commands found that differ.
  public func firstDifference(_ run: DifferentialRun) throws -> String? {
    var done = 0
    while done < commands {
      // Each chapter has its own seed: one difference is replayed without all chapters before it.
      let chapterSeed = seed &+ UInt64(done / chapterLength)
      var dice = Dice(seed: chapterSeed)
      let chapter = writer.write(min(chapterLength, commands - done), &dice)
      done += chapter.steps.count
      do {
        guard let difference = try run.run(chapter) else { continue }
        return report(chapter, chapterSeed, "\(difference)", run)
      } catch let lost as DifferentialRun.Lost {
        return report(chapter, chapterSeed, lost.description, run)
      }
    }
    return nil
  }

  private func report(_ chapter: Chapter, _ chapterSeed: UInt64, _ what: String, _ run: DifferentialRun) -> String {
    let short = run.shrink(chapter)
    let last = (try? run.run(short)).flatMap { $0 }.map { "\nwhich ends in:\n\($0)" } ?? ""
    return """
      The replies differ. Replay with NEXUS_SEED=\(chapterSeed).
      \(what)
      The shortest commands found that show it:
      \(short.transcript)\(last)
      """
  }
}
