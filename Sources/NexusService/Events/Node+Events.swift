import NexusModel

extension Node {
  /// As this node calls itself before others.
  public var name: String {
    cluster?.myself.text ?? (settings.nodeID.isEmpty ? "1" : settings.nodeID)
  }

  /// Tells whoever listens to this node's events.
  /// - Parameter facts: appends members of the event's JSON object, each with a comma in front.
  public func announce(
    _ topic: EventBus.Topic, _ event: String, at now: UnixMilliseconds, _ facts: (inout OutputBuffer) -> Void
  ) { events.announce(topic, event, by: name, at: now, facts) }

  /// These namespaces were emptied on this node; nil: all.
  public func announceFlush(of namespaces: [NamespaceNumber]?, at now: UnixMilliseconds) {
    guard let namespaces else { return announce(.invalidation, "flush", at: now) { $0.append(",\"scope\":\"all\"") } }
    for number in namespaces {
      announce(.invalidation, "flush", at: now) { out in
        out.append(",\"scope\":\"namespace\"")
        append(namespace: number, to: &out)
      }
    }
  }

  /// All keys of a namespace that begin with these bytes were removed from this node, as far as it executes them.
  /// - Parameter removed: how many there were.
  public func announcePurge(
    of prefix: some Sequence<UInt8>, in namespace: NamespaceNumber, removed: Int, at now: UnixMilliseconds
  ) {
    announce(.invalidation, "purge", at: now) { out in
      out.append(",\"scope\":\"prefix\"")
      append(namespace: namespace, to: &out)
      out.append(",\"prefix\":")
      Array(prefix).withUnsafeBytes { prefix in
        if out.appendJSONString(prefix) { return }
        out.append("\"")
        out.appendBase64(prefix)
        out.append("\",\"prefix_encoding\":\"base64\"")
      }
      out.append(",\"removed\":\(removed)")
    }
  }

  private func append(namespace number: NamespaceNumber, to out: inout OutputBuffer) {
    out.append(",\"namespace\":")
    out.appendJSONString(store.settings(of: number)?.name ?? "\(number)")
  }
}
