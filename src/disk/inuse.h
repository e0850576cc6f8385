/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Is somebody else at an image file? Before a file is changed in place this has to be known as far
 * as the system tells; the locks that say so are taken as well, so that nobody comes afterwards.
 */
#ifndef IBB_DISK_INUSE_H
#define IBB_DISK_INUSE_H

#include "base/io.h"

/*
 * For reading: IBB_E_CONFLICT when a qemu has the file open for writing. qemu shows what it does
 * by locks on single bytes, see "qemu's locks" in inuse.c.
 */
int ibb_inuse_check_writer(int fd, const char *path, struct ibb_error *err) IBB_MUST_CHECK;

/*
 * For changing it: `fd` is our only descriptor of the file. Refused with IBB_E_CONFLICT: somebody
 * holds a flock(2) or fcntl(2) lock, a loop device of `sys` ("/sys") has it as backing file, or
 * somebody has it open at all (asked by a lease, which only the owner of the file may; where that
 * is not to be had, the rest must do). The exclusive flock is kept until fd is closed.
 */
int ibb_inuse_claim(int fd, const char *path, const char *sys,
		    struct ibb_error *err) IBB_MUST_CHECK;

/* Only the loop devices of that. */
int ibb_inuse_loops(int fd, const char *path, const char *sys,
		    struct ibb_error *err) IBB_MUST_CHECK;

/* Keep everybody out who asks for fcntl locks, as qemu does; fd is open for writing. */
int ibb_inuse_lock(int fd, const char *path, struct ibb_error *err) IBB_MUST_CHECK;

/*
 * Is the file the parent of a differencing disk (VHD, VHDX) or the backing file of a qcow2 image in
 * its own directory? Changed, it would break that one: IBB_E_CONFLICT. vhd_id: the 16 bytes of its
 * footer's unique ID, or NULL. At most IBB_LIMIT_SIBLINGS entries are looked at: IBB_E_LIMIT.
 */
int ibb_inuse_children(const char *path, const uint8_t *vhd_id,
		       struct ibb_error *err) IBB_MUST_CHECK;

#endif
