/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Preloaded into a program (LD_PRELOAD), makes the system behave as it rarely does here:
 *
 *   IBB_REFLINK=1        FICLONE works on any file system (the file is copied)
 *   IBB_FAIL=CALL:N      the Nth call fails with EIO; CALL is fsync, linkat or rename
 *   IBB_STOP=CALL:N      before the Nth call the program stops (SIGSTOP)
 *   IBB_NO_PROC=1        there is nothing in /proc
 *   IBB_FLIP=OFFSET:DIR  the first byte that is written at this offset of a file in DIR is another
 *                        one when it gets there
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#define REAL(ret, name, ...)             \
	static ret (*real)(__VA_ARGS__); \
	if (!real)                       \
	*(void **)&real = dlsym(RTLD_NEXT, name)

static int planned(const char *variable, const char *call, long count)
{
	const char *plan = getenv(variable);
	const size_t n = strlen(call);

	return plan && strncmp(plan, call, n) == 0 && plan[n] == ':' && count == atol(plan + n + 1);
}

static int fails(const char *call, long *count)
{
	++*count;
	if (planned("IBB_STOP", call, *count))
		(void)raise(SIGSTOP);
	if (!planned("IBB_FAIL", call, *count))
		return 0;
	errno = EIO;
	return 1;
}

static int hidden(const char *path)
{
	if (!getenv("IBB_NO_PROC") || strncmp(path, "/proc/", 6) != 0)
		return 0;
	errno = ENOENT;
	return 1;
}

static int clone_file(int to, int from)
{
	static char b[1 << 16];
	struct stat st;
	off_t at;

	if (fstat(from, &st) || ftruncate(to, st.st_size))
		return -1;
	for (at = 0; (at = lseek(from, at, SEEK_DATA)) >= 0;) {
		ssize_t n = pread(from, b, sizeof(b), at);

		if (n <= 0 || pwrite(to, b, (size_t)n, at) != n)
			return -1;
		at += n;
	}
	return errno == ENXIO ? 0 : -1;
}

int ioctl(int fd, unsigned long request, ...)
{
	va_list ap;
	void *arg;

	REAL(int, "ioctl", int, unsigned long, ...);
	va_start(ap, request);
	arg = va_arg(ap, void *);
	va_end(ap);
	if (request == FICLONE && getenv("IBB_REFLINK"))
		return clone_file(fd, (int)(long)arg);
	return real(fd, request, arg);
}

int fsync(int fd)
{
	static long count;

	REAL(int, "fsync", int);
	return fails("fsync", &count) ? -1 : real(fd);
}

int linkat(int from_dir, const char *from, int to_dir, const char *to, int flags)
{
	static long count;

	REAL(int, "linkat", int, const char *, int, const char *, int);
	if (hidden(from) || fails("linkat", &count))
		return -1;
	return real(from_dir, from, to_dir, to, flags);
}

int rename(const char *from, const char *to)
{
	static long count;

	REAL(int, "rename", const char *, const char *);
	return fails("rename", &count) ? -1 : real(from, to);
}

int access(const char *path, int mode)
{
	REAL(int, "access", const char *, int);
	return hidden(path) ? -1 : real(path, mode);
}

/* Is it in the directory, and which of the n bytes at `off` is meant? -1: none. */
static ssize_t to_flip(int fd, size_t n, off_t off)
{
	const char *plan = getenv("IBB_FLIP");
	char proc[64], path[4096], *dir;
	ssize_t len;
	off_t at;

	if (!plan)
		return -1;
	at = strtoll(plan, &dir, 10);
	if (off < 0 || at < off || (size_t)(at - off) >= n)
		return -1;
	snprintf(proc, sizeof(proc), "/proc/self/fd/%d", fd);
	len = readlink(proc, path, sizeof(path) - 1);
	if (len < 0 || *dir++ != ':' || (size_t)len <= strlen(dir) ||
	    strncmp(path, dir, strlen(dir)) != 0 || path[strlen(dir)] != '/')
		return -1;
	return (ssize_t)(at - off);
}

/* A copy of what is written with one byte flipped, once; NULL: as it is. */
static void *flipped(int fd, const void *buf, size_t n, off_t off)
{
	static int done;
	int saved = errno;
	ssize_t at = done ? -1 : to_flip(fd, n, off);
	unsigned char *copy = at < 0 ? NULL : malloc(n);

	errno = saved;
	if (!copy)
		return NULL;
	done = 1;
	memcpy(copy, buf, n);
	copy[at] ^= 0x10;
	return copy;
}

ssize_t write(int fd, const void *buf, size_t n)
{
	void *copy = NULL;
	ssize_t r;

	REAL(ssize_t, "write", int, const void *, size_t);
	if (getenv("IBB_FLIP"))
		copy = flipped(fd, buf, n, lseek(fd, 0, SEEK_CUR));
	r = real(fd, copy ? copy : buf, n);
	free(copy);
	return r;
}

#define PWRITE(name)                                                                     \
	ssize_t ibb_##name(int fd, const void *buf, size_t n, off_t off) __asm__(#name); \
	ssize_t ibb_##name(int fd, const void *buf, size_t n, off_t off)                 \
	{                                                                                \
		void *copy = flipped(fd, buf, n, off);                                   \
		ssize_t r;                                                               \
		REAL(ssize_t, #name, int, const void *, size_t, off_t);                  \
		r = real(fd, copy ? copy : buf, n, off);                                 \
		free(copy);                                                              \
		return r;                                                                \
	}

PWRITE(pwrite)
PWRITE(pwrite64)

/* By their names in the C library: <fcntl.h> may make the one the other. */
#define OPEN(name)                                                       \
	int ibb_##name(const char *path, int flags, ...) __asm__(#name); \
	int ibb_##name(const char *path, int flags, ...)                 \
	{                                                                \
		mode_t mode = 0;                                         \
		va_list ap;                                              \
		REAL(int, #name, const char *, int, ...);                \
		va_start(ap, flags);                                     \
		if (flags & (O_CREAT | O_TMPFILE))                       \
			mode = va_arg(ap, mode_t);                       \
		va_end(ap);                                              \
		return hidden(path) ? -1 : real(path, flags, mode);      \
	}

OPEN(open)
OPEN(open64)
