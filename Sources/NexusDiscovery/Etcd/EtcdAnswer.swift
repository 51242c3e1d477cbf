import NexusWire

/// What etcd answers: the messages of proto/etcd/etcd.proto that come from there, as far as they are used.
enum EtcdAnswer: Equatable {
  case granted(lease: Int64, seconds: Int)
  /// No seconds: etcd does not know the lease any more.
  case keptAlive(lease: Int64, seconds: Int)
  case revoked
  case put(revision: Int64)
  case range([EtcdKey], revision: Int64)
  case watched(EtcdWatched)

  /// - Parameter kind: of the request that is answered.
  init(_ kind: EtcdRequest.Kind, decoding bytes: UnsafeRawBufferPointer) throws(WireError) {
    switch kind {
    case .grant:
      let lease = try EtcdLease(bytes, "LeaseGrantResponse")
      if !lease.error.isEmpty || lease.id == 0 { throw WireError(.missing, "LeaseGrantResponse.ID") }
      self = .granted(lease: lease.id, seconds: lease.seconds)
    case .keepAlive:
      let lease = try EtcdLease(bytes, "LeaseKeepAliveResponse")
      self = .keptAlive(lease: lease.id, seconds: lease.seconds)
    case .revoke: self = .revoked
    case .put: self = .put(revision: try EtcdRange(bytes, "PutResponse").revision)
    case .range:
      let range = try EtcdRange(bytes, "RangeResponse")
      self = .range(range.keys, revision: range.revision)
    case .watch: self = .watched(try EtcdWatched(bytes))
    }
  }
}

/// A key and what it holds.
struct EtcdKey: Equatable {
  var key = ""
  var value = ""
  /// 0: none, it stays until it is deleted.
  var lease: Int64 = 0
  /// Of its last change.
  var revision: Int64 = 0

  init(_ key: String, _ value: String = "", lease: Int64 = 0, revision: Int64 = 0) {
    self.key = key
    self.value = value
    self.lease = lease
    self.revision = revision
  }

  private enum Field {
    static let key = WireField(1, "KeyValue.key")
    static let revision = WireField(3, "KeyValue.mod_revision")
    static let value = WireField(5, "KeyValue.value")
    static let lease = WireField(6, "KeyValue.lease")
  }

  init(_ bytes: UnsafeRawBufferPointer) throws(WireError) {
    var reader = WireReader(bytes)
    while let tag = try reader.tag("KeyValue") {
      switch tag.number {
      case 1: key = String(decoding: try reader.bytes(tag, Field.key), as: UTF8.self)
      case 3: revision = try reader.int64(tag, Field.revision)
      case 5: value = String(decoding: try reader.bytes(tag, Field.value), as: UTF8.self)
      case 6: lease = try reader.int64(tag, Field.lease)
      default: try reader.skip(tag, "KeyValue")
      }
    }
  }
}

/// One message of a watch.
struct EtcdWatched: Equatable {
  struct Event: Equatable {
    var isDeletion = false
    /// Of a deletion: its name and its revision alone.
    var key = EtcdKey("")
  }

  var events: [Event] = []
  var isCreated = false
  var isCanceled = false
  /// Not 0: the revision asked for is older than what etcd still knows, which begins here.
  var compactRevision: Int64 = 0
  var reason = ""

  init() {}

  private enum Field {
    static let isCreated = WireField(3, "WatchResponse.created")
    static let isCanceled = WireField(4, "WatchResponse.canceled")
    static let compactRevision = WireField(5, "WatchResponse.compact_revision")
    static let reason = WireField(6, "WatchResponse.cancel_reason")
    static let events = WireField(11, "WatchResponse.events")
    static let type = WireField(1, "Event.type")
    static let key = WireField(2, "Event.kv")
  }

  init(_ bytes: UnsafeRawBufferPointer) throws(WireError) {
    var reader = WireReader(bytes)
    while let tag = try reader.tag("WatchResponse") {
      switch tag.number {
      case 3: isCreated = try reader.bool(tag, Field.isCreated)
      case 4: isCanceled = try reader.bool(tag, Field.isCanceled)
      case 5: compactRevision = try reader.int64(tag, Field.compactRevision)
      case 6: reason = String(decoding: try reader.bytes(tag, Field.reason), as: UTF8.self)
      case 11: events.append(try Self.event(try reader.bytes(tag, Field.events)))
      default: try reader.skip(tag, "WatchResponse")
      }
    }
  }

  private static func event(_ bytes: UnsafeRawBufferPointer) throws(WireError) -> Event {
    var event = Event()
    var reader = WireReader(bytes)
    while let tag = try reader.tag("Event") {
      switch tag.number {
      case 1: event.isDeletion = try reader.uint64(tag, Field.type) == 1
      case 2: event.key = try EtcdKey(try reader.bytes(tag, Field.key))
      default: try reader.skip(tag, "Event")
      }
    }
    return event
  }
}

/// What both answers about a lease have in common.
private struct EtcdLease {
  var id: Int64 = 0
  var seconds = 0
  var error = ""

  private enum Field {
    static let id = WireField(2, "ID")
    static let seconds = WireField(3, "TTL")
    static let error = WireField(4, "LeaseGrantResponse.error")
  }

  init(_ bytes: UnsafeRawBufferPointer, _ message: StaticString) throws(WireError) {
    var reader = WireReader(bytes)
    while let tag = try reader.tag(message) {
      switch tag.number {
      case 2: id = try reader.int64(tag, Field.id)
      case 3: seconds = Int(try reader.int64(tag, Field.seconds))
      case 4: error = String(decoding: try reader.bytes(tag, Field.error), as: UTF8.self)
      default: try reader.skip(tag, message)
      }
    }
  }
}

/// The revision that every answer's header has, and the keys of a range.
private struct EtcdRange {
  var keys: [EtcdKey] = []
  var revision: Int64 = 0

  private enum Field {
    static let header = WireField(1, "header")
    static let keys = WireField(2, "RangeResponse.kvs")
    static let revision = WireField(3, "ResponseHeader.revision")
  }

  init(_ bytes: UnsafeRawBufferPointer, _ message: StaticString) throws(WireError) {
    var reader = WireReader(bytes)
    while let tag = try reader.tag(message) {
      switch tag.number {
      case 1:
        var header = WireReader(try reader.bytes(tag, Field.header))
        while let tag = try header.tag("ResponseHeader") {
          if tag.number == 3 {
            revision = try header.int64(tag, Field.revision)
          } else {
            try header.skip(tag, "ResponseHeader")
          }
        }
      case 2: keys.append(try EtcdKey(try reader.bytes(tag, Field.keys)))
      default: try reader.skip(tag, message)
      }
    }
  }
}

extension WireReader {
  /// `int64`: in two's complement, not zigzag.
  fileprivate mutating func int64(_ tag: WireTag, _ field: WireField) throws(WireError) -> Int64 {
    Int64(bitPattern: try uint64(tag, field))
  }
}
