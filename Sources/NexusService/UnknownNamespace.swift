import NexusModel
import NexusStore

/// What a client is told that asks for a namespace that is not there.
public enum UnknownNamespace {
  /// Longer lists help nobody.
  private static let namesShown = 20

  /// Without the full stop: the name, and which there are.
  public static func sentence(_ name: UnsafeRawBufferPointer, in store: Store) -> String {
    guard NamespaceName.hasForm(name) else { return "no namespace has such a name: \(NamespaceName.form)" }
    let text = String(decoding: name, as: UTF8.self)
    return "unknown namespace '\(text)': there are the databases 0 to 15, \(others(in: store))"
  }

  private static func others(in store: Store) -> String {
    let numbers = store.configuredNumbers.dropFirst(Int(NamespaceName.databaseCount))
    if numbers.isEmpty { return "and no namespaces; declare one with the setting namespace" }
    let names = numbers.prefix(namesShown).compactMap { store.settings(of: $0)?.name }.joined(separator: ", ")
    return numbers.count <= namesShown
      ? "and the namespaces \(names)" : "and \(numbers.count) namespaces, such as \(names)"
  }
}
