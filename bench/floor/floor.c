// A server that parses nothing: it counts bytes, and for every `length` of them answers a constant. What a cache
// costs above this floor is the cache; what it costs below is the kernel's sockets.
//
//   floor PORT LENGTH REPLY
//
// listens on 127.0.0.1:PORT (0: any), prints the port, and answers REPLY (with \r and \n written as such) to every
// LENGTH bytes. One thread, level-triggered epoll, one recv and one send for what has arrived, like the servers
// it is compared with.
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum { receive_capacity = 1 << 18, connections_max = 65536, events_max = 256 };

static char received[receive_capacity];
static unsigned over[connections_max];  // bytes of an unfinished request, by descriptor
static char *owed[connections_max];     // replies that the socket did not take, and how many bytes
static size_t owed_bytes[connections_max];

static void fail(const char *what) {
  perror(what);
  exit(1);
}

static size_t unescape(char *text) {
  char *to = text;
  for (char *from = text; *from; from++) {
    if (*from == '\\' && from[1] == 'r') { *to++ = '\r'; from++; }
    else if (*from == '\\' && from[1] == 'n') { *to++ = '\n'; from++; }
    else *to++ = *from;
  }
  return to - text;
}

static void want(int poll, int descriptor, int change, unsigned events) {
  struct epoll_event event = {.events = events, .data.fd = descriptor};
  if (epoll_ctl(poll, change, descriptor, &event)) fail("epoll_ctl");
}

static void drop(int descriptor) {
  close(descriptor);
  over[descriptor] = 0;
  owed_bytes[descriptor] = 0;
}

// Sends, and keeps what the socket does not take until it is writable.
static void answer(int poll, int descriptor, const char *bytes, size_t count) {
  ssize_t sent = send(descriptor, bytes, count, MSG_NOSIGNAL | MSG_DONTWAIT);
  if (sent < 0 && errno != EAGAIN) return drop(descriptor);
  if (sent < 0) sent = 0;
  if ((size_t)sent == count) return;
  owed[descriptor] = realloc(owed[descriptor], count - sent);
  memcpy(owed[descriptor], bytes + sent, count - sent);
  owed_bytes[descriptor] = count - sent;
  want(poll, descriptor, EPOLL_CTL_MOD, EPOLLOUT);
}

static void send_owed(int poll, int descriptor) {
  ssize_t sent = send(descriptor, owed[descriptor], owed_bytes[descriptor], MSG_NOSIGNAL | MSG_DONTWAIT);
  if (sent < 0 && errno != EAGAIN) return drop(descriptor);
  if (sent <= 0) return;
  owed_bytes[descriptor] -= sent;
  memmove(owed[descriptor], owed[descriptor] + sent, owed_bytes[descriptor]);
  if (!owed_bytes[descriptor]) want(poll, descriptor, EPOLL_CTL_MOD, EPOLLIN);
}

int main(int count, char **arguments) {
  if (count != 4) {
    fprintf(stderr, "usage: floor PORT LENGTH REPLY\n");
    return 2;
  }
  size_t length = atol(arguments[2]), reply_length = unescape(arguments[3]);
  if (length == 0 || reply_length == 0) return 2;
  size_t replies_max = receive_capacity / length + 1;
  char *replies = malloc(replies_max * reply_length);
  for (size_t i = 0; i < replies_max; i++) memcpy(replies + i * reply_length, arguments[3], reply_length);

  int listener = socket(AF_INET, SOCK_STREAM, 0), on = 1;
  setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(atoi(arguments[1]))};
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  if (bind(listener, (void *)&address, size) || listen(listener, 1024)) fail("listen");
  getsockname(listener, (void *)&address, &size);
  printf("%d\n", ntohs(address.sin_port));
  fflush(stdout);

  int poll = epoll_create1(0);
  want(poll, listener, EPOLL_CTL_ADD, EPOLLIN);
  for (struct epoll_event events[events_max];;) {
    int ready = epoll_wait(poll, events, events_max, -1);
    for (int i = 0; i < ready; i++) {
      int descriptor = events[i].data.fd;
      if (descriptor == listener) {
        int fresh = accept4(listener, 0, 0, SOCK_NONBLOCK);
        if (fresh < 0) continue;
        if (fresh >= connections_max) { close(fresh); continue; }
        setsockopt(fresh, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        want(poll, fresh, EPOLL_CTL_ADD, EPOLLIN);
        continue;
      }
      if (owed_bytes[descriptor]) {
        send_owed(poll, descriptor);
        continue;
      }
      ssize_t bytes = recv(descriptor, received, receive_capacity - length, MSG_DONTWAIT);
      if (bytes < 0 && errno == EAGAIN) continue;
      if (bytes <= 0) { drop(descriptor); continue; }
      size_t whole = over[descriptor] + bytes;
      over[descriptor] = whole % length;
      if (whole / length) answer(poll, descriptor, replies, whole / length * reply_length);
    }
  }
}
