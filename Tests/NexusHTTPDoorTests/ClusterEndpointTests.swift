import Foundation
import NexusModel
import NexusService
import Synchronization
import Testing

@testable import NexusHTTPDoor

/// What the HTTP door says of the cluster, and what it tells it to do.
@Suite struct ClusterEndpointTests {
  private func json(_ reply: TestReply) throws -> [String: Any] {
    try #require(JSONSerialization.jsonObject(with: Data(reply.body)) as? [String: Any])
  }

  private func face(_ harness: ResponderHarness, of count: Int = 3) -> TestFace {
    let face = TestFace(count, 0)
    harness.node.routes.becomeClustered()
    harness.node.cluster = face
    for slot in 0..<Slot.count {
      let owner = slot * count / Slot.count
      harness.node.routes.set(Slot(index: UInt16(slot)), owner == 0 ? .here : .member(MemberNumber(owner)))
    }
    return face
  }

  @Test func theStateNamesMembersAndWhatRunsWhere() throws {
    let harness = ResponderHarness()
    let face = face(harness)
    face.change { $0.members[2].record.status = .dead }
    let state = try json(harness.ask("GET /v1/cluster/state"))
    #expect(state["cluster"] as? String == "test" && state["node"] as? String == "node-0")
    #expect(state["version"] as? String == "00000000000000ab")
    #expect(state["ready"] as? Bool == true && state["replicas"] as? Int == 150)
    let members = try #require(state["members"] as? [[String: Any]])
    #expect(members.map { $0["id"] as? String } == ["node-0", "node-1", "node-2"])
    #expect(members.map { $0["status"] as? String } == ["alive", "alive", "dead"])
    #expect(members[1]["http_port"] as? Int == 8081 && members[1]["peer_port"] as? Int == 7947)
    #expect(members[1]["slots"] as? Int == 5461 && members[1]["incarnation"] as? Int == 3)
    let nodes = try #require(state["nodes"] as? [[String: String]])
    #expect(nodes[2] == ["id": "node-2", "addr": "127.0.0.1:8082"])
    // A lookup as in any hash ring: the first point that is not below.
    let ring = try #require(state["ring"] as? [String: [String: String]])
    for slot in [0, 5461, 5462, 10922, 10923, 16383] {
      let point = try #require(ring.keys.compactMap { Int($0) }.filter { $0 >= slot }.min())
      #expect(ring["\(point)"]?["id"] == "node-\(slot * 3 / Slot.count)")
    }
  }

  @Test func slotsComeInRangesWithTheirMembers() throws {
    let harness = ResponderHarness()
    _ = face(harness, of: 2)
    harness.node.routes.set(Slot(index: 100), .awaited)
    let slots = try #require(try json(harness.ask("GET /v1/cluster/slots"))["slots"] as? [[String: Any]])
    #expect(slots.map { $0["first"] as? Int } == [0, 100, 101, 8192])
    #expect(slots.map { $0["last"] as? Int } == [99, 100, 8191, 16383])
    #expect(slots.map { $0["runs_on"] as? String } == ["node-0", nil, "node-0", "node-1"])
    #expect(slots[3]["members"] as? [String] == ["node-1"])
  }

