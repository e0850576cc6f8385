/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A checker for NTFS volumes, independent of the library that edits them: it reads the bytes of a
 * disk and nothing else, and never writes.
 *
 * Sources: "New Technologies File System (NTFS) format" of the libyal project libfsntfs, and "NTFS
 * Documentation" of the Linux-NTFS project. What they leave open was settled on volumes that
 * Windows formatted; where Windows itself leaves a field stale, the finding is a note.
 *
 * $LogFile is not judged.
 */
#ifndef IBB_TEST_NTFSCHECK_H
#define IBB_TEST_NTFSCHECK_H

#include "disk/disk.h"

struct ntfscheck_finding {
	const char *code;  /* stable, e.g. "bitmap-cluster-free"; static storage */
	bool note;	   /* not an error: stale copies, the dirty flag */
	char place[200];   /* what it is about; code and place identify a finding */
	char detail[120];  /* what was found there; changes from run to run of an edit */
	uint64_t first, n; /* clusters, records or blocks, where one finding stands for a run */
};

/* Zero-initialise; ntfscheck_clear() at the end. */
struct ntfscheck {
	struct ntfscheck_finding *items; /* in the order found; owned */
	size_t n, cap, n_errors;
	uint64_t n_records, n_names, n_clusters; /* in use: how much there was to check */
};

/*
 * Check the volume that fills `d`. A damaged volume is not a failure: its damage is in *ret.
 * IBB_E_NOMEM, IBB_E_LIMIT ($MFT larger than 1 GiB), or what reading the disk says.
 */
int ntfscheck_run(struct ibb_disk *d, struct ntfscheck *ret, struct ibb_error *err) IBB_MUST_CHECK;
void ntfscheck_clear(struct ntfscheck *r);
/* An error or a note of this code, at a place that holds `place` (NULL: any); NULL when none. */
const struct ntfscheck_finding *ntfscheck_find(const struct ntfscheck *r, const char *code,
					       const char *place);
/* The first error of `after` that `before` does not have; NULL when nothing became worse. */
const struct ntfscheck_finding *ntfscheck_worse(const struct ntfscheck *before,
						const struct ntfscheck *after);
/* "error CODE: PLACE: DETAIL", without a line end. */
int ntfscheck_line(const struct ntfscheck_finding *f, struct ibb_buf *out) IBB_MUST_CHECK;

#endif
