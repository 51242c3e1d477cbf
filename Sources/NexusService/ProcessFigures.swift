import NexusModel

/// The port through which reports (INFO, the metrics page) learn what the operating system knows of this process.
public protocol ProcessFigures: Sendable {
  /// Reads anew; costs some tens of microseconds. Figures that cannot be had are 0.
  func read() -> ProcessReading
}

public struct ProcessReading: Sendable, Equatable {
  public var residentBytes: Int = 0
  public var virtualBytes: Int = 0
  /// CPU time of all threads since the start of the process.
  public var cpuUserSeconds: Double = 0
  public var cpuSystemSeconds: Double = 0
  /// The same of the thread that asks.
  public var threadUserSeconds: Double = 0
  public var threadSystemSeconds: Double = 0
  public var threads: Int = 0
  public var openDescriptors: Int = 0
  /// The soft limit on `openDescriptors`.
  public var maxDescriptors: Int = 0
  /// The whole machine's memory.
  public var machineBytes: Int = 0
  /// Seconds since the Unix epoch.
  public var startTimeSeconds: Double = 0

  public init() {}
}

/// Knows nothing: for tests and for programs that embed a node.
public struct NoProcessFigures: ProcessFigures {
  public init() {}
  public func read() -> ProcessReading { ProcessReading() }
}
