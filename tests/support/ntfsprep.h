/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What test images need on an NTFS volume beyond ibbake's own volume interface, straight through
 * libntfs-3g: directories with security descriptors as Windows sets them, the USN journal, the
 * dirty flag. The volume is an open file that holds nothing else; it must not be mounted.
 */
#ifndef IBB_TEST_NTFSPREP_H
#define IBB_TEST_NTFSPREP_H

#include "base/buf.h"

/*
 * From now on this process reads this time from its clock. libntfs-3g stamps with the present time
 * also where nobody can set it later: copies of file names in the slack of its records.
 */
void ntfsprep_freeze_clock(int64_t unix_time);

struct ntfsprep_dir {
	const char *path; /* "" is the root, which exists; parents first */
	const char *sddl; /* see mksd.h; NULL: made only */
};
/* All times become `time`, a FILETIME; the change time only when the clock is frozen. */
int ntfsprep_dirs(int fd, const struct ntfsprep_dir *dirs, size_t n, uint64_t time,
		  struct ibb_error *err) IBB_MUST_CHECK;
/* $Extend/$UsnJrnl with its streams $J and $Max. */
int ntfsprep_usn(int fd, uint64_t time, struct ibb_error *err) IBB_MUST_CHECK;
/* VOLUME_IS_DIRTY, as Windows sets it while a volume is in use. */
int ntfsprep_dirty(int fd, struct ibb_error *err) IBB_MUST_CHECK;
/* Compress a file as "compact /c /exe:lzx" does: see volume/wof.h. */
int ntfsprep_wof(int fd, const char *path, uint64_t time, struct ibb_error *err) IBB_MUST_CHECK;
/* A further name of a file, in a directory that exists. */
int ntfsprep_link(int fd, const char *path, const char *name, uint64_t time,
		  struct ibb_error *err) IBB_MUST_CHECK;
/*
 * ProgramData/Odd: what a volume of Windows' holds beside plain files: a short name, a file of
 * three names, a named stream, a junction, attributes, an object id.
 */
int ntfsprep_odd(int fd, uint64_t time, struct ibb_error *err) IBB_MUST_CHECK;

#endif
