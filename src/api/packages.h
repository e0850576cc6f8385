/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Finding driver packages in directories of the host. */
#ifndef IBB_API_PACKAGES_H
#define IBB_API_PACKAGES_H

#include "driver/package.h"

/* An INF that was looked at and is no candidate. */
struct ibb_passed_over {
	char *path, *reason;
	bool bad; /* keep_going: it should have been a candidate */
	int code; /* IBB_E_... that it failed with, when it was read at all */
};
/* A directory that is called otherwise than it is: one of an archive that was taken apart. */
struct ibb_package_home {
	char *shown, *host;
};
struct ibb_package_set {
	char **read; /* every file of the host that was read for them */
	size_t n_read, cap_read;
	struct ibb_package **packages;
	size_t n, cap;
	struct ibb_passed_over *passed;
	size_t n_passed, cap_passed;
	struct ibb_package_home *homes;
	size_t n_homes, cap_homes;
};

struct ibb_package_search {
	const char *const *dirs;
	size_t n_dirs;
	/* NULL, or what each is called; NULL: as it is. Those are searched recursively. */
	const char *const *names;
	bool recurse;
	/* Only packages that serve one of these IDs; NULL: every package, and an INF that is not
	 * for the target is bad. */
	const char *const *ids;
	size_t n_ids;
	bool keep_going; /* a bad package is passed over instead of ending the search */
};

/*
 * Search the directories for INFs and load every one that has a models section for the target and
 * serves one of the IDs. The same package found twice counts once. An INF that is damaged or whose
 * files are missing is an error; one that is for another Windows or another device is passed over.
 * Codes as ibb_package_load().
 */
int ibb_packages_find(const struct ibb_package_search *how, const struct ibb_inf_target *t,
		      struct ibb_package_set *ret, struct ibb_error *err) IBB_MUST_CHECK;
/*
 * Load the INFs that p's CopyINF directives name, from p's directory, into the set; one that is
 * there already counts once. fn is called with each of them, whether new or not.
 */
int ibb_packages_companions(struct ibb_package_set *s, const struct ibb_package *p,
			    int (*fn)(void *ctx, struct ibb_package *companion,
				      struct ibb_error *err),
			    void *ctx, struct ibb_error *err) IBB_MUST_CHECK;
/* Note an INF that is left out. */
int ibb_package_set_pass_over(struct ibb_package_set *s, const char *dir, const char *inf,
			      const char *reason, bool bad, struct ibb_error *err) IBB_MUST_CHECK;
/* A file of the host that was read for the set's packages, and must not be written to. */
int ibb_package_set_note_read(struct ibb_package_set *s, const char *path,
			      struct ibb_error *err) IBB_MUST_CHECK;
void ibb_package_set_clear(struct ibb_package_set *s);

#endif
