import NexusStore
import Testing

@Suite("What a small cluster has used is let go")
struct SmallClusterLettingGoTests {
  @Test("members with connections, copies and a write on its way: none of their stores outlives the test")
  func members() {
    weak var store: Store?
    do {
      let cluster = SmallCluster(3, copies: 3)
      store = cluster.members[1].node.store
      let client = SmallClient(cluster, cluster.members[0])
      client.ask("SET k 1")
      client.send("SET k 2")
      #expect(store?.count(in: 0) == 1)
    }
    #expect(store == nil)
  }
}
