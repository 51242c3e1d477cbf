import Glibc
import NexusService

/// The process's limit of open files, which bounds how many clients it can serve.
enum DescriptorLimit {
  /// What a node needs beside its clients: listening sockets, epoll sets, files, logs.
  static let reserve = 128

  /// Raises the soft limit to what the clients need, as far as the hard limit allows; says so where it does not.
  static func raise(forClients clients: Int, _ log: any Log) {
    var limit = rlimit()
    guard getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) == 0 else { return }
    let needed = rlim_t(clients + reserve)
    guard limit.rlim_cur < needed else { return }
    limit.rlim_cur = min(needed, limit.rlim_max)
    setrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
    guard limit.rlim_cur < needed else { return }
    log.warning(
      "the limit of open files allows fewer clients than configured: raise it (ulimit -n) or lower max-clients",
      ("clients", "\(clients)"), ("open_files", "\(limit.rlim_cur)"), ("needed", "\(needed)"))
  }
}
