import Glibc

/// What the system says of the running process, for INFO's server section.
func processIdentifier() -> Int { Int(getpid()) }

/// `Linux 6.1.0 x86_64`
func operatingSystem() -> String {
  var names = utsname()
  guard uname(&names) == 0 else { return "Linux" }
  func text<Field>(_ field: Field) -> String {
    withUnsafeBytes(of: field) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
  }
  return "\(text(names.sysname)) \(text(names.release)) \(text(names.machine))"
}

func executablePath() -> String {
  withUnsafeTemporaryAllocation(of: CChar.self, capacity: 4096) { buffer in
    let length = readlink("/proc/self/exe", buffer.baseAddress!, buffer.count)
    return String(decoding: buffer[..<max(0, length)].lazy.map { UInt8(bitPattern: $0) }, as: UTF8.self)
  }
}
