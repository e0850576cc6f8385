/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * From a dirty hive in a volume to an edited, clean one in the same volume: every allocation and
 * every write fails in turn. A run fails, and the source is as it was, or it leaves exactly what
 * the run without faults left. On a real hive every 97th, or every IBB_SWEEP_STRIDEth.
 */
#include "test_hive_util.h"

#include <errno.h>

#include "mklog.h"
#include "volume_image.h"

#define HIVE "SYSTEM"
#define LOG  "SYSTEM.LOG1"

static struct ibb_disk *base;
static struct ibb_sha256 base_digest;

static struct ibb_sha256 digest_of(struct ibb_disk *d)
{
	struct ibb_hasher *h = NULL;
	struct ibb_sha256 ret;
	uint8_t *buf = malloc(1u << 20);

	assert_non_null(buf);
	assert_int_equal(ibb_hasher_new(&h), 0);
	for (uint64_t off = 0; off < d->size_bytes; off += 1u << 20) {
		size_t n =
			d->size_bytes - off < 1u << 20 ? (size_t)(d->size_bytes - off) : 1u << 20;

		assert_ok(ibb_disk_pread(d, buf, n, off, &E), E);
		assert_int_equal(ibb_hasher_update(h, buf, n), 0);
	}
	assert_int_equal(ibb_hasher_final(h, &ret), 0);
	free(buf);
	return ret;
}

/* A volume with the hive, dirty, and a log that holds the last write to it. */
static void prepare(const struct ibb_buf *clean, unsigned mib)
{
	struct ibb_buf before = {0}, after, log = {0};
	struct ibb_hive *h = open_copy(clean->data, clean->len);
	struct ibb_volume *v = NULL;

	set(h, make(h, "from the log"), "v", IBB_REG_SZ, "x\0\0", 4);
	after = serialized(h);
	ibb_hive_close(h);
	assert_int_equal(ibb_buf_append(&before, clean->data, clean->len), 0);
	assert_int_equal(mklog_new(ibb_buf_bytes(&before), ibb_buf_bytes(&after),
				   ibb_get_le32(before.data + 8), 1, &log),
			 0);
	mklog_mark(&before, ibb_get_le32(before.data + 4) + 1, ibb_get_le32(before.data + 8));
	base = make_ntfs(mib, 512, 4096);
	assert_ok(ibb_volume_open_ntfs(base, true, &v, &E), E);
	assert_ok(ibb_volume_put(v, HIVE, ibb_buf_bytes(&before), IBB_PUT_REPLACE, &file_meta, &E),
		  E);
	assert_ok(ibb_volume_put(v, LOG, ibb_buf_bytes(&log), IBB_PUT_REPLACE, &file_meta, &E), E);
	assert_ok(ibb_volume_commit(v, &E), E);
	ibb_volume_close(v);
	ibb_buf_clear(&before);
	ibb_buf_clear(&after);
	ibb_buf_clear(&log);
	base_digest = digest_of(base);
}

static int edit(struct ibb_hive *h, struct ibb_error *err)
{
	static const uint8_t big[40000] = {1, 2, 3};
	ibb_key root = ibb_hive_root(h), k = 0;
	struct ibb_bytes sd;
	char path[40];
	int r = ibb_hive_find(h, root, "from the log", &k, err);

	if (!r)
		r = ibb_hive_delete(h, k, T1, err);
	for (unsigned i = 0; i < 12 && !r; i++) {
		snprintf(path, sizeof(path), "new\\%u\\deep", i * 7 % 12);
		r = ibb_hive_create(h, root, path, IBB_KEY_SECURITY_PARENT, 0, T1, &k, NULL, err);
		if (!r)
			r = ibb_hive_set(h, k, "v", IBB_REG_BINARY, big, i == 5 ? sizeof(big) : i,
					 T1, err);
	}
	if (!r)
		r = ibb_hive_get_security(h, root, &sd, err);
	if (!r)
		r = ibb_hive_set_security(h, k, sd, err);
	if (!r)
		r = ibb_hive_find(h, root, "new\\3", &k, err);
	return r ? r : ibb_hive_delete(h, k, T1, err);
}

static int count_diff(void *ctx, const struct ibb_hive_diff *d, struct ibb_error *err)
{
	(void)d;
	(void)err;
	++*(unsigned *)ctx;
	return IBB_OK;
}

/* Everything that the tool does with a hive, without the plan. */
static int commit_edit(struct ibb_disk *d, struct ibb_error *err)
{
	IBB_AUTO(ibb_volume_close) struct ibb_volume *v = NULL;
	IBB_AUTO(ibb_hive_close) struct ibb_hive *h = NULL, *view = NULL;
	IBB_AUTO_BUF struct ibb_buf bytes = {0}, log = {0};
	unsigned n = 0;
	struct ibb_hive_recovery recovery;
	struct ibb_hive_check sum;
	struct ibb_bytes sealed;
	int r = ibb_volume_open_ntfs(d, true, &v, err);

	if (!r)
		r = ibb_volume_read(v, HIVE, IBB_LIMIT_HIVE_BYTES, &bytes, err);
	if (!r)
		r = ibb_volume_read(v, LOG, IBB_LIMIT_HIVE_BYTES, &log, err);
	if (!r) {
		struct ibb_hive_log l = {LOG, ibb_buf_bytes(&log)};

		r = ibb_hive_open_logged(HIVE, &bytes, &l, 1, false, &recovery, &h, err);
	}
	if (!r)
		r = edit(h, err);
	if (!r)
		r = ibb_hive_seal(h, T1, &sealed, err);
	if (!r)
		r = ibb_hive_open_view(HIVE, sealed, &view, err);
	if (!r)
		r = ibb_hive_check(view, &sum, err);
	if (!r)
		r = ibb_hive_compare(ibb_hive_before(h), view, count_diff, &n, err);
	if (!r)
		r = ibb_volume_put(v, HIVE, sealed, IBB_PUT_IN_PLACE, &file_meta, err);
	if (!r) {
		memset(log.data, 0, 4096);
		r = ibb_volume_put(v, LOG, ibb_buf_bytes(&log), IBB_PUT_IN_PLACE, &file_meta, err);
	}
	return r ? r : ibb_volume_commit(v, err);
}

