/*
 * Load: N reader processes read one file for some seconds, each read to the end of file, and every
 * content is checked. Prints one JSON line.
 *
 *   load -f FILE [-r READERS] [-s SECONDS | -o OPS_PER_READER] [-h] [checks]
 *     -h        hold one descriptor per reader and re-read it from 0, instead of open+read+close
 *   checks: -c TEXT (contained)  -k COUNT:TEXT (occurs so often)  -n N (starts with N numbers)
 *           -m (the first number never falls)  -e (may be empty)
 */
#include "measure.h"

#define BUFFER (1 << 18)

struct shared {
  int ready;
  int go;
  uint64_t deadline;
};

static void reader(struct shared *shared, struct tally *tally, const struct checks *checks,
                   const char *file, int held, uint64_t ops) {
  static char buffer[BUFFER + 1];
  double last = 0;
  int fd = -1;
  __atomic_add_fetch(&shared->ready, 1, __ATOMIC_SEQ_CST);
  while (!__atomic_load_n(&shared->go, __ATOMIC_SEQ_CST)) usleep(200);
  for (uint64_t done = 0; ops == 0 || done < ops; done++) {
    uint64_t start = now_ns();
    if (ops == 0 && start >= shared->deadline) break;
    ssize_t length = -1;
    if (fd < 0) fd = open(file, O_RDONLY | O_CLOEXEC);
    if (fd >= 0) {
      length = read_whole(fd, buffer, BUFFER);
      if (!held) {
        close(fd);
        fd = -1;
      }
    }
    record(tally, now_ns() - start);
    judge(tally, checks, buffer, length, &last);
  }
}

int main(int argc, char **argv) {
  const char *file = NULL;
  int readers = 1, held = 0, option;
  double seconds = 1;
  uint64_t ops = 0;
  struct checks checks = {0};
  while ((option = getopt(argc, argv, "f:r:s:o:hc:k:n:me")) != -1) {
    switch (option) {
    case 'f': file = optarg; break;
    case 'r': readers = atoi(optarg); break;
    case 's': seconds = atof(optarg); break;
    case 'o': ops = strtoull(optarg, NULL, 10); break;
    case 'h': held = 1; break;
    default:
      if (!take_check(&checks, option, optarg)) return 2;
    }
  }
  if (!file || readers < 1) return 2;
  struct shared *shared = share(sizeof *shared);
  struct tally *tallies = share(sizeof *tallies * (size_t)readers);
  for (int i = 0; i < readers; i++) {
    pid_t pid = fork();
    if (pid < 0) {
      perror("fork");
      return 1;
    }
    if (pid == 0) {
      reader(shared, &tallies[i], &checks, file, held, ops);
      _exit(0);
    }
  }
  while (__atomic_load_n(&shared->ready, __ATOMIC_SEQ_CST) < readers) usleep(200);
  uint64_t start = now_ns();
  shared->deadline = start + (uint64_t)(seconds * 1e9);
  __atomic_store_n(&shared->go, 1, __ATOMIC_SEQ_CST);
  while (wait(NULL) > 0 || errno == EINTR) {}
  double took = (double)(now_ns() - start) / 1e9;
  static struct tally all;
  for (int i = 0; i < readers; i++) merge(&all, &tallies[i]);
  print_tally(&all, took);
  return 0;
}
