/// What a namespace may be called, and which number a name has.
///
/// Numbers go into key hashes and onto the wire, so they must be equal on all members of a cluster, which agree on
/// nothing but the name. Databases of Redis have theirs (`default` is 0, `db1` to `db15` are 1...15); any other name
/// has 16 + FNV-1a(name) mod 65,520, with FNV-1a of 64 bits (Fowler, Noll, Vo, Eastlake: RFC 9923) over its bytes.
public enum NamespaceName {
  public static let databaseCount: NamespaceNumber = 16
  public static let longest = 64

  public static func ofDatabase(_ number: NamespaceNumber) -> String { number == 0 ? "default" : "db\(number)" }

  /// The number that belongs to the name, whether there is such a namespace or not.
  public static func number(of name: UnsafeRawBufferPointer) -> NamespaceNumber {
    if let database = database(name) { return database }
    var hash: UInt64 = 0xCBF2_9CE4_8422_2325
    for byte in name { hash = (hash ^ UInt64(byte)) &* 0x0000_0100_0000_01B3 }
    return databaseCount + NamespaceNumber(hash % (1 << 16 - UInt64(databaseCount)))
  }

  public static func number(of name: String) -> NamespaceNumber {
    var name = name
    return name.withUTF8 { number(of: UnsafeRawBufferPointer($0)) }
  }

  /// What `hasForm` accepts, as the end of a sentence.
  public static let form = "a name has 1 to \(longest) of A-Z a-z 0-9 . _ -"

  /// Whether it could be any namespace's name, a database's included.
  public static func hasForm(_ name: some Collection<UInt8>) -> Bool {
    (1...longest).contains(name.count) && name.allSatisfy(isAllowed)
  }

  /// Why no namespace can be declared under this name, as the end of a sentence; nil if one can.
  public static func refusal(of name: String) -> String? {
    guard hasForm(name.utf8) else { return form }
    if name.utf8.allSatisfy(isDigit) { return "a number alone means a database: begin with a letter" }
    let lower = name.lowercased()
    if lower == "default" || (lower.hasPrefix("db") && lower.count > 2 && lower.utf8.dropFirst(2).allSatisfy(isDigit)) {
      return "default and db1, db2 and so on are the databases' names"
    }
    return nil
  }

  private static func database(_ name: UnsafeRawBufferPointer) -> NamespaceNumber? {
    if name.elementsEqual("default".utf8) { return 0 }
    guard name.count == 3 || name.count == 4, name[0] == UInt8(ascii: "d"), name[1] == UInt8(ascii: "b"),
      name[2] != UInt8(ascii: "0"), name[2...].allSatisfy(isDigit)
    else { return nil }
    let number = name[2...].reduce(0) { $0 * 10 + NamespaceNumber($1 - UInt8(ascii: "0")) }
    return number < databaseCount ? number : nil
  }

  private static func isDigit(_ byte: UInt8) -> Bool { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) }

  private static func isAllowed(_ byte: UInt8) -> Bool {
    switch byte {
    case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"): true
    case UInt8(ascii: "."), UInt8(ascii: "_"), UInt8(ascii: "-"): true
    default: isDigit(byte)
    }
  }
}
