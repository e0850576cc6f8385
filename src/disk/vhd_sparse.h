/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Between vhd_open.c, which checks a dynamic or differencing VHD, and vhd_sparse.c, which reads it.
 */
#ifndef IBB_DISK_VHD_SPARSE_H
#define IBB_DISK_VHD_SPARSE_H

#include "disk/vhd_internal.h"

/* A disk over n checked entries of the table, which it takes over when it succeeds. */
int ibb_vhd_sparse_new(struct ibb_disk *file, const struct ibb_vhd_info *info, uint32_t *bat,
		       uint64_t n, struct ibb_disk **ret, struct ibb_error *err) IBB_MUST_CHECK;

#endif
