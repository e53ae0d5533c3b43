/*
 * Makes a process or a thread that has a given number, as if that had come round again
 * (clone3(2), CLONE_ARGS set_tid, Linux 5.5): "successor process N" or "successor thread N". Says
 * "ready" or why not, and stays until its input ends.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <linux/sched.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

static char stack[65536];

/* clone3 whose child waits for ever and never returns: on a new stack it could not. */
static long made_waiting(struct clone_args *args) {
#if defined(__x86_64__)
  long result = SYS_clone3;
  __asm__ volatile(
      "syscall\n\ttest %%rax, %%rax\n\tjnz 1f\n"
      "2:\tmov %[pause], %%eax\n\tsyscall\n\tjmp 2b\n1:"
      : "+a"(result)
      : "D"(args), "S"(sizeof *args), [pause] "i"(SYS_pause)
      : "rcx", "r11", "memory");
#elif defined(__aarch64__)
  register long number __asm__("x8") = SYS_clone3;
  register long result __asm__("x0") = (long)args;
  register long size __asm__("x1") = sizeof *args;
  __asm__ volatile(
      "svc #0\n\tcbnz x0, 1f\n"
      "2:\tmov x0, #0\n\tmov x1, #0\n\tmov x2, #0\n\tmov x3, #0\n\tmov x8, #73\n\tsvc #0\n\tb 2b\n1:"
      : "+r"(result)
      : "r"(number), "r"(size)
      : "x2", "x3", "memory");
#endif
  return result;
}

int main(int argc, char **argv) {
  struct clone_args args = {0};
  pid_t number = argc > 2 ? atoi(argv[2]) : 0;
  int thread = argc > 2 && !strcmp(argv[1], "thread");
  long made;
  args.set_tid = (uint64_t)(uintptr_t)&number;
  args.set_tid_size = 1;
  if (thread) {
    args.flags = CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD | CLONE_SYSVSEM;
    args.stack = (uint64_t)(uintptr_t)stack;
    args.stack_size = sizeof stack;
  } else {
    args.exit_signal = SIGCHLD;
  }
  made = made_waiting(&args);
  printf("%s\n", made == number ? "ready" : strerror((int)-made));
  fflush(stdout);
  while (getchar() != EOF) continue;
  if (made > 0 && !thread) kill((pid_t)made, SIGKILL);
  _exit(0);
}
