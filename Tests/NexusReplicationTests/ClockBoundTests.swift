import NexusModel
import NexusReplication
import Testing

@Suite struct ClockBoundTests {
  @Test func stampsUpToTheBoundAreAccepted() {
    let bound = ClockBound(aheadMilliseconds: 500)
    #expect(bound.accepts(Stamp(milliseconds: 1500, counter: .max), now: 1000))
    #expect(!bound.accepts(Stamp(milliseconds: 1501), now: 1000))
    #expect(bound.accepts(Stamp(milliseconds: 0), now: 1000))
  }
}
