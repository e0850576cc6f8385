/* SPDX-License-Identifier: GPL-3.0-or-later */
/* UEFI Specification 2.10, section 5.3 (GPT disk layout). */
#include <stdlib.h>
#include <string.h>

#include "base/le.h"
#include "base/limits.h"
#include "base/utf16.h"
#include "disk/crc32.h"
#include "disk/ptable.h"

struct header {
	uint64_t alternate_lba, first_usable_lba, last_usable_lba, entries_lba;
	uint32_t n_entries, entry_bytes, entries_crc;
	struct ibb_guid disk_id;
	uint8_t *entries; /* n_entries * entry_bytes; owned */
};

/* Which of the two headers, for messages: "primary GPT header at offset 512". */
struct place {
	const struct ibb_disk *d;
	const char *which;
	uint64_t lba;
	uint32_t sector;
};

static int damaged(const struct place *p, struct ibb_error *err, const char *what,
		   unsigned long long found, unsigned long long wanted)
{
	return ibb_err(err, IBB_E_CORRUPT,
		       "%s: %s GPT header at offset %llu: %s is 0x%llx instead of 0x%llx",
		       p->d->name, p->which, (unsigned long long)(p->lba * p->sector), what, found,
		       wanted);
}

static uint64_t last_lba(const struct place *p)
{
	return p->d->size_bytes / p->sector - 1;
}

uint32_t ibb_gpt_header_crc(const uint8_t *b)
{
	static const uint8_t no_crc[4];
	uint32_t crc = ibb_crc32(0, b, 16);

	crc = ibb_crc32(crc, no_crc, 4);
	return ibb_crc32(crc, b + 20, ibb_get_le32(b + 12) - 20);
}

static int check_frame(const struct place *p, const uint8_t *b, struct ibb_error *err)
{
	const uint32_t size = ibb_get_le32(b + 12), stored = ibb_get_le32(b + 16);
	uint32_t crc;

	if (memcmp(b, "EFI PART", 8) != 0)
		return ibb_err(err, IBB_E_CORRUPT,
			       "%s: %s GPT header at offset %llu: no signature \"EFI PART\"",
			       p->d->name, p->which, (unsigned long long)(p->lba * p->sector));
	if (ibb_get_le32(b + 8) != 0x00010000)
		return damaged(p, err, "revision", ibb_get_le32(b + 8), 0x00010000);
	if (size < IBB_GPT_HEADER_BYTES || size > p->sector)
		return damaged(p, err, "header size", size, IBB_GPT_HEADER_BYTES);
	crc = ibb_gpt_header_crc(b);
	if (crc != stored)
		return damaged(p, err, "checksum", stored, crc);
	if (ibb_get_le64(b + 24) != p->lba)
		return damaged(p, err, "own LBA", ibb_get_le64(b + 24), p->lba);
	return IBB_OK;
}

static int senseless(const struct place *p, struct ibb_error *err, const char *what,
		     unsigned long long found)
{
	return ibb_err(err, IBB_E_CORRUPT, "%s: %s GPT header at offset %llu: impossible %s %llu",
		       p->d->name, p->which, (unsigned long long)(p->lba * p->sector), what, found);
}

/* The entries lie on the disk, behind LBA 1, and outside the usable range. */
static bool entries_fit(const struct place *p, const struct header *h)
{
	const uint64_t bytes = (uint64_t)h->n_entries * h->entry_bytes;
	uint64_t off;

	if (h->entries_lba < 2 || !ibb_mul_u64(h->entries_lba, p->sector, &off) ||
	    !ibb_in_range(off, bytes, p->d->size_bytes))
		return false;
	return off + bytes <= h->first_usable_lba * p->sector ||
	       off >= (h->last_usable_lba + 1) * p->sector;
}

static int check_fields(const struct place *p, const struct header *h, struct ibb_error *err)
{
	/* 128 x 2^n; up to 4096 is what a sector can hold */
	if (h->entry_bytes < 128 || h->entry_bytes > 4096 ||
	    (h->entry_bytes & (h->entry_bytes - 1)))
		return senseless(p, err, "entry size", h->entry_bytes);
	if (h->n_entries > IBB_LIMIT_PARTITIONS)
		return ibb_err(err, IBB_E_LIMIT,
			       "%s: %s GPT header at offset %llu: %u entries, more than %u",
			       p->d->name, p->which, (unsigned long long)(p->lba * p->sector),
			       h->n_entries, IBB_LIMIT_PARTITIONS);
	if (h->last_usable_lba > last_lba(p))
		return ibb_err(err, IBB_E_CORRUPT,
			       "%s: %s GPT header at offset %llu: usable up to LBA %llu, but the "
			       "disk ends at %llu: truncated?",
			       p->d->name, p->which, (unsigned long long)(p->lba * p->sector),
			       (unsigned long long)h->last_usable_lba,
			       (unsigned long long)last_lba(p));
	if (h->first_usable_lba < 2 || h->first_usable_lba > h->last_usable_lba)
		return senseless(p, err, "first usable LBA", h->first_usable_lba);
	if (!entries_fit(p, h))
		return senseless(p, err, "LBA of the entries", h->entries_lba);
	return IBB_OK;
}

