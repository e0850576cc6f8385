/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "test.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>

#include "disk/disk.h"
#include "disktest.h"

#define KIB 1024u
#define MIB (1024u * 1024u)

/* --- the wrapper: bounds, read-only, sticky errors, references --- */

static void test_bounds(void **state)
{
	struct ibb_error err = {0};
	struct ibb_disk *d = NULL;
	uint8_t b[16];

	(void)state;
	assert_ok(ibb_disk_mem_new(1000, 512, &d, &err), err);
	assert_ok(ibb_disk_pread(d, b, 16, 984, &err), err);
	assert_ok(ibb_disk_pread(d, b, 0, 1000, &err), err);
	assert_fails(ibb_disk_pread(d, b, 16, 985, &err), IBB_E_CORRUPT, err,
		     "memory: a read of 16 bytes at offset 985 lies outside its 1000 bytes");
	assert_fails(ibb_disk_pread(d, b, 16, UINT64_MAX - 3, &err), IBB_E_CORRUPT, err,
		     "outside its 1000 bytes");
	assert_fails(ibb_disk_pread(d, b, 1, 1000, &err), IBB_E_CORRUPT, err, "outside");
	assert_fails(ibb_disk_pread(d, b, SIZE_MAX, 1, &err), IBB_E_CORRUPT, err, "outside");
	assert_fails(ibb_disk_extents(d, 1, 1000, collect_extent, NULL, &err), IBB_E_CORRUPT, err,
		     "a run of 1000 bytes at offset 1 lies outside");
	ibb_disk_unref(d);
	ibb_disk_unref(NULL);
}

static void test_slice_bounds(void **state)
{
	struct ibb_error err = {0};
	struct ibb_disk *d = NULL, *s = NULL;
	uint8_t b[16] = "0123456789abcdef", c[16];

	(void)state;
	assert_ok(ibb_disk_mem_new(1 * MIB, 4096, &d, &err), err);
	assert_fails(ibb_disk_slice_new(d, MIB, 1, &s, &err), IBB_E_CORRUPT, err,
		     "a window of 1 bytes at offset 1048576 lies outside its 1048576 bytes");
	assert_fails(ibb_disk_slice_new(d, UINT64_MAX, 2, &s, &err), IBB_E_CORRUPT, err, "outside");
	assert_fails(ibb_disk_slice_new(d, 2, UINT64_MAX, &s, &err), IBB_E_CORRUPT, err, "outside");
	assert_null(s);
	assert_ok(ibb_disk_slice_new(d, 70000, 100, &s, &err), err);
	assert_int_equal(s->sector_bytes, 4096);
	assert_int_equal(s->size_bytes, 100);
	assert_ok(ibb_disk_pwrite(s, b, 16, 84, &err), err);
	assert_ok(ibb_disk_pread(d, c, 16, 70084, &err), err);
	assert_memory_equal(b, c, 16);
	/* the lower disk reaches further, the slice does not */
	assert_fails(ibb_disk_pread(s, c, 16, 85, &err), IBB_E_CORRUPT, err,
		     "outside its 100 bytes");
	assert_ok(ibb_disk_flush(s, &err), err);
	ibb_disk_unref(d); /* the slice still holds it */
	assert_ok(ibb_disk_pread(s, c, 16, 84, &err), err);
	assert_memory_equal(b, c, 16);
	ibb_disk_unref(s);
}

static void test_write_out_of_range_is_sticky(void **state)
{
	struct ibb_error err = {0};
	struct ibb_disk *d = NULL;
	uint8_t b[16] = {1};

	(void)state;
	assert_ok(ibb_disk_mem_new(100, 512, &d, &err), err);
	assert_fails(ibb_disk_pwrite(d, b, 16, 90, &err), IBB_E_CORRUPT, err,
		     "a write of 16 bytes at offset 90 lies outside its 100 bytes");
	assert_fails(ibb_disk_pwrite(d, b, 16, 0, &err), IBB_E_CORRUPT, err, "offset 90");
	assert_fails(ibb_disk_flush(d, &err), IBB_E_CORRUPT, err, "offset 90");
	assert_int_equal(ibb_disk_flush(d, NULL), IBB_E_CORRUPT);
	ibb_disk_unref(d);
}

/* --- memory disk --- */

