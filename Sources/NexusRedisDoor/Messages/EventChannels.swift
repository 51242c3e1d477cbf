import NexusModel
import NexusService

/// The channels on which a node tells its own events: `__nexus__:membership` and the like.
enum EventChannels {
  /// Clients cannot publish to what begins so.
  static let reserved: StaticString = "__nexus__:"

  static func isReserved(_ channel: UnsafeRawBufferPointer) -> Bool {
    let length = reserved.utf8CodeUnitCount
    guard channel.count >= length else { return false }
    for index in 0..<length where channel[index] != reserved.utf8Start[index] { return false }
    return true
  }

  static func name(of topic: EventBus.Topic) -> [UInt8] { Array("\(reserved)\(topic.name)".utf8) }
}

extension RedisDoor {
  /// To this node's subscribers only: other members have events of their own. Events of any thread come to each loop in
  /// their order, for they are posted in it.
  func tell(_ event: EventBus.Event) {
    let channel = EventChannels.name(of: event.topic)
    for (index, count) in channels.receivers(.channel, channel).enumerated() where count > 0 {
      let engine = engines[index]
      engine.post { engine.deliver(.channel, channel, event.text) }
    }
  }
}
