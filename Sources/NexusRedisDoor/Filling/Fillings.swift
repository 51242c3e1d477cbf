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
