import NexusModel

// Which namespaces there are. Numbers come and stay; nothing here is on the way of a read or a write of a key.

extension Store {
  /// The numbers of the namespaces that there are: the databases first, then others as they came. Needs no lock; valid
  /// while the store is.
  public var configuredNumbers: UnsafeBufferPointer<NamespaceNumber> {
    UnsafeBufferPointer(start: namespaceNumbers, count: Int(atomicLoadAcquiring(namespaceCount)))
  }

  public func isConfigured(_ namespace: NamespaceNumber) -> Bool {
    atomicLoadAcquiring((namespaces + Int(namespace)).configuredWord) != 0
  }

  /// A namespace's settings as last set; nil if there is none of this number.
  public func settings(of namespace: NamespaceNumber) -> NamespaceSettings? {
    SpinLock.lock(namespacesLock, as: .max)
    defer { SpinLock.unlock(namespacesLock) }
    return namespaceSettings[namespace]
  }

  /// The number of the namespace with this name; nil if there is none.
  public func number(named name: UnsafeRawBufferPointer) -> NamespaceNumber? {
    let number = NamespaceName.number(of: name)
    guard isConfigured(number) else { return nil }
    SpinLock.lock(namespacesLock, as: .max)
    defer { SpinLock.unlock(namespacesLock) }
    // Another name may have the same number.
    return namespaceSettings[number]?.name.utf8.elementsEqual(name) == true ? number : nil
  }

  /// Makes room for the namespace's entries and shows its number to others. Under `namespacesLock`.
  func append(_ namespace: NamespaceNumber) {
    let state = namespaces + Int(namespace)
    state.initialize(to: NamespaceState())
    atomicStoreReleasing(state.configuredWord, 1)
    let count = atomicLoad(namespaceCount)
    namespaceNumbers[Int(count)] = namespace
    atomicStoreReleasing(namespaceCount, count + 1)
  }
}
