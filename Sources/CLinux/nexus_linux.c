#include "nexus_linux.h"
#include <fcntl.h>
#include <malloc.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <unistd.h>

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

pid_t nexus_start_child(const char *program, char *const arguments[], char *const environment[], int output) {
  pid_t parent = getpid();
  pid_t child = fork();
  if (child != 0) return child;
  // From here on only what is safe after a fork.
  setpgid(0, 0);
  prctl(PR_SET_PDEATHSIG, SIGTERM);
  if (getppid() != parent) _exit(127);
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, NULL);
  signal(SIGPIPE, SIG_DFL);
  int nothing = open("/dev/null", O_RDONLY | O_CLOEXEC);
  if (nothing < 0 || dup2(nothing, 0) < 0 || dup2(output, 1) < 0 || dup2(output, 2) < 0) _exit(127);
  execve(program, arguments, environment);
  _exit(127);
}
