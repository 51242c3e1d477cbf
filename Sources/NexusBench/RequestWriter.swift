import NexusModel

/// Writes what one connection sends in one turn. Each thread has one, with buffers that every turn uses again.
///
/// Where all requests of a turn have one shape (reads, or writes of one size), they are laid out once and a turn
/// only changes the digits of the keys: the generator must cost less than the fastest server it measures.
struct RequestWriter {
  private let workload: Workload
  private let pieces: RequestPieces
  private let chooser: KeyChooser
  private var random: SplitMix64
  /// Requests laid out once; empty where shapes differ from request to request.
  private var laid = OutputBuffer(capacity: 4096)
  private var keyPositions: [Int] = []
  private var scratch = OutputBuffer(capacity: 4096)

  init(_ workload: Workload, seed: UInt64) {
    self.workload = workload
    pieces = RequestPieces(workload)
    chooser = KeyChooser(workload)
    random = SplitMix64(seed: seed)
    layOut()
  }

  private mutating func layOut() {
    let fixedWrites = workload.valueSizes.count == 1 && workload.ttlMilliseconds.count == 1
    for _ in 0..<workload.pipeline {
      switch workload.operation {
      case .get where workload.batch > 1:
        let blank = [UInt64](repeating: workload.firstKey, count: workload.batch)
        var positions: [Int] = []
        pieces.appendMultiGet(blank, to: &laid) { positions.append($0) }
        keyPositions += positions
      case .get:
        keyPositions.append(pieces.appendGet(workload.firstKey, to: &laid))
      case .set where fixedWrites, .load where fixedWrites:
        keyPositions.append(
          pieces.appendSet(
            workload.firstKey, size: workload.valueSizes.lowerBound,
            ttlMilliseconds: workload.ttlMilliseconds.lowerBound, to: &laid))
      case .set, .load, .mix: return
      }
    }
  }

  /// The next turn of a run. `numbers` gets the number of each key, in order; `writes` whether each is written.
  /// Valid until the writer is used again.
  mutating func turn(_ numbers: UnsafeMutablePointer<UInt64>?, _ writes: UnsafeMutablePointer<Bool>?)
    -> UnsafeRawBufferPointer
  {
    guard keyPositions.isEmpty else { return patchedTurn(numbers) }
    scratch.count = 0
    let shares = UInt64(workload.setShare + workload.getShare)
    for index in 0..<workload.pipeline {
      let number = chooser.next(&random)
      let isWrite =
        workload.operation == .set
        || (workload.operation == .mix && random.below(shares) < UInt64(workload.setShare))
      if isWrite { appendSet(number) } else { _ = pieces.appendGet(number, to: &scratch) }
      numbers?[index] = number
      writes?[index] = isWrite
    }
    return scratch.bytes
  }

  private mutating func patchedTurn(_ numbers: UnsafeMutablePointer<UInt64>?) -> UnsafeRawBufferPointer {
    let base = laid.base
    keyPositions.withUnsafeBufferPointer { positions in
      for index in 0..<positions.count {
        let number = chooser.next(&random)
        pieces.patch(base + positions[index], number)
        numbers?[index] = number
      }
    }
    return laid.bytes
  }

  /// Writes of the `count` keys of the run from the one at `from` on, at most a pipeline of them.
  mutating func load(from: UInt64, count: Int) -> UnsafeRawBufferPointer {
    guard keyPositions.isEmpty else {
      let stride = laid.count / workload.pipeline
      for index in 0..<count { pieces.patch(laid.base + keyPositions[index], chooser.number(at: from + UInt64(index))) }
      return UnsafeRawBufferPointer(start: laid.base, count: stride * count)
    }
    scratch.count = 0
    for index in 0..<count { appendSet(chooser.number(at: from + UInt64(index))) }
    return scratch.bytes
  }

  /// Writes of the keys that the last turn did not find.
  mutating func fill(_ numbers: UnsafePointer<UInt64>, missed: UnsafeBufferPointer<Int32>) -> UnsafeRawBufferPointer {
    scratch.count = 0
    for index in missed { appendSet(numbers[Int(index)]) }
    return scratch.bytes
  }

  private mutating func appendSet(_ number: UInt64) {
    _ = pieces.appendSet(
      number, size: choose(workload.valueSizes), ttlMilliseconds: choose(workload.ttlMilliseconds), to: &scratch)
  }

  private mutating func choose(_ range: ClosedRange<Int>) -> Int {
    range.lowerBound + (range.count == 1 ? 0 : Int(random.below(UInt64(range.count))))
  }

  /// Hands the buffers back.
  func deallocate() {
    laid.deallocate()
    scratch.deallocate()
  }
}
