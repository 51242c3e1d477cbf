import CLinux
import Glibc
import Synchronization

/// Work that other threads (or the loop itself) leave for a loop; run in the order it was left.
///
/// A stack that is taken as a whole and turned round: leaving a letter is one compare-and-exchange, and a system call
/// only for the first letter since the loop last looked.
final class Mailbox: @unchecked Sendable {
  typealias Work = @Sendable () -> Void

  private struct Letter {
    let work: Work
    var next: UnsafeMutablePointer<Letter>?
  }

  /// Invariant: a chain of initialised letters, newest first, owned by the mailbox.
  private let newest = Atomic<UnsafeMutablePointer<Letter>?>(nil)
  /// An eventfd: readable where a letter may have been left since `silence`.
  let descriptor: Int32

  init() throws(TransportError) {
    descriptor = eventfd(0, Int32(EFD_NONBLOCK | EFD_CLOEXEC))
    guard descriptor >= 0 else { throw .system("cannot create an eventfd", errno) }
  }

  deinit {
    _ = take()
    close(descriptor)
  }

  func post(_ work: @escaping Work) {
    let letter = UnsafeMutablePointer<Letter>.allocate(capacity: 1)
    var below = newest.load(ordering: .relaxed)
    letter.initialize(to: Letter(work: work, next: below))
    while true {
      let (exchanged, original) = newest.weakCompareExchange(
        expected: below, desired: letter, successOrdering: .acquiringAndReleasing, failureOrdering: .relaxed)
      if exchanged { break }
      below = original
      letter.pointee.next = below
    }
    // From here on the letter is the loop's: it may be read and gone already.
    if below == nil { ring() }
  }

  private func ring() {
    var one: UInt64 = 1
    write(descriptor, &one, 8)
  }

  /// Before `take`: a letter left after this rings again.
  func silence() {
    var count: UInt64 = 0
    read(descriptor, &count, 8)
  }

  /// Everything left so far, in order. One load where there is nothing.
  func take() -> [Work] {
    guard newest.load(ordering: .relaxed) != nil else { return [] }
    var letters: [Work] = []
    var next = newest.exchange(nil, ordering: .acquiringAndReleasing)
    while let letter = next {
      letters.append(letter.pointee.work)
      next = letter.pointee.next
      letter.deinitialize(count: 1)
      letter.deallocate()
    }
    letters.reverse()
    return letters
  }
}
