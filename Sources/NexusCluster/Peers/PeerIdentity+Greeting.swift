import NexusModel
import NexusWire

extension Hello {
  init(_ identity: PeerIdentity, loop: Int, nonce: [UInt8], stream: UInt64 = 0) {
    self.init(
      clusterName: identity.clusterName, memberID: identity.id.text,
      protocolVersions: PeerIdentity.protocolVersions, productVersion: identity.productVersion, loop: UInt32(loop),
      nonce: nonce, placementSettings: identity.placementSettings, stream: stream)
  }
}

extension PeerIdentity {
  /// Why this node does not speak with who greets so; nil where it does.
  func objection(to hello: Hello, expecting expected: MemberID?) -> String? {
    if hello.clusterName != clusterName {
      return "belongs to the cluster '\(hello.clusterName)', this node to '\(clusterName)'"
    }
    if hello.placementSettings != placementSettings {
      return "places slots by other settings (\(hello.placementSettings)) than this node (\(placementSettings))"
    }
    if Hello.agreed(hello.protocolVersions, Self.protocolVersions) == nil {
      return "speaks versions \(hello.protocolVersions.lowerBound) to \(hello.protocolVersions.upperBound) of the peer "
        + "protocol (NexusCache \(hello.productVersion)), this node \(Self.protocolVersions.lowerBound) to "
        + "\(Self.protocolVersions.upperBound)"
    }
    if hello.nonce.count != PeerProof.nonceBytes { return "greets without \(PeerProof.nonceBytes) random bytes" }
    guard let id = MemberID(hello.memberID) else { return "has no valid name: '\(hello.memberID)'" }
    if id == self.id { return "has this node's own name, \(id)" }
    if let expected, id != expected { return "is called \(id), not \(expected)" }
    return nil
  }
}
