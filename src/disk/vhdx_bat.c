/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The block allocation table, 2.5. Behind the entries of each chunk's payload blocks stands one of
 * its sector bitmap, in files of every kind: a reader that leaves it out for fixed disks is right
 * up to the end of the first chunk only.
 */
#include "base/le.h"
#include "base/limits.h"
#include "disk/vhdx_internal.h"

#define PIECE (64u << 10) /* of the table, read at a time */

struct reader {
	struct ibb_disk *file;
	const struct ibb_vhdx_range *region;
	const struct ibb_vhdx_meta *meta;
	struct ibb_vhdx_map *map;
	struct ibb_vhdx_bat bat;
	bool partial; /* the chunk has a block that needs the sector bitmap */
};

void ibb_vhdx_bat_clear(struct ibb_vhdx_bat *b)
{
	if (b->blocks)
		ibb_unmap_zeroed(b->blocks, (size_t)b->n_blocks * sizeof(*b->blocks));
	if (b->bitmaps)
		ibb_unmap_zeroed(b->bitmaps, (size_t)b->n_chunks * sizeof(*b->bitmaps));
	*b = (struct ibb_vhdx_bat){0};
}

static int entry_err(const struct reader *t, uint64_t i, uint64_t e, const char *what,
		     struct ibb_error *err)
{
	return ibb_err(err, IBB_E_CORRUPT,
		       "%s: entry %llu of the VHDX block allocation table (offset %llu, value "
		       "0x%llx) %s",
		       t->file->name, (unsigned long long)i,
		       (unsigned long long)(t->region->off_bytes + i * 8), (unsigned long long)e,
		       what);
}

/* A block that is there: `need` bytes of it in the file, `whole` bytes that are its own. */
static int take_place(struct reader *t, uint64_t i, uint64_t e, uint64_t need, uint64_t whole,
		      struct ibb_error *err)
{
	uint64_t mib = e >> 20;

	if (e & 0xffff8)
		return entry_err(t, i, e, "has reserved bits set", err);
	if (mib >= t->map->n_mib || !ibb_in_range(mib * IBB_VHDX_MIB, need, t->file->size_bytes))
		return entry_err(t, i, e, "points behind the end of the file", err);
	if (!ibb_vhdx_map_take(t->map, mib, whole / IBB_VHDX_MIB))
		return entry_err(t, i, e,
				 "overlaps another block, a region, the log or the headers", err);
	return IBB_OK;
}

static int take_payload(struct reader *t, uint64_t i, uint64_t block, uint64_t e,
			struct ibb_error *err)
{
	const struct ibb_vhdx_meta *m = t->meta;
	uint64_t left = m->disk_bytes - block * m->block_bytes;
	unsigned state = e & 7;
	int r;

	if (state <= IBB_VHDX_UNMAPPED) {
		/* the place is reserved, or where the block once was: nobody reads it */
		if (state)
			t->bat.blocks[block] = state;
		return IBB_OK;
	}
	if (state != IBB_VHDX_FULL && (state != IBB_VHDX_PARTIAL || !m->has_parent))
		return entry_err(t, i, e, "has a state that a block of this disk cannot have", err);
	/* programs that make fixed files leave out what lies behind the disk's end */
	r = take_place(t, i, e, left < m->block_bytes ? left : m->block_bytes, m->block_bytes, err);
	if (r)
		return r;
	t->bat.allocated++;
	t->bat.blocks[block] = (uint32_t)(e >> 20 << 3) | state;
	t->partial |= state == IBB_VHDX_PARTIAL;
	return IBB_OK;
}

static int take_bitmap(struct reader *t, uint64_t i, uint64_t chunk, uint64_t e,
		       struct ibb_error *err)
{
	unsigned state = e & 7;
	int r;

	/*
	 * Without a parent it has no meaning, and qemu-img before 8.0.1 left shifted copies of its
	 * neighbours there.
	 */
	if (!t->meta->has_parent)
		return IBB_OK;
	if (state == IBB_VHDX_NOT_PRESENT) {
		if (t->partial)
			return entry_err(t, i, e,
					 "says that there is no sector bitmap, but a block of its "
					 "chunk is partially present",
					 err);
		return IBB_OK;
	}
	if (state != IBB_VHDX_FULL)
		return entry_err(t, i, e, "has a state that a sector bitmap cannot have", err);
	r = take_place(t, i, e, IBB_VHDX_MIB, IBB_VHDX_MIB, err);
	if (r)
		return r;
	t->bat.bitmaps[chunk] = (uint32_t)(e >> 20);
	t->partial = false;
	return IBB_OK;
}