static int read_entries(struct ibb_disk *d, const struct place *p, struct header *h,
			struct ibb_error *err)
{
	const size_t n = (size_t)h->n_entries * h->entry_bytes;
	IBB_AUTO_FREE uint8_t *b = ibb_alloc(n);
	uint32_t crc;
	int r;

	if (!b)
		return ibb_err_nomem(err);
	r = ibb_disk_pread(d, b, n, h->entries_lba * p->sector, err);
	if (r)
		return r;
	crc = ibb_crc32(0, b, n);
	if (crc != h->entries_crc)
		return damaged(p, err, "checksum of the entries", h->entries_crc, crc);
	h->entries = IBB_TAKE(b);
	return IBB_OK;
}

/* One header with its entries. IBB_E_CORRUPT: try the other one. */
static int read_header(struct ibb_disk *d, uint32_t sector, uint64_t lba, const char *which,
		       struct header *ret, struct ibb_error *err)
{
	const struct place p = {d, which, lba, sector};
	uint8_t b[4096];
	struct header h = {0};
	int r;

	if (lba > last_lba(&p))
		return ibb_err(err, IBB_E_CORRUPT, "%s: the %s GPT header would lie past the end",
			       d->name, which);
	r = ibb_disk_pread(d, b, sector, lba * sector, err);
	if (!r)
		r = check_frame(&p, b, err);
	if (r)
		return r;
	h.alternate_lba = ibb_get_le64(b + 32);
	h.first_usable_lba = ibb_get_le64(b + 40);
	h.last_usable_lba = ibb_get_le64(b + 48);
	memcpy(h.disk_id.b, b + 56, 16);
	h.entries_lba = ibb_get_le64(b + 72);
	h.n_entries = ibb_get_le32(b + 80);
	h.entry_bytes = ibb_get_le32(b + 84);
	h.entries_crc = ibb_get_le32(b + 88);
	r = check_fields(&p, &h, err);
	if (!r)
		r = read_entries(d, &p, &h, err);
	if (!r)
		*ret = h;
	return r;
}

static int signature_at(struct ibb_disk *d, uint64_t off, bool *ret, struct ibb_error *err)
{
	uint8_t b[8];
	int r;

	*ret = false;
	if (!ibb_in_range(off, 512, d->size_bytes))
		return IBB_OK;
	r = ibb_disk_pread(d, b, sizeof(b), off, err);
	if (!r)
		*ret = memcmp(b, "EFI PART", 8) == 0;
	return r;
}

int ibb_gpt_find(struct ibb_disk *d, bool *ret_found, uint32_t *ret_sector, struct ibb_error *err)
{
	const uint32_t sizes[2] = {d->sector_bytes, d->sector_bytes == 4096 ? 512 : 4096};

	*ret_sector = d->sector_bytes;
	for (unsigned i = 0; i < 4; i++) {
		const uint32_t sector = sizes[i % 2];
		const uint64_t end = d->size_bytes / sector * sector;
		int r = signature_at(d, i < 2 ? sector : end - sector, ret_found, err);

		if (r)
			return r;
		if (*ret_found) {
			*ret_sector = sector;
			return IBB_OK;
		}
	}
	return IBB_OK;
}

/* UTF-16 up to the first U+0000. 36 code units are at most 108 bytes of UTF-8. */
static int get_name(const uint8_t *b, char *out, size_t size, struct ibb_error *err)
{
	IBB_AUTO_FREE char *s = ibb_utf8_from_utf16le(b, 72);

	if (!s)
		return ibb_err_nomem(err);
	IBB_ASSERT(strlen(s) < size);
	memcpy(out, s, strlen(s) + 1);
	return IBB_OK;
}

static int decode_entry(const struct ibb_disk *d, uint32_t sector, const struct header *h,
			unsigned i, struct ibb_partition *ret, struct ibb_error *err)
{
	const uint8_t *b = h->entries + (size_t)i * h->entry_bytes;
	const uint64_t first = ibb_get_le64(b + 32), last = ibb_get_le64(b + 40);
	struct ibb_partition p = {.number = i + 1};

	if (first > last || first < h->first_usable_lba || last > h->last_usable_lba)
		return ibb_err(
			err, IBB_E_CORRUPT,
			"%s: GPT partition %u (LBA %llu to %llu) lies outside the usable LBA "
			"%llu to %llu",
			d->name, i + 1, (unsigned long long)first, (unsigned long long)last,
			(unsigned long long)h->first_usable_lba,
			(unsigned long long)h->last_usable_lba);
	p.off_bytes = first * sector;
	p.len_bytes = (last - first + 1) * sector;
	memcpy(p.type.b, b, 16);
	memcpy(p.id.b, b + 16, 16);
	p.attributes = ibb_get_le64(b + 48);
	*ret = p;
	return get_name(b + 56, ret->name, sizeof(ret->name), err);
}

