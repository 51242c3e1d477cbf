import NexusTestSupport

/// One server of ours and one of Redis for all tests that change nothing that lasts.
enum Shared {
  static let nexus = Result { try NexusServer() }
  static let redis = Result { try RedisServer(["--enable-debug-command", "yes"]) }
}

extension RESPClient {
  /// INFO's fields of these sections.
  func info(_ sections: String...) throws -> InfoReply {
    InfoReply(try ask((["INFO"] + sections).map { Array($0.utf8) }).string ?? "")
  }
}
