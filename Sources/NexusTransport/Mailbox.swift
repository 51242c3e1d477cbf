import CLinux
import Glibc
import Synchronization

/// Work that other threads (or the loop itself) leave for a loop; run in the order it was left.
final class Mailbox: Sendable {
  typealias Work = @Sendable () -> Void

  private let waiting = Mutex<[Work]>([])
  private let hasMail = Atomic<Bool>(false)
  /// An eventfd: readable from the first letter until the loop has taken them all.
  let descriptor: Int32

  init() throws(TransportError) {
    descriptor = eventfd(0, Int32(EFD_NONBLOCK | EFD_CLOEXEC))
    guard descriptor >= 0 else { throw .system("cannot create an eventfd", errno) }
  }

  deinit { close(descriptor) }

  func post(_ work: @escaping Work) {
    let wasEmpty = waiting.withLock { letters in
      letters.append(work)
      return letters.count == 1
    }
    guard wasEmpty else { return }
    hasMail.store(true, ordering: .releasing)
    var one: UInt64 = 1
    write(descriptor, &one, 8)
  }

  /// Everything left so far, in order. One load where there is nothing.
  func take() -> [Work]? {
    guard hasMail.load(ordering: .acquiring) else { return nil }
    var count: UInt64 = 0
    hasMail.store(false, ordering: .relaxed)
    read(descriptor, &count, 8)
    let letters = waiting.withLock { letters in
      let taken = letters
      letters = []
      return taken
    }
    return letters.isEmpty ? nil : letters
  }
}
