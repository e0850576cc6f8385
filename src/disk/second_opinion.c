/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * libvhdi reads the same files through descriptors of our own, and has to see what our readers see.
 * It is only given files that they accepted. Two independent readers that agree are rarely both
 * wrong; libvhdi alone was found to return wrong data without an error. Those cases, found in
 * 20210425 and each reproduced by tests/unit/test_second_opinion.c, are left out:
 *
 * - Differencing VHD: the bit of a sector is taken as set when a bit before it in its byte is (the
 *   byte is shifted, not masked), so the parent's sectors behind a child's in a group of eight are
 *   read from the child. Left out: groups where a clear bit follows a set one.
 * - Differencing VHD with blocks below 2 MiB: the clear bits that fill a bitmap's last sector are
 *   counted as sectors, so a read from the end of a block into the next one takes what is in the
 *   latter from the parent. Nothing is left out: each read stays inside one block.
 * - Fixed VHDX: the entries of sector bitmap blocks, one behind each chunk, are not counted, so
 *   everything behind the first chunk is read from the wrong block. Left out: what lies there.
 * - Differencing VHDX: a chunk without a bitmap block has one read from offset 0 of the file, and
 *   blocks of zeros are taken from the parent. Left out: such chunks, every state but "not
 * present", "fully" and "partially present", and what is not present although it has bits.
 * - A VHDX whose log is not empty: libvhdi does not replay it. Only what no log can change is
 *   asked: the type and the identifiers.
 * - A VHD whose last footer is damaged: libvhdi does not know the copy at offset 0. Not asked.
 * - A child that is larger than its parent: not asked for what lies behind the parent's end.
 */
#include <libvhdi.h>

#include "disk/chain.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/le.h"
#include "base/limits.h"

#define PIECE	     65536u
#define DATA_PIECES  32u
#define HOLE_PIECES  14u
#define PIECES	     (DATA_PIECES + HOLE_PIECES + 2)
#define NO_BAT_ENTRY UINT32_MAX /* of a VHD: the block is not in the file */

/* States of a payload block, [MS-VHDX] 2.5.1.1, and of a sector bitmap block, 2.5.1.2. */
enum { BLOCK_NOT_PRESENT = 0, BLOCK_ZERO = 2, BLOCK_FULL = 6, BLOCK_PARTIAL = 7 };
enum { BITMAP_PRESENT = 6 };

static const char source[] = "libvhdi";

struct opinion {
	const struct ibb_chain *c;
	libvhdi_file_t **files; /* one a link */
	uint64_t *bats;		/* where the block allocation tables lie; 0: not known */
	uint8_t *ours, *theirs; /* PIECE bytes each */
	uint32_t block_bytes;	/* the smallest of the chain's; the others are multiples of it */
	uint64_t asked;
};

const char *ibb_chain_second_version(void)
{
	return libvhdi_get_version();
}

static int remedy(int code, struct ibb_error *err)
{
	return ibb_err_hint(err, code,
			    "one of the two readers is wrong about this image: please report it; "
			    "--second-opinion=off goes on with ibbake's own reader");
}

/* libvhdi failed where we did not. Takes the error over. */
static int failed(const struct ibb_link *l, const char *what, libvhdi_error_t *error,
		  struct ibb_error *err)
{
	char text[300] = "";

	if (error && libvhdi_error_sprint(error, text, sizeof(text)) < 0)
		text[0] = '\0';
	for (char *p = text; *p; p++)
		if (*p == '\n')
			*p = ' ';
	libvhdi_error_free(&error);
	ibb_err_lib(err, IBB_E_CORRUPT, source,
		    "%s: second opinion: libvhdi cannot %s, ibbake can: %s", l->path, what, text);
	return remedy(IBB_E_CORRUPT, err);
}

static int differs(const struct ibb_link *l, const char *what, const char *theirs, const char *ours,
		   struct ibb_error *err)
{
	ibb_err_lib(err, IBB_E_CORRUPT, source,
		    "%s: second opinion: libvhdi says the %s is %s, ibbake says %s", l->path, what,
		    theirs, ours);
	return remedy(IBB_E_CORRUPT, err);
}

