/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A WIM that was written is read back: one byte of it is another one, in resources of every kind,
 * and the check has to say so, and where.
 */
#include "wim_change.h"

#include "base/le.h"

static const struct ibb_wim_write_opts opts = {.unix_time = CHANGE_TIME};
static char out_path[600];

struct resource {
	uint64_t off, bytes;
	bool names;
};

struct resources {
	struct resource items[200];
	size_t n;
};

static int on_resource(const struct wimlib_resource_entry *e, void *ctx)
{
	struct resources *l = ctx;
	struct resource r = {.off = e->packed ? e->raw_resource_offset_in_wim : e->offset,
			     .bytes = e->packed ? e->raw_resource_compressed_size
						: e->compressed_size,
			     .names = e->is_metadata};

	for (size_t i = 0; i < l->n; i++)
		if (l->items[i].off == r.off)
			return 0;
	assert_true(l->n < IBB_ARRAY_SIZE(l->items));
	l->items[l->n++] = r;
	return 0;
}

static void resources_of(const char *path, struct resources *ret)
{
	struct ibb_wim *w = wim_open(path);

	*ret = (struct resources){0};
	assert_int_equal(wimlib_iterate_lookup_table(w->lib, 0, on_resource, ret), 0);
	assert_true(ret->n > 2);
	ibb_wim_close(w);
}

static int check(const char *before_path, const char *now_path, struct ibb_error *err)
{
	struct ibb_wim *before = wim_open(before_path), *now = NULL;
	int r = ibb_wim_open(now_path, NULL, &now, err);

	if (!r)
		r = ibb_wim_check_content(before, now, NULL, NULL, err);
	ibb_wim_close(now);
	ibb_wim_close(before);
	return r;
}

static void flip(const char *path, uint64_t at)
{
	int fd = open(path, O_RDWR | O_CLOEXEC);
	uint8_t b;

	assert_true(fd >= 0);
	assert_int_equal(pread(fd, &b, 1, (off_t)at), 1);
	b ^= 0x10;
	assert_int_equal(pwrite(fd, &b, 1, (off_t)at), 1);
	close(fd);
}

/* It is found, and is not any more when it is as it was. */
static void found(const char *before, const char *now, uint64_t at)
{
	struct ibb_error err = {0};
	int r;

	flip(now, at);
	r = check(before, now, &err);
	flip(now, at);
	if (r != IBB_E_CORRUPT && r != IBB_E_IO)
		fail_msg("%s, byte %llu: %d %s", before, (unsigned long long)at, r, err.msg);
	assert_non_null(strstr(err.msg, now));
	/* wimlib reads the header of a solid resource when it opens the file */
	if (!strstr(err.msg, "at offset ") && !strstr(err.msg, "open: the table of contents is"))
		fail_msg("%s", err.msg);
}

