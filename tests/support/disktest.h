/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Helpers of the disk layer's tests: a scratch directory, files, runs, random numbers. */
#ifndef IBB_DISKTEST_H
#define IBB_DISKTEST_H

#include "test.h"

#include <fcntl.h>
#include <sys/stat.h>

#include "disk/disk.h"

/* A directory of this test's own: group setup and teardown. */
static inline char *test_dir(void)
{
	static char dir[512];

	return dir;
}

static inline int test_dir_setup(void **state)
{
	const char *tmp = getenv("TMPDIR");

	(void)state;
	snprintf(test_dir(), 512, "%s/ibbake-test-XXXXXX", tmp && *tmp ? tmp : "/tmp");
	return mkdtemp(test_dir()) ? 0 : -1;
}

static inline int test_dir_teardown(void **state)
{
	char cmd[600];

	(void)state;
	snprintf(cmd, sizeof(cmd), "rm -rf '%s'", test_dir());
	return system(cmd) == 0 ? 0 : -1;
}

static inline void make_file(const char *path, const void *p, size_t n)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, p, n), (ssize_t)n);
	close(fd);
}

static inline void make_sparse(const char *path, uint64_t size)
{
	make_file(path, "", 0);
	assert_int_equal(truncate(path, (off_t)size), 0);
}

static inline int patch_file(const char *path, uint64_t off, const void *p, size_t n)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	ssize_t k = fd < 0 ? -1 : pwrite(fd, p, n, (off_t)off);

	if (fd >= 0)
		close(fd);
	return k == (ssize_t)n ? 0 : -1;
}

static inline void assert_file_is(const char *path, const void *p, size_t n)
{
	struct ibb_buf b = {0};
	struct ibb_error err = {0};

	assert_ok(ibb_read_file(path, 1u << 30, &b, &err), err);
	assert_int_equal(b.len, n);
	if (n)
		assert_memory_equal(b.data, p, n);
	ibb_buf_clear(&b);
}

struct extents {
	struct ibb_extent e[256];
	size_t n;
};

static inline int collect_extent(void *ctx, const struct ibb_extent *e, struct ibb_error *err)
{
	struct extents *x = ctx;

	if (x->n == IBB_ARRAY_SIZE(x->e))
		return ibb_err(err, IBB_E_LIMIT, "test: too many runs");
	x->e[x->n++] = *e;
	return IBB_OK;
}

static inline void assert_extent(const struct extents *x, size_t i, uint64_t off, uint64_t len,
				 bool data)
{
	assert_true(i < x->n);
	assert_int_equal(x->e[i].off_bytes, off);
	assert_int_equal(x->e[i].len_bytes, len);
	assert_int_equal(x->e[i].data, data);
}

/* In order, without gaps, kinds alternating. */
static inline void assert_extents_cover(const struct extents *x, uint64_t off, uint64_t n)
{
	uint64_t pos = off;

	for (size_t i = 0; i < x->n; i++) {
		assert_int_equal(x->e[i].off_bytes, pos);
		assert_true(x->e[i].len_bytes > 0);
		assert_true(i == 0 || x->e[i].data != x->e[i - 1].data);
		pos += x->e[i].len_bytes;
	}
	assert_int_equal(pos, off + n);
}

static inline bool extents_data_at(const struct extents *x, uint64_t off)
{
	for (size_t i = 0; i < x->n; i++)
		if (ibb_in_range(off, 1, x->e[i].off_bytes + x->e[i].len_bytes) &&
		    off >= x->e[i].off_bytes)
			return x->e[i].data;
	return false;
}

/* splitmix64 */
static inline uint64_t test_rand(uint64_t *s)
{
	uint64_t z = (*s += 0x9e3779b97f4a7c15u);

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
	return z ^ (z >> 31);
}

/* Fixed, so that a run can be repeated; IBB_TEST_SEED chooses another. */
static inline uint64_t test_seed(void)
{
	const char *s = getenv("IBB_TEST_SEED");

	return s && *s ? strtoull(s, NULL, 0) : 20261120;
}

/* Unpack vhds/<name>.gz into the scratch directory; skip when it is not at hand. */
static inline const char *unpack_vhd(const char *name)
{
	static char path[1024];
	char rel[256], cmd[4096];
	const char *gz;

	snprintf(rel, sizeof(rel), "vhds/%s.gz", name);
	gz = test_data(rel);
	if (!gz) {
		print_message("SKIPPED: no test data (%s)\n", rel);
		skip();
	}
	snprintf(path, sizeof(path), "%s/%s", test_dir(), name);
	snprintf(cmd, sizeof(cmd), "gzip -dc '%s' > '%s'", gz, path);
	assert_int_equal(system(cmd), 0);
	return path;
}

#endif
