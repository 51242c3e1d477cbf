import NexusModel

extension MetricsPage {
  func writeHotKeys(_ out: inout OutputBuffer) {
    out.metric(.hotCopies, total.hotCopies.value)
    out.metric(.hotBytes, total.hotBytes.value)
    out.metric(.hotHits, total.hotHits.value)
    out.metric(.hotFetches, total.hotFetches.value)
    out.metric(.hotInvalidations, total.hotInvalidations.value)
  }
}
