/* SPDX-License-Identifier: GPL-3.0-or-later */
/* base/io: whole reads and writes, atomic files, locks, on a real file system. */
#include "test.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <unistd.h>

/*
 * The system calls that a file system may lack or fail. Defined here, they are the ones that
 * base/io.c calls: this program's symbols come before the C library's (_FILE_OFFSET_BITS=64 turns
 * open, pread and pwrite into their 64-bit namesakes in both places).
 */
static struct {
	int tmpfile_errno, renameat2_errno, link_errno, fsync_errno, linkat_errno;
	size_t pwrite_max; /* at most so many bytes a call */
	int pwrite_errno;
	int fsync_spares; /* so many calls work before */
	bool interrupt;	  /* every other call says EINTR */
	unsigned fs_type;
	const char *sweep_at_flock; /* of which name somebody removes leftovers before a lock */
} sim;

static int refuse(int code)
{
	errno = code;
	return -1;
}

int open(const char *path, int flags, ...)
{
	unsigned mode = 0;
	va_list ap;

	va_start(ap, flags);
	if (flags & (O_CREAT | O_TMPFILE))
		mode = va_arg(ap, unsigned);
	va_end(ap);
	if (sim.tmpfile_errno && (flags & O_TMPFILE) == O_TMPFILE)
		return refuse(sim.tmpfile_errno);
	return (int)syscall(SYS_openat, AT_FDCWD, path, flags, mode);
}

int renameat2(int from_fd, const char *from, int to_fd, const char *to, unsigned flags)
{
	if (sim.renameat2_errno)
		return refuse(sim.renameat2_errno);
	return (int)syscall(SYS_renameat2, from_fd, from, to_fd, to, flags);
}

int link(const char *from, const char *to)
{
	if (sim.link_errno)
		return refuse(sim.link_errno);
	return (int)syscall(SYS_linkat, AT_FDCWD, from, AT_FDCWD, to, 0);
}

int linkat(int from_fd, const char *from, int to_fd, const char *to, int flags)
{
	if (sim.linkat_errno)
		return refuse(sim.linkat_errno);
	return (int)syscall(SYS_linkat, from_fd, from, to_fd, to, flags);
}

int flock(int fd, int how)
{
	const char *path = sim.sweep_at_flock;

	sim.sweep_at_flock = NULL;
	if (path)
		assert_int_equal(ibb_atomic_sweep(path, NULL), IBB_OK);
	return (int)syscall(SYS_flock, fd, how);
}

int fstatfs(int fd, struct statfs *st)
{
	int r = (int)syscall(SYS_fstatfs, fd, st);

	if (sim.fs_type)
		st->f_type = sim.fs_type;
	return r;
}

int fsync(int fd)
{
	if (sim.fsync_errno && sim.fsync_spares-- <= 0)
		return refuse(sim.fsync_errno);
	return (int)syscall(SYS_fsync, fd);
}

static bool interrupted(void)
{
	static unsigned calls;

	errno = EINTR;
	return sim.interrupt && calls++ % 2 == 0;
}

ssize_t pwrite(int fd, const void *p, size_t n, off_t off)
{
	if (interrupted())
		return -1;
	if (sim.pwrite_errno && off >= (off_t)sim.pwrite_max)
		return refuse(sim.pwrite_errno);
	if (sim.pwrite_max && n > sim.pwrite_max)
		n = sim.pwrite_max;
	return syscall(SYS_pwrite64, fd, p, n, off);
}

ssize_t pread(int fd, void *p, size_t n, off_t off)
{
	if (interrupted())
		return -1;
	return syscall(SYS_pread64, fd, p, sim.interrupt && n > 3 ? 3 : n, off);
}

/* A fresh directory a case, where the case works. */
static char root[64];

static int setup(void **state)
{
	(void)state;
	memset(&sim, 0, sizeof(sim));
	snprintf(root, sizeof(root), "/tmp/ibbake-io.XXXXXX");
	return mkdtemp(root) && chdir(root) == 0 ? 0 : -1;
}

/* Names in the working directory, "." and ".." apart; -1 when it cannot be listed. */
static int count_names(void)
{
	DIR *d = opendir(".");
	int n = 0;

	if (!d)
		return -1;
	while (readdir(d))
		n++;
	closedir(d);
	return n - 2;
}

static int teardown(void **state)
{
	DIR *d = opendir(root);

	(void)state;
	memset(&sim, 0, sizeof(sim));
	for (struct dirent *e; d && (e = readdir(d));)
		if (unlinkat(dirfd(d), e->d_name, 0))
			(void)unlinkat(dirfd(d), e->d_name, AT_REMOVEDIR);
	if (d)
		closedir(d);
	return chdir("/") || rmdir(root) ? -1 : 0;
}