static void test_mem_is_sparse(void **state)
{
	struct ibb_error err = {0};
	struct ibb_disk *d = NULL;
	struct extents e = {0};
	uint8_t b[4] = {1, 2, 3, 4}, c[8];
	const uint64_t size = (30ull << 30) + 512;

	(void)state;
	assert_ok(ibb_disk_mem_new(size, 512, &d, &err), err);
	assert_ok(ibb_disk_pwrite(d, b, 4, size - 4, &err), err);
	assert_ok(ibb_disk_pwrite(d, b, 4, 65534, &err), err); /* over a chunk border */
	assert_ok(ibb_disk_pread(d, c, 8, 65532, &err), err);
	assert_memory_equal(c, "\0\0\1\2\3\4\0\0", 8);
	assert_ok(ibb_disk_extents(d, 0, size, collect_extent, &e, &err), err);
	assert_int_equal(e.n, 3);
	assert_extent(&e, 0, 0, 131072, true);
	assert_extent(&e, 1, 131072, size - 131072 - 512, false);
	assert_extent(&e, 2, size - 512, 512, true);
	ibb_disk_unref(d);
}

/* --- file --- */

static void test_file_refuses(void **state)
{
	struct ibb_error err = {0};
	struct ibb_file_id id;
	struct ibb_disk *d = NULL;
	char path[4096];

	(void)state;
	snprintf(path, sizeof(path), "%s/none", test_dir());
	assert_fails(ibb_disk_file_open(path, &id, &d, &err), IBB_E_IO, err,
		     "none: open: No such file");
	assert_fails(ibb_disk_file_open(test_dir(), &id, &d, &err), IBB_E_UNSUPPORTED, err,
		     "is a directory; ibbake reads image files");
	assert_fails(ibb_disk_file_open("/dev/null", &id, &d, &err), IBB_E_UNSUPPORTED, err,
		     "/dev/null: is a device");
	snprintf(path, sizeof(path), "%s/fifo", test_dir());
	assert_int_equal(mkfifo(path, 0600), 0);
	assert_fails(ibb_disk_file_open(path, &id, &d, &err), IBB_E_UNSUPPORTED, err,
		     "is no regular file");
	snprintf(path, sizeof(path), "%s/empty", test_dir());
	make_file(path, "", 0);
	assert_fails(ibb_disk_file_open(path, &id, &d, &err), IBB_E_CORRUPT, err,
		     "the file is empty");
	assert_null(d);
}

static void test_file_read_only(void **state)
{
	struct ibb_error err = {0};
	struct ibb_file_id id;
	struct ibb_disk *d = NULL;
	char path[4096], link[4096];
	uint8_t b[8];

	(void)state;
	snprintf(path, sizeof(path), "%s/ro", test_dir());
	snprintf(link, sizeof(link), "%s/ro-link", test_dir());
	make_file(path, "0123456789", 10);
	assert_int_equal(symlink(path, link), 0);
	assert_ok(ibb_disk_file_open(link, &id, &d, &err), err);
	assert_int_equal(id.size_bytes, 10);
	assert_int_equal(d->size_bytes, 10);
	assert_ok(ibb_disk_pread(d, b, 8, 2, &err), err);
	assert_memory_equal(b, "23456789", 8);
	assert_int_equal(fcntl(ibb_disk_file_fd(d), F_GETFL) & O_ACCMODE, O_RDONLY);
	assert_fails(ibb_disk_pwrite(d, b, 8, 0, &err), IBB_E_READONLY, err, "opened read-only");
	assert_fails(ibb_disk_flush(d, &err), IBB_E_READONLY, err, "opened read-only");
	ibb_disk_unref(d);
	assert_file_is(path, "0123456789", 10);
}

static void test_file_lock(void **state)
{
	struct ibb_error err = {0};
	struct ibb_file_id id;
	struct ibb_disk *d = NULL, *e = NULL;
	char path[4096];
	int fd;

	(void)state;
	snprintf(path, sizeof(path), "%s/locked", test_dir());
	make_file(path, "x", 1);
	fd = open(path, O_RDWR | O_CLOEXEC);
	assert_true(fd >= 0);
	assert_int_equal(flock(fd, LOCK_EX | LOCK_NB), 0);
	assert_fails(ibb_disk_file_open(path, &id, &d, &err), IBB_E_CONFLICT, err,
		     "locked: another program has it locked for writing");
	assert_non_null(strstr(err.hint, "virtual machine"));
	assert_int_equal(flock(fd, LOCK_UN), 0);
	assert_ok(ibb_disk_file_open(path, &id, &d, &err), err);
	/* readers do not shut out each other, but writers */
	assert_ok(ibb_disk_file_open(path, &id, &e, &err), err);
	assert_int_equal(flock(fd, LOCK_EX | LOCK_NB), -1);
	ibb_disk_unref(d);
	ibb_disk_unref(e);
	assert_int_equal(flock(fd, LOCK_EX | LOCK_NB), 0);
	close(fd);
}

static struct ibb_disk *open_fresh(const char *path, struct ibb_file_id *id)
{
	struct ibb_error err = {0};
	struct ibb_disk *d = NULL;

