/*
 * A process with a second thread, which ends when a line comes in; says both numbers, as they are
 * where it runs.
 */
#define _GNU_SOURCE
#include <pthread.h>
#include <stdio.h>
#include <unistd.h>

static void *waits(void *none) {
  char byte;
  printf("%d %d\n", getpid(), gettid());
  fflush(stdout);
  (void)!read(0, &byte, 1);
  return none;
}

int main(void) {
  pthread_t thread;
  if (pthread_create(&thread, NULL, waits, NULL) != 0) return 1;
  pthread_join(thread, NULL);
  for (;;) pause();
}
