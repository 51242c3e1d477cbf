import NexusModel
import NexusService
import NexusStore

extension Responder {
  /// The answer to a read of another member's hot key that this node has a good copy of.
  func hotReply(_ request: KeyRequest) -> Reply? {
    guard request.action == .read, let hot, hot.hasCopies, let value = hot.read(request.key) else { return nil }
    switch value {
    case .absent:
      keyspace.statistics.pointee.keyspaceMisses.add()
      keyspace.statistics.pointee.getMisses.add()
      return request.form == .plain ? Self.plainlyNotFound : Self.notFound
    case .value(let bytes):
      keyspace.statistics.pointee.keyspaceHits.add()
      keyspace.statistics.pointee.getHits.add()
      if request.form != .json {
        return Reply(request.form == .plain ? .text : .bytes, .owned(Self.copied(bytes, request.form)))
      }
      let owner = identity(ofOwner: node.routes[slot: request.key.slot].member)
      return Reply(.owned(found(request.key.bytes, bytes, owner)))
    }
  }

  /// This node answers what another one owns.
  private func identity(ofOwner member: MemberNumber?) -> Identity {
    guard let member else { return identity }
    let index = Int(member)
    if index < copiesOf.count, let made = copiesOf[index] { return made }
    guard let id = node.cluster?.picture.member(member)?.record.member.id else { return identity }
    let made = Identity(node: nodeName, primary: id.text, isForwarded: false)
    while copiesOf.count <= index { copiesOf.append(nil) }
    copiesOf[index] = made
    return made
  }
}
