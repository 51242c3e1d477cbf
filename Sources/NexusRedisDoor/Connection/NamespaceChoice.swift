import NexusModel
import NexusService
import NexusStore

// What a connection works on: a database by its number, or a namespace by its name. Namespaces are users, too: a
// client that cannot SELECT (those of a cluster cannot) logs in as the namespace.

extension Engine {
  /// `database`: 0...15, or a namespace's number.
  func choose(_ database: Int, _ session: Session) {
    session.extras?.tracking?.leave(session.database)
    session.database = database
    session.namespace = databases.namespace(of: database)
  }

  /// The name of the session's namespace, if it is in one; `default` in a database.
  func user(of session: Session) -> String {
    guard session.database >= Databases.count else { return "default" }
    return store.settings(of: session.namespace)?.name ?? "default"
  }
}

extension Store {
  /// Namespaces beside the databases, in the order in which they came.
  var namedNamespaces: [(number: NamespaceNumber, name: String)] {
    configuredNumbers.dropFirst(Int(NamespaceName.databaseCount)).compactMap { number in
      settings(of: number).map { (number, $0.name) }
    }
  }

  /// As clients log in.
  var userNames: [String] { ["default"] + namedNamespaces.map(\.name) }
}

extension Call {
  /// Whether the argument is written like a number, right or wrong: no namespace is.
  func isNumberLike(_ index: Int) -> Bool {
    self[index].allSatisfy { byte in
      (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) || byte == UInt8(ascii: "-") || byte == UInt8(ascii: "+")
    }
  }

  /// Whether the argument is the name of a namespace that is no database.
  func namesNamespace(_ index: Int) -> Bool {
    guard !isNumberLike(index), let number = store.number(named: self[index]) else { return false }
    return number >= NamespaceName.databaseCount
  }
}
