/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Directories: entries of 32 bytes, long names in front of the entry that they belong to. */
#include <string.h>

#include "base/le.h"
#include "base/limits.h"
#include "base/utf16.h"
#include "volume/fat_int.h"

#define ENTRY_BYTES   32u
#define ATTR_LABEL    0x08u
#define ATTR_DIR      0x10u
#define ATTR_LONG     0x0fu
#define LONG_PIECE    13u /* UTF-16 units in one entry */
#define LONG_PIECES   20u
#define LONG_LAST     0x40u
#define LONG_MAX      255u
#define ENTRY_FREE    0xe5u
#define ENTRY_REALLY5 0x05u /* stands for a first byte of E5 */

/* A place in a directory. */
struct cursor {
	uint64_t off, end; /* of the cluster, or of the root directory of FAT12 and FAT16 */
	uint32_t cluster;  /* 0: there is no next one */
	uint32_t n;	   /* entries seen */
};

/* A long name that is being put together, from its end to its beginning. */
struct long_name {
	uint16_t units[LONG_PIECES * LONG_PIECE];
	unsigned missing; /* pieces that have to come before the short entry; 0: none is begun */
	unsigned pieces;
	uint8_t checksum;
};

static void enter_cluster(const struct ibb_fat *f, uint32_t cluster, struct cursor *c)
{
	c->cluster = cluster;
	c->off = ibb_fat_cluster_off(f, cluster);
	c->end = c->off + f->cluster_bytes;
}

static void enter_root(const struct ibb_fat *f, struct cursor *c)
{
	*c = (struct cursor){.off = f->root_off, .end = f->root_off + f->root_bytes};
	if (f->bits == 32)
		enter_cluster(f, f->root_cluster, c);
}

/* One entry; *ret_end when there is none left. A directory that runs in a circle ends at its limit.
 */
static int next_entry(const struct ibb_fat *f, struct cursor *c, uint8_t b[ENTRY_BYTES],
		      bool *ret_end, struct ibb_error *err)
{
	uint32_t next = 0;
	int r = IBB_OK;

	*ret_end = false;
	if (c->off == c->end) {
		if (c->cluster)
			r = ibb_fat_next(f, c->cluster, &next, err);
		if (r)
			return r;
		*ret_end = !next;
		if (!next)
			return IBB_OK;
		enter_cluster(f, next, c);
	}
	if (c->n++ == IBB_LIMIT_FAT_DIR_ENTRIES)
		return ibb_err(err, IBB_E_CORRUPT,
			       "%s: a directory at offset %llu has more than %u entries: a loop?",
			       f->disk->name, (unsigned long long)c->off,
			       IBB_LIMIT_FAT_DIR_ENTRIES);
	r = ibb_disk_pread(f->disk, b, ENTRY_BYTES, c->off, err);
	c->off += ENTRY_BYTES;
	if (!r)
		*ret_end = b[0] == 0;
	return r;
}

/* The sum of the short name that every piece of its long name carries. */
static uint8_t short_checksum(const uint8_t *name)
{
	uint8_t sum = 0;

	for (unsigned i = 0; i < 11; i++)
		sum = (uint8_t)((sum << 7 | sum >> 1) + name[i]);
	return sum;
}

/* Pieces come from the last to the first, in one go; what breaks that is no name. */
static void take_piece(struct long_name *l, const uint8_t *b)
{
	static const uint8_t at[LONG_PIECE] = {1, 3, 5, 7, 9, 14, 16, 18, 20, 22, 24, 28, 30};
	unsigned number = b[0] & 0x3f;

	if (b[0] & LONG_LAST) {
		l->missing = number >= 1 && number <= LONG_PIECES ? number : 0;
		l->pieces = l->missing;
		l->checksum = b[13];
	} else if (!l->missing || number != l->missing || b[13] != l->checksum) {
		l->missing = l->pieces = 0;
	}
	if (!l->missing)
		return;
	l->missing--;
	for (unsigned i = 0; i < LONG_PIECE; i++)
		l->units[l->missing * LONG_PIECE + i] = ibb_get_le16(b + at[i]);
}

/* The whole name, or 0 when there is none that belongs to this short entry. */
static size_t long_length(const struct long_name *l, const uint8_t *entry)
{
	size_t n = 0, max = (size_t)l->pieces * LONG_PIECE;

	if (!l->pieces || l->missing || l->checksum != short_checksum(entry))
		return 0;
	while (n < max && l->units[n])
		n++;
	return n > LONG_MAX ? 0 : n;
}

/* One component of the path that is looked for. */
struct wanted {
	const uint8_t *units; /* UTF-16LE */
	size_t n;
};

