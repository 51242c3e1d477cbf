import NexusModel
import NexusRESP
import NexusService
import NexusStore

/// The handlers of FILL.*; `CommandTable.fillingCommands` declares them.
enum Fillings {}

extension Fillings {
  private static func requireOrigin(_ call: inout Call) -> FillSource? {
    if let source = call.engine.filler.source(of: call.namespace) { return source }
    let name = call.store.settings(of: call.namespace)?.name ?? "\(call.namespace)"
    call.reply(error: "ERR the namespace '\(name)' has no origin to load from; give it one with origin=URL")
    return nil
  }

  static func refresh(_ call: inout Call) {
    guard requireOrigin(&call) != nil else { return }
    let filler = call.engine.node.fillers[call.engine.loop.index]
    var begun = 0
    call.forEachKey(from: 1) { call, store, key in
      let taken = store.lock(key, as: call.worker)
      call.engine.filler.invalidateAbsence(key)
      if filler.refresh(key, store.find(key, now: call.now, touch: false)) { begun += 1 }
      store.unlock(key, taken)
    }
    call.reply(integer: begun)
  }

  /// Of what is executed on this node; the others do the same with theirs.
  static func purge(_ call: inout Call) {
    let prefixes = (1..<call.count).map { Array(call[$0]) }
    call.reply(
      integer: Purge(call.engine.node, as: call.worker).keys(
        beginningWith: prefixes, in: call.namespace, now: call.now))
  }

  /// Adds to the tags that there are.
  static func tag(_ call: inout Call) {
    let key = call.key(1)
    let store = call.store
    let taken = store.lock(key, as: call.worker)
    defer { store.unlock(key, taken) }
    guard let entry = store.find(key, now: call.now, touch: false) else { return call.reply(integer: 0) }
    var tags = entry.tags
    for index in 2..<call.count where !tags.insert(TagList.hash(of: call[index])) {
      return call.reply(
        error: "ERR an entry carries at most \(TagList.most) tags, and this one would have more; nothing was changed")
    }
    if tags != entry.tags, store.setFields(key, entry, tags: tags) == nil {
      return call.reply(error: Engine.outOfMemory)
    }
    call.reply(integer: 1)
  }

  /// As `purge`. What is being loaded meanwhile has no tags.
  static func purgeTag(_ call: inout Call) {
    let tags = (1..<call.count).map { TagList.hash(of: call[$0]) }
    call.reply(
      integer: Purge(call.engine.node, as: call.worker).entries(of: call.namespace, now: call.now) { entry in
        let carried = entry.tags
        return !carried.isEmpty && tags.contains { carried.contains($0) }
      })
  }

  static func info(_ call: inout Call) {
    guard let source = requireOrigin(&call) else { return }
    let (rules, figures) = (source.rules, source.origin.figures)
    let fields: [(String, String)] = [
      ("origin", source.origin.name),
      ("fresh_for_ms", "\(rules.freshFor)"), ("stale_while_revalidate_ms", "\(rules.staleWhileRevalidate)"),
      ("stale_if_error_ms", "\(rules.staleIfError)"), ("absent_for_ms", "\(rules.absentFor)"),
      ("early_refresh", "\(rules.earlyRefresh)"), ("timeout_ms", "\(source.timeoutMilliseconds)"),
      ("breaker", figures.breaker.rawValue), ("running", "\(figures.running)"), ("waiting", "\(figures.waiting)"),
      ("loads", "\(source.loads.load(ordering: .relaxed))"),
      ("refreshes", "\(source.refreshes.load(ordering: .relaxed))"),
      ("joined", "\(source.joins.load(ordering: .relaxed))"),
      ("failures", "\(source.failures.load(ordering: .relaxed))"),
      ("stale_answers", "\(source.staleAnswers.load(ordering: .relaxed))"),
      ("absent_answers", "\(source.absentAnswers.load(ordering: .relaxed))"),
      ("guarded_answers", "\(source.guardedAnswers.load(ordering: .relaxed))"),
      ("load_ms_mean", "\(source.loadMilliseconds)"),
    ]
    call.reply(mapOf: fields.count)
    for (name, value) in fields {
      call.reply(bulk: name)
      call.reply(bulk: value)
    }
  }
}