	make_file(path, "0123456789", 10);
	/* away from now, so that a write surely changes the time */
	assert_int_equal(utimensat(AT_FDCWD, path, (struct timespec[2]){{1000, 0}, {1000, 0}}, 0),
			 0);
	assert_ok(ibb_disk_file_open(path, id, &d, &err), err);
	assert_ok(ibb_disk_file_unchanged(d, id, &err), err);
	return d;
}

static void test_file_changed(void **state)
{
	struct ibb_error err = {0};
	struct ibb_file_id id;
	struct ibb_disk *d;
	char path[4096], other[4096];

	(void)state;
	snprintf(path, sizeof(path), "%s/changing", test_dir());
	snprintf(other, sizeof(other), "%s/other", test_dir());

	d = open_fresh(path, &id);
	make_file(path, "0123456789a", 11);
	assert_fails(ibb_disk_file_unchanged(d, &id, &err), IBB_E_CHANGED, err,
		     "10 bytes before, 11 now");
	ibb_disk_unref(d);

	d = open_fresh(path, &id);
	make_file(path, "012345678X", 10);
	assert_fails(ibb_disk_file_unchanged(d, &id, &err), IBB_E_CHANGED, err, "was written to");
	ibb_disk_unref(d);

	d = open_fresh(path, &id);
	make_file(other, "0123456789", 10);
	assert_int_equal(rename(other, path), 0);
	assert_fails(ibb_disk_file_unchanged(d, &id, &err), IBB_E_CHANGED, err, "replaced");
	ibb_disk_unref(d);

	d = open_fresh(path, &id);
	assert_int_equal(unlink(path), 0);
	assert_fails(ibb_disk_file_unchanged(d, &id, &err), IBB_E_CHANGED, err, "removed");
	ibb_disk_unref(d);
}

static void test_file_truncated_under_us(void **state)
{
	struct ibb_error err = {0};
	struct ibb_file_id id;
	struct ibb_disk *d;
	char path[4096];
	uint8_t b[8];

	(void)state;
	snprintf(path, sizeof(path), "%s/shrunk", test_dir());
	d = open_fresh(path, &id);
	assert_int_equal(truncate(path, 5), 0);
	assert_fails(ibb_disk_pread(d, b, 8, 0, &err), IBB_E_CORRUPT, err,
		     "truncated: no data at offset 5");
	ibb_disk_unref(d);
}

static void test_file_extents(void **state)
{
	struct ibb_error err = {0};
	struct ibb_file_id id;
	struct ibb_disk *d = NULL;
	struct extents e = {0};
	char path[4096];

	(void)state;
	snprintf(path, sizeof(path), "%s/sparse", test_dir());
	make_sparse(path, 8 * MIB + 100);
	assert_int_equal(patch_file(path, 1 * MIB, "x", 1), 0);
	assert_int_equal(patch_file(path, 6 * MIB, "x", 1), 0);
	assert_ok(ibb_disk_file_open(path, &id, &d, &err), err);
	assert_ok(ibb_disk_extents(d, 0, d->size_bytes, collect_extent, &e, &err), err);
	assert_extents_cover(&e, 0, d->size_bytes);
	assert_true(extents_data_at(&e, 1 * MIB));
	if (e.n == 1)
		print_message("this file system has no holes: reported as data\n");
	else
		assert_false(extents_data_at(&e, 4 * MIB));
	/* a range that begins and ends inside runs */
	e.n = 0;
	assert_ok(ibb_disk_extents(d, 100, 2 * MIB, collect_extent, &e, &err), err);
	assert_extents_cover(&e, 100, 2 * MIB);
	ibb_disk_unref(d);
}

/* --- overlay --- */

#define MODEL_SIZE (300u * 4096u + 1234u)

struct model {
	uint8_t lower[MODEL_SIZE], now[MODEL_SIZE];
	struct ibb_disk *low, *ov;
	uint8_t seen[MODEL_SIZE];
	uint64_t n_dirty, last;
};

static int check_dirty(void *ctx, uint64_t off, const uint8_t *data, size_t n,
		       struct ibb_error *err)
{
	struct model *m = ctx;

	(void)err;
	assert_int_equal(off % 4096, 0);
	assert_true(m->n_dirty == 0 || off > m->last);
	assert_true(off + n <= MODEL_SIZE);
	assert_true(n == 4096 || off + n == MODEL_SIZE);
	assert_memory_equal(data, m->now + off, n);
	assert_memory_not_equal(data, m->lower + off, n); /* exact: only what differs */
	memcpy(m->seen + off, data, n);
	m->n_dirty += n;
	m->last = off;
	return IBB_OK;
}

