/// Milliseconds since the Unix epoch. Time is an argument in every core: nothing below the shells reads a clock.
public typealias UnixMilliseconds = Int64
