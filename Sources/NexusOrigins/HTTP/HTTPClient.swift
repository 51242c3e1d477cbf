import CCurl
import Glibc

/// A libcurl handle with its connections, for one thread at a time. Speaks TLS with the library's own means.
final class HTTPClient {
  struct Request {
    var method = "GET"
    var url: String
    /// `NAME: VALUE`.
    var fields: [String] = []
    var body: [UInt8] = []
    var credentials: Authority.Credentials?
    var certificates: String?
    var isSecure = false
  }

  enum Failure: Error {
    case interrupted
    case timedOut
    /// Nothing was sent.
    case notConnected(String)
    /// Sent, or perhaps sent, and not answered to the end.
    case brokenOff(String)
    case garbage(String)
    case cut(HTTPExchange.Cut)
  }

  private let handle: UnsafeMutableRawPointer
  private let multi: UnsafeMutableRawPointer
  private let interruption: DescriptorInterruption

  private static let isReady = nexus_curl_begin() == CURLE_OK

  /// Nil if there is no memory for it.
  init?(_ interruption: DescriptorInterruption) {
    guard Self.isReady, let handle = curl_easy_init() else { return nil }
    guard let multi = curl_multi_init() else {
      curl_easy_cleanup(handle)
      return nil
    }
    self.handle = handle
    self.multi = multi
    self.interruption = interruption
  }

  deinit {
    curl_easy_cleanup(handle)
    curl_multi_cleanup(multi)
  }

  /// Where the last answer redirects to.
  var redirect: String? { nexus_curl_redirect(handle).map { String(cString: $0) } }

  /// One request and its answer.
  func exchange(_ request: Request, limitBytes: Int, until deadline: Int) throws(Failure) -> HTTPExchange {
    let exchange = HTTPExchange(limitBytes: limitBytes)
    let left = deadline - monotonicMilliseconds()
    guard left > 0 else { throw .timedOut }
    var fields: UnsafeMutablePointer<curl_slist>?
    defer { curl_slist_free_all(fields) }
    for field in request.fields { fields = curl_slist_append(fields, field) ?? fields }
    // Not "Expect: 100-continue": many servers let it run into its timeout.
    if request.method == "PUT" {
      for field in ["Expect:", "Content-Type: application/octet-stream"] {
        fields = curl_slist_append(fields, field) ?? fields
      }
    }
    let words = UnsafeMutablePointer<CChar>.allocate(capacity: Int(CURL_ERROR_SIZE))
    words.initialize(repeating: 0, count: Int(CURL_ERROR_SIZE))
    defer { words.deallocate() }
    let code = withExtendedLifetime(exchange) {
      withCStrings(request) { texts in
        request.body.withUnsafeBytes { body in
          var prepared = nexus_curl_request(
            url: texts[0], method: texts[1], body: body.baseAddress, body_bytes: body.count, fields: fields,
            user: texts[2], password: texts[3], ca_file: texts[4], is_secure: request.isSecure ? 1 : 0,
            timeout_ms: left, on_field: HTTPCallbacks.field, on_body: HTTPCallbacks.body,
            context: Unmanaged.passUnretained(exchange).toOpaque(), words: words)
          let code = nexus_curl_prepare(handle, &prepared)
          return code == CURLE_OK ? transfer(until: deadline) : code
        }
      }
    }
    guard let code else { throw .interrupted }
    if let cut = exchange.cut {
      if case .rest = cut { return exchange }
      throw .cut(cut)
    }
    if code == CURLE_OK { return exchange }
    throw Self.failure(code, words[0] == 0 ? String(cString: nexus_curl_words(code)) : String(cString: words))
  }

  /// Nil: interrupted.
  private func transfer(until deadline: Int) -> CURLcode? {
    guard curl_multi_add_handle(multi, handle) == CURLM_OK else { return CURLE_OUT_OF_MEMORY }
    defer { curl_multi_remove_handle(multi, handle) }
    while !interruption.isRaised {
      var running: Int32 = 0
      guard curl_multi_perform(multi, &running) == CURLM_OK else { return CURLE_OUT_OF_MEMORY }
      var result = CURLE_OK
      if nexus_curl_ended(multi, &result) != 0 { return result }
      let left = deadline - monotonicMilliseconds()
      // Libcurl has the same deadline. This is for what it does not watch.
      guard left > -1000 else { return CURLE_OPERATION_TIMEDOUT }
      var other = curl_waitfd(fd: interruption.descriptor, events: Int16(CURL_WAIT_POLLIN), revents: 0)
      let others: UInt32 = interruption.descriptor >= 0 ? 1 : 0
      guard curl_multi_poll(multi, &other, others, Int32(clamping: max(1, left)), nil) == CURLM_OK else {
        return CURLE_OUT_OF_MEMORY
      }
    }
    return nil
  }

  private static func failure(_ code: CURLcode, _ words: String) -> Failure {
    switch code {
    case CURLE_OPERATION_TIMEDOUT: .timedOut
    case CURLE_COULDNT_RESOLVE_HOST, CURLE_COULDNT_CONNECT, CURLE_SSL_CONNECT_ERROR, CURLE_PEER_FAILED_VERIFICATION,
      CURLE_SSL_CACERT_BADFILE, CURLE_SSL_CERTPROBLEM, CURLE_OUT_OF_MEMORY:
      .notConnected(words)
    case CURLE_WEIRD_SERVER_REPLY, CURLE_UNSUPPORTED_PROTOCOL, CURLE_URL_MALFORMAT, CURLE_BAD_CONTENT_ENCODING:
      .garbage(words)
    default: .brokenOff(words)
    }
  }

  /// URL, method, user, password and file of certificates.
  private func withCStrings<Result>(
    _ request: Request, _ body: ([UnsafePointer<CChar>?]) -> Result
  ) -> Result {
    let texts = [
      request.url, request.method, request.credentials?.user, request.credentials?.password, request.certificates,
    ].map { $0.map { strdup($0) } }
    defer { for text in texts { free(text ?? nil) } }
    return body(texts.map { $0.flatMap { UnsafePointer($0) } })
  }
}
