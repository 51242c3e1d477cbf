import NexusModel
import NexusOrigins
import NexusService

/// Why the cache could not do what it was asked, in one sentence for people and one word for programs.
public struct CacheError: Error, Hashable, Sendable, CustomStringConvertible {
  /// What a program may want to tell apart.
  public enum Reason: UInt8, Hashable, Sendable, CaseIterable {
    /// The loader threw. Everybody who waited for that load gets the same words.
    case loadFailed = 1
    /// The loader gave no answer within the namespace's `loadTimeout`. It may still run; nobody waits for it.
    case loadTimedOut = 2
    /// The loader is asked for too many keys at once, or has timed out so often that it is left alone for a while.
    case loaderOverloaded = 3
    /// Waiting would never end: a loader asked for a key that waits, by whatever way, for the loader itself.
    case deadlock = 4
    /// The task that asked was cancelled. What it waited for goes on.
    case cancelled = 5
    /// The node that owns the key did not answer, or no node owns it now. Nothing was done; ask again.
    case unavailable = 6
    /// A write was sent to the node that owns the key, and no answer came: it may or may not have been done.
    case outcomeUnknown = 7
    /// There is no room, and the namespace's eviction makes none.
    case outOfMemory = 8
    /// The value is larger than `maxValueBytes`.
    case tooLarge = 9
    /// The bytes under the key are none of the namespace's kind of value.
    case undecodable = 10
    /// The cache has been stopped.
    case stopped = 11
    /// The node could not start, or the namespace cannot be had: what is configured does not work.
    case configuration = 12
    /// The request was refused for another reason, which the sentence gives.
    case refused = 13
  }

  public let reason: Reason
  /// One sentence: what happened, and what to do about it where something can be done.
  public let description: String

  init(_ reason: Reason, _ description: String) {
    self.reason = reason
    self.description = description
  }

  init(_ error: OriginError) {
    let reason: Reason =
      switch error.cause {
      case .timedOut: .loadTimedOut
      case .tooBusy, .refusedByBreaker: .loaderOverloaded
      case .stopping: .stopped
      case .tooLarge: .tooLarge
      default: .loadFailed
      }
    self.init(reason, "\(error)")
  }

  init(_ failure: OperationFailure) {
    let reason: Reason =
      switch failure {
      case .noOwner, .unreachable, .overloaded, .moved: .unavailable
      case .timedOut: .unavailable
      case .outcomeUnknown: .outcomeUnknown
      case .tooFewCopies, .refused: .refused
      }
    self.init(reason, failure.sentence)
  }

  static let cancelled = CacheError(.cancelled, "the task that waited for the value was cancelled; its load goes on")
  static let stopped = CacheError(.stopped, "the cache has been stopped")
}