static void write_text(const char *path, const char *text)
{
	FILE *f = fopen(path, "we");

	assert_non_null(f);
	assert_int_equal(fwrite(text, 1, strlen(text), f), strlen(text));
	assert_int_equal(fclose(f), 0);
}

static void assert_text(const char *path, const char *text)
{
	struct ibb_error err = {0};
	struct ibb_buf b = {0};

	assert_ok(ibb_read_file(path, 1 << 20, &b, &err), err);
	assert_string_equal(ibb_buf_cstr(&b), text);
	ibb_buf_clear(&b);
}

static void test_read_file(void **state)
{
	struct ibb_error err = {0};
	struct ibb_buf b = {0};

	(void)state;
	write_text("f", "0123456789");
	assert_int_equal(ibb_buf_append_str(&b, "old"), IBB_OK);
	assert_fails(ibb_read_file("f", 9, &b, &err), IBB_E_LIMIT, err,
		     "f: 10 bytes, more than the limit of 9");
	assert_fails(ibb_read_file("none", 9, &b, &err), IBB_E_IO, err,
		     "none: open: No such file or directory");
	assert_int_equal(err.os_errno, ENOENT);
	assert_fails(ibb_read_file(".", 9, &b, &err), IBB_E_INVALID, err, ".: not a regular file");
	assert_int_equal(mkfifo("pipe", 0600), 0);
	assert_fails(ibb_read_file("pipe", 9, &b, &err), IBB_E_INVALID, err, "not a regular file");
	assert_fails(ibb_read_file("/dev/zero", 9, &b, &err), IBB_E_INVALID, err, "not a regular");
	assert_int_equal(b.len, 3); /* untouched */
	assert_ok(ibb_read_file("f", 10, &b, &err), err);
	assert_int_equal(b.len, 10);
	assert_memory_equal(b.data, "0123456789", 10);
	sim.interrupt = true; /* EINTR and short reads */
	assert_ok(ibb_read_file("f", 10, &b, &err), err);
	assert_memory_equal(b.data, "0123456789", 10);
	write_text("empty", "");
	assert_ok(ibb_read_file("empty", 0, &b, &err), err);
	assert_int_equal(b.len, 0);
	ibb_buf_clear(&b);
}

