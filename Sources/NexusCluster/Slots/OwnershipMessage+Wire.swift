import NexusModel
import NexusService
import NexusWire

/// Ownership's messages as items of a frame (`Ownership` in peer.proto).
struct OwnershipPost: PeerMessage {
  static var frameKind: FrameKind { .ownership }

  var message: OwnershipMessage

  private enum Field {
    static let claim = WireField(1, "Ownership.claim")
    static let claimAnswer = WireField(2, "Ownership.claim_answer")
    static let offer = WireField(3, "Ownership.offer")
    static let pull = WireField(4, "Ownership.pull")
    static let gone = WireField(5, "Ownership.gone")
    static let confirm = WireField(6, "Ownership.confirm")
    static let forgotten = WireField(7, "Ownership.forgotten")
  }

  init(_ message: OwnershipMessage) { self.message = message }

  func encode<Sink: WireSink>(to sink: inout Sink) {
    switch message {
    case .claim(let claim): sink.element(Field.claim, ClaimWire(claim))
    case .claimAnswer(let answer): sink.element(Field.claimAnswer, ClaimAnswerWire(answer))
    case .offer(let offer): sink.element(Field.offer, OfferWire(offer))
    case .pull(let id, let slots): sink.element(Field.pull, PullWire(id: id, slots: slots))
    case .gone(let slots): sink.element(Field.gone, NumberedSlotsWire(slots))
    case .confirm(let slots): sink.element(Field.confirm, NumberedSlotsWire(slots))
    case .forgotten(let slots): sink.element(Field.forgotten, NumberedSlotsWire(slots))
    }
  }

  init(from reader: inout WireReader) throws(WireError) {
    var message: OwnershipMessage?
    while let tag = try reader.tag("Ownership") {
      switch tag.number {
      case 1: message = .claim(try reader.nested(tag, Field.claim, ClaimWire.self).value)
      case 2: message = .claimAnswer(try reader.nested(tag, Field.claimAnswer, ClaimAnswerWire.self).value)
      case 3: message = .offer(try reader.nested(tag, Field.offer, OfferWire.self).value)
      case 4:
        let pull = try reader.nested(tag, Field.pull, PullWire.self)
        message = .pull(id: pull.id, pull.slots)
      case 5: message = .gone(try reader.nested(tag, Field.gone, NumberedSlotsWire.self).value)
      case 6: message = .confirm(try reader.nested(tag, Field.confirm, NumberedSlotsWire.self).value)
      case 7: message = .forgotten(try reader.nested(tag, Field.forgotten, NumberedSlotsWire.self).value)
      default: try reader.skip(tag, "Ownership")
      }
    }
    guard let message else { throw WireError(.missing, "Ownership.message") }
    self.message = message
  }
}

extension WireReader {
  fileprivate mutating func nested<Message: WireMessage>(
    _ tag: WireTag, _ field: WireField, _ type: Message.Type
  ) throws(WireError) -> Message {
    let result: Message = try message(tag, field)
    return result
  }
}

private struct HoldingWire: WireMessage {
  var value: Holding

  private enum Field {
    static let member = WireField(1, "Holding.member_id")
    static let number = WireField(2, "Holding.number")
  }

  init(_ value: Holding) { self.value = value }

  func encode<Sink: WireSink>(to sink: inout Sink) {
    sink.put(Field.member, value.member.text)
    sink.put(Field.number, value.number)
  }

  init(from reader: inout WireReader) throws(WireError) {
    var member: MemberID?
    var number: UInt64 = 0
    while let tag = try reader.tag("Holding") {
      switch tag.number {
      case 1: member = MemberID(try reader.text(tag, Field.member))
      case 2: number = try reader.uint64(tag, Field.number)
      default: try reader.skip(tag, "Holding")
      }
    }
    guard let member else { throw WireError(.missing, "Holding.member_id") }
    value = Holding(member: member, number: number)
  }
}

private struct HeldSlotsWire: WireMessage {
  var value: HeldSlots

  private enum Field {
    static let slots = WireField(1, "HeldSlots.slots")
    static let holding = WireField(2, "HeldSlots.holding")
    static let behind = WireField(3, "HeldSlots.behind")
    static let settled = WireField(4, "HeldSlots.settled")
  }

  init(_ value: HeldSlots) { self.value = value }

