/// Why an origin did not do what it was asked to: for people, with the origin's name.
public struct OriginError: Error, Hashable, Sendable, CustomStringConvertible {
  public enum Cause: Hashable, Sendable {
    /// No answer in this time.
    case timedOut(milliseconds: Int)
    /// No connection, or it was lost; the reason in words.
    case unreachable(String)
    /// It has failed too often of late to be asked. The next attempt is allowed after this time.
    case refusedByBreaker(retryAfterMilliseconds: Int)
    /// All its connections are in use and this many requests wait for one already.
    case tooBusy(waiting: Int)
    case tooLarge(limitBytes: Int)
    /// What the key holds there is nothing that a cache can take as a value.
    case wrongType(String)
    /// An HTTP status that is neither a value nor an absence.
    case wrongStatus(Int)
    /// The answer breaks the rules of its protocol.
    case garbage(String)
    /// It understood, and refuses; its words.
    case rejected(String)
    /// No request for this key can be made of the configured template or statement.
    case unsuitableKey(String)
    /// The closure of the embedding program threw; its words.
    case thrown(String)
    /// It takes no writes, or none of this kind.
    case cannotStore(String)
    /// A write was begun and no answer came: it may have been made, and may yet be.
    case outcomeUnknown(String)
    case stopping
  }

  public var origin: String
  public var cause: Cause

  public init(origin: String, _ cause: Cause) {
    self.origin = origin
    self.cause = cause
  }

  /// One sentence: what happened, and what to do about it where something can be done.
  public var description: String {
    let what =
      switch cause {
      case .timedOut(let milliseconds):
        "gave no answer within \(milliseconds) ms; see whether it is overloaded, or allow it more time"
      case .unreachable(let reason): "cannot be reached: \(reason)"
      case .refusedByBreaker(let milliseconds):
        "has failed too often and is left alone; it will be tried again in \(milliseconds) ms"
      case .tooBusy(let waiting):
        "is busy: \(waiting) requests wait for a connection; raise connections or queue if it can take more"
      case .tooLarge(let bytes): "gave a value of more than \(bytes) bytes; raise value-limit if it is wanted"
      case .wrongType(let what): "gave something that is no value: \(what)"
      case .wrongStatus(let status): "answered with HTTP status \(status)"
      case .garbage(let what): "gave an answer that makes no sense: \(what)"
      case .rejected(let words): "refuses: \(words)"
      case .unsuitableKey(let why): "cannot be asked for this key: \(why)"
      case .thrown(let words): "failed: \(words)"
      case .cannotStore(let why): "takes no such write: \(why)"
      case .outcomeUnknown(let what): "may or may not have taken the write: \(what)"
      case .stopping: "is being stopped"
      }
    return "the origin \(origin) \(what)"
  }
}