static void test_full(void **state)
{
	struct ibb_error err = {0};
	char buf[16] = {0};
	int fd;

	(void)state;
	fd = open("f", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
	sim.interrupt = true;
	sim.pwrite_max = 2;
	assert_ok(ibb_pwrite_full(fd, "abcdefghij", 10, 5, "f", &err), err);
	assert_ok(ibb_pread_full(fd, buf, 10, 5, "f", &err), err);
	assert_memory_equal(buf, "abcdefghij", 10);
	assert_ok(ibb_pread_full(fd, buf, 0, 1000, "f", &err), err);
	sim.interrupt = false;
	assert_fails(ibb_pread_full(fd, buf, 10, 6, "f", &err), IBB_E_CORRUPT, err,
		     "f: truncated: no data at offset 15");
	assert_fails(ibb_pread_full(fd, buf, 2, INT64_MAX - 1, "f", &err), IBB_E_INVALID, err,
		     "past the end of any file");
	assert_fails(ibb_pread_full(fd, buf, 1, UINT64_MAX, "f", &err), IBB_E_INVALID, err, "f: ");
	assert_fails(ibb_pwrite_full(fd, buf, 2, INT64_MAX - 1, "f", &err), IBB_E_INVALID, err,
		     "past the end of any file");
	sim.pwrite_max = 4;
	sim.pwrite_errno = ENOSPC;
	assert_fails(ibb_pwrite_full(fd, "abcdefghij", 10, 0, "f", &err), IBB_E_NOSPACE, err,
		     "f: write at offset 4: No space left on device");
	ibb_close_fd(&fd);
	assert_int_equal(fd, -1);
	errno = 99;
	ibb_close_fd(&fd);
	assert_int_equal(errno, 99);
	assert_fails(ibb_pread_full(-1, buf, 1, 0, "f", &err), IBB_E_IO, err,
		     "Bad file descriptor");
}

static void test_identity(void **state)
{
	struct ibb_error err = {0};
	struct ibb_file_id a, b;
	struct timespec times[2] = {{.tv_nsec = UTIME_OMIT}, {.tv_sec = 1000, .tv_nsec = 5}};
	int fd;

	(void)state;
	write_text("f", "abc");
	assert_int_equal(link("f", "hard"), 0);
	assert_int_equal(symlink("f", "soft"), 0);
	write_text("other", "abc");
	fd = open("f", O_RDWR | O_CLOEXEC, 0);
	assert_ok(ibb_file_id_fd(fd, "f", &a, &err), err);
	assert_true(a.size_bytes == 3);
	assert_true(ibb_path_is("f", &a));
	assert_true(ibb_path_is("./f", &a));
	assert_true(ibb_path_is("hard", &a));
	assert_true(ibb_path_is("soft", &a));
	assert_false(ibb_path_is("other", &a));
	assert_false(ibb_path_is("none", &a));
	assert_true(ibb_same_path("f", "soft") && ibb_same_path("hard", "./f"));
	assert_true(ibb_same_path(".", "./."));
	assert_false(ibb_same_path("f", "other") || ibb_same_path("f", "."));
	assert_false(ibb_same_path("f", "none") || ibb_same_path("none", "none"));
	assert_ok(ibb_file_id_fd(fd, "f", &b, &err), err);
	assert_true(ibb_same_file(&a, &b) && ibb_same_state(&a, &b));
	assert_int_equal(futimens(fd, times), 0);
	assert_ok(ibb_file_id_fd(fd, "f", &b, &err), err);
	assert_true(ibb_same_file(&a, &b));
	assert_false(ibb_same_state(&a, &b));
	a = b;
	assert_ok(ibb_pwrite_full(fd, "d", 1, 3, "f", &err), err);
	assert_int_equal(futimens(fd, times), 0); /* the time put back: the size still tells */
	assert_ok(ibb_file_id_fd(fd, "f", &b, &err), err);
	assert_false(ibb_same_state(&a, &b));
	ibb_close_fd(&fd);
	assert_fails(ibb_file_id_fd(-1, "f", &b, &err), IBB_E_IO, err, "f: stat");
}

/* The unnamed route, and the named one on file systems without O_TMPFILE. */
static void each_route(void (*fn)(void))
{
	static const int lacks[] = {0, EOPNOTSUPP, EISDIR, EINVAL};

	for (size_t i = 0; i < IBB_ARRAY_SIZE(lacks); i++) {
		memset(&sim, 0, sizeof(sim));
		sim.tmpfile_errno = lacks[i];
		fn();
		(void)unlink("out");
		assert_int_equal(count_names(), 0); /* no temporary is left */
	}
	memset(&sim, 0, sizeof(sim));
}

static void put(const char *path, const char *text, bool replace)
{
	struct ibb_error err = {0};
	struct ibb_atomic a;

	assert_ok(ibb_atomic_begin(&a, path, replace, &err), err);
	assert_ok(ibb_pwrite_full(a.fd, text, strlen(text), 0, path, &err), err);
	assert_ok(ibb_atomic_commit(&a, &err), err);
	ibb_atomic_abort(&a); /* harmless */
}

static void commit_abort_replace(void)
{
	struct ibb_error err = {0};
	struct ibb_atomic a;

	assert_ok(ibb_atomic_begin(&a, "out", false, &err), err);
	assert_int_equal(access("out", F_OK), -1);
	assert_ok(ibb_pwrite_full(a.fd, "x", 1, 0, "out", &err), err);
	ibb_atomic_abort(&a);
	ibb_atomic_abort(&a);
	assert_int_equal(count_names(), 0);

	put("out", "one", false);
	assert_text("out", "one");
	assert_fails(ibb_atomic_begin(&a, "out", false, &err), IBB_E_EXISTS, err,
		     "out: exists already");
	assert_string_equal(err.hint, "choose another name, or allow it with --overwrite");
	put("out", "two", true);
	assert_text("out", "two");
	put("./out", "three", true);
	assert_text("out", "three");
	assert_int_equal(count_names(), 1);
}

static void test_atomic(void **state)
{
	(void)state;
	each_route(commit_abort_replace);
}

/* Somebody else's file that appears in the meantime is not replaced, whatever the file system. */
static void race(void)
{
	struct ibb_error err = {0};
	struct ibb_atomic a;

	assert_ok(ibb_atomic_begin(&a, "out", false, &err), err);
	assert_ok(ibb_pwrite_full(a.fd, "mine", 4, 0, "out", &err), err);
	write_text("out", "theirs");
	assert_fails(ibb_atomic_commit(&a, &err), IBB_E_EXISTS, err,
		     "out: appeared while it was being written");
	assert_text("out", "theirs");
	assert_int_equal(count_names(), 1);
	assert_int_equal(unlink("out"), 0);
	/* the same, when the file is worth to be kept */
	assert_ok(ibb_atomic_begin(&a, "out", false, &err), err);
	assert_ok(ibb_pwrite_full(a.fd, "mine", 4, 0, "out", &err), err);
	a.keep = true;
	write_text("out", "theirs");
	assert_fails(ibb_atomic_commit(&a, &err), IBB_E_EXISTS, err, "out: appeared");
	assert_text("out", "theirs");
	assert_int_equal(count_names(), 2);
	assert_int_equal(strncmp(err.hint, "the finished file is ./.out.ibbake-", 35), 0);
	*strrchr(err.hint, ':') = '\0';
	assert_text(err.hint + strlen("the finished file is "), "mine");
	assert_int_equal(unlink(err.hint + strlen("the finished file is ")), 0);
	assert_int_equal(unlink("out"), 0);
}

static void test_race(void **state)
{
	static const int no_flag[] = {EINVAL, ENOSYS, EOPNOTSUPP};

	(void)state;
	each_route(race);
	for (size_t i = 0; i < IBB_ARRAY_SIZE(no_flag); i++) {
		sim.tmpfile_errno = EOPNOTSUPP;
		sim.renameat2_errno = no_flag[i]; /* as on NFS: link() decides */
		race();
		put("out", "x", false);
		assert_text("out", "x");
		assert_int_equal(unlink("out"), 0);
		sim.link_errno = EPERM; /* as on exFAT: no hard links either */
		race();
		put("out", "x", false);
		assert_text("out", "x");
		assert_int_equal(unlink("out"), 0);
		assert_int_equal(count_names(), 0);
		sim.link_errno = 0;
	}
}

static void test_refused_targets(void **state)
{
	struct ibb_error err = {0};
	struct ibb_atomic a;

	(void)state;
	assert_int_equal(mkdir("dir", 0700), 0);
	assert_int_equal(symlink("dir/x", "link"), 0);
	assert_int_equal(mkfifo("pipe", 0600), 0);
	for (int replace = 0; replace < 2; replace++) {
		assert_fails(ibb_atomic_begin(&a, "dir", replace, &err), IBB_E_EXISTS, err,
			     "dir: is a directory");
		assert_fails(ibb_atomic_begin(&a, "dir/", replace, &err), IBB_E_INVALID, err,
			     "dir/: the output must be a file name");
		assert_fails(ibb_atomic_begin(&a, "link", replace, &err), IBB_E_EXISTS, err,
			     "link: exists and is no regular file");
		assert_fails(ibb_atomic_begin(&a, "pipe", replace, &err), IBB_E_EXISTS, err,
			     "pipe: exists and is no regular file");
		assert_fails(ibb_atomic_begin(&a, "/dev/null", replace, &err), IBB_E_EXISTS, err,
			     "/dev/null: exists and is no regular file");
		assert_fails(ibb_atomic_begin(&a, "none/x", replace, &err), IBB_E_IO, err,
			     "none/x: open the directory none: No such file or directory");
		ibb_atomic_abort(&a); /* after a failed begin as well */
	}
	write_text("plain", "");
	assert_fails(ibb_atomic_begin(&a, "plain/x", false, &err), IBB_E_IO, err,
		     "Not a directory");
	assert_int_equal(count_names(), 4);
}

/* A disk that fails at the end: an error, the old file stays, nothing else is left. */
static void failing(void)
{
	struct ibb_error err = {0};
	struct ibb_atomic a;

	write_text("out", "old");
	assert_ok(ibb_atomic_begin(&a, "out", true, &err), err);
	sim.fsync_errno = EIO;
	assert_fails(ibb_atomic_commit(&a, &err), IBB_E_IO, err, "out: fsync: Input/output error");
	sim.fsync_errno = 0;
	assert_text("out", "old");
	assert_int_equal(count_names(), 1);
	assert_int_equal(unlink("out"), 0);
}

static void test_failing_disk(void **state)
{
	struct ibb_error err = {0};
	struct ibb_atomic a;

	(void)state;
	each_route(failing);
	for (int replace = 0; replace < 2; replace++) {
		assert_ok(ibb_atomic_begin(&a, "out", replace, &err), err);
		sim.linkat_errno = ENOSPC;
		assert_fails(ibb_atomic_commit(&a, &err), IBB_E_NOSPACE, err,
			     replace ? "out: create a file in .: No space left"
				     : "out: link into place: No space left");
		sim.linkat_errno = 0;
		assert_int_equal(count_names(), 0);
	}
	/* the directory: an error, though the file has its name; some file systems cannot sync one
	 */
	assert_ok(ibb_atomic_begin(&a, "out", false, &err), err);
	sim.fsync_errno = EIO;
	sim.fsync_spares = 1;
	assert_fails(ibb_atomic_commit(&a, &err), IBB_E_IO, err,
		     "may still take its name: fsync of its directory");
	assert_int_equal(access("out", F_OK), 0);
	sim.fsync_errno = EINVAL;
	sim.fsync_spares = 1;
	put("out", "x", true);
	sim.fsync_errno = 0;
	assert_int_equal(unlink("out"), 0);

	sim.tmpfile_errno = EDQUOT;
	assert_fails(ibb_atomic_begin(&a, "out", false, &err), IBB_E_NOSPACE, err,
		     "out: create a file in .: Disk quota exceeded");
	sim.tmpfile_errno = EOPNOTSUPP;
	sim.renameat2_errno = EIO;
	assert_ok(ibb_atomic_begin(&a, "out", false, &err), err);
	assert_fails(ibb_atomic_commit(&a, &err), IBB_E_IO, err, "out: rename into place");
	assert_int_equal(count_names(), 0);
}

/* A name that leaves no room for the temporary's or the lock's. */
static void test_long_name(void **state)
{
	struct ibb_error err = {0};
	struct ibb_atomic a;
	struct ibb_lock l;
	char name[252];

	(void)state;
	memset(name, 'n', sizeof(name) - 1);
	name[sizeof(name) - 1] = '\0';
	put(name, "x", false); /* an unnamed file needs none */
	assert_int_equal(unlink(name), 0);
	sim.tmpfile_errno = EOPNOTSUPP;
	assert_fails(ibb_atomic_begin(&a, name, false, &err), IBB_E_IO, err, "File name too long");
	assert_fails(ibb_lock_take(&l, name, &err), IBB_E_IO, err, "File name too long");
	assert_int_equal(count_names(), 0);
}

/* A child that is killed while it writes leaves nothing under the final name. */
static void killed(void)
{
	struct ibb_atomic a;
	int ready[2], status;
	pid_t child;
	char c;

	assert_int_equal(pipe(ready), 0);
	child = fork();
	if (!child) {
		if (ibb_atomic_begin(&a, "out", false, NULL) ||
		    ibb_pwrite_full(a.fd, "half", 4, 0, "out", NULL) ||
		    write(ready[1], "x", 1) != 1)
			_exit(1);
		for (;;)
			pause();
	}
	assert_true(child > 0);
	assert_int_equal(read(ready[0], &c, 1), 1);
	assert_int_equal(kill(child, SIGKILL), 0);
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFSIGNALED(status));
	close(ready[0]);
	close(ready[1]);
	assert_int_equal(access("out", F_OK), -1);
	/* the unnamed file is gone with its process; a named one has a name that says what it is */
	assert_int_equal(count_names(), sim.tmpfile_errno ? 1 : 0);
	if (sim.tmpfile_errno) {
		char name[64];

		snprintf(name, sizeof(name), ".out.ibbake-%ld.tmp", (long)child);
		assert_int_equal(unlink(name), 0);
	}
	put("out", "whole", false);
	assert_text("out", "whole");
}

