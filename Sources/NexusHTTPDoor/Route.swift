/// Where a request goes: a pure function of its method and path.
enum Route: Equatable {
  /// The key as it stands in the path: at these bytes of it, still percent-encoded.
  case read(key: Range<Int>)
  case write(key: Range<Int>)
  case delete(key: Range<Int>)
  /// With fields of a form, and plain replies.
  case formRead, formWrite
  case refresh, invalidate
  case index, health, live, ready, metrics
  case clusterState, clusterSlots, join, leave, setPeer
  case events, replicate

  var isForbiddenToPages: Bool {
    switch self {
    case .join, .leave, .setPeer, .refresh, .invalidate: true
    default: false
    }
  }

  var isForm: Bool { self == .formRead || self == .formWrite }

  static let cachePrefix: StaticString = "/api/cache/"

  init(_ method: RequestHead.Method, _ path: UnsafeRawBufferPointer) throws(Problem) {
    if Self.hasCachePrefix(path) {
      let key = Self.cachePrefix.utf8CodeUnitCount..<path.count
      if key.isEmpty { throw .keyMissing() }
      switch method {
      case .get, .head: self = .read(key: key)
      case .put, .post: self = .write(key: key)
      case .delete: self = .delete(key: key)
      case .other: throw .wrongMethod("/api/cache/{key}", allowed: "GET, HEAD, PUT, POST, DELETE")
      }
      return
    }
    if path.elementsEqual(Self.formReadPath.utf8) {
      guard method == .get || method == .head else { throw .wrongMethod(Self.formReadPath, allowed: "GET, HEAD") }
      self = .formRead
      return
    }
    if let action = Self.action(path) {
      guard method == .post else { throw .wrongMethod(String(decoding: path, as: UTF8.self), allowed: "POST") }
      self = action
      return
    }
    if path.elementsEqual("/v1/events".utf8) {
      guard method == .get else { throw .wrongMethod("/v1/events", allowed: "GET") }
      self = .events
      return
    }
    let page = try Self.page(path)
    guard method == .get || method == .head else {
      throw .wrongMethod(String(decoding: path, as: UTF8.self), allowed: "GET, HEAD")
    }
    self = page
  }

  static func hasCachePrefix(_ path: UnsafeRawBufferPointer) -> Bool {
    guard path.count >= cachePrefix.utf8CodeUnitCount else { return false }
    for index in 0..<cachePrefix.utf8CodeUnitCount where path[index] != cachePrefix.utf8Start[index] { return false }
    return true
  }

  private static let formReadPath = "/api/get"
  private static let formWritePath = "/api/set"

  /// How requests for this path are replied, whatever is wrong with them.
  static func form(of path: UnsafeRawBufferPointer) -> Reply.Form {
    path.elementsEqual(formReadPath.utf8) || path.elementsEqual(formWritePath.utf8) ? .plain : .json
  }

  private static func action(_ path: UnsafeRawBufferPointer) -> Route? {
    if path.elementsEqual(formWritePath.utf8) { return .formWrite }
    if path.elementsEqual("/v1/cluster/join".utf8) { return .join }
    if path.elementsEqual("/v1/cluster/leave".utf8) { return .leave }
    if path.elementsEqual("/v1/cache/refresh".utf8) { return .refresh }
    if path.elementsEqual("/v1/cache/invalidate".utf8) { return .invalidate }
    if path.elementsEqual("/setpeer".utf8) { return .setPeer }
    if path.elementsEqual("/v1/internal/replicate".utf8) { return .replicate }
    return nil
  }

  private static func page(_ path: UnsafeRawBufferPointer) throws(Problem) -> Route {
    if path.elementsEqual("/health".utf8) { return .health }
    if path.elementsEqual("/metrics".utf8) { return .metrics }
    if path.elementsEqual("/health/live".utf8) { return .live }
    if path.elementsEqual("/health/ready".utf8) { return .ready }
    if path.elementsEqual("/v1/cluster/state".utf8) { return .clusterState }
    if path.elementsEqual("/v1/cluster/slots".utf8) { return .clusterSlots }
    if path.elementsEqual("/".utf8) { return .index }
    if path.elementsEqual("/api/cache".utf8) { throw .keyMissing() }
    throw .unknownPath()
  }
}
