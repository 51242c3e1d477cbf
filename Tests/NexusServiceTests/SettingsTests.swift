import NexusService
import Testing

@Suite struct SettingsTests {
  @Test func theTableHasOneRowPerNameInOrder() {
    #expect(Setting.all.map(\.id) == SettingID.allCases)
    #expect(Set(Setting.all.map(\.name)).count == Setting.all.count)
    for setting in Setting.all {
      #expect(setting.name.allSatisfy { $0.isLowercase || $0 == "-" }, "\(setting.name)")
      #expect(setting.help.hasSuffix(".") && setting.help.count <= 120, "\(setting.name)")
    }
  }

  @Test(arguments: [
    ("64mb", 64 << 20), ("64MB", 64 << 20), ("64m", 64_000_000), ("2gb", 2 << 30), ("1gib", 1 << 30), ("1k", 1000),
    ("1kb", 1024), ("77", 77), ("10b", 10), ("0", 0),
  ])
  func sizesReadAsInRedis(_ text: String, _ bytes: Int) { #expect(SettingText.bytes(text) == bytes) }

  @Test(arguments: ["", "mb", "-1", "1.5mb", "1 mb", "64zb", "9999999999gb", "99999999999999999999"])
  func whatIsNoSizeIsRefused(_ text: String) { #expect(SettingText.bytes(text) == nil) }

  @Test(arguments: [
    ("250us", 250), ("10ms", 10_000), ("5s", 5_000_000), ("2m", 120_000_000), ("1h", 3_600_000_000),
    ("1d", 86_400_000_000), ("0", 0),
  ])
  func durationsNeedAUnit(_ text: String, _ microseconds: Int) {
    #expect(SettingText.microseconds(text) == microseconds)
    #expect(SettingText.durationText(microseconds) == text)
    #expect(SettingText.microseconds("30") == nil)
  }

  @Test func defaultsAreWhatTheDesignSays() {
    let settings = Settings(machineMemoryBytes: 1000 << 20)
    #expect(settings.redisPort == 6379 && settings.httpPort == 8080 && settings.bind == ["127.0.0.1"])
    #expect(settings.maxMemoryBytes == 750 << 20)
    #expect(settings.eviction == .s3fifo && settings.maxClients == 10_000 && settings.password.isEmpty)
    #expect(settings.slowlogThresholdMicroseconds == 10_000 && settings.idleTimeoutMilliseconds == 0)
    #expect(settings.outputBufferLimitBytes == 64 << 20 && settings.logLevel == .info && !settings.logsJSON)
  }

  @Test(arguments: [
    (
      "max-memory", "64zb",
      "max-memory cannot be '64zb': give a size such as 512mb or 2gb, at least 4mb, or a share such as 75%"
    ),
    (
      "max-memory", "64",
      "max-memory cannot be '64': give a size such as 512mb or 2gb, at least 4mb, or a share such as 75%"
    ),
    ("redis-port", "70000", "redis-port cannot be '70000': give a whole number from 0 to 65535"),
    ("eviction", "fifo", "eviction cannot be 'fifo': give s3fifo, lru, size-aware, random, ttl or none"),
    (
      "idle-timeout", "30",
      "idle-timeout cannot be '30': give a duration with its unit, such as 250us, 10ms, 30s, 5m, 1h or 1d, or off"
    ),
    ("max-memroy", "1gb", "there is no setting 'max-memroy'; did you mean 'max-memory'?"),
    ("xyzzy", "1", "there is no setting 'xyzzy'; 'nexuscache serve --help' lists them all"),
  ])
  func errorsNameTheSettingTheValueAndWhatIsAccepted(_ name: String, _ value: String, _ sentence: String) {
    let error = #expect(throws: SettingError.self) { try Settings().configure(name, to: value, from: .flag) }
    #expect(error?.description == sentence)
  }

  @Test func aPasswordIsNeverPartOfAnError() {
    let error = #expect(throws: SettingError.self) { try Settings().configure("password", to: "a\0b", from: .flag) }
    #expect(error?.description.contains("a\0b") == false)
  }

  @Test func changesHoldTogetherOrNotAtAll() throws {
    let settings = Settings()
    let heard = Heard()
    settings.onChange(of: .maxMemory, .eviction) { settings, _ in heard.values.append(settings.maxMemoryBytes) }
    #expect(throws: SettingError.self) { try settings.change([(.maxMemory, "64mb"), (.eviction, "nonsense")]) }
    #expect(heard.values.isEmpty && settings.origin(.maxMemory) == .standard)
    try settings.change([(.maxMemory, "64mb"), (.eviction, "lru")])
    #expect(heard.values == [64 << 20] && settings.eviction == .lru && settings.origin(.eviction) == .runtime)
    try settings.change([(.logLevel, "debug")])
    #expect(heard.values.count == 1)
    #expect(throws: SettingError.self) { try settings.change([(.redisPort, "1")]) }
  }

  private final class Heard: @unchecked Sendable { var values: [Int] = [] }
}

@Suite struct PasswordTests {
  @Test func onlyThePasswordItselfMatches() throws {
    let settings = Settings()
    #expect(!settings.hasPassword && matches(settings, "") && !matches(settings, "x"))
    try settings.configure("password", to: "s3cret", from: .flag)
    #expect(settings.hasPassword && matches(settings, "s3cret"))
    for wrong in ["", "s", "s3cres", "s3crets", "s3crets3cret", "S3CRET"] { #expect(!matches(settings, wrong)) }
  }

  private func matches(_ settings: Settings, _ text: String) -> Bool {
    var text = text
    return text.withUTF8 { settings.passwordMatches(UnsafeRawBufferPointer($0)) }
  }
}
