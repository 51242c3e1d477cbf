// Linux calls that the Glibc module map does not show.
#pragma once
#include <pthread.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/types.h>

// Accepts without blocking, close-on-exec; fills in the peer's address. Returns the descriptor or -1 with errno.
int nexus_accept4(int descriptor, struct sockaddr_storage *peer, socklen_t *peer_length);

// Has the allocator give large blocks back to the system when they are freed, instead of keeping more and more of them:
// glibc raises its thresholds with every large block it sees, up to 32 MiB. For the whole process.
void nexus_give_back_large_blocks(void);

// Names the calling thread as `top -H` and `perf` show it (at most 15 bytes).
void nexus_name_thread(const char *name);

// Cores this process may run on (its affinity mask), at least 1.
int nexus_usable_cores(void);

// Starts a program whose output and errors go to a descriptor, with nothing to read. It is in a process group of its
// own (a terminal's Ctrl-C does not reach it), has no signal blocked, and gets SIGTERM when the calling thread ends,
// however it ends. Both lists end with NULL. Returns the process or -1 with errno; a program that cannot be executed
// ends with status 127. For a process with one thread.
pid_t nexus_start_child(const char *program, char *const arguments[], char *const environment[], int output);