static int same_number(const struct ibb_link *l, const char *what, uint64_t theirs, uint64_t ours,
		       struct ibb_error *err)
{
	char a[24], b[24];

	if (theirs == ours)
		return IBB_OK;
	snprintf(a, sizeof(a), "%llu", (unsigned long long)theirs);
	snprintf(b, sizeof(b), "%llu", (unsigned long long)ours);
	return differs(l, what, a, b, err);
}

/* libvhdi gives the GUIDs of a VHDX in the order they are written in, VHD's as they stand. */
static int same_id(const struct ibb_link *l, const char *what, const uint8_t theirs[16],
		   const struct ibb_guid *ours, struct ibb_error *err)
{
	struct ibb_guid g;
	char a[IBB_GUID_STR_SIZE], b[IBB_GUID_STR_SIZE];

	memcpy(g.b, theirs, 16);
	if (l->kind == IBB_CONTAINER_VHDX) {
		ibb_put_le32(g.b, ibb_get_be32(theirs));
		ibb_put_le16(g.b + 4, ibb_get_be16(theirs + 4));
		ibb_put_le16(g.b + 6, ibb_get_be16(theirs + 6));
	}
	if (ibb_guid_equal(&g, ours))
		return IBB_OK;
	ibb_guid_format(&g, a);
	ibb_guid_format(ours, b);
	return differs(l, what, a, b, err);
}

/* ---- properties of one file ---- */

static uint32_t type_of(const struct ibb_link *l)
{
	if (l->parent.differencing)
		return LIBVHDI_DISK_TYPE_DIFFERENTIAL;
	if (l->kind == IBB_CONTAINER_VHDX ? l->vhdx.fixed : l->kind == IBB_CONTAINER_VHD_FIXED)
		return LIBVHDI_DISK_TYPE_FIXED;
	return LIBVHDI_DISK_TYPE_DYNAMIC;
}

static int check_kind(const struct ibb_link *l, libvhdi_file_t *f, struct ibb_error *err)
{
	const int ours =
		l->kind == IBB_CONTAINER_VHDX ? LIBVHDI_FILE_TYPE_VHDX : LIBVHDI_FILE_TYPE_VHD;
	libvhdi_error_t *error = NULL;
	uint32_t type = 0;
	int file_type = 0, r;

	if (libvhdi_file_get_file_type(f, &file_type, &error) != 1 ||
	    libvhdi_file_get_disk_type(f, &type, &error) != 1)
		return failed(l, "tell its type", error, err);
	r = same_number(l, "file type", (uint64_t)file_type, (uint64_t)ours, err);
	return r ? r : same_number(l, "disk type", type, type_of(l), err);
}

static int check_ids(const struct ibb_link *l, libvhdi_file_t *f, struct ibb_error *err)
{
	const struct ibb_guid *ours =
		l->kind == IBB_CONTAINER_VHDX ? &l->vhdx.data_write_id : &l->vhd.footer.unique_id;
	libvhdi_error_t *error = NULL;
	uint8_t id[16] = {0};
	int r;

	if (libvhdi_file_get_identifier(f, id, sizeof(id), &error) != 1)
		return failed(l, "tell its identifier", error, err);
	r = same_id(l, "identifier", id, ours, err);
	if (r || !l->parent.differencing)
		return r;
	if (libvhdi_file_get_parent_identifier(f, id, sizeof(id), &error) != 1)
		return failed(l, "tell its parent's identifier", error, err);
	return same_id(l, "parent's identifier", id, &l->parent.id, err);
}

static int check_sizes(const struct ibb_link *l, libvhdi_file_t *f, struct ibb_error *err)
{
	libvhdi_error_t *error = NULL;
	uint32_t sector = 0;
	size64_t size = 0;
	int r;

	if (libvhdi_file_get_media_size(f, &size, &error) != 1 ||
	    libvhdi_file_get_bytes_per_sector(f, &sector, &error) != 1)
		return failed(l, "tell its size", error, err);
	r = same_number(l, "size of the disk in bytes", size, l->disk->size_bytes, err);
	return r ? r : same_number(l, "sector size", sector, l->disk->sector_bytes, err);
}