  func encode<Sink: WireSink>(to sink: inout Sink) {
    sink.element(Field.slots, SlotList(value.slots))
    sink.element(Field.holding, HoldingWire(value.holding))
    for holding in value.behind { sink.element(Field.behind, HoldingWire(holding)) }
    for holding in value.settled { sink.element(Field.settled, HoldingWire(holding)) }
  }

  init(from reader: inout WireReader) throws(WireError) {
    var slots = SlotSet()
    var holding: Holding?
    var (behind, settled): ([Holding], [Holding]) = ([], [])
    while let tag = try reader.tag("HeldSlots") {
      switch tag.number {
      case 1: slots = try reader.nested(tag, Field.slots, SlotList.self).set
      case 2: holding = try reader.nested(tag, Field.holding, HoldingWire.self).value
      case 3: behind.append(try reader.nested(tag, Field.behind, HoldingWire.self).value)
      case 4: settled.append(try reader.nested(tag, Field.settled, HoldingWire.self).value)
      default: try reader.skip(tag, "HeldSlots")
      }
    }
    guard let holding else { throw WireError(.missing, "HeldSlots.holding") }
    value = HeldSlots(slots: slots, holding: holding, behind: behind, settled: settled)
  }
}

private struct NumberedSlotsWire: WireMessage {
  var value: SlotsOfHolding

  private enum Field {
    static let number = WireField(1, "NumberedSlots.number")
    static let slots = WireField(2, "NumberedSlots.slots")
  }

  init(_ value: SlotsOfHolding) { self.value = value }

  func encode<Sink: WireSink>(to sink: inout Sink) {
    sink.put(Field.number, value.number)
    sink.element(Field.slots, SlotList(value.slots))
  }

  init(from reader: inout WireReader) throws(WireError) {
    value = SlotsOfHolding(number: 0, slots: SlotSet())
    while let tag = try reader.tag("NumberedSlots") {
      switch tag.number {
      case 1: value.number = try reader.uint64(tag, Field.number)
      case 2: value.slots = try reader.nested(tag, Field.slots, SlotList.self).set
      default: try reader.skip(tag, "NumberedSlots")
      }
    }
  }
}

private struct ClaimWire: WireMessage {
  var value: SlotClaim

  private enum Field {
    static let id = WireField(1, "Claim.id")
    static let version = WireField(2, "Claim.placement_version")
    static let slots = WireField(3, "Claim.slots")
    static let ask = WireField(4, "Claim.ask")
    static let live = WireField(5, "Claim.live")
  }

  init(_ value: SlotClaim) { self.value = value }

  func encode<Sink: WireSink>(to sink: inout Sink) {
    sink.put(Field.id, value.id)
    sink.put(Field.version, fixed: value.version.digest)
    sink.element(Field.slots, SlotList(value.slots))
    sink.put(Field.ask, value.ask)
    sink.put(Field.live, fixed: value.live)
  }

  init(from reader: inout WireReader) throws(WireError) {
    value = SlotClaim(id: 0, ask: 0, version: PlacementVersion(digest: 0), live: 0, slots: SlotSet())
    while let tag = try reader.tag("Claim") {
      switch tag.number {
      case 1: value.id = try reader.uint64(tag, Field.id)
      case 2: value.version = PlacementVersion(digest: try reader.fixed64(tag, Field.version))
      case 3: value.slots = try reader.nested(tag, Field.slots, SlotList.self).set
      case 4: value.ask = try reader.uint64(tag, Field.ask)
      case 5: value.live = try reader.fixed64(tag, Field.live)
      default: try reader.skip(tag, "Claim")
      }
    }
  }
}

private struct ClaimAnswerWire: WireMessage {
  var value: SlotClaimAnswer

  private enum Field {
    static let id = WireField(1, "ClaimAnswer.id")
    static let version = WireField(2, "ClaimAnswer.placement_version")
    static let handedOver = WireField(3, "ClaimAnswer.handed_over")
    static let notMine = WireField(4, "ClaimAnswer.not_mine")
    static let held = WireField(5, "ClaimAnswer.held")
    static let stopped = WireField(6, "ClaimAnswer.stopped")
    static let later = WireField(7, "ClaimAnswer.later")
    static let executed = WireField(8, "ClaimAnswer.executed")
    static let ask = WireField(9, "ClaimAnswer.ask")
    static let unverified = WireField(10, "ClaimAnswer.unverified")
  }

