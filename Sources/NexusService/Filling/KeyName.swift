import NexusModel
import NexusStore

/// A key by its own bytes, for what outlives a request.
public struct KeyName: Hashable, Sendable {
  public let namespace: NamespaceNumber
  public let key: [UInt8]

  public init(namespace: NamespaceNumber, key: [UInt8]) {
    self.namespace = namespace
    self.key = key
  }

  public init(_ key: Key) { self.init(namespace: key.namespace, key: Array(key.bytes)) }
}