/* libvhdi knows one name of the parent; it has to be one of those that we know. */
static int check_parent_name(const struct ibb_link *l, libvhdi_file_t *f, struct ibb_error *err)
{
	IBB_AUTO_FREE char *name = NULL;
	libvhdi_error_t *error = NULL;
	size_t size = 0;
	int has;

	if (!l->parent.differencing)
		return IBB_OK;
	has = libvhdi_file_get_utf8_parent_filename_size(f, &size, &error);
	if (has == 0 || (has == 1 && size <= 1))
		return IBB_OK;
	if (has != 1 || size > 4 * IBB_LIMIT_PATH_CHARS)
		return failed(l, "tell its parent's name", error, err);
	name = ibb_zalloc(size + 1);
	if (!name)
		return ibb_err_nomem(err);
	if (libvhdi_file_get_utf8_parent_filename(f, (uint8_t *)name, size, &error) != 1)
		return failed(l, "tell its parent's name", error, err);
	for (size_t i = 0; i < l->parent.n; i++)
		if (strcmp(l->parent.locators[i].path, name) == 0)
			return IBB_OK;
	return differs(l, "parent's name", name,
		       l->parent.n ? l->parent.locators[0].path : "that there is none", err);
}

/* ---- where libvhdi can be asked ---- */

static bool log_replayed(const struct ibb_link *l)
{
	return l->kind == IBB_CONTAINER_VHDX && l->vhdx.log_replayed;
}

enum ibb_opinion ibb_chain_opinion(const struct ibb_chain *c, const char **ret_why)
{
	enum ibb_opinion scope = IBB_OPINION_CONTENT;
	const char *why = NULL;

	for (size_t i = 0; i < c->n && scope != IBB_OPINION_NONE; i++) {
		const struct ibb_link *l = &c->links[i];

		if (l->kind == IBB_CONTAINER_RAW) {
			scope = IBB_OPINION_NONE;
			why = "a raw disk has no container to be wrong about";
		} else if (l->vhd.footer_from_copy) {
			scope = IBB_OPINION_NONE;
			why = "libvhdi cannot read a VHD whose last footer is damaged";
		} else if (log_replayed(l)) {
			scope = IBB_OPINION_IDENTIFIERS;
			why = "libvhdi does not replay the log of a VHDX";
		}
	}
	*ret_why = why;
	return scope;
}

/* "BAT" in the region table, of which the file has two copies: [MS-VHDX] 2.2.3. */
static int find_vhdx_bat(const struct ibb_link *l, uint64_t *ret, struct ibb_error *err)
{
	static const uint8_t bat[16] = {0x66, 0x77, 0xc2, 0x2d, 0x23, 0xf6, 0x00, 0x42,
					0x9d, 0x64, 0x11, 0x5e, 0x9b, 0xfd, 0x4a, 0x08};
	static const uint32_t copies[] = {192u << 10, 256u << 10};
	uint8_t b[16 + 32 * 8];

	for (size_t i = 0; i < IBB_ARRAY_SIZE(copies); i++) {
		int r = ibb_disk_pread(l->file, b, sizeof(b), copies[i], err);

		if (r)
			return r;
		for (size_t at = 16; memcmp(b, "regi", 4) == 0 && at < sizeof(b); at += 32)
			if (memcmp(b + at, bat, 16) == 0) {
				*ret = ibb_get_le64(b + at + 16);
				return IBB_OK;
			}
	}
	return IBB_OK;
}

/* "Table Offset" of the dynamic disk header. */
static int find_vhd_bat(const struct ibb_link *l, uint64_t *ret, struct ibb_error *err)
{
	uint8_t b[8];
	int r = ibb_disk_pread(l->file, b, sizeof(b), l->vhd.footer.data_offset + 16, err);

	if (!r)
		*ret = ibb_get_be64(b);
	return r;
}

/* An entry, a bitmap: what our reader was content with lies inside; else nothing is asked. */
static int peek(const struct ibb_link *l, uint64_t off, uint8_t *b, size_t n, bool *ret,
		struct ibb_error *err)
{
	*ret = ibb_in_range(off, n, l->file->size_bytes);
	return *ret ? ibb_disk_pread(l->file, b, n, off, err) : IBB_OK;
}

