/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The manifest that a change put out of its way, when the change is taken back. */
#ifndef IBB_API_OLD_MANIFEST_H
#define IBB_API_OLD_MANIFEST_H

#include "base/error.h"
#include "base/mem.h"

struct ibb_old_manifest {
	char *restored; /* IMAGE.manifest.json, which has its name again; else NULL */
	char **others;	/* what else lies beside it under such a hidden name; sorted */
	size_t n_others, cap_others;
};

/*
 * The image is as it was before a change that was killed. The change may have put the old manifest
 * aside (ibb_aside_put()): of the hidden files of that kind, the one that is a manifest of ours and
 * of an image of this size gets its name back, unless several are, or the name is taken.
 */
int ibb_old_manifest_restore(const char *image, struct ibb_old_manifest *ret,
			     struct ibb_error *err) IBB_MUST_CHECK;
void ibb_old_manifest_clear(struct ibb_old_manifest *m);

#endif
