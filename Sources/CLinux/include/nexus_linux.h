// Linux calls that the Glibc module map does not show.
#pragma once
#include <sys/epoll.h>
#include <sys/eventfd.h>

int nexus_accept4(int descriptor);
