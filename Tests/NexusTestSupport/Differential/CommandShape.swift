/// What may stand as a word of a generated command.
public protocol WordConvertible {
  var word: [UInt8] { get }
}
extension String: WordConvertible {
  public var word: [UInt8] { Array(utf8) }
}
extension Int: WordConvertible {
  public var word: [UInt8] { Array(String(self).utf8) }
}
extension [UInt8]: WordConvertible {
  public var word: [UInt8] { self }
}

/// One way of calling a command: how often it is chosen, how its random calls are made, how their replies compare.
public struct CommandShape: Sendable {
  public typealias Make = @Sendable (inout Dice) -> [any WordConvertible]

  public let weight: Int
  public let comparison: Comparison
  /// Whether arguments may be dropped, doubled and replaced: not where that could stop a server or block a client.
  public let bends: Bool
  let make: Make

  public init(_ weight: Int, _ comparison: Comparison = .exact, bends: Bool = true, _ make: @escaping Make) {
    self.weight = weight
    self.comparison = comparison
    self.bends = bends
    self.make = make
  }

  func words(_ dice: inout Dice) -> [[UInt8]] { make(&dice).map(\.word) }
}

/// How the replies of two servers to one command are compared.
public enum Comparison: Sendable {
  /// Same type, same bytes.
  case exact
  /// The same elements in any order.
  case unordered
  /// Numbers at most this far apart, of the same sign; anything else exactly.
  case within(Int64)
  /// The same type only (a random key, an identifier); errors exactly.
  case sameType
  /// Errors without their texts, where ours says more; anything else exactly.
  case anyError
  /// The first element (a cursor) of the same type; the elements of the second in any order.
  case scan
  case custom(@Sendable (_ expected: RESPValue, _ actual: RESPValue) -> Bool)

  public func holds(_ expected: RESPValue, _ actual: RESPValue) -> Bool {
    if expected == actual { return true }
    if case .anyError = self { return expected.isError && actual.isError }
    if expected.isError || actual.isError { return false }
    switch self {
    case .exact, .anyError: return false
    case .unordered:
      guard Self.shape(expected) == Self.shape(actual) else { return false }
      return Self.counts(expected) == Self.counts(actual)
    case .within(let tolerance):
      if let elements = expected.elements, let others = actual.elements, elements.count == others.count {
        return Self.shape(expected) == Self.shape(actual) && zip(elements, others).allSatisfy { holds($0, $1) }
      }
      guard case .integer(let first) = expected, case .integer(let second) = actual else { return false }
      return (first < 0) == (second < 0) && first >= 0 && abs(first - second) <= tolerance
    case .sameType: return Self.shape(expected) == Self.shape(actual)
    case .scan:
      guard let first = expected[1], let second = actual[1] else { return false }
      return Comparison.unordered.holds(first, second)
    case .custom(let holds): return holds(expected, actual)
    }
  }

  /// The kind of reply, nothing of its content.
  public static func shape(_ value: RESPValue) -> String { String(value.description.prefix(1)) + nullMark(value) }

  private static func nullMark(_ value: RESPValue) -> String {
    switch value {
    case .nullBulk, .nullArray: "null"
    default: ""
    }
  }

  private static func counts(_ value: RESPValue) -> [RESPValue: Int] {
    (value.elements ?? [value]).reduce(into: [:]) { $0[$1, default: 0] += 1 }
  }
}
