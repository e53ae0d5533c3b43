/*
 * Makes one system call after the other on paths, from inside a container, and says what the kernel
 * answered. Reads lines "call path" (or "call fd:N") from standard input; answers each with one line,
 * the errno's number, 0 if the call succeeded.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/fsuid.h>
#include <sys/inotify.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>

static int opened(const char *path, int flags) {
  int fd = open(path, flags | O_CLOEXEC, 0644);
  if (fd >= 0) close(fd);
  return fd;
}

static int through(const char *path, int flags, int writes, const char *text) {
  char buffer[4096];
  int inherited = !strncmp(path, "fd:", 3);
  int fd = inherited ? atoi(path + 3) : open(path, flags | O_CLOEXEC);
  int result, error;
  if (fd < 0) return -1;
  result = writes ? write(fd, text, strlen(text)) : pread(fd, buffer, sizeof buffer, 0);
  error = errno;
  if (!inherited) close(fd);
  errno = error;
  return result;
}

/* What poll(2) says of an inherited descriptor: ENODEV as of a cgroup that was removed, else 0. */
static int polled(const char *path) {
  struct pollfd wanted = {.fd = atoi(path + 3), .events = POLLPRI};
  int found = poll(&wanted, 1, 0);
  errno = found > 0 && wanted.revents == (POLLPRI | POLLERR) ? ENODEV : 0;
  return errno ? -1 : 0;
}

static int executed(const char *path) {
  int status;
  pid_t child = fork();
  if (child == 0) {
    execl(path, path, (char *)0);
    _exit(errno);
  }
  waitpid(child, &status, 0);
  errno = WEXITSTATUS(status);
  return errno ? -1 : 0;
}

/* Whether a page of a file can be had by mmap(2): EFAULT if the process dies of it. */
static int mapped(const char *path) {
  int status;
  pid_t child = fork();
  if (child == 0) {
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    char *page = fd < 0 ? MAP_FAILED : mmap(NULL, 4096, PROT_READ, MAP_PRIVATE, fd, 0);
    if (page == MAP_FAILED) _exit(errno);
    (void)*(volatile char *)page;
    _exit(0);
  }
  waitpid(child, &status, 0);
  errno = WIFSIGNALED(status) ? EFAULT : WEXITSTATUS(status);
  return errno ? -1 : 0;
}

static int changed_directory(const char *path) {
  int home = open(".", O_PATH | O_DIRECTORY | O_CLOEXEC);
  int result = chdir(path), error = errno;
  if (fchdir(home) != 0) exit(3);
  close(home);
  errno = error;
  return result;
}

static int watched(const char *path) {
  int fd = inotify_init1(IN_CLOEXEC);
  int result = inotify_add_watch(fd, path, IN_ALL_EVENTS), error = errno;
  close(fd);
  errno = error;
  return result;
}

/* Whether anything happens in a directory within a second: EEXIST if so. Says "watching" before. */
static int happened(const char *path) {
  int fd = inotify_init1(IN_CLOEXEC), error = 0;
  struct pollfd wanted = {.fd = fd, .events = POLLIN};
  if (inotify_add_watch(fd, path, IN_ALL_EVENTS) < 0) {
    error = errno;
  } else {
    fprintf(stderr, "watching\n");
    if (poll(&wanted, 1, 1000) > 0) error = EEXIST;
  }
  close(fd);
  errno = error;
  return error ? -1 : 0;
}

/* Opens what a handle of another node would be, O_PATH, by the form that handles of FUSE have. */
static int opened_by_handle(const char *path, const char *node) {
  char space[sizeof(struct file_handle) + 128];
  struct file_handle *handle = (struct file_handle *)space;
  unsigned long long id = strtoull(node, NULL, 10);
  unsigned words[3] = {id >> 32, id & 0xffffffff, 0};
  int directory = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC), fd, error;
  handle->handle_type = 0x81;
  handle->handle_bytes = sizeof words;
  memcpy(handle->f_handle, words, sizeof words);
  fd = open_by_handle_at(directory, handle, O_RDONLY | O_DIRECTORY);
  error = errno;
  close(directory);
  if (fd >= 0) close(fd);
  errno = error;
  return fd;
}

static int handled(const char *path) {
  char space[sizeof(struct file_handle) + 128];
  struct file_handle *handle = (struct file_handle *)space;
  int mount;
  handle->handle_bytes = 128;
  return name_to_handle_at(AT_FDCWD, path, handle, &mount, 0);
}

