import Testing

@testable import NexusCache

@Suite("Which loads wait for which") struct WaitGraphTests {
  @Test("A load that asks for its own key is a ring of one") func itself() {
    var graph = WaitGraph<String>()
    #expect(graph.begin("a", for: "a") == ["a", "a"])
    #expect(graph.isEmpty)
  }

  @Test("A ring is found by the wait that would close it, and told from end to end") func ring() {
    var graph = WaitGraph<String>()
    #expect(graph.begin("a", for: "b") == nil)
    #expect(graph.begin("a", for: "x") == nil)
    #expect(graph.begin("b", for: "c") == nil)
    #expect(graph.begin("c", for: "a") == ["c", "a", "b", "c"])
    // What was refused waits for nothing: the others may go on.
    graph.end("b", for: "c")
    #expect(graph.begin("c", for: "a") == nil)
  }

  @Test("A wait that several tasks have begun ends with the last of them") func several() {
    var graph = WaitGraph<String>()
    #expect(graph.begin("a", for: "b") == nil)
    #expect(graph.begin("a", for: "b") == nil)
    graph.end("a", for: "b")
    #expect(graph.begin("b", for: "a") == ["b", "a", "b"])
    graph.end("a", for: "b")
    #expect(graph.isEmpty)
    #expect(graph.begin("b", for: "a") == nil)
  }

  @Test("Many that wait for one, and one for many, are no ring") func diamonds() {
    var graph = WaitGraph<Int>()
    for middle in 1...50 {
      #expect(graph.begin(0, for: middle) == nil)
      #expect(graph.begin(middle, for: 99) == nil)
    }
    #expect(graph.begin(99, for: 0)?.count == 4)
  }
}
