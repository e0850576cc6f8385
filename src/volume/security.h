/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Windows security descriptors in self-relative form: what a new object inherits.
 * Source: [MS-DTYP] 2.4.6 SECURITY_DESCRIPTOR, 2.5.3.4 (algorithm for creating a security
 * descriptor).
 */
#ifndef IBB_VOLUME_SECURITY_H
#define IBB_VOLUME_SECURITY_H

#include "base/buf.h"

/*
 * The descriptor of a new file (or directory) below a parent with descriptor `parent`: the
 * parent's inheritable ACEs (CI/OI/NP/IO honoured, CREATOR OWNER and CREATOR GROUP resolved,
 * generic rights mapped for files), flag INHERITED, SE_DACL_AUTO_INHERITED, owner and group
 * SYSTEM (S-1-5-18), no SACL.
 * A parent without any inheritable ACE, and an empty `parent` (a directory that has none), gives
 * SYSTEM and Administrators full control.
 * IBB_E_CORRUPT when `parent` is malformed.
 */
int ibb_security_inherit(struct ibb_bytes parent, bool is_directory, struct ibb_buf *ret,
			 struct ibb_error *err) IBB_MUST_CHECK;

/* SDDL-like text of a descriptor, for messages and tests. */
int ibb_security_text(struct ibb_bytes sd, struct ibb_buf *ret,
		      struct ibb_error *err) IBB_MUST_CHECK;

#endif
