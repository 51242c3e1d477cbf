/// What a run asks of a server: every option of `nexuscache bench`, with its default.
struct Workload: Equatable {
  enum Wire: String, CaseIterable {
    case resp, http, memcached
    case meta = "memcached-meta"
  }

  enum Operation: String, CaseIterable {
    case get, set, mix
    /// Writes each key once, in order, and stops.
    case load
  }

  /// One of several servers under one load, at `host`: it is asked for keys of its slots alone.
  struct Node: Equatable {
    let port: Int
    let slots: SlotSet
    var keyOffsets: [UInt32] = []
  }

  enum Distribution: Equatable {
    case uniform
    case zipf(theta: Double)
  }

  var host = "127.0.0.1"
  var port = 6379
  var unixSocket: String?
  /// Empty: one server, at `port` or `unixSocket`. Connections are dealt out among nodes in turn.
  var nodes: [Node] = []
  var wire = Wire.resp
  var password: String?
  var httpPath = "/api/cache/"

  var operation = Operation.mix
  /// Writes and reads of each `setShare + getShare` operations of a mix.
  var setShare = 1
  var getShare = 9

  var connections = 50
  var threads = 1
  var pipeline = 1
  /// Keys per read request.
  var batch = 1

  var keys: UInt64 = 1_000_000
  var firstKey: UInt64 = 0
  /// Keys of these slots alone; nil: of any.
  var slots: SlotSet?
  /// With `slots`: the numbers of the run's `keys` keys, each less `firstKey`. Else empty: they follow one another.
  var keyOffsets: [UInt32] = []
  var keySize = 16
  var valueSizes = 32...32
  /// 0...0: no TTL.
  var ttlMilliseconds = 0...0
  var distribution = Distribution.uniform

  var durationSeconds = 10.0
  var warmUpSeconds = 1.0
  /// Operations a second over all connections; 0: as fast as replies come.
  var rate = 0.0
  var spin = false
  var loadFirst = false
  /// Look-aside: a key that was not found is written next.
  var fillMisses = false
  var seed: UInt64 = 1
  var tracePath: String?

  /// Processes whose CPU and memory are added up.
  var serverPIDs: [Int32] = []
  var json = false
  var progress = true

  var endpoint: String {
    guard nodes.isEmpty else { return host + nodes.map { ":\($0.port)" }.joined(separator: ",") }
    return unixSocket ?? "\(host):\(port)"
  }
  /// What each server is asked: `keys` keys of its own.
  var shares: [Workload] {
    guard !nodes.isEmpty else { return [self] }
    return nodes.map { node in
      var share = self
      share.nodes = []
      (share.port, share.slots, share.keyOffsets) = (node.port, node.slots, node.keyOffsets)
      return share
    }
  }
  /// No key of the run has a larger number.
  var largestKey: UInt64 { firstKey + (slots?.reach(keys) ?? keys) - 1 }
  var keyFormat: KeyFormat { KeyFormat(size: keySize, largest: largestKey) }
  /// Operations in one turn of one connection.
  var operationsPerTurn: Int { pipeline * batch }
}
