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

  /// What changes at a member is not heard of any more.
  func lostTrack() {
    node.hotMarks.changedAll()
    if loop.index < node.loopCount { node.interests.lostElsewhere(loop: loop.index) }
  }

  /// While an operation runs that had waited here, of this stream if it is one's.
  func setAsker(_ requester: (any OperationRequester)?) {
    guard let asker = (requester as? PeerCallee)?.asker else { return }
    node.interests.setAsker(asker, as: worker)
  }

  /// Another member says what has happened there.
  func happened(_ event: Event, _ bytes: UnsafeRawBufferPointer, from member: MemberID) {
    guard event.kind == .invalidation else { return control.received(.event, Array(bytes), from: member, nil) }
    if event.isInvalidationOfAll {
      node.hotMarks.changedAll()
      node.interests.lostElsewhere(loop: loop.index)
    } else {
      node.hotMarks.changed(Slot(of: event.channel))
      for namespace in event.namespaces {
        node.interests.changedElsewhere(namespace, event.channel, loop: loop.index)
      }
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
