#include "nexus_linux.h"
#include <malloc.h>
#include <sched.h>

int nexus_accept4(int descriptor, struct sockaddr_storage *peer, socklen_t *peer_length) {
  *peer_length = sizeof *peer;
  return accept4(descriptor, (struct sockaddr *)peer, peer_length, SOCK_NONBLOCK | SOCK_CLOEXEC);
}

void nexus_name_thread(const char *name) { pthread_setname_np(pthread_self(), name); }

int nexus_usable_cores(void) {
  cpu_set_t set;
  if (sched_getaffinity(0, sizeof set, &set) != 0) return 1;
  int count = CPU_COUNT(&set);
  return count > 0 ? count : 1;
}

void nexus_give_back_large_blocks(void) {
  mallopt(M_MMAP_THRESHOLD, 256 * 1024);
  mallopt(M_TRIM_THRESHOLD, 1024 * 1024);
}
