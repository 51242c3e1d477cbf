/// Why a configuration is refused: one sentence, with what is accepted. It shows no passwords.
public struct OriginConfigurationError: Error, Hashable, Sendable, CustomStringConvertible {
  public let description: String

  init(_ description: String) { self.description = description }
}
