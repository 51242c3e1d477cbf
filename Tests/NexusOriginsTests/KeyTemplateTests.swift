import NexusTestSupport
import Testing

@testable import NexusOrigins

@Suite struct KeyTemplateTests {
  private func template(_ text: String) throws -> KeyTemplate {
    let colon = text.firstIndex(of: ":")!
    return try KeyTemplate(
      KeyTemplate.Scheme(rawValue: String(text[..<colon]))!, afterScheme: text[text.index(after: colon)...])
  }

  private func url(_ template: KeyTemplate, _ key: String) -> String? { try? template.url(for: Array(key.utf8)).get() }

  @Test func theKeyStandsPercentEncodedWhereTheTemplateSays() throws {
    let path = try template("http://host:8080/v1/{key}.json?unit=points")
    #expect(url(path, "Tom") == "http://host:8080/v1/Tom.json?unit=points")
    #expect(
      url(path, "a b/c?d#e&f=g%2e+é") == "http://host:8080/v1/a%20b%2Fc%3Fd%23e%26f%3Dg%252e%2B%C3%A9.json?unit=points")
    #expect(url(path, "{key}") == "http://host:8080/v1/%7Bkey%7D.json?unit=points")
    let query = try template("https://[::1]?q={key}&again={key}")
    #expect(url(query, "../x&y") == "https://[::1]/?q=..%2Fx%26y&again=..%2Fx%26y")
    #expect(url(query, "") == "https://[::1]/?q=&again=")
    #expect(url(query, "..") == "https://[::1]/?q=..&again=..")
  }

  @Test func everyKeyStaysOnePieceOfTheURL() throws {
    let template = try template("http://host/scores/{key}")
    for key in hostileKeys {
      let url = try template.url(for: key).get()
      let tail = url.dropFirst("http://host/scores/".count)
      #expect(
        tail.utf8.allSatisfy {
          ($0 | 32 >= 97 && $0 | 32 <= 122) || (48...57).contains($0) || "-._~%".utf8.contains($0)
        })
      #expect(PercentText.decoded(tail) == key)
    }
  }

  @Test func keysThatMeanAnotherFolderHaveNoURL() throws {
    let alone = try template("http://host/a/{key}")
    for key in ["", ".", ".."] { #expect(url(alone, key) == nil, "\(key)") }
    for key in ["...", ".a", "a.", "..a", "%2e%2e", "../", ". "] { #expect(url(alone, key) != nil, "\(key)") }
    let joined = try template("http://host/a/.{key}/b")
    #expect(url(joined, ".") == nil)
    #expect(url(joined, "") == nil)
    #expect(url(joined, "x") == "http://host/a/.x/b")
    let encoded = try template("http://host/a/%2e{key}")
    #expect(url(encoded, ".") == nil)
  }

  @Test func credentialsAreTakenOutOfTheURL() throws {
    let template = try template("http://us%40er:p%3A:w@host/{key}?token=1")
    #expect(template.credentials == Authority.Credentials(user: "us@er", password: "p::w"))
    #expect(url(template, "k") == "http://host/k?token=1")
    #expect(template.name == "http://host/{key}?...")
  }

  @Test func aRedirectLosesWhatItSaysOfUsers() {
    for (url, bare) in [
      ("http://me:secret@host:80/a@b?c@d", "http://host:80/a@b?c@d"), ("https://a@b@host", "https://host"),
      ("http://host/a:b@c", "http://host/a:b@c"), ("http://host?x=a@b", "http://host?x=a@b"), ("nothing", "nothing"),
    ] { #expect(Authority.withoutCredentials(url) == bare) }
  }

  @Test func onlyTheSameServerIsTheSameSite() throws {
    let template = try template("http://host:80/{key}")
    #expect(template.isSameSite("http://host:80/other"))
    for url in ["http://host/other", "https://host:80/", "http://host:8080/", "http://host:80.evil/", "http://host:80"]
    {
      #expect(!template.isSameSite(url), "\(url)")
    }
  }

  @Test(arguments: [
    ("http:host/{key}", "a host is to follow"),
    ("http:///{key}", "it names no host"),
    ("http://{key}/x", "is no name of a host"),
    ("http://host:{key}/", "is no port"),
    ("http://host:0/{key}", "is no port"),
    ("http://host:65536/{key}", "is no port"),
    ("http://ho st/{key}", "is no name of a host"),
    ("http://host\\evil/{key}", "is no name of a host"),
    ("http://[::1/{key}", "no closing bracket"),
    ("http://[host]/{key}", "is no IPv6 address"),
    ("http://host", "has no place for the key"),
    ("http://host/key", "has no place for the key"),
    ("http://host/{KEY}", "has no place for the key"),
    ("http://host/a b/{key}", "percent-encoded only"),
    ("http://host/é/{key}", "percent-encoded only"),
    ("http://host/{x}/{key}", "percent-encoded only"),
    ("http://host/\r\nX: y/{key}", "percent-encoded only"),
    ("http://host/%/{key}", "a % is to be followed"),
    ("http://host/../{key}", "its path has '.' or '..'"),
    ("http://host/%2E%2e/{key}", "its path has '.' or '..'"),
    ("http://u%zz:p@host/{key}", "user and password are to be percent-encoded"),
  ])
  func whatIsNoTemplateIsRefused(_ text: String, _ reason: String) {
    do {
      Issue.record("\(text) was taken: \(try template(text))")
    } catch let refusal as KeyTemplate.Refusal {
      #expect(refusal.reason.contains(reason), "\(refusal.reason)")
    } catch {
      Issue.record("\(error)")
    }
  }

  @Test func percentEncodingIsUndoneExactly() {
    let all = (0...255).map { UInt8($0) }
    #expect(PercentText.decoded(PercentText.encoded(all)) == all)
    #expect(PercentText.decoded("a%2Fb%2fc+d") == Array("a/b/c+d".utf8))
    for text in ["%", "%2", "%2x", "%x2", "a%"] { #expect(PercentText.decoded(text) == nil) }
  }
}
