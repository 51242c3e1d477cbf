import Glibc
import NexusService

/// Each client needs a file descriptor; systems often start processes with 1,024.
enum DescriptorLimit {
  /// Beside clients: epoll sets, listening sockets, libraries.
  private static let spare = 128

  static func raise(forClients clients: Int, _ log: any Log) {
    var limit = rlimit()
    let resource = __rlimit_resource_t(RLIMIT_NOFILE.rawValue)
    guard getrlimit(resource, &limit) == 0 else { return }
    let wanted = rlim_t(clients + spare)
    guard limit.rlim_cur < wanted else { return }
    limit.rlim_cur = min(wanted, limit.rlim_max)
    if setrlimit(resource, &limit) != 0 || limit.rlim_cur < wanted {
      log.warning(
        "this process may open fewer files than max-clients needs: raise the limit (ulimit -n) or lower max-clients",
        ("max-clients", String(clients)), ("files", String(limit.rlim_cur)))
    }
  }
}
