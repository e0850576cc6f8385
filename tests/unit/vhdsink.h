/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Where a writer under test writes: a disk, with a count and a write that fails. */
#ifndef IBB_VHDSINK_H
#define IBB_VHDSINK_H

#include "vhdtest.h"

#include <errno.h>

#include "disk/writer.h"

struct test_sink {
	struct ibb_sink s;
	int fd;
	uint64_t size; /* highest byte written */
	long n, fail_at;
};

static inline int test_sink_pwrite(struct ibb_sink *s, const void *buf, size_t n, uint64_t off,
				   struct ibb_error *err)
{
	struct test_sink *t = (struct test_sink *)s;

	if (t->n++ == t->fail_at)
		return ibb_err_os(err, 28, "%s: write at offset %llu", s->name,
				  (unsigned long long)off);
	if (off + n > t->size)
		t->size = off + n;
	return ibb_pwrite_full(t->fd, buf, n, off, s->name, err);
}

static inline int test_sink_truncate(struct ibb_sink *s, uint64_t size, struct ibb_error *err)
{
	struct test_sink *t = (struct test_sink *)s;

	if (ftruncate(t->fd, (off_t)size))
		return ibb_err_os(err, errno, "%s: truncate", s->name);
	return IBB_OK;
}

static inline struct test_sink open_sink(const char *path)
{
	struct test_sink t = {.s = {path, test_sink_pwrite, test_sink_truncate}, .fail_at = -1};

	t.fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	assert_true(t.fd >= 0);
	return t;
}

static inline struct ibb_write_opts sink_opts(uint64_t size)
{
	return (struct ibb_write_opts){
		.disk_bytes = size,
		.sector_bytes = 512,
		.id = {{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16}},
		.unix_time = 1600000000,
	};
}

/* What was written, as a flat disk: runs of sectors, each sector full of its own number. */
struct run {
	uint64_t sector, n;
};

static inline void fill_sector(uint8_t b[512], uint64_t sector)
{
	for (unsigned i = 0; i < 512; i += 8)
		memcpy(b + i, &(uint64_t){sector * 0x9e3779b97f4a7c15u + i + 1}, 8);
}

static inline int write_runs(struct ibb_writer *w, const struct run *runs, size_t n,
			     struct ibb_error *err)
{
	int r = IBB_OK;

	for (size_t i = 0; !r && i < n; i++) {
		uint8_t *b = malloc((size_t)runs[i].n * 512);

		assert_non_null(b);
		for (uint64_t k = 0; k < runs[i].n; k++)
			fill_sector(b + k * 512, runs[i].sector + k);
		r = w->ops->write(w, b, (size_t)runs[i].n * 512, runs[i].sector * 512, err);
		free(b);
	}
	return r;
}

static inline bool in_runs(const struct run *runs, size_t n, uint64_t sector)
{
	for (size_t i = 0; i < n; i++)
		if (sector >= runs[i].sector && sector < runs[i].sector + runs[i].n)
			return true;
	return false;
}

/* Every sector of [from, to) is what was written, or zeros. */
static inline void assert_runs(struct ibb_disk *d, const struct run *runs, size_t n, uint64_t from,
			       uint64_t to)
{
	const size_t step = 2048;
	uint8_t *b = malloc(step * 512), want[512];
	struct ibb_error err = {0};

	assert_non_null(b);
	for (; from < to; from += step) {
		const size_t k = to - from < step ? (size_t)(to - from) : step;

		assert_ok(ibb_disk_pread(d, b, k * 512, from * 512, &err), err);
		for (size_t i = 0; i < k; i++) {
			memset(want, 0, 512);
			if (in_runs(runs, n, from + i))
				fill_sector(want, from + i);
			if (memcmp(b + i * 512, want, 512) != 0)
				fail_msg("sector %llu differs", (unsigned long long)(from + i));
		}
	}
	free(b);
}

#endif
