import Glibc
import NexusHTTPDoor
import NexusService
import NexusTransport
import Synchronization

/// The HTTP door at one address: one listening daemon for each loop, which share the port.
final class HTTPDoors {
  let address: BindAddress
  let port: Int
  private let doors: [(loop: EpollLoop, door: HTTPDoor)]

  /// Before the loops run. Nil where the address is optional and the machine does not have it.
  /// - Parameter setting: the one that gives the port.
  init?(node: Node, runtime: Runtime, address: BindAddress, setting: SettingID) throws(StartFailure) {
    let settings = node.settings
    self.address = address
    port = settings.number(setting)
    var configuration = HTTPConfiguration()
    configuration.address = address.numeric
    configuration.port = UInt16(port)
    configuration.connectionLimit = settings.maxClients
    configuration.idleTimeoutSeconds = settings.httpIdleTimeoutSeconds
    if !settings.nodeID.isEmpty { configuration.nodeName = settings.nodeID }
    if let reason = PortProbe.whyTaken(address, port: port, setting: Setting.all[setting.rawValue].name) {
      if address.isOptional { return nil }
      throw StartFailure("cannot listen on \(address.withPort(port)) for HTTP: \(reason)")
    }
    var doors: [(EpollLoop, HTTPDoor)] = []
    for loop in runtime.loops {
      do throws(HTTPDoorFailure) {
        let door = try HTTPDoor(
          node: node, loop: loop, configuration: configuration, seed: UInt64.random(in: 1 ... .max))
        loop.watch(door)
        doors.append((loop, door))
      } catch { throw StartFailure(error.description) }
    }
    self.doors = doors
  }

  /// Takes no new connections, and waits until the requests that have begun are answered; at most for so long.
  func drain(milliseconds: Int) {
    for (loop, door) in doors {
      let held = OnItsLoop(door)
      loop.post { held.door.stopAccepting() }
    }
    var left = milliseconds
    while left > 0 {
      let inFlight = InFlight()
      for (loop, door) in doors {
        let held = OnItsLoop(door)
        loop.post { inFlight.add(held.door.requestsInFlight) }
      }
      repeat {
        usleep(1000)
        left -= 1
      } while left > 0 && !inFlight.isComplete(doors.count)
      if inFlight.isComplete(doors.count) && inFlight.requests == 0 { return }
    }
  }

  /// After the loops have ended.
  func stop() {
    for (_, door) in doors { door.stop() }
  }

  /// Carries a door to its own loop, the only thread that touches it while the loop runs.
  private final class OnItsLoop: @unchecked Sendable {
    let door: HTTPDoor
    init(_ door: HTTPDoor) { self.door = door }
  }

  private final class InFlight: Sendable {
    private let total = Atomic<Int>(0)
    private let answers = Atomic<Int>(0)
    func add(_ count: Int) {
      total.add(count, ordering: .relaxed)
      answers.add(1, ordering: .releasing)
    }
    func isComplete(_ expected: Int) -> Bool { answers.load(ordering: .acquiring) == expected }
    var requests: Int { total.load(ordering: .relaxed) }
  }
}

/// Loops share a port (SO_REUSEPORT), and so could two nodes of one user, each getting some of the clients. Whether
/// anybody listens shows without sharing.
enum PortProbe {
  /// Why the port cannot be had, and what to do; nil if it is free.
  static func whyTaken(_ address: BindAddress, port: Int, setting: String) -> String? {
    var hints = addrinfo()
    hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
    hints.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV | AI_PASSIVE
    var found: UnsafeMutablePointer<addrinfo>?
    guard getaddrinfo(address.numeric, String(port), &hints, &found) == 0, let entry = found?.pointee else {
      return nil
    }
    defer { freeaddrinfo(found) }
    let probe = socket(entry.ai_family, entry.ai_socktype | Int32(SOCK_CLOEXEC.rawValue), 0)
    guard probe >= 0 else { return String(cString: strerror(errno)) }
    defer { close(probe) }
    var on: Int32 = 1
    setsockopt(probe, SOL_SOCKET, SO_REUSEADDR, &on, socklen_t(MemoryLayout<Int32>.size))
    if entry.ai_family == AF_INET6 {
      setsockopt(probe, Int32(IPPROTO_IPV6), IPV6_V6ONLY, &on, socklen_t(MemoryLayout<Int32>.size))
    }
    guard bind(probe, entry.ai_addr, entry.ai_addrlen) != 0 else { return nil }
    let code = errno
    let advice =
      switch code {
      case EADDRINUSE: "; another process uses this port: stop it, or set \(setting) to another one (0 for none)"
      case EADDRNOTAVAIL: "; this machine has no such address"
      case EACCES: "; ports below 1024 need privileges: choose one from 1024 on"
      default: ""
      }
    return String(cString: strerror(code)) + advice
  }
}
