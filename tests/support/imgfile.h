/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Files that become volumes and images: read-write access, mkntfs, sparse copies. */
#ifndef IBB_TEST_IMGFILE_H
#define IBB_TEST_IMGFILE_H

#include "disk/disk.h"

/* The first len bytes of a file as a read-write disk; the product has none. fd is borrowed. */
int imgfile_disk(int fd, const char *name, uint64_t len, uint32_t sector, struct ibb_disk **ret,
		 struct ibb_error *err) IBB_MUST_CHECK;
/* An unlinked temporary file beside `beside`, of that size; its descriptor. */
int imgfile_temp(const char *beside, uint64_t size, int *ret_fd,
		 struct ibb_error *err) IBB_MUST_CHECK;
/* mkntfs on an open file. Fixed times and serial number (mkntfs -T). */
int imgfile_mkntfs(int fd, uint32_t sector, uint64_t start_sector, const char *label,
		   struct ibb_error *err) IBB_MUST_CHECK;
/* Copy the data runs of in_fd to out_fd at off; holes stay holes. */
int imgfile_copy_sparse(int in_fd, int out_fd, uint64_t off, struct ibb_error *err) IBB_MUST_CHECK;

#endif
