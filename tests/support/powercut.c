/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Preloaded into a program (LD_PRELOAD), records what it does to the files of one directory, in
 * order, so that a test can rebuild every state that a power cut could leave:
 *
 *   IBB_RECORD_DIR=DIR   the directory; other files are not recorded
 *   IBB_RECORD=FILE      the record: a line "OP INODE OFFSET LENGTH NAME" each, after a write its
 *                        LENGTH bytes. OPs: create, write, truncate, sync, link, rename, unlink
 *   IBB_RECORD_KILL=N    after N recorded operations, die as by kill -9
 *   IBB_RECORD_STOP=N    after N of them, stop until told to go on
 *
 * And shows the files of IBB_RECORD_DIR as a file system does that has no modes or owners:
 *
 *   IBB_SHOW_MODE=OCTAL  these permissions, too
 *   IBB_SHOW_UID=N       a journal belongs to this user
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

static long n_recorded;

static void emit(const void *p, size_t n)
{
	static int fd = -2;

	if (fd == -2) {
		const char *path = getenv("IBB_RECORD");

		fd = path ? (int)syscall(SYS_openat, AT_FDCWD, path,
					 O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600)
			  : -1;
	}
	while (n && fd >= 0) {
		long k = syscall(SYS_write, fd, p, n);

		if (k <= 0)
			abort();
		p = (const char *)p + k;
		n -= (size_t)k;
	}
}

static void record(const char *op, ino_t ino, off_t off, size_t len, const char *name,
		   const void *data)
{
	const char *kill_at = getenv("IBB_RECORD_KILL"), *stop_at = getenv("IBB_RECORD_STOP");
	char line[PATH_MAX + 128];
	int saved = errno;
	int n = snprintf(line, sizeof(line), "%s %lu %lld %zu %s\n", op, (unsigned long)ino,
			 (long long)off, len, name);

	emit(line, (size_t)n);
	if (data)
		emit(data, len);
	n_recorded++;
	if (kill_at && n_recorded >= atol(kill_at))
		kill(getpid(), SIGKILL);
	if (stop_at && n_recorded == atol(stop_at))
		kill(getpid(), SIGSTOP);
	errno = saved;
}

/* Is it in our directory (or the directory itself)? Unnamed files are, too. */
static int is_ours(const char *path)
{
	const char *dir = getenv("IBB_RECORD_DIR");
	size_t n = dir ? strlen(dir) : 0;

	return n && strncmp(path, dir, n) == 0 && (path[n] == '/' || !path[n]);
}

static int fd_is_ours(int fd, ino_t *ret_ino)
{
	char proc[64], path[PATH_MAX];
	struct stat st;
	ssize_t n;
	int saved = errno;

	snprintf(proc, sizeof(proc), "/proc/self/fd/%d", fd);
	n = readlink(proc, path, sizeof(path) - 1);
	if (n > 0)
		path[n] = '\0';
	n = n > 0 && is_ours(path) && fstat(fd, &st) == 0;
	if (n)
		*ret_ino = st.st_ino;
	errno = saved;
	return (int)n;
}

/* The file name, when the path lies in our directory; NULL otherwise. */
static const char *our_name(const char *path)
{
	char real[PATH_MAX], dir[PATH_MAX];
	const char *slash = strrchr(path, '/');

	snprintf(dir, sizeof(dir), "%.*s", slash ? (int)(slash - path) + 1 : 1, slash ? path : ".");
	if (!realpath(dir, real) || !is_ours(real))
		return NULL;
	return slash ? slash + 1 : path;
}

#define REAL(ret, name, ...)             \
	static ret (*real)(__VA_ARGS__); \
	if (!real)                       \
	*(void **)&real = dlsym(RTLD_NEXT, name)

ssize_t pwrite64(int fd, const void *buf, size_t n, off64_t off);
ssize_t pwrite64(int fd, const void *buf, size_t n, off64_t off)
{
	ssize_t r;
	ino_t ino;

	REAL(ssize_t, "pwrite64", int, const void *, size_t, off64_t);
	r = real(fd, buf, n, off);
	if (r > 0 && fd_is_ours(fd, &ino))
		record("write", ino, off, (size_t)r, "-", buf);
	return r;
}

