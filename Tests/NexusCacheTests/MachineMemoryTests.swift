import Foundation
import NexusCache
import Testing

/// Against folders that look like `/proc` and `/sys` of different machines.
@Suite struct MachineMemoryTests {
  @Test func withoutControlGroupsItIsTheMachines() throws {
    #expect(try bytes([:]) == 1000 * 1024)
  }

  @Test func theNarrowestGroupOnTheWayUpHolds() throws {
    let files = [
      "proc/self/cgroup": "0::/a.slice/b.scope\n", "sys/fs/cgroup/a.slice/b.scope/memory.max": "max\n",
      "sys/fs/cgroup/a.slice/memory.max": "524288\n",
    ]
    #expect(try bytes(files) == 524_288)
  }

  @Test func inAContainerTheMountsRootIsItsGroup() throws {
    #expect(try bytes(["proc/self/cgroup": "0::/host/path\n", "sys/fs/cgroup/memory.max": "65536\n"]) == 65_536)
  }

  @Test func versionOneNamesTheMemoryController() throws {
    let files = [
      "proc/self/cgroup": "5:cpu,cpuacct:/x\n4:memory:/docker/abc\n",
      "sys/fs/cgroup/memory/docker/abc/memory.limit_in_bytes": "131072\n",
      "sys/fs/cgroup/memory/memory.limit_in_bytes": "9223372036854771712\n",
    ]
    #expect(try bytes(files) == 131_072)
  }

  private func bytes(_ files: [String: String]) throws -> Int {
    let root = FileManager.default.temporaryDirectory.appendingPathComponent("nexus-test-\(UUID().uuidString)")
    defer { try? FileManager.default.removeItem(at: root) }
    let all = files.merging(["proc/meminfo": "MemTotal:        1000 kB\nMemFree: 10 kB\n"]) { $1 }
    for (path, text) in all {
      let file = root.appendingPathComponent(path)
      try FileManager.default.createDirectory(at: file.deletingLastPathComponent(), withIntermediateDirectories: true)
      try text.write(to: file, atomically: true, encoding: .utf8)
    }
    return MachineMemory.bytes(root: root.path)
  }
}
