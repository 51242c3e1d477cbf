import NexusModel
import NexusWire

/// A message as lines `path=value`, by the names of the .proto files: what Python says of Google's reading of the same
/// bytes. Values that are default have no line; repeated fields have one with their count.
struct Description {
  var lines: Set<String> = []

  static func hex(_ bytes: some Sequence<UInt8>) -> String {
    let digits = Array("0123456789abcdef".utf8)
    return String(decoding: bytes.flatMap { [digits[Int($0 >> 4)], digits[Int($0 & 15)]] }, as: UTF8.self)
  }

  private mutating func put(_ path: String, _ value: UInt64) { if value != 0 { lines.insert("\(path)=\(value)") } }
  private mutating func put(_ path: String, _ value: UInt32) { put(path, UInt64(value)) }
  private mutating func put(_ path: String, _ value: Bool) { if value { lines.insert("\(path)=1") } }
  private mutating func put(_ path: String, _ text: String) { put(path, bytes: Array(text.utf8)) }
  private mutating func put(_ path: String, bytes: some Collection<UInt8>) {
    if !bytes.isEmpty { lines.insert("\(path)=\(Self.hex(bytes))") }
  }
  private mutating func each<Element>(
    _ path: String, _ values: [Element], _ body: (inout Description, String, Element) -> Void
  ) {
    if !values.isEmpty { lines.insert("\(path)#\(values.count)") }
    for (index, value) in values.enumerated() { body(&self, "\(path)[\(index)]", value) }
  }

  // MARK: Messages

  mutating func add(_ path: String, _ operation: Operation, _ arguments: [UnsafeRawBufferPointer]) {
    put("\(path).id", operation.id)
    put("\(path).hops", operation.hops)
    put("\(path).database", operation.database)
    put("\(path).slot", operation.slot)
    put("\(path).protocol", operation.respVersion)
    put("\(path).timeout_milliseconds", operation.timeoutMilliseconds)
    put("\(path).flags", operation.flags)
    put("\(path).kind", operation.kind.rawValue)
    each("\(path).arguments", arguments) { $0.put($1, bytes: $2) }
  }

  mutating func add(_ path: String, _ reply: Reply) {
    put("\(path).id", reply.id)
    switch reply.outcome {
    case .payload(let bytes):
      lines.insert("\(path)?payload")
      put("\(path).payload", bytes: bytes)
    case .moved(let member):
      lines.insert("\(path)?moved")
      put("\(path).moved.member_id", bytes: member)
    case .failure(let code, let text):
      lines.insert("\(path)?failure")
      put("\(path).failure.code", code.rawValue)
      put("\(path).failure.text", bytes: text)
    }
  }

  mutating func add(_ path: String, _ record: MemberRecord) {
    let member = record.member
    put("\(path).member.id", member.id.text)
    put("\(path).member.host", member.host)
    put("\(path).member.peer_port", UInt64(member.peerPort))
    put("\(path).member.redis_port", UInt64(member.redisPort))
    put("\(path).member.cluster_port", UInt64(member.clusterPort))
    put("\(path).member.http_port", UInt64(member.httpPort))
    put("\(path).member.zone", member.zone)
    put("\(path).member.weight", UInt64(member.weight))
    put("\(path).member.is_leaving", member.isLeaving)
    put("\(path).member.is_joining", member.isJoining)
    put("\(path).member.version", member.version)
    put("\(path).member.started_at", member.startedAt)
    put("\(path).incarnation", record.incarnation)
    put("\(path).status", UInt64(record.status.rawValue))
  }

  mutating func add(_ path: String, _ slots: SlotList) {
    var runs: [UInt64] = []
    var next = 0
    for range in slots.ranges {
      runs += [UInt64(range.lowerBound - next), UInt64(range.count)]
      next = range.upperBound
    }
    each("\(path).runs", runs) { $0.put($1, $2) }
  }

  mutating func add(_ path: String, _ entry: WireEntry) {
    put("\(path).key", bytes: entry.key)
    put("\(path).value", bytes: entry.value)
    put("\(path).namespace", entry.namespace)
    put("\(path).expires_at", entry.expiresAt)
    put("\(path).stamp", entry.stamp)
    put("\(path).client_flags", entry.clientFlags)
    put("\(path).version", entry.version)
    put("\(path).type", entry.type)
    put("\(path).kind", entry.kind.rawValue)
    put("\(path).fresh_until", entry.freshUntil)
    entry.tags.withBytes { put("\(path).tags", bytes: $0) }
  }