static int ask_vhd(const struct ibb_link *l, uint64_t bat, uint64_t off, bool *ret,
		   struct ibb_error *err)
{
	const uint64_t block = off / l->vhd.block_bytes;
	uint8_t entry[4], bits;
	int r;

	*ret = l->vhd.block_bytes % 4096 == 0; /* else a group of sectors may lie in two blocks */
	if (!*ret)
		return IBB_OK;
	r = peek(l, bat + block * 4, entry, sizeof(entry), ret, err);
	if (r || !*ret || ibb_get_be32(entry) == NO_BAT_ENTRY)
		return r;
	r = peek(l, ibb_get_be32(entry) * 512ull + off % l->vhd.block_bytes / 4096, &bits, 1, ret,
		 err);
	if (!r && *ret)
		*ret = (bits & (bits + 1)) == 0; /* clear ones, then set ones */
	return r;
}

static int ask_vhdx_bitmap(const struct ibb_link *l, uint64_t entry_off, uint64_t off,
			   unsigned state, bool *ret, struct ibb_error *err)
{
	uint8_t entry[8], bits;
	uint64_t e;
	int r = peek(l, entry_off, entry, sizeof(entry), ret, err);

	e = !r && *ret ? ibb_get_le64(entry) : 0;
	*ret = (e & 7) == BITMAP_PRESENT;
	if (r || !*ret)
		return r;
	off /= l->disk->sector_bytes;
	r = peek(l, (e & ~((1ull << 20) - 1)) + off % (1u << 23) / 8, &bits, 1, ret, err);
	if (!r && *ret)
		*ret = state != BLOCK_NOT_PRESENT || !bits;
	return r;
}

static int ask_vhdx(const struct ibb_link *l, uint64_t bat, uint64_t off, bool *ret,
		    struct ibb_error *err)
{
	const uint64_t chunk_bytes = (uint64_t)l->disk->sector_bytes << 23;
	const uint64_t ratio = chunk_bytes / l->vhdx.block_bytes, block = off / l->vhdx.block_bytes;
	uint8_t entry[8];
	unsigned state;
	int r;

	*ret = false;
	if (!bat || (l->vhdx.fixed && off >= chunk_bytes))
		return IBB_OK;
	r = peek(l, bat + (block + block / ratio) * 8, entry, sizeof(entry), ret, err);
	if (r || !*ret)
		return r;
	state = entry[0] & 7;
	if (!l->parent.differencing) {
		*ret = state == BLOCK_NOT_PRESENT || state == BLOCK_ZERO || state == BLOCK_FULL;
		return IBB_OK;
	}
	*ret = state == BLOCK_NOT_PRESENT || state == BLOCK_FULL || state == BLOCK_PARTIAL;
	if (!*ret)
		return IBB_OK;
	return ask_vhdx_bitmap(l, bat + ((off / chunk_bytes + 1) * (ratio + 1) - 1) * 8, off, state,
			       ret, err);
}

/* Is libvhdi known to read n bytes at off, a group of eight sectors, as it should? */
static int may_ask(const struct opinion *o, uint64_t off, uint64_t n, bool *ret,
		   struct ibb_error *err)
{
	const struct ibb_chain *c = o->c;
	bool ok = true;
	int r = IBB_OK;

	for (size_t i = 0; i < c->n && ok && !r; i++) {
		const struct ibb_link *l = &c->links[i];

		if (l->kind == IBB_CONTAINER_VHDX)
			r = ask_vhdx(l, o->bats[i], off, &ok, err);
		else if (l->parent.differencing)
			r = ask_vhd(l, o->bats[i], off, &ok, err);
		if (i + 1 < c->n)
			ok = ok && ibb_in_range(off, n, c->links[i + 1].disk->size_bytes);
	}
	*ret = ok;
	return r;
}

/* ---- content ---- */

/* A fixed VHD has none: any size will do. */
static uint32_t block_bytes(const struct ibb_link *l)
{
	if (l->kind == IBB_CONTAINER_VHDX)
		return l->vhdx.block_bytes;
	return l->vhd.block_bytes ? l->vhd.block_bytes : 2u << 20;
}