static void test_killed(void **state)
{
	(void)state;
	each_route(killed);
}

/* What a killed run left has our process id, as it has in a container: the next run goes on. */
static void left_behind(bool replace)
{
	struct ibb_error err = {0};
	struct ibb_atomic a;
	char first[64], second[64];

	snprintf(first, sizeof(first), ".out.ibbake-%ld.tmp", (long)getpid());
	snprintf(second, sizeof(second), ".out.ibbake-%ld-1.tmp", (long)getpid());
	write_text(first, "left");
	assert_ok(ibb_atomic_begin(&a, "out", replace, &err), err);
	assert_ok(ibb_pwrite_full(a.fd, "new", 3, 0, "out", &err), err);
	assert_ok(ibb_atomic_prepare(&a, &err), err);
	assert_text(first, "left");
	assert_int_equal(access(second, F_OK), replace || sim.tmpfile_errno ? 0 : -1);
	assert_ok(ibb_atomic_commit(&a, &err), err);
	assert_text("out", "new");
	assert_text(first, "left");
	assert_int_equal(count_names(), 2);
	assert_int_equal(unlink(first), 0);
	assert_int_equal(unlink("out"), 0);
}

static void left_behind_both(void)
{
	left_behind(false);
	left_behind(true);
}

static void test_left_behind(void **state)
{
	(void)state;
	each_route(left_behind_both);
}

