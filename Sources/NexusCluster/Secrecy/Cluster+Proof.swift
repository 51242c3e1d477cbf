import CGnuTLS
import NexusModel

extension Cluster {
  /// The key is the secret as it is written in the settings, so that any program can make the proof. The keys of
  /// datagrams and streams are derived from it in another way, so none of their proofs is one here.
  public func isProof(_ proof: UnsafeRawBufferPointer, of message: [UInt8]) -> Bool {
    let secret = Array(configuration.secret.utf8)
    guard !secret.isEmpty else { return false }
    var expected = [UInt8](repeating: 0, count: PeerProof.byteCount)
    let code = nexus_prove_with(secret, secret.count, message, message.count, &expected)
    guard code == 0, proof.count == 2 * PeerProof.byteCount else { return false }
    let digits = Array("0123456789abcdef".utf8)
    let text = expected.flatMap { [digits[Int($0 >> 4)], digits[Int($0 & 15)]] }
    return PeerProof.matches(proof.map { $0 | 0x20 }, text)
  }
}
