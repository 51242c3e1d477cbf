import NexusModel
import NexusService
import NexusStore
import Testing

@testable import NexusHTTPDoor

/// Keys of other members, through the HTTP door of any.
@Suite struct ForwardingTests {
  /// A key that this node executes.
  private func key(of node: Int, in cluster: TestCluster, _ prefix: String = "k") -> String {
    (0...).lazy.map { "\(prefix)\($0)" }.first { cluster.owner(of: $0) == node }!
  }

  @Test func everyNodeServesEveryKey() throws {
    let cluster = try TestCluster(3)
    defer { cluster.stop() }
    let key = key(of: 2, in: cluster)
    let put = cluster.servers[0].ask("PUT /api/cache/\(key)?ttl=60", body: Array(#"{"value":"hello"}"#.utf8))
    #expect(put.status == 200)
    #expect(
      put.text == #"{"success":true,"message":"Forwarded to primary node","node":"node-0","primary":"node-2"}"#)
    let data = #"{"success":true,"data":{"key":"\#(key)","value":"hello"},"#
    #expect(
      cluster.servers[1].ask("GET /api/cache/\(key)").text
        == data + #""node":"node-1","primary":"node-2","local":false,"forwarded":true}"#)
    #expect(
      cluster.servers[2].ask("GET /api/cache/\(key)").text
        == data + #""node":"node-2","primary":"node-2","local":true,"forwarded":false}"#)
    let bytes = cluster.servers[0].ask("GET /api/cache/\(key)\nAccept: application/octet-stream")
    #expect(bytes.text == "hello")
    #expect(bytes.headers["content-type"] == "application/octet-stream")
    let head = cluster.servers[1].ask("HEAD /api/cache/\(key)")
    #expect(head.status == 200 && head.body.isEmpty)
    #expect(
      cluster.servers[0].ask("DELETE /api/cache/\(key)").text
        == #"{"success":true,"message":"Delete processed","node":"node-0","primary":"node-2","deleted":true}"#)
    let gone = cluster.servers[1].ask("GET /api/cache/\(key)")
    #expect(gone.status == 404 && code(gone) == "key_not_found")
  }

  @Test func mistakesAreToldWhereTheyAreMadeAndNamespacesStayApart() throws {
    let cluster = try TestCluster(2)
    defer { cluster.stop() }
    let key = key(of: 1, in: cluster)
    let before = cluster.servers[1].node.statistics[0].operationsExecuted.value
    #expect(code(cluster.servers[0].ask("PUT /api/cache/\(key)", body: Array("{".utf8))) == "bad_json")
    #expect(code(cluster.servers[0].ask("GET /api/cache/\(key)?namespace=nowhere")) == "unknown_namespace")
    #expect(cluster.servers[1].node.statistics[0].operationsExecuted.value == before)
    let put = cluster.servers[0].ask("PUT /api/cache/\(key)?namespace=db3", body: Array(#"{"value":1}"#.utf8))
    #expect(put.status == 200)
    #expect(cluster.servers[0].ask("GET /api/cache/\(key)").status == 404)
    #expect(cluster.servers[0].ask("GET /api/cache/\(key)?namespace=db3").status == 200)
  }

  @Test func aNamespaceIsTheSameOnEveryMemberThatHasDeclaredIt() throws {
    let cluster = try TestCluster(2)
    defer { cluster.stop() }
    let key = key(of: 1, in: cluster)
    let number = NamespaceName.number(of: "scores")
    let path = "/api/cache/\(key)?namespace=scores"
    cluster.servers[0].node.store.configure(number, NamespaceSettings(name: "scores"), as: 99)
    let refused = cluster.servers[0].ask("PUT \(path)", body: Array(#"{"value":1}"#.utf8))
    #expect(refused.status == 503 && code(refused) == "unknown_namespace")
    #expect(refused.text.contains("has no namespace of the number \(number)"))
    cluster.servers[1].node.store.configure(number, NamespaceSettings(name: "scores"), as: 99)
    #expect(cluster.servers[0].ask("PUT \(path)", body: Array(#"{"value":"s"}"#.utf8)).status == 200)
    for server in cluster.servers {
      #expect(server.ask("GET \(path)").text.contains(#""value":"s""#))
      #expect(server.ask("GET /api/cache/\(key)").status == 404)
      #expect(server.ask("GET /api/cache/\(key)\nX-Namespace: scores").status == 200)
    }
    #expect(cluster.servers.map { $0.node.store.count(in: number) } == [0, 1])
    #expect(cluster.servers[0].ask("DELETE \(path)").text.contains(#""deleted":true"#))
  }

  @Test func aWriteHasSoManyCopiesAsItAsksFor() throws {
    let cluster = try TestCluster(2)
    defer { cluster.stop() }
    for owner in 0..<2 {
      let key = key(of: owner, in: cluster)
      let value = Array(#"{"value":"v"}"#.utf8)
      func put(_ how: String) -> TestReply { cluster.servers[0].ask("PUT /api/cache/\(key)\(how)", body: value) }
      #expect(put("?ack=quorum").status == 200)
      #expect(cluster.lastLevel.withLock { $0 } == .quorum)
      let refused = put("?ack=all")
      #expect(refused.status == 503 && code(refused) == "not_enough_replicas", "\(refused.text)")
      cluster.lastLevel.withLock { $0 = nil }
      #expect(put("").status == 200 && put("?ack=one").status == 200)
      #expect(cluster.lastLevel.withLock { $0 } == nil)
      cluster.shortfall.withLock { $0 = ReplicaShortfall(confirmed: 1, needed: 2, configured: 3) }
      let missed = cluster.servers[0].ask("DELETE /api/cache/\(key)\nX-Ack: quorum")
      #expect(missed.status == 504 && code(missed) == "too_few_copies", "\(missed.text)")
      #expect(missed.text.contains("confirmed by 1 of 3 copies"))
      cluster.shortfall.withLock { $0 = nil }
      #expect(cluster.servers[1].ask("GET /api/cache/\(key)").status == 404, "it is deleted all the same")
      let wrong = put("?ack=some")
      #expect(wrong.status == 400 && code(wrong) == "bad_ack")
      // The namespace's own wish holds where the request has none.
      for server in cluster.servers { server.setAcknowledgement(.all) }
      #expect(put("").status == 503 && put("?ack=one").status == 200)
      for server in cluster.servers { server.setAcknowledgement(.one) }
    }
  }

  @Test func whatIsPipelinedIsAnsweredInOrderOverOneConnection() throws {
    let cluster = try TestCluster(3)
    defer { cluster.stop() }
    let client = cluster.servers[0].connect()
    defer { client.close() }
    let keys = (0..<60).map { "p\($0)" }
    for key in keys {
      client.send("PUT /api/cache/\(key)\nContent-Type: application/octet-stream", body: Array("v-\(key)".utf8))
    }
    for _ in keys { #expect(client.reply().status == 200) }
    for key in keys { client.send("GET /api/cache/\(key)\nAccept: application/octet-stream") }
    for key in keys { #expect(client.reply().text == "v-\(key)") }
    #expect(Set(keys.map { cluster.owner(of: $0) }).count == 3)
  }

  @Test func largeValuesTravelWhole() throws {
    let cluster = try TestCluster(2)
    let key = key(of: 1, in: cluster)
    let value = (0..<(3 << 20)).map { UInt8(truncatingIfNeeded: $0 &* 131) }
    let head = "PUT /api/cache/\(key)\nContent-Type: application/octet-stream"
    #expect(cluster.servers[0].ask(head, body: value).status == 200)
    let reply = cluster.servers[0].ask("GET /api/cache/\(key)\nAccept: application/octet-stream")
    #expect(reply.body == value)
    cluster.stop()
    for server in cluster.servers { #expect(server.node.store.configuration.outside.bytes == 0) }
  }

  @Test(arguments: [
    (OperationFailure.noOwner(Slot(index: 7)), 503, "not_served"),
    (.overloaded(MemberID("node-1")!), 503, "not_served"),
    (.timedOut(MemberID("node-1")!, milliseconds: 2000), 504, "timed_out"),
    (.outcomeUnknown(MemberID("node-1")!, milliseconds: 2000), 504, "outcome_unknown"),
    (.refused(MemberID("node-1")!, "it is tired"), 502, "member_refused"),
  ])
  func failuresAreSaid(_ failure: OperationFailure, _ status: Int, _ name: String) throws {
    let cluster = try TestCluster(2)
    defer { cluster.stop() }
    let key = key(of: 1, in: cluster)
    cluster.failure.withLock { $0 = failure }
    let client = cluster.servers[0].connect()
    defer { client.close() }
    client.send("GET /api/cache/\(key)")
    let reply = client.reply()
    #expect(reply.status == status && code(reply) == name)
    #expect(reply.text.contains(failure.sentence.dropFirst()))
    // The connection goes on.
    cluster.failure.withLock { $0 = nil }
    client.send("GET /api/cache/\(key)")
    #expect(client.reply().status == 404)
    #expect(cluster.servers[0].node.statistics[0].getErrors.value == 1)
  }

  @Test func aClientThatHangsUpMeanwhileHarmsNobody() throws {
    let cluster = try TestCluster(2)
    let key = key(of: 1, in: cluster)
    let door = cluster.servers[0].door
    cluster.hold()
    let clients = (0..<20).map { _ in cluster.servers[0].connect() }
    for client in clients { client.send("GET /api/cache/\(key)") }
    #expect(eventually { cluster.heldCount == 20 })
    for client in clients[..<19] { client.close() }
    cluster.release()
    #expect(clients[19].reply().status == 404)
    clients[19].close()
    #expect(cluster.servers[0].ask("GET /api/cache/\(key)").status == 404)
    cluster.stop()
    #expect(door.requestsInFlight == 0)
    #expect(!door.isBusy)
    #expect(cluster.servers[0].node.store.configuration.outside.bytes == 0)
  }

  @Test func aNodeThatStopsLetsGoOfThoseWhoWait() throws {
    let cluster = try TestCluster(2)
    let key = key(of: 1, in: cluster)
    cluster.hold()
    let client = cluster.servers[0].connect()
    client.send("GET /api/cache/\(key)")
    #expect(eventually { cluster.heldCount == 1 })
    cluster.stop()
    #expect(client.reply().status == 0)
    client.close()
    #expect(cluster.servers[0].door.requestsInFlight == 0)
    // The answer comes after all, to nobody.
    cluster.release()
    cluster.servers[1].loop.runPosted()
    cluster.servers[0].loop.runPosted()
  }

  @Test func whoeverDoesNotHaveTheSlotDoesNotRunIt() throws {
    let cluster = try TestCluster(3)
    defer { cluster.stop() }
    let key = key(of: 1, in: cluster)
    // Node 0 still takes node 1 for the owner.
    cluster.move(cluster.slot(of: key), to: 2, telling: false)
    cluster.servers[0].node.routes.set(cluster.slot(of: key), .member(1))
    #expect(cluster.servers[0].ask("PUT /api/cache/\(key)", body: Array(#"{"value":"x"}"#.utf8)).status == 200)
    #expect(cluster.redirectionsCount == 1)
    #expect(cluster.servers[1].node.statistics[0].sets.value == 0)
    #expect(cluster.servers[2].node.statistics[0].sets.value == 1)
  }

  @Test func aKeyOnItsWayIsFetchedBeforeItIsReadOrChanged() throws {
    let cluster = try TestCluster(2)
    defer { cluster.stop() }
    let key = key(of: 0, in: cluster)
    let node = cluster.servers[0].node
    node.incoming.begin(cluster.slot(of: key))
    node.routes.set(cluster.slot(of: key), .incoming)
    #expect(cluster.servers[0].ask("GET /api/cache/\(key)").status == 404)
    #expect(cluster.fetchesCount == 1)
    // It is settled now, and what is written is not asked for again.
    let reply = cluster.servers[0].ask("PUT /api/cache/\(key)", body: Array(#"{"value":"x"}"#.utf8))
    #expect(reply.text == #"{"success":true,"message":"Stored locally","node":"node-0","primary":"node-0"}"#)
    #expect(cluster.fetchesCount == 1)
  }

  @Test func nothingIsLostWhileSlotsMove() throws {
    let cluster = try TestCluster(3)
    defer { cluster.stop() }
    let seed = UInt64.random(in: 0 ... .max)
    print("seed \(seed)")
    var random = SplitMix64(seed: seed)
    let clients = cluster.servers.map { $0.connect() }
    defer { for client in clients { client.close() } }
    var model: [String: String] = [:]
    for step in 0..<2000 {
      let key = "m\(Int.random(in: 0..<40, using: &random))"
      let client = clients.randomElement(using: &random)!
      switch Int.random(in: 0..<10, using: &random) {
      case 0..<4:
        client.send("GET /api/cache/\(key)\nAccept: application/octet-stream")
        let reply = client.reply()
        #expect(reply.status == (model[key] == nil ? 404 : 200))
        if let value = model[key] { #expect(reply.text == value) }
      case 4..<7:
        client.send("PUT /api/cache/\(key)\nContent-Type: application/octet-stream", body: Array("v\(step)".utf8))
        #expect(client.reply().status == 200)
        model[key] = "v\(step)"
      case 7:
        client.send("DELETE /api/cache/\(key)")
        #expect(client.reply().text.hasSuffix(#""deleted":\#(model[key] != nil)}"#))
        model[key] = nil
      default:
        cluster.move(
          cluster.slot(of: key), to: Int.random(in: 0..<3, using: &random), telling: Bool.random(using: &random))
      }
    }
    #expect(cluster.redirectionsCount > 0)
  }

  @Test func whatIsNoRequestIsRefused() throws {
    let cluster = try TestCluster(1)
    defer { cluster.stop() }
    let executor = HTTPExecutor(node: cluster.servers[0].node, loop: cluster.servers[0].loop, seed: 1)
    let good: [UInt8] = [1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]
    var bad: [[[UInt8]]] = [
      [], [good], [good, []], [good, [], [], [1]], [good, [], [], [], []], [[], [], []], [good.dropLast(), [], []],
    ]
    for (index, byte) in [(0, 2), (1, 7), (2, 32), (3, 3), (3, 2)] {
      var head = good
      head[index] = UInt8(byte)
      bad.append([head, Array("k".utf8), []])
    }
    for words in bad {
      var reply: [UInt8] = []
      let letter = TestCluster.Letter(
        from: 0, kind: .http, flags: [], database: 0, slot: Slot(index: 0), words: words, ticket: 0)
      guard case .replied = TestCluster.run(letter, executor, &reply) else {
        Issue.record("must be answered")
        continue
      }
      let made = try #require(reply.withUnsafeBytes { Reply(payload: $0) })
      #expect(made.status == 502)
      made.deallocate()
    }
    #expect(Array<UInt8>([200, 0]).withUnsafeBytes { Reply(payload: $0) } == nil)
    #expect(Array<UInt8>([99, 0, 0]).withUnsafeBytes { Reply(payload: $0) } == nil)
    #expect(Array<UInt8>([200, 0, 9]).withUnsafeBytes { Reply(payload: $0) } == nil)
  }
}
