import NexusModel
import NexusService

/// One change of a key that another member made, as JSON: `{"user_id": "default", "key": "k", "value": "base 64",
/// "ttl_secs": 60, "timestamp": nanoseconds since 1970}`; `"deleted": true` instead of a value for a deletion.
struct ReplicatedBody {
  let namespace: String
  let key: [UInt8]
  /// Nil: it was deleted.
  let value: [UInt8]?
  let ttlMilliseconds: Int64
  let stamp: Stamp

  private static let usage =
    "The body must be {\"user_id\": \"NAMESPACE\", \"key\": \"KEY\", \"value\": \"BASE64\", \"ttl_secs\": 60, "
    + "\"timestamp\": NANOSECONDS}; ttl_secs may be missing, and \"deleted\": true may stand for the value."

  init(_ text: UnsafeRawBufferPointer) throws(Problem) {
    var members: [String: JSONValue] = [:]
    var reader = JSONReader(text)
    reader.skipWhitespace()
    guard reader.position < text.count, text[reader.position] == UInt8(ascii: "{") else { throw .badEffect(Self.usage) }
    do throws(JSONFault) {
      try reader.enterObject()
      while let (name, value) = try reader.member(isFirst: members.isEmpty, depth: 0) {
        members[String(decoding: Self.string(text, name), as: UTF8.self)] = value
      }
      try reader.end()
    } catch { throw .badJSON(error) }
    guard members.keys.allSatisfy({ Self.names.contains($0) }) else { throw .badEffect(Self.usage) }
    func string(_ name: String) -> [UInt8]? {
      members[name].flatMap { $0.kind == .string ? Self.string(text, $0) : nil }
    }
    func number(_ name: String) -> Int64? {
      members[name].flatMap { value in
        value.kind == .number ? Int64(String(decoding: text[value.start..<value.end], as: UTF8.self)) : nil
      }
    }
    guard let user = string("user_id"), let key = string("key"), let nanoseconds = number("timestamp"),
      nanoseconds > 0
    else { throw .badEffect(Self.usage) }
    let isDeleted = members["deleted"].map { text[$0.start..<$0.end].elementsEqual("true".utf8) } ?? false
    let value = string("value").flatMap(Self.decoded)
    let ttl = members["ttl_secs"] == nil ? 0 : number("ttl_secs")
    guard isDeleted == (members["value"] == nil), isDeleted == (value == nil), let ttl,
      (0...Int64(Seconds.longest)).contains(ttl)
    else { throw .badEffect(Self.usage) }
    namespace = String(decoding: user, as: UTF8.self)
    self.key = key
    self.value = value
    ttlMilliseconds = ttl * 1000
    // Within a millisecond the stamp's counter keeps the order.
    stamp = Stamp(
      milliseconds: nanoseconds / 1_000_000, counter: UInt16(nanoseconds % 1_000_000 * 65_536 / 1_000_000))
  }

  private static let names: Set = ["user_id", "key", "value", "ttl_secs", "timestamp", "deleted"]

  private static func string(_ text: UnsafeRawBufferPointer, _ value: JSONValue) -> [UInt8] {
    var bytes = Array(text[(value.start + 1)..<(value.end - 1)])
    guard value.hasEscapes else { return bytes }
    return bytes.withUnsafeMutableBytes { Array(JSONText.decodeInPlace($0)) }
  }

  private static func decoded(_ text: [UInt8]) -> [UInt8]? {
    var text = text
    return text.withUnsafeMutableBytes { text in Base64.decodeInPlace(text).map { Array($0) } }
  }
}

extension Responder {
  /// How far the time of a proof may be from this node's: longer, and somebody may have kept it.
  private static let proofMilliseconds: Int64 = 60_000

  /// Takes another member's change of a key, as those that come over its stream: if it is newer than what is here.
  func replicate(
    _ head: RequestHead, _ body: UnsafeMutableRawBufferPointer, _ now: UnixMilliseconds
  ) throws(Problem) -> Reply {
    let cluster = try cluster()
    try prove(head, UnsafeRawBufferPointer(body), cluster, now)
    guard let replicator else { throw .noCopies() }
    let effect = try ReplicatedBody(UnsafeRawBufferPointer(body))
    if effect.value?.count ?? 0 > node.settings.maxValueBytes {
      throw .valueTooLarge(limitBytes: node.settings.maxValueBytes)
    }
    let name = Array(effect.namespace.utf8)
    guard let namespace = name.withUnsafeBytes({ keyspace.namespace(named: $0) }) else {
      throw name.withUnsafeBytes { .unknownNamespace($0, node.store) }
    }
    let expiresAt = effect.ttlMilliseconds == 0 ? 0 : effect.stamp.milliseconds + effect.ttlMilliseconds
    let isTaken = effect.key.withUnsafeBytes { key in
      func take(_ value: UnsafeRawBufferPointer?) -> Bool {
        replicator.take(
          ForeignEffect(namespace: namespace, key: key, value: value, expiresAt: expiresAt, stamp: effect.stamp))
      }
      return effect.value.map { $0.withUnsafeBytes { take($0) } } ?? take(nil)
    }
    guard isTaken else { throw .effectRefused() }
    return Reply(.constant("{\"success\":true}"))
  }

  private func prove(
    _ head: RequestHead, _ body: UnsafeRawBufferPointer, _ cluster: any ClusterFace, _ now: UnixMilliseconds
  ) throws(Problem) {
    guard let proof = head.proof else { throw .notAPeer("the header X-Cluster-Proof is missing") }
    guard let colon = proof.firstIndex(of: UInt8(ascii: ":")),
      let time = Int64(String(decoding: proof[..<colon], as: UTF8.self))
    else { throw .notAPeer("X-Cluster-Proof is not MILLISECONDS:HASH") }
    guard abs(time.subtractingReportingOverflow(now).partialValue) <= Self.proofMilliseconds else {
      throw .notAPeer("its time is more than a minute from this node's")
    }
    let message = Array("nexuscache replicate\n\(cluster.picture.clusterName)\n\(time)\n".utf8) + Array(body)
    guard cluster.isProof(UnsafeRawBufferPointer(rebasing: proof[(colon + 1)...]), of: message) else {
      throw .notAPeer("the hash is not that of this cluster's name, the time and this body with its secret")
    }
  }
}
