#include "nexus_linux.h"
#include <sys/socket.h>

int nexus_accept4(int descriptor) { return accept4(descriptor, 0, 0, SOCK_NONBLOCK | SOCK_CLOEXEC); }
