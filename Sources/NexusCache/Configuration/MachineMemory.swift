import Glibc

/// How much memory this process may use: the machine's, or less where a control group says so.
public enum MachineMemory {
  /// - Parameter root: where `/proc` and `/sys` are, for tests.
  public static func bytes(root: String = "") -> Int {
    let machine = meminfoBytes(FileText.read(root + "/proc/meminfo", limitBytes: 1 << 16) ?? "")
    let groups = FileText.read(root + "/proc/self/cgroup", limitBytes: 1 << 16) ?? ""
    return ([machine ?? 1 << 30] + limits(groups, root)).min()!
  }

  static func meminfoBytes(_ text: String) -> Int? {
    for line in text.split(separator: "\n") where line.hasPrefix("MemTotal:") {
      return Int(line.split(separator: " ").dropFirst().first ?? "").map { $0 * 1024 }
    }
    return nil
  }

  /// cgroups(7): a line is `hierarchy:controllers:path`. Version 2 is hierarchy 0 without controllers; version 1
  /// names `memory`. A limit anywhere above holds too. In a container the path may be the host's, which is not
  /// mounted: then the root of the mount is this container's group.
  private static func limits(_ groups: String, _ root: String) -> [Int] {
    var found: [Int] = []
    for line in groups.split(separator: "\n") {
      let fields = line.split(separator: ":", maxSplits: 2, omittingEmptySubsequences: false)
      guard fields.count == 3 else { continue }
      let isSecond = fields[0] == "0" && fields[1].isEmpty
      guard isSecond || fields[1].split(separator: ",").contains("memory") else { continue }
      let mount = root + (isSecond ? "/sys/fs/cgroup" : "/sys/fs/cgroup/memory")
      let file = isSecond ? "memory.max" : "memory.limit_in_bytes"
      var parts = fields[2].split(separator: "/")
      while true {
        let folder = ([mount] + parts.map(String.init)).joined(separator: "/")
        if let text = FileText.read(folder + "/" + file, limitBytes: 64),
          let limit = Int(text.prefix { $0.isNumber }), limit > 0
        {
          found.append(limit)
        }
        if parts.isEmpty { break }
        parts.removeLast()
      }
    }
    return found
  }
}

enum FileText {
  /// The whole file as text; nil (and `errno`) if it cannot be read. Bytes past the limit are left out.
  static func read(_ path: String, limitBytes: Int) -> String? {
    let descriptor = open(path, O_RDONLY | O_CLOEXEC)
    guard descriptor >= 0 else { return nil }
    defer { close(descriptor) }
    var bytes: [UInt8] = []
    while bytes.count < limitBytes {
      let want = min(64 * 1024, limitBytes - bytes.count)
      var failed = false
      let chunk = [UInt8](unsafeUninitializedCapacity: want) { buffer, count in
        let read = Glibc.read(descriptor, buffer.baseAddress, want)
        failed = read < 0
        count = max(0, read)
      }
      if failed { return nil }
      if chunk.isEmpty { break }
      bytes += chunk
    }
    return String(decoding: bytes, as: UTF8.self)
  }
}
