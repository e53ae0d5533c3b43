/*
 * Readers of one container's clocks and counters, at different rates, for as long as their input is
 * open: `watch DIRECTORY PERIOD_US...`, one process for each period (0: it never rests).
 *
 * A counter must not be less than any reader had seen it before this read began, and the rows of the
 * CPUs must sum up to the first. What is wrong is printed, a line each; at the end "reads N".
 * Readers of even numbers keep the file open, as top does; the others open it anew.
 */
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#define COLUMNS 10
#define MOST_CPUS 1024
#define MOST_READERS 16

/* What has been seen of each counter by anybody who has finished reading it. */
struct seen {
  _Atomic long long column[COLUMNS], uptime, idle, processes, reads;
  /* How often anybody found that the row of a CPU is not there. */
  _Atomic long long absent[MOST_CPUS];
  /* Whether a reader has a text that it has not yet looked through for that. */
  _Atomic int reading[MOST_READERS];
};

static struct seen *seen;
static int own_number;
static char text[1 << 20];

static int read_file(const char *path, int *kept) {
  int fd = *kept >= 0 ? *kept : open(path, O_RDONLY);
  if (fd < 0) return 0;
  ssize_t length = pread(fd, text, sizeof text - 1, 0);
  if (*kept < 0) close(fd);
  if (length <= 0) return 0;
  text[length] = 0;
  return 1;
}

static void judge(_Atomic long long *known, long long before, long long now, const char *what, int n) {
  if (now < before) printf("%s %d fell from %lld to %lld\n", what, n, before, now);
  long long most = atomic_load(known);
  while (now > most && !atomic_compare_exchange_weak(known, &most, now)) {
  }
}

/*
 * The rows of the CPUs that this reader saw last, and how often they had been found absent before:
 * one that goes and comes back begins anew, even if only another reader saw it gone.
 */
static long long rows[MOST_CPUS][COLUMNS], absent_before[MOST_CPUS];
static int row_count;

/* Notes which rows a text has not got, before anything in it is judged. */
static void note_absent(void) {
  int cpus = 0;
  for (const char *at = text; (at = strstr(at, "\ncpu")) != NULL; at++) cpus++;
  for (int cpu = cpus; cpu < MOST_CPUS; cpu++) atomic_fetch_add(&seen->absent[cpu], 1);
}

/* Whether a row was gone since this reader saw it: others may be about to say so. */
static int was_absent(int cpu) {
  for (int reader = 0; reader < MOST_READERS; reader++)
    while (atomic_load(&seen->reading[reader])) usleep(1000);
  return atomic_load(&seen->absent[cpu]) != absent_before[cpu];
}

static void look_at_stat(const char *path, int *fd) {
  long long before[COLUMNS], total[COLUMNS] = {0}, sum[COLUMNS] = {0}, processes_before;
  for (int i = 0; i < COLUMNS; i++) before[i] = atomic_load(&seen->column[i]);
  processes_before = atomic_load(&seen->processes);
  long long absent_now[MOST_CPUS];
  for (int cpu = 0; cpu < MOST_CPUS; cpu++) absent_now[cpu] = atomic_load(&seen->absent[cpu]);
  atomic_store(&seen->reading[own_number], 1);
  int is_read = read_file(path, fd);
  if (is_read) note_absent();
  atomic_store(&seen->reading[own_number], 0);
  if (!is_read) {
    printf("%s cannot be read\n", path);
    return;
  }
  int cpus = 0;
  for (char *line = text; line != NULL; line = strchr(line, '\n'), line = line ? line + 1 : NULL) {
    long long row[COLUMNS], processes;
    int cpu, used;
    if (sscanf(line, "processes %lld", &processes) == 1)
      judge(&seen->processes, processes_before, processes, "processes", 0);
    if (strncmp(line, "cpu", 3)) continue;
    int is_total = line[3] == ' ';
    if (!is_total && (sscanf(line, "cpu%d%n", &cpu, &used) != 1 || cpu != cpus++)) {
      printf("CPU %d comes after %d\n", cpu, cpus - 1);
      return;
    }
    char *at = line + (is_total ? 4 : used);
    for (int i = 0; i < COLUMNS; i++) row[i] = strtoll(at, &at, 10);
    for (int i = 0; i < COLUMNS; i++) {
      if (is_total) total[i] = row[i];
      else sum[i] += row[i];
      if (is_total || cpu >= MOST_CPUS) continue;
      if (cpu < row_count && row[i] < rows[cpu][i] && !was_absent(cpu))
        printf("cpu%d column %d fell from %lld to %lld\n", cpu, i, rows[cpu][i], row[i]);
      rows[cpu][i] = row[i];
    }
  }
  row_count = cpus;
  memcpy(absent_before, absent_now, sizeof absent_before);
  if (cpus == 0) printf("no CPU in it\n");
  for (int i = 0; i < COLUMNS; i++) {
    judge(&seen->column[i], before[i], total[i], "column", i);
    if (total[i] != sum[i]) printf("column %d is %lld, its rows %lld\n", i, total[i], sum[i]);
  }
}

static void look_at_uptime(const char *path, int *fd) {
  long long before = atomic_load(&seen->uptime), idle_before = atomic_load(&seen->idle);
  long long up, up_part, idle, idle_part;
  if (!read_file(path, fd) || sscanf(text, "%lld.%lld %lld.%lld", &up, &up_part, &idle, &idle_part) != 4) {
    printf("%s cannot be read\n", path);
    return;
  }
  judge(&seen->uptime, before, up * 100 + up_part, "uptime", 0);
  judge(&seen->idle, idle_before, idle * 100 + idle_part, "idle", 0);
}

static void read_on(const char *directory, int number, useconds_t period) {
  own_number = number;
  char stat[4096], uptime[4096];
  int stat_fd = -1, uptime_fd = -1;
  snprintf(stat, sizeof stat, "%s/stat", directory);
  snprintf(uptime, sizeof uptime, "%s/uptime", directory);
  if (number % 2 == 0) {
    stat_fd = open(stat, O_RDONLY);
    uptime_fd = open(uptime, O_RDONLY);
  }
  struct pollfd input = {.fd = 0, .events = POLLIN};
  while (poll(&input, 1, 0) == 0) {
    look_at_stat(stat, &stat_fd);
    look_at_uptime(uptime, &uptime_fd);
    atomic_fetch_add(&seen->reads, 2);
    if (period) usleep(period);
    fflush(stdout);
  }
  fflush(stdout);
  _exit(0);
}

int main(int argc, char **argv) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  seen = mmap(NULL, sizeof *seen, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (argc < 3 || seen == MAP_FAILED) return 2;
  pid_t readers[MOST_READERS];
  int count = 0;
  puts("ready");
  fflush(stdout);
  for (; count < argc - 2 && count < MOST_READERS; count++)
    if ((readers[count] = fork()) == 0) {
      prctl(PR_SET_PDEATHSIG, SIGKILL);
      read_on(argv[1], count, (useconds_t)atol(argv[count + 2]));
    }
  struct pollfd input = {.fd = 0, .events = POLLIN};
  poll(&input, 1, -1);
  for (int i = 0; i < count; i++) {
    int status;
    waitpid(readers[i], &status, 0);
    if (status != 0) printf("reader %d ended with %d\n", i, status);
  }
  printf("reads %lld\ndone\n", atomic_load(&seen->reads));
  return 0;
}
