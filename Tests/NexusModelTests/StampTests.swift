import NexusModel
import Testing

@Suite struct StampTests {
  @Test func stampsOfOneProcessRise() {
    var last = Stamp.none
    for (step, now) in [1000, 1000, 1001, 900, 900, 2000].enumerated() {
      let next = Stamp.next(after: last, now: Int64(now), mark: 5)
      #expect(next > last, "step \(step)")
      #expect(next.rawValue & 0xF == 5)
      last = next
    }
    #expect(last.milliseconds == 2000)
  }

  @Test func aClockThatGoesBackIsNotFollowed() {
    let ahead = Stamp.next(after: .none, now: 5000, mark: 1)
    #expect(Stamp.next(after: ahead, now: 1000, mark: 1).milliseconds == 5000)
  }

  @Test func moreThanTheCounterHoldsRunAheadOfTheTime() {
    var last = Stamp.none
    for _ in 0..<5000 { last = Stamp.next(after: last, now: 7, mark: 15) }
    #expect(last.milliseconds == 8)
  }

  @Test func twoProcessesInOneMillisecondDiffer() {
    #expect(Stamp.next(after: .none, now: 7, mark: 1) != Stamp.next(after: .none, now: 7, mark: 2))
  }

  @Test func aQuorumIsOfTheConfiguredCopies() {
    #expect((1...7).map { Acknowledgement.quorum.copiesNeeded(of: $0) } == [1, 2, 2, 3, 3, 4, 4])
    #expect(Acknowledgement.all.copiesNeeded(of: 3) == 3)
    #expect(Acknowledgement.one.copiesNeeded(of: 3) == 1)
  }
}