static int call(const char *name, const char *path) {
  char buffer[4096], other[8192];
  struct stat st;
  struct statx stx;
  struct statfs sfs;
  snprintf(other, sizeof other, "%s.probe", path);
  if (!strcmp(name, "open-read")) return opened(path, O_RDONLY);
  if (!strcmp(name, "open-write")) return opened(path, O_WRONLY);
  if (!strcmp(name, "open-both")) return opened(path, O_RDWR);
  if (!strcmp(name, "open-truncate")) return opened(path, O_WRONLY | O_TRUNC);
  if (!strcmp(name, "open-append")) return opened(path, O_WRONLY | O_APPEND);
  if (!strcmp(name, "open-create")) return opened(path, O_WRONLY | O_CREAT);
  if (!strcmp(name, "open-exclusive")) return opened(path, O_WRONLY | O_CREAT | O_EXCL);
  if (!strcmp(name, "open-directory")) return opened(path, O_RDONLY | O_DIRECTORY);
  if (!strcmp(name, "open-path")) return opened(path, O_PATH);
  if (!strcmp(name, "open-nofollow")) return opened(path, O_RDONLY | O_NOFOLLOW);
  if (!strcmp(name, "open-tmpfile")) return opened(path, O_TMPFILE | O_RDWR);
  if (!strcmp(name, "read")) return through(path, O_RDONLY, 0, "");
  if (!strcmp(name, "write")) return through(path, O_WRONLY, 1, "0");
  if (!strcmp(name, "stat")) return stat(path, &st);
  if (!strcmp(name, "lstat")) return lstat(path, &st);
  if (!strcmp(name, "statx")) return statx(AT_FDCWD, path, 0, STATX_ALL, &stx);
  if (!strcmp(name, "access")) return access(path, F_OK);
  if (!strcmp(name, "access-read")) return access(path, R_OK);
  if (!strcmp(name, "access-write")) return access(path, W_OK);
  if (!strcmp(name, "access-execute")) return access(path, X_OK);
  if (!strcmp(name, "chmod")) return chmod(path, 0700);
  if (!strcmp(name, "chown")) return chown(path, 0, 0);
  if (!strcmp(name, "lchown")) return lchown(path, 0, 0);
  if (!strcmp(name, "truncate")) return truncate(path, 0);
  if (!strcmp(name, "mkdir")) return mkdir(path, 0755);
  if (!strcmp(name, "rmdir")) return rmdir(path);
  if (!strcmp(name, "rename")) return rename(path, other);
  if (!strcmp(name, "rename-onto")) return rename(other, path);
  if (!strcmp(name, "link")) return link(path, other);
  if (!strcmp(name, "symlink")) return symlink("target", path);
  if (!strcmp(name, "unlink")) return unlink(path);
  if (!strcmp(name, "mknod")) return mknod(path, S_IFREG | 0644, 0);
  if (!strcmp(name, "mkfifo")) return mknod(path, S_IFIFO | 0644, 0);
  if (!strcmp(name, "utimes")) return utimensat(AT_FDCWD, path, NULL, 0);
  if (!strcmp(name, "setxattr")) return setxattr(path, "user.probe", "1", 1, 0);
  if (!strcmp(name, "getxattr")) return getxattr(path, "user.probe", buffer, sizeof buffer);
  if (!strcmp(name, "listxattr")) return listxattr(path, buffer, sizeof buffer);
  if (!strcmp(name, "removexattr")) return removexattr(path, "user.probe");
  if (!strcmp(name, "inotify")) return watched(path);
  if (!strcmp(name, "readlink")) return readlink(path, buffer, sizeof buffer);
  if (!strcmp(name, "statfs")) return statfs(path, &sfs);
  if (!strcmp(name, "exec")) return executed(path);
  if (!strcmp(name, "chdir")) return changed_directory(path);
  if (!strcmp(name, "handle")) return handled(path);
  if (!strcmp(name, "mount-on")) return mount("/", path, NULL, MS_BIND, NULL);
  if (!strcmp(name, "poll")) return polled(path);
  if (!strcmp(name, "mapped")) return mapped(path);
  if (!strcmp(name, "happens")) return happened(path);
  if (!strncmp(name, "by-handle:", 10)) return opened_by_handle(path, name + 10);
  if (!strncmp(name, "as:", 3)) return setfsuid(atoi(name + 3)), 0;
  if (!strncmp(name, "write:", 6)) return through(path, O_WRONLY, 1, name + 6);
  fprintf(stderr, "no call %s\n", name);
  exit(2);
}

int main(void) {
  char line[8192];
  umask(0);
  while (fgets(line, sizeof line, stdin)) {
    char *space = strchr(line, ' ');
    line[strcspn(line, "\n")] = 0;
    if (!space) return 2;
    *space = 0;
    errno = 0;
    printf("%d\n", call(line, space + 1) < 0 ? errno : 0);
    fflush(stdout);
  }
  return 0;
}
