import NexusModel

extension MetricsPage {
  func writeFilling(_ out: inout OutputBuffer) {
    let sources = node.filler.sources
    func family(_ metric: Metric, _ value: (FillSource, OriginFigures) -> String) {
      out.head(of: metric)
      for (number, source) in sources {
        let name = node.store.settings(of: number)?.name ?? "\(number)"
        out.sample(metric, "namespace=\"\(escaped(name))\"", value(source, source.origin.figures))
      }
    }
    family(.originLoads) { source, _ in "\(source.loads.load(ordering: .relaxed))" }
    family(.originRefreshes) { source, _ in "\(source.refreshes.load(ordering: .relaxed))" }
    family(.originFailures) { source, _ in "\(source.failures.load(ordering: .relaxed))" }
    family(.originLoadTime) { source, _ in "\(source.loadMilliseconds / 1000)" }
    family(.originBreakerOpen) { $1.breaker == .closed ? "0" : "1" }
    family(.originRunning) { "\($1.running)" }
    family(.originWaiting) { "\($1.waiting)" }
    family(.staleAnswers) { source, _ in "\(source.staleAnswers.load(ordering: .relaxed))" }
    family(.absentAnswers) { source, _ in "\(source.absentAnswers.load(ordering: .relaxed))" }
    family(.guardedAnswers) { source, _ in "\(source.guardedAnswers.load(ordering: .relaxed))" }
  }
}
