/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The sink of a real file. */
#ifndef IBB_DISK_SINK_H
#define IBB_DISK_SINK_H

#include "disk/writer.h"

/*
 * A descriptor open for reading and writing, borrowed. Every few MiB the kernel is told to begin
 * writing them out, so that the disk is busy while the rest is still being read and the last fsync
 * is short. The caller syncs.
 */
struct ibb_sink_fd {
	struct ibb_sink s;
	int fd;
	uint64_t fresh_off, fresh_end; /* written, and not yet on its way to the disk */
};
void ibb_sink_fd_init(struct ibb_sink_fd *s, int fd, const char *name);

/*
 * Take all room for `size_bytes` from the file system now (`--sparse=never`). *ret_taken is false
 * where it cannot do that: then zeros have to be written. IBB_E_NOSPACE with the numbers.
 */
int ibb_sink_fd_allocate(struct ibb_sink_fd *s, uint64_t size_bytes, bool *ret_taken,
			 struct ibb_error *err) IBB_MUST_CHECK;

/* An IBB_E_NOSPACE with what is free and missing, when the file system tells; `wanted` bytes were
 * still to come. */
int ibb_fd_no_space(int fd, const char *name, uint64_t wanted, struct ibb_error *err);

#endif
