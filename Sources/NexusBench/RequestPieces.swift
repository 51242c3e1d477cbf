import NexusModel

/// The bytes around keys and values, ready made for one protocol.
struct RequestPieces {
  private let wire: Workload.Wire
  private let ttl: ClosedRange<Int>
  private let keyFormat: KeyFormat
  private let blankKey: [UInt8]
  private let getHead: [UInt8]
  private let getTail: [UInt8]
  private let setHead: [UInt8]
  private let plainSetHead: [UInt8]
  /// Letters, as many as the largest value has.
  private let letters: [UInt8]

  init(_ workload: Workload) {
    wire = workload.wire
    ttl = workload.ttlMilliseconds
    keyFormat = workload.keyFormat
    blankKey = keyFormat.blank()
    var random = SplitMix64(seed: 0x6E65_7875_73)
    letters = (0..<workload.valueSizes.upperBound).map { _ in UInt8(ascii: "a") + UInt8(random.below(26)) }
    let size = workload.keySize
    switch wire {
    case .resp:
      getHead = Array("*2\r\n$3\r\nGET\r\n$\(size)\r\n".utf8)
      getTail = Array("\r\n".utf8)
      setHead = Array("*5\r\n$3\r\nSET\r\n$\(size)\r\n".utf8)
      plainSetHead = Array("*3\r\n$3\r\nSET\r\n$\(size)\r\n".utf8)
    case .memcached:
      getHead = Array("get ".utf8)
      getTail = Array("\r\n".utf8)
      setHead = Array("set ".utf8)
      plainSetHead = setHead
    case .meta:
      getHead = Array("mg ".utf8)
      getTail = Array(" v\r\n".utf8)
      setHead = Array("ms ".utf8)
      plainSetHead = setHead
    case .http:
      let tail = " HTTP/1.1\r\nHost: \(workload.unixSocket == nil ? workload.host : "localhost")\r\n"
      getHead = Array("GET \(workload.httpPath)".utf8)
      getTail = Array("\(tail)Accept: application/octet-stream\r\n\r\n".utf8)
      setHead = Array("PUT \(workload.httpPath)".utf8)
      plainSetHead = Array("\(tail)Content-Type: application/octet-stream\r\nContent-Length: ".utf8)
    }
  }

  /// Appends a read of the key with this number; answers where the key stands in the buffer.
  func appendGet(_ number: UInt64, to buffer: inout OutputBuffer) -> Int {
    append(getHead, to: &buffer)
    let at = appendKey(number, to: &buffer)
    append(getTail, to: &buffer)
    return at
  }

  /// Appends one read of several keys; `each` hears where each key stands.
  func appendMultiGet(_ numbers: [UInt64], to buffer: inout OutputBuffer, _ each: (Int) -> Void) {
    if wire == .resp {
      buffer.append("*\(numbers.count + 1)\r\n$4\r\nMGET\r\n")
      for number in numbers {
        buffer.append("$\(blankKey.count)\r\n")
        each(appendKey(number, to: &buffer))
        buffer.append("\r\n" as StaticString)
      }
    } else {
      buffer.append("get" as StaticString)
      for number in numbers {
        buffer.append(byte: UInt8(ascii: " "))
        each(appendKey(number, to: &buffer))
      }
      buffer.append("\r\n" as StaticString)
    }
  }

  /// Appends a write of `size` letters; answers where the key stands.
  func appendSet(_ number: UInt64, size: Int, ttlMilliseconds: Int, to buffer: inout OutputBuffer) -> Int {
    let withTTL = ttlMilliseconds > 0
    append(wire == .resp && !withTTL ? plainSetHead : setHead, to: &buffer)
    let at = appendKey(number, to: &buffer)
    let seconds = (ttlMilliseconds + 999) / 1000
    switch wire {
    case .resp:
      buffer.append("\r\n$" as StaticString)
      append(decimal: size, to: &buffer)
      buffer.append("\r\n" as StaticString)
      appendLetters(size, to: &buffer)
      if withTTL {
        let text = String(ttlMilliseconds)
        buffer.append("\r\n$2\r\nPX\r\n$\(text.utf8.count)\r\n\(text)")
      }
    case .memcached:
      buffer.append(" 0 " as StaticString)
      append(decimal: seconds, to: &buffer)
      buffer.append(byte: UInt8(ascii: " "))
      append(decimal: size, to: &buffer)
      buffer.append("\r\n" as StaticString)
      appendLetters(size, to: &buffer)
    case .meta:
      buffer.append(byte: UInt8(ascii: " "))
      append(decimal: size, to: &buffer)
      if withTTL {
        buffer.append(" T" as StaticString)
        append(decimal: seconds, to: &buffer)
      }
      buffer.append("\r\n" as StaticString)
      appendLetters(size, to: &buffer)
    case .http:
      if withTTL {
        buffer.append("?ttl=" as StaticString)
        append(decimal: seconds, to: &buffer)
      }
      append(plainSetHead, to: &buffer)
      append(decimal: size, to: &buffer)
      buffer.append("\r\n\r\n" as StaticString)
      appendLetters(size, to: &buffer)
      return at
    }
    buffer.append("\r\n" as StaticString)
    return at
  }

  /// Writes another number over the key at `key`.
  @inline(__always) func patch(_ key: UnsafeMutableRawPointer, _ number: UInt64) { keyFormat.patch(key, number) }

  private func appendKey(_ number: UInt64, to buffer: inout OutputBuffer) -> Int {
    let at = buffer.count
    append(blankKey, to: &buffer)
    keyFormat.patch(buffer.base + at, number)
    return at
  }

  private func append(_ bytes: [UInt8], to buffer: inout OutputBuffer) {
    bytes.withUnsafeBytes { buffer.append($0) }
  }

  private func appendLetters(_ size: Int, to buffer: inout OutputBuffer) {
    letters.withUnsafeBytes { buffer.append(UnsafeRawBufferPointer(rebasing: $0[..<size])) }
  }

  private func append(decimal: Int, to buffer: inout OutputBuffer) {
    if decimal >= 10 { append(decimal: decimal / 10, to: &buffer) }
    buffer.append(byte: UInt8(ascii: "0") + UInt8(decimal % 10))
  }
}
