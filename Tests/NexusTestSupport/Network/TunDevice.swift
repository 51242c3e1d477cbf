import Glibc

/// The network interface of a namespace whose wire is this process: what the kernel sends over it is read here, and
/// what is written here it receives (TUN: whole IP packets; Documentation/networking/tuntap.rst).
final class TunDevice: Sendable {
  /// Does not block.
  let descriptor: Int32
  /// The largest packet, in bytes, as on an Ethernet.
  static let packetBytes = 1500

  /// Within the namespace that is to have it: `eth0` with this address and all of 10.77/16 behind it, and loopback.
  init(_ address: PrivateAddress) throws {
    let descriptor = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC)
    guard descriptor >= 0 else { throw NetworkFailure("open /dev/net/tun", errno) }
    self.descriptor = descriptor
    let isTunWithoutHeader: UInt16 = 0x1001
    try InterfaceRequest("eth0", flags: isTunWithoutHeader).send(0x4004_54CA, "make a TUN device", on: descriptor)

    let socket = Glibc.socket(AF_INET, Int32(SOCK_DGRAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
    guard socket >= 0 else { throw NetworkFailure("make a socket", errno) }
    defer { close(socket) }
    let upAndRunning = UInt16(IFF_UP | IFF_RUNNING)
    for (request, number, what) in [
      (InterfaceRequest("eth0", address: address.bytes), SIOCSIFADDR, "give eth0 an address"),
      (InterfaceRequest("eth0", address: [255, 255, 0, 0]), SIOCSIFNETMASK, "give eth0 a netmask"),
      (InterfaceRequest("eth0", flags: upAndRunning), SIOCSIFFLAGS, "bring eth0 up"),
      (InterfaceRequest("lo", flags: upAndRunning), SIOCSIFFLAGS, "bring lo up"),
    ] {
      try request.send(UInt(number), what, on: socket)
    }
  }

  deinit { close(descriptor) }
}

/// An address of the private networks of the tests: 10.77.0.1 is the first host's.
struct PrivateAddress: CustomStringConvertible {
  let host: Int

  var bytes: [UInt8] { [10, 77, 0, UInt8(host + 1)] }
  var description: String { bytes.map { "\($0)" }.joined(separator: ".") }

  init(host: Int) { self.host = host }

  /// The receiver of an IPv4 packet; nil for others.
  init?(receiverOf packet: UnsafeRawBufferPointer) {
    guard packet.count >= 20, packet[0] >> 4 == 4, packet[16] == 10, packet[17] == 77, packet[18] == 0, packet[19] > 0
    else { return nil }
    host = Int(packet[19]) - 1
  }
}

/// `struct ifreq` of netdevice(7), whose union Swift has no names for: 16 bytes of name, 24 of contents.
private struct InterfaceRequest {
  private var bytes = [UInt8](repeating: 0, count: 40)

  private init(_ name: String) { bytes.replaceSubrange(0..<name.utf8.count, with: name.utf8) }

  init(_ name: String, flags: UInt16) {
    self.init(name)
    bytes.withUnsafeMutableBytes { $0.storeBytes(of: flags, toByteOffset: 16, as: UInt16.self) }
  }

  init(_ name: String, address: [UInt8]) {
    self.init(name)
    bytes.withUnsafeMutableBytes { $0.storeBytes(of: sa_family_t(AF_INET), toByteOffset: 16, as: sa_family_t.self) }
    bytes.replaceSubrange(20..<24, with: address)
  }

  func send(_ number: UInt, _ what: String, on descriptor: Int32) throws {
    var bytes = bytes
    let result = bytes.withUnsafeMutableBytes { ioctl(descriptor, number, $0.baseAddress!) }
    guard result == 0 else { throw NetworkFailure(what, errno) }
  }
}
