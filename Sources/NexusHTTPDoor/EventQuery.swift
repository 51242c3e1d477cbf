import NexusModel
import NexusService

/// What a reader of events asks for.
struct EventQuery {
  /// By `EventBus.Topic.rawValue`; all where the reader named none.
  var topics: [Bool] = Array(repeating: true, count: EventBus.Topic.allCases.count)
  /// As the reader gave it: the events behind this one.
  var lastEventID: String?
}

extension Responder {
  func eventQuery(_ head: RequestHead) throws(Problem) -> EventQuery {
    if !head.parameters.isSubset(of: .types) { throw .unknownParameter(.types) }
    var query = EventQuery()
    query.lastEventID = head.lastEventID.map { String(decoding: $0, as: UTF8.self) }
    guard let types = head.types else { return query }
    query.topics = query.topics.map { _ in false }
    for name in try decode(types, "types").split(separator: UInt8(ascii: ","), omittingEmptySubsequences: false) {
      let topic = EventBus.Topic.allCases.first { $0.name.description.utf8.elementsEqual(name) }
      guard let topic else { throw .badEventTypes(String(decoding: name, as: UTF8.self)) }
      query.topics[topic.rawValue] = true
    }
    return query
  }
}
