/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "mkdisk.h"

#include <stdlib.h>
#include <string.h>

#include "base/le.h"

#define N_ENTRIES   128u
#define ENTRY_BYTES 128u
#define GAP_BYTES   1048576u /* from an extended boot record to its logical partition */

const struct ibb_guid mkdisk_esp = {{0x28, 0x73, 0x2a, 0xc1, 0x1f, 0xf8, 0xd2, 0x11, 0xba, 0x4b, 0,
				     0xa0, 0xc9, 0x3e, 0xc9, 0x3b}};
const struct ibb_guid mkdisk_msr = {{0x16, 0xe3, 0xc9, 0xe3, 0x5c, 0x0b, 0xb8, 0x4d, 0x81, 0x7d,
				     0xf9, 0x2d, 0xf0, 0x02, 0x15, 0xae}};
const struct ibb_guid mkdisk_data = {{0xa2, 0xa0, 0xd0, 0xeb, 0xe5, 0xb9, 0x33, 0x44, 0x87, 0xc0,
				      0x68, 0xb6, 0xb7, 0x26, 0x99, 0xc7}};

uint32_t mkdisk_crc32(const void *p, size_t n)
{
	const uint8_t *b = p;
	uint32_t crc = 0xffffffff;

	while (n--) {
		crc ^= *b++;
		for (int i = 0; i < 8; i++)
			crc = crc >> 1 ^ (crc & 1 ? 0xedb88320 : 0);
	}
	return ~crc;
}

static void put_mbr_entry(uint8_t *sector, unsigned i, bool active, uint8_t type, uint32_t start,
			  uint32_t len)
{
	uint8_t *b = sector + 446 + 16 * i;

	b[0] = active ? 0x80 : 0;
	memcpy(b + 1, "\0\2\0", 3); /* CHS: nobody reads it; first cylinder to the last */
	b[4] = type;
	memcpy(b + 5, "\xfe\xff\xff", 3);
	ibb_put_le32(b + 8, start);
	ibb_put_le32(b + 12, len);
	sector[510] = 0x55;
	sector[511] = 0xaa;
}

static void put_entry(uint8_t *b, const struct mkdisk_part *p, uint32_t sector)
{
	memcpy(b, p->type.b, 16);
	memcpy(b + 16, p->id.b, 16);
	ibb_put_le64(b + 32, p->off_bytes / sector);
	ibb_put_le64(b + 40, (p->off_bytes + p->len_bytes) / sector - 1);
	ibb_put_le64(b + 48, p->attributes);
	for (size_t i = 0; p->name && p->name[i] && i < 36; i++)
		b[56 + 2 * i] = (uint8_t)p->name[i];
}

struct gpt {
	struct ibb_disk *d;
	const struct ibb_guid *disk_id;
	uint8_t entries[N_ENTRIES * ENTRY_BYTES];
	uint64_t n_lbas, table_lbas;
};

static int write_header(const struct gpt *g, uint64_t lba, uint64_t other, uint64_t entries_lba,
			struct ibb_error *err)
{
	const uint32_t sector = g->d->sector_bytes;
	uint8_t b[4096] = "EFI PART";
	int r;

	ibb_put_le32(b + 8, 0x00010000);
	ibb_put_le32(b + 12, 92);
	ibb_put_le64(b + 24, lba);
	ibb_put_le64(b + 32, other);
	ibb_put_le64(b + 40, 2 + g->table_lbas);
	ibb_put_le64(b + 48, g->n_lbas - 2 - g->table_lbas);
	memcpy(b + 56, g->disk_id->b, 16);
	ibb_put_le64(b + 72, entries_lba);
	ibb_put_le32(b + 80, N_ENTRIES);
	ibb_put_le32(b + 84, ENTRY_BYTES);
	ibb_put_le32(b + 88, mkdisk_crc32(g->entries, sizeof(g->entries)));
	ibb_put_le32(b + 16, mkdisk_crc32(b, 92));
	r = ibb_disk_pwrite(g->d, b, sector, lba * sector, err);
	if (r)
		return r;
	return ibb_disk_pwrite(g->d, g->entries, sizeof(g->entries), entries_lba * sector, err);
}

static int fill_entries(struct gpt *g, const struct mkdisk_part *parts, size_t n,
			struct ibb_error *err)
{
	const uint32_t sector = g->d->sector_bytes;
	const uint64_t first = (2 + g->table_lbas) * sector;
	const uint64_t end = (g->n_lbas - 1 - g->table_lbas) * sector;

