import CLinux
import Glibc

/// The one place that knows how the kernel reports readiness: level-triggered epoll.
///
/// What is watched carries a 64-bit token that comes back with its events. Hang-ups and errors are always
/// reported, asked for or not.
struct Poller {
  struct Interest: OptionSet {
    let rawValue: UInt8
    static let read = Interest(rawValue: 1)
    static let write = Interest(rawValue: 2)
  }

  struct Event {
    let token: UInt64
    let isReadable: Bool
    let isWritable: Bool
    /// Both directions are gone: nothing can be sent any more.
    let isBroken: Bool
  }

  static let capacity = 512

  private let descriptor: Int32
  /// Invariant: `capacity` events, written by `wait` and read until the next one.
  private let events: UnsafeMutablePointer<epoll_event>

  init() throws(TransportError) {
    descriptor = epoll_create1(Int32(EPOLL_CLOEXEC))
    guard descriptor >= 0 else { throw .system("cannot create an epoll set", errno) }
    events = .allocate(capacity: Self.capacity)
  }

  func close() {
    Glibc.close(descriptor)
    events.deallocate()
  }

  @discardableResult func add(_ target: Int32, token: UInt64, _ interest: Interest) -> Bool {
    control(EPOLL_CTL_ADD, target, token, interest)
  }

  func modify(_ target: Int32, token: UInt64, _ interest: Interest) {
    _ = control(EPOLL_CTL_MOD, target, token, interest)
  }

  func remove(_ target: Int32) { epoll_ctl(descriptor, EPOLL_CTL_DEL, target, nil) }

  private func control(_ operation: Int32, _ target: Int32, _ token: UInt64, _ interest: Interest) -> Bool {
    var event = epoll_event()
    event.events = 0
    if interest.contains(.read) { event.events |= EPOLLIN.rawValue }
    if interest.contains(.write) { event.events |= EPOLLOUT.rawValue }
    event.data.u64 = token
    return epoll_ctl(descriptor, operation, target, &event) == 0
  }

  /// Sleeps until something is ready or the time is over, and answers how many events there are.
  func wait(milliseconds: Int) -> Int {
    max(0, Int(epoll_wait(descriptor, events, Int32(Self.capacity), Int32(clamping: milliseconds))))
  }

  @inline(__always) subscript(index: Int) -> Event {
    let bits = events[index].events
    return Event(
      token: events[index].data.u64, isReadable: bits & EPOLLIN.rawValue != 0,
      isWritable: bits & EPOLLOUT.rawValue != 0, isBroken: bits & (EPOLLERR.rawValue | EPOLLHUP.rawValue) != 0)
  }
}

/// What a token stands for. Connections are their record's address, whose low bits are zero.
enum Token {
  static let mailbox: UInt64 = 1
  static func listener(_ index: Int) -> UInt64 { UInt64(index) << 3 | 2 }
  static func watched(_ index: Int) -> UInt64 { UInt64(index) << 3 | 3 }
  static func connection(_ connection: UnsafeMutablePointer<Connection>) -> UInt64 {
    UInt64(UInt(bitPattern: connection))
  }
}
