import NexusModel
import NexusService
import Testing

@Suite struct FlightsTests {
  private let tom = KeyName(namespace: 0, key: Array("Tom".utf8))
  private let sam = KeyName(namespace: 0, key: Array("Sam".utf8))

  @Test func whoAsksWhileAKeyIsLoadedJoins() {
    var flights = Flights()
    #expect(flights.board(tom, from: 0, now: 0) == .began(1))
    for loop in [1, 0, 1] { #expect(flights.board(tom, from: loop, now: 1) == .joined) }
    #expect(flights.board(sam, from: 1, now: 1) == .began(2))
    #expect(flights.land(1, now: 30) == Flights.Landing(name: tom, loops: [0, 1], mayStore: true, milliseconds: 30))
    #expect(flights.board(tom, from: 0, now: 31) == .began(3))
  }

  @Test func aFlightLandsOnce() {
    var flights = Flights()
    _ = flights.board(tom, from: 0, now: 0)
    #expect(flights.land(1, now: 1) != nil)
    #expect(flights.land(1, now: 2) == nil)
  }

  @Test func whatWasWrittenMeanwhileIsNotReplaced() {
    var flights = Flights()
    _ = flights.board(tom, from: 0, now: 0)
    _ = flights.board(sam, from: 0, now: 0)
    flights.overtake(tom)
    #expect(flights.land(1, now: 1)?.mayStore == false)
    #expect(flights.land(2, now: 1)?.mayStore == true)
  }

  @Test func aPrefixOvertakesEveryFlightThatItNames() {
    var flights = Flights()
    _ = flights.board(tom, from: 0, now: 0)
    _ = flights.board(sam, from: 0, now: 0)
    flights.overtake { $0.key.starts(with: "To".utf8) }
    #expect(flights.land(1, now: 1)?.mayStore == false)
    #expect(flights.land(2, now: 1)?.mayStore == true)
  }

  @Test func aRefreshHasNobodyToWake() {
    var flights = Flights()
    #expect(flights.board(tom, from: nil, now: 0) == .began(1))
    #expect(flights.board(tom, from: nil, now: 0) == .joined)
    #expect(flights.land(1, now: 5)?.loops == [])
  }

  @Test func noMoreLoadsThanTheLimitRunAtOnce() {
    var flights = Flights(limit: 1)
    _ = flights.board(tom, from: 0, now: 0)
    #expect(flights.board(sam, from: 0, now: 0) == .full)
    #expect(flights.board(tom, from: 0, now: 0) == .joined)
    #expect(flights.landAll(now: 1).map(\.name) == [tom])
    #expect(flights.count == 0)
  }
}
