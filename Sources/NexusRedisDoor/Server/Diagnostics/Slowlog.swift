import NexusModel

/// The commands that took longest lately, newest first. Any thread; entered only by commands above the threshold.
public final class Slowlog: Sendable {
  public struct Entry: Sendable {
    public let id: Int
    public let unixSeconds: Int
    public let microseconds: Int
    public let arguments: [[UInt8]]
    public let client: String
    public let clientName: String
  }

  /// So that one entry stays small, whatever was sent.
  static let argumentLimit = 32
  static let argumentBytesLimit = 128

  private struct State: Sendable {
    var entries: [Entry] = []
    var nextID = 0
  }
  private let state = Guarded(State())

  /// Keeps at most `capacity` entries. `arguments` are shortened: see `shorten`.
  func add(
    _ arguments: [[UInt8]], microseconds: Int, unixSeconds: Int, client: String, clientName: String, capacity: Int
  ) {
    state.withLock { state in
      state.entries.insert(
        Entry(
          id: state.nextID, unixSeconds: unixSeconds, microseconds: microseconds, arguments: arguments,
          client: client, clientName: clientName), at: 0)
      state.nextID += 1
      if state.entries.count > capacity { state.entries.removeLast(state.entries.count - capacity) }
    }
  }

  /// Copies the first arguments, each up to a length; says how much is missing, as Redis does.
  static func shorten(_ count: Int, _ argument: (Int) -> UnsafeRawBufferPointer) -> [[UInt8]] {
    let kept = count > argumentLimit ? argumentLimit - 1 : count
    var copies = (0..<kept).map { index -> [UInt8] in
      let bytes = argument(index)
      guard bytes.count > argumentBytesLimit else { return Array(bytes) }
      return Array(bytes.prefix(argumentBytesLimit))
        + Array("... (\(bytes.count - argumentBytesLimit) more bytes)".utf8)
    }
    if kept < count { copies.append(Array("... (\(count - kept) more arguments)".utf8)) }
    return copies
  }

  /// The newest `limit` entries.
  func newest(_ limit: Int) -> [Entry] { state.withLock { Array($0.entries.prefix(limit)) } }
  var count: Int { state.withLock { $0.entries.count } }
  func reset() { state.withLock { $0.entries = [] } }
}
