import Foundation
import Glibc
import NexusTestSupport
import Testing

extension ClusterTests {
  /// Members come and go while clients work.
  @Suite struct ComingAndGoing {
    @Test("a node joins under load: no operation fails, no increment is lost")
    func joinUnderLoad() throws {
      try ClusterOfProcesses.story(2) { cluster in
        let load = CountingLoad(clients: 4, cluster.nodes)
        cluster.expect(load.goesOn(for: 500))
        try cluster.add()
        try cluster.waitUntilWhole()
        cluster.expect(load.goesOn(for: 500))
        try cluster.expectNothingFailed(load.stop())
        cluster.expect(try cluster[2].state().slots > 3000)
      }
    }

    @Test("commands with keys of many slots find all of them while a node joins and one leaves")
    func manyKeysUnderWay() throws {
      // Slots move slowly, so that many operations meet keys of which some have arrived and others have not.
      try ClusterOfProcesses.story(2, ["--rebalance-rate", "256kb"]) { cluster in
        let clients = try cluster.nodes.map { try $0.client() }
        let keys = (0..<1500).map { "many:\($0)" }
        let filler = String(repeating: "x", count: 600)
        _ = try clients[0].pipeline(keys.map { ["SET", $0, $0 + filler].map { Array($0.utf8) } })
        let seed = Dice.seed()
        print("NEXUS_SEED=\(seed)")
        var dice = Dice(seed: seed)
        func look(_ rounds: Int, _ when: String) throws {
          for round in 0..<rounds {
            let chosen = (0..<8).map { _ in dice.pick(keys) }
            let client = clients[round % 2]
            if round % 4 == 0 {
              let set = try client.ask((["MSET"] + chosen.flatMap { [$0, $0 + filler] }).map { Array($0.utf8) })
              cluster.expect(set == .ok, "\(when): MSET: \(set)")
            } else {
              let got = try client.ask((["MGET"] + chosen).map { Array($0.utf8) })
              let wrong = zip(chosen, got.elements ?? [got]).filter { $1.string != $0 + filler }
              cluster.expect(wrong.isEmpty, "\(when): MGET lacks \(wrong.map(\.0)): \(got.string ?? "")")
            }
          }
        }
        try cluster.add()
        try look(400, "it joins")
        try cluster.waitUntilWhole(seconds: 60)
        // It has five seconds to leave.
        try cluster[2].client().ask("CONFIG", "SET", "rebalance-rate", "64mb")
        cluster[2].process.signal(SIGTERM)
        cluster[2].mayEnd = true
        try look(400, "it leaves")
        cluster.expect(cluster[2].process.waitForExit(seconds: 20) == 0)
        let isUnmoved = cluster[2].log.contains("not handed over in time")
        cluster.expect(!isUnmoved, "it left too early")
        try cluster.waitUntilWhole(seconds: 60)
        for client in clients {
          let values = try client.pipeline(keys.map { ["GET", $0].map { Array($0.utf8) } })
          let lost = zip(keys, values).filter { $1.string != $0 + filler }.map(\.0)
          cluster.expect(lost.isEmpty, "\(lost.count) are lost: \(lost.prefix(5))")
        }
      }
    }

    @Test("filters follow their slots with all that they hold while a node joins and leaves")
    func filters() throws {
      try ClusterOfProcesses.story(2) { cluster in
        let clients = try cluster.nodes.map { try $0.client() }
        let names = (0..<40).map { "filter:\($0)" }
        // Some lie in pages, some have memory of their own, and one is larger than a stretch of entries.
        let capacities = [20, 2000, 50_000, 400_000]
        let items = (0..<300).map { "item:\($0)" }
        for (index, name) in names.enumerated() {
          try clients[0].ask("CF.RESERVE", name, "\(capacities[index % 4])", "ERROR", "0.0001")
          let added = try clients[1].ask((["CF.INSERT", name, "ITEMS"] + items).map { Array($0.utf8) })
          cluster.expect(added.elements?.allSatisfy { $0.number == 1 } == true, "\(name): \(added)")
        }
        func look(_ when: String) throws {
          for (index, name) in names.enumerated() {
            let client = clients[index % 2]
            let found = try client.ask((["CF.MEXISTS", name] + items).map { Array($0.utf8) })
            let lost = found.elements?.count(where: { $0.number != 1 }) ?? items.count
            cluster.expect(lost == 0, "\(when): \(name) lacks \(lost) items")
            cluster.expect(try client.ask("TYPE", name).string == "MBbloomCF", "\(when): \(name)")
            cluster.expect(try client.ask("CF.ADD", name, when).number == 1, "\(when): \(name)")
          }
        }
        try cluster.add()
        try look("while it joins")
        try cluster.waitUntilWhole()
        try look("when it has joined")
        cluster.expect(cluster[2].leave() == 0, "exit status of the node that leaves")
        try look("when it has left")
        for name in names {
          cluster.expect(try clients[0].ask("CF.COUNT", name, "while it joins").number == 1, name)
        }
      }
    }

