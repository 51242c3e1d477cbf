import NexusService
import Testing

@testable import NexusOrigins

@Suite struct OriginConfigurationTests {
  private func refusal(_ text: String) -> String {
    do throws(OriginConfigurationError) {
      let configuration = try OriginConfiguration(text)
      return "taken: \(configuration)"
    } catch {
      return error.description
    }
  }

  @Test func aDatabaseFileAndAQueryInPlainText() throws {
    let configuration = try OriginConfiguration("sqlite:/path/to.db?query=SELECT value FROM scores WHERE key = ?")
    #expect(
      configuration.source
        == .sqlite(SQLiteSource(path: "/path/to.db", query: "SELECT value FROM scores WHERE key = ?")))
    #expect(configuration.limits == OriginLimits())
    #expect(configuration.name == "sqlite:/path/to.db")
  }

  @Test func aServerAndAQuery() throws {
    let configuration = try OriginConfiguration(
      "postgres://us%40er:p%2Fw@db.example:5433/my%20scores?query=SELECT value FROM scores WHERE key = $1"
        + "&sslmode=verify-full&ca-file=/etc/ca.pem&write=W $1 $2&delete=D $1&connections=2")
    guard case .postgres(let source) = configuration.source else {
      Issue.record("not PostgreSQL")
      return
    }
    #expect(source.server == ServerAddress(host: "db.example", port: 5433, user: "us@er", password: "p/w"))
    #expect(source.database == "my scores" && source.query == "SELECT value FROM scores WHERE key = $1")
    #expect(source.tlsMode == "verify-full" && source.certificates == "/etc/ca.pem")
    #expect(source.statements == WriteStatements(write: "W $1 $2", delete: "D $1"))
    #expect(configuration.limits.connections == 2)
    #expect(configuration.name == "postgres://us@er@db.example:5433/my scores")
    let short = try OriginConfiguration("postgresql://tom@[::1]?query=q")
    #expect(short.name == "postgres://tom@[::1]:5432/tom")
    let local = try OriginConfiguration("postgres:///scores?query=q&socket=/run/postgresql")
    #expect(local.name == "postgres:///run/postgresql/scores")
  }

  @Test func aRedisServerAndItsDatabase() throws {
    let configuration = try OriginConfiguration("redis://:pass%23word@10.0.0.5/7?write=set&timeout=100ms")
    var source = RedisSource(server: ServerAddress(host: "10.0.0.5", port: 6379, user: "", password: "pass#word"))
    source.database = 7
    source.takesWrites = true
    #expect(configuration.source == .redis(source))
    #expect(configuration.limits.timeoutMilliseconds == 100)
    #expect(configuration.name == "redis://10.0.0.5:6379/7")
    #expect(try OriginConfiguration("redis://host").name == "redis://host:6379/0")
  }

  @Test func anHTTPTemplateWithItsOptionsBehindAHash() throws {
    let configuration = try OriginConfiguration(
      "https://me:secret@scores.example/v1/{key}?unit=points#write=put&redirects=0&etags=5&header=Accept: text/plain"
        + "&header=X-A: b%26c&ca-file=/ca.pem&value-limit=1mb")
    guard case .http(let source) = configuration.source else {
      Issue.record("not HTTP")
      return
    }
    #expect(source.takesWrites && source.redirects == 0 && source.entityTags == 5)
    #expect(source.fields == ["Accept: text/plain", "X-A: b&c"] && source.certificates == "/ca.pem")
    #expect(try source.template.url(for: Array("a/b".utf8)).get() == "https://scores.example/v1/a%2Fb?unit=points")
    #expect(configuration.name == "https://scores.example/v1/{key}?...")
    #expect(configuration.limits.valueLimitBytes == 1 << 20)
  }

  @Test func writesThatAreMadeLater() throws {
    let text =
      "redis://host?write=set&write-behind-delay=5ms&write-behind-batch=7&write-behind-queue=8"
      + "&write-behind-bytes=9kb&write-behind-drain=10s"
    var settings = WriteBehindSettings()
    settings.delayMilliseconds = 5
    settings.batch = 7
    settings.writes = 8
    settings.bytes = 9216
    settings.drainMilliseconds = 10_000
    #expect(try OriginConfiguration(text + "&write-behind=yes").writeBehind == settings)
    #expect(try OriginConfiguration(text).writeBehind == nil)
  }

  @Test func everyLimitHasAnOption() throws {
    let configuration = try OriginConfiguration(
      "sqlite:///a%20b.db?query=SELECT%201%2B1%26?&connections=3&queue=0&timeout=250ms&retries=7&backoff=0&"
        + "backoff-limit=2s&breaker-failures=0&breaker-window=64&breaker-open=1m&breaker-open-limit=1h&"
        + "value-limit=64kb&idle=5s&key-type=blob&write=W ?, ?&delete=D ?")
    guard case .sqlite(let source) = configuration.source else {
      Issue.record("not SQLite")
      return
    }
    #expect(source.path == "/a b.db")
    #expect(source.query == "SELECT 1+1&?")
    #expect(source.keyType == .blob)
    #expect(source.statements == WriteStatements(write: "W ?, ?", delete: "D ?"))
    var limits = OriginLimits()
    limits.connections = 3
    limits.queue = 0
    limits.timeoutMilliseconds = 250
    limits.retries = 7
    limits.backoffMilliseconds = 0
    limits.backoffLimitMilliseconds = 2000
    limits.breakerFailures = 0
    limits.breakerWindow = 64
    limits.breakerOpenMilliseconds = 60_000
    limits.breakerOpenLimitMilliseconds = 3_600_000
    limits.valueLimitBytes = 65_536
    limits.idleMilliseconds = 5000
    #expect(configuration.limits == limits)
  }

  @Test func defaultsAreTheOnesThatTheTableNames() throws {
    for option in OriginOption.all where !option.defaultText.isEmpty {
      for (scheme, text) in [
        ("sqlite", "sqlite:/x?query=q&"), ("postgres", "postgres://x?query=q&"), ("http", "http://x/{key}#"),
        ("redis", "redis://x?"),
      ] where option.schemes.isEmpty || option.schemes.contains(scheme) {
        let said = try OriginConfiguration("\(text)\(option.name)=\(option.defaultText)")
        #expect(try said == OriginConfiguration(text), "\(text)\(option.name)")
      }
    }
  }

  @Test func aTableInTheTextItself() throws {
    #expect(
      try OriginConfiguration("static:Tom=630,Jack=589").source
        == .fixed([Array("Tom".utf8): Array("630".utf8), Array("Jack".utf8): Array("589".utf8)]))
    #expect(
      try OriginConfiguration("static:a%2Cb=%3D%00,=empty").source
        == .fixed([Array("a,b".utf8): [61, 0], []: Array("empty".utf8)]))
    #expect(try OriginConfiguration("static:").source == .fixed([:]))
  }

  @Test(arguments: [
    ("", "an origin begins with one of"),
    ("/path/to.db", "an origin begins with one of"),
    ("mysql://root:secret@host/db", "not with 'mysql'"),
    ("sqlite:?query=x", "needs the path of a database file"),
    ("sqlite::memory:?query=x", "needs the path of a file on this machine"),
    ("sqlite://host/x.db?query=x", "needs the path of a file on this machine"),
    ("sqlite:/x%zz?query=x", "needs the path"),
    ("sqlite:/x%00y?query=x", "needs the path"),
    ("sqlite:/x", "needs a query, such as query=SELECT value FROM scores WHERE key = ?"),
    ("sqlite:/x?query", "the option 'query' has no value"),
    ("sqlite:/x?query=a%", "the value of query is not percent-encoded text"),
    ("sqlite:/x?query=a%00b", "the value of query is not percent-encoded text"),
    ("sqlite:/x?query=%ff", "the value of query is not percent-encoded text"),
    ("sqlite:/x?query=a&query=b", "query is given twice"),
    ("sqlite:/x?query=a&conections=3", "there is no option 'conections'; did you mean 'connections'?"),
    ("sqlite:/x?query=a&unheard=3", "there is no option 'unheard'; there are query"),
    ("sqlite:/x?query=a&connections=0", "connections cannot be '0': give a whole number from 1 to 256"),
    ("sqlite:/x?query=a&connections=many", "connections cannot be 'many': give a whole number from 1 to 256"),
    ("sqlite:/x?query=a&timeout=5", "timeout cannot be '5': give a duration from 1ms to 1d"),
    ("sqlite:/x?query=a&timeout=0", "timeout cannot be '0'"),
    ("sqlite:/x?query=a&timeout=250us", "timeout cannot be '250us'"),
    ("sqlite:/x?query=a&timeout=2d", "timeout cannot be '2d'"),
    ("sqlite:/x?query=a&value-limit=1gb", "value-limit cannot be '1gb': give a size from 1 to 512mb"),
    ("sqlite:/x?query=a&key-type=int", "key-type cannot be 'int': give text or blob"),
    ("sqlite:/x?query=a&write=b", "write is given without delete"),
    ("sqlite:/x?query=a&delete=b", "delete is given without write"),
    ("sqlite:/x?query=a&breaker-failures=9&breaker-window=8", "raise the window"),
    ("http://host/{key}#write-behind=yes", "write-behind=yes needs an origin that is written to: give write as well"),
    ("redis://host?write=set&write-behind=sometimes", "write-behind cannot be 'sometimes': give no or yes"),
    ("redis://host?write=set&write-behind=yes&write-behind-batch=0", "write-behind-batch cannot be '0'"),
    ("http://host/{key}#write=post", "write cannot be 'post': give no or put"),
    ("http://host/{key}#query=x", "query means nothing to an origin of this kind"),
    ("http://host/{key}?timeout=5s#timeout=5", "timeout cannot be '5'"),
    ("http://host/{key}#header=X-Token", "header cannot be this"),
    ("http://host/{key}#header=X: a%0d%0aY: b", "header cannot be this"),
    ("http://host/{key}#header=X Y: b", "header cannot be this"),
    ("http://me:secret@host/nokey", "http: it has no place for the key"),
    ("http:host", "a host is to follow"),
    ("postgres:host?query=q", "a host is to follow"),
    ("postgres://me:secret@host/db", "postgres://me@host:5432/db: needs a query"),
    ("postgres:///db?query=q", "it names no host, and no socket=PATH"),
    ("postgres://host/d%00b?query=q", "is to be percent-encoded UTF-8 without NUL"),
    ("postgres://host/db?query=q&sslmode=maybe", "sslmode cannot be 'maybe': give prefer or disable"),
    ("redis://host/zero", "'/zero' is to be the number of a database"),
    ("redis://host/-1", "'/-1' is to be the number of a database"),
    ("redis://me:secret@ho st/", "'ho st' is no name of a host"),
    ("redis://host?key-type=text", "key-type means nothing to an origin of this kind"),
    ("rediss://host", "TLS is not spoken with Redis servers"),
    ("static:Tom", "takes KEY=VALUE,KEY=VALUE, percent-encoded; not 'Tom'"),
    ("static:a=1,a=2", "has the key 'a' twice"),
    ("static:a=%", "takes KEY=VALUE"),
  ])
  func whatCannotWorkIsRefusedInOneSentence(_ text: String, _ sentence: String) {
    let refusal = refusal(text)
    #expect(refusal.contains(sentence), "\(refusal)")
    #expect(!refusal.contains("\n") && !refusal.contains("secret"))
  }
}
