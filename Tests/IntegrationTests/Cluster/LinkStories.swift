import NexusTestSupport
import Testing

extension ClusterTests {
  @Suite struct Links {
    /// The values of one field of all links.
    static func values(_ name: String, _ node: ClusterOfProcesses.Node) throws -> [String] {
      guard case .array(let links) = try node.client().ask("CLUSTER", "LINKS") else { return [] }
      return links.compactMap { link in
        guard case .array(let parts) = link, let at = parts.firstIndex(of: .text(name)) else { return nil }
        return parts[at + 1].string ?? "\(parts[at + 1])"
      }
    }

    @Test("CLUSTER LINKS shows the streams to and from every other member, and none of a member that is gone")
    func links() throws {
      try ClusterOfProcesses.story(3) { cluster in
        // Something to say between each two.
        for node in cluster.nodes {
          let client = try node.client()
          for index in 0..<30 { cluster.expect(try client.ask("SET", "k\(index)", "v") == .ok) }
        }
        let node = cluster[0]
        let ids = Set(try [1, 2].map { try cluster[$0].client().ask("CLUSTER", "MYID").string ?? "" })
        let named = try Self.values("node", node)
        cluster.expect(Set(named) == ids, "\(named)")
        let directions = zip(try Self.values("direction", node), named).map { "\($0) \($1)" }
        cluster.expect(Set(directions) == Set(ids.flatMap { ["to \($0)", "from \($0)"] }), "\(directions)")
        let gone = try cluster[2].client().ask("CLUSTER", "MYID").string ?? ""
        cluster[2].kill()
        cluster.expect(eventually { (try? Self.values("node", node).contains(gone)) == false })
        cluster.expect(try !Self.values("node", node).isEmpty)
      }
    }
  }
}
