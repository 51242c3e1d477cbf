/// One option of an origin's configuration, declared once: the parser and docs/origins.md read this.
struct OriginOption: Sendable {
  let name: String
  /// The schemes of the origins that know it; empty: all but `static`.
  let schemes: [String]
  let accepted: String
  let defaultText: String
  let help: String
  var isRepeatable = false

  static func named(_ name: String) -> OriginOption? { all.first { $0.name == name } }

  static let all: [OriginOption] = statements + ownOfOne + writeBehind + limits

  private static let statements = [
    OriginOption(
      name: "query", schemes: ["sqlite", "postgres"], accepted: "one SELECT", defaultText: "",
      help: "Gives the value of a key: one parameter, one column. No row, or NULL: the key is absent."),
    OriginOption(
      name: "write", schemes: ["sqlite", "postgres"], accepted: "one statement", defaultText: "",
      help: "Stores a value: parameters are the key, the value and, where there is a third, the milliseconds to live. "
        + "Must bear being run twice."),
    OriginOption(
      name: "delete", schemes: ["sqlite", "postgres"], accepted: "one statement", defaultText: "",
      help: "Deletes a key: one parameter. Must be given where `write` is."),
    OriginOption(
      name: "write", schemes: ["http", "https"], accepted: "no or put", defaultText: "no",
      help: "Writes are PUT and DELETE requests to the key's URL."),
    OriginOption(
      name: "write", schemes: ["redis"], accepted: "no or set", defaultText: "no",
      help: "Writes are SET and DEL commands."),
  ]

  private static let ownOfOne = [
    OriginOption(
      name: "key-type", schemes: ["sqlite"], accepted: "text or blob", defaultText: "text",
      help: "How keys are bound. As text, a key that is not UTF-8 is bound as a blob."),
    OriginOption(
      name: "keys", schemes: ["sqlite"], accepted: "one SELECT", defaultText: "",
      help: "Gives every key: no parameter, one column. A key that it does not give is absent, without asking."),
    OriginOption(
      name: "keys-every", schemes: ["sqlite"], accepted: "100ms to 1d", defaultText: "1m",
      help: "How long after a listing of the keys the next one begins. Only with `keys`."),
    OriginOption(
      name: "socket", schemes: ["postgres", "redis"], accepted: "a path", defaultText: "",
      help: "A Unix socket to use instead of host and port; for PostgreSQL the folder it is in."),
    OriginOption(
      name: "sslmode", schemes: ["postgres"], accepted: "prefer, disable, allow, require, verify-ca or verify-full",
      defaultText: "prefer", help: "Whether TLS is spoken and the server's certificate looked at, as libpq knows it."),
    OriginOption(
      name: "ca-file", schemes: ["postgres", "https"], accepted: "a path", defaultText: "",
      help: "Certificates to trust instead of the system's, in PEM form."),
    OriginOption(
      name: "header", schemes: ["http", "https"], accepted: "NAME: VALUE", defaultText: "",
      help: "A field of every request; may be given several times. Not sent on to where a redirect leads elsewhere.",
      isRepeatable: true),
    OriginOption(
      name: "redirects", schemes: ["http", "https"], accepted: "0 to 50", defaultText: "5",
      help: "How many are followed; one more is a failure."),
    OriginOption(
      name: "etags", schemes: ["http", "https"], accepted: "0 to 10000000", defaultText: "10000",
      help: "Keys whose entity tag is remembered, so that what has not changed is not sent again."),
  ]

  private static let writers = ["sqlite", "postgres", "http", "https", "redis"]

  private static let writeBehind = [
    OriginOption(
      name: "write-behind", schemes: writers, accepted: "no or yes", defaultText: "no",
      help: "Writes are acknowledged at once and made later, in batches. Those that wait die with their node."),
    OriginOption(
      name: "write-behind-delay", schemes: writers, accepted: "0ms to 1d", defaultText: "100ms",
      help: "How long a write may wait for others to be made with it."),
    OriginOption(
      name: "write-behind-batch", schemes: writers, accepted: "1 to 10000", defaultText: "100",
      help: "Writes that are made together: in one transaction, or one pipeline. Over HTTP each is a request."),
    OriginOption(
      name: "write-behind-queue", schemes: writers, accepted: "1 to 10000000", defaultText: "100000",
      help: "Keys with a write that waits. When there are so many, a write is acknowledged when the origin has it."),
    OriginOption(
      name: "write-behind-bytes", schemes: writers, accepted: "1kb to 64gb", defaultText: "64mb",
      help: "The same for the memory of the writes that wait."),
    OriginOption(
      name: "write-behind-drain", schemes: writers, accepted: "0ms to 1d", defaultText: "2s",
      help: "How long a node that stops may take to make the writes that wait. What is left is logged."),
  ]

  private static let limits = [
    OriginOption(
      name: "connections", schemes: [], accepted: "1 to 256", defaultText: "8",
      help: "How many requests the origin is asked at a time; one thread and one connection each."),
    OriginOption(
      name: "queue", schemes: [], accepted: "0 to 1000000", defaultText: "1024",
      help: "Requests that may wait for a connection; more are refused at once."),
    OriginOption(
      name: "timeout", schemes: [], accepted: "1ms to 1d", defaultText: "2s",
      help: "For one attempt. The deadline of the request covers all attempts, and may be shorter."),
    OriginOption(
      name: "retries", schemes: [], accepted: "0 to 100", defaultText: "2",
      help: "Further attempts after a failure that may pass."),
    OriginOption(
      name: "backoff", schemes: [], accepted: "0ms to 1d", defaultText: "50ms",
      help: "Before the second attempt; doubled before each further one, and up to half of it left out by chance."),
    OriginOption(
      name: "backoff-limit", schemes: [], accepted: "0ms to 1d", defaultText: "1s", help: "The longest of these pauses."
    ),
    OriginOption(
      name: "breaker-failures", schemes: [], accepted: "0 to 64", defaultText: "10",
      help: "Failed requests among the last `breaker-window` after which the origin is left alone; 0: never."),
    OriginOption(
      name: "breaker-window", schemes: [], accepted: "1 to 64", defaultText: "20", help: "See `breaker-failures`."),
    OriginOption(
      name: "breaker-open", schemes: [], accepted: "1ms to 1d", defaultText: "1s",
      help: "For how long; doubled each time that the next request fails as well."),
    OriginOption(
      name: "breaker-open-limit", schemes: [], accepted: "1ms to 1d", defaultText: "30s",
      help: "The longest of these times."),
    OriginOption(
      name: "value-limit", schemes: [], accepted: "1 to 512mb", defaultText: "16mb",
      help: "A larger value is a failure."),
    OriginOption(
      name: "idle", schemes: [], accepted: "1ms to 1d", defaultText: "30s",
      help: "A connection without work for so long is closed, and its thread ends."),
  ]
}
