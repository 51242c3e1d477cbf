import NexusModel
import NexusService
import NexusWire

// Members that keep what this one has given them, for a while, are told of its changes: each over the stream that it
// went over, so that the news comes behind it.

extension PeerLoop {
  /// At the end of a turn.
  func tellChanges() {
    for news in node.interests.takeStreamNews(loop: loop.index) {
      switch news {
      case .changed(let stream, let name): askers[stream]?.tell(changed: name)
      case .flushed(let namespaces): for asker in askers.values { asker.tell(flushed: namespaces) }
      }
    }
    for asker in askers.values { asker.repliesEnded() }
  }

  /// Another member says what has happened there.
  func happened(_ event: Event, _ bytes: UnsafeRawBufferPointer, from member: MemberID) {
    guard event.kind == .invalidation else { return control.received(.event, Array(bytes), from: member, nil) }
    if event.isInvalidationOfAll {
      node.hotMarks.changedAll()
    } else {
      node.hotMarks.changed(Slot(of: event.channel))
    }
    if loop.index < node.loopCount { node.statistics[loop.index].hotInvalidations.add() }
  }
}

/// Invalidations as events: the key in place of a channel and its namespace's number; or only numbers, of namespaces of
/// which every key may have changed.
extension Event {
  private static let namespace = "namespace"
  private static let everything = "everything"

  init(changed key: UnsafeRawBufferPointer, in namespace: NamespaceNumber) {
    self.init(
      kind: .invalidation, fields: [Text(name: Self.namespace, text: String(namespace))], channel: key)
  }

  init(changedAllOf namespaces: some Sequence<NamespaceNumber>) {
    self.init(
      kind: .invalidation,
      fields: [Text(name: Self.everything, text: "")]
        + namespaces.map { Text(name: Self.namespace, text: String($0)) })
  }

  var isInvalidationOfAll: Bool { fields.contains { $0.name == Self.everything } }
  var namespaces: [NamespaceNumber] {
    fields.compactMap { $0.name == Self.namespace ? NamespaceNumber($0.text) : nil }
  }
}