static void check_model(struct model *m)
{
	static uint8_t buf[MODEL_SIZE];
	struct ibb_error err = {0};

	assert_ok(ibb_disk_pread(m->ov, buf, MODEL_SIZE, 0, &err), err);
	assert_memory_equal(buf, m->now, MODEL_SIZE);
	assert_ok(ibb_disk_pread(m->low, buf, MODEL_SIZE, 0, &err), err);
	assert_memory_equal(buf, m->lower, MODEL_SIZE);
	/* lower + dirty runs = the new content, so nothing was left out */
	memcpy(m->seen, m->lower, MODEL_SIZE);
	m->n_dirty = 0;
	assert_ok(ibb_disk_overlay_dirty(m->ov, check_dirty, m, &err), err);
	assert_memory_equal(m->seen, m->now, MODEL_SIZE);
	assert_int_equal(m->n_dirty, ibb_disk_overlay_dirty_bytes(m->ov));
}

/* Data must be reported wherever the content is not zero. */
static void check_model_extents(struct model *m, uint64_t off, uint64_t n)
{
	struct ibb_error err = {0};
	struct extents e = {0};

	assert_ok(ibb_disk_extents(m->ov, off, n, collect_extent, &e, &err), err);
	if (n)
		assert_extents_cover(&e, off, n);
	for (size_t i = 0; i < e.n; i++)
		for (uint64_t k = 0; !e.e[i].data && k < e.e[i].len_bytes; k++)
			assert_int_equal(m->now[e.e[i].off_bytes + k], 0);
}

static void random_op(struct model *m, uint64_t *rng)
{
	static uint8_t buf[MODEL_SIZE];
	struct ibb_error err = {0};
	size_t off = (size_t)(test_rand(rng) % MODEL_SIZE);
	size_t max = test_rand(rng) % 8 ? 6000 : 600000;
	size_t n = (size_t)(test_rand(rng) % max);
	unsigned what = (unsigned)(test_rand(rng) % 8);

	if (n > MODEL_SIZE - off)
		n = MODEL_SIZE - off;
	if (what == 0) {
		assert_ok(ibb_disk_pread(m->ov, buf, n, off, &err), err);
		assert_memory_equal(buf, m->now + off, n);
		return;
	}
	if (what == 1) {
		check_model_extents(m, off, n);
		return;
	}
	if (what <= 3) /* put the old content back, whole blocks or parts */
		memcpy(buf, m->lower + off, n);
	else if (what == 4)
		memset(buf, 0, n);
	else
		for (size_t i = 0; i < n; i++)
			buf[i] = (uint8_t)test_rand(rng);
	assert_ok(ibb_disk_pwrite(m->ov, buf, n, off, &err), err);
	memcpy(m->now + off, buf, n);
}

/* limit: of the blocks in memory; the others lie in a file. */
static void run_model(uint64_t limit)
{
	static struct model m;
	struct ibb_error err = {0};
	uint64_t seed = test_seed(), rng = seed, in_memory, in_file;

	print_message("seed %llu\n", (unsigned long long)seed);
	assert_ok(ibb_disk_mem_new(MODEL_SIZE, 512, &m.low, &err), err);
	/* two thirds of the lower disk hold data, the rest is a hole */
	for (size_t i = 0; i < MODEL_SIZE / 3; i++) {
		m.lower[i] = (uint8_t)test_rand(&rng);
		m.lower[MODEL_SIZE - 1 - i] = (uint8_t)test_rand(&rng);
	}
	assert_ok(ibb_disk_pwrite(m.low, m.lower, MODEL_SIZE / 3, 0, &err), err);
	assert_ok(ibb_disk_pwrite(m.low, m.lower + MODEL_SIZE - MODEL_SIZE / 3, MODEL_SIZE / 3,
				  MODEL_SIZE - MODEL_SIZE / 3, &err),
		  err);
	memcpy(m.now, m.lower, MODEL_SIZE);
	assert_ok(ibb_disk_overlay_new(m.low, limit, &m.ov, &err), err);
	assert_ok(ibb_disk_overlay_spill(m.ov, test_dir(), &err), err);
	check_model(&m);
	for (int i = 0; i < 3000; i++) {
		random_op(&m, &rng);
		if (i % 100 == 0)
			check_model(&m);
		ibb_disk_overlay_usage(m.ov, &in_memory, &in_file);
		assert_true(in_memory <= limit && in_file <= MODEL_SIZE + 4096);
		assert_true(limit == MODEL_SIZE ? !in_file : i < 2000 || in_file > 0);
	}
	/* undo everything: nothing is dirty */
	assert_ok(ibb_disk_pwrite(m.ov, m.lower, MODEL_SIZE, 0, &err), err);
	memcpy(m.now, m.lower, MODEL_SIZE);
	check_model(&m);
	assert_int_equal(ibb_disk_overlay_dirty_bytes(m.ov), 0);
	ibb_disk_overlay_usage(m.ov, &in_memory, &in_file);
	assert_int_equal(in_memory, 0);
	ibb_disk_unref(m.low);
	ibb_disk_unref(m.ov);
}

