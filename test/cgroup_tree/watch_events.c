/*
 * Watches a file with inotify(7) and says "event MASK" for each event, after "watching"; ends with its
 * standard input.
 */
#include <poll.h>
#include <stdio.h>
#include <sys/inotify.h>
#include <unistd.h>

int main(int argc, char **argv) {
  char buffer[4096] __attribute__((aligned(8)));
  int fd = inotify_init1(0);
  struct pollfd both[] = {{.fd = fd, .events = POLLIN}, {.fd = 0, .events = POLLIN}};
  if (argc < 2 || inotify_add_watch(fd, argv[1], IN_ALL_EVENTS) < 0) return 2;
  setvbuf(stdout, NULL, _IOLBF, 0);
  printf("watching\n");
  while (poll(both, 2, -1) > 0 && !both[1].revents) {
    ssize_t length = read(fd, buffer, sizeof buffer), at = 0;
    while (at < length) {
      struct inotify_event *event = (struct inotify_event *)(buffer + at);
      printf("event %x\n", event->mask);
      at += sizeof *event + event->len;
    }
  }
  return 0;
}
