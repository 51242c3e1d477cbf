import Glibc

/// Carries packets from one host's device to another's, each as its fate says.
final class PacketRelay {
  private struct Waiting {
    /// In nanoseconds of the monotonic clock.
    var due: UInt64
    var to: Int
    var packet: [UInt8]
  }

  private let devices: [Int32]
  private let end: Int32
  private let wiring: Wiring
  /// The last is the next to go.
  private var waiting: [Waiting] = []

  /// More are thrown away, as a router does.
  private static let waitingMost = 20_000
  private static let packetsAtOnce = 64

  /// - Parameters:
  ///   - devices: one of each host, that do not block.
  ///   - end: of a pipe whose other end is closed when there is nothing to carry any more.
  init(_ devices: [Int32], _ wiring: Wiring, end: Int32) {
    (self.devices, self.wiring, self.end) = (devices, wiring, end)
  }

  func run() {
    var entries = (devices + [end]).map { pollfd(fd: $0, events: Int16(POLLIN), revents: 0) }
    while true {
      poll(&entries, nfds_t(entries.count), untilNext())
      if entries[devices.count].revents != 0 { return }
      deliverDue()
      for (host, entry) in entries.dropLast().enumerated() where entry.revents != 0 { carry(from: host) }
    }
  }

  private func untilNext() -> Int32 {
    guard let next = waiting.last else { return -1 }
    let now = Self.now()
    return next.due <= now ? 0 : Int32((next.due - now + 999_999) / 1_000_000)
  }

  private func carry(from host: Int) {
    withUnsafeTemporaryAllocation(byteCount: TunDevice.packetBytes, alignment: 8) { buffer in
      for _ in 0..<Self.packetsAtOnce {
        let count = read(devices[host], buffer.baseAddress, buffer.count)
        guard count > 0 else { return }
        let packet = UnsafeRawBufferPointer(rebasing: buffer[..<count])
        guard let to = PrivateAddress(receiverOf: packet)?.host, to < devices.count else { continue }
        // The ninth byte of IPv4's head names the protocol.
        let streamBytes = count > 9 && packet[9] == UInt8(IPPROTO_TCP) ? count : 0
        guard case .carried(let delay) = wiring.fate(from: host, to: to, streamBytes: streamBytes) else { continue }
        if delay == 0 { write(devices[to], packet.baseAddress, count) } else { hold(Array(packet), to, delay) }
      }
    }
  }

  private func hold(_ packet: [UInt8], _ to: Int, _ milliseconds: Int) {
    guard waiting.count < Self.waitingMost else { return }
    let due = Self.now() + UInt64(milliseconds) * 1_000_000
    var (low, high) = (0, waiting.count)
    while low < high {
      let middle = (low + high) / 2
      if waiting[middle].due > due { low = middle + 1 } else { high = middle }
    }
    waiting.insert(Waiting(due: due, to: to, packet: packet), at: low)
  }

  private func deliverDue() {
    let now = Self.now()
    while let next = waiting.last, next.due <= now {
      waiting.removeLast()
      write(devices[next.to], next.packet, next.packet.count)
    }
  }

  private static func now() -> UInt64 {
    var time = timespec()
    clock_gettime(CLOCK_MONOTONIC, &time)
    return UInt64(time.tv_sec) * 1_000_000_000 + UInt64(time.tv_nsec)
  }
}
