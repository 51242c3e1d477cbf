import NexusModel
import NexusStore
import Synchronization

/// What a loop tells other members over their streams to it.
public enum StreamNews: Sendable, Equatable {
  case changed(stream: UInt64, key: KeyName)
  /// To all streams: everything in these namespaces may have changed.
  case flushed([NamespaceNumber])
}

// Other members as interested parties: what they were given, and keep for a while, is told over the stream that it went
// over, behind it.

extension Interests {
  /// A name for a stream that is about to ask for its first key.
  public func beginStream(loop: Int) -> InterestedParty {
    let party = InterestedParty.stream(lastStream.wrappingAdd(1, ordering: .relaxed).newValue, loop: loop)
    streamCounter.wrappingAdd(1, ordering: .relaxed)
    _ = followers.withLock { $0.insert(party) }
    return party
  }

  public func endStream(_ party: InterestedParty) {
    streamCounter.wrappingSubtract(1, ordering: .relaxed)
    _ = followers.withLock { $0.remove(party) }
  }

  /// While operations of this stream run on its loop; nil: nobody's.
  public func setAsker(_ party: InterestedParty?, as worker: Worker) { lane(of: worker).pointee.asker = party }

  /// On a loop's thread: whose operations run there.
  public func asker(as worker: Worker) -> InterestedParty? { lane(of: worker).pointee.asker }

  /// The slot is not executed here from now on: what was said of its keys will not be corrected. Under the stripe's
  /// lock.
  public func leave(slot: UInt16) {
    guard tables[Int(slot)] != nil else { return }
    let worker = store.holder(of: slot)
    for interest in tables[Int(slot)]!.takeAll(where: { _ in true }) {
      forget(interest, slot)
      tell(interest, from: worker, writer: 0)
    }
    releaseIfEmpty(Int(slot))
  }

  func send(_ news: StreamNews, toStreamsOf loop: Int) {
    let lane = lane(ofLoop: loop)
    let isFirst = lane.pointee.streamNews.withLock { waiting in
      waiting.append(news)
      lane.pointee.hasStreamNews.store(true, ordering: .relaxed)
      return waiting.count == 1
    }
    // The loop itself too: this may be behind the end of its turn.
    if isFirst, loop < loops.count { loops[loop].post {} }
  }

  func tellStreams(flushed namespaces: [NamespaceNumber]) {
    guard streamCounter.load(ordering: .relaxed) > 0 else { return }
    for loop in 0..<loopCount { send(.flushed(namespaces), toStreamsOf: loop) }
  }

  @inline(__always) public func hasStreamNews(loop: Int) -> Bool {
    loop < loopCount && lane(ofLoop: loop).pointee.hasStreamNews.load(ordering: .relaxed)
  }

  /// On the loop's thread.
  public func takeStreamNews(loop: Int) -> [StreamNews] {
    let lane = lane(ofLoop: loop)
    return lane.pointee.streamNews.withLock { waiting in
      lane.pointee.hasStreamNews.store(false, ordering: .relaxed)
      defer { waiting = [] }
      return waiting
    }
  }
}
