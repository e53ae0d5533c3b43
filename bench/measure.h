/*
 * What both load generators share: one read of a virtual file, the check of its content, and a
 * latency histogram in memory shared by all readers.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* Buckets of 1/32 of a power of two: a latency is known to 3%. */
#define SUB_BITS 5
#define SUB (1 << SUB_BITS)
#define BUCKETS (48 * SUB)
#define MAX_CHECKS 8

struct tally {
  uint64_t ops, errors, wrong, bytes, sum_ns, max_ns;
  uint64_t histogram[BUCKETS];
  char first_wrong[512];
};

/* What every content must satisfy; none of it costs more than a scan of the text. */
struct checks {
  const char *contain[MAX_CHECKS];
  int contains;
  const char *count_of;
  int count;
  int numbers;   /* this many floating point numbers come first */
  int monotonic; /* the first of them never falls, for one reader */
  int empty;     /* an empty content is right too */
};

static inline uint64_t now_ns(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static int bucket_of(uint64_t ns) {
  if (ns < SUB) return (int)ns;
  int shift = 63 - __builtin_clzll(ns) - SUB_BITS;
  int bucket = (shift + 1) * SUB + (int)((ns >> shift) & (SUB - 1));
  return bucket < BUCKETS ? bucket : BUCKETS - 1;
}

/* The middle of a bucket, in nanoseconds. */
static uint64_t bucket_ns(int bucket) {
  if (bucket < SUB) return (uint64_t)bucket;
  int shift = bucket / SUB - 1;
  return ((uint64_t)(SUB + bucket % SUB) << shift) + ((1ull << shift) >> 1);
}

static void record(struct tally *tally, uint64_t ns) {
  tally->ops++;
  tally->sum_ns += ns;
  if (ns > tally->max_ns) tally->max_ns = ns;
  tally->histogram[bucket_of(ns)]++;
}

/* Reads from offset 0 to the end of file; -1 on an error. */
static ssize_t read_whole(int fd, char *buffer, size_t size) {
  size_t length = 0;
  for (;;) {
    ssize_t count = pread(fd, buffer + length, size - length, (off_t)length);
    if (count < 0) {
      if (errno == EINTR) continue;
      return -1;
    }
    if (count == 0) return (ssize_t)length;
    length += (size_t)count;
    if (length == size) return (ssize_t)length;
  }
}

static int content_right(const struct checks *checks, char *text, size_t length, double *last) {
  if (length == 0 && checks->empty) return 1;
  if (length == 0 || text[length - 1] != '\n') return 0;
  text[length] = 0;
  if (strlen(text) != length) return 0;
  for (int i = 0; i < checks->contains; i++)
    if (!strstr(text, checks->contain[i])) return 0;
  if (checks->count_of) {
    int count = 0;
    for (char *at = text; (at = strstr(at, checks->count_of)); at++) count++;
    if (count != checks->count) return 0;
  }
  char *at = text;
  for (int i = 0; i < checks->numbers; i++) {
    char *end;
    double value = strtod(at, &end);
    if (end == at) return 0;
    at = end;
    if (i == 0 && checks->monotonic) {
      if (value < *last) return 0;
      *last = value;
    }
  }
  return 1;
}

static void judge(struct tally *tally, const struct checks *checks, char *text, ssize_t length,
                  double *last) {
  if (length < 0) {
    if (tally->errors++ == 0)
      snprintf(tally->first_wrong, sizeof tally->first_wrong, "%s", strerror(errno));
    return;
  }
  tally->bytes += (uint64_t)length;
  if (!content_right(checks, text, (size_t)length, last) && tally->wrong++ == 0)
    snprintf(tally->first_wrong, sizeof tally->first_wrong, "%.*s", (int)(length < 400 ? length : 400),
             text);
}

static void *share(size_t size) {
  void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) {
    perror("mmap");
    exit(1);
  }
  return memory;
}

static void merge(struct tally *into, const struct tally *from) {
  into->ops += from->ops;
  into->errors += from->errors;
  into->wrong += from->wrong;
  into->bytes += from->bytes;
  into->sum_ns += from->sum_ns;
  if (from->max_ns > into->max_ns) into->max_ns = from->max_ns;
  for (int i = 0; i < BUCKETS; i++) into->histogram[i] += from->histogram[i];
  if (!into->first_wrong[0]) memcpy(into->first_wrong, from->first_wrong, sizeof into->first_wrong);
}

static uint64_t quantile_ns(const struct tally *tally, double quantile) {
  uint64_t rank = (uint64_t)(quantile * (double)tally->ops), seen = 0;
  for (int i = 0; i < BUCKETS; i++) {
    seen += tally->histogram[i];
    if (seen > rank) return bucket_ns(i);
  }
  return tally->max_ns;
}

/* One JSON line, the histogram as [nanoseconds, count] pairs. */
static void print_tally(const struct tally *tally, double seconds) {
  printf("{\"ops\":%lu,\"seconds\":%.6f,\"errors\":%lu,\"wrong\":%lu,\"bytes\":%lu,", tally->ops,
         seconds, tally->errors, tally->wrong, tally->bytes);
  printf("\"meanNs\":%lu,\"p50Ns\":%lu,\"p90Ns\":%lu,\"p99Ns\":%lu,\"p999Ns\":%lu,\"maxNs\":%lu,",
         tally->ops ? tally->sum_ns / tally->ops : 0, quantile_ns(tally, 0.5),
         quantile_ns(tally, 0.9), quantile_ns(tally, 0.99), quantile_ns(tally, 0.999),
         tally->max_ns);
  printf("\"firstWrong\":\"");
  for (const char *at = tally->first_wrong; *at; at++) {
    if (*at == '"' || *at == '\\') printf("\\%c", *at);
    else if ((unsigned char)*at < 32) printf("\\u%04x", *at);
    else putchar(*at);
  }
  printf("\",\"histogram\":[");
  const char *comma = "";
  for (int i = 0; i < BUCKETS; i++)
    if (tally->histogram[i]) {
      printf("%s[%lu,%lu]", comma, bucket_ns(i), tally->histogram[i]);
      comma = ",";
    }
  printf("]}\n");
}

/* Takes one option of the checks; 0 if `option` is none of them. */
static int take_check(struct checks *checks, int option, const char *value) {
  switch (option) {
  case 'c':
    if (checks->contains < MAX_CHECKS) checks->contain[checks->contains++] = value;
    return 1;
  case 'k': /* COUNT:TEXT */
    checks->count = atoi(value);
    checks->count_of = strchr(value, ':') + 1;
    return 1;
  case 'n':
    checks->numbers = atoi(value);
    return 1;
  case 'm':
    checks->monotonic = 1;
    return 1;
  case 'e':
    checks->empty = 1;
    return 1;
  default:
    return 0;
  }
}
