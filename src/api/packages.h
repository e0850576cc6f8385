/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Finding driver packages in directories of the host. */
#ifndef IBB_API_PACKAGES_H
#define IBB_API_PACKAGES_H

#include "driver/package.h"

/* An INF that was looked at and is no candidate. */
struct ibb_passed_over {
	char *path, *reason;
};
struct ibb_package_set {
	struct ibb_package **packages;
	size_t n, cap;
	struct ibb_passed_over *passed;
	size_t n_passed, cap_passed;
};

/*
 * Search the directories for INFs and load every one that has a models section for the target and
 * serves one of the IDs. The same package found twice counts once. An INF that is damaged or whose
 * files are missing is an error; one that is for another Windows or another device is passed over.
 * IBB_E_NOTFOUND-like problems carry their own message; codes as ibb_package_load().
 */
int ibb_packages_find(const char *const *dirs, size_t n_dirs, const struct ibb_inf_target *t,
		      const char *const *ids, size_t n_ids, struct ibb_package_set *ret,
		      struct ibb_error *err) IBB_MUST_CHECK;
void ibb_package_set_clear(struct ibb_package_set *s);

#endif
