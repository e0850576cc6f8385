/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The parent locator of a differencing disk: pairs of UTF-16LE texts, 2.6.2.6. */
#include <stdlib.h>
#include <string.h>

#include "base/le.h"
#include "base/utf16.h"
#include "disk/vhdx_internal.h"

enum { L_COUNT = 18, L_ENTRIES = 20, L_ENTRY = 12 };

static const struct ibb_guid type_vhdx = {{0xb7, 0xef, 0x4a, 0xb0, 0x9e, 0xd1, 0x81, 0x4a, 0xb7,
					   0x89, 0x25, 0xb8, 0xe9, 0x44, 0x59, 0x13}};

enum key { LINKAGE, LINKAGE2, RELATIVE, VOLUME, ABSOLUTE, N_KEYS };
static const char *const key_names[N_KEYS] = {
	[LINKAGE] = "parent_linkage",	    [LINKAGE2] = "parent_linkage2",
	[RELATIVE] = "relative_path",	    [VOLUME] = "volume_path",
	[ABSOLUTE] = "absolute_win32_path",
};

struct locator {
	const char *name;
	uint64_t at; /* of the item in the file */
	const uint8_t *b;
	size_t n;
	char *value[N_KEYS]; /* NULL: not there */
};

static int loc_err(const struct locator *l, int code, const char *what, struct ibb_error *err)
{
	return ibb_err(err, code, "%s: the VHDX parent locator at offset %llu %s", l->name,
		       (unsigned long long)l->at, what);
}

/* One text of an entry, whose offset and length stand there. */
static int text(const struct locator *l, uint32_t off, uint16_t len, char **ret,
		struct ibb_error *err)
{
	if (len % 2 || off < L_ENTRIES || !ibb_in_range(off, len, l->n))
		return loc_err(l, IBB_E_CORRUPT, "has a key or value outside of it", err);
	*ret = ibb_utf8_from_utf16le(l->b + off, len);
	return *ret ? IBB_OK : ibb_err_nomem(err);
}

static int take_entry(struct locator *l, const uint8_t *e, struct ibb_error *err)
{
	IBB_AUTO_FREE char *key = NULL;
	unsigned i = 0;
	int r = text(l, ibb_get_le32(e), ibb_get_le16(e + 8), &key, err);

	if (r)
		return r;
	while (i < N_KEYS && strcmp(key, key_names[i]) != 0)
		i++;
	if (i == N_KEYS)
		return IBB_OK;
	if (l->value[i])
		return loc_err(l, IBB_E_CORRUPT, "has the same key twice", err);
	r = text(l, ibb_get_le32(e + 4), ibb_get_le16(e + 10), &l->value[i], err);
	if (!r && !ibb_utf8_is_plain(l->value[i], strlen(l->value[i])))
		return loc_err(l, IBB_E_CORRUPT, "has a control character in a value", err);
	return r;
}

static int read_entries(struct locator *l, struct ibb_error *err)
{
	size_t count;
	int r = IBB_OK;

	if (l->n < L_ENTRIES)
		return loc_err(l, IBB_E_CORRUPT, "is too short", err);
	if (memcmp(l->b, type_vhdx.b, 16) != 0)
		return loc_err(l, IBB_E_UNSUPPORTED, "is of a type that is not known", err);
	count = ibb_get_le16(l->b + L_COUNT);
	if (count > (l->n - L_ENTRIES) / L_ENTRY)
		return loc_err(l, IBB_E_CORRUPT, "has more entries than fit into it", err);
	for (size_t i = 0; !r && i < count; i++)
		r = take_entry(l, l->b + L_ENTRIES + i * L_ENTRY, err);
	return r;
}

static int fill_link(struct locator *l, struct ibb_parent_link *k, struct ibb_error *err)
{
	/* in the order in which they are to be tried: 2.6.2.6.3 */
	static const struct {
		enum key key;
		enum ibb_locator_kind kind;
	} paths[] = {{RELATIVE, IBB_LOCATOR_RELATIVE},
		     {VOLUME, IBB_LOCATOR_VOLUME},
		     {ABSOLUTE, IBB_LOCATOR_ABSOLUTE}};

	if (!l->value[LINKAGE])
		return loc_err(l, IBB_E_CORRUPT, "lacks the key parent_linkage", err);
	if (!ibb_guid_parse(l->value[LINKAGE], &k->id))
		return loc_err(l, IBB_E_CORRUPT, "has a parent_linkage that is no GUID", err);
	if (l->value[LINKAGE2] && !ibb_guid_parse(l->value[LINKAGE2], &k->id2))
		return loc_err(l, IBB_E_CORRUPT, "has a parent_linkage2 that is no GUID", err);
	k->has_id2 = !ibb_guid_is_zero(&k->id2); /* Hyper-V writes one of zeros: that is none */
	k->differencing = true;
	for (size_t i = 0; i < IBB_ARRAY_SIZE(paths); i++) {
		char **v = &l->value[paths[i].key];

		if (*v && **v)
			k->locators[k->n++] = (struct ibb_locator){paths[i].kind, IBB_TAKE(*v)};
	}
	return IBB_OK;
}

int ibb_vhdx_parent_parse(const char *name, uint64_t at, const uint8_t *b, size_t n,
			  struct ibb_parent_link *ret, struct ibb_error *err)
{
	struct locator l = {.name = name, .at = at, .b = b, .n = n};
	struct ibb_parent_link k = {0};
	int r = read_entries(&l, err);

	if (!r)
		r = fill_link(&l, &k, err);
	for (unsigned i = 0; i < N_KEYS; i++)
		free(l.value[i]);
	if (!r)
		*ret = k;
	return r;
}
