import Testing

/// Real nodes, as an operator starts them, that are one cache. One story at a time: each has processors enough then.
@Suite("A cluster of processes", .serialized) enum ClusterTests {}
