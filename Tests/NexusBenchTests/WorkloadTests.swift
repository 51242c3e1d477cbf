import Testing

@testable import NexusBench

@Suite struct WorkloadTests {
  @Test func aFullCommandLineIsUnderstood() throws {
    let line =
      "--host cache.example --port 7000 --op mix --ratio 1:4 --connections 8 --threads 2 --pipeline 16 --keys 10m"
    let more = " --key-size=24 --value-size 100-2kb --ttl 60s-120s --distribution zipf:1.1 --duration 500ms --rate 100k"
    let workload = try #require(try Workload.parse((line + more).split(separator: " ").map(String.init)))
    #expect(workload.endpoint == "cache.example:7000")
    #expect(workload.operation == .mix)
    #expect((workload.setShare, workload.getShare) == (1, 4))
    #expect(workload.keys == 10_000_000)
    #expect(workload.keySize == 24)
    #expect(workload.valueSizes == 100...2048)
    #expect(workload.ttlMilliseconds == 60_000...120_000)
    #expect(workload.distribution == .zipf(theta: 1.1))
    #expect(workload.durationSeconds == 0.5)
    #expect(workload.rate == 100_000)
  }

  @Test func thePortFollowsTheProtocolUnlessNamed() throws {
    #expect(try Workload.parse(["--protocol", "http"])?.port == 8080)
    #expect(try Workload.parse(["--protocol", "memcached-meta"])?.port == 11_211)
    #expect(try Workload.parse(["--port", "1", "--protocol", "http"])?.port == 1)
  }

  @Test(arguments: [
    (["--conections", "5"], "unknown option '--conections'"),
    (["--connections", "0"], "--connections '0' is not valid: accepted is a number from 1 to 100000"),
    (["--connections"], "--connections needs a value"),
    (["--spin=yes"], "--spin takes no value"),
    (["fast"], "unexpected argument 'fast'"),
    (["--value-size", "20-10"], "--value-size '20-10' is not valid"),
    (["--ratio", "0:0"], "--ratio '0:0' is not valid"),
    (["--distribution", "zipf:x"], "--distribution 'zipf:x' is not valid"),
    (["--keys", "10m", "--key-size", "6"], "--key-size 6 cannot hold key number 9999999"),
    (["--protocol", "http", "--op", "get", "--batch", "2"], "http has no read of several keys"),
    (["--duration", "0"], "--duration must be above 0"),
    (["--slots", "5-3"], "--slots '5-3' is not valid: accepted is slots from 0 to 16383"),
    (["--slots", "16384"], "--slots '16384' is not valid"),
    (["--slots", "0-9,"], "--slots '0-9,' is not valid"),
    (["--slots", "7", "--keys", "10m"], "--keys is too many for so few slots"),
    (["--slots", "7", "--keys", "9", "--key-size", "6"], "--key-size 6 cannot hold key number"),
    (["--slots", "7", "--trace", "t"], "a trace has its own"),
    (["--node", "7000"], "--node '7000' is not valid: accepted is a port and its slots, as 7000=0-5460"),
    (["--node", "7000=1-x"], "--node '7000=1-x' is not valid"),
    (["--node", "7000=1", "--port", "7001"], "--node says where keys are: leave --port out"),
    (["--node", "7000=1", "--keys", "9", "--op", "load"], "--op load fills one server"),
    (["--node", "1=1", "--node", "2=2", "--keys", "9", "--connections", "1"], "2 nodes need as many --connections"),
    (["--node", "1=1", "--keys", "10m"], "--keys is too many for so few slots"),
    (["--server-pid", "1,x"], "--server-pid '1,x' is not valid: accepted is process ids"),
  ]) func aBadCommandLineIsRefusedWithItsReason(arguments: [String], reason: String) {
    #expect {
      _ = try Workload.parse(arguments)
    } throws: { error in
      (error as? UsageError)?.message.contains(reason) == true
    }
  }

  @Test func helpNamesEveryOption() throws {
    #expect(try Workload.parse(["--help"]) == nil)
    for option in Option.groups.flatMap(\.options) { #expect(Workload.help.contains("--\(option.name)")) }
  }

  @Test func numbersAreWrittenForPeople() {
    #expect(1_234_567.grouped == "1,234,567")
    #expect((-999).grouped == "-999")
    #expect(1234.5678.fixed(2) == "1,234.57")
    #expect(0.05.fixed(1) == "0.1")
    #expect((-0.5).fixed(2) == "-0.50")
    #expect(7.0.fixed(0) == "7")
  }
}