	if (n > N_ENTRIES)
		return ibb_err(err, IBB_E_INVALID, "mkdisk: more than %u partitions", N_ENTRIES);
	for (size_t i = 0; i < n; i++) {
		const struct mkdisk_part *p = &parts[i];

		if (!p->len_bytes) /* a free slot */
			continue;
		if (p->off_bytes % sector || p->len_bytes % sector || p->off_bytes < first ||
		    !ibb_in_range(p->off_bytes, p->len_bytes, end))
			return ibb_err(err, IBB_E_INVALID,
				       "mkdisk: partition %zu does not fit %llu to %llu", i + 1,
				       (unsigned long long)first, (unsigned long long)end);
		put_entry(g->entries + i * ENTRY_BYTES, p, sector);
	}
	return IBB_OK;
}

int mkdisk_gpt(struct ibb_disk *d, const struct mkdisk_part *parts, size_t n,
	       const struct ibb_guid *disk_id, struct ibb_error *err)
{
	const uint32_t sector = d->sector_bytes;
	struct gpt g = {.d = d, .disk_id = disk_id};
	uint8_t mbr[512] = {0};
	int r;

	g.n_lbas = d->size_bytes / sector;
	g.table_lbas = sizeof(g.entries) / sector;
	if (g.n_lbas < 4 + 2 * g.table_lbas)
		return ibb_err(err, IBB_E_INVALID, "mkdisk: no room for a GPT");
	r = fill_entries(&g, parts, n, err);
	if (r)
		return r;
	put_mbr_entry(mbr, 0, false, 0xee, 1,
		      g.n_lbas - 1 > UINT32_MAX ? UINT32_MAX : (uint32_t)(g.n_lbas - 1));
	r = ibb_disk_pwrite(d, mbr, sizeof(mbr), 0, err);
	if (!r)
		r = write_header(&g, 1, g.n_lbas - 1, 2, err);
	if (!r)
		r = write_header(&g, g.n_lbas - 1, 1, g.n_lbas - 1 - g.table_lbas, err);
	return r;
}

/* The chain of records for parts[0..n), of which the logical ones count. */
static int write_chain(struct ibb_disk *d, const struct mkdisk_part *parts, size_t n,
		       uint64_t ext_off, struct ibb_error *err)
{
	const uint32_t sector = d->sector_bytes;

	for (size_t i = 0; i < n; i++) {
		uint8_t b[512] = {0};
		size_t next = i + 1;
		int r;

		if (!parts[i].logical)
			continue;
		put_mbr_entry(b, 0, parts[i].active, parts[i].mbr_type, GAP_BYTES / sector,
			      (uint32_t)(parts[i].len_bytes / sector));
		while (next < n && !parts[next].logical)
			next++;
		if (next < n)
			put_mbr_entry(
				b, 1, false, 0x05,
				(uint32_t)((parts[next].off_bytes - GAP_BYTES - ext_off) / sector),
				(uint32_t)((parts[next].len_bytes + GAP_BYTES) / sector));
		r = ibb_disk_pwrite(d, b, sizeof(b), parts[i].off_bytes - GAP_BYTES, err);
		if (r)
			return r;
	}
	return IBB_OK;
}

int mkdisk_mbr(struct ibb_disk *d, const struct mkdisk_part *parts, size_t n, uint32_t signature,
	       struct ibb_error *err)
{
	const uint32_t sector = d->sector_bytes;
	uint64_t ext_off = 0, ext_end = 0;
	uint8_t mbr[512] = {0};
	unsigned slot = 0;

	for (size_t i = 0; i < n; i++) {
		const struct mkdisk_part *p = &parts[i];

		if (p->off_bytes % sector || p->len_bytes % sector || p->off_bytes < GAP_BYTES ||
		    !ibb_in_range(p->off_bytes, p->len_bytes, d->size_bytes) ||
		    (!p->logical && slot == 4))
			return ibb_err(err, IBB_E_INVALID, "mkdisk: partition %zu does not fit",
				       i + 1);
		if (p->logical) {
			ext_off = ext_end ? ext_off : p->off_bytes - GAP_BYTES;
			ext_end = p->off_bytes + p->len_bytes;
			continue;
		}
		put_mbr_entry(mbr, slot++, p->active, p->mbr_type,
			      (uint32_t)(p->off_bytes / sector), (uint32_t)(p->len_bytes / sector));
	}
	if (ext_end && slot == 4)
		return ibb_err(err, IBB_E_INVALID, "mkdisk: no slot for the extended partition");
	if (ext_end)
		put_mbr_entry(mbr, slot, false, 0x0f, (uint32_t)(ext_off / sector),
			      (uint32_t)((ext_end - ext_off) / sector));
	ibb_put_le32(mbr + 440, signature);
	mbr[510] = 0x55;
	mbr[511] = 0xaa;
	if (ext_end) {
		int r = write_chain(d, parts, n, ext_off, err);

		if (r)
			return r;
	}
	return ibb_disk_pwrite(d, mbr, sizeof(mbr), 0, err);
}
