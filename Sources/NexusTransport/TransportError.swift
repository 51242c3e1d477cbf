import Glibc

/// Why the transport could not start. `description` is one line for the operator: what, where, why, what to do.
public enum TransportError: Error, Equatable, CustomStringConvertible {
  case cannotListen(on: String, reason: String, advice: String)
  case invalidAddress(String, reason: String)
  case unknownHost(String, reason: String)
  case system(String, Int32)

  public var description: String {
    switch self {
    case .cannotListen(let address, let reason, let advice): "cannot listen on \(address): \(reason); \(advice)"
    case .invalidAddress(let address, let reason):
      "\"\(address)\" is not an address to listen on: \(reason); "
        + "give an IPv4 or IPv6 address of this machine, a host name, or * for all"
    case .unknownHost(let host, let reason):
      "\"\(host)\" leads nowhere: \(reason); give an IPv4 or IPv6 address or a host name that this machine can look up"
    case .system(let what, let code): "\(what): \(systemErrorText(code))"
    }
  }
}

/// The system's words for an `errno` value, in lower case so that they continue a sentence.
func systemErrorText(_ code: Int32) -> String {
  let text = String(cString: strerror(code))
  return text.prefix(1).lowercased() + text.dropFirst()
}
