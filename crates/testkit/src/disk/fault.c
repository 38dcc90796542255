/* Put before the C library's own functions by LD_PRELOAD: counts what a process does to regular files, and fails or ends it
   at one of these. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <unistd.h>

enum kind { NONE, BEFORE, TORN, AFTER, FULL };

static enum kind kind;
static long at;
static atomic_long done;

static ssize_t (*real_write)(int, const void *, size_t);
static ssize_t (*real_pwrite)(int, const void *, size_t, off_t);
static int (*real_fsync)(int);
static int (*real_fdatasync)(int);
static int (*real_ftruncate)(int, off_t);
static int (*real_unlink)(const char *);

__attribute__((constructor)) static void begin(void) {
  real_write = dlsym(RTLD_NEXT, "write");
  real_pwrite = dlsym(RTLD_NEXT, "pwrite64");
  real_fsync = dlsym(RTLD_NEXT, "fsync");
  real_fdatasync = dlsym(RTLD_NEXT, "fdatasync");
  real_ftruncate = dlsym(RTLD_NEXT, "ftruncate64");
  real_unlink = dlsym(RTLD_NEXT, "unlink");
  const char *name = getenv("TESTKIT_DISK_FAULT");
  const char *number = getenv("TESTKIT_DISK_AT");
  at = number ? atol(number) : 0;
  if (!name) kind = NONE;
  else if (!strcmp(name, "before")) kind = BEFORE;
  else if (!strcmp(name, "torn")) kind = TORN;
  else if (!strcmp(name, "after")) kind = AFTER;
  else if (!strcmp(name, "full")) kind = FULL;
}

__attribute__((destructor)) static void end(void) {
  const char *path = getenv("TESTKIT_DISK_COUNT");
  if (!path) return;
  char text[32];
  int length = snprintf(text, sizeof text, "%ld", atomic_load(&done));
  int file = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0644);
  if (file < 0) return;
  if (real_write(file, text, (size_t)length) < 0) { /* then the file is empty, which is seen */ }
  close(file);
}

static void die(void) {
  kill(getpid(), SIGKILL);
  for (;;) pause();
}

static int is_regular(int file) {
  struct stat is;
  return fstat(file, &is) == 0 && S_ISREG(is.st_mode);
}

/* Returns whether this one is the one. */
static int count(void) {
  long number = atomic_fetch_add(&done, 1) + 1;
  if (number == at && kind == BEFORE) die();
  return kind == FULL ? at > 0 && number >= at : number == at;
}

ssize_t write(int file, const void *bytes, size_t size) {
  if (!is_regular(file)) return real_write(file, bytes, size);
  int mine = count();
  if (mine && kind == FULL) { errno = ENOSPC; return -1; }
  if (mine && kind == TORN) size /= 2;
  ssize_t result = real_write(file, bytes, size);
  if (mine) die();
  return result;
}

static ssize_t place(int file, const void *bytes, size_t size, off_t offset) {
  if (!is_regular(file)) return real_pwrite(file, bytes, size, offset);
  int mine = count();
  if (mine && kind == FULL) { errno = ENOSPC; return -1; }
  if (mine && kind == TORN) size /= 2;
  ssize_t result = real_pwrite(file, bytes, size, offset);
  if (mine) die();
  return result;
}

ssize_t pwrite(int file, const void *bytes, size_t size, off_t offset) { return place(file, bytes, size, offset); }
ssize_t pwrite64(int file, const void *bytes, size_t size, off64_t offset) { return place(file, bytes, size, offset); }

static int settle(int (*real)(int), int file) {
  if (!is_regular(file)) return real(file);
  int mine = count();
  int result = real(file);
  if (mine && kind != FULL) die();
  return result;
}

int fsync(int file) { return settle(real_fsync, file); }
int fdatasync(int file) { return settle(real_fdatasync, file); }

static int cut(int file, off_t size) {
  int mine = count();
  int result = real_ftruncate(file, size);
  if (mine && kind != FULL) die();
  return result;
}

int ftruncate(int file, off_t size) { return cut(file, size); }
int ftruncate64(int file, off64_t size) { return cut(file, size); }

int unlink(const char *path) {
  int mine = count();
  int result = real_unlink(path);
  if (mine && kind != FULL) die();
  return result;
}