static void test_overlay_model(void **state)
{
	(void)state;
	run_model(MODEL_SIZE);
	run_model(10 * 4096);
	run_model(0);
}

static void test_overlay_clean_write(void **state)
{
	struct ibb_error err = {0};
	struct ibb_disk *low = NULL, *ov = NULL;
	uint8_t b[8192];

	(void)state;
	memset(b, 7, sizeof(b));
	assert_ok(ibb_disk_mem_new(1 * MIB, 512, &low, &err), err);
	assert_ok(ibb_disk_pwrite(low, b, sizeof(b), 0, &err), err);
	assert_ok(ibb_disk_overlay_new(low, 1 * MIB, &ov, &err), err);
	assert_ok(ibb_disk_pwrite(ov, b, 5000, 100, &err), err); /* the bytes it already has */
	assert_int_equal(ibb_disk_overlay_dirty_bytes(ov), 0);
	b[0] = 8;
	assert_ok(ibb_disk_pwrite(ov, b, 1, 4095, &err), err);
	assert_int_equal(ibb_disk_overlay_dirty_bytes(ov), 4096);
	b[0] = 7;
	assert_ok(ibb_disk_pwrite(ov, b, 1, 4095, &err), err); /* undone */
	assert_int_equal(ibb_disk_overlay_dirty_bytes(ov), 0);
	assert_ok(ibb_disk_flush(ov, &err), err);
	ibb_disk_unref(ov);
	ibb_disk_unref(low);
}

struct runs_seen {
	unsigned n, stop_at;
	uint64_t off[8];
	size_t len[8];
	uint8_t first[8], last[8];
};

static int see_run(void *ctx, uint64_t off, const uint8_t *data, size_t n, struct ibb_error *err)
{
	struct runs_seen *s = ctx;

	assert_true(s->n < 8);
	s->off[s->n] = off;
	s->len[s->n] = n;
	s->first[s->n] = data[0];
	s->last[s->n] = data[n - 1];
	return s->n++ == s->stop_at ? ibb_err(err, IBB_E_CANCELLED, "enough") : IBB_OK;
}

/* Blocks 1 2 3 and 5 and 6: runs of two blocks at most. */
static void test_overlay_runs(void **state)
{
	struct ibb_disk *d = NULL, *ov = NULL;
	struct runs_seen s = {.stop_at = 8};
	struct ibb_error err = {0};
	uint8_t b[4096];

	(void)state;
	assert_ok(ibb_disk_mem_new(65536, 512, &d, &err), err);
	assert_ok(ibb_disk_overlay_new(d, 65536, &ov, &err), err);
	assert_ok(ibb_disk_overlay_runs(ov, 8192, see_run, &s, &err), err);
	assert_int_equal(s.n, 0);
	for (uint8_t i = 6; i; i--) {
		memset(b, i, sizeof(b));
		if (i != 4)
			assert_ok(ibb_disk_pwrite(ov, b, sizeof(b), i * 4096u, &err), err);
	}
	assert_ok(ibb_disk_overlay_runs(ov, 8192, see_run, &s, &err), err);
	assert_int_equal(s.n, 3);
	for (unsigned i = 0; i < 3; i++) {
		static const uint8_t first[] = {1, 3, 5}, last[] = {2, 3, 6};

		assert_int_equal(s.off[i], first[i] * 4096u);
		assert_int_equal(s.len[i], (last[i] - first[i] + 1) * 4096u);
		assert_int_equal(s.first[i], first[i]);
		assert_int_equal(s.last[i], last[i]);
	}
	for (s.stop_at = 0; s.stop_at < 3; s.stop_at++) {
		s.n = 0;
		assert_fails(ibb_disk_overlay_runs(ov, 8192, see_run, &s, &err), IBB_E_CANCELLED,
			     err, "enough");
		assert_int_equal(s.n, s.stop_at + 1);
	}
	ibb_disk_unref(ov);
	ibb_disk_unref(d);
}