static void aside(void)
{
	struct ibb_error err = {0};
	struct ibb_aside a, b;
	char hidden[64], hint[160];

	snprintf(hidden, sizeof(hidden), ".old.ibbake-%ld-0.old", (long)getpid());
	/* nothing there */
	assert_ok(ibb_aside_put(&a, "old", &err), err);
	assert_null(a.tmp);
	ibb_aside_back(&a, &err);
	ibb_aside_drop(&a);
	assert_int_equal(count_names(), 0);
	/* away, back, away for good */
	write_text("old", "one");
	assert_ok(ibb_aside_put(&a, "old", &err), err);
	assert_int_equal(access("old", F_OK), -1);
	assert_text(hidden, "one");
	ibb_aside_back(&a, &err);
	assert_string_equal(err.hint, "");
	assert_text("old", "one");
	assert_ok(ibb_aside_put(&a, "old", &err), err);
	ibb_aside_drop(&a);
	assert_int_equal(count_names(), 0);
	/* what is there already stays: under the hidden name, and under its own */
	write_text("old", "two");
	assert_ok(ibb_aside_put(&a, "old", &err), err);
	write_text("old", "three");
	assert_ok(ibb_aside_put(&b, "old", &err), err);
	assert_text(hidden, "two");
	ibb_aside_back(&b, &err);
	assert_string_equal(err.hint, "");
	ibb_err(&err, IBB_E_IO, "what went wrong");
	ibb_aside_back(&a, &err);
	assert_string_equal(err.msg, "what went wrong");
	snprintf(hint, sizeof(hint),
		 "old is ./%s now, and could not get its name back: File exists", hidden);
	assert_string_equal(err.hint, hint);
	assert_text("old", "three");
	assert_text(hidden, "two");
	assert_int_equal(unlink(hidden), 0);
	/* not known to be durable: not done */
	sim.fsync_errno = EIO;
	assert_fails(ibb_aside_put(&a, "old", &err), IBB_E_IO, err, "old: fsync of its directory");
	sim.fsync_errno = 0;
	assert_null(a.path);
	assert_text("old", "three");
	assert_int_equal(count_names(), 1);
	assert_fails(ibb_aside_put(&a, "old/x", &err), IBB_E_IO, err, "old/x: put it aside");
	assert_int_equal(unlink("old"), 0);
}

