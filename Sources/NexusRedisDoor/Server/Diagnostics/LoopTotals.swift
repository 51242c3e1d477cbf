import NexusService

/// The loops' counters added up, as far as INFO reports them.
struct LoopTotals: Sendable {
  var commands: UInt64 = 0
  var keyspaceHits: UInt64 = 0
  var keyspaceMisses: UInt64 = 0
  var connectionsAccepted: UInt64 = 0
  var connectionsRefused: UInt64 = 0
  var bytesIn: UInt64 = 0
  var bytesOut: UInt64 = 0
  var errorReplies: UInt64 = 0
  var protocolErrors: UInt64 = 0
  var outputLimitDisconnections: UInt64 = 0
  var httpRequests: UInt64 = 0
  var connectionsNow: UInt64 = 0
  var httpConnectionsNow: UInt64 = 0

  init() {}

  init(_ node: Node) {
    for index in 0..<node.loopCount {
      let loop = node.statistics + index
      commands &+= loop.pointee.commands.value
      keyspaceHits &+= loop.pointee.keyspaceHits.value
      keyspaceMisses &+= loop.pointee.keyspaceMisses.value
      connectionsAccepted &+= loop.pointee.connectionsAccepted.value
      connectionsRefused &+= loop.pointee.connectionsRefused.value
      bytesIn &+= loop.pointee.bytesIn.value
      bytesOut &+= loop.pointee.bytesOut.value
      errorReplies &+= loop.pointee.errorReplies.value
      protocolErrors &+= loop.pointee.protocolErrors.value
      outputLimitDisconnections &+= loop.pointee.outputLimitDisconnections.value
      httpRequests &+= loop.pointee.httpRequests.value
      connectionsNow &+= loop.pointee.connectionsNow.value
      httpConnectionsNow &+= loop.pointee.httpConnectionsNow.value
    }
  }

  /// What was counted since; what counts the present moment stays as it is.
  func since(_ earlier: LoopTotals) -> LoopTotals {
    var result = self
    result.commands &-= earlier.commands
    result.keyspaceHits &-= earlier.keyspaceHits
    result.keyspaceMisses &-= earlier.keyspaceMisses
    result.connectionsAccepted &-= earlier.connectionsAccepted
    result.connectionsRefused &-= earlier.connectionsRefused
    result.bytesIn &-= earlier.bytesIn
    result.bytesOut &-= earlier.bytesOut
    result.errorReplies &-= earlier.errorReplies
    result.protocolErrors &-= earlier.protocolErrors
    result.outputLimitDisconnections &-= earlier.outputLimitDisconnections
    result.httpRequests &-= earlier.httpRequests
    return result
  }
}
