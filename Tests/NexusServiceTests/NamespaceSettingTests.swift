import NexusModel
import NexusService
import Testing

@Suite("The setting namespace") struct NamespaceSettingTests {
  private func settings(of name: String, in settings: Settings) -> NamespaceSettings? {
    guard let declaration = settings.namespaces.first(where: { $0.name == name }) else { return nil }
    var namespace = NamespaceSettings(name: name)
    settings.apply(declaration, to: &namespace)
    return namespace
  }

  @Test func anOptionThatIsGivenHoldsAndTheOthersFollowTheNode() throws {
    let settings = Settings()
    try settings.configure("default-ttl", to: "1m", from: .file(path: "f", line: 1))
    try settings.configure("namespace", to: "scores:max-memory=64mb;eviction=lru;ttl-jitter=10%", from: .flag)
    let scores = try #require(self.settings(of: "scores", in: settings))
    #expect(scores.limitBytes == 64 << 20 && scores.eviction == .lru && scores.ttlJitter == 0.1)
    #expect(scores.defaultTTLMilliseconds == 60_000 && scores.limitEntries == 0)
    try settings.change([(.defaultTTL, "5s"), (.eviction, "none"), (.maxEntries, "7")])
    let later = try #require(self.settings(of: "scores", in: settings))
    #expect(later.defaultTTLMilliseconds == 5000 && later.limitEntries == 7 && later.eviction == .lru)
    var database = NamespaceSettings(name: "default")
    settings.apply(nil, to: &database)
    #expect(database.eviction == .none && database.limitBytes == 0 && database.limitEntries == 7)
  }

  @Test func declarationsAddUpAndTheLaterOneOfANameCountsAsAWhole() throws {
    let settings = Settings()
    try settings.configure("namespace", to: "a:max-entries=1;eviction=lru b", from: .file(path: "f", line: 1))
    try settings.configure("namespace", to: "c", from: .environment(variable: "NEXUSCACHE_NAMESPACE"))
    try settings.configure("namespace", to: "a:max-entries=2", from: .flag)
    #expect(settings.text(.namespace) == "a:max-entries=2 b c")
    try settings.change([(.namespace, "b:ttl-jitter=off\td")])
    #expect(settings.text(.namespace) == "a:max-entries=2 b:ttl-jitter=off c d")
    #expect(settings.redisValue("namespace") == settings.text(.namespace))
    #expect(settings.namespaces.map(\.name) == ["a", "b", "c", "d"])
  }

  /// What is written behind `--namespace`, and the reason for which it is refused.
  static let mistakes: [(String, String)] = [
    ("scores:max-memry", "there is no option 'max-memry'; did you mean 'max-memory'?"),
    (
      "scores:max-memory=lots",
      "max-memory cannot be 'lots': give a size such as 64mb or 2gb, from 1kb to 64tb, or off"
    ),
    (
      "scores:eviction",
      "eviction has no value: write eviction=VALUE, with VALUE s3fifo, lru, size-aware, random, ttl or none"
    ),
    ("scores:eviction=lru;eviction=lru", "eviction is given twice"),
    (
      "db3:eviction=lru",
      "'db3' cannot be a namespace's name: default and db1, db2 and so on are the databases' names"
    ),
    ("2024", "'2024' cannot be a namespace's name: a number alone means a database: begin with a letter"),
    ("scörés", "'scörés' cannot be a namespace's name: a name has 1 to 64 of A-Z a-z 0-9 . _ -"),
    (
      "scores:xyzzy",
      "there is no option 'xyzzy'; the options are " + NamespaceOption.all.map(\.name).joined(separator: ", ")
    ),
  ]

  @Test(arguments: mistakes)
  func whatCannotBeIsToldInOneSentence(_ text: String, _ sentence: String) {
    let settings = Settings()
    let error = #expect(throws: SettingError.self) { try settings.configure("namespace", to: text, from: .flag) }
    #expect(error?.description == "namespace cannot be '\(text)': \(sentence)")
    #expect(settings.namespaces.isEmpty)
  }

