import Glibc
import NexusBench
import NexusModel
import NexusStore

/// The store under measurement, used as a loop of the server uses it: one worker, one namespace.
final class Subject {
  static let worker: Worker = 1
  static let namespace: NamespaceNumber = 0
  /// The longest time between two turns of a server's loop that has nothing else to do.
  static let idleMilliseconds = 200

  let store: Store
  /// Largest value that is ever written: one block of bytes serves them all.
  private let block: UnsafeMutableRawBufferPointer
  private let keyBuffer: UnsafeMutableRawBufferPointer
  private let keyFormat: KeyFormat

  init(maxMemoryBytes: Int, seed: UInt64, largestValue: Int, _ settings: (inout NamespaceSettings) -> Void) throws {
    var configuration = StoreConfiguration()
    configuration.maxMemoryBytes = maxMemoryBytes
    configuration.seed = seed
    store = try Store(configuration)
    var chosen = store.settings(of: Self.namespace)!
    settings(&chosen)
    store.configure(Self.namespace, chosen, as: Self.worker)
    block = .allocate(byteCount: max(1, largestValue), alignment: 64)
    var random = SplitMix64(seed: seed)
    for index in block.indices { block[index] = UInt8(truncatingIfNeeded: random.next()) }
    keyFormat = KeyFormat(size: 16, largest: 999_999_999_999)
    let blank = keyFormat.blank()
    keyBuffer = .allocate(byteCount: blank.count, alignment: 16)
    keyBuffer.copyBytes(from: blank)
  }

  deinit {
    block.deallocate()
    keyBuffer.deallocate()
  }

  static func now() -> UnixMilliseconds {
    var time = timespec()
    clock_gettime(CLOCK_REALTIME, &time)
    return UnixMilliseconds(time.tv_sec * 1000 + time.tv_nsec / 1_000_000)
  }

  /// The key of a number. Valid until the next call.
  func key(_ number: Int) -> Key {
    keyFormat.patch(keyBuffer.baseAddress!, UInt64(number))
    return store.key(UnsafeRawBufferPointer(keyBuffer), in: Self.namespace)
  }

  /// As SET does it: makes room, locks, looks the old entry up, writes.
  @discardableResult
  func write(_ number: Int, size: Int, _ expiry: Expiry, now: UnixMilliseconds) -> WriteOutcome {
    let key = key(number)
    guard store.admit(key.count + size, in: Self.namespace, as: Self.worker, now: now) == .stored else {
      return .outOfMemory
    }
    let taken = store.lock(key, as: Self.worker)
    defer { store.unlock(key, taken) }
    let existing = store.find(key, now: now, touch: false)
    return store.put(key, over: existing, UnsafeRawBufferPointer(rebasing: block[..<size]), expiry)
  }

  func read(_ number: Int, now: UnixMilliseconds) -> Bool {
    let key = key(number)
    let taken = store.lock(key, as: Self.worker)
    defer { store.unlock(key, taken) }
    return store.find(key, now: now) != nil
  }

  func remove(_ number: Int, now: UnixMilliseconds) {
    let key = key(number)
    let taken = store.lock(key, as: Self.worker)
    defer { store.unlock(key, taken) }
    if let entry = store.find(key, now: now, touch: false) { store.remove(key, entry) }
  }

  @discardableResult
  func maintain(now: UnixMilliseconds) -> Int {
    store.maintain(loop: 0, as: Self.worker, now: now, monotonic: Clock.monotonic)
  }

  var entries: Int { store.count(in: Self.namespace) }
}

/// Resident bytes of this process.
func residentBytes() -> Int { ServerProcess(pid: getpid()).read()?.residentBytes ?? 0 }
