/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Helpers of the writers' tests: sources with every kind of run, a sink that fails, reading back
 * what was written. */
#ifndef IBB_WRITETEST_H
#define IBB_WRITETEST_H

#include "disktest.h"

#include <sys/mman.h>

#include "disk/copy.h"
#include "disk/sink.h"
#include "disk/vhd.h"
#include "disk/vhdx.h"

#define MIB 1048576ull

/* Passes on to another sink; the nth write or truncate (counted together) fails. */
struct bad_sink {
	struct ibb_sink s;
	struct ibb_sink *under;
	long n, fail_at;
	int os_errno;
};

static inline int bad_turn(struct bad_sink *b, struct ibb_error *err)
{
	if (b->n++ != b->fail_at)
		return IBB_OK;
	return ibb_err_os(err, b->os_errno, "%s: injected", b->s.name);
}

static inline int bad_pwrite(struct ibb_sink *s, const void *buf, size_t n, uint64_t off,
			     struct ibb_error *err)
{
	struct bad_sink *b = (struct bad_sink *)s;
	int r = bad_turn(b, err);

	return r ? r : b->under->pwrite(b->under, buf, n, off, err);
}

static inline int bad_truncate(struct ibb_sink *s, uint64_t size, struct ibb_error *err)
{
	struct bad_sink *b = (struct bad_sink *)s;
	int r = bad_turn(b, err);

	return r ? r : b->under->truncate(b->under, size, err);
}

static inline struct bad_sink bad_sink_over(struct ibb_sink *under, long fail_at, int os_errno)
{
	return (struct bad_sink){
		.s = {.name = under->name, .pwrite = bad_pwrite, .truncate = bad_truncate},
		.under = under,
		.fail_at = fail_at,
		.os_errno = os_errno,
	};
}

static const char *const format_names[] = {"vhd", "vhd-dynamic", "vhdx", "raw"};

/* What was written, through the reader of its format. */
static inline struct ibb_disk *reopen(enum ibb_format format, const char *path)
{
	struct ibb_disk *file = NULL, *d = NULL;
	struct ibb_parent_link link = {0};
	struct ibb_vhdx_info vhdx;
	struct ibb_vhd_info vhd;
	struct ibb_error err = {0};
	struct ibb_file_id id;

	assert_ok(ibb_disk_file_open(path, &id, &file, &err), err);
	switch (format) {
	case IBB_FORMAT_RAW:
		return file;
	case IBB_FORMAT_VHD_FIXED:
	case IBB_FORMAT_VHD_DYNAMIC:
		assert_ok(ibb_disk_vhd_open(file, &vhd, &link, &d, &err), err);
		assert_int_equal(vhd.footer.type,
				 format == IBB_FORMAT_VHD_FIXED ? IBB_VHD_FIXED : IBB_VHD_DYNAMIC);
		break;
	case IBB_FORMAT_VHDX:
		assert_ok(ibb_disk_vhdx_open(file, &vhdx, &link, &d, &err), err);
		assert_false(vhdx.fixed);
		break;
	}
	assert_false(link.differencing);
	ibb_parent_link_clear(&link);
	ibb_disk_unref(file);
	return d;
}

static inline void put_random(struct ibb_disk *d, uint64_t off, size_t n, uint64_t *rng)
{
	IBB_AUTO_FREE uint8_t *b = ibb_alloc(n);
	struct ibb_error err = {0};

	assert_non_null(b);
	for (size_t i = 0; i < n; i++)
		b[i] = (uint8_t)(test_rand(rng) | 1); /* no zero byte */
	assert_ok(ibb_disk_pwrite(d, b, n, off, &err), err);
}

/* Runs at the edges of sectors, blocks, pieces and of the disk; zeros that are data. */
static inline struct ibb_disk *make_disk(uint64_t size, uint32_t sector)
{
	static uint8_t zeros[256 << 10];
	struct ibb_disk *d = NULL;
	struct ibb_error err = {0};
	uint64_t rng = test_seed();

	assert_ok(ibb_disk_mem_new(size, sector, &d, &err), err);
	put_random(d, 0, 4096, &rng);
	put_random(d, 65536 - sector, 2 * sector, &rng);
	put_random(d, MIB - sector, 3 * MIB, &rng);
	put_random(d, 5 * MIB, sector, &rng);
	put_random(d, 6 * MIB, 2 * MIB, &rng);
	assert_ok(ibb_disk_pwrite(d, zeros, 65536, 6 * MIB + 65536, &err), err);
	assert_ok(ibb_disk_pwrite(d, zeros, 65536, 6 * MIB + 5 * 65536 - 4096, &err), err);
	assert_ok(ibb_disk_pwrite(d, zeros, 4096, 7 * MIB + 3 * 4096, &err), err);
	put_random(d, size - 5 * sector, 5 * sector, &rng);
	return d;
}

static inline void assert_same_disk(struct ibb_disk *a, struct ibb_disk *b)
{
	static uint8_t x[MIB], y[MIB];
	struct ibb_error err = {0};

	assert_int_equal(a->size_bytes, b->size_bytes);
	for (uint64_t off = 0; off < a->size_bytes; off += MIB) {
		uint64_t left = a->size_bytes - off;
		size_t n = left < MIB ? (size_t)left : MIB;

		assert_ok(ibb_disk_pread(a, x, n, off, &err), err);
		assert_ok(ibb_disk_pread(b, y, n, off, &err), err);
		if (memcmp(x, y, n) != 0)
			fail_msg("differs in the MiB at %llu", (unsigned long long)off);
	}
}

static inline int new_file(char path[4096], const char *name)
{
	int fd;

	snprintf(path, 4096, "%s/%s", test_dir(), name);
	fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	assert_true(fd >= 0);
	return fd;
}

/* The same in memory, for what is thrown away a thousand times. */
static inline int scratch(char path[4096], const char *name)
{
	int fd = memfd_create(name, MFD_CLOEXEC);

	snprintf(path, 4096, "%s", name);
	assert_true(fd >= 0);
	return fd;
}

#endif