static const char *written(size_t kind)
{
	const char *path = change_kind(kind, change_kinds[kind].name);
	struct ibb_wim *w = wim_open(path);
	struct ibb_error err = {0};
	int fd = open(out_path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	assert_true(fd >= 0);
	change_image(w);
	assert_ok(ibb_wim_write(w, fd, out_path, &opts, &err), err);
	close(fd);
	ibb_wim_close(w);
	assert_ok(check(path, out_path, &err), err);
	return path;
}

static void every_resource(void **state)
{
	(void)state;
	for (size_t i = 0; i < IBB_ARRAY_SIZE(change_kinds); i++) {
		const char *path = written(i);
		struct resources l;

		resources_of(out_path, &l);
		for (size_t k = 0; k < l.n; k++) {
			const struct resource *x = &l.items[k];

			found(path, out_path, x->off + x->bytes / 2);
			if (x->bytes > 100)
				found(path, out_path, x->off + x->bytes / 3 * (1 + k % 2));
		}
		/* a large one, which is the source's: each end of it */
		for (size_t k = 0; k < l.n; k++)
			if (!l.items[k].names && l.items[k].bytes > 200000) {
				found(path, out_path, l.items[k].off);
				found(path, out_path, l.items[k].off + l.items[k].bytes - 1);
			}
	}
}

/* Of a pipable WIM also what stands before each resource. */
static void pipe_headers(void **state)
{
	static const unsigned at[] = {40, 33, 32, 25, 24, 5, 4};
	const char *path;
	struct resources l;

	(void)state;
	for (size_t i = 0; !change_kinds[i].m.pipable; i++)
		assert_true(i + 1 < IBB_ARRAY_SIZE(change_kinds));
	path = written(6);
	resources_of(out_path, &l);
	for (size_t k = 0; k < l.n; k += 3) {
		flip(out_path, l.items[k].off - 4);
		flip(out_path, l.items[k].off - 4); /* 0x10: not the flag that counts */
		for (size_t i = 0; i + 1 < IBB_ARRAY_SIZE(at); i++)
			found(path, out_path, l.items[k].off - at[i]);
	}
}

/* What the integrity table covers, the table of contents too, and the table itself. */
static void integrity(void **state)
{
	(void)state;
	for (size_t i = 0; i < IBB_ARRAY_SIZE(change_kinds); i++) {
		struct ibb_error err = {0};
		struct ibb_buf b = {0};
		const char *path;
		uint64_t table, end, from, to;

		if (!change_kinds[i].m.integrity || change_kinds[i].m.pipable)
			continue;
		path = written(i);
		read_all(out_path, &b);
		table = ibb_get_le64(b.data + 56);
		end = table + (ibb_get_le64(b.data + 48) & 0xffffffffffffff);
		from = ibb_get_le64(b.data + 132);
		to = from + (ibb_get_le64(b.data + 124) & 0xffffffffffffff);
		assert_true(table > 208 && from >= end && to - from >= 32 && to <= b.len);
		for (uint64_t at = table; at < end; at += 17) {
			flip(out_path, at);
			assert_int_not_equal(check(path, out_path, &err), IBB_OK);
			flip(out_path, at);
		}
		for (uint64_t at = from; at < to; at += at == from + 7 ? 5 : 1) {
			/* all is one piece, whatever size pieces have */
			flip(out_path, at);
			assert_fails(check(path, out_path, &err), IBB_E_CORRUPT, err,
				     "integrity table");
			flip(out_path, at);
		}
		assert_ok(check(path, out_path, &err), err);
		ibb_buf_clear(&b);
	}
}

/* Stored in another way, so that nothing can be compared byte by byte. */
static void stored_otherwise(void **state)
{
	static const size_t pairs[][2] = {{2, 1}, {2, 4}, {4, 2}, {5, 4}, {0, 2}, {2, 0}, {2, 6}};

	(void)state;
	for (size_t i = 0; i < IBB_ARRAY_SIZE(pairs); i++) {
		const char *path = change_kind(pairs[i][0], "one.wim");
		const char *other = change_kind(pairs[i][1], "other.wim");
		struct ibb_error err = {0};
		struct resources l;

		assert_ok(check(path, other, &err), err);
		resources_of(other, &l);
		for (size_t k = i % 3; k < l.n; k += 3)
			found(path, other, l.items[k].off + l.items[k].bytes / 2);
	}
}

struct told {
	uint64_t done, total;
	unsigned n, stop_at;
};

static int tell(void *ctx, const char *phase, uint64_t done, uint64_t total)
{
	struct told *t = ctx;

	assert_string_equal(phase, "check");
	assert_true(done >= t->done && done <= total);
	t->done = done;
	t->total = total;
	return ++t->n == t->stop_at;
}

/* Only what is new is read, of the integrity table as well; a change of that is found. */
static void appended(void **state)
{
	(void)state;
	for (size_t i = 0; i < IBB_ARRAY_SIZE(change_kinds); i++) {
		const char *path = change_kind(i, "append.wim");
		struct ibb_wim *before, *w, *now;
		struct ibb_error err = {0};
		struct told t = {0};
		uint64_t old;
		unsigned n_new = 0;
		struct resources l;

		if (!change_kinds[i].appendable)
			continue;
		before = wim_open(path);
		w = wim_open(path);
		old = ibb_wim_info(before)->file_bytes;
		change_image(w);
		ibb_wim_unlock(before);
		assert_ok(ibb_wim_append(w, &opts, &err), err);
		ibb_wim_close(w);
		now = change_open_held(path);
		assert_ok(ibb_wim_check_content(before, now, tell, &t, &err), err);
		assert_true(t.n && t.done == t.total);
		if (!change_kinds[i].m.integrity)
			assert_in_range(t.total, 100, old / 2);
		resources_of(path, &l);
		for (size_t k = 0; k < l.n; k++) {
			const uint64_t at = l.items[k].off + l.items[k].bytes / 2;

			if (at < old)
				continue;
			n_new++;
			flip(path, at);
			assert_int_equal(ibb_wim_check_content(before, now, NULL, NULL, &err),
					 IBB_E_CORRUPT);
			flip(path, at);
		}
		assert_true(n_new >= 1);
		ibb_wim_close(now);
		ibb_wim_close(before);
	}
}

static void stopped(void **state)
{
	const char *path = written(0);
	struct ibb_wim *before = wim_open(path), *now = wim_open(out_path);
	struct ibb_error err = {0};
	struct told t = {0};

	(void)state;
	assert_ok(ibb_wim_check_content(before, now, tell, &t, &err), err);
	assert_true(t.n > 1 && t.done == t.total && t.total > 1000000);
	t = (struct told){.stop_at = 1};
	assert_fails(ibb_wim_check_content(before, now, tell, &t, &err), IBB_E_CANCELLED, err,
		     "out.wim");
	assert_int_equal(t.n, 1);
	for (long at = 0;; at++) {
		int r;

		ibb_mem_fail_at(at, false);
		r = ibb_wim_check_content(before, now, NULL, NULL, &err);
		ibb_mem_fail_at(-1, false);
		if (!r)
			break;
		assert_int_equal(r, IBB_E_NOMEM);
		assert_true(at < 2000);
	}
	ibb_wim_close(now);
	ibb_wim_close(before);
}

/* When the source was changed meanwhile, that is what is said. */
static void source_changed(void **state)
{
	const char *path = written(0);
	struct ibb_wim *before = wim_open(path), *now = wim_open(out_path);
	struct ibb_error err = {0};
	struct resources l;
	size_t k = 0;

	(void)state;
	resources_of(path, &l);
	while (l.items[k].names || l.items[k].bytes != 1100000)
		k++;
	flip(path, l.items[k].off + 700000);
	assert_fails(ibb_wim_check_content(before, now, NULL, NULL, &err), IBB_E_CHANGED, err,
		     "none.wim");
	ibb_wim_close(now);
	ibb_wim_close(before);
}

static int setup(void **state)
{
	(void)state;
	snprintf(out_path, sizeof(out_path), "%s", img_path("out.wim"));
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_resource), cmocka_unit_test(pipe_headers),
		cmocka_unit_test(integrity),	  cmocka_unit_test(stored_otherwise),
		cmocka_unit_test(appended),	  cmocka_unit_test(stopped),
		cmocka_unit_test(source_changed),
	};

	return cmocka_run_group_tests(tests, setup, img_teardown) ? 1 : 0;
}
