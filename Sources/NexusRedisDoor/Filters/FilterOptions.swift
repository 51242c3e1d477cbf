import NexusModel
import NexusRESP
import NexusSketch

/// What CF.RESERVE and CF.INSERT say of the filter that they make. Where they say nothing, our values: RedisBloom's
/// buckets of two places and twenty iterations would need more memory for the same rate.
struct FilterOptions {
  private var capacity = 1024
  private var rate = 0.01
  private var bucketSlots = 4
  private var displacements = 500
  private var expansion = 2
  /// Whether a filter may be made where there is none.
  private(set) var creates = true
  /// The first argument that is an item.
  private(set) var firstItem = 0

  /// What CF.ADD makes.
  static let standardPlan = try! CuckooFilterPlan(capacity: 1024)

  /// CF.RESERVE key capacity [options]. Nil after replying what is wrong.
  init?(reserving call: inout Call) {
    guard let capacity = call.integer(2) else {
      call.reply(error: "ERR Bad capacity")
      return nil
    }
    self.capacity = capacity
    var index = 3
    while index < call.count {
      guard index + 1 < call.count else {
        call.replyWrongArity()
        return nil
      }
      let taken = takeRate(&call, index)
      guard taken ?? takeNumber(&call, index) else { return nil }
      index += 2
    }
  }

  /// CF.INSERT key [CAPACITY capacity] [ERROR rate] [NOCREATE] ITEMS item ... Nil after replying what is wrong.
  init?(inserting call: inout Call) {
    var index = 2
    while firstItem == 0 {
      guard index < call.count else {
        call.replyWrongArity()
        return nil
      }
      if call.matches(index, "ITEMS") {
        firstItem = index + 1
      } else if call.matches(index, "NOCREATE") {
        creates = false
        index += 1
      } else if index + 1 == call.count {
        call.replyWrongArity()
        return nil
      } else if call.matches(index, "CAPACITY") {
        guard let capacity = call.integer(index + 1) else {
          call.reply(error: "ERR Bad capacity")
          return nil
        }
        self.capacity = capacity
        index += 2
      } else if let taken = takeRate(&call, index) {
        if !taken { return nil }
        index += 2
      } else {
        call.reply(error: "ERR Unknown argument received")
        return nil
      }
    }
    if firstItem == call.count {
      call.replyWrongArity()
      return nil
    }
  }

  /// Nil where the argument is not this option; false after replying that its value is no number.
  private mutating func takeRate(_ call: inout Call, _ index: Int) -> Bool? {
    guard call.matches(index, "ERROR") else { return nil }
    guard let rate = call.double(index + 1) else {
      call.reply(error: "ERR Couldn't parse ERROR")
      return false
    }
    self.rate = rate
    return true
  }

  /// BUCKETSIZE, MAXITERATIONS, EXPANSION.
  private mutating func takeNumber(_ call: inout Call, _ index: Int) -> Bool {
    let option: WritableKeyPath<FilterOptions, Int>
    let name: String
    if call.matches(index, "BUCKETSIZE") {
      (option, name) = (\.bucketSlots, "BUCKETSIZE")
    } else if call.matches(index, "MAXITERATIONS") {
      (option, name) = (\.displacements, "MAXITERATIONS")
    } else if call.matches(index, "EXPANSION") {
      (option, name) = (\.expansion, "EXPANSION")
    } else {
      call.reply(error: "ERR Unknown argument received")
      return false
    }
    guard let number = call.integer(index + 1) else {
      call.reply(error: "ERR Couldn't parse \(name)")
      return false
    }
    self[keyPath: option] = number
    return true
  }

  /// Nil after replying why no filter can be made so.
  func plan(_ call: inout Call) -> CuckooFilterPlan? {
    do throws(CuckooFilterError) {
      let plan = try CuckooFilterPlan(
        // Clients of RedisBloom may ask for buckets of one place. Such a table is full when it is half empty.
        capacity: capacity, falsePositiveRate: rate, bucketSlots: bucketSlots == 1 ? 2 : bucketSlots,
        displacements: displacements, expansion: expansion)
      let limit = call.filterBytesMax
      if plan.byteCount <= limit { return plan }
      call.reply(
        error: "ERR a filter for \(capacity) items takes \(plan.byteCount) bytes, and a value may have \(limit) "
          + "(max-value-size): choose a smaller capacity or a larger error rate, or raise the limit")
    } catch {
      call.reply(error: "ERR \(error)")
    }
    return nil
  }
}