ssize_t write(int fd, const void *buf, size_t n)
{
	ssize_t r;
	ino_t ino;

	REAL(ssize_t, "write", int, const void *, size_t);
	r = real(fd, buf, n);
	if (r > 0 && fd > 2 && fd_is_ours(fd, &ino))
		record("write", ino, lseek(fd, 0, SEEK_CUR) - r, (size_t)r, "-", buf);
	return r;
}

int ftruncate64(int fd, off64_t size);
int ftruncate64(int fd, off64_t size)
{
	ino_t ino;
	int r;

	REAL(int, "ftruncate64", int, off64_t);
	r = real(fd, size);
	if (r == 0 && fd_is_ours(fd, &ino))
		record("truncate", ino, size, 0, "-", NULL);
	return r;
}

int fsync(int fd)
{
	ino_t ino;
	int r;

	REAL(int, "fsync", int);
	r = real(fd);
	if (r == 0 && fd_is_ours(fd, &ino))
		record("sync", ino, 0, 0, "-", NULL);
	return r;
}

int fdatasync(int fd)
{
	ino_t ino;
	int r;

	REAL(int, "fdatasync", int);
	r = real(fd);
	if (r == 0 && fd_is_ours(fd, &ino))
		record("sync", ino, 0, 0, "-", NULL);
	return r;
}

int open64(const char *path, int flags, ...);
int open64(const char *path, int flags, ...)
{
	mode_t mode = 0;
	va_list ap;
	struct stat st;
	const char *name;
	int existed, r;

	REAL(int, "open64", const char *, int, ...);
	va_start(ap, flags);
	if (flags & (O_CREAT | O_TMPFILE))
		mode = va_arg(ap, mode_t);
	va_end(ap);
	existed = access(path, F_OK) == 0;
	r = real(path, flags, mode);
	if (r < 0 || !(flags & O_CREAT) || existed)
		return r;
	name = our_name(path);
	if (name && fstat(r, &st) == 0)
		record("create", st.st_ino, 0, 0, name, NULL);
	return r;
}

int linkat(int from_dir, const char *from, int to_dir, const char *to, int flags)
{
	const char *name = our_name(to);
	struct stat st;
	int r;

	REAL(int, "linkat", int, const char *, int, const char *, int);
	r = real(from_dir, from, to_dir, to, flags);
	if (r == 0 && name && lstat(to, &st) == 0)
		record("link", st.st_ino, 0, 0, name, NULL);
	return r;
}

static void record_rename(const char *from, const char *to)
{
	const char *name = our_name(to), *was = our_name(from);
	char both[2 * NAME_MAX + 4];
	struct stat st;

	if (!name || !was || lstat(to, &st))
		return;
	snprintf(both, sizeof(both), "%s/%s", was, name);
	record("rename", st.st_ino, 0, 0, both, NULL);
}

int rename(const char *from, const char *to)
{
	int r;

	REAL(int, "rename", const char *, const char *);
	r = real(from, to);
	if (r == 0)
		record_rename(from, to);
	return r;
}

int renameat2(int from_dir, const char *from, int to_dir, const char *to, unsigned flags)
{
	int r;

	REAL(int, "renameat2", int, const char *, int, const char *, unsigned);
	r = real(from_dir, from, to_dir, to, flags);
	if (r == 0)
		record_rename(from, to);
	return r;
}

int unlink(const char *path)
{
	const char *name = our_name(path);
	int r;

	REAL(int, "unlink", const char *);
	r = real(path);
	if (r == 0 && name)
		record("unlink", 0, 0, 0, name, NULL);
	return r;
}

static void show(const char *path, struct stat *st)
{
	const char *mode = getenv("IBB_SHOW_MODE"), *uid = getenv("IBB_SHOW_UID");

	if (mode && is_ours(path) && S_ISREG(st->st_mode))
		st->st_mode |= (mode_t)strtoul(mode, NULL, 8);
	if (uid && is_ours(path) && strstr(path, ".ibbake-journal"))
		st->st_uid = (uid_t)atol(uid);
}

int fstat64(int fd, struct stat64 *st);
int fstat64(int fd, struct stat64 *st)
{
	char proc[64], path[PATH_MAX];
	ssize_t n;
	int r;

	REAL(int, "fstat64", int, struct stat64 *);
	r = real(fd, st);
	if (r)
		return r;
	snprintf(proc, sizeof(proc), "/proc/self/fd/%d", fd);
	n = readlink(proc, path, sizeof(path) - 1);
	if (n > 0) {
		path[n] = '\0';
		show(path, (struct stat *)st);
	}
	return 0;
}