/* What another reader of the volume finds. */
struct found {
	struct ibb_buf hive, log;
};
static struct found want;

static struct found look(struct ibb_disk *d)
{
	struct ibb_volume *v = NULL;
	struct found ret = {0};

	expect_sound(d);
	assert_ok(ibb_volume_open_ntfs(d, false, &v, &E), E);
	assert_ok(ibb_volume_read(v, HIVE, IBB_LIMIT_HIVE_BYTES, &ret.hive, &E), E);
	assert_ok(ibb_volume_read(v, LOG, IBB_LIMIT_HIVE_BYTES, &ret.log, &E), E);
	ibb_volume_close(v);
	return ret;
}

static void clear(struct found *f)
{
	ibb_buf_clear(&f->hive);
	ibb_buf_clear(&f->log);
}

static bool same(const struct ibb_buf *a, const struct ibb_buf *b)
{
	return a->len == b->len && memcmp(a->data, b->data, a->len) == 0;
}

/* Without memory for its index the hive looks for free cells anew and may take others. */
static void same_tree(const struct ibb_buf *a, const struct ibb_buf *b)
{
	struct ibb_hive *x = open_copy(a->data, a->len), *y = open_copy(b->data, b->len);
	struct ibb_hive_check sum;

	assert_ok(ibb_hive_check(y, &sum, &E), E);
	assert_int_equal(sum.leaked_cells, 0);
	has_diff(x, y, "");
	ibb_hive_close(x);
	ibb_hive_close(y);
}

/* One run with the nth operation of a kind failing (allocations: -1); its number of operations. */
static long one_run(int kind, long n, bool *ret_failed)
{
	struct ibb_fault fault = {.fail_at = {-1, -1, -1}, .cut_after = -1, .os_errno = EIO};
	struct ibb_disk *overlay = NULL, *faulty = NULL;
	struct ibb_error err = {0};
	struct found got;
	long count;
	int r;

	if (kind >= 0)
		fault.fail_at[kind] = n;
	assert_ok(ibb_disk_overlay_new(base, 1u << 30, &overlay, &E), E);
	assert_ok(ibb_disk_fault_new(overlay, &fault, &faulty, &E), E);
	ibb_mem_fail_at(kind < 0 ? n : -1, false);
	r = commit_edit(faulty, &err);
	count = kind < 0 ? ibb_mem_count() : fault.count[kind];
	ibb_mem_fail_at(-1, false);
	if (r) {
		assert_true(*err.msg);
	} else {
		got = look(overlay);
		if (n < 0 && kind < 0) {
			clear(&want);
			want = got;
			got = (struct found){0};
		} else if (kind < 0) {
			same_tree(&want.hive, &got.hive);
			assert_true(same(&want.log, &got.log));
		} else if (!same(&want.hive, &got.hive) || !same(&want.log, &got.log)) {
			fail_msg("operation %ld of kind %d failed: success, but another result", n,
				 kind);
		}
		clear(&got);
	}
	*ret_failed = r != 0;
	ibb_disk_unref(faulty);
	ibb_disk_unref(overlay);
	return count;
}

static void sweep(long stride)
{
	for (int kind = -1; kind <= IBB_FAULT_FLUSH; kind++) {
		bool failed;
		long total = one_run(kind, -1, &failed), errors = 0, runs = 0;

		assert_false(failed);
		for (long n = 0; n < total; n += stride, runs++) {
			one_run(kind, n, &failed);
			errors += failed;
		}
		/* what was asked for in vain may be optional, what was written is not */
		if (kind == IBB_FAULT_WRITE || kind == IBB_FAULT_FLUSH)
			assert_int_equal(errors, runs);
		assert_true(errors > 0 || !runs);
	}
	/* nothing of all that has reached the source */
	assert_memory_equal(digest_of(base).b, base_digest.b, sizeof(base_digest.b));
	ibb_disk_unref(base);
	clear(&want);
}

static void test_small(void **state)
{
	struct ibb_hive *h = fresh();
	struct ibb_buf b;
	char path[40];

	(void)state;
	for (unsigned i = 0; i < 60; i++) {
		snprintf(path, sizeof(path), "a\\%u\\b", i);
		set(h, make(h, path), "v", IBB_REG_BINARY, path, i % 40);
	}
	b = serialized(h);
	ibb_hive_close(h);
	prepare(&b, 4);
	ibb_buf_clear(&b);
	sweep(1);
}

static void test_real(void **state)
{
	const char *stride = getenv("IBB_SWEEP_STRIDE");
	struct ibb_buf b = {0};

	(void)state;
	TEST_DATA_OR_SKIP("hives/win10-19041/SYSTEM", &b);
	prepare(&b, 40);
	ibb_buf_clear(&b);
	sweep(stride && atol(stride) > 0 ? atol(stride) : 97);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_small),
		cmocka_unit_test(test_real),
	};

	return cmocka_run_group_tests(tests, NULL, img_teardown) ? 1 : 0;
}