  @Test func joiningTakesEveryFormAndSaysTheState() throws {
    let harness = ResponderHarness()
    let face = face(harness)
    for body in [
      #"{"address":"10.0.0.1:7946"}"#, #" {"addresses":["10.0.0.2:1","[::1]:2"]} "#,
      #"{"id":"node2","addr":"10.0.0.3:7946"}"#, #"{"\u0061ddress":"host\u002e:9"}"#,
    ] {
      let reply = harness.ask("POST /v1/cluster/join", [:], body)
      #expect(reply.status == 200, "\(body): \(reply.text)")
      #expect(try json(reply)["nodes"] != nil)
    }
    #expect(harness.ask("POST /setpeer", [:], "peer=svc2").status == 200)
    #expect(harness.ask("POST /setpeer", [:], "a=b&peer=10.0.0.9%3A80\n").status == 200)
    #expect(
      face.joined.withLock { $0 }
        == [
          "10.0.0.1:7946", "10.0.0.2:1", "[::1]:2", "10.0.0.3:7946", "host.:9", "svc2:7946", "10.0.0.9:80",
        ])
  }

  @Test(arguments: [
    (#"{"address":"10.0.0.1"}"#, 400, "bad_address"), (#"{"address":":8081"}"#, 400, "bad_address"),
    (#"{"address":"http://10.0.0.1:80"}"#, 400, "bad_address"), (#"{"address":"10.0.0.1:0"}"#, 400, "bad_address"),
    (#"{"addresses":[7]}"#, 400, "bad_body"), (#"{"addresses":[]}"#, 400, "bad_body"), ("{}", 400, "bad_body"),
    (#"{"adress":"10.0.0.1:1"}"#, 400, "bad_body"), ("[]", 400, "bad_body"), ("", 400, "bad_body"),
    (#"{"address":"10.0.0.1:1"#, 400, "bad_json"), (#"{"address":"127.0.0.1:7946"}"#, 409, "join_refused"),
  ])
  func badJoinsAreTold(_ body: String, _ status: Int, _ name: String) {
    let harness = ResponderHarness()
    let face = face(harness)
    let reply = harness.ask("POST /v1/cluster/join", [:], body)
    #expect(reply.status == status && code(reply) == name, "\(reply.text)")
    #expect(face.joined.withLock { $0 }.isEmpty)
  }

  @Test func badPeersAreTold() {
    let harness = ResponderHarness()
    _ = face(harness)
    #expect(code(harness.ask("POST /setpeer", [:], "svc2")) == "bad_body")
    #expect(code(harness.ask("POST /setpeer", [:], "peer=")) == "bad_address")
    #expect(code(harness.ask("POST /setpeer", [:], "peer=%zz")) == "bad_percent_encoding")
    #expect(harness.ask("GET /setpeer").status == 405)
  }

  @Test func leavingIsBegun() throws {
    let harness = ResponderHarness()
    let face = face(harness)
    #expect(harness.ask("POST /v1/cluster/leave").status == 202)
    let hasLeft = face.hasLeft.load(ordering: .relaxed)
    #expect(hasLeft)
    #expect(harness.ask("GET /v1/cluster/leave").status == 405)
  }

  @Test func pagesInABrowserChangeNothing() throws {
    let harness = ResponderHarness()
    let face = face(harness)
    let page = ["Origin": "http://example.com"]
    for request in ["POST /v1/cluster/leave", "POST /v1/cluster/join", "POST /setpeer"] {
      let reply = harness.ask(request, page, "peer=a:1")
      #expect(reply.status == 403 && code(reply) == "from_a_page", "\(request)")
    }
    let hasLeft = face.hasLeft.load(ordering: .relaxed)
    #expect(!hasLeft)
    #expect(harness.ask("GET /v1/cluster/state", page).status == 200)
  }

  @Test func readinessHasItsReason() throws {
    let harness = ResponderHarness()
    let face = face(harness)
    #expect(harness.ask("GET /health/ready").text == #"{"ready":true}"#)
    #expect(harness.ask("GET /health").text == #"{"healthy":true,"node":"node-0","cluster_size":3}"#)
    face.change {
      $0.isReady = false
      $0.members[1].record.status = .dead
    }
    let joining = harness.ask("GET /health/ready")
    #expect(joining.status == 503 && joining.text.contains("has not joined its cluster yet"))
    #expect(harness.ask("GET /health").text.hasSuffix(#""cluster_size":2}"#))
    face.change { $0.incomingCount = 12 }
    #expect(harness.ask("GET /health/ready").text.contains("12 slots are on their way"))
    face.change { $0.members[0].record.member.isLeaving = true }
    #expect(harness.ask("GET /health/ready").text.contains("is leaving"))
    #expect(harness.ask("GET /health/live").status == 200)
  }

  @Test func aNodeByItselfSaysWhatWouldMakeItAMember() {
    let harness = ResponderHarness()
    for request in [
      "GET /v1/cluster/state", "GET /v1/cluster/slots", "POST /v1/cluster/leave", "POST /v1/cluster/join",
    ] {
      let reply = harness.ask(request, [:], #"{"address":"10.0.0.1:7946"}"#)
      #expect(reply.status == 409 && code(reply) == "not_clustered" && reply.text.contains("peer-port"), "\(request)")
    }
    #expect(harness.ask("GET /health/ready").status == 200)
  }

  @Test func thePasswordIsAskedForAtEveryDoorButHealth() {
    let harness = ResponderHarness(settings: ["password": "x"])
    _ = face(harness)
    for request in ["GET /v1/cluster/state", "GET /v1/cluster/slots", "POST /v1/cluster/leave", "POST /setpeer"] {
      #expect(harness.ask(request).status == 401, "\(request)")
      #expect(harness.ask(request, ["Authorization": "Bearer x"], "peer=a:1").status < 300, "\(request)")
    }
    #expect(harness.ask("GET /health/ready").status == 200)
  }
}
