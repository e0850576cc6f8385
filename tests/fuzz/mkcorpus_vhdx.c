/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Seeds of the VHDX targets: small files of every kind, clean and with a log to be replayed. */
#include "mkcorpus.h"

#include "fuzz_vhdx.h"
#include "mkvhdx.h"

#define MIB 1048576ull

static const struct ibb_guid log_id = {{1, 2, 3, 4, 5, 6, 7, 8}};

static void write_seed(const char *target, const char *name, struct mkvhdx *m)
{
	struct ibb_buf b = {0};

	fuzz_vhdx_pack(m->file, FUZZ_VHDX_SEAL, &b);
	mkcorpus_write(target, name, b.data, b.len);
	ibb_buf_clear(&b);
	mkvhdx_clear(m);
}

static struct mkvhdx make(const struct mkvhdx_opts *o)
{
	struct ibb_error err = {0};
	struct mkvhdx m;

	FUZZ_CHECK(!mkvhdx_begin(&m, o, &err), "%s", err.msg);
	return m;
}

static void put(struct mkvhdx *m, uint64_t off, size_t n)
{
	struct ibb_error err = {0};
	uint8_t b[4096];

	memset(b, 'd', sizeof(b));
	FUZZ_CHECK(n <= sizeof(b) && !mkvhdx_write(m, b, n, off, &err), "%s", err.msg);
}

static struct mkvhdx child(void)
{
	return make(&(struct mkvhdx_opts){.disk_bytes = 5 * MIB,
					  .differencing = true,
					  .linkage = "{00112233-4455-6677-8899-aabbccddeeff}",
					  .linkage2 = "{10112233-4455-6677-8899-aabbccddeeff}",
					  .relative = "..\\p.vhdx",
					  .volume = "\\\\?\\Volume{0}\\p.vhdx",
					  .absolute = "C:\\p.vhdx"});
}

static void clean(const char *target)
{
	struct mkvhdx m = make(&(struct mkvhdx_opts){.disk_bytes = 3 * MIB + 512});
	struct ibb_error err = {0};

	put(&m, MIB, 4096);
	put(&m, 3 * MIB, 512);
	write_seed(target, "dynamic", &m);
	m = make(&(struct mkvhdx_opts){.disk_bytes = 4 * MIB, .fixed = true});
	put(&m, 0, 4096);
	write_seed(target, "fixed", &m);
	m = make(&(struct mkvhdx_opts){
		.disk_bytes = 64 * MIB, .block_bytes = 32 * MIB, .logical_bytes = 4096});
	put(&m, 32 * MIB, 4096);
	write_seed(target, "sectors-4096", &m);
	m = child();
	put(&m, 0, 512);
	put(&m, MIB + 1024, 1024);
	FUZZ_CHECK(!mkvhdx_state(&m, 2, MKVHDX_ZERO, &err) &&
			   !mkvhdx_state(&m, 3, MKVHDX_FULL, &err),
		   "%s", err.msg);
	write_seed(target, "differencing", &m);
	m = child();
	write_seed(target, "untouched-child", &m);
}

/* Entries that change the block allocation table and grow the file, from this sector on. */
static void dirty(const char *name, uint32_t at)
{
	struct mkvhdx m = make(&(struct mkvhdx_opts){.disk_bytes = 3 * MIB});
	struct mkvhdx_ring r;
	struct ibb_error err = {0};
	uint8_t bat[4096] = {0}, data[4096] = {1, 2, 3};
	struct mkvhdx_change one[] = {{m.bat_at, bat, 0}, {m.next + 4096, data, 0}},
			     two[] = {{m.next + 4096, NULL, 8192}};

	put(&m, MIB, 4096);
	one[1].off_bytes = m.next + 4096;
	two[0].off_bytes = m.next + 8192;
	FUZZ_CHECK(!ibb_disk_pread(m.file, bat, sizeof(bat), m.bat_at, &err), "%s", err.msg);
	bat[0] = MKVHDX_FULL;
	bat[2] = (uint8_t)((m.next >> 16) & 0xf0);
	bat[3] = (uint8_t)(m.next >> 24);
	mkvhdx_ring_init(&r, &m, &log_id, at, 0x1fffffffeull);
	r.last += MIB;
	FUZZ_CHECK(!mkvhdx_ring_add(&r, one, 2, NULL, &err) &&
			   !mkvhdx_ring_add(&r, two, 1, NULL, &err) &&
			   !mkvhdx_ring_add(&r, one + 1, 1, NULL, &err) &&
			   !mkvhdx_set_log(&m, &log_id, &err),
		   "%s", err.msg);
	write_seed("vhdx_log", name, &m);
}

void mkcorpus_vhdx(void)
{
	static const char *const targets[] = {"vhdx_header", "vhdx_region", "vhdx_meta",
					      "vhdx_bat"};

	for (size_t i = 0; i < IBB_ARRAY_SIZE(targets); i++)
		clean(targets[i]);
	dirty("three-entries", 0);
	dirty("over-the-end", 254);
}
