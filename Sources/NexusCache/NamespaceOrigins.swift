import Dispatch
import NexusModel
import NexusOrigins
import NexusService
import NexusStore

/// The origins of a node's namespaces, as its settings name them.
final class NamespaceOrigins: @unchecked Sendable {
  private struct Made {
    /// Nil for a closure, which no setting names.
    var text: String?
    var origin: any Origin
  }

  private let node: Node
  private let made = Guarded<[NamespaceNumber: Made]>([:])
  /// Making an origin may take as long as its timeout: no event loop waits for it.
  private let queue = DispatchQueue(label: "origins")

  init(_ node: Node) { self.node = node }

  /// Before the loops run.
  func begin() throws(StartFailure) {
    for number in node.store.configuredNumbers {
      guard let settings = node.store.settings(of: number), !settings.origin.isEmpty else { continue }
      do throws(OriginConfigurationError) { try apply(settings, to: number) } catch {
        throw StartFailure("the namespace '\(settings.name)' cannot be filled: \(error)")
      }
      node.mayFill = true
    }
  }

  /// Fills the namespace by a closure, while the node runs.
  /// - Returns: false where the namespace has an origin already, which stays.
  func setClosure(_ origin: ClosureOrigin, timeoutMilliseconds: Int, of number: NamespaceNumber) -> Bool {
    guard let settings = node.store.settings(of: number) else { return false }
    let isFirst = made.withLock { made in
      guard made[number] == nil, settings.origin.isEmpty else { return false }
      made[number] = Made(text: nil, origin: origin)
      return true
    }
    guard isFirst else { return false }
    node.filler.setSource(
      FillSource(
        origin, FreshnessRules(settings), jitter: settings.ttlJitter, timeoutMilliseconds: timeoutMilliseconds),
      of: number)
    return true
  }

  /// Settings have changed while the node runs: what cannot be done is logged, and what was there stays.
  func settingsChanged() { queue.async { [self] in reconsider() } }

  private func reconsider() {
    for number in node.store.configuredNumbers {
      guard let settings = node.store.settings(of: number) else { continue }
      guard node.mayFill || settings.origin.isEmpty else {
        node.log.error(
          "a node that was started without any origin takes none while it runs: restart it with this setting",
          ("namespace", settings.name))
        continue
      }
      do throws(OriginConfigurationError) { try apply(settings, to: number) } catch {
        node.log.error("an origin stays as it was", ("namespace", settings.name), ("reason", "\(error)"))
      }
    }
  }

  private func apply(_ settings: NamespaceSettings, to number: NamespaceNumber) throws(OriginConfigurationError) {
    let known = made.withLock { $0[number] }
    if let known, known.text == nil { return renew(known.origin, settings, number) }
    if settings.origin.isEmpty {
      guard let known else { return }
      node.filler.setSource(nil, of: number)
      made.withLock { $0[number] = nil }
      node.filler.setGuard(nil, of: number)
      return known.origin.stop()
    }
    let origin: any Origin
    if let known, known.text == settings.origin {
      origin = known.origin
    } else {
      let configuration = try OriginConfiguration(settings.origin)
      // A listing that cannot be is refused here; one that fails later leaves what was there.
      let keyGuard = try Origins.keyGuard(configuration)
      origin = try Origins.make(configuration, log: node.log)
      made.withLock { $0[number] = Made(text: settings.origin, origin: origin) }
      node.filler.setGuard(keyGuard, of: number)
      if let keyGuard { listAgain(keyGuard, configuration, settings.origin, number) }
    }
    let rules = FreshnessRules(settings)
    if known == nil || origin !== known?.origin || node.filler.source(of: number)?.rules != rules {
      let timeout = (try? OriginConfiguration(settings.origin).limits.timeoutMilliseconds) ?? 2000
      node.filler.setSource(
        FillSource(origin, rules, jitter: settings.ttlJitter, timeoutMilliseconds: timeout), of: number)
    }
    if let known, known.origin !== origin { known.origin.stop() }
  }

  private func listAgain(
    _ former: CuckooGuard, _ configuration: OriginConfiguration, _ text: String, _ number: NamespaceNumber
  ) {
    queue.asyncAfter(deadline: .now() + .milliseconds(configuration.keysEveryMilliseconds)) { [weak self] in
      guard let self, made.withLock({ $0[number]?.text }) == text else { return }
      var next = former
      do throws(OriginConfigurationError) {
        if let made = try Origins.keyGuard(configuration, replacing: former) {
          next = made
          node.filler.setGuard(made, of: number)
        }
      } catch { node.log.warning("the keys of an origin are those of an earlier listing", ("reason", "\(error)")) }
      listAgain(next, configuration, text, number)
    }
  }

  /// A closure stays; its rules are what the settings say now.
  private func renew(_ origin: any Origin, _ settings: NamespaceSettings, _ number: NamespaceNumber) {
    guard let source = node.filler.source(of: number), source.rules != FreshnessRules(settings) else { return }
    node.filler.setSource(
      FillSource(
        origin, FreshnessRules(settings), jitter: settings.ttlJitter,
        timeoutMilliseconds: source.timeoutMilliseconds), of: number)
  }

  /// Once no loop runs: writes that wait behind are made first.
  func stop() {
    let all = made.withLock { made in
      defer { made = [:] }
      return made.map { ($0.key, $0.value.origin) }
    }
    for (number, origin) in all {
      node.filler.setSource(nil, of: number)
      node.filler.setGuard(nil, of: number)
      origin.stop()
    }
  }
}

extension FreshnessRules {
  init(_ settings: NamespaceSettings) {
    self.init()
    freshFor = settings.defaultTTLMilliseconds
    staleWhileRevalidate = settings.staleWhileRevalidateMilliseconds
    staleIfError = settings.staleIfErrorMilliseconds
    absentFor = settings.absentMilliseconds
    earlyRefresh = settings.earlyRefresh
  }
}
