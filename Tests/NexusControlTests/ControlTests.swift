import Glibc
import NexusModel
import Testing

@testable import NexusControl

@Suite struct JSONTreeTests {
  private func tree(_ text: String) -> JSONTree? { JSONTree(Array(text.utf8)) }

  @Test func whatNodesSayIsTakenApart() throws {
    let read = try #require(tree(#" {"a":[1,-2.5e1,true,false,null,{}],"b":"x\"\\\/\n\u00e9\ud83d\ude00","a":7} "#))
    #expect(read["a"].elements == [.number(1), .number(-25), .bool(true), .bool(false), .null, .object([])])
    #expect(read["b"].text == "x\"\\/\né😀")
    #expect(read["absent"] == .null && read["a"]["x"] == .null)
    #expect(read["a"].elements[0].int == 1 && read["a"].elements[1].bool == nil)
  }

  @Test(arguments: [
    "", "{", "[1,]", "{\"a\"}", "{\"a\":}", "[1 2]", "tru", "\"x", "\"\u{1}\"", "\"\\u12\"", "\"\\ud800\"", "\"\\x\"",
    "{}x", "-", "1..2", String(repeating: "[", count: 100),
  ])
  func whatIsNoJSONIsNone(_ text: String) { #expect(tree(text) == nil) }

  @Test func quotedTextsReadBack() {
    for text in ["", "plain", "a\"b\\c", "\n\u{1}é😀"] { #expect(tree(JSONTree.quoted(text)) == .string(text)) }
  }
}

@Suite struct ResponseTests {
  private func response(_ text: String, isWhole: Bool = false) -> HTTPClient.Response? {
    HTTPClient.response(Array(text.utf8), isWhole: isWhole)
  }

  @Test func aResponseEndsWhereItSays() {
    #expect(response("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{") == nil)
    #expect(response("HTTP/1.1 200 OK\r\ncontent-length:2\r\n\r\n{}")?.json == .object([]))
    #expect(response("HTTP/1.1 204 No\r\n\r\n") == nil)
    #expect(response("HTTP/1.1 503 No\r\n\r\nx", isWhole: true) == .init(status: 503, body: [UInt8(ascii: "x")]))
    #expect(response("+PONG\r\n\r\n", isWhole: true) == nil)
    #expect(response("HTTP/1.1", isWhole: true) == nil)
  }
}

@Suite struct CtlTests {
  private func ctl(_ arguments: String..., environment: [String] = []) throws -> Ctl {
    try Ctl(arguments: arguments, environment: environment)
  }

  @Test func flagsStandAnywhere() throws {
    let join = try ctl("join", "a:1", "--http=http://10.0.0.7:81/", "b:2", "--json", "--timeout", "3")
    #expect(join.addresses == ["a:1", "b:2"] && join.isJSON && join.timeoutSeconds == 3)
    #expect(join.client.address == NetworkAddress(host: "10.0.0.7", port: 81))
    #expect(try ctl("members").client.address.description == "127.0.0.1:8080")
    #expect(try ctl("slots", environment: ["NEXUSCACHE_PASSWORD=a=b"]).client.password == "a=b")
    #expect(try ctl("slots", "--password", "c", environment: ["NEXUSCACHE_PASSWORD=a"]).client.password == "c")
  }

  @Test(arguments: [
    (["frobnicate"], "there is no 'ctl frobnicate'"), (["join"], "write whom to join"),
    (["members", "extra"], "'extra' is not expected"), (["members", "--watch"], "'--watch' is not expected"),
    (["members", "--http"], "--http needs a value"), (["members", "--http", "8080"], "--http cannot be '8080'"),
    (["leave", "--timeout", "soon"], "--timeout is a number"), ([], "write what to do"),
  ])
  func mistakesAreNamed(_ arguments: [String], _ beginning: String) {
    var failure: ControlFailure?
    do throws(ControlFailure) { _ = try Ctl(arguments: arguments, environment: []) } catch { failure = error }
    #expect(failure?.status == 2)
    #expect(failure?.description.hasPrefix(beginning) == true, "\(failure?.description ?? "")")
  }

  private func state(_ members: String, _ rest: String = "") throws -> ClusterState {
    let text =
      #"{"cluster":"c","node":"n1","version":"ab","ready":true,"slots_executed":8192\#(rest),"members":[\#(members)]}"#
    let tree = try #require(JSONTree(Array(text.utf8)))
    return try #require(ClusterState(tree))
  }
  private func member(_ id: String, _ more: String = "") -> String {
    #"{"id":"\#(id)","status":"alive","host":"10.0.0.1","peer_port":7946,"http_port":8080,"slots":8192\#(more)}"#
  }

  @Test func tablesLineUp() throws {
    let both = try state(member("n1") + "," + member("node-22", #","leaving":true,"zone":"z""#))
    let lines = Ctl.members(both).split(separator: "\n")
    #expect(lines.count == 4)
    #expect(lines[0].hasPrefix("MEMBER   STATUS   SLOTS  PEERS          REDIS  HTTP"))
    #expect(lines[1].hasPrefix("n1 *     alive     8192  10.0.0.1:7946  -      10.0.0.1:8080  -"))
    #expect(lines[2].hasPrefix("node-22  leaving   8192  10.0.0.1:7946"))
    let status = Ctl.status(try state(member("n1"), #","slots_incoming":3,"reason":"3 slots""#))
    #expect(
      status.contains("members   1 live of 1\n") && status.contains("8192 of 16384 run here, 3 on their way here"))
  }

  @Test func slotsAreShownInRanges() {
    let text =
      #"{"slots":[{"first":0,"last":9,"runs_on":"a","members":["a","b"]},"#
      + #"{"first":10,"last":10,"runs_on":null,"members":[]}]}"#
    let lines = JSONTree(Array(text.utf8)).flatMap { Ctl.slots($0) }?.split(separator: "\n").map(String.init)
    #expect(
      lines == [
        "SLOTS  COUNT  RUN ON         MEMBERS", "0-9       10  a              a b", "10         1  (between two)",
      ])
    #expect(Ctl.slots(.object([])) == nil)
  }

  @Test func aJoinIsDoneWhenWhoWasNamedOrSomebodyNewIsThere() throws {
    let alone = try state(member("n1"))
    let both = try state(member("n1") + "," + member("n2"))
    #expect(!Ctl.hasMet(["10.0.0.9:1"], alone, alone))
    #expect(Ctl.hasMet(["somewhere:1"], both, alone))
    #expect(Ctl.hasMet(["10.0.0.1:7946"], both, both))
    #expect(!Ctl.hasMet(["somewhere:1"], both, both))
  }

  @Test func progressSaysWhatIsNotKnown() throws {
    let both = try state(member("n1") + "," + member("n2"), #","slots_incoming":5"#)
    let rows = [(member: both.members[0], state: ClusterState?.some(both)), (member: both.members[1], state: nil)]
    let lines = Ctl.progress(rows).split(separator: "\n")
    #expect(lines[1] == "n1      alive    8192  50.0%         5         0")
    #expect(lines[2] == "n2      alive    8192  50.0%         ?         ?")
    #expect(JSONTree(Array(Ctl.json(rows).utf8))?["members"].elements[1]["incoming"] == .null)
  }
}

@Suite struct DemoTests {
  @Test func takenPortsAreNamedAndTheNextFreeOnesChosen() throws {
    let usual = try #require(PortPlan(3) { _ in true })
    #expect(usual.nodes.map(\.redis) == [6379, 6380, 6381] && usual.nodes.map(\.http) == [8080, 8081, 8082])
    #expect(usual.nodes.map(\.peer) == [7946, 7947, 7948] && usual.notes.isEmpty)
    #expect(usual.form == 9999)
    let taken: Set = [6379, 6380, 8081, 9999]
    let plan = try #require(PortPlan(3) { !taken.contains($0) })
    #expect(plan.nodes.map(\.redis) == [6381, 6382, 6383])
    #expect(plan.nodes.map(\.http) == [8080, 8082, 8083])
    #expect(plan.notes.first == "Redis port 6379 of node-1 is taken: it uses 6381 instead.")
    #expect(plan.form == 10000 && plan.notes.last == "form port 9999 of node-1 is taken: it uses 10000 instead.")
    #expect(PortPlan(1) { _ in false } == nil)
  }

  @Test func aPortThatSomebodyListensOnIsNotFree() {
    let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
    defer { close(descriptor) }
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_addr.s_addr = in_addr_t(0x7F00_0001).bigEndian
    var length = socklen_t(MemoryLayout<sockaddr_in>.size)
    let port = withUnsafeMutablePointer(to: &address) { pointer in
      pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        _ = bind(descriptor, $0, length)
        listen(descriptor, 1)
        getsockname(descriptor, $0, &length)
      }
      return Int(in_port_t(bigEndian: pointer.pointee.sin_port))
    }
    #expect(!PortPlan.isFree(port))
  }

  @Test func figuresComeFromTheMetricsPage() {
    let page = """
      # TYPE nexuscache_namespace_entries gauge
      nexuscache_namespace_entries{namespace="default"} 12
      nexuscache_namespace_entries{namespace="db1"} 3
      nexuscache_requests_total{operation="get",status="hit"} 40
      nexuscache_requests_total{operation="set",status="ok"} 2
      nexuscache_commands_total 99
      """
    let figures = DemoNode.figures(page)
    #expect(figures.keys == 15 && figures.operations == 42)
  }
}
