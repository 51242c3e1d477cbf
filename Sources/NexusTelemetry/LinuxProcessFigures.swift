import Glibc
import NexusService

/// What /proc/self, `getrusage` and `sysconf` say.
public struct LinuxProcessFigures: ProcessFigures {
  public init() {}

  public func read() -> ProcessReading {
    var reading = ProcessReading()
    let pageBytes = sysconf(Int32(_SC_PAGESIZE))
    let ticksPerSecond = Double(max(1, sysconf(Int32(_SC_CLK_TCK))))
    readStatus(&reading, pageBytes: pageBytes, ticksPerSecond: ticksPerSecond)
    (reading.cpuUserSeconds, reading.cpuSystemSeconds) = cpuSeconds(of: RUSAGE_SELF.rawValue)
    // RUSAGE_THREAD: Linux's own, behind _GNU_SOURCE in the header.
    (reading.threadUserSeconds, reading.threadSystemSeconds) = cpuSeconds(of: 1)
    reading.openDescriptors = openDescriptorCount()
    reading.machineBytes = sysconf(Int32(_SC_PHYS_PAGES)) * pageBytes
    var limit = rlimit()
    if getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) == 0 {
      reading.maxDescriptors = Int(clamping: limit.rlim_cur)
    }
    return reading
  }

  /// proc(5): /proc/self/stat. The second field is the program's name in parentheses and may hold anything, so that
  /// fields are counted from the last parenthesis on; the first after it is number 3.
  private func readStatus(_ reading: inout ProcessReading, pageBytes: Int, ticksPerSecond: Double) {
    guard let text = contents(of: "/proc/self/stat"), let close = text.lastIndex(of: UInt8(ascii: ")")) else { return }
    let fields = text[(close + 1)...].split(separator: UInt8(ascii: " ")).map { integer($0) }
    func field(_ number: Int) -> Int { number - 3 < fields.count ? fields[number - 3] : 0 }
    reading.threads = field(20)
    reading.virtualBytes = field(23)
    reading.residentBytes = field(24) * pageBytes
    reading.startTimeSeconds = bootTimeSeconds() + Double(field(22)) / ticksPerSecond
  }

  /// Seconds since the epoch: the `btime` line of /proc/stat.
  private func bootTimeSeconds() -> Double {
    guard let text = contents(of: "/proc/stat") else { return 0 }
    for line in text.split(separator: UInt8(ascii: "\n")) where line.starts(with: "btime ".utf8) {
      return Double(integer(line.dropFirst(6)))
    }
    return 0
  }

  private func cpuSeconds(of who: Int32) -> (user: Double, system: Double) {
    var usage = rusage()
    guard getrusage(__rusage_who_t(who), &usage) == 0 else { return (0, 0) }
    func seconds(_ time: timeval) -> Double { Double(time.tv_sec) + Double(time.tv_usec) / 1_000_000 }
    return (seconds(usage.ru_utime), seconds(usage.ru_stime))
  }

  private func openDescriptorCount() -> Int {
    guard let directory = opendir("/proc/self/fd") else { return 0 }
    defer { closedir(directory) }
    var count = 0
    while let entry = readdir(directory) {
      // Neither `.` nor `..`: descriptors are digits.
      if entry.pointee.d_name.0 != CChar(bitPattern: UInt8(ascii: ".")) { count += 1 }
    }
    // The directory itself is open while it is read.
    return count - 1
  }

  private func integer(_ digits: some Sequence<UInt8>) -> Int {
    var value = 0
    for digit in digits where digit >= 0x30 && digit <= 0x39 { value = value &* 10 &+ Int(digit &- 0x30) }
    return value
  }

  private func contents(of path: String) -> [UInt8]? {
    let descriptor = open(path, O_RDONLY | O_CLOEXEC)
    guard descriptor >= 0 else { return nil }
    defer { close(descriptor) }
    var text: [UInt8] = []
    while true {
      let chunk = [UInt8](unsafeUninitializedCapacity: 16 * 1024) { buffer, count in
        count = max(0, Glibc.read(descriptor, buffer.baseAddress, buffer.count))
      }
      if chunk.isEmpty { return text }
      text += chunk
    }
  }
}
