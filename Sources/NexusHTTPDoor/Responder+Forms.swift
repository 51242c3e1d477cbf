import NexusModel
import NexusService

// Requests for keys with fields of a form and plain replies: `GET /api/get?key=K`, `POST /api/set`.

extension Responder {
  func formRead(_ head: RequestHead, _ namespace: NamespaceNumber) throws(Problem) -> KeyRequest {
    guard let text = head.key, !text.isEmpty else {
      throw .badForm("The query has no key: write /api/get?key=KEY.")
    }
    var request = KeyRequest(.read, node.store.key(try decode(text, "key"), in: namespace))
    request.form = .plain
    return request
  }

  /// - Parameter namespace: where the form names none.
  func formWrite(
    _ head: RequestHead, _ body: UnsafeMutableRawBufferPointer, _ namespace: NamespaceNumber
  ) throws(Problem) -> KeyRequest {
    if head.key != nil { throw .badForm("The key belongs into the form, beside value: key=KEY&value=VALUE.") }
    let fields = try FormFields(body)
    guard let key = fields.key, !key.isEmpty, let value = fields.value else {
      throw .badForm(
        "The form needs the fields key and value: key=KEY&value=VALUE, sent as application/x-www-form-urlencoded.")
    }
    let limit = node.settings.maxValueBytes
    if value.count > limit || key.count > limit { throw .valueTooLarge(limitBytes: limit) }
    var namespace = namespace
    if let name = fields.group { namespace = try group(named: name) }
    var request = KeyRequest(.write, node.store.key(key, in: namespace))
    request.form = .plain
    request.value = value
    request.acknowledgement = try acknowledgement(head)
    if let expire = fields.expire {
      guard let life = Seconds.parse(expire) else {
        throw .badForm("expire is not a number of seconds from 0 (the namespace's default) to \(Seconds.longest).")
      }
      // As caches of this kind have it: 0 does not say "for ever" but nothing.
      request.life = life == .unlimited ? .namespaceDefault : life
    }
    if let hot = fields.hot { request.isHot = try Self.truth(hot) }
    return request
  }

  private static func truth(_ text: UnsafeRawBufferPointer) throws(Problem) -> Bool {
    switch String(decoding: text.prefix(8), as: UTF8.self).lowercased() {
    case "true", "1": true
    case "false", "0": false
    default: throw .badForm("hot is neither true nor false.")
    }
  }

  /// The namespace that the head names, as `group` or as other requests do; else the one of the setting.
  func group(_ head: RequestHead) throws(Problem) -> NamespaceNumber {
    let accepted: RequestHead.Parameters = [.key, .group, .namespace, .ack]
    if !head.parameters.isSubset(of: accepted) { throw .unknownParameter(accepted) }
    if let group = head.group { return try self.group(named: try decode(group, "group")) }
    guard var name = head.namespace else { return NamespaceName.number(of: node.settings.formGroup) }
    if head.namespaceIsEncoded { name = try decode(name, "namespace") }
    return try group(named: name)
  }

  private func group(named name: UnsafeRawBufferPointer) throws(Problem) -> NamespaceNumber {
    guard let number = keyspace.namespace(named: name) else { throw .unknownNamespace(name, node.store) }
    return number
  }
}

extension Problem {
  static func badForm(_ sentence: String) -> Problem { Problem(status: 400, code: "bad_form", message: sentence) }
}
