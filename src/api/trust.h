/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Who has to vouch for the packages of a session. */
#ifndef IBB_API_TRUST_H
#define IBB_API_TRUST_H

#include "api/lockfile.h"
#include "api/session.h"
#include "driver/trust.h"

/*
 * The pinned roots with what the request adds to them. *ret_files: the anchors, then the CRLs, as
 * they were read; owned by the caller (free()), paths borrowed from q.
 */
int ibb_trust_open(const struct ibb_request *q, struct ibb_trust_store **ret,
		   struct ibb_trust_file **ret_files, struct ibb_error *err) IBB_MUST_CHECK;
/*
 * Judge one package: by its signature, by the digest that the driver catalog pins for it, and by
 * the lock file. IBB_E_UNTRUSTED when it may not enter the image; what it says besides becomes
 * warnings.
 */
int ibb_session_judge(struct ibb_session *s, struct ibb_package *p,
		      struct ibb_error *err) IBB_MUST_CHECK;
/* All chosen ones. */
int ibb_session_judge_chosen(struct ibb_session *s, struct ibb_error *err) IBB_MUST_CHECK;

/* ---- the lock file ---- */

/* Is this package as it was locked? IBB_E_UNTRUSTED when not, or when it is not in the file. */
int ibb_lockfile_check(const struct ibb_lockfile *l, const struct ibb_package *p,
		       struct ibb_error *err) IBB_MUST_CHECK;
/* What is locked of a package. */
struct ibb_lock_entry {
	char *inf, *version; /* owned */
	struct ibb_sha256 digest;
};
/* Note a package in a list, once. */
int ibb_lock_entries_add(struct ibb_lock_entry **list, size_t *n, size_t *cap,
			 const struct ibb_package *p, struct ibb_error *err) IBB_MUST_CHECK;
/* The same of one that is in another list. */
int ibb_lock_entries_copy(struct ibb_lock_entry **list, size_t *n, size_t *cap,
			  const struct ibb_lock_entry *e, struct ibb_error *err) IBB_MUST_CHECK;
void ibb_lock_entry_clear(struct ibb_lock_entry *e);
/* Its text for these packages; free() it. */
int ibb_lockfile_text(const struct ibb_lock_entry *entries, size_t n, char **ret,
		      struct ibb_error *err) IBB_MUST_CHECK;
/* Write it for these packages; it must not exist, or pin downloads alone, which it keeps. */
int ibb_lockfile_write(const char *path, const struct ibb_lock_entry *entries, size_t n,
		       struct ibb_error *err) IBB_MUST_CHECK;

#endif
