/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Shared by the files of the inspect layer. */
#ifndef IBB_INSPECT_INTERNAL_H
#define IBB_INSPECT_INTERNAL_H

#include "inspect/facts.h"

/* Append a warning. */
int ibb_facts_warn(struct ibb_facts *f, struct ibb_error *err, const char *fmt, ...)
	IBB_PRINTF(3, 4) IBB_MUST_CHECK;
/* A string value or NULL when key or value is missing or of another type; free() it. */
int ibb_facts_string(const struct ibb_hive *h, const char *key, const char *value, char **ret,
		     struct ibb_error *err) IBB_MUST_CHECK;
/* A DWORD, or the default when it is missing; IBB_E_CORRUPT when it is of another type, for
 * decisions rest on it. */
int ibb_facts_dword(const struct ibb_hive *h, const char *key, const char *value, uint32_t dflt,
		    uint32_t *ret, struct ibb_error *err) IBB_MUST_CHECK;
int ibb_facts_has_key(const struct ibb_hive *h, const char *key, bool *ret,
		      struct ibb_error *err) IBB_MUST_CHECK;

int ibb_facts_read_hives(struct ibb_facts *f, struct ibb_volume *v, bool accept_dirty,
			 struct ibb_error *err) IBB_MUST_CHECK;
int ibb_facts_read_windows(struct ibb_facts *f, struct ibb_error *err) IBB_MUST_CHECK;
int ibb_facts_read_state(struct ibb_facts *f, struct ibb_volume *v,
			 struct ibb_error *err) IBB_MUST_CHECK;
int ibb_facts_read_guest(struct ibb_facts *f, struct ibb_volume *v,
			 struct ibb_error *err) IBB_MUST_CHECK;
int ibb_facts_read_database(struct ibb_facts *f, struct ibb_error *err) IBB_MUST_CHECK;
int ibb_facts_read_usage(struct ibb_facts *f, struct ibb_error *err) IBB_MUST_CHECK;
int ibb_facts_read_winsock(struct ibb_facts *f, struct ibb_error *err) IBB_MUST_CHECK;
int ibb_facts_read_devices(struct ibb_facts *f, struct ibb_error *err) IBB_MUST_CHECK;
int ibb_facts_read_oem_numbers(struct ibb_facts *f, struct ibb_volume *v,
			       struct ibb_error *err) IBB_MUST_CHECK;

#endif
