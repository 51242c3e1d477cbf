import NexusService
import NexusTestSupport
import Testing

@testable import NexusOrigins

@Suite struct EntityTagsTests {
  private let value = ValueDigest(Array("630".utf8)), other = ValueDigest(Array("631".utf8))

  @Test func aTagIsGivenForTheValueItCameWithAlone() {
    var tags = EntityTags(capacity: 2)
    tags.remember("\"a\"", of: [1], with: value)
    #expect(tags.tag(of: [1], with: value) == "\"a\"")
    #expect(tags.tag(of: [1], with: other) == nil)
    #expect(tags.tag(of: [2], with: value) == nil)
    tags.remember("\"b\"", of: [1], with: other)
    #expect(tags.tag(of: [1], with: value) == nil)
    #expect(tags.tag(of: [1], with: other) == "\"b\"")
    tags.forget([1])
    #expect(tags.tag(of: [1], with: other) == nil)
  }

  @Test func whatIsTooLongIsForgotten() {
    var tags = EntityTags(capacity: 2)
    tags.remember("\"a\"", of: [1], with: value)
    tags.remember(String(repeating: "a", count: 257), of: [1], with: value)
    #expect(tags.count == 0)
    tags.remember("\"a\"", of: [UInt8](repeating: 1, count: 1025), with: value)
    #expect(tags.count == 0)
    var none = EntityTags(capacity: 0)
    none.remember("\"a\"", of: [1], with: value)
    #expect(none.count == 0)
  }

  @Test func thereAreNeverMoreThanItsCapacityAndTheLatestAreKept() {
    let seed = Dice.seed()
    print("NEXUS_SEED=\(seed)")
    var dice = Dice(seed: seed)
    for _ in 0..<50 {
      let capacity = dice.within(1...8)
      var tags = EntityTags(capacity: capacity)
      for _ in 0..<300 {
        let key = UInt8(dice.below(12))
        if dice.chance(20) {
          tags.forget([key])
        } else {
          tags.remember("\(key)", of: [key], with: value)
          #expect(tags.tag(of: [key], with: value) == "\(key)")
        }
        #expect(tags.count <= capacity)
      }
    }
    var tags = EntityTags(capacity: 3)
    for key in 0..<10 { tags.remember("\(key)", of: [UInt8(key)], with: value) }
    #expect((0..<10).map { tags.tag(of: [UInt8($0)], with: value) != nil } == (0..<10).map { $0 >= 7 })
  }
}
