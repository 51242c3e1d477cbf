import NexusModel
import NexusService
import NexusStore

/// A request that cannot be served: what the client is told.
struct Problem: Error {
  let status: UInt16
  /// For programs: lower case with underscores, stable.
  let code: String
  /// For people: one sentence.
  let message: String
  /// A header that goes with it: the methods that the path accepts, or how to say the password.
  var header: Header?
  /// Told as its sentence alone, instead of as JSON.
  var isPlain = false

  /// Of constant texts, so that replies are copied without counting references.
  enum Header: BitwiseCopyable {
    case allow(StaticString)
    case authenticate
  }

  /// The same, as requests of this form are answered.
  func told(_ form: Reply.Form) -> Problem {
    var problem = self
    problem.isPlain = form == .plain
    return problem
  }

  static func unknownPath() -> Problem {
    Problem(status: 404, code: "unknown_path", message: "There is nothing at this path; GET / lists what there is.")
  }
  static func unauthorized() -> Problem {
    Problem(
      status: 401, code: "unauthorized",
      message: "This node asks for its password: send it as Authorization: Bearer PASSWORD, or as Basic with any user.",
      header: .authenticate)
  }
  static func wrongMethod(_ path: String, allowed: StaticString) -> Problem {
    Problem(
      status: 405, code: "method_not_allowed", message: "\(path) accepts \(allowed).", header: .allow(allowed))
  }
  static func badEncoding(_ part: String) -> Problem {
    Problem(
      status: 400, code: "bad_percent_encoding",
      message: "In the \(part), a % is not followed by two hexadecimal digits; write a literal % as %25.")
  }
  static func keyMissing() -> Problem {
    Problem(status: 400, code: "key_missing", message: "The path ends where the key should be: /api/cache/{key}.")
  }
  static func unknownParameter(_ accepted: RequestHead.Parameters) -> Problem {
    Problem(
      status: 400, code: "unknown_parameter",
      message: "The query has a parameter that is not known; this path takes \(accepted.text).")
  }
  static func unknownNamespace(_ name: UnsafeRawBufferPointer, _ store: Store) -> Problem {
    Problem(status: 404, code: "unknown_namespace", message: UnknownNamespace.sentence(name, in: store) + ".")
  }
  static func unknownNamespace(number: NamespaceNumber) -> Problem {
    Problem(
      status: 503, code: "unknown_namespace",
      message: "The member that has the key has no namespace of the number \(number): declare it on every member.")
  }
  static func badTTL() -> Problem {
    Problem(
      status: 400, code: "bad_ttl",
      message: "The TTL is not a number of seconds from 0 (no expiry) to \(Seconds.longest), such as 3600 or 0.5.")
  }
  static func badEventTypes(_ text: String) -> Problem {
    Problem(
      status: 400, code: "bad_types",
      message: "'\(text)' is no type of event: types are membership, topology and invalidation, separated by commas.")
  }
  static func notAPeer(_ why: String) -> Problem {
    Problem(
      status: 403, code: "not_a_peer",
      message: "Only members of the cluster may send this, with a proof that they know its secret: \(why).")
  }
  static func noCopies() -> Problem {
    Problem(
      status: 409, code: "no_copies",
      message: "Slots have one copy here, and writes have no stamps to compare: set replicas to 2 or more.")
  }
  static func effectRefused() -> Problem {
    Problem(
      status: 409, code: "effect_refused",
      message: "This member has no copy of the key's slot, or no room, or the timestamp is too far ahead (clock-bound)."
    )
  }
  static func badEffect(_ sentence: String) -> Problem { Problem(status: 400, code: "bad_body", message: sentence) }
  static func tooManyReaders(limit: Int) -> Problem {
    Problem(
      status: 503, code: "too_many_readers",
      message: "There are \(limit) event streams already, as many as one event loop of this node has.")
  }
  static func badAcknowledgement() -> Problem {
    Problem(status: 400, code: "bad_ack", message: "ack is none of one, quorum and all.")
  }
  static func notEnoughReplicas() -> Problem {
    Problem(
      status: 503, code: "not_enough_replicas",
      message: "Fewer members that have a copy are alive than this write asks for; nothing was done.")
  }
  static func badJSON(_ fault: JSONFault) -> Problem {
    Problem(
      status: 400, code: "bad_json",
      message: "The body is not JSON at byte \(fault.offset): \(fault.reason.rawValue). "
        + "Raw bytes are sent with Content-Type: application/octet-stream.")
  }
  static func badBody(_ sentence: String) -> Problem { Problem(status: 400, code: "bad_body", message: sentence) }
  static func bodyTooLarge(limitBytes: Int) -> Problem {
    Problem(
      status: 413, code: "body_too_large",
      message:
        "The body is longer than \(limitBytes) bytes, the limit of this node for one HTTP request (http-max-body).")
  }
  static func valueTooLarge(limitBytes: Int) -> Problem {
    Problem(
      status: 413, code: "value_too_large",
      message: "The value is longer than \(limitBytes) bytes, the limit of this node (max-value-size).")
  }
  static func outOfMemory() -> Problem {
    Problem(
      status: 507, code: "out_of_memory",
      message: "The memory limit leaves no room for this value, and the namespace's eviction policy frees none: "
        + "delete entries, raise max-memory, or choose a policy that evicts.")
  }
  static func repliesPending() -> Problem {
    Problem(
      status: 503, code: "replies_pending",
      message: "Too many bytes of large replies wait for slow readers; ask again in a moment.")
  }
  static func wrongType() -> Problem {
    Problem(
      status: 409, code: "wrong_type",
      message: "The value under this key is a filter: ask it with the Redis commands that begin with CF.")
  }
  static func notClustered() -> Problem {
    Problem(
      status: 409, code: "not_clustered",
      message: "This node is by itself: start it with peer-port (or join, cluster-name, discovery) to make it a member."
    )
  }
  static func fromAPage() -> Problem {
    Problem(
      status: 403, code: "from_a_page",
      message: "Web pages may not ask for this: send it without the header Origin, or use nexuscache ctl.")
  }
  static func noOrigin(_ name: String) -> Problem {
    Problem(
      status: 409, code: "no_origin",
      message: "The namespace '\(name)' has no origin to load from; give it one with the setting origin.")
  }
  static func badAddress(_ text: String) -> Problem {
    Problem(
      status: 400, code: "bad_address",
      message: "'\(text)' is not the address of a member's peer port: write HOST:PORT, such as 10.0.0.1:7946.")
  }
  static func badJoin(_ sentence: String) -> Problem { Problem(status: 400, code: "bad_body", message: sentence) }
  static func refusedByCluster(_ refusal: ClusterRefusal) -> Problem {
    let text = refusal.description
    return Problem(status: 409, code: "join_refused", message: text.prefix(1).uppercased() + text.dropFirst() + ".")
  }
  static func unknownForm() -> Problem {
    Problem(
      status: 502, code: "member_refused",
      message: "The member that serves this key is of a version that does not know such a request; nothing was done.")
  }
}

extension Problem {
  /// A request that was given to another member and came to nothing.
  init(_ error: OriginError) {
    let (status, code): (UInt16, String) =
      switch error.cause {
      case .timedOut: (504, "origin_timed_out")
      case .refusedByBreaker, .tooBusy, .stopping: (503, "origin_unavailable")
      default: (502, "origin_failed")
      }
    let text = error.description
    self.init(status: status, code: code, message: text.prefix(1).uppercased() + text.dropFirst() + ".")
  }

  init(_ failure: OperationFailure) {
    let (status, code): (UInt16, String) =
      switch failure {
      case .timedOut: (504, "timed_out")
      case .outcomeUnknown: (504, "outcome_unknown")
      case .tooFewCopies: (504, "too_few_copies")
      case .refused: (502, "member_refused")
      // All others: nobody ran it, and it may be asked again.
      default: (503, "not_served")
      }
    let text = failure.sentence
    self.init(status: status, code: code, message: text.prefix(1).uppercased() + text.dropFirst() + ".")
  }
}
