/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "disk/sink.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/statvfs.h>
#include <unistd.h>

#define WRITEBACK (8u << 20)

int ibb_fd_no_space(int fd, const char *name, uint64_t wanted, struct ibb_error *err)
{
	struct statvfs vfs;
	uint64_t left;

	if (fstatvfs(fd, &vfs))
		return IBB_E_NOSPACE;
	left = (uint64_t)vfs.f_bavail * vfs.f_frsize;
	if (left >= wanted) /* a quota, or somebody made room meanwhile */
		return IBB_E_NOSPACE;
	ibb_err(err, IBB_E_NOSPACE,
		"%s: no space left for the image: %llu bytes more to write, %llu free, %llu "
		"missing",
		name, (unsigned long long)wanted, (unsigned long long)left,
		(unsigned long long)(wanted - left));
	if (err)
		err->os_errno = ENOSPC;
	return ibb_err_hint(err, IBB_E_NOSPACE,
			    "free space on that file system, or write the image to another one");
}

static void start_writeback(struct ibb_sink_fd *s)
{
	/* only a hint: what it cannot do or finds wrong, the fsync does and reports */
	(void)!sync_file_range(s->fd, (off_t)s->fresh_off, (off_t)(s->fresh_end - s->fresh_off),
			       SYNC_FILE_RANGE_WRITE);
	s->fresh_off = s->fresh_end;
}

static int fd_pwrite(struct ibb_sink *sink, const void *buf, size_t n, uint64_t off,
		     struct ibb_error *err)
{
	struct ibb_sink_fd *s = (struct ibb_sink_fd *)sink;
	int r = ibb_pwrite_full(s->fd, buf, n, off, sink->name, err);

	if (r)
		return r == IBB_E_NOSPACE ? ibb_fd_no_space(s->fd, sink->name, n, err) : r;
	if (off < s->fresh_off || off > s->fresh_end + WRITEBACK) {
		start_writeback(s);
		s->fresh_off = off;
	}
	s->fresh_end = off + n;
	if (s->fresh_end - s->fresh_off >= WRITEBACK)
		start_writeback(s);
	return IBB_OK;
}

static int fd_truncate(struct ibb_sink *sink, uint64_t size_bytes, struct ibb_error *err)
{
	const struct ibb_sink_fd *s = (struct ibb_sink_fd *)sink;
	int r;

	do
		r = ftruncate(s->fd, (off_t)size_bytes);
	while (r && errno == EINTR);
	return r ? ibb_err_os(err, errno, "%s: set the size to %llu", sink->name,
			      (unsigned long long)size_bytes)
		 : IBB_OK;
}

void ibb_sink_fd_init(struct ibb_sink_fd *s, int fd, const char *name)
{
	*s = (struct ibb_sink_fd){
		.s = {.name = name, .pwrite = fd_pwrite, .truncate = fd_truncate},
		.fd = fd,
	};
}

int ibb_sink_fd_allocate(struct ibb_sink_fd *s, uint64_t size_bytes, bool *ret_taken,
			 struct ibb_error *err)
{
	int r, code;

	/* not posix_fallocate(): its way around writes a byte into every block */
	do
		r = fallocate(s->fd, 0, 0, (off_t)size_bytes);
	while (r && errno == EINTR);
	if (!r || errno == EOPNOTSUPP || errno == ENOSYS) {
		*ret_taken = !r;
		return IBB_OK;
	}
	code = ibb_err_os(err, errno, "%s: allocate %llu bytes", s->s.name,
			  (unsigned long long)size_bytes);
	return code == IBB_E_NOSPACE ? ibb_fd_no_space(s->fd, s->s.name, size_bytes, err) : code;
}
