/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "imgfile.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/error.h"
#include "base/io.h"

/* ---- a file as a read-write disk ---- */

struct fd_disk {
	struct ibb_disk disk;
	int fd;
};

static int fd_pread(struct ibb_disk *d, void *buf, size_t n, uint64_t off, struct ibb_error *err)
{
	return ibb_pread_full(((struct fd_disk *)d)->fd, buf, n, off, d->name, err);
}

static int fd_pwrite(struct ibb_disk *d, const void *buf, size_t n, uint64_t off,
		     struct ibb_error *err)
{
	return ibb_pwrite_full(((struct fd_disk *)d)->fd, buf, n, off, d->name, err);
}

static int fd_flush(struct ibb_disk *d, struct ibb_error *err)
{
	(void)d;
	(void)err;
	return IBB_OK; /* a test image need not survive a power cut */
}

/* Volumes are filled through an overlay, which may be large. */
static const char *fd_spill_dir(const struct ibb_disk *d)
{
	const char *tmp = getenv("TMPDIR");

	(void)d;
	return tmp && *tmp ? tmp : "/tmp";
}

static const struct ibb_disk_ops fd_ops = {
	.name = "fd",
	.pread = fd_pread,
	.pwrite = fd_pwrite,
	.flush = fd_flush,
	.spill_dir = fd_spill_dir,
};

int imgfile_disk(int fd, const char *name, uint64_t len, uint32_t sector, struct ibb_disk **ret,
		 struct ibb_error *err)
{
	struct fd_disk *f = ibb_zalloc(sizeof(*f));
	int r;

	if (!f)
		return ibb_err_nomem(err);
	f->fd = fd;
	r = ibb_disk_init(&f->disk, &fd_ops, name, len, sector, err);
	if (r) {
		free(f);
		return r;
	}
	*ret = &f->disk;
	return IBB_OK;
}

/* ---- NTFS ---- */

int imgfile_temp(const char *beside, uint64_t size, int *ret_fd, struct ibb_error *err)
{
	IBB_AUTO_FREE char *path = ibb_asprintf("%s.part-XXXXXX", beside);
	int fd, r;

	if (!path)
		return ibb_err_nomem(err);
	fd = mkstemp(path);
	if (fd < 0)
		return ibb_err_os(err, errno, "%s: cannot create", path);
	unlink(path);
	if (ftruncate(fd, (off_t)size) < 0) {
		r = ibb_err_os(err, errno, "%s: cannot make it %llu bytes long", path,
			       (unsigned long long)size);
		close(fd);
		return r;
	}
	*ret_fd = fd;
	return IBB_OK;
}

static _Noreturn void exec_mkntfs(char *const argv[])
{
	int null = open("/dev/null", O_WRONLY);

	if (null >= 0) {
		dup2(null, STDOUT_FILENO);
		dup2(null, STDERR_FILENO);
	}
	execvp(argv[0], argv);
	execv("/usr/sbin/mkntfs", argv);
	_exit(127);
}

int imgfile_mkntfs(int fd, uint32_t sector, uint64_t start_sector, const char *label,
		   struct ibb_error *err)
{
	char path[64], sectors[16], start[24], name[64];
	char command[] = "mkntfs", geometry[] = "-H255", track[] = "-S63", volume[] = "-L";
	char force[] = "-FQT", size[] = "-s", hidden[] = "-p";
	char *argv[] = {command,  force, size,	 sectors, hidden, start,
			geometry, track, volume, name,	  path,	  NULL};
	int status;
	pid_t pid;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	snprintf(sectors, sizeof(sectors), "%u", sector);
	/* the boot sector's "hidden sectors" has 32 bits */
	snprintf(start, sizeof(start), "%llu", (unsigned long long)(start_sector & 0xffffffffu));
	snprintf(name, sizeof(name), "%s", label);
	pid = fork();
	if (pid < 0)
		return ibb_err_os(err, errno, "cannot start mkntfs");
	if (pid == 0)
		exec_mkntfs(argv);
	if (waitpid(pid, &status, 0) < 0)
		return ibb_err_os(err, errno, "mkntfs");
	if (WIFEXITED(status) && WEXITSTATUS(status) == 127)
		return ibb_err(err, IBB_E_NOTFOUND, "mkntfs is not installed (package ntfs-3g)");
	if (!WIFEXITED(status) || WEXITSTATUS(status))
		return ibb_err(err, IBB_E_IO, "mkntfs failed (wait status 0x%x)", status);
	return IBB_OK;
}

/* ---- copying ---- */

static int copy_run(int in_fd, int out_fd, off_t from, off_t to, uint64_t off,
		    struct ibb_error *err)
{
	static uint8_t block[1 << 18];

	while (from < to) {
		size_t n = sizeof(block);
		int r;

		if ((uint64_t)(to - from) < n)
			n = (size_t)(to - from);
		r = ibb_pread_full(in_fd, block, n, (uint64_t)from, "partition", err);
		if (!r)
			r = ibb_pwrite_full(out_fd, block, n, off + (uint64_t)from, "image", err);
		if (r)
			return r;
		from += (off_t)n;
	}
	return IBB_OK;
}

int imgfile_copy_sparse(int in_fd, int out_fd, uint64_t off, struct ibb_error *err)
{
	off_t at = 0;

	for (;;) {
		off_t data = lseek(in_fd, at, SEEK_DATA), hole;
		int r;

		if (data < 0)
			return errno == ENXIO ? IBB_OK : ibb_err_os(err, errno, "SEEK_DATA");
		hole = lseek(in_fd, data, SEEK_HOLE);
		if (hole < 0)
			return ibb_err_os(err, errno, "SEEK_HOLE");
		r = copy_run(in_fd, out_fd, data, hole, off, err);
		if (r)
			return r;
		at = hole;
	}
}