static void test_overlay_limit(void **state)
{
	struct ibb_error err = {0};
	struct ibb_disk *low = NULL, *ov = NULL;
	uint8_t b[3 * 4096];

	(void)state;
	memset(b, 7, sizeof(b));
	assert_ok(ibb_disk_mem_new(16 * MIB, 512, &low, &err), err);
	assert_ok(ibb_disk_overlay_new(low, 4 * MIB, &ov, &err), err);
	for (unsigned i = 0; i < 1024; i++)
		assert_ok(ibb_disk_pwrite(ov, b, 4096, i * 4096, &err), err);
	assert_int_equal(ibb_disk_overlay_dirty_bytes(ov), 4 * MIB);
	/* a changed block may change again */
	assert_ok(ibb_disk_pwrite(ov, "x", 1, 5, &err), err);
	assert_fails(ibb_disk_pwrite(ov, b, 1, 4 * MIB, &err), IBB_E_LIMIT, err,
		     "memory: more than 4 MiB of changed blocks");
	assert_non_null(strstr(err.hint, "driver packages"));
	memset(&err, 0, sizeof(err));
	assert_fails(ibb_disk_flush(ov, &err), IBB_E_LIMIT, err, "more than 4 MiB");
	assert_non_null(strstr(err.hint, "driver packages"));
	assert_int_equal(ibb_disk_overlay_dirty_bytes(ov), 4 * MIB);
	ibb_disk_unref(ov);
	ibb_disk_unref(low);
}

static void test_overlay_many_blocks(void **state)
{
	struct ibb_error err = {0};
	struct ibb_disk *low = NULL, *ov = NULL;
	struct extents e = {0};
	uint64_t size = 30ull << 30;
	uint8_t b[4096];

	(void)state;
	assert_ok(ibb_disk_mem_new(size, 512, &low, &err), err);
	assert_ok(ibb_disk_overlay_new(low, 256 * MIB, &ov, &err), err);
	/* 20 000 blocks all over the disk, in steps that hash badly with a plain mask */
	for (uint64_t i = 0; i < 20000; i++)
		assert_ok(ibb_disk_pwrite(ov, &i, 8, i * MIB + 8 * (i % 512) + 1, &err), err);
	for (uint64_t i = 0; i < 20000; i++) {
		uint64_t v;

		assert_ok(ibb_disk_pread(ov, &v, 8, i * MIB + 8 * (i % 512) + 1, &err), err);
		assert_int_equal(v, i);
	}
	/* a pointer's worth may spill over a block border: those blocks count twice */
	assert_true(ibb_disk_overlay_dirty_bytes(ov) >= 19999ull * 4096);
	assert_ok(ibb_disk_extents(ov, 5 * MIB, 3 * MIB, collect_extent, &e, &err), err);
	assert_int_equal(e.n, 6);
	assert_extent(&e, 0, 5 * MIB, 4096, true);
	assert_extent(&e, 1, 5 * MIB + 4096, MIB - 4096, false);
	assert_extent(&e, 5, 7 * MIB + 4096, MIB - 4096, false);
	/* zeros over a hole: nothing dirty stays */
	memset(b, 0, sizeof(b));
	for (uint64_t i = 0; i < 20000; i++) {
		assert_ok(ibb_disk_pwrite(ov, b, 4096, i * MIB, &err), err);
		assert_ok(ibb_disk_pwrite(ov, b, 4096, i * MIB + 4096, &err), err);
	}
	assert_int_equal(ibb_disk_overlay_dirty_bytes(ov), 0);
	ibb_disk_unref(ov);
	ibb_disk_unref(low);
}

/* --- fault injector --- */

static void new_fault(struct ibb_fault *plan, struct ibb_disk **ret_low, struct ibb_disk **ret)
{
	struct ibb_error err = {0};

	*plan = (struct ibb_fault){.fail_at = {-1, -1, -1}, .cut_after = -1, .os_errno = EIO};
	assert_ok(ibb_disk_mem_new(1 * MIB, 512, ret_low, &err), err);
	assert_ok(ibb_disk_fault_new(*ret_low, plan, ret, &err), err);
}

static void test_fault_write_is_sticky(void **state)
{
	struct ibb_error err = {0};
	struct ibb_disk *low = NULL, *d = NULL, *s = NULL;
	struct ibb_fault plan;
	uint8_t b[4] = {1, 2, 3, 4}, c[4];

	(void)state;
	new_fault(&plan, &low, &d);
	plan.fail_at[IBB_FAULT_WRITE] = 1;
	assert_ok(ibb_disk_slice_new(d, 512, 4096, &s, &err), err);
	assert_ok(ibb_disk_pwrite(s, b, 4, 0, &err), err);
	assert_fails(ibb_disk_pwrite(s, b, 4, 4, &err), IBB_E_IO, err,
		     "memory: injected failure of write 1: Input/output error");
	assert_int_equal(err.os_errno, EIO);
	/* transient below, but the loss stays known, at every layer */
	memset(&err, 0, sizeof(err));
	assert_fails(ibb_disk_pwrite(s, b, 4, 8, &err), IBB_E_IO, err, "write 1");
	assert_fails(ibb_disk_flush(s, &err), IBB_E_IO, err, "write 1");
	assert_fails(ibb_disk_flush(d, &err), IBB_E_IO, err, "write 1");
	assert_int_equal(plan.count[IBB_FAULT_WRITE], 2);
	assert_ok(ibb_disk_pread(s, c, 4, 0, &err), err);
	assert_memory_equal(b, c, 4);
	ibb_disk_unref(s);
	ibb_disk_unref(d);
	ibb_disk_unref(low);
}

