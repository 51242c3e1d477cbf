import CGnuTLS

/// How both ends of a peer stream show that they know the cluster's key, before anything else is said: each answers
/// the other's random nonce with a keyed hash (HMAC-SHA256, RFC 2104) over both nonces, both names and its own role, so
/// that an answer is good for this stream and this direction only.
enum PeerProof {
  static let nonceBytes = 32
  static let byteCount = Int(NEXUS_PROOF_BYTES)

  enum Role: UInt8 { case caller = 1, callee = 2 }

  static func make(
    _ key: ClusterKey, role: Role, callerNonce: [UInt8], calleeNonce: [UInt8], caller: String, callee: String
  ) -> [UInt8] {
    let message =
      Array("peer".utf8) + [role.rawValue] + callerNonce + calleeNonce + Array(caller.utf8) + [0] + Array(callee.utf8)
    var proof = [UInt8](repeating: 0, count: byteCount)
    let code = nexus_prove(key.derived(for: Array("stream".utf8)), message, message.count, &proof)
    precondition(code == 0, "GnuTLS cannot make a keyed hash (code \(code))")
    return proof
  }

  static func matches(_ proof: [UInt8], _ expected: [UInt8]) -> Bool {
    proof.count == expected.count && nexus_equal(proof, expected, proof.count) != 0
  }
}