static void test_aside(void **state)
{
	(void)state;
	each_route(aside);
}

/* All that can fail before the old file is touched has been done by prepare. */
static void prepared(void)
{
	struct ibb_error err = {0};
	struct ibb_atomic a;

	write_text("out", "old");
	for (int commit = 0; commit < 2; commit++) {
		assert_ok(ibb_atomic_begin(&a, "out", true, &err), err);
		assert_ok(ibb_pwrite_full(a.fd, "new", 3, 0, "out", &err), err);
		assert_ok(ibb_atomic_prepare(&a, &err), err);
		assert_text("out", "old");
		assert_int_equal(count_names(), 2);
		assert_ok(ibb_atomic_prepare(&a, &err), err);
		sim.linkat_errno = EIO;
		if (commit)
			assert_ok(ibb_atomic_commit(&a, &err), err);
		sim.linkat_errno = 0;
		assert_int_equal(a.published, commit);
		ibb_atomic_abort(&a);
		assert_text("out", commit ? "new" : "old");
		assert_int_equal(count_names(), 1);
	}
	/* the name is there, though the directory may not be durable */
	assert_ok(ibb_atomic_begin(&a, "out", true, &err), err);
	assert_ok(ibb_atomic_prepare(&a, &err), err);
	sim.fsync_errno = EIO;
	assert_fails(ibb_atomic_commit(&a, &err), IBB_E_IO, err,
		     "may still take its name: fsync of its directory");
	sim.fsync_errno = 0;
	assert_true(a.published);
	assert_int_equal(unlink("out"), 0);
}

static void test_prepared(void **state)
{
	(void)state;
	each_route(prepared);
}

/* What another process gets for the lock on "img". */
static int lock_in_child(void)
{
	pid_t child = fork();
	int status;

	if (!child) {
		struct ibb_lock l;
		int r = ibb_lock_take(&l, "img", NULL);

		if (!r)
			ibb_lock_release(&l);
		_exit(-r);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFEXITED(status));
	return -WEXITSTATUS(status);
}

