import NexusModel
import NexusService
import NexusStore

/// Where operations are gathered that a door executes together.
///
/// Belongs to one loop.
struct BatchRunner {
  /// Invariant: room for `OperationBatch.largest`.
  private let operations: UnsafeMutablePointer<Operation>
  private let outcomes: UnsafeMutablePointer<OperationOutcome>
  private let ids: UnsafeMutablePointer<UInt32>
  /// Where each operation's arguments begin in `arguments`, which moves when it grows.
  private let firsts: UnsafeMutablePointer<Int>
  private var arguments: UnsafeMutablePointer<Argument>
  private var argumentCapacity = 1024
  private var argumentCount = 0
  private(set) var count = 0
  private var out = OutputBuffer(capacity: 64 * 1024)

  init() {
    operations = .allocate(capacity: OperationBatch.largest)
    outcomes = .allocate(capacity: OperationBatch.largest)
    ids = .allocate(capacity: OperationBatch.largest)
    firsts = .allocate(capacity: OperationBatch.largest)
    arguments = .allocate(capacity: argumentCapacity)
  }

  func deallocate() {
    operations.deallocate()
    outcomes.deallocate()
    ids.deallocate()
    firsts.deallocate()
    arguments.deallocate()
    out.deallocate()
  }

  var isFull: Bool { count == OperationBatch.largest }

  /// The next operation's arguments come now.
  @inline(__always) mutating func begin() { firsts[count] = argumentCount }

  @inline(__always) mutating func add(_ argument: UnsafeRawBufferPointer) {
    if argumentCount == argumentCapacity { growArguments() }
    // An empty argument has no address of its own: any will do.
    (arguments + argumentCount).initialize(
      to: Argument(base: argument.baseAddress ?? UnsafeRawPointer(arguments), count: argument.count))
    argumentCount += 1
  }

  /// Ends what `begin` began. `operation.arguments` is set here.
  @inline(__always) mutating func end(_ operation: Operation, id: UInt32) {
    (operations + count).initialize(to: operation)
    ids[count] = id
    count += 1
  }

  /// Empties the runner without running anything.
  mutating func discard(_ each: (UInt32) -> Void) {
    for index in 0..<count { each(ids[index]) }
    count = 0
    argumentCount = 0
  }

  /// What `begin` began is done with otherwise. Its arguments lie where they came from.
  mutating func abandon() { argumentCount = firsts[count] }

  /// Those that have been added since `begin`.
  var begun: UnsafeBufferPointer<Argument> {
    UnsafeBufferPointer(start: arguments + firsts[count], count: argumentCount - firsts[count])
  }

  private mutating func growArguments() {
    let larger = UnsafeMutablePointer<Argument>.allocate(capacity: argumentCapacity * 2)
    larger.initialize(from: arguments, count: argumentCount)
    arguments.deallocate()
    arguments = larger
    argumentCapacity *= 2
  }

  /// Executes what was gathered; `each` gets every outcome in order, with the reply's bytes where there is one and the
  /// keys that are missing where some are. Empties the runner.
  mutating func run(
    _ executors: (Operation.Kind) -> any OperationExecutor, for requester: MemberNumber,
    _ each: (UInt32, Operation, OperationOutcome, UnsafeRawBufferPointer, ArraySlice<Key>) -> Void
  ) {
    for index in 0..<count {
      let end = index + 1 < count ? firsts[index + 1] : argumentCount
      operations[index].arguments = UnsafeBufferPointer(start: arguments + firsts[index], count: end - firsts[index])
      (outcomes + index).initialize(to: .notHere)
    }
    var first = 0
    while first < count {
      var end = first + 1
      while end < count, operations[end].kind == operations[first].kind { end += 1 }
      run(first..<end, executors(operations[first].kind), requester, each)
      first = end
    }
    count = 0
    argumentCount = 0
    if out.capacity > Self.keptBytes { out.shrink(to: Self.keptBytes) }
  }

  private static let keptBytes = 1 << 20

  private mutating func run(
    _ range: Range<Int>, _ executor: any OperationExecutor, _ requester: MemberNumber,
    _ each: (UInt32, Operation, OperationOutcome, UnsafeRawBufferPointer, ArraySlice<Key>) -> Void
  ) {
    out.count = 0
    var batch = OperationBatch(
      operations: operations + range.lowerBound, outcomes: outcomes + range.lowerBound, count: range.count, out: out)
    executor.execute(&batch, for: requester)
    out = batch.out
    var start = 0
    for index in range {
      var reply = UnsafeRawBufferPointer(start: nil, count: 0)
      var missing: ArraySlice<Key> = []
      switch outcomes[index] {
      case .replied(let end), .held(let end, _):
        reply = UnsafeRawBufferPointer(rebasing: out.bytes[start..<end])
        start = end
      case .notHere, .filling: break
      case .keysMissing(let first, let count): missing = batch.missing[first..<(first + count)]
      }
      each(ids[index], operations[index], outcomes[index], reply, missing)
    }
    out.count = 0
  }

  /// Executes one operation by itself.
  mutating func run(
    _ operation: Operation, _ executor: any OperationExecutor, for requester: MemberNumber,
    replied: (OperationOutcome, UnsafeRawBufferPointer) -> Void, missing: (ArraySlice<Key>) -> Void
  ) -> OperationOutcome {
    precondition(count == 0, "a batch is being gathered")
    begin()
    for argument in operation.arguments { add(argument.bytes) }
    end(operation, id: 0)
    var result = OperationOutcome.notHere
    run({ _ in executor }, for: requester) { _, _, outcome, reply, keys in
      result = outcome
      switch outcome {
      case .replied, .held: replied(outcome, reply)
      case .notHere, .filling: break
      case .keysMissing: missing(keys)
      }
    }
    return result
  }
}