static int decode_entries(const struct ibb_disk *d, const struct header *h, struct ibb_ptable *t,
			  struct ibb_error *err)
{
	size_t cap = 0;

	for (unsigned i = 0; i < h->n_entries; i++) {
		struct ibb_partition p;
		struct ibb_guid type;
		int r;

		memcpy(type.b, h->entries + (size_t)i * h->entry_bytes, 16);
		if (ibb_guid_is_zero(&type))
			continue;
		r = decode_entry(d, t->sector_bytes, h, i, &p, err);
		if (!r)
			r = ibb_ptable_add(t, &cap, &p, err);
		if (r)
			return r;
	}
	return IBB_OK;
}

/* The backup that the primary names agrees with it and points back; it belongs to the last LBA. */
static int check_backup(struct ibb_disk *d, const struct header *h, struct ibb_ptable *t,
			struct ibb_error *err)
{
	const uint64_t last = d->size_bytes / t->sector_bytes - 1;
	struct ibb_error ignored = {0};
	struct header other = {0};
	int r = IBB_E_CORRUPT;

	if (h->alternate_lba > 1 && h->alternate_lba <= last)
		r = read_header(d, t->sector_bytes, h->alternate_lba, "backup", &other, &ignored);
	if (r && r != IBB_E_CORRUPT && r != IBB_E_LIMIT) {
		if (err)
			*err = ignored;
		return r;
	}
	if (!r && other.alternate_lba == 1 && other.entries_crc == h->entries_crc &&
	    ibb_guid_equal(&other.disk_id, &h->disk_id))
		t->backup_lba = h->alternate_lba;
	t->backup_damaged = t->backup_lba != last;
	free(other.entries);
	return IBB_OK;
}

/*
 * The backup header: at the last LBA, or, on a disk that was enlarged, where the damaged primary
 * says, if it still does.
 */
static int find_backup(struct ibb_disk *d, struct header *ret, struct ibb_ptable *t,
		       struct ibb_error *err)
{
	const uint64_t last = d->size_bytes / t->sector_bytes - 1;
	struct ibb_error ignored;
	uint64_t lba;
	uint8_t b[8];
	int r = read_header(d, t->sector_bytes, last, "backup", ret, err);

	if (r != IBB_E_CORRUPT || last < 2)
		return r;
	if (ibb_disk_pread(d, b, sizeof(b), t->sector_bytes + 32, &ignored))
		return r;
	lba = ibb_get_le64(b);
	if (lba < 2 || lba >= last || read_header(d, t->sector_bytes, lba, "backup", ret, &ignored))
		return r;
	t->backup_damaged = true;
	return IBB_OK;
}

/* The primary header is damaged: the backup must do. */
static int use_backup(struct ibb_disk *d, struct header *ret, struct ibb_ptable *t,
		      const struct ibb_error *primary, struct ibb_error *err)
{
	struct ibb_error own = {0};
	const char *what = own.msg;
	int r = find_backup(d, ret, t, &own);

	t->primary_damaged = true;
	if (r == IBB_E_CORRUPT) {
		const size_t n = strlen(d->name);

		/* the name stands already in front of the primary's message */
		if (strncmp(what, d->name, n) == 0 && strncmp(what + n, ": ", 2) == 0)
			what += n + 2;
		return ibb_err(err, r, "%s; %s", primary->msg, what);
	}
	if (r && err)
		*err = own;
	return r;
}

int ibb_gpt_read(struct ibb_disk *d, struct ibb_ptable *t, struct ibb_error *err)
{
	struct ibb_error primary = {0};
	struct header h = {0};
	bool found;
	int r = ibb_gpt_find(d, &found, &t->sector_bytes, err);

	if (r)
		return r;
	t->kind = IBB_PTABLE_GPT;
	r = read_header(d, t->sector_bytes, 1, "primary", &h, &primary);
	if (!r)
		r = check_backup(d, &h, t, err);
	else if (r == IBB_E_CORRUPT)
		r = use_backup(d, &h, t, &primary, err);
	else if (err)
		*err = primary;
	if (!r) {
		t->disk_id = h.disk_id;
		r = decode_entries(d, &h, t, err);
	}
	free(h.entries);
	return r;
}
