// libpq: PostgreSQL's client library.
#pragma once
#include <stdint.h>
#if __has_include(<libpq-fe.h>)
#include <libpq-fe.h>
#else
// Where Debian has it.
#include <postgresql/libpq-fe.h>
#endif

/// How many bytes have arrived on this TCP connection since it began, as the kernel counts them; -1 where it does not.
int64_t nexus_bytes_received(int socket);

/// Has the library keep the server's notices to itself, which it would write to the standard error.
void nexus_postgres_silence(PGconn *connection);
