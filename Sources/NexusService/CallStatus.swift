/// How a call ended, as gRPC has it: a code for programs and a text for people.
public struct CallStatus: Error, Hashable, Sendable, CustomStringConvertible {
  /// gRPC's status codes (grpc/doc/statuscodes.md).
  public enum Code: Int, Sendable, CaseIterable {
    case ok, cancelled, unknown, invalidArgument, deadlineExceeded, notFound, alreadyExists, permissionDenied
    case resourceExhausted, failedPrecondition, aborted, outOfRange, unimplemented, `internal`, unavailable, dataLoss
    case unauthenticated
  }

  public let code: Code
  public let message: String

  public init(_ code: Code, _ message: String = "") {
    self.code = code
    self.message = message
  }

  public static let ok = CallStatus(.ok)

  public var isOK: Bool { code == .ok }
  public var description: String { message.isEmpty ? "\(code)" : "\(code): \(message)" }
}

/// The end of a call as one side sees it.
public struct CallEnd: Error, Hashable, Sendable, CustomStringConvertible {
  public enum Cause: Hashable, Sendable {
    /// The side that serves ended it with its status.
    case served
    /// This side gave it up, or its deadline passed here.
    case given
    /// There was no connection.
    case notConnected(ConnectFailure)
    /// The other side says that it has not looked at it (REFUSED_STREAM, or a GOAWAY that leaves it out).
    case refused
    /// The other side broke it off, or broke the protocol; HTTP/2's error code.
    case reset(UInt32)
    /// The connection was lost: what the other side has done is unknown.
    case lost
  }

  public let status: CallStatus
  public let cause: Cause

  public init(_ status: CallStatus, _ cause: Cause) {
    self.status = status
    self.cause = cause
  }

  /// It is certain that the serving side did nothing of it: it may be sent again.
  public var isUntouched: Bool {
    switch cause {
    case .notConnected, .refused: true
    case .served, .given, .reset, .lost: false
    }
  }

  public var description: String { "\(status)" }
}
