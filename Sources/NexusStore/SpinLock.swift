import CIntrinsics
import Glibc

/// A word in raw memory that at most one worker holds. Held for tens of nanoseconds, so that spinning is cheaper than
/// sleeping; yields when the holder may have been descheduled.
enum SpinLock {
  @inline(__always) static func lock(_ word: UnsafeMutablePointer<UInt32>, as worker: Worker) {
    if !atomicTryLock(word, worker) { lockSlowly(word, as: worker) }
  }

  @inline(__always) static func tryLock(_ word: UnsafeMutablePointer<UInt32>, as worker: Worker) -> Bool {
    atomicTryLock(word, worker)
  }

  @inline(__always) static func unlock(_ word: UnsafeMutablePointer<UInt32>) { atomicUnlock(word) }

  @usableFromInline @inline(never)
  static func lockSlowly(_ word: UnsafeMutablePointer<UInt32>, as worker: Worker) {
    var spins = 0
    repeat {
      while atomicLoad(word) != 0 {
        ci_spin_hint()
        spins += 1
        if spins == 200 {
          sched_yield()
          spins = 0
        }
      }
    } while !atomicTryLock(word, worker)
  }
}