static int read_theirs(const struct opinion *o, uint64_t off, size_t n, struct ibb_error *err)
{
	for (size_t done = 0; done < n;) {
		const uint64_t at = off + done, in_block = o->block_bytes - at % o->block_bytes;
		const size_t most = n - done < in_block ? n - done : (size_t)in_block;
		libvhdi_error_t *error = NULL;
		const ssize_t k = libvhdi_file_read_buffer_at_offset(o->files[0], o->theirs + done,
								     most, (off64_t)at, &error);
		char what[64];

		snprintf(what, sizeof(what), "read the disk at offset %llu",
			 (unsigned long long)at);
		if (k <= 0)
			return failed(&o->c->links[0], what, error, err);
		done += (size_t)k;
	}
	return IBB_OK;
}

static int same_bytes(const struct opinion *o, uint64_t off, size_t n, struct ibb_error *err)
{
	char theirs[8], ours[8], what[64];
	size_t i = 0;
	int r = ibb_disk_pread(o->c->disk, o->ours, n, off, err);

	if (!r)
		r = read_theirs(o, off, n, err);
	if (r || memcmp(o->ours, o->theirs, n) == 0)
		return r;
	while (o->ours[i] == o->theirs[i])
		i++;
	snprintf(what, sizeof(what), "byte at offset %llu of the disk",
		 (unsigned long long)(off + i));
	snprintf(theirs, sizeof(theirs), "0x%02x", o->theirs[i]);
	snprintf(ours, sizeof(ours), "0x%02x", o->ours[i]);
	return differs(&o->c->links[0], what, theirs, ours, err);
}

/* A piece of the disk, without the groups of sectors for which libvhdi is not asked. */
static int compare_piece(struct opinion *o, uint64_t off, uint64_t end, struct ibb_error *err)
{
	const uint64_t group = 8ull * o->c->disk->sector_bytes;
	uint64_t from = off; /* [from, off) waits to be compared */
	bool any = false;
	int r = IBB_OK;

	for (; off < end && !r; off += group) {
		bool ask = false;

		r = may_ask(o, off, group < end - off ? group : end - off, &ask, err);
		if (r || ask)
			continue;
		if (off > from) {
			any = true;
			r = same_bytes(o, from, (size_t)(off - from), err);
		}
		from = off + group;
	}
	if (!r && from < end) {
		any = true;
		r = same_bytes(o, from, (size_t)(end - from), err);
	}
	o->asked += any;
	return r;
}

/* Where to look: the same places each time. */
struct sample {
	uint64_t bytes[2]; /* of holes, of data */
	bool picking;
	uint64_t seen[2], next[2]; /* bytes gone by, pieces picked */
	uint64_t block_bytes;
	size_t n;
	uint64_t at[PIECES];
};

/* The kth of n positions, from the first byte to the last. */
static uint64_t spread(uint64_t bytes, uint64_t k, uint64_t n)
{
	return k + 1 == n ? bytes - 1 : bytes / (n - 1) * k;
}

/* Every other piece of data lies over the border of a block. */
static void pick(struct sample *s, uint64_t off, bool over_border)
{
	const uint64_t block = off / s->block_bytes * s->block_bytes;

	s->at[s->n++] = over_border && block >= PIECE / 2 ? block - PIECE / 2 : off / PIECE * PIECE;
}

static int sample_run(void *ctx, const struct ibb_extent *e, struct ibb_error *err)
{
	const uint64_t n = e->data ? DATA_PIECES : HOLE_PIECES;
	struct sample *s = ctx;

	(void)err;
	if (!s->picking)
		s->bytes[e->data] += e->len_bytes;
	while (s->picking && s->next[e->data] < n) {
		const uint64_t want = spread(s->bytes[e->data], s->next[e->data], n);

		if (want >= s->seen[e->data] + e->len_bytes)
			break;
		pick(s, e->off_bytes + (want - s->seen[e->data]), e->data && s->next[1] % 2);
		s->next[e->data]++;
	}
	s->seen[e->data] += s->picking ? e->len_bytes : 0;
	return IBB_OK;
}

