/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Preloaded into a program (LD_PRELOAD), lets one of its changes to files fail:
 *
 *   IBB_FAULT_AT=N       the Nth (from 1) pwrite, ftruncate, fallocate, fsync, fdatasync, link or
 *                        rename of the program
 *   IBB_FAULT_ERRNO=E    with this error number
 *   IBB_FAULT_WRITES=1   write counts as well, but to the standard descriptors
 *   IBB_FAULT_LOG=FILE   gets a line with the operation's name when it failed
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

static atomic_long n_seen;

static int fails(const char *op)
{
	const char *at = getenv("IBB_FAULT_AT"), *e = getenv("IBB_FAULT_ERRNO");
	const char *log = getenv("IBB_FAULT_LOG");
	char line[64];
	long fd;
	int n;

	if (!at || !e || atomic_fetch_add(&n_seen, 1) + 1 != atol(at))
		return 0;
	fd = log ? syscall(SYS_openat, AT_FDCWD, log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC,
			   0600)
		 : -1;
	n = snprintf(line, sizeof(line), "%s\n", op);
	if (fd >= 0 && syscall(SYS_write, fd, line, n) != n)
		abort();
	if (fd >= 0)
		syscall(SYS_close, fd);
	errno = atoi(e);
	return 1;
}

#define REAL(ret, name, ...)             \
	static ret (*real)(__VA_ARGS__); \
	if (!real)                       \
	*(void **)&real = dlsym(RTLD_NEXT, name)

ssize_t pwrite64(int fd, const void *buf, size_t n, off64_t off);
ssize_t pwrite64(int fd, const void *buf, size_t n, off64_t off)
{
	REAL(ssize_t, "pwrite64", int, const void *, size_t, off64_t);
	return fails("pwrite") ? -1 : real(fd, buf, n, off);
}

ssize_t write(int fd, const void *buf, size_t n)
{
	REAL(ssize_t, "write", int, const void *, size_t);
	return fd > 2 && getenv("IBB_FAULT_WRITES") && fails("write") ? -1 : real(fd, buf, n);
}

int ftruncate64(int fd, off64_t size);
int ftruncate64(int fd, off64_t size)
{
	REAL(int, "ftruncate64", int, off64_t);
	return fails("ftruncate") ? -1 : real(fd, size);
}

int fallocate64(int fd, int mode, off64_t off, off64_t n);
int fallocate64(int fd, int mode, off64_t off, off64_t n)
{
	REAL(int, "fallocate64", int, int, off64_t, off64_t);
	return fails("fallocate") ? -1 : real(fd, mode, off, n);
}

int fsync(int fd)
{
	REAL(int, "fsync", int);
	return fails("fsync") ? -1 : real(fd);
}

int fdatasync(int fd)
{
	REAL(int, "fdatasync", int);
	return fails("fdatasync") ? -1 : real(fd);
}

int linkat(int from_dir, const char *from, int to_dir, const char *to, int flags)
{
	REAL(int, "linkat", int, const char *, int, const char *, int);
	return fails("link") ? -1 : real(from_dir, from, to_dir, to, flags);
}

int rename(const char *from, const char *to)
{
	REAL(int, "rename", const char *, const char *);
	return fails("rename") ? -1 : real(from, to);
}
