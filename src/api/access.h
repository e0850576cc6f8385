/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Who may do what with a file that takes the place of another one. */
#ifndef IBB_API_ACCESS_H
#define IBB_API_ACCESS_H

#include "base/io.h"

/*
 * Give `out` the owner, group, extended attributes, ACL and mode of the file `fd`, named `name`.
 * IBB_E_UNSUPPORTED when its owner, its group or an attribute of the user's cannot be kept. Where
 * an ACL cannot be set the group gets nothing, for its bits are the ACL's mask then; attributes of
 * the system (security.*, trusted.*) that may not be set are left to the system.
 */
int ibb_access_keep(int fd, const char *name, const struct ibb_atomic *out,
		    struct ibb_error *err) IBB_MUST_CHECK;
/*
 * Before the work: may the file `fd` with the real path `path` be written to, and, with `anew`,
 * would another one that takes its place be as accessible?
 */
int ibb_access_check(int fd, const char *path, bool anew, struct ibb_error *err) IBB_MUST_CHECK;

#endif