/* Entries of the disk: for a differencing one up to the bitmap of the last chunk. */
static uint64_t count_entries(const struct reader *t)
{
	const struct ibb_vhdx_bat *b = &t->bat;

	if (t->meta->has_parent)
		return b->n_chunks * (b->chunk_ratio + 1ull);
	return b->n_blocks + (b->n_blocks - 1) / b->chunk_ratio;
}

static int read_entries(struct reader *t, uint64_t n, struct ibb_error *err)
{
	IBB_AUTO_FREE uint8_t *b = ibb_alloc(PIECE);
	const uint64_t group = t->bat.chunk_ratio + 1ull;
	int r = IBB_OK;

	if (!b)
		return ibb_err_nomem(err);
	for (uint64_t i = 0; !r && i < n; i++) {
		uint64_t in = i * 8 % PIECE, block = i - i / group, e;

		if (!in)
			r = ibb_disk_pread(t->file, b, n - i < PIECE / 8 ? (n - i) * 8 : PIECE,
					   t->region->off_bytes + i * 8, err);
		if (r)
			break;
		e = ibb_get_le64(b + in);
		if (i % group == t->bat.chunk_ratio)
			r = take_bitmap(t, i, i / group, e, err);
		else if (block < t->bat.n_blocks) /* the last chunk may have fewer */
			r = take_payload(t, i, block, e, err);
	}
	return r;
}

static int prepare(struct reader *t, struct ibb_error *err)
{
	const struct ibb_vhdx_meta *m = t->meta;
	struct ibb_vhdx_bat *b = &t->bat;
	uint64_t n = m->disk_bytes / m->block_bytes + (m->disk_bytes % m->block_bytes != 0);

	if (n > IBB_LIMIT_VHDX_BLOCKS) {
		ibb_err(err, IBB_E_LIMIT,
			"%s: the disk has %llu blocks of %u KiB, at most %u are "
			"supported",
			t->file->name, (unsigned long long)n, m->block_bytes >> 10,
			IBB_LIMIT_VHDX_BLOCKS);
		return ibb_err_hint(err, IBB_E_LIMIT,
				    "convert it to a VHDX with larger blocks, e.g. Convert-VHD "
				    "-BlockSizeBytes 32MB");
	}
	b->n_blocks = n;
	b->chunk_ratio = ibb_vhdx_chunk_ratio(m->block_bytes, m->logical_bytes);
	b->n_chunks = (n + b->chunk_ratio - 1) / b->chunk_ratio;
	b->blocks = ibb_map_zeroed((size_t)n * sizeof(*b->blocks));
	if (m->has_parent)
		b->bitmaps = ibb_map_zeroed((size_t)b->n_chunks * sizeof(*b->bitmaps));
	return b->blocks && (b->bitmaps || !m->has_parent) ? IBB_OK : ibb_err_nomem(err);
}

int ibb_vhdx_bat_read(struct ibb_disk *file, const struct ibb_vhdx_range *region,
		      const struct ibb_vhdx_meta *meta, struct ibb_vhdx_map *map,
		      struct ibb_vhdx_bat *ret, struct ibb_error *err)
{
	struct reader t = {.file = file, .region = region, .meta = meta, .map = map};
	int r = prepare(&t, err);
	uint64_t n = r ? 0 : count_entries(&t);

	if (!r && n > region->len_bytes / 8)
		r = ibb_err(err, IBB_E_CORRUPT,
			    "%s: the VHDX block allocation table (offset %llu) has room for %llu "
			    "entries, the disk needs %llu",
			    file->name, (unsigned long long)region->off_bytes,
			    (unsigned long long)(region->len_bytes / 8), (unsigned long long)n);
	if (!r)
		r = read_entries(&t, n, err);
	if (r)
		ibb_vhdx_bat_clear(&t.bat);
	else
		*ret = t.bat;
	return r;
}
