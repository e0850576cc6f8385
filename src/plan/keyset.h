/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A set of case-insensitive names (registry key paths, directories). Zero-initialise. */
#ifndef IBB_PLAN_KEYSET_H
#define IBB_PLAN_KEYSET_H

#include "base/mem.h"

struct ibb_keyset {
	const char **slots; /* borrowed names, open addressing */
	size_t n, cap;
};

/* `name` must outlive the set. *ret_had: it was there already. */
int ibb_keyset_add(struct ibb_keyset *s, const char *name, bool *ret_had,
		   struct ibb_error *err) IBB_MUST_CHECK;
bool ibb_keyset_has(const struct ibb_keyset *s, const char *name);
void ibb_keyset_clear(struct ibb_keyset *s);

#endif