  mutating func add(_ path: String, firstSequence: UInt64, _ entries: [WireEntry]) {
    put("\(path).first_sequence", firstSequence)
    each("\(path).entries", entries) { $0.add($1, $2) }
  }

  mutating func add(_ path: String, _ confirmed: Confirmed) {
    put("\(path).through", confirmed.through)
    each("\(path).refused", confirmed.refused) { $0.put($1, $2) }
  }

  mutating func add(_ path: String, _ hello: Hello) {
    put("\(path).cluster_name", hello.clusterName)
    put("\(path).member_id", hello.memberID)
    put("\(path).protocol_min", hello.protocolVersions.lowerBound)
    put("\(path).protocol_max", hello.protocolVersions.upperBound)
    put("\(path).product_version", hello.productVersion)
    put("\(path).loop", hello.loop)
    put("\(path).nonce", bytes: hello.nonce)
    put("\(path).placement_settings", hello.placementSettings)
    put("\(path).stream", hello.stream)
  }

  mutating func add(_ path: String, _ proof: Proof) { put("\(path).hmac", bytes: proof.authenticationCode) }
  mutating func add(_ path: String, _ goodbye: Goodbye) { put("\(path).reason", goodbye.reason) }

  mutating func add(_ path: String, _ membership: Membership) {
    each("\(path).records", membership.records) { $0.add($1, $2) }
    put("\(path).is_request", membership.isRequest)
    put("\(path).digest", membership.digest)
  }

  mutating func add(_ path: String, _ key: WireKey) {
    put("\(path).namespace", key.namespace)
    put("\(path).key", bytes: key.key)
  }

  mutating func add(_ path: String, _ entries: Entries) {
    put("\(path).slot", UInt64(entries.slot.index))
    each("\(path).entries", entries.entries) { $0.add($1, $2) }
    put("\(path).is_last", entries.isLast)
    put("\(path).pull", entries.pull)
    put("\(path).sequence", entries.sequence)
    each("\(path).absent", entries.absent) { $0.add($1, $2) }
  }

  mutating func add(_ path: String, _ fetch: Fetch) {
    put("\(path).id", fetch.id)
    put("\(path).slot", UInt64(fetch.slot.index))
    put("\(path).holding", fetch.holding)
    each("\(path).keys", fetch.keys) { $0.add($1, $2) }
  }

  mutating func add(_ path: String, _ fetched: Fetched) {
    put("\(path).id", fetched.id)
    each("\(path).entries", fetched.entries) { $0.add($1, $2) }
    each("\(path).absent", fetched.absent) { $0.add($1, $2) }
    each("\(path).unknown", fetched.unknown) { $0.add($1, $2) }
  }

  mutating func add(_ path: String, _ event: Event) {
    put("\(path).kind", event.kind.rawValue)
    each("\(path).fields", event.fields) {
      $0.put("\($1).name", $2.name)
      $0.put("\($1).text", $2.text)
    }
    put("\(path).channel", bytes: event.channel)
    put("\(path).payload", bytes: event.payload)
    put("\(path).is_pattern", event.isPattern)
    put("\(path).is_sharded", event.isSharded)
  }

  mutating func add(_ path: String, _ part: Part) {
    put("\(path).id", part.id)
    put("\(path).total", part.total)
    put("\(path).data", bytes: part.data)
    put("\(path).last", part.isLast)
  }

  mutating func add(_ packet: GossipPacket) {
    put("cluster_name", packet.clusterName)
    put("kind", packet.kind.rawValue)
    put("sequence", packet.sequence)
    for (name, peer) in [("source", packet.source), ("target", packet.target)] {
      guard let peer else { continue }
      put("\(name).id", peer.id.text)
      put("\(name).host", peer.host)
      put("\(name).port", UInt64(peer.port))
      put("\(name).started_at", peer.startedAt)
    }
    put("digest", packet.digest)
    each("updates", packet.updates) { description, path, update in
      description.add("\(path).record", update.record)
      if let accuser = update.accuser { description.put("\(path).accuser", accuser.text) }
    }
  }

  mutating func add(version: UInt64, counts: [String: Int]) {
    put("placement_version", version)
    for (path, count) in counts where count > 0 { lines.insert("\(path)#\(count)") }
  }
}
