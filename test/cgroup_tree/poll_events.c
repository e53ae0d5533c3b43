/*
 * Waits for changes of a file of events with poll(2), as those do that follow a cgroup's life: says
 * "poll E" for what poll returns, after each line on standard input: "poll MS", "read", "again" (opens,
 * polls and closes 140 times).
 */
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int polled(int fd, int ms) {
  struct pollfd wanted = {.fd = fd, .events = POLLPRI};
  return poll(&wanted, 1, ms) > 0 ? wanted.revents : 0;
}

int main(int argc, char **argv) {
  char line[64], text[4096];
  int fd = open(argv[argc - 1], O_RDONLY), round;
  if (fd < 0) return 2;
  setvbuf(stdout, NULL, _IOLBF, 0);
  while (fgets(line, sizeof line, stdin)) {
    if (!strncmp(line, "poll ", 5)) {
      printf("poll %d\n", polled(fd, atoi(line + 5)));
    } else if (!strcmp(line, "read\n")) {
      ssize_t length = pread(fd, text, sizeof text - 1, 0);
      text[length < 0 ? 0 : length] = 0;
      printf("read %s\n", length < 0 ? "failed" : strstr(text, "populated 1") ? "populated" : "empty");
    } else {
      for (round = 0; round < 140; round++) {
        int other = open(argv[argc - 1], O_RDONLY);
        polled(other, 0);
        close(other);
      }
      printf("again\n");
    }
  }
  return 0;
}
