/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "plan/keyset.h"

#include <stdlib.h>

#include "base/utf16.h"

/* FNV-1a over bytes folded for ASCII; names that differ in non-ASCII case just collide less well.
 */
static size_t hash(const char *s)
{
	uint64_t h = 0xcbf29ce484222325u;

	for (; *s; s++) {
		unsigned char c = (unsigned char)*s;

		if (c >= 0x80)
			c = 0x80;
		else if (c >= 'a' && c <= 'z')
			c = (unsigned char)(c - 32);
		h = (h ^ c) * 0x100000001b3u;
	}
	return (size_t)h;
}

static size_t slot_of(const struct ibb_keyset *s, const char *name)
{
	size_t i = hash(name) & (s->cap - 1);

	while (s->slots[i] && !ibb_caseeq(s->slots[i], name))
		i = (i + 1) & (s->cap - 1);
	return i;
}

static int grow(struct ibb_keyset *s)
{
	struct ibb_keyset big = {.cap = s->cap ? s->cap * 2 : 64, .n = s->n};

	big.slots = ibb_calloc_array(big.cap, sizeof(*big.slots));
	if (!big.slots)
		return IBB_E_NOMEM;
	for (size_t i = 0; i < s->cap; i++)
		if (s->slots[i])
			big.slots[slot_of(&big, s->slots[i])] = s->slots[i];
	free(s->slots);
	*s = big;
	return IBB_OK;
}

int ibb_keyset_add(struct ibb_keyset *s, const char *name, bool *ret_had, struct ibb_error *err)
{
	size_t i;

	if (s->n * 2 >= s->cap && grow(s))
		return ibb_err_nomem(err);
	i = slot_of(s, name);
	*ret_had = s->slots[i] != NULL;
	if (!*ret_had) {
		s->slots[i] = name;
		s->n++;
	}
	return IBB_OK;
}

bool ibb_keyset_has(const struct ibb_keyset *s, const char *name)
{
	return s->cap && s->slots[slot_of(s, name)];
}

void ibb_keyset_clear(struct ibb_keyset *s)
{
	free(s->slots);
	*s = (struct ibb_keyset){0};
}
