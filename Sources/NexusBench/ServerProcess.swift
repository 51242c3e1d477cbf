import Glibc

/// What Linux knows of a process under load.
public struct ServerProcess {
  public let pid: Int32

  public init(pid: Int32) { self.pid = pid }

  public struct Reading {
    /// utime + stime of the process, in the kernel's ticks (usually 10 ms).
    public var tickSeconds = 0.0
    /// The scheduler's own clock, summed over the threads that live now.
    public var scheduledSeconds = 0.0
    public var residentBytes = 0
  }

  /// Nil where there is no such process, or it is not ours to look at.
  public func read() -> Reading? {
    guard let stat = Self.text("/proc/\(pid)/stat"), let close = stat.lastIndex(of: ")") else { return nil }
    // Fields after the name: state is the 3rd of the file, utime the 14th, stime the 15th, rss the 24th.
    let fields = stat[stat.index(after: close)...].split(separator: " ")
    guard fields.count > 21, let user = Double(fields[11]), let system = Double(fields[12]),
      let pages = Int(fields[21])
    else { return nil }
    var reading = Reading()
    reading.tickSeconds = (user + system) / Double(sysconf(Int32(_SC_CLK_TCK)))
    reading.residentBytes = pages * sysconf(Int32(_SC_PAGESIZE))
    for task in Self.entries("/proc/\(pid)/task") {
      guard let line = Self.text("/proc/\(pid)/task/\(task)/schedstat"), let first = line.split(separator: " ").first,
        let nanoseconds = Double(first)
      else { continue }
      reading.scheduledSeconds += nanoseconds * 1e-9
    }
    return reading
  }

  /// The sum over these processes; nil where one of them cannot be read.
  static func read(_ pids: [Int32]) -> Reading? {
    var sum = Reading()
    for pid in pids {
      guard let reading = ServerProcess(pid: pid).read() else { return nil }
      sum.tickSeconds += reading.tickSeconds
      sum.scheduledSeconds += reading.scheduledSeconds
      sum.residentBytes += reading.residentBytes
    }
    return sum
  }

  private static func entries(_ path: String) -> [String] {
    guard let directory = opendir(path) else { return [] }
    defer { closedir(directory) }
    var names: [String] = []
    while let entry = readdir(directory) {
      let name = withUnsafeBytes(of: entry.pointee.d_name) { bytes in
        String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
      }
      if !name.hasPrefix(".") { names.append(name) }
    }
    return names
  }

  private static func text(_ path: String) -> String? {
    let descriptor = open(path, O_RDONLY | O_CLOEXEC)
    guard descriptor >= 0 else { return nil }
    defer { close(descriptor) }
    var buffer = [UInt8](repeating: 0, count: 4096)
    let count = Glibc.read(descriptor, &buffer, buffer.count)
    return count > 0 ? String(decoding: buffer[..<count], as: UTF8.self) : nil
  }
}
