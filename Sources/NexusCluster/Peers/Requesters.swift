import NexusService

/// Who gave operations away on this loop, by small numbers.
///
/// Belongs to its loop's thread.
final class Requesters {
  private struct Place {
    /// Doors live as long as their loop; a stream's end removes itself before it goes.
    unowned(unsafe) var requester: (any OperationRequester)?
    var wasReplied = false
  }

  /// Of the places, in order: looked through without counting a reference.
  @exclusivity(unchecked) private var identities: [ObjectIdentifier?] = []
  @exclusivity(unchecked) private var places: [Place] = []
  @exclusivity(unchecked) private var replied: [UInt16] = []

  func number(of requester: any OperationRequester) -> UInt16 {
    let identity = ObjectIdentifier(requester)
    for index in identities.indices where identities[index] == identity { return UInt16(index) }
    return add(requester)
  }

  private func add(_ requester: any OperationRequester) -> UInt16 {
    if let free = places.firstIndex(where: { $0.requester == nil }) {
      places[free] = Place(requester: requester)
      identities[free] = ObjectIdentifier(requester)
      return UInt16(free)
    }
    places.append(Place(requester: requester))
    identities.append(ObjectIdentifier(requester))
    return UInt16(places.count - 1)
  }

  /// Nobody asks under this number any more. The caller has let go of everything that carries it.
  func remove(_ number: UInt16) {
    places[Int(number)] = Place()
    identities[Int(number)] = nil
  }

  subscript(number: UInt16) -> (any OperationRequester)? { places[Int(number)].requester }

  func known(_ requester: any OperationRequester) -> UInt16? {
    places.firstIndex { $0.requester === requester }.map { UInt16($0) }
  }

  func reply(_ number: UInt16, _ ticket: UInt64, _ reply: OperationReply) {
    guard let requester = places[Int(number)].requester else { return }
    if !places[Int(number)].wasReplied {
      places[Int(number)].wasReplied = true
      replied.append(number)
    }
    requester.replied(ticket, reply)
  }

  /// Whoever was replied to since the last time.
  func takeReplied() -> [any OperationRequester] {
    guard !replied.isEmpty else { return [] }
    defer { replied.removeAll(keepingCapacity: true) }
    return replied.compactMap { number in
      places[Int(number)].wasReplied = false
      return places[Int(number)].requester
    }
  }
}