static void test_lock(void **state)
{
	struct ibb_error err = {0};
	struct ibb_lock l, second;

	(void)state;
	assert_ok(ibb_lock_take(&l, "img", &err), err);
	assert_int_equal(access(".img.ibbake-lock", F_OK), 0);
	assert_int_equal(lock_in_child(), IBB_E_CONFLICT);
	assert_fails(ibb_lock_take(&second, "img", &err), IBB_E_CONFLICT, err,
		     "img: another ibbake is writing it");
	assert_fails(ibb_lock_take(&second, "./img", &err), IBB_E_CONFLICT, err, "another ibbake");
	assert_ok(ibb_lock_take(&second, "img2", &err), err);
	ibb_lock_release(&second);
	ibb_lock_release(&l);
	ibb_lock_release(&l);
	assert_int_equal(count_names(), 0);
	assert_int_equal(lock_in_child(), IBB_OK);
	/* left behind by a killed process: does not block */
	write_text(".img.ibbake-lock", "");
	assert_ok(ibb_lock_take(&l, "img", &err), err);
	ibb_lock_release(&l);
	assert_int_equal(count_names(), 0);
	/* a symlink is not followed to somebody else's file */
	assert_int_equal(symlink("victim", ".img.ibbake-lock"), 0);
	assert_fails(ibb_lock_take(&l, "img", &err), IBB_E_IO, err,
		     "img: lock file .img.ibbake-lock");
	assert_int_equal(access("victim", F_OK), -1);
	assert_fails(ibb_lock_take(&l, "none/img", &err), IBB_E_IO, err,
		     "none/img: its directory none: No such file or directory");
	write_text("file", "");
	assert_fails(ibb_lock_take(&l, "file/img", &err), IBB_E_IO, err,
		     "file/img: its directory file: Not a directory");
}

/* Many processes, one lock: never two inside at once. */
static void test_lock_contention(void **state)
{
	enum { N_CHILDREN = 4, ROUNDS = 200 };
	pid_t children[N_CHILDREN];
	int status;

	(void)state;
	for (int i = 0; i < N_CHILDREN; i++) {
		children[i] = fork();
		if (children[i])
			continue;
		for (int got = 0; got < ROUNDS;) {
			struct ibb_lock l;
			int r = ibb_lock_take(&l, "img", NULL), fd;

			if (r == IBB_E_CONFLICT)
				continue;
			if (r)
				_exit(1);
			fd = open("inside", O_CREAT | O_EXCL | O_CLOEXEC, 0600);
			if (fd < 0 || unlink("inside"))
				_exit(2);
			close(fd);
			ibb_lock_release(&l);
			got++;
		}
		_exit(0);
	}
	for (int i = 0; i < N_CHILDREN; i++) {
		assert_int_equal(waitpid(children[i], &status, 0), children[i]);
		assert_int_equal(status, 0);
	}
	assert_int_equal(count_names(), 0);
}

/* A child that has a temporary name of `path`, and keeps it until it is killed. */
static pid_t at_work(const char *path, char name[64])
{
	struct ibb_atomic a;
	const char *tmp;
	int ready[2];
	pid_t child;
	char c;

	assert_int_equal(pipe(ready), 0);
	child = fork();
	if (!child) {
		if (ibb_atomic_begin(&a, path, true, NULL) || ibb_atomic_tmp_name(&a, &tmp, NULL) ||
		    write(ready[1], "x", 1) != 1)
			_exit(1);
		for (;;)
			pause();
	}
	assert_true(child > 0);
	assert_int_equal(read(ready[0], &c, 1), 1);
	close(ready[0]);
	close(ready[1]);
	snprintf(name, 64, ".%s.ibbake-%ld.tmp", path, (long)child);
	assert_int_equal(access(name, F_OK), 0);
	return child;
}

static void swept(const char *path, int removed)
{
	const int before = count_names();
	struct ibb_error err = {0};

	assert_ok(ibb_atomic_sweep(path, &err), err);
	assert_int_equal(count_names(), before - removed);
}

static void sweep(void)
{
	char dead[64], alive[64], other[64];
	pid_t children[] = {at_work("out", dead), at_work("out", alive), at_work("out2", other)};
	int status;

	swept("out", 0);
	kill(children[0], SIGKILL);
	kill(children[2], SIGKILL);
	assert_int_equal(waitpid(children[0], &status, 0), children[0]);
	assert_int_equal(waitpid(children[2], &status, 0), children[2]);
	swept("out", 1);
	assert_int_equal(access(dead, F_OK), -1);
	assert_int_equal(access(alive, F_OK), 0);
	assert_int_equal(access(other, F_OK), 0);
	kill(children[1], SIGKILL);
	assert_int_equal(waitpid(children[1], &status, 0), children[1]);
	swept("./out", 1);
	swept("out2", 1);
	assert_int_equal(count_names(), 0);
}

/* A child that has a record lock of the file, as the server of a network file system has those of
 * its clients. */