    @Test("a node leaves by SIGTERM under load: no operation fails, no increment is lost")
    func leaveUnderLoad() throws {
      try ClusterOfProcesses.story(3) { cluster in
        let load = CountingLoad(clients: 4, Array(cluster.nodes[..<2]))
        cluster.expect(load.goesOn(for: 500))
        cluster.expect(cluster[2].leave() == 0, "exit status of the node that leaves")
        try cluster.waitUntilWhole()
        cluster.expect(load.goesOn(for: 500))
        try cluster.expectNothingFailed(load.stop())
      }
    }

    @Test("kill -9 of one of three under load; it comes back under its id and is taken in")
    func killUnderLoad() throws {
      try ClusterOfProcesses.story(3) { cluster in
        let load = CountingLoad(clients: 4, Array(cluster.nodes[..<2]), mayForget: true)
        cluster.expect(load.goesOn(for: 500))
        let owners = try cluster[0].owners()
        let moment = MonotonicClock.seconds()
        cluster[2].kill()
        usleep(4_000_000)
        try cluster.waitUntilWhole(seconds: 60)
        cluster.expect(load.goesOn(for: 500))
        let back = MonotonicClock.seconds()
        try cluster.restart(cluster[2])
        try cluster.waitUntilWhole(seconds: 60)
        cluster.expect(load.goesOn(for: 500))
        let tally = load.stop()
        let recovery = String(format: "%.2f", tally.recovery(from: moment, to: back))
        print(
          "kill -9: nothing fails or is late after \(recovery) s,",
          "\(tally.failures.count) of \(tally.operations) failed: \(tally.reasons)")
        cluster.expect(tally.wrong.isEmpty, "\(tally.wrong.prefix(5))")
        cluster.expect(tally.accounts.values.allSatisfy { $0.losses <= 1 }, "a key was lost twice")
        // What was not the dead node's has lost nothing.
        let differences = try tally.differences(from: cluster.running) { owners[$0.keySlot] != "n3" }
        cluster.expect(differences.isEmpty, "\(differences.prefix(5))")
        cluster.expect(tally.failures.allSatisfy { $0.at < back }, "operations fail while it comes back")
        cluster.expect(try cluster[2].state().slots > 3000)
      }
    }

    @Test("a node that stands still for longer than the others wait comes back: no slot has two owners")
    func standStill() throws {
      try ClusterOfProcesses.story(3) { cluster in
        let own = try cluster[2].ownKeys("kept", 60)
        let load = CountingLoad(clients: 4, doors: cluster.nodes[..<2].map(\.door), mayForget: true) { client in
          own.enumerated().filter { $0.offset % 4 == client }.map(\.element)
        }
        cluster.expect(load.goesOn(for: 500))
        cluster[2].stand()
        cluster.expect(
          try eventually(seconds: 30) {
            try cluster.nodes[..<2].allSatisfy { try $0.state().members["n3"] == "dead" }
          }, "nobody notices that n3 stands still")
        cluster.expect(load.goesOn(for: 500))
        cluster[2].goOn()
        try cluster.waitUntilWhole(seconds: 60)
        cluster.expect(load.goesOn(for: 500))
        let tally = load.stop()
        print("SIGSTOP: \(tally.failures.count) of \(tally.operations) failed: \(tally.reasons)")
        cluster.expect(tally.wrong.isEmpty, "\(tally.wrong.prefix(5))")
        cluster.expect(tally.accounts.values.allSatisfy { $0.losses <= 1 }, "a key began from nothing twice")
        // Each value is what one owner counted: all nodes say the same, and from here on it is exact.
        let clients = try cluster.nodes.map { try $0.client() }
        for key in own {
          let values = try clients.map { try $0.ask("GET", key).number ?? 0 }
          cluster.expect(Set(values).count == 1, "\(key): \(values)")
          for (index, client) in clients.enumerated() {
            cluster.expect(try client.ask("INCR", key).number == values[0] + Int64(index) + 1, key)
          }
        }
      }
    }
  }
}

extension ClusterOfProcesses {
  func expectNothingFailed(_ tally: CountingLoad.Tally, _ location: SourceLocation = #_sourceLocation) throws {
    expect(tally.failures.isEmpty, "\(tally.failures.count) of \(tally.operations) failed: \(tally.reasons)", location)
    expect(tally.wrong.isEmpty, "\(tally.wrong.prefix(5))", location)
    let differences = try tally.differences(from: running)
    expect(differences.isEmpty, "\(differences.count) differ: \(differences.prefix(5))", location)
  }
}
