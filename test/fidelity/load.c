/*
 * Known loads, one at a time. Each says "ready" when it could begin, waits for a line on its
 * standard input, makes its load, says "done", and stays as it is until its input ends.
 *
 *   load spin THREADS           threads that never rest
 *   load block COUNT            processes that wait for a child of theirs and cannot be interrupted
 *   load sleep THREADS MS       threads that sleep, but for one that wakes so often (0: never)
 *   load anon MIB               anonymous memory, every page written
 *   load shared MIB             shared anonymous memory, every page written
 *   load file PATH MIB          a file, written to the disk and then read: page cache, clean
 *   load write|read PATH MIB    past the page cache, in pieces of 64 KiB
 *   load wait|ewait PATH TRIGGER EVENTS
 *                               arms a pressure trigger and says "event" for each that poll (epoll) tells;
 *                               what is refused is told as the errno's number
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <unistd.h>

#define PIECE (64 << 10)

static void say(const char *word) {
  puts(word);
  fflush(stdout);
}

static void fail(const char *what) {
  perror(what);
  exit(1);
}

static void await_line(void) {
  char byte;
  do
    if (read(0, &byte, 1) != 1) exit(0);
  while (byte != '\n');
}

static void *spin(void *none) {
  for (volatile unsigned long count = 0;; count++) {
  }
  return none;
}

static void *rest(void *ms) {
  for (;;)
    if (ms) usleep((long)ms * 1000);
    else pause();
  return NULL;
}

/* A parent is in state D until the child of vfork(2) has ended, and one that waits does not. */
static void block(int count) {
  for (; count > 0; count--) {
    int told[2];
    char byte;
    if (pipe(told)) fail("pipe");
    if (fork() == 0) {
      prctl(PR_SET_PDEATHSIG, SIGKILL);
      if (vfork() == 0) {
        if (write(told[1], "", 1) == 1)
          for (;;) pause();
      }
      _exit(0);
    }
    if (read(told[0], &byte, 1) != 1) fail("fork");
    close(told[0]);
    close(told[1]);
  }
}

static void touch(size_t bytes, int flags) {
  char *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_ANONYMOUS | flags, -1, 0);
  if (memory == MAP_FAILED) fail("mmap");
  for (size_t at = 0; at < bytes; at += 4096) memory[at] = 1;
}

static void transfer(const char *path, size_t bytes, int flags) {
  int fd = open(path, flags, 0600);
  void *piece;
  if (fd < 0 || posix_memalign(&piece, 4096, PIECE)) fail(path);
  memset(piece, 1, PIECE);
  for (size_t done = 0; done < bytes; done += PIECE) {
    ssize_t count = (flags & O_ACCMODE) == O_RDONLY ? read(fd, piece, PIECE) : write(fd, piece, PIECE);
    if (count != PIECE) fail(path);
  }
  if ((flags & O_ACCMODE) != O_RDONLY && fsync(fd)) fail(path);
  close(fd);
}

static void wait_events(const char *path, const char *trigger, int events, int by_epoll) {
  int fd = open(path, O_RDWR | O_NONBLOCK);
  if (fd < 0) fail(path);
  if (write(fd, trigger, strlen(trigger) + 1) < 0) {
    printf("%d\n", errno);
    fflush(stdout);
    return;
  }
  if (write(fd, trigger, strlen(trigger) + 1) >= 0 || errno != EBUSY) say("a second trigger was taken");
  say("armed");
  struct epoll_event wanted = {.events = EPOLLPRI}, found;
  int poller = epoll_create1(0);
  if (by_epoll && epoll_ctl(poller, EPOLL_CTL_ADD, fd, &wanted)) fail("epoll_ctl");
  struct pollfd waiting = {.fd = fd, .events = POLLPRI};
  while (events-- > 0) {
    int count = by_epoll ? epoll_wait(poller, &found, 1, -1) : poll(&waiting, 1, -1);
    int what = by_epoll ? (int)found.events : waiting.revents;
    if (count != 1) fail("poll");
    say(what & POLLERR ? "error" : "event");
  }
}

int main(int argc, char **argv) {
  if (argc < 3) return 2;
  /* What entered the container for us waits outside, and is what the test kills. */
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  const char *kind = argv[1];
  size_t mib = argc > 3 ? strtoul(argv[3], NULL, 10) << 20 : 0;
  say("ready");
  await_line();
  pthread_t thread;
  if (!strcmp(kind, "sleep") && argc > 3) {
    pthread_attr_t small;
    pthread_attr_init(&small);
    pthread_attr_setstacksize(&small, 64 << 10);
    for (int count = atoi(argv[2]) - 2; count > 0; count--) pthread_create(&thread, &small, rest, NULL);
    pthread_create(&thread, &small, rest, (void *)atol(argv[3]));
  } else if (!strcmp(kind, "spin")) {
    for (int count = atoi(argv[2]); count > 0; count--) pthread_create(&thread, NULL, spin, NULL);
  } else if (!strcmp(kind, "anon")) touch(strtoul(argv[2], NULL, 10) << 20, MAP_PRIVATE);
  else if (!strcmp(kind, "shared")) touch(strtoul(argv[2], NULL, 10) << 20, MAP_SHARED);
  else if (!strcmp(kind, "block")) block(atoi(argv[2]));
  else if (!strcmp(kind, "file")) {
    transfer(argv[2], mib, O_WRONLY | O_CREAT);
    transfer(argv[2], mib, O_RDONLY);
  } else if (!strcmp(kind, "write")) transfer(argv[2], mib, O_WRONLY | O_DIRECT);
  else if (!strcmp(kind, "read")) transfer(argv[2], mib, O_RDONLY | O_DIRECT);
  else if (argc > 4) wait_events(argv[2], argv[3], atoi(argv[4]), kind[0] == 'e');
  else return 2;
  say("done");
  await_line();
  return 0;
}
