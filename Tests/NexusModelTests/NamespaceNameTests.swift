import NexusModel
import Testing

@Suite("A namespace's name")
struct NamespaceNameTests {
  @Test func databasesHaveTheirOwnNumbers() {
    for number in 0..<NamespaceName.databaseCount {
      #expect(NamespaceName.number(of: NamespaceName.ofDatabase(number)) == number)
    }
  }

  /// Members of other versions must find the same number: these were computed by another program.
  @Test(arguments: [("scores", 5_938), ("tenant-1", 5_707), ("a", 34_412), ("db16", 5_776), ("db01", 29_048)])
  func aNameHasOneNumberEverywhere(_ name: String, _ number: NamespaceNumber) {
    #expect(NamespaceName.number(of: name) == number)
  }

  @Test func namesThatCountSeldomMeet() {
    for pattern in ["tenant-", "user_", "team.", "customer"] {
      let numbers = Set((0..<1000).map { NamespaceName.number(of: "\(pattern)\($0)") })
      // Chance alone would make 7.6 of a thousand meet.
      #expect(numbers.count >= 990)
      #expect(numbers.allSatisfy { $0 >= NamespaceName.databaseCount })
    }
  }

  @Test(arguments: ["a", "Scores", "x.y_z-1", "db", "dbx", "1a", "-", String(repeating: "n", count: 64)])
  func plainNamesAreTaken(_ name: String) {
    #expect(NamespaceName.refusal(of: name) == nil)
  }

  @Test(arguments: [
    "", "a b", "a:b", "ä", "a\n", "default", "Default", "db0", "db1", "DB15", "db16", "db007", "0", "15", "2024",
    String(repeating: "n", count: 65),
  ])
  func namesThatMeanSomethingElseAreRefused(_ name: String) {
    #expect(NamespaceName.refusal(of: name) != nil)
  }
}