static void test_fault_kinds(void **state)
{
	struct ibb_error err = {0};
	struct ibb_disk *low = NULL, *d = NULL;
	struct ibb_fault plan;
	uint8_t c[4];

	(void)state;
	new_fault(&plan, &low, &d);
	plan.fail_at[IBB_FAULT_READ] = 1;
	assert_ok(ibb_disk_pread(d, c, 4, 0, &err), err);
	assert_fails(ibb_disk_pread(d, c, 4, 0, &err), IBB_E_IO, err, "injected failure of read 1");
	assert_ok(ibb_disk_pread(d, c, 4, 0, &err), err); /* reads are not sticky */
	plan.fail_at[IBB_FAULT_READ] = 3;
	plan.persistent = true;
	assert_fails(ibb_disk_pread(d, c, 4, 0, &err), IBB_E_IO, err, "read 3");
	assert_fails(ibb_disk_pread(d, c, 4, 0, &err), IBB_E_IO, err, "read 4");
	assert_int_equal(plan.count[IBB_FAULT_READ], 5);
	plan.os_errno = ENOSPC;
	plan.fail_at[IBB_FAULT_FLUSH] = 0;
	assert_fails(ibb_disk_flush(d, &err), IBB_E_NOSPACE, err, "injected failure of flush 0");
	ibb_disk_unref(d);
	ibb_disk_unref(low);
}

static void test_fault_power_cut(void **state)
{
	struct ibb_error err = {0};
	struct ibb_disk *low = NULL, *d = NULL;
	struct ibb_fault plan;
	uint8_t c[6];

	(void)state;
	new_fault(&plan, &low, &d);
	plan.cut_after = 2;
	for (unsigned i = 0; i < 6; i++)
		assert_ok(ibb_disk_pwrite(d, "x", 1, i, &err), err);
	assert_ok(ibb_disk_flush(d, &err), err);
	assert_ok(ibb_disk_pread(low, c, 6, 0, &err), err);
	assert_memory_equal(c, "xx\0\0\0\0", 6);
	assert_int_equal(plan.count[IBB_FAULT_WRITE], 6);
	ibb_disk_unref(d);
	ibb_disk_unref(low);
}

/* A lower disk that fails while the overlay compares: an error, and nothing half-done stays. */
static void test_overlay_over_faulty_disk(void **state)
{
	struct ibb_error err = {0};
	struct ibb_disk *low = NULL, *d = NULL, *ov = NULL;
	struct ibb_fault plan;
	uint8_t c[4];

	(void)state;
	new_fault(&plan, &low, &d);
	assert_ok(ibb_disk_overlay_new(d, 1 * MIB, &ov, &err), err);
	assert_ok(ibb_disk_pwrite(ov, "abcd", 4, 0, &err), err);
	plan.fail_at[IBB_FAULT_READ] = plan.count[IBB_FAULT_READ];
	assert_fails(ibb_disk_pread(ov, c, 4, 8192, &err), IBB_E_IO, err, "injected");
	assert_ok(ibb_disk_pread(ov, c, 4, 0, &err), err);
	assert_memory_equal(c, "abcd", 4);
	plan.fail_at[IBB_FAULT_READ] = plan.count[IBB_FAULT_READ];
	assert_fails(ibb_disk_pwrite(ov, "abcd", 4, 8192, &err), IBB_E_IO, err, "injected");
	assert_int_equal(ibb_disk_overlay_dirty_bytes(ov), 4096);
	assert_fails(ibb_disk_flush(ov, &err), IBB_E_IO, err, "injected");
	assert_int_equal(plan.count[IBB_FAULT_WRITE], 0); /* the lower disk is never written */
	ibb_disk_unref(ov);
	ibb_disk_unref(d);
	ibb_disk_unref(low);
}

/* --- extents of a layer that breaks the rule --- */

static int bad_extents(struct ibb_disk *d, uint64_t off, uint64_t n, ibb_extent_fn fn, void *ctx,
		       struct ibb_error *err)
{
	int r = fn(ctx, &(struct ibb_extent){off, 10, true}, err);

