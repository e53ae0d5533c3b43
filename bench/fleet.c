/*
 * Fleet: one cheap container (cgroups, pid and cgroup namespace) per line of a file, all alive, and
 * a few tokens that travel round them; who holds a token reads the file once. So every read comes
 * from another container, and the number of readers at once is the number of tokens.
 *
 *   fleet -l LIST [-t TOKENS] [-s SECONDS] [checks]
 *     LIST: per line the directories of the container's cgroups, separated by spaces
 * Prints `ready` when all containers live. Then for each line on stdin: `run FILE` reads for the
 * given time, `pass FILE` once in every container; each prints one JSON line. Ends with its stdin.
 */
#include "measure.h"
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>

#define BUFFER (1 << 18)
#define MAX_CONTAINERS 4096

struct shared {
  uint64_t deadline;
  int64_t left; /* reads until the end of a pass */
  char file[4096];
  struct tally tally[]; /* one per token: its holder alone writes it */
};

static int ring[MAX_CONTAINERS][2];
static char buffer[BUFFER + 1];

static void join_cgroups(char *directories) {
  for (char *save, *at = strtok_r(directories, " \n", &save); at; at = strtok_r(NULL, " \n", &save)) {
    char path[4096];
    snprintf(path, sizeof path, "%s/cgroup.procs", at);
    int fd = open(path, O_WRONLY);
    if (fd < 0 || write(fd, "0", 1) != 1) {
      perror(path);
      _exit(1);
    }
    close(fd);
  }
}

/* The container's pid 1: waits for a token, reads once, hands the token on. */
static void serve(struct shared *shared, const struct checks *checks, int index, int count,
                  int done) {
  unsigned char token;
  double last = 0;
  int in = ring[index][0], out = ring[(index + 1) % count][1];
  while (read(in, &token, 1) == 1) {
    uint64_t start = now_ns();
    if (start >= shared->deadline || __atomic_sub_fetch(&shared->left, 1, __ATOMIC_SEQ_CST) < 0) {
      if (write(done, &token, 1) != 1) break;
      continue;
    }
    struct tally *tally = &shared->tally[token];
    ssize_t length = -1;
    int fd = open(shared->file, O_RDONLY | O_CLOEXEC);
    if (fd >= 0) {
      length = read_whole(fd, buffer, BUFFER);
      close(fd);
    }
    record(tally, now_ns() - start);
    judge(tally, checks, buffer, length, &last);
    if (write(out, &token, 1) != 1) break;
  }
}

static void start_container(char *directories, struct shared *shared, const struct checks *checks,
                            int index, int count, int ready, int done) {
  pid_t pid = fork();
  if (pid != 0) return;
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  join_cgroups(directories);
  if (unshare(CLONE_NEWPID | CLONE_NEWCGROUP) != 0) {
    perror("unshare");
    _exit(1);
  }
  pid_t init = fork();
  if (init == 0) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (write(ready, "r", 1) != 1) _exit(1);
    serve(shared, checks, index, count, done);
    _exit(0);
  }
  waitpid(init, NULL, 0);
  _exit(0);
}

int main(int argc, char **argv) {
  /* Whoever started it may be killed, and the containers with it, that it waits for. */
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  const char *list = NULL;
  int tokens = 1, option;
  double seconds = 1;
  struct checks checks = {0};
  while ((option = getopt(argc, argv, "l:t:s:c:k:n:me")) != -1) {
    switch (option) {
    case 'l': list = optarg; break;
    case 't': tokens = atoi(optarg); break;
    case 's': seconds = atof(optarg); break;
    default:
      if (!take_check(&checks, option, optarg)) return 2;
    }
  }
  FILE *lines = list ? fopen(list, "r") : NULL;
  if (!lines || tokens < 1 || tokens > 255) return 2;
  static char *directories[MAX_CONTAINERS];
  int count = 0;
  size_t capacity = 0;
  while (count < MAX_CONTAINERS && getline(&directories[count], &capacity, lines) > 0) {
    count++;
    capacity = 0;
  }
  struct shared *shared = share(sizeof *shared + sizeof(struct tally) * (size_t)tokens);
  int ready[2], done[2];
  if (count == 0 || pipe(ready) || pipe(done)) return 1;
  for (int i = 0; i < count; i++)
    if (pipe(ring[i])) {
      perror("pipe");
      return 1;
    }
  for (int i = 0; i < count; i++)
    start_container(directories[i], shared, &checks, i, count, ready[1], done[1]);
  char byte;
  for (int i = 0; i < count; i++)
    if (read(ready[0], &byte, 1) != 1) return 1;
  puts("ready");
  fflush(stdout);
  static char line[4096];
  while (fgets(line, sizeof line, stdin)) {
    line[strcspn(line, "\n")] = 0;
    char *file = strchr(line, ' ');
    if (!file) return 2;
    int pass = line[0] == 'p';
    strcpy(shared->file, file + 1);
    memset(shared->tally, 0, sizeof(struct tally) * (size_t)tokens);
    uint64_t start = now_ns();
    shared->deadline = pass ? UINT64_MAX : start + (uint64_t)(seconds * 1e9);
    shared->left = pass ? count : INT64_MAX;
    /* Tokens start evenly spread over the ring. */
    for (int i = 0; i < tokens; i++) {
      unsigned char token = (unsigned char)i;
      if (write(ring[(long)i * count / tokens][1], &token, 1) != 1) return 1;
    }
    for (int i = 0; i < tokens; i++)
      if (read(done[0], &byte, 1) != 1) return 1;
    double took = (double)(now_ns() - start) / 1e9;
    static struct tally all;
    memset(&all, 0, sizeof all);
    for (int i = 0; i < tokens; i++) merge(&all, &shared->tally[i]);
    print_tally(&all, took);
    fflush(stdout);
  }
  return 0;
}