  @Test func anAddressIsAValueAndItsPasswordIsNotShown() throws {
    let settings = Settings()
    let address = "http://user:p4ss@host:1/x?a=b&c=d,e#f=g"
    try settings.configure("namespace", to: "scores:origin=\(address);max-entries=1", from: .flag)
    #expect(self.settings(of: "scores", in: settings)?.origin == address)
    #expect(settings.redisValue("namespace") == "scores:max-entries=1;origin=(hidden)")
    #expect(settings.namespaces[0].withoutSecrets == (text: "scores:max-entries=1", hidden: ["origin"]))
    for wrong in ["a:origin=\(address);max-entries=x", "a:max-entries=x;origin=\(address)", "a:orgin=\(address)"] {
      let error = #expect(throws: SettingError.self) { try settings.change([(.namespace, wrong)]) }
      #expect(error?.description.contains("p4ss") == false, "\(wrong)")
    }
    let divided = #expect(throws: SettingError.self) {
      try settings.change([(.namespace, "a:origin=http://user:p4;p5@host")])
    }
    #expect(divided?.description.contains("%3B") == true && divided?.description.contains("p5") == false)
    let spaced = #expect(throws: SettingError.self) {
      try settings.declareNamespace("b", [("origin", "http://user:p4ss@host/ x")])
    }
    #expect(spaced?.description.contains("%20") == true && spaced?.description.contains("p4ss") == false)
  }

  @Test func otherSecretsAreNotToldByCONFIGGET() throws {
    let settings = Settings()
    try settings.configure("cluster-secret", to: "only for members", from: .flag)
    try settings.configure("password", to: "for clients", from: .flag)
    #expect(settings.redisValue("cluster-secret") == "(hidden)" && settings.redisValue("password") == "(hidden)")
    #expect(settings.redisValue("requirepass") == "for clients")
    #expect(Settings().redisValue("cluster-secret") == "")
  }

  @Test func ofTwoNamesWithOneNumberTheSecondIsRefused() throws {
    let (first, second) = Self.namesThatMeet
    let settings = Settings()
    try settings.configure("namespace", to: first, from: .flag)
    let number = NamespaceName.number(of: first)
    let error = #expect(throws: SettingError.self) { try settings.change([(.namespace, second)]) }
    #expect(
      error?.description
        == "namespace cannot be '\(second)': the name '\(second)' has the number \(number), and so has '\(first)': "
        + "choose another name for one of them")
    #expect(settings.text(.namespace) == first)
  }

  private static let namesThatMeet: (String, String) = {
    var seen: [NamespaceNumber: String] = [:]
    var index = 0
    while true {
      let name = "n\(index * 7919)"
      if let other = seen.updateValue(name, forKey: NamespaceName.number(of: name)) { return (other, name) }
      index += 1
    }
  }()

  @Test func atRunTimeNamespacesComeAndDoNotGo() throws {
    let settings = Settings()
    try settings.change([(.namespace, "a")])
    #expect(throws: SettingError.self) { try settings.change([(.namespace, "")]) }
    #expect(throws: RedisConfigError.self) { try settings.redisSet([("namespace", "a b:x=1")]) }
    try settings.redisSet([("namespace", "b:max-entries=5")])
    #expect(settings.text(.namespace) == "a b:max-entries=5")
  }

  @Test func aProgramDeclaresWithoutWritingText() throws {
    let settings = Settings()
    try settings.declareNamespace("scores", [("max-memory", "1mb"), ("eviction", "ttl")])
    #expect(settings.text(.namespace) == "scores:max-memory=1mb;eviction=ttl")
    #expect(throws: SettingError.self) { try settings.declareNamespace("a b", []) }
    #expect(throws: SettingError.self) { try settings.declareNamespace("a", [("max-entries", "1;eviction=lru")]) }
    #expect(throws: SettingError.self) { try settings.declareNamespace("a", [("max-entries", "1 b")]) }
    #expect(settings.namespaces.map(\.name) == ["scores"])
  }

  @Test func everyOptionHasOneRow() {
    #expect(Set(NamespaceOption.all.map(\.name)).count == NamespaceOption.all.count)
    for option in NamespaceOption.all {
      #expect(option.help.hasSuffix(".") && option.help.count <= 120, "\(option.name)")
      #expect(option.follows.map { Setting.all[$0.rawValue].name } ?? option.name == option.name)
    }
  }
}
