import NexusModel
import NexusWire

/// What is asked of etcd: the messages of proto/etcd/etcd.proto that go there.
enum EtcdRequest: Equatable {
  case grant(seconds: Int)
  case keepAlive(lease: Int64)
  case revoke(lease: Int64)
  case put(key: String, value: String, lease: Int64)
  /// All keys that begin so.
  case range(prefix: String)
  /// What happens to them, from this revision on.
  case watch(prefix: String, from: Int64)

  enum Kind: Equatable { case grant, keepAlive, revoke, put, range, watch }

  var kind: Kind {
    switch self {
    case .grant: .grant
    case .keepAlive: .keepAlive
    case .revoke: .revoke
    case .put: .put
    case .range: .range
    case .watch: .watch
    }
  }

  private enum Field {
    static let leaseID = WireField(1, "ID")
    static let grantTTL = WireField(1, "LeaseGrantRequest.TTL")
    static let key = WireField(1, "key")
    static let rangeEnd = WireField(2, "range_end")
    static let putValue = WireField(2, "PutRequest.value")
    static let putLease = WireField(3, "PutRequest.lease")
    static let create = WireField(1, "WatchRequest.create_request")
    static let startRevision = WireField(3, "WatchCreateRequest.start_revision")
  }

  func encode<Sink: WireSink>(to sink: inout Sink) {
    switch self {
    case .grant(let seconds): sink.put(Field.grantTTL, UInt64(seconds))
    case .keepAlive(let lease), .revoke(let lease): sink.put(Field.leaseID, UInt64(bitPattern: lease))
    case .put(let key, let value, let lease):
      sink.put(Field.key, key)
      sink.put(Field.putValue, value)
      sink.put(Field.putLease, UInt64(bitPattern: lease))
    case .range(let prefix):
      sink.put(Field.key, prefix)
      sink.put(Field.rangeEnd, Self.end(of: prefix))
    case .watch(let prefix, let revision):
      var count = WireCounter()
      Self.encodeCreation(prefix, revision, to: &count)
      sink.tag(Field.create, .bytes)
      sink.varint(UInt64(count.count))
      Self.encodeCreation(prefix, revision, to: &sink)
    }
  }

  private static func encodeCreation<Sink: WireSink>(_ prefix: String, _ revision: Int64, to sink: inout Sink) {
    sink.put(Field.key, prefix)
    sink.put(Field.rangeEnd, end(of: prefix))
    sink.put(Field.startRevision, UInt64(bitPattern: revision))
  }

  /// The first key behind all that begin with the prefix. Invariant: its last byte is no 0xFF, which no text ends with.
  private static func end(of prefix: String) -> [UInt8] {
    var bytes = Array(prefix.utf8)
    bytes[bytes.count - 1] += 1
    return bytes
  }
}

extension EtcdRequest.Kind {
  var path: String {
    switch self {
    case .grant: "/etcdserverpb.Lease/LeaseGrant"
    case .keepAlive: "/etcdserverpb.Lease/LeaseKeepAlive"
    case .revoke: "/etcdserverpb.Lease/LeaseRevoke"
    case .put: "/etcdserverpb.KV/Put"
    case .range: "/etcdserverpb.KV/Range"
    case .watch: "/etcdserverpb.Watch/Watch"
    }
  }

  /// Answers come for as long as the call is open.
  var isStream: Bool { self == .keepAlive || self == .watch }
}
