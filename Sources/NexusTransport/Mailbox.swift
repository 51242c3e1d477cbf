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

  /// Invariant: a chain of initialised letters, newest first, owned by the mailbox; or `closed`.
  private let newest = Atomic<UnsafeMutablePointer<Letter>?>(nil)
  /// An eventfd: readable where a letter may have been left since `silence`.
  let descriptor: Int32

  init() throws(TransportError) {
    descriptor = eventfd(0, Int32(EFD_NONBLOCK | EFD_CLOEXEC))
    guard descriptor >= 0 else { throw .system("cannot create an eventfd", errno) }
  }

  deinit {
    _ = take()
    Glibc.close(descriptor)
  }

  /// No letter lies here.
  private static var closed: UnsafeMutablePointer<Letter> { UnsafeMutablePointer(bitPattern: 8)! }

  func post(_ work: @escaping Work) {
    let letter = UnsafeMutablePointer<Letter>.allocate(capacity: 1)
    var below = newest.load(ordering: .relaxed)
    letter.initialize(to: Letter(work: work, next: below))
    while true {
      if below == Self.closed {
        letter.deinitialize(count: 1)
        return letter.deallocate()
      }
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
    guard let first = newest.load(ordering: .relaxed), first != Self.closed else { return [] }
    return letters(from: newest.exchange(nil, ordering: .acquiringAndReleasing))
  }

  /// Once the loop has ended: letters usually hold it, so that one that is never read would keep both. What lies here,
  /// and what comes from now on, is let go unread.
  func close() {
    let first = newest.exchange(Self.closed, ordering: .acquiringAndReleasing)
    if first != Self.closed { _ = letters(from: first) }
  }

  private func letters(from first: UnsafeMutablePointer<Letter>?) -> [Work] {
    var letters: [Work] = []
    var next = first
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
