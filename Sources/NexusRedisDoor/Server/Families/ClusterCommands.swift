import NexusModel
import NexusService
import NexusStore

/// Redis Cluster's commands, for clients that go to a key's owner by themselves.
extension CommandTable {
  static let clusterCommands: [Command] = [
    cluster("readonly", 1, [.loading, .stale, .fast], "Reads may come from this member's copies.") {
      $0.session.readsCopies = true
      $0.replyOK()
    },
    cluster("readwrite", 1, [.loading, .stale, .fast], "Takes READONLY back.") {
      $0.session.readsCopies = false
      $0.replyOK()
    },
    cluster("asking", 1, [.fast], "Accepted: a slot on its way here is served from here without it.") {
      $0.replyOK()
    },
    Command(
      "cluster", arity: -2, [], group: .cluster, since: "3.0.0", complexity: "Depends on the subcommand",
      summary: "The cluster as Redis Cluster's clients know it.",
      subcommands: [
        cluster("cluster|info", 2, [.stale], "Whether all slots are served, and by how many members.") {
          ClusterReport($0)?.replyInfo(&$0)
        },
        cluster("cluster|nodes", 2, [.stale], "All members and their slots, a line each.") {
          ClusterReport($0)?.replyNodes(&$0)
        },
        cluster("cluster|slots", 2, [.stale], "Ranges of slots, each with its owner and replicas.") {
          ClusterReport($0)?.replySlots(&$0)
        },
        cluster("cluster|shards", 2, [.stale], "Members with the slots that they serve.") {
          ClusterReport($0)?.replyShards(&$0)
        },
        cluster("cluster|myid", 2, [.stale], "This member's id.") { call in
          if let cluster = call.engine.node.cluster { call.reply(bulk: cluster.myself.clusterID) }
        },
        cluster("cluster|keyslot", 3, [.stale], "The slot of a key.") {
          $0.reply(integer: Int(NexusModel.Slot(of: $0[2]).index))
        },
        cluster("cluster|countkeysinslot", 3, [.stale], "How many keys of a slot are here.", handler: countKeys),
        cluster("cluster|getkeysinslot", 4, [.stale], "Some keys of a slot that are here.", handler: getKeys),
        cluster("cluster|links", 2, [.stale], "The open streams between this node and other members.") {
          replyLinks(&$0)
        },
        cluster("cluster|help", 2, [.loading, .stale], "Explains the subcommands.", handler: help),
      ]
    ) { $0.replyWrongArity() },
  ]

  /// What a node by itself refuses, as Redis without cluster mode does.
  private static func cluster(
    _ name: String, _ arity: Int, _ flags: Command.Flags, _ summary: String, handler: @escaping Command.Handler
  ) -> Command {
    Command(
      name, arity: arity, flags, group: .cluster, since: "3.0.0", complexity: "O(N) with N the members and slots",
      summary: summary
    ) { call in
      guard call.engine.routes.isClustered else {
        return call.reply(error: "ERR This instance has cluster support disabled")
      }
      handler(&call)
    }
  }

  @Sendable private static func countKeys(_ call: inout Call) {
    guard let number = call.requireInteger(2) else { return }
    guard 0..<NexusModel.Slot.count ~= number else { return call.reply(error: "ERR Invalid slot") }
    var count = 0
    call.store.visit(slot: UInt16(number), in: call.namespace, as: call.worker, now: call.now) { _ in count += 1 }
    call.reply(integer: count)
  }

  @Sendable private static func getKeys(_ call: inout Call) {
    guard let number = call.requireInteger(2), let most = call.requireInteger(3) else { return }
    guard 0..<NexusModel.Slot.count ~= number, most >= 0 else {
      return call.reply(error: "ERR Invalid slot or number of keys")
    }
    var keys: [[UInt8]] = []
    call.store.visit(slot: UInt16(number), in: call.namespace, as: call.worker, now: call.now) { entry in
      if keys.count < most { keys.append(Array(entry.keyBytes)) }
    }
    call.reply(arrayOf: keys.count)
    for key in keys { call.reply(bulk: key) }
  }

  @Sendable private static func help(_ call: inout Call) {
    call.reply(
      helpFor: "CLUSTER",
      [
        ("COUNTKEYSINSLOT <slot>", "How many keys of a slot are on this member."),
        ("GETKEYSINSLOT <slot> <count>", "Some keys of a slot that are on this member."),
        ("INFO", "Whether all slots are served, and by how many members."),
        ("KEYSLOT <key>", "The slot of a key."),
        ("LINKS", "The open streams between this node and other members."),
        ("MYID", "This member's id."),
        ("NODES", "All members and their slots, a line each."),
        ("SHARDS", "Members with the slots that they serve."),
        ("SLOTS", "Ranges of slots, each with its owner and replicas."),
      ])
  }
}

extension Member {
  /// Where cluster clients are sent: the port that redirects, else the ordinary one; nil if both are closed.
  var advertisedPort: Int? {
    let port = clusterPort != 0 ? clusterPort : redisPort
    return port == 0 ? nil : Int(port)
  }
}

extension MemberID {
  /// 40 hexadecimal digits, as Redis Cluster's clients expect an id: the id itself where it is that, else three
  /// 64-bit FNV-1a hashes of it, each begun otherwise.
  var clusterID: String {
    let isHex = text.utf8.allSatisfy { (0x30...0x39).contains($0) || (0x61...0x66).contains($0) }
    if text.utf8.count == 40, isHex { return text }
    var digits = ""
    for salt in 0..<3 as Range<UInt8> {
      var hash: UInt64 = 0xCBF2_9CE4_8422_2325
      for byte in [salt] + Array(text.utf8) { hash = (hash ^ UInt64(byte)) &* 0x100_0000_01B3 }
      let part = String(hash, radix: 16)
      digits += String(repeating: "0", count: 16 - part.utf8.count) + part
    }
    return String(digits.prefix(40))
  }
}
