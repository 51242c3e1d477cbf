import NexusModel
import NexusReplication
import Testing

@Suite struct ReplicaReadsTests {
  private let key = KeyHash(hash: 9)

  private func version(_ stamp: UInt64) -> KeyVersion { KeyVersion(hash: 9, stamp: Stamp(rawValue: stamp)) }

  private func read(
    _ id: UInt64 = 1, have: KeyVersion? = nil, needed: Int = 1, repairs: Bool = true, deadline: UInt64 = 100
  )
    -> ReplicaReads.Read
  {
    ReplicaReads.Read(
      id: id, slot: slot(3), key: key, have: have, needed: needed, repairs: repairs, deadline: deadline)
  }

  private final class Reads {
    var core = ReplicaReads()

    func step(_ input: ReplicaReads.Input, now: UInt64 = 0) -> [ReplicaReads.Output] {
      var outputs: [ReplicaReads.Output] = []
      core.step(input, now: now, into: &outputs)
      return outputs
    }
  }

  @Test func aQuorumThatAgreesAnswersAtOnce() {
    let reads = Reads()
    let have = version(5)
    #expect(
      reads.step(.read(read(have: have), of: [1, 2])) == [
        .ask(id: 1, slot(3), key, have: have, of: 1), .ask(id: 1, slot(3), key, have: have, of: 2),
      ])
    #expect(
      reads.step(.answer(id: 1, have, from: 2, have: have)) == [.done(id: 1, .complete, answers: 1)])
    #expect(reads.step(.answer(id: 1, have, from: 1, have: have)).isEmpty && reads.core.count == 0)
  }

  @Test func theNewestIsHereWhenItIsDone() {
    let reads = Reads()
    _ = reads.step(.read(read(have: version(5)), of: [1, 2]))
    // Its version came with the answer, and is merged.
    #expect(
      reads.step(.answer(id: 1, version(8), from: 1, have: version(8))) == [.done(id: 1, .complete, answers: 1)])
  }

  @Test func whoHasAnOlderOneGetsTheNewestFirst() {
    let reads = Reads()
    _ = reads.step(.read(read(have: version(8)), of: [1, 2]))
    #expect(
      reads.step(.answer(id: 1, version(5), from: 1, have: version(8))) == [.keep(id: 1, slot(3), key, by: 1)])
    #expect(reads.step(.answer(id: 1, version(5), from: 1, have: version(8))).isEmpty, "the first answer, doubled")
    #expect(
      reads.step(.answer(id: 1, version(8), from: 1, have: version(8))) == [.done(id: 1, .complete, answers: 1)])
  }

  @Test func aSlowMemberMayHaveItAlready() {
    let reads = Reads()
    _ = reads.step(.read(read(have: version(8)), of: [1, 2]))
    _ = reads.step(.answer(id: 1, nil, from: 1, have: version(8)))
    #expect(
      reads.step(.answer(id: 1, version(8), from: 2, have: version(8))) == [.done(id: 1, .complete, answers: 2)])
  }

  @Test func aWriteInTheMeantimeDoesNotMakeItWait() {
    let reads = Reads()
    _ = reads.step(.read(read(have: version(8)), of: [1, 2]))
    _ = reads.step(.answer(id: 1, nil, from: 1, have: version(8)))
    // 12 was written here since; what the quorum shall have is what was compared.
    #expect(
      reads.step(.answer(id: 1, version(8), from: 1, have: version(12))) == [.done(id: 1, .complete, answers: 1)])
  }

  @Test func nothingAnywhereIsAnAnswer() {
    let reads = Reads()
    _ = reads.step(.read(read(), of: [1]))
    #expect(reads.step(.answer(id: 1, nil, from: 1, have: nil)) == [.done(id: 1, .complete, answers: 1)])
  }

  @Test func aKeyOfATakenOverSlotIsAskedOfEveryone() {
    let reads = Reads()
    _ = reads.step(.read(read(needed: 2, repairs: false), of: [1, 2]))
    #expect(reads.step(.answer(id: 1, nil, from: 1, have: nil)).isEmpty)
    #expect(
      reads.step(.answer(id: 1, version(8), from: 2, have: version(8))) == [.done(id: 1, .complete, answers: 2)])
  }

  @Test func tooFewMembersMakeItImpossible() {
    let reads = Reads()
    #expect(reads.step(.read(read(needed: 2), of: [1])) == [.done(id: 1, .impossible, answers: 0)])
    _ = reads.step(.read(read(2, needed: 2), of: [1, 2]))
    _ = reads.step(.read(read(3, needed: 1), of: [1, 2]))
    #expect(reads.step(.lost(2)) == [.done(id: 2, .impossible, answers: 0)])
    #expect(reads.step(.lost(1)) == [.done(id: 3, .impossible, answers: 0)])
  }

  @Test func aMemberLostAfterItsAnswerHasAnswered() {
    let reads = Reads()
    _ = reads.step(.read(read(needed: 2, repairs: false), of: [1, 2]))
    _ = reads.step(.answer(id: 1, nil, from: 1, have: nil))
    #expect(reads.step(.lost(1)).isEmpty)
    #expect(reads.step(.answer(id: 1, nil, from: 2, have: nil)) == [.done(id: 1, .complete, answers: 2)])
  }

  @Test func timeIsLimitedAlsoForWhoWasPaused() {
    let reads = Reads()
    _ = reads.step(.read(read(1, deadline: 100), of: [1]))
    _ = reads.step(.read(read(2, deadline: 300), of: [1]))
    #expect(reads.core.nextDeadline == 100)
    // The process stood still; the answer was in its buffer all the time.
    #expect(
      reads.step(.answer(id: 1, nil, from: 1, have: nil), now: 200) == [.done(id: 1, .timedOut, answers: 0)])
    #expect(reads.core.nextDeadline == 300 && reads.core.count == 1)
  }
}