  init(_ value: SlotClaimAnswer) { self.value = value }

  func encode<Sink: WireSink>(to sink: inout Sink) {
    sink.put(Field.id, value.id)
    sink.put(Field.version, fixed: value.version.digest)
    for held in value.handedOver { sink.element(Field.handedOver, HeldSlotsWire(held)) }
    sink.element(Field.notMine, SlotList(value.notMine))
    for held in value.held { sink.element(Field.held, HeldSlotsWire(held)) }
    for stopped in value.stopped { sink.element(Field.stopped, NumberedSlotsWire(stopped)) }
    sink.element(Field.later, SlotList(value.later))
    sink.element(Field.executed, SlotList(value.executed))
    sink.put(Field.ask, value.ask)
    sink.element(Field.unverified, SlotList(value.unverified))
  }

  init(from reader: inout WireReader) throws(WireError) {
    value = SlotClaimAnswer(id: 0, ask: 0, version: PlacementVersion(digest: 0))
    while let tag = try reader.tag("ClaimAnswer") {
      switch tag.number {
      case 1: value.id = try reader.uint64(tag, Field.id)
      case 2: value.version = PlacementVersion(digest: try reader.fixed64(tag, Field.version))
      case 3: value.handedOver.append(try reader.nested(tag, Field.handedOver, HeldSlotsWire.self).value)
      case 4: value.notMine = try reader.nested(tag, Field.notMine, SlotList.self).set
      case 5: value.held.append(try reader.nested(tag, Field.held, HeldSlotsWire.self).value)
      case 6: value.stopped.append(try reader.nested(tag, Field.stopped, NumberedSlotsWire.self).value)
      case 7: value.later = try reader.nested(tag, Field.later, SlotList.self).set
      case 8: value.executed = try reader.nested(tag, Field.executed, SlotList.self).set
      case 9: value.ask = try reader.uint64(tag, Field.ask)
      case 10: value.unverified = try reader.nested(tag, Field.unverified, SlotList.self).set
      default: try reader.skip(tag, "ClaimAnswer")
      }
    }
  }
}

private struct OfferWire: WireMessage {
  var value: SlotOffer

  private enum Field {
    static let version = WireField(1, "Offer.placement_version")
    static let executed = WireField(2, "Offer.executed")
    static let held = WireField(3, "Offer.held")
  }

  init(_ value: SlotOffer) { self.value = value }

  func encode<Sink: WireSink>(to sink: inout Sink) {
    sink.put(Field.version, fixed: value.version.digest)
    sink.element(Field.executed, SlotList(value.executed))
    for held in value.held { sink.element(Field.held, HeldSlotsWire(held)) }
  }

  init(from reader: inout WireReader) throws(WireError) {
    value = SlotOffer(version: PlacementVersion(digest: 0))
    while let tag = try reader.tag("Offer") {
      switch tag.number {
      case 1: value.version = PlacementVersion(digest: try reader.fixed64(tag, Field.version))
      case 2: value.executed = try reader.nested(tag, Field.executed, SlotList.self).set
      case 3: value.held.append(try reader.nested(tag, Field.held, HeldSlotsWire.self).value)
      default: try reader.skip(tag, "Offer")
      }
    }
  }
}

private struct PullWire: WireMessage {
  var id: UInt64
  var slots: SlotsOfHolding

  private enum Field {
    static let id = WireField(1, "Pull.id")
    static let holding = WireField(2, "Pull.holding")
  }

  init(id: UInt64, slots: SlotsOfHolding) {
    self.id = id
    self.slots = slots
  }

  func encode<Sink: WireSink>(to sink: inout Sink) {
    sink.put(Field.id, id)
    sink.element(Field.holding, NumberedSlotsWire(slots))
  }

  init(from reader: inout WireReader) throws(WireError) {
    self.init(id: 0, slots: SlotsOfHolding(number: 0, slots: SlotSet()))
    while let tag = try reader.tag("Pull") {
      switch tag.number {
      case 1: id = try reader.uint64(tag, Field.id)
      case 2: slots = try reader.nested(tag, Field.holding, NumberedSlotsWire.self).value
      default: try reader.skip(tag, "Pull")
      }
    }
  }
}
