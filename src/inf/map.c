/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "inf/internal.h"

#include <stdlib.h>
#include <string.h>

#include "base/utf16.h"

/*
 * FNV-1a over upper-cased characters, so that names that ibb_ncasecmp() equates hash alike. Text
 * that is no UTF-8 counts byte by byte, which is how that function takes it.
 */
static uint32_t hash_char(uint32_t h, uint32_t c)
{
	return (h ^ c) * 16777619u;
}

static uint32_t hash_name(const char *s, size_t n)
{
	const unsigned char *p = (const unsigned char *)s;
	uint32_t h = 2166136261u;

	for (size_t i = 0; i < n; i++) {
		uint32_t c = p[i];

		if (c >= 'a' && c <= 'z') {
			c -= 'a' - 'A';
		} else if (c >= 0xc0 && c < 0xe0 && i + 1 < n) {
			c = ibb_upcase((uint16_t)((c & 0x1f) << 6 | (p[i + 1] & 0x3f)));
			i++;
		} else if (c >= 0xe0 && c < 0xf0 && i + 2 < n) {
			c = ibb_upcase((uint16_t)((c & 0x0f) << 12 | (p[i + 1] & 0x3fu) << 6 |
						  (p[i + 2] & 0x3f)));
			i += 2;
		}
		h = hash_char(h, c);
	}
	return h;
}

static struct ibb_inf_map_slot *find(const struct ibb_inf_map *m, const char *key, size_t len,
				     uint32_t hash)
{
	for (size_t i = hash & (m->cap - 1);; i = (i + 1) & (m->cap - 1)) {
		struct ibb_inf_map_slot *s = &m->slots[i];

		if (!s->key)
			return s;
		if (s->hash != hash)
			continue;
		if (s->len == len && memcmp(s->key, key, len) == 0)
			return s;
		if (ibb_ncasecmp(s->key, s->len, key, len) == 0)
			return s;
	}
}

static int grow(struct ibb_inf_map *m)
{
	struct ibb_inf_map bigger = {.cap = m->cap ? m->cap * 2 : 64, .n = m->n};

	bigger.slots = ibb_calloc_array(bigger.cap, sizeof(*bigger.slots));
	if (!bigger.slots)
		return IBB_E_NOMEM;
	for (size_t i = 0; i < m->cap; i++) {
		const struct ibb_inf_map_slot *s = &m->slots[i];

		if (s->key)
			*find(&bigger, s->key, s->len, s->hash) = *s;
	}
	free(m->slots);
	*m = bigger;
	return IBB_OK;
}

int ibb_inf_map_put(struct ibb_inf_map *m, const char *key, size_t value)
{
	size_t len = strlen(key);
	uint32_t hash = hash_name(key, len);
	struct ibb_inf_map_slot *s;

	if (m->n >= m->cap / 2 && grow(m))
		return IBB_E_NOMEM;
	s = find(m, key, len, hash);
	if (!s->key) {
		*s = (struct ibb_inf_map_slot){key, (uint32_t)len, hash, value};
		m->n++;
	}
	return IBB_OK;
}

bool ibb_inf_map_get(const struct ibb_inf_map *m, const char *key, size_t len, size_t *ret)
{
	const struct ibb_inf_map_slot *s;

	if (!m->cap)
		return false;
	s = find(m, key, len, hash_name(key, len));
	if (!s->key)
		return false;
	*ret = s->value;
	return true;
}

void ibb_inf_map_clear(struct ibb_inf_map *m)
{
	free(m->slots);
	*m = (struct ibb_inf_map){0};
}
