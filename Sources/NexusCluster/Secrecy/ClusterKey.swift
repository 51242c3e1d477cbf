import CGnuTLS

/// What everyone in a cluster knows and nobody else: made of the cluster's name and secret.
///
/// A cluster without a secret has a key too, which anyone who knows its name can make: it keeps clusters of different
/// names apart and garbage out, and protects from nobody.
public struct ClusterKey: Sendable {
  public static let byteCount = Int(NEXUS_KEY_BYTES)

  let bytes: [UInt8]

  public init(clusterName: String, secret: String) {
    bytes = Self.derive(secret: Array(secret.utf8), salt: Array(clusterName.utf8), info: Array("nexuscache 1".utf8))
  }

  /// What the hashes of keys in the members' stores begin with.
  public var storeSeed: UInt64 {
    derived(for: Array("nexuscache 1 store".utf8)).prefix(8).reduce(0) { $0 << 8 | UInt64($1) }
  }

  /// A key for one use, from which neither this one nor another use's can be found.
  func derived(for use: [UInt8]) -> [UInt8] { Self.derive(secret: bytes, salt: [], info: use) }

  private static func derive(secret: [UInt8], salt: [UInt8], info: [UInt8]) -> [UInt8] {
    var key = [UInt8](repeating: 0, count: byteCount)
    let code = nexus_derive_key(secret, secret.count, salt, salt.count, info, info.count, &key)
    precondition(code == 0, "GnuTLS cannot derive a key (code \(code))")
    return key
  }
}

/// Unpredictable bytes.
func randomBytes(_ count: Int) -> [UInt8] {
  var bytes = [UInt8](repeating: 0, count: count)
  let code = nexus_random(&bytes, count)
  precondition(code == 0, "GnuTLS has no random bytes to give (code \(code))")
  return bytes
}
