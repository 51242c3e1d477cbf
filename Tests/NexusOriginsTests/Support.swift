import Glibc
import NexusModel
import NexusService
import NexusTestSupport

@testable import NexusOrigins

extension Origin {
  func load(_ key: String, milliseconds: Int = 120_000, held: ValueDigest? = nil) async -> OriginAnswer {
    await load(Array(key.utf8), milliseconds: milliseconds, held: held)
  }

  func load(_ key: [UInt8], milliseconds: Int = 120_000, held: ValueDigest? = nil) async -> OriginAnswer {
    await withCheckedContinuation { continuation in
      load(OriginRequest(key: key, deadlineMilliseconds: milliseconds, held: held)) {
        continuation.resume(returning: $0)
      }
    }
  }

  func store(_ key: String, _ value: String?, timeToLiveMilliseconds: Int? = nil, milliseconds: Int = 120_000) async
    -> Result<Void, OriginError>
  {
    await store(
      OriginWrite(
        key: Array(key.utf8), value: value.map { Array($0.utf8) }, timeToLiveMilliseconds: timeToLiveMilliseconds,
        deadlineMilliseconds: milliseconds))
  }

  func store(_ write: OriginWrite) async -> Result<Void, OriginError> {
    await withCheckedContinuation { continuation in store(write) { continuation.resume(returning: $0) } }
  }
}

extension Origins {
  static func make(_ configuration: OriginConfiguration) throws(OriginConfigurationError) -> any Origin {
    try make(configuration, log: SilentLog())
  }
}

extension OriginAnswer {
  static func value(_ text: String) -> Self { .value(OriginValue(Array(text.utf8))) }

  var text: String? { if case .value(let value) = self { String(decoding: value.bytes, as: UTF8.self) } else { nil } }
  var cause: OriginError.Cause? { if case .failure(let error) = self { error.cause } else { nil } }
  var isAbsent: Bool { if case .absent = self { true } else { false } }
}

extension Result<Void, OriginError> {
  var cause: OriginError.Cause? { if case .failure(let error) = self { error.cause } else { nil } }
  var succeeded: Bool { cause == nil }
}

extension OriginError.Cause {
  var isTimeout: Bool { if case .timedOut = self { true } else { false } }
  var isUnreachable: Bool { if case .unreachable = self { true } else { false } }
  var isGarbage: Bool { if case .garbage = self { true } else { false } }
  var isRejection: Bool { if case .rejected = self { true } else { false } }
  var isUnknownOutcome: Bool { if case .outcomeUnknown = self { true } else { false } }
  var isUnsuitableKey: Bool { if case .unsuitableKey = self { true } else { false } }
  var isTooBusy: Bool { if case .tooBusy = self { true } else { false } }
  var isWrongType: Bool { if case .wrongType = self { true } else { false } }
}

/// Asks again and again until it holds, without holding up the threads that tasks run on.
func eventually(_ holds: () async throws -> Bool) async rethrows -> Bool {
  let start = MonotonicClock.seconds()
  while MonotonicClock.seconds() - start < 60 {
    if try await holds() { return true }
    try? await Task.sleep(for: .milliseconds(2))
  }
  return false
}

/// Work that blocks, on a thread of its own: tasks share few threads, and other tests wait for theirs.
func onThread<Result>(_ body: @escaping @Sendable () throws -> Result) async throws -> Result {
  let moved = await withCheckedContinuation { (continuation: CheckedContinuation<Moved<Result>, Never>) in
    _ = beginThread(named: "test") { continuation.resume(returning: Moved(result: Swift.Result { try body() })) }
  }
  return try moved.result.get()
}

/// Made on one thread and used on another, later.
private struct Moved<Value>: @unchecked Sendable { let result: Result<Value, any Error> }

/// A door that threads wait at until it is opened.
final class Gate: Sendable {
  private let isOpen = Monitor(false)

  func open() {
    isOpen.withLock { $0 = true }
    isOpen.signalAll()
  }
  func pass() { isOpen.wait { $0 ? .done(()) : .until(nil) } }
}

/// A directory that goes with the test.
final class TemporaryDirectory: Sendable {
  let path = Environment.makeTemporaryDirectory()
  deinit { _ = try? ChildProcess.run("/bin/rm", ["-rf", path]) }
}

/// Keys that have meaning in a query, a URL, a path or a protocol.
let hostileKeys: [[UInt8]] =
  [
    "'; DROP TABLE scores; --", "' OR '1'='1", "\" OR 1=1", "Tom' --", "Tom'/*", "$1", "?1", ":key", "%s", "%2e%2e%2f",
    "%2e", "%00", "../", "../../etc/passwd", "..;/x", "a/b", "/", "//", "\\", "?a=b#", "?", "#", "&x=y", "a=b", "a;b",
    "@host",
    "http://127.0.0.1:1/", "{key}", "key}", "a b", "a+b", " ", "\n", "\r\n", "a\r\nSET Tom 1\r\n",
    "a\r\nX-Injected: yes",
    "$3\r\nTom\r\n", "*1\r\n$8\r\nFLUSHALL\r\n", "\t", "\u{7F}", "é", "名前", "🦊", "x\u{301}",
  ].map { Array($0.utf8) } + [[0], Array("Tom\0".utf8), Array("\0Tom".utf8), [0xFF], [0xC3, 0x28], [0x80, 0, 0xFE]]
