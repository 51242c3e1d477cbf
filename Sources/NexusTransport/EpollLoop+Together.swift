import Glibc
import NexusModel
import NexusService

/// Small inputs of several connections that arrived in one turn are read first and executed after, so that what
/// their requests will need comes from memory at the same time, and not one cache miss after the other.
///
/// Lives on the stack of one turn. Invariant: the inputs lie one behind the other in the read buffer and end
/// before `offset`; whatever else reads into that buffer begins at its start, so it comes only after they were offered.
struct InputsTogether {
  static var most: Int { 16 }
  /// Larger inputs are pipelines, which look ahead by themselves.
  static var largestBytes: Int { 512 }

  var connections: InlineArray<16, ConnectionPointer?> = .init(repeating: nil)
  var starts: InlineArray<16, Int32> = .init(repeating: 0)
  var counts: InlineArray<16, Int32> = .init(repeating: 0)
  var count = 0
  var offset = 0
}

extension EpollLoop {
  func dispatchTogether(_ events: Int) {
    var inputs = InputsTogether()
    for index in 0..<events {
      let event = poller[index]
      guard event.token & 7 == 0, event.isReadable, !event.isWritable else {
        if event.token & 7 == 0, event.isReadable { offer(&inputs) }
        dispatch(event)
        continue
      }
      let connection = ConnectionPointer(bitPattern: UInt(event.token))!
      guard connection.pointee.phase == .open, connection.pointee.input.count == 0,
        !connection.pointee.flags.contains(.peerFinished), connection.pointee.flags.isDisjoint(with: .holdsInput)
      else {
        offer(&inputs)
        dispatch(event)
        continue
      }
      receive(connection, &inputs)
      if inputs.count == InputsTogether.most { offer(&inputs) }
    }
    offer(&inputs)
  }

  private func receive(_ connection: ConnectionPointer, _ inputs: inout InputsTogether) {
    let start = readBuffer + inputs.offset
    let arrived = recv(connection.pointee.descriptor, start, readBufferBytes - inputs.offset, 0)
    guard arrived > 0 else {
      onNoData(connection, arrived)
      return
    }
    onBytes(connection, arrived)
    guard arrived <= InputsTogether.largestBytes else {
      offerShared(connection, start, held: 0, arrived: arrived)
      return
    }
    inputs.connections[inputs.count] = connection
    inputs.starts[inputs.count] = Int32(inputs.offset)
    inputs.counts[inputs.count] = Int32(arrived)
    inputs.count += 1
    inputs.offset += (arrived + 63) & ~63
    let door = state.pointee.doors[Int(connection.pointee.door)]
    door._withUnsafeGuaranteedRef {
      $0.foresee(connection.pointee.session!, UnsafeRawBufferPointer(start: start, count: arrived))
    }
  }

  private func offer(_ inputs: inout InputsTogether) {
    if inputs.count > 1 {
      for index in 0..<state.pointee.doorCount {
        state.pointee.doors[index]._withUnsafeGuaranteedRef { $0.foreseen() }
      }
    }
    for index in 0..<inputs.count {
      let connection = inputs.connections[index]!
      // An earlier one's command may have closed it, or made it wait.
      guard connection.pointee.phase == .open else { continue }
      let start = readBuffer + Int(inputs.starts[index])
      let arrived = Int(inputs.counts[index])
      if connection.pointee.flags.isDisjoint(with: .holdsInput) {
        offerShared(connection, start, held: 0, arrived: arrived)
      } else {
        connection.pointee.input.append(start, arrived, expected: 0, gauge)
      }
    }
    inputs.count = 0
    inputs.offset = 0
  }
}