static int by_offset(const void *a, const void *b)
{
	const uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

static int compare_content(struct opinion *o, struct ibb_error *err)
{
	const struct ibb_link *l = &o->c->links[0];
	struct ibb_disk *d = o->c->disk;
	struct sample s = {.block_bytes = block_bytes(l)};
	int r = ibb_disk_extents(d, 0, d->size_bytes, sample_run, &s, err);

	s.picking = true;
	s.at[s.n++] = 0;
	s.at[s.n++] = (d->size_bytes - 1) / PIECE * PIECE;
	if (!r)
		r = ibb_disk_extents(d, 0, d->size_bytes, sample_run, &s, err);
	qsort(s.at, s.n, sizeof(s.at[0]), by_offset);
	for (size_t i = 0; i < s.n && !r; i++) {
		const uint64_t left = d->size_bytes - s.at[i];

		if (!i || s.at[i] != s.at[i - 1])
			r = compare_piece(o, s.at[i], s.at[i] + (left < PIECE ? left : PIECE), err);
	}
	return r;
}

/* ---- all of it ---- */

static int open_theirs(const struct ibb_link *l, libvhdi_file_t **ret, struct ibb_error *err)
{
	libvhdi_error_t *error = NULL;
	char proc[40];

	snprintf(proc, sizeof(proc), "/proc/self/fd/%d", ibb_disk_file_fd(l->file));
	if (libvhdi_file_initialize(ret, &error) != 1 ||
	    libvhdi_file_open(*ret, proc, LIBVHDI_OPEN_READ, &error) != 1)
		return failed(l, "open it", error, err);
	return IBB_OK;
}

static int ask_link(struct opinion *o, size_t i, struct ibb_error *err)
{
	const struct ibb_link *l = &o->c->links[i];
	int r = open_theirs(l, &o->files[i], err);

	if (!r)
		r = check_kind(l, o->files[i], err);
	if (!r)
		r = check_ids(l, o->files[i], err);
	if (!r && !log_replayed(l))
		r = check_sizes(l, o->files[i], err);
	if (!r && !log_replayed(l))
		r = check_parent_name(l, o->files[i], err);
	if (!r && l->kind == IBB_CONTAINER_VHDX)
		r = find_vhdx_bat(l, &o->bats[i], err);
	else if (!r && l->parent.differencing)
		r = find_vhd_bat(l, &o->bats[i], err);
	return r;
}

static int ask(struct opinion *o, struct ibb_error *err)
{
	const struct ibb_chain *c = o->c;
	const char *why;
	int r = IBB_OK;

	for (size_t i = 0; i < c->n && !r; i++) {
		const uint32_t block = block_bytes(&c->links[i]);

		if (!i || block < o->block_bytes)
			o->block_bytes = block;
		r = ask_link(o, i, err);
	}
	for (size_t i = 0; i + 1 < c->n && !r; i++) {
		libvhdi_error_t *error = NULL;

		if (libvhdi_file_set_parent_file(o->files[i], o->files[i + 1], &error) != 1)
			r = failed(&c->links[i], "use its parent", error, err);
	}
	if (!r && ibb_chain_opinion(c, &why) == IBB_OPINION_CONTENT)
		r = compare_content(o, err);
	return r;
}

static void clear(struct opinion *o)
{
	/* children before their parents */
	for (size_t i = 0; i < o->c->n && o->files; i++)
		if (o->files[i])
			libvhdi_file_free(&o->files[i], NULL);
	free(o->files);
	free(o->bats);
	free(o->ours);
	free(o->theirs);
}

int ibb_chain_second_opinion(const struct ibb_chain *c, uint64_t *ret_asked, struct ibb_error *err)
{
	struct opinion o = {.c = c};
	const char *why;
	int r;

	if (ibb_chain_opinion(c, &why) == IBB_OPINION_NONE) {
		*ret_asked = 0;
		return IBB_OK;
	}
	libvhdi_notify_set_verbose(0);
	o.files = ibb_calloc_array(c->n, sizeof(*o.files));
	o.bats = ibb_calloc_array(c->n, sizeof(*o.bats));
	o.ours = ibb_alloc(PIECE);
	o.theirs = ibb_alloc(PIECE);
	r = o.files && o.bats && o.ours && o.theirs ? ask(&o, err) : ibb_err_nomem(err);
	clear(&o);
	if (!r)
		*ret_asked = o.asked;
	return r;
}