static bool same_units(const struct wanted *w, const uint16_t *units, size_t n)
{
	if (!n || n != w->n)
		return false;
	for (size_t i = 0; i < n; i++)
		if (ibb_upcase(units[i]) != ibb_upcase(ibb_get_le16(w->units + 2 * i)))
			return false;
	return true;
}

/* "BOOTMGFW" "EFI" as bootmgfw.efi. The code page of other characters is not known. */
static bool same_short(const struct wanted *w, const uint8_t *entry)
{
	uint16_t units[12];
	size_t n = 0, base = 8, ext = 3;

	while (base && entry[base - 1] == ' ')
		base--;
	while (ext && entry[8 + ext - 1] == ' ')
		ext--;
	for (size_t i = 0; i < base; i++)
		units[n++] = i == 0 && entry[0] == ENTRY_REALLY5 ? ENTRY_FREE : entry[i];
	if (ext)
		units[n++] = '.';
	for (size_t i = 0; i < ext; i++)
		units[n++] = entry[8 + i];
	for (size_t i = 0; i < n; i++)
		if (units[i] >= 0x80)
			return false;
	return same_units(w, units, n);
}

static int search(const struct ibb_fat *f, struct cursor *c, const struct wanted *w,
		  bool *ret_found, struct ibb_fat_entry *ret, struct ibb_error *err)
{
	struct long_name l = {.missing = 0};
	uint8_t b[ENTRY_BYTES];
	bool end;
	int r;

	*ret_found = false;
	while (!(r = next_entry(f, c, b, &end, err)) && !end) {
		if (b[0] != ENTRY_FREE && (b[11] & 0x3f) == ATTR_LONG) {
			take_piece(&l, b);
			continue;
		}
		if (b[0] != ENTRY_FREE && !(b[11] & ATTR_LABEL) &&
		    (same_units(w, l.units, long_length(&l, b)) || same_short(w, b))) {
			*ret_found = true;
			break;
		}
		l.missing = l.pieces = 0;
	}
	if (!*ret_found)
		return r;
	ret->directory = b[11] & ATTR_DIR;
	ret->cluster = ibb_get_le16(b + 26);
	if (f->bits == 32)
		ret->cluster |= (uint32_t)ibb_get_le16(b + 20) << 16;
	ret->size_bytes = ret->directory ? 0 : ibb_get_le32(b + 28);
	return IBB_OK;
}

static int search_component(const struct ibb_fat *f, struct cursor *c, const char *name, size_t n,
			    bool *ret_found, struct ibb_fat_entry *ret, struct ibb_error *err)
{
	IBB_AUTO_FREE char *text = ibb_strndup(name, n);
	IBB_AUTO_BUF struct ibb_buf utf16 = {0};
	struct wanted w;
	int r;

	if (!text)
		return ibb_err_nomem(err);
	r = ibb_utf16le_append(&utf16, text);
	if (r == IBB_E_NOMEM)
		return ibb_err_nomem(err);
	if (r)
		return ibb_err(err, r, "%s: a name that is not UTF-8 is looked for", f->disk->name);
	w = (struct wanted){utf16.data, utf16.len / 2};
	return search(f, c, &w, ret_found, ret, err);
}

int ibb_fat_lookup(struct ibb_fat *f, const char *path, struct ibb_fat_entry *ret,
		   struct ibb_error *err)
{
	struct ibb_fat_entry e = {.directory = true};
	const char *at = path;
	struct cursor c;

	enter_root(f, &c);
	for (;;) {
		size_t n = strcspn(at, "/");
		bool found = false;
		int r = IBB_OK;

		if (e.directory)
			r = search_component(f, &c, at, n, &found, &e, err);
		if (r)
			return r;
		if (!found)
			return ibb_err(err, IBB_E_NOTFOUND, "%s: there is no %s", f->disk->name,
				       path);
		if (!at[n])
			break;
		at += n + 1;
		if (!e.directory)
			continue;
		r = ibb_fat_check_cluster(f, e.cluster, path, err);
		if (r)
			return r;
		c = (struct cursor){0};
		enter_cluster(f, e.cluster, &c);
	}
	*ret = e;
	return IBB_OK;
}

int ibb_fat_find(struct ibb_fat *f, const char *path, struct ibb_fat_stat *ret,
		 struct ibb_error *err)
{
	struct ibb_fat_entry e;
	int r = ibb_fat_lookup(f, path, &e, err);

	if (!r)
		*ret = (struct ibb_fat_stat){e.directory, e.size_bytes};
	return r;
}
