#include "nexus_postgres.h"

#include <linux/tcp.h>
#include <netinet/in.h>
#include <stddef.h>
#include <sys/socket.h>

int64_t nexus_bytes_received(int socket) {
  struct tcp_info info;
  socklen_t length = sizeof info;
  if (getsockopt(socket, IPPROTO_TCP, TCP_INFO, &info, &length) != 0) return -1;
  if (length < offsetof(struct tcp_info, tcpi_bytes_received) + sizeof info.tcpi_bytes_received) return -1;
  return (int64_t)info.tcpi_bytes_received;
}

static void ignore(void *context, const PGresult *notice) {
  (void)context;
  (void)notice;
}

void nexus_postgres_silence(PGconn *connection) { PQsetNoticeReceiver(connection, ignore, NULL); }
