/* Starts N processes that share one memory and wait; says "ready" and waits for its input to end. */
#define _GNU_SOURCE
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <unistd.h>

static int waiting(void *unused) {
  (void)unused;
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  while (pause() < 0) continue;
  return 0;
}

int main(int argc, char **argv) {
  int count = argc > 1 ? atoi(argv[1]) : 0, made;
  char *stacks = malloc((size_t)count * 4096);
  for (made = 0; made < count; made++) {
    char *top = stacks + (size_t)(made + 1) * 4096 - 64;
    if (clone(waiting, top, CLONE_VM | SIGCHLD, NULL) < 0) break;
  }
  printf("%d\n", made);
  fflush(stdout);
  while (getchar() != EOF) continue;
  return 0;
}