static pid_t lock_record(const char *name)
{
	struct flock whole = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
	int ready[2], fd;
	pid_t child;
	char c;

	assert_int_equal(pipe(ready), 0);
	child = fork();
	if (!child) {
		fd = open(name, O_RDWR | O_CLOEXEC);
		if (fd < 0 || fcntl(fd, F_SETLK, &whole) || write(ready[1], "x", 1) != 1)
			_exit(1);
		for (;;)
			pause();
	}
	assert_true(child > 0);
	assert_int_equal(read(ready[0], &c, 1), 1);
	close(ready[0]);
	close(ready[1]);
	return child;
}

static void test_sweep_elsewhere(void **state)
{
	/* NFS, FUSE, Lustre, GPFS, and one that nobody knows */
	static const unsigned shared[] = {0x6969, 0x65735546, 0x0bd00bd0, 0x47504653, 0x12345678};
	static const unsigned local[] = {0xef53,     0x58465342, 0x9123683e, 0x01021994,
					 0xf2f52010, 0x2fc12fc1, 0x794c7630};
	const char *name = ".out.ibbake-1.tmp";
	pid_t child;
	int status;

	(void)state;
	write_text(name, "left");
	sim.fs_type = local[0];
	child = lock_record(name);
	swept("out", 0);
	kill(child, SIGKILL);
	assert_int_equal(waitpid(child, &status, 0), child);
	for (size_t i = 0; i < IBB_ARRAY_SIZE(shared); i++) {
		sim.fs_type = shared[i];
		swept("out", 0);
	}
	for (size_t i = 0; i < IBB_ARRAY_SIZE(local); i++) {
		sim.fs_type = local[i];
		swept("out", 1);
		write_text(name, "left");
	}
}

static void test_sweep(void **state)
{
	static const char *const ours[] = {".out.ibbake-1.tmp", ".out.ibbake-4194304-99.tmp"};
	static const char *const kept[] = {".out.manifest.json.ibbake-1.tmp",
					   ".out.ibbake-1-0.old",
					   ".out.ibbake-lock",
					   ".out.ibbake-.tmp",
					   ".out.ibbake-1-.tmp",
					   ".out.ibbake-1-2-3.tmp",
					   ".out.ibbake-1.tmp2",
					   ".out.ibbake-1x.tmp",
					   ".outer.ibbake-1.tmp",
					   "out.ibbake-1.tmp",
					   "out",
					   "target"};

	(void)state;
	each_route(sweep);
	for (size_t i = 0; i < IBB_ARRAY_SIZE(ours); i++)
		write_text(ours[i], "left");
	for (size_t i = 0; i < IBB_ARRAY_SIZE(kept); i++)
		write_text(kept[i], "kept");
	assert_int_equal(mkdir(".out.ibbake-5.tmp", 0700), 0);
	assert_int_equal(symlink("target", ".out.ibbake-6.tmp"), 0);
	assert_int_equal(mkfifo(".out.ibbake-7.tmp", 0600), 0);
	swept("out", IBB_ARRAY_SIZE(ours));
	for (size_t i = 0; i < IBB_ARRAY_SIZE(kept); i++)
		assert_text(kept[i], "kept");
	assert_int_equal(count_names(), IBB_ARRAY_SIZE(kept) + 3);
	swept("none/out", 0);
	swept("./", 0);
}

/* The name is removed between the making of the file and its lock: another one is taken. */
static void test_swept_too_early(void **state)
{
	struct ibb_error err = {0};
	struct ibb_atomic a;
	char second[64];

	(void)state;
	sim.tmpfile_errno = EOPNOTSUPP;
	sim.sweep_at_flock = "out";
	snprintf(second, sizeof(second), "./.out.ibbake-%ld-1.tmp", (long)getpid());
	assert_ok(ibb_atomic_begin(&a, "out", false, &err), err);
	assert_null(sim.sweep_at_flock);
	assert_string_equal(a.tmp, second);
	assert_ok(ibb_pwrite_full(a.fd, "new", 3, 0, "out", &err), err);
	assert_ok(ibb_atomic_commit(&a, &err), err);
	assert_text("out", "new");
	assert_int_equal(count_names(), 1);
}

#define CASE(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(test_read_file),
		CASE(test_full),
		CASE(test_identity),
		CASE(test_atomic),
		CASE(test_race),
		CASE(test_refused_targets),
		CASE(test_failing_disk),
		CASE(test_long_name),
		CASE(test_killed),
		CASE(test_left_behind),
		CASE(test_lock),
		CASE(test_lock_contention),
		CASE(test_aside),
		CASE(test_prepared),
		CASE(test_sweep),
		CASE(test_swept_too_early),
		CASE(test_sweep_elsewhere),
	};

	return cmocka_run_group_tests(tests, NULL, NULL) ? 1 : 0;
}
