/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A VHD file, with a parent if it asks for one. What is opened reads as a simple model says, sector
 * by sector; its runs have no gaps, and holes are zeros; a failure touches nothing, also when
 * memory is short. Built three times: FUZZ_VHD says what the mutator is fond of (the footers, the
 * header, the table with the blocks' bitmaps).
 */
#include "fuzz.h"

#include "base/le.h"
#include "base/utf16.h"
#include "disk/vhd.h"
#include "mkvhd.h"

enum { FOOTER = 1, HEADER = 2, TABLE = 3 };

#define CHUNK	   (8u << 10)
#define MAX_CHUNKS 300

/* ---- the model ---- */

struct model {
	const uint8_t *p;
	uint64_t size, table, block_bytes, bitmap_bytes;
	bool differencing;
	struct ibb_disk *parent;
};

static struct model make_model(const struct ibb_buf *b, const struct ibb_vhd_info *info)
{
	const uint8_t *header = b->data + info->footer.data_offset;
	struct model m = {
		.p = b->data,
		.size = info->footer.current_size_bytes,
		.table = ibb_get_be64(header + 16),
		.block_bytes = ibb_get_be32(header + 32),
		.differencing = info->footer.type == IBB_VHD_DIFFERENCING,
	};

	m.bitmap_bytes = (m.block_bytes / 4096 + 511) / 512 * 512;
	if (!m.bitmap_bytes)
		m.bitmap_bytes = 512;
	return m;
}

static uint64_t place(const struct model *m, uint64_t block)
{
	return ibb_get_be32(m->p + m->table + block * 4) * 512ull;
}

/* False: it must be refused. */
static bool model_sector(const struct model *m, uint64_t off, uint8_t out[512])
{
	const uint64_t at = off % m->block_bytes, sector = at / 512;
	const uint64_t block = place(m, off / m->block_bytes);
	const bool in_file = block != 0xffffffffull * 512;
	bool written = false;

	memset(out, 0, 512);
	if (in_file)
		written = m->p[block + sector / 8] & 128 >> sector % 8;
	if (in_file && (written || !m->differencing))
		memcpy(out, m->p + block + m->bitmap_bytes + at, 512);
	for (unsigned i = 0; in_file && !written && !m->differencing && i < 512; i++)
		if (out[i])
			return false;
	if (!written && m->differencing && off + 512 <= m->parent->size_bytes)
		FUZZ_CHECK(!ibb_disk_pread(m->parent, out, 512, off, NULL), "parent");
	return true;
}

/* ---- what is opened ---- */

static void check_chunk(struct ibb_disk *d, const struct model *m, uint64_t off, bool hole)
{
	static uint8_t got[CHUNK], want[CHUNK];
	const uint64_t left = d->size_bytes - off;
	const size_t n = left < CHUNK ? (size_t)left : CHUNK;
	struct ibb_error err = {0};
	bool fine = true;
	int r;

	for (size_t i = 0; i < n; i += 512)
		fine = model_sector(m, off + i, want + i) && fine;
	r = ibb_disk_pread(d, got, n, off, &err);
	FUZZ_CHECK(r == (fine ? IBB_OK : IBB_E_CORRUPT), "at %llu: %d %s", (unsigned long long)off,
		   r, err.msg);
	FUZZ_CHECK(r || !memcmp(got, want, n), "other data at %llu", (unsigned long long)off);
	for (size_t i = 0; hole && i < n; i++)
		FUZZ_CHECK(!want[i], "data in a hole at %llu", (unsigned long long)off);
}

struct runs {
	struct ibb_disk *d;
	const struct model *m;
	uint64_t pos;
	unsigned chunks, n;
	bool last;
};

static int check_run(void *ctx, const struct ibb_extent *e, struct ibb_error *err)
{
	struct runs *x = ctx;

	(void)err;
	FUZZ_CHECK(e->off_bytes == x->pos && e->len_bytes, "a gap at %llu",
		   (unsigned long long)x->pos);
	FUZZ_CHECK(!x->n++ || e->data != x->last, "two runs of a kind");
	x->last = e->data;
	x->pos += e->len_bytes;
	/* every run's beginning, and its end */
	for (uint64_t o = e->off_bytes; o < x->pos && x->chunks < MAX_CHUNKS; o += CHUNK) {
		if (e->data || x->pos - o >= CHUNK) {
			check_chunk(x->d, x->m, o, !e->data);
			x->chunks++;
		}
		if (o == e->off_bytes + 8 * CHUNK && e->len_bytes > 20 * CHUNK)
			o = x->pos - 4 * CHUNK - (x->pos - o) % CHUNK;
	}
	return IBB_OK;
}

static void check_link(const struct ibb_parent_link *l, bool differencing)
{
	FUZZ_CHECK(l->differencing == differencing, "a link");
	FUZZ_CHECK(l->n <= (differencing ? 9 : 0), "%zu locators", l->n);
	for (size_t i = 0; i < l->n; i++) {
		const char *s = l->locators[i].path;

		FUZZ_CHECK(*s && ibb_utf8_valid(s, strlen(s)), "locator %zu", i);
		for (; *s; s++)
			FUZZ_CHECK((uint8_t)*s >= 0x20 && *s != 0x7f, "locator %zu", i);
	}
}

static struct ibb_disk *make_parent(const struct ibb_buf *b)
{
	const uint64_t size = 512 * (1 + b->data[b->len / 2] * 2ull);
	struct ibb_disk *parent = NULL;
	uint8_t s[512];

	FUZZ_CHECK(!ibb_disk_mem_new(size, 512, &parent, NULL), "out of memory");
	for (uint64_t i = 0; i < size / 512; i += 1 + i / 8) {
		mkvhd_fill(i ^ 0xabcd, s);
		FUZZ_CHECK(!ibb_disk_pwrite(parent, s, 512, i * 512, NULL), "out of memory");
	}
	return parent;
}

static void check_disk(struct ibb_disk *d, const struct ibb_buf *b, const struct ibb_vhd_info *info)
{
	struct model m = make_model(b, info);
	struct runs x = {.d = d, .m = &m};
	struct ibb_error err = {0};
	uint8_t c;

	FUZZ_CHECK(d->size_bytes == m.size && m.size && m.size % 512 == 0, "size");
	FUZZ_CHECK(info->block_bytes == m.block_bytes, "block size");
	if (m.differencing) {
		FUZZ_CHECK(ibb_disk_pread(d, &c, 1, 0, &err) == IBB_E_INTERNAL, "no parent");
		m.parent = make_parent(b);
		FUZZ_CHECK(!ibb_disk_vhd_set_parent(d, m.parent, &err), "%s", err.msg);
		ibb_disk_unref(m.parent); /* the child has its own */
	}
	FUZZ_CHECK(!ibb_disk_extents(d, 0, m.size, check_run, &x, &err), "%s", err.msg);
	FUZZ_CHECK(x.pos == m.size, "runs end at %llu", (unsigned long long)x.pos);
}

static int try_open(struct ibb_disk *file, struct ibb_vhd_info *info, struct ibb_parent_link *link,
		    struct ibb_disk **ret)
{
	struct ibb_error err = {0};
	int r;

	*ret = NULL;
	*link = (struct ibb_parent_link){0};
	info->block_bytes = 0xa5a5a5a5;
	r = ibb_disk_vhd_open(file, info, link, ret, &err);
	if (!r)
		return r;
	FUZZ_CHECK(r == IBB_E_CORRUPT || r == IBB_E_UNSUPPORTED || r == IBB_E_LIMIT ||
			   r == IBB_E_NOMEM,
		   "%d %s", r, err.msg);
	FUZZ_CHECK(err.msg[0] && !strchr(err.msg, '\n'), "%d %s", r, err.msg);
	FUZZ_CHECK(!*ret && !link->n && info->block_bytes == 0xa5a5a5a5 && file->refs == 1,
		   "a failure left something");
	return r;
}

static void without_memory(struct ibb_disk *file, long n, long at)
{
	struct ibb_parent_link link;
	struct ibb_vhd_info info;
	struct ibb_disk *d;
	int r;

	ibb_mem_fail_at(at, false);
	r = try_open(file, &info, &link, &d);
	ibb_mem_fail_at(-1, false);
	FUZZ_CHECK(r == IBB_E_NOMEM || at >= n, "opened without memory");
	ibb_disk_unref(d);
	ibb_parent_link_clear(&link);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct ibb_buf b = fuzz_copy(data, size);
	struct ibb_parent_link link;
	struct ibb_disk *file = NULL, *d;
	struct ibb_vhd_info info;
	long n;
	int r;

	FUZZ_CHECK(!ibb_disk_mem_new(size, 512, &file, NULL), "out of memory");
	FUZZ_CHECK(!ibb_disk_pwrite(file, b.data, b.len, 0, NULL), "out of memory");
	(void)ibb_mem_count();
	r = try_open(file, &info, &link, &d);
	n = ibb_mem_count();
	if (!r) {
		check_link(&link, info.footer.type == IBB_VHD_DIFFERENCING);
		if (info.footer.type != IBB_VHD_FIXED)
			check_disk(d, &b, &info);
		ibb_disk_unref(d);
		ibb_parent_link_clear(&link);
		FUZZ_CHECK(file->refs == 1, "%u references", file->refs);
		without_memory(file, n, (long)(size / 512) % (n + 1));
	}
	ibb_disk_unref(file);
	ibb_buf_clear(&b);
	return 0;
}

/* ---- damage ---- */

struct field {
	unsigned off, len;
};
static const struct field footer_fields[] = {{0, 8},  {8, 4},  {12, 4}, {16, 8}, {40, 8}, {48, 8},
					     {56, 4}, {60, 4}, {64, 4}, {84, 1}, {200, 8}};
static const struct field header_fields[] = {{0, 8}, {8, 8}, {16, 8}, {24, 4}, {28, 4}, {32, 4}};

static uint64_t odd_value(uint64_t v, size_t size, uint64_t *rnd)
{
	static const uint64_t edges[] = {0,	1,	2,	    3,		4,	   0x200,
					 0x600, 0x1000, 0x00010000, 0xffffffff, UINT64_MAX};

	switch (fuzz_rnd(rnd, 7)) {
	case 0:
		return edges[fuzz_rnd(rnd, IBB_ARRAY_SIZE(edges))];
	case 1:
		return v + fuzz_rnd(rnd, 3) - 1;
	case 2:
		return 1ull << fuzz_rnd(rnd, 64);
	case 3:
		return fuzz_rnd(rnd, (uint32_t)size + 1) & ~511u;
	case 4:
		return v ^ 1ull << fuzz_rnd(rnd, 64);
	case 5:
		return v + 512 * (fuzz_rnd(rnd, 17) - 8ull);
	default:
		return fuzz_rnd(rnd, (uint32_t)(size / 512) + 2);
	}
}

static void damage(uint8_t *p, size_t size, uint64_t off, unsigned len, uint64_t *rnd)
{
	uint64_t v = 0;

	if (!ibb_in_range(off, len, size))
		return;
	for (unsigned i = 0; i < len; i++)
		v = v << 8 | p[off + i];
	v = odd_value(v, size, rnd);
	for (unsigned i = len; i-- > 0; v >>= 8)
		p[off + i] = (uint8_t)v;
}

static uint64_t header_of(const uint8_t *p, size_t size)
{
	const uint64_t at = ibb_get_be64(p + size - 512 + 16);

	return ibb_in_range(at, 1024, size) ? at : 512;
}

/* Where the nth allocated block begins; 0: there is none. */
static uint64_t some_block(const uint8_t *p, size_t size, uint64_t table, uint64_t *rnd)
{
	const uint64_t off = table + 4 * fuzz_rnd(rnd, 80);

	return ibb_in_range(off, 4, size) ? ibb_get_be32(p + off) * 512ull : 0;
}

static void damage_one(uint8_t *p, size_t size, uint64_t *rnd)
{
	const uint64_t header = header_of(p, size), end = size - 512;
	const uint64_t table = ibb_in_range(header, 24, size) ? ibb_get_be64(p + header + 16) : 0;
	unsigned what = fuzz_rnd(rnd, 3) ? FUZZ_VHD : 1 + fuzz_rnd(rnd, 3);
	const struct field *f;

	if (what == FOOTER) {
		f = &footer_fields[fuzz_rnd(rnd, IBB_ARRAY_SIZE(footer_fields))];
		damage(p, size, end + f->off, f->len, rnd);
		if (fuzz_rnd(rnd, 4)) /* its copy says the same */
			memcpy(p + f->off, p + end + f->off, f->len);
		else if (fuzz_rnd(rnd, 2))
			damage(p, size, f->off, f->len, rnd);
	} else if (what == HEADER && fuzz_rnd(rnd, 2)) {
		f = &header_fields[fuzz_rnd(rnd, IBB_ARRAY_SIZE(header_fields))];
		damage(p, size, header + f->off, f->len, rnd);
	} else if (what == HEADER) { /* a locator, or the name */
		damage(p, size, header + 576 + 4 * fuzz_rnd(rnd, 48), 4, rnd);
		damage(p, size, header + 64 + fuzz_rnd(rnd, 512), 2, rnd);
	} else if (fuzz_rnd(rnd, 2)) {
		damage(p, size, table + 4 * fuzz_rnd(rnd, 80), 4, rnd);
	} else {
		damage(p, size, some_block(p, size, table, rnd) + fuzz_rnd(rnd, 16), 1, rnd);
	}
}

static void repair(uint8_t *p, size_t size)
{
	const uint64_t header = header_of(p, size);

	if (ibb_in_range(header, 1024, size))
		mkvhd_checksum(p + header, 1024, 36);
	mkvhd_checksum(p, 512, 64);
	mkvhd_checksum(p + size - 512, 512, 64);
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned seed)
{
	uint64_t rnd = seed;

	if (size < 2048 || !fuzz_rnd(&rnd, 8)) {
		size = LLVMFuzzerMutate(data, size, max_size);
	} else if (!fuzz_rnd(&rnd, 12)) { /* cut, at a sector mostly */
		size = fuzz_rnd(&rnd, (uint32_t)size);
		size -= fuzz_rnd(&rnd, 4) ? size % 512 : 0;
	} else {
		for (unsigned k = 1 + fuzz_rnd(&rnd, 3); k--;)
			damage_one(data, size, &rnd);
	}
	if (size >= 2048 && fuzz_rnd(&rnd, 8))
		repair(data, size);
	return size;
}
