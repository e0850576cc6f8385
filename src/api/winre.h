/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The recovery images of a disk, which `bake --winre` treats like its Windows.
 *
 * Windows RE starts from Winre.wim, a WIM with one Windows PE. Where it lies is said in "Windows RE
 * troubleshooting features" and "Deploy Windows RE" (Microsoft Learn): in \Recovery\WindowsRE of
 * the recovery partition, or of the Windows partition when there is none; while it is disabled, as
 * in a generalized image, in \Windows\System32\Recovery. All that are found are treated.
 *
 * The file is copied out, baked by appending to the copy, and written back over the file of the
 * disk: only what was appended, and its header, become changed blocks of the disk.
 */
#ifndef IBB_API_WINRE_H
#define IBB_API_WINRE_H

#include "api/session.h"

struct ibb_winre;

/* "recovery_images" of obj: those that there are, for inspect. */
int ibb_winre_found(struct ibb_session *s, struct ibb_jb *b, struct ibb_json *obj,
		    struct ibb_error *err) IBB_MUST_CHECK;

/*
 * Find them, copy them to temporary files (removed by free; of mode 0600), plan and apply in
 * memory what `planner` says. Nothing of the disk is changed. IBB_E_UNSUPPORTED when there is none,
 * or one that cannot be changed. Errors name partition and path.
 */
int ibb_winre_begin(struct ibb_session *s, ibb_planner_fn planner, struct ibb_winre **ret,
		    struct ibb_error *err) IBB_MUST_CHECK;
/*
 * Append to the copies, check them, put them into their volumes. Those of other partitions are
 * committed; the Windows volume is committed by the caller.
 */
int ibb_winre_put(struct ibb_winre *w, struct ibb_session *s, struct ibb_error *err) IBB_MUST_CHECK;
/* Does `im`, opened anew, hold what was put? By the digest of the whole files. IBB_E_IO. */
int ibb_winre_read_back(const struct ibb_winre *w, struct ibb_image *im,
			struct ibb_error *err) IBB_MUST_CHECK;
/* "winre" of a manifest: a list; valid until free. */
const struct ibb_json *ibb_winre_json(const struct ibb_winre *w);
/* What was chosen for them, for the lock file. IBB_E_NOMEM. */
struct ibb_lock_entry;
int ibb_winre_locked(const struct ibb_winre *w, struct ibb_lock_entry **list, size_t *n,
		     size_t *cap, struct ibb_error *err) IBB_MUST_CHECK;
void ibb_winre_free(struct ibb_winre *w);
IBB_DEFINE_CLEANUP(struct ibb_winre *, ibb_winre_free)

/*
 * Compare the disk with "winre" of its manifest; differences go to the list "differences" of obj
 * and are counted in *n.
 */
int ibb_winre_verify(struct ibb_image *im, const struct ibb_json *manifest, struct ibb_jb *b,
		     struct ibb_json *obj, size_t *n, struct ibb_error *err) IBB_MUST_CHECK;

#endif
