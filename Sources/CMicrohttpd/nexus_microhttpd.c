#include "nexus_microhttpd.h"
#include <string.h>

// Leaves percent-encoding alone: the library's own decoding accepts malformed sequences and loses NUL bytes.
static size_t keep_encoding(void *context, struct MHD_Connection *connection, char *text) {
  (void)context;
  (void)connection;
  return strlen(text);
}

struct MHD_Daemon *nexus_mhd_start(const struct nexus_mhd_options *options) {
  return MHD_start_daemon(
      MHD_USE_EPOLL | MHD_USE_TURBO | (options->suspends ? MHD_ALLOW_SUSPEND_RESUME : 0), 0, NULL, NULL,
      options->handle, options->context,
      MHD_OPTION_LISTEN_SOCKET, options->listener,
      MHD_OPTION_NOTIFY_COMPLETED, options->completed, options->context,
      MHD_OPTION_NOTIFY_CONNECTION, options->connection, options->context,
      MHD_OPTION_UNESCAPE_CALLBACK, keep_encoding, NULL,
      MHD_OPTION_CONNECTION_MEMORY_LIMIT, options->connection_memory_bytes,
      MHD_OPTION_CONNECTION_LIMIT, options->connection_limit,
      MHD_OPTION_CONNECTION_TIMEOUT, options->idle_timeout_seconds,
      MHD_OPTION_STRICT_FOR_CLIENT, 1,
      MHD_OPTION_SIGPIPE_HANDLED_BY_APP, 0,
      MHD_OPTION_END);
}

int nexus_mhd_epoll_descriptor(struct MHD_Daemon *daemon) {
  const union MHD_DaemonInfo *info = MHD_get_daemon_info(daemon, MHD_DAEMON_INFO_EPOLL_FD);
  return info ? info->epoll_fd : -1;
}

void nexus_mhd_each_value(struct MHD_Connection *connection, MHD_KeyValueIteratorN visit, void *context) {
  MHD_get_connection_values_n(connection, MHD_HEADER_KIND | MHD_GET_ARGUMENT_KIND, visit, context);
}
