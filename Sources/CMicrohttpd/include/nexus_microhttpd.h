// libmicrohttpd, with shims for what is variadic.
#pragma once
#include <microhttpd.h>
#include <stddef.h>
#include <stdint.h>

/// What a daemon is started with. Every callback gets `context` first.
struct nexus_mhd_options {
  /// A bound, listening, non-blocking TCP socket; the daemon owns it once started.
  int listener;
  void *context;
  MHD_AccessHandlerCallback handle;
  MHD_RequestCompletedCallback completed;
  MHD_NotifyConnectionCallback connection;
  size_t connection_memory_bytes;
  unsigned int connection_limit;
  unsigned int idle_timeout_seconds;
  /// Not 0: connections may be suspended, for which the daemon has one more descriptor.
  int suspends;
};

/// A daemon without a thread, driven by MHD_run through its epoll descriptor. URLs are handed on undecoded.
/// NULL on failure; the listener is then still the caller's.
struct MHD_Daemon *nexus_mhd_start(const struct nexus_mhd_options *options);

/// The daemon's epoll descriptor, or -1.
int nexus_mhd_epoll_descriptor(struct MHD_Daemon *daemon);

/// Every header and every query parameter of the request, in one pass.
void nexus_mhd_each_value(struct MHD_Connection *connection, MHD_KeyValueIteratorN visit, void *context);
