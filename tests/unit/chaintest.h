/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What the tests of chains share: differencing disks made of random writes, beside a flat copy. */
#ifndef IBB_CHAINTEST_H
#define IBB_CHAINTEST_H

#include "disktest.h"

#include "disk/chain.h"
#include "mkvhd.h"
#include "mkvhdx.h"

#define KIB 1024u
#define MIB (1024u * 1024u)

#define FLAT_BYTES (12u * MIB)
#define RUNS	   40

/* What the disk has to read as. */
struct flat {
	uint8_t *bytes;
	uint64_t size;
};

static inline struct flat flat_new(uint64_t size)
{
	struct flat f = {calloc(1, size), size};

	assert_non_null(f.bytes);
	return f;
}

static inline struct ibb_guid an_id(uint8_t n)
{
	struct ibb_guid g;

	for (unsigned i = 0; i < 16; i++)
		g.b[i] = (uint8_t)(n * 16 + i);
	return g;
}

static inline const char *id_text(const struct ibb_guid *g)
{
	static char text[16][IBB_GUID_STR_SIZE];
	static unsigned slot;
	char *s = text[slot++ % 16];

	ibb_guid_format(g, s);
	return s;
}

static inline char *in_dir(const char *name)
{
	static char paths[8][1200];
	static unsigned slot;
	char *p = paths[slot++ % 8];

	snprintf(p, sizeof(paths[0]), "%s/%s", test_dir(), name);
	return p;
}

static inline void make_dir(const char *name)
{
	assert_int_equal(mkdir(in_dir(name), 0755), 0);
}

/* A new, empty directory of this name. */
static inline void fresh_dir(const char *name)
{
	char cmd[1400];

	snprintf(cmd, sizeof(cmd), "rm -rf '%s'", in_dir(name));
	assert_int_equal(system(cmd), 0);
	make_dir(name);
}

static inline void random_bytes(uint64_t *seed, uint8_t *b, size_t n)
{
	for (size_t i = 0; i < n; i++)
		b[i] = (uint8_t)test_rand(seed);
}

/* Random runs of whole sectors, few of them at a multiple of 4 KiB. */
static inline void random_runs(uint64_t *seed, uint64_t size, uint64_t sector, uint64_t most,
			       struct mkvhd_run *runs, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		runs[i].n = 1 + test_rand(seed) % most;
		runs[i].sector = test_rand(seed) % (size / sector - runs[i].n);
	}
}

/* Write the runs onto the flat disk. */
static inline void scribble(struct flat *f, uint64_t *seed, uint64_t sector,
			    const struct mkvhd_run *runs, size_t n)
{
	for (size_t i = 0; i < n; i++)
		random_bytes(seed, f->bytes + runs[i].sector * sector,
			     (size_t)(runs[i].n * sector));
}

static inline void fill_from_flat(void *ctx, uint64_t sector, uint8_t out[512])
{
	memcpy(out, ((const struct flat *)ctx)->bytes + sector * 512, 512);
}

/* The flat disk's sectors of these runs, as they are now. */
static inline void save_vhd(struct mkvhd v, struct flat *f, const struct mkvhd_run *runs, size_t n,
			    const char *path)
{
	struct ibb_error err = {0};

	v.disk_bytes = f->size;
	v.runs = runs;
	v.n_runs = n;
	v.fill = fill_from_flat;
	v.ctx = f;
	assert_ok(mkvhd_file(&v, path, &err), err);
}

static inline void save_vhdx(struct mkvhdx_opts o, const struct flat *f,
			     const struct mkvhd_run *runs, size_t n, const char *path)
{
	const uint64_t sector = o.logical_bytes ? o.logical_bytes : 512;
	struct ibb_error err = {0};
	struct mkvhdx m;

	o.disk_bytes = f->size;
	assert_ok(mkvhdx_begin(&m, &o, &err), err);
	for (size_t i = 0; i < n; i++)
		assert_ok(mkvhdx_write(&m, f->bytes + runs[i].sector * sector,
				       (size_t)(runs[i].n * sector), runs[i].sector * sector, &err),
			  err);
	assert_ok(mkvhdx_save(&m, path, &err), err);
	mkvhdx_clear(&m);
}

/* A small VHD without content. */
static inline void tiny_vhd(const char *path, const struct mkvhd *how)
{
	const struct mkvhd_run one = {3, 2};
	struct ibb_error err = {0};
	struct mkvhd v = *how;

	v.disk_bytes = MIB;
	v.block_bytes = 512 * KIB;
	if (!v.n_runs) {
		v.runs = &one;
		v.n_runs = 1;
	}
	assert_ok(mkvhd_file(&v, path, &err), err);
}

static inline void tiny_vhdx(const char *path, const struct mkvhdx_opts *how)
{
	struct mkvhdx_opts o = *how;
	struct ibb_error err = {0};
	struct mkvhdx m;

	if (!o.disk_bytes)
		o.disk_bytes = 2 * MIB;
	assert_ok(mkvhdx_begin(&m, &o, &err), err);
	assert_ok(mkvhdx_save(&m, path, &err), err);
	mkvhdx_clear(&m);
}

/* The whole disk, then pieces that begin and end anywhere. */
static inline void assert_disk_is(struct ibb_disk *d, const struct flat *f, uint64_t *seed)
{
	uint8_t *b = malloc(f->size);
	struct ibb_error err = {0};

	assert_non_null(b);
	assert_int_equal(d->size_bytes, f->size);
	assert_ok(ibb_disk_pread(d, b, f->size, 0, &err), err);
	assert_true(memcmp(b, f->bytes, f->size) == 0);
	for (int i = 0; i < 200; i++) {
		const size_t n = 1 + test_rand(seed) % (i % 2 ? 3000 : 300000);
		const uint64_t off = test_rand(seed) % (f->size - n);

		assert_ok(ibb_disk_pread(d, b, n, off, &err), err);
		assert_true(memcmp(b, f->bytes + off, n) == 0);
	}
	free(b);
}

/* The second opinion, which goes as far as it can be expected to. */
static inline int second_opinion(const struct ibb_chain *c, uint64_t *ret_blocks,
				 struct ibb_error *err)
{
	struct ibb_opinion_result said;
	const char *why;
	int r = ibb_chain_second_opinion(c, &said, err);

	if (r)
		return r;
	if (said.scope != ibb_chain_opinion(c, &why))
		fail_msg("libvhdi went as far as %d: %s", said.scope, said.why);
	assert_string_equal(said.why, why ? why : "");
	*ret_blocks = said.blocks;
	return IBB_OK;
}

static inline bool have_qemu_img(void)
{
	return system("qemu-img --version >/dev/null 2>&1") == 0;
}

/* Write the flat disk to `path` with qemu-img; options as of its -O. */
static inline void qemu_convert(const struct flat *f, const char *options, const char *path)
{
	char cmd[4096];

	make_file(in_dir("flat.raw"), f->bytes, f->size);
	snprintf(cmd, sizeof(cmd), "qemu-img convert -f raw -O %s '%s' '%s'", options,
		 in_dir("flat.raw"), path);
	assert_int_equal(system(cmd), 0);
	assert_int_equal(unlink(in_dir("flat.raw")), 0);
}

static inline struct ibb_chain open_chain(const char *path)
{
	struct ibb_error err = {0};
	struct ibb_chain c;

	memset(&c, 0xa5, sizeof(c)); /* whatever it does not set is seen */
	assert_ok(ibb_chain_open(path, &c, &err), err);
	assert_true(c.n >= 1);
	assert_ok(ibb_chain_unchanged(&c, &err), err);
	return c;
}

#endif