	(void)d;
	(void)n;
	return r || off ? r : fn(ctx, &(struct ibb_extent){off + 20, 10, true}, err);
}

static void test_extents_checked(void **state)
{
	static const struct ibb_disk_ops ops = {.name = "bad", .extents = bad_extents};
	struct ibb_disk *d = ibb_zalloc(sizeof(*d));
	struct ibb_error err = {0};
	struct extents e = {0};

	(void)state;
	assert_non_null(d);
	assert_ok(ibb_disk_init(d, &ops, "x", 100, 512, &err), err);
	assert_fails(ibb_disk_extents(d, 0, 30, collect_extent, &e, &err), IBB_E_INTERNAL, err,
		     "layer bad leaves a gap in its runs at 20");
	assert_fails(ibb_disk_extents(d, 5, 30, collect_extent, &e, &err), IBB_E_INTERNAL, err,
		     "leaves out its last runs");
	ibb_disk_unref(d);
}

/* --- every allocation fails once --- */

static int whole_stack(struct ibb_error *err)
{
	IBB_AUTO(ibb_disk_unref) struct ibb_disk *low = NULL;
	IBB_AUTO(ibb_disk_unref) struct ibb_disk *f = NULL;
	IBB_AUTO(ibb_disk_unref) struct ibb_disk *ov = NULL;
	IBB_AUTO(ibb_disk_unref) struct ibb_disk *s = NULL;
	struct ibb_fault plan = {.fail_at = {-1, -1, -1}, .cut_after = -1};
	struct extents e = {0};
	uint64_t v = 1;
	int r = ibb_disk_mem_new(4 * MIB, 512, &low, err);

	if (!r)
		r = ibb_disk_pwrite(low, "abc", 3, 3, err);
	if (!r)
		r = ibb_disk_fault_new(low, &plan, &f, err);
	if (!r)
		r = ibb_disk_overlay_new(f, 1 * MIB, &ov, err);
	if (!r)
		r = ibb_disk_slice_new(ov, 4096, 2 * MIB, &s, err);
	for (unsigned i = 0; !r && i < 40; i++)
		r = ibb_disk_pwrite(s, &v, 8, i * 8192, err);
	if (!r)
		r = ibb_disk_extents(s, 0, 1 * MIB, collect_extent, &e, err);
	return r ? r : ibb_disk_flush(s, err);
}

static void test_no_memory(void **state)
{
	struct ibb_error err = {0};
	long total;

	(void)state;
	ibb_mem_fail_at(-1, false);
	assert_ok(whole_stack(&err), err);
	total = ibb_mem_count();
	assert_true(total > 40);
	for (long i = 0; i < total; i++) {
		ibb_mem_fail_at(i, i % 2);
		assert_fails(whole_stack(&err), IBB_E_NOMEM, err, "out of memory");
	}
	ibb_mem_fail_at(-1, false);
}

static void test_no_memory_file(void **state)
{
	struct ibb_error err = {0};
	struct ibb_file_id id;
	struct ibb_disk *d = NULL;
	char path[4096];

	(void)state;
	snprintf(path, sizeof(path), "%s/nomem", test_dir());
	make_file(path, "x", 1);
	for (long i = 0; i < 2; i++) {
		ibb_mem_fail_at(i, false);
		assert_fails(ibb_disk_file_open(path, &id, &d, &err), IBB_E_NOMEM, err,
			     "out of memory");
		assert_null(d);
	}
	ibb_mem_fail_at(-1, false);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_bounds),
		cmocka_unit_test(test_slice_bounds),
		cmocka_unit_test(test_write_out_of_range_is_sticky),
		cmocka_unit_test(test_mem_is_sparse),
		cmocka_unit_test(test_file_refuses),
		cmocka_unit_test(test_file_read_only),
		cmocka_unit_test(test_file_lock),
		cmocka_unit_test(test_file_changed),
		cmocka_unit_test(test_file_truncated_under_us),
		cmocka_unit_test(test_file_extents),
		cmocka_unit_test(test_overlay_model),
		cmocka_unit_test(test_overlay_clean_write),
		cmocka_unit_test(test_overlay_runs),
		cmocka_unit_test(test_overlay_limit),
		cmocka_unit_test(test_overlay_many_blocks),
		cmocka_unit_test(test_overlay_over_faulty_disk),
		cmocka_unit_test(test_fault_write_is_sticky),
		cmocka_unit_test(test_fault_kinds),
		cmocka_unit_test(test_fault_power_cut),
		cmocka_unit_test(test_extents_checked),
		cmocka_unit_test(test_no_memory),
		cmocka_unit_test(test_no_memory_file),
	};

	return cmocka_run_group_tests(tests, test_dir_setup, test_dir_teardown) ? 1 : 0;
}
