import NexusModel

extension MetricsPage {
  func writeEvents(readers: UInt64, missed: UInt64, _ out: inout OutputBuffer) {
    out.head(of: .eventsTotal)
    for topic in EventBus.Topic.allCases {
      out.sample(.eventsTotal, "type=\"\(topic.name)\"", "\(node.events.count(of: topic))")
    }
    out.metric(.eventReaders, readers)
    out.metric(.eventsMissed, missed)
  }
}
