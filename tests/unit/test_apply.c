/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "apply/apply.h"

#include "disktest.h"
#include "test.h"

#include <errno.h>

#include "apply/registry.h"
#include "base/le.h"
#include "base/time.h"
#include "mkimage.h"
#include "plan_fixture.h"
#include "soundtest.h"
#include "volume/backend.h"

#define CLASS_NET "{4d36e972-e325-11ce-bfc1-08002be10318}"

static struct ibb_hive *drivers(struct fx *x)
{
	return x->f->hives[IBB_HIVE_DRIVERS].hive;
}

static uint64_t plan_time(void)
{
	return ibb_filetime_from_unix(NOW);
}

/* A Windows with logs, planned. */
static void planned(struct fx *x, const char *release)
{
	uint8_t log[9000];

	memset(log, 'L', sizeof(log));
	fx_plain(x, release);
	wintree_put(&x->t, WINTREE_CONFIG "/SYSTEM.LOG1", log, sizeof(log));
	wintree_put(&x->t, WINTREE_CONFIG "/DRIVERS.LOG1", log, 100);
	fx_facts(x);
	fx_plan(x);
}

/* ---- what it writes ---- */

static void assert_file(const struct wintree *t, const char *path, struct ibb_bytes want)
{
	struct ibb_buf have = {0};

	wintree_read(t, path, &have);
	assert_int_equal(have.len, want.len);
	assert_memory_equal(have.data, want.data, want.len);
	ibb_buf_clear(&have);
}

static void everything_planned_is_there(void **state)
{
	struct ibb_applied a = {0};
	struct ibb_buf software = {0}, log = {0};
	struct ibb_error err = {0};
	struct ibb_hive *h;
	struct fx x;

	(void)state;
	planned(&x, "server2022");
	wintree_read(&x.t, WINTREE_CONFIG "/SOFTWARE", &software);
	assert_ok(ibb_apply(x.plan, x.f, x.v, &a, &err), err);
	/* nothing is visible before the commit */
	assert_false(wintree_has(&x.t, "Windows/INF/oem0.inf"));
	assert_ok(ibb_volume_commit(x.v, &err), err);
	for (size_t i = 0; i < x.plan->n_ops; i++)
		if (x.plan->ops[i].kind == IBB_OP_PUT)
			assert_file(&x.t, x.plan->ops[i].path,
				    ibb_buf_bytes(&x.plan->ops[i].file->bytes));
	assert_file(&x.t, WINTREE_CONFIG "/SOFTWARE", ibb_buf_bytes(&software));
	for (int node = 0; node < IBB_N_NODES; node++) {
		const char *name = node == IBB_NODE_SYSTEM ? "SYSTEM" : "DRIVERS";
		struct ibb_hive_check check;

		h = wintree_hive(&x.t, name);
		assert_int_equal(ibb_hive_header(h)->seq1, 3); /* generated with 2 */
		assert_int_equal(ibb_hive_header(h)->seq2, 3);
		assert_int_equal(ibb_hive_header(h)->last_written, plan_time());
		assert_ok(ibb_hive_check(h, &check, &err), err);
		for (size_t i = 0; i < x.plan->n_ops; i++) {
			const struct ibb_op *op = &x.plan->ops[i];
			struct ibb_buf data = {0};
			uint32_t type = 99;
			ibb_key k;

			if ((op->kind != IBB_OP_KEY && op->kind != IBB_OP_VALUE) ||
			    (int)op->hive != node)
				continue;
			assert_ok(ibb_hive_find(h, ibb_hive_root(h), op->key, &k, &err), err);
			if (op->kind == IBB_OP_KEY)
				continue;
			assert_ok(ibb_hive_get(h, k, op->value, &type, &data, &err), err);
			assert_int_equal(type, op->type);
			assert_int_equal(data.len, op->data.len);
			if (data.len)
				assert_memory_equal(data.data, op->data.data, data.len);
			ibb_buf_clear(&data);
		}
		ibb_hive_close(h);
	}
	/* the beginning of a log is zero, the rest as it was, its length too */
	wintree_read(&x.t, WINTREE_CONFIG "/SYSTEM.LOG1", &log);
	assert_int_equal(log.len, 9000);
	for (size_t i = 0; i < log.len; i++)
		assert_int_equal(log.data[i], i < 4096 ? 0 : 'L');
	ibb_buf_clear(&log);
	wintree_read(&x.t, WINTREE_CONFIG "/DRIVERS.LOG1", &log);
	assert_int_equal(log.len, 100);
	for (size_t i = 0; i < log.len; i++)
		assert_int_equal(log.data[i], 0);
	ibb_buf_clear(&log);
	ibb_buf_clear(&software);
	ibb_applied_clear(&a);
	fx_close(&x);
}

static void record_of_what_was_written(void **state)
{
	static const char *const want[][2] = {
		{WINTREE_CONFIG "/SYSTEM", "hive"},
		{WINTREE_CONFIG "/DRIVERS", "hive"},
		{"/ibbdemo.inf", "driver"},
		{"/ibbdemo.cat", "driver"},
		{"/ibbdemo.sys", "driver"},
		{"Windows/INF/oem0.inf", "driver"},
		{WINTREE_CAT "/oem0.cat", "driver"},
		{WINTREE_CONFIG "/SYSTEM.LOG1", "log"},
		{WINTREE_CONFIG "/DRIVERS.LOG1", "log"},
	};
	struct ibb_applied a = {0};
	struct ibb_buf before[IBB_ARRAY_SIZE(want)] = {{0}};
	struct ibb_error err = {0};
	struct fx x;

	(void)state;
	planned(&x, "server2022");
	for (size_t i = 0; i < IBB_ARRAY_SIZE(want); i++)
		if (strcmp(want[i][1], "driver") != 0)
			wintree_read(&x.t, want[i][0], &before[i]);
	assert_ok(ibb_apply(x.plan, x.f, x.v, &a, &err), err);
	assert_ok(ibb_volume_commit(x.v, &err), err);
	assert_int_equal(a.hives_edited, 2);
	assert_int_equal(a.n_files, IBB_ARRAY_SIZE(want));
	for (size_t i = 0; i < a.n_files; i++) {
		const struct ibb_applied_file *f = &a.files[i];
		struct ibb_buf after = {0};
		struct ibb_sha256 d;

		assert_string_equal(f->kind, want[i][1]);
		assert_non_null(strstr(f->path, want[i][0]));
		assert_int_equal(f->existed, strcmp(f->kind, "driver") != 0);
		wintree_read(&x.t, f->path, &after);
		assert_int_equal(ibb_sha256(after.data, after.len, &d), 0);
		assert_memory_equal(&f->after, &d, sizeof(d));
		assert_int_equal(f->after_bytes, after.len);
		if (f->existed) {
			assert_int_equal(ibb_sha256(before[i].data, before[i].len, &d), 0);
			assert_memory_equal(&f->before, &d, sizeof(d));
			assert_int_equal(f->before_bytes, before[i].len);
		}
		ibb_buf_clear(&after);
		ibb_buf_clear(&before[i]);
	}
	ibb_applied_clear(&a);
	fx_close(&x);
}

static void an_empty_plan_does_nothing(void **state)
{
	struct ibb_applied a = {0};
	struct ibb_error err = {0};
	char before[65], after[65];
	struct fx x;

	(void)state;
	fx_plain(&x, "server2022");
	fx_plan(&x);
	fx_apply(&x);
	fx_facts(&x);
	fx_plan(&x);
	wintree_digest(&x.t, before);
	assert_ok(ibb_apply(x.plan, x.f, x.v, &a, &err), err);
	assert_ok(ibb_volume_commit(x.v, &err), err);
	assert_int_equal(a.n_files, 0);
	assert_int_equal(a.hives_edited, 0);
	wintree_digest(&x.t, after);
	assert_string_equal(before, after);
	fx_close(&x);
}

static void two_runs_are_equal(void **state)
{
	char digest[2][65];

	(void)state;
	for (int i = 0; i < 2; i++) {
		struct fx x;

		planned(&x, "win10-19041");
		fx_apply(&x);
		wintree_digest(&x.t, digest[i]);
		fx_close(&x);
	}
	assert_string_equal(digest[0], digest[1]);
}

/* ---- security and times of keys ---- */

static ibb_key find(struct ibb_hive *h, const char *path)
{
	struct ibb_error err = {0};
	ibb_key k = 0;

	assert_ok(ibb_hive_find(h, ibb_hive_root(h), path, &k, &err), err);
	return k;
}

static void security_of_keys(void **state)
{
	struct mkpkg_opts newer = {.version = "2.0.0.0"};
	struct ibb_error err = {0};
	struct ibb_key_info info;
	struct ibb_bytes sd;
	struct ibb_hive *h;
	uint32_t cell = 0;
	struct fx x;

	(void)state;
	planned(&x, "server2022");
	fx_apply(&x);
	h = wintree_hive(&x.t, "DRIVERS");
	for (size_t i = 0; i < x.plan->n_ops; i++) {
		const struct ibb_op *op = &x.plan->ops[i];
		ibb_key k;

		if (op->kind != IBB_OP_KEY)
			continue;
		k = find(h, op->key);
		assert_ok(ibb_hive_get_security(h, k, &sd, &err), err);
		assert_int_equal(sd.len, x.plan->security[IBB_HIVE_DRIVERS].sd.len);
		assert_memory_equal(sd.data, x.plan->security[IBB_HIVE_DRIVERS].sd.data, sd.len);
		assert_ok(ibb_hive_key_info(h, k, &info, &err), err);
		assert_int_equal(info.last_written, plan_time());
		if (!cell)
			cell = info.security_cell;
		assert_int_equal(info.security_cell, cell); /* one cell for all */
	}
	assert_true(cell != 0);
	ibb_hive_close(h);

	/* the next package's keys are like those of this one */
	ibb_package_free(x.p);
	x.p = pkgtest_make(&newer, &server_2022);
	fx_facts(&x);
	fx_plan(&x);
	assert_non_null(x.plan->security[IBB_HIVE_DRIVERS].like);
	fx_apply(&x);
	h = wintree_hive(&x.t, "DRIVERS");
	assert_ok(ibb_hive_key_info(h, find(h, DB "\\DriverInfFiles\\oem1.inf"), &info, &err), err);
	assert_int_equal(info.security_cell, cell);
	ibb_hive_close(h);
	fx_close(&x);
}

/* ---- preconditions ---- */

/* The image is not what the plan was made for. */
static void set_map(struct fx *x)
{
	wintree_set(x->f->hives[IBB_HIVE_SYSTEM].hive, DB, "OemInfMap", IBB_REG_BINARY, "\x40", 1);
}

static void drop_map(struct fx *x)
{
	wintree_unset(x->f->hives[IBB_HIVE_SYSTEM].hive, DB, "OemInfMap");
}

static void map_of_another_type(struct fx *x)
{
	wintree_set(x->f->hives[IBB_HIVE_SYSTEM].hive, DB, "OemInfMap", IBB_REG_DWORD, "\0", 1);
}

static void value_appeared(struct fx *x)
{
	wintree_set(drivers(x), DB "\\DeviceIds\\" CLASS_NET, "oem0.inf", IBB_REG_NONE, "", 0);
}

static void key_appeared(struct fx *x)
{
	wintree_key(drivers(x), DB "\\DeviceIds\\" IB_FULL);
}

static void parent_vanished(struct fx *x)
{
	wintree_delete(drivers(x), DB "\\DriverInfFiles");
}

static void database_vanished(struct fx *x)
{
	wintree_delete(x->f->hives[IBB_HIVE_SYSTEM].hive, DB);
}

static void file_appeared(struct fx *x)
{
	wintree_text(&x->t, "Windows/INF/OEM0.INF", "");
}

static void directory_appeared(struct fx *x)
{
	wintree_mkdir(&x->t, x->plan->ops[0].path);
}

static void log_vanished(struct fx *x)
{
	wintree_remove(&x->t, WINTREE_CONFIG "/DRIVERS.LOG1");
}

static void preconditions(void **state)
{
	static const struct {
		void (*change)(struct fx *x);
		const char *text;
	} t[] = {
		{set_map, "value 'OemInfMap' of DriverDatabase is not what the plan was made for"},
		{drop_map, "value 'OemInfMap' of DriverDatabase is not what"},
		{map_of_another_type, "value 'OemInfMap' of DriverDatabase is not what"},
		{value_appeared, "value 'oem0.inf' of DriverDatabase\\DeviceIds\\" CLASS_NET},
		{key_appeared, "key DriverDatabase\\DeviceIds\\" IB_FULL " exists already"},
		{parent_vanished, "key DriverDatabase\\DriverInfFiles\\oem0.inf lacks its parent"},
		{database_vanished, "the plan does not fit the image"},
		{file_appeared, "Windows/INF/oem0.inf exists already in the image"},
		{directory_appeared, "exists already in the image"},
		{log_vanished, WINTREE_CONFIG "/DRIVERS.LOG1"},
	};

	(void)state;
	for (size_t i = 0; i < IBB_ARRAY_SIZE(t); i++) {
		struct ibb_applied a = {0};
		struct ibb_error err = {0};
		char before[65], after[65];
		struct fx x;

		planned(&x, "server2022");
		t[i].change(&x);
		wintree_digest(&x.t, before);
		assert_fails(ibb_apply(x.plan, x.f, x.v, &a, &err), IBB_E_CONFLICT, err, t[i].text);
		assert_int_equal(err.code, IBB_E_CONFLICT);
		assert_null(a.files);
		ibb_volume_close(x.v); /* without commit: nothing was written */
		x.v = NULL;
		wintree_digest(&x.t, after);
		assert_string_equal(before, after);
		fx_close(&x);
	}
}

/* ---- the proof ---- */

static void extra_value(struct ibb_hive *h)
{
	wintree_set_dword(h, "Unheard\\Of", "x", 1);
}

static void extra_value_beside_ours(struct ibb_hive *h)
{
	wintree_set_dword(h, DB "\\DriverInfFiles\\oem0.inf", "Extra", 1);
}

static void lost_value(struct ibb_hive *h)
{
	wintree_unset(h, DB "\\DriverInfFiles\\oem0.inf", "Active");
}

static void lost_key(struct ibb_hive *h)
{
	wintree_delete(h, DB "\\DeviceIds\\" IB_FULL);
}

static void lost_old_value(struct ibb_hive *h)
{
	wintree_unset(h, DB, "SetupStatus");
}

static void lost_old_key(struct ibb_hive *h)
{
	wintree_delete(h, DB "\\DriverFiles\\netvsc.sys");
}

static void other_data(struct ibb_hive *h)
{
	wintree_set(h, DB "\\DeviceIds\\" IB_FULL, "oem0.inf", IBB_REG_BINARY, "\1\xfe\0\0", 4);
}

static void other_type(struct ibb_hive *h)
{
	wintree_set(h, DB "\\DeviceIds\\" IB_FULL, "oem0.inf", IBB_REG_DWORD, "\1\xff\0\0", 4);
}

static void changed_old_value(struct ibb_hive *h)
{
	wintree_set_dword(h, DB, "SetupStatus", 1);
}

static void changed_security(struct ibb_hive *h)
{
	struct ibb_error err = {0};
	struct ibb_bytes sd;

	assert_ok(ibb_hive_get_security(h, ibb_hive_root(h), &sd, &err), err);
	assert_ok(ibb_hive_set_security(h, find(h, DB "\\DriverFiles"), sd, &err), err);
}

static void difference_is_the_plan(void **state)
{
	static const struct {
		void (*tamper)(struct ibb_hive *h);
		const char *text;
	} t[] = {
		{NULL, ""},
		{extra_value, "after the edit Unheard differs in a way nobody planned"},
		{extra_value_beside_ours, "DriverInfFiles\\oem0.inf value Extra differs in a way"},
		{lost_value, "planned changes are in the edited hive"},
		{lost_key, "planned changes are in the edited hive"},
		{lost_old_value, "DriverDatabase value SetupStatus differs"},
		{lost_old_key, "DriverDatabase\\DriverFiles\\netvsc.sys differs"},
		{other_data, IB_FULL " value oem0.inf differs in a way nobody planned"},
		{other_type, IB_FULL " value oem0.inf differs in a way nobody planned"},
		{changed_old_value, "DriverDatabase value SetupStatus differs"},
		{changed_security, "DriverDatabase\\DriverFiles differs"},
	};

	(void)state;
	for (size_t i = 0; i < IBB_ARRAY_SIZE(t); i++) {
		struct ibb_error err = {0};
		struct ibb_hive *old;
		struct fx x;

		planned(&x, "server2022");
		old = wintree_hive(&x.t, "DRIVERS");
		assert_ok(ibb_apply_registry(x.plan, IBB_HIVE_DRIVERS, drivers(&x), &err), err);
		if (t[i].tamper)
			t[i].tamper(drivers(&x));
		assert_fails(ibb_apply_check_difference(x.plan, IBB_HIVE_DRIVERS, old, drivers(&x),
							&err),
			     t[i].tamper ? IBB_E_INTERNAL : 0, err, t[i].text);
		ibb_hive_close(old);
		fx_close(&x);
	}
}

/* The whole of apply notices: a hive that was edited behind its back is not written. */
static void apply_proves_itself(void **state)
{
	struct ibb_applied a = {0};
	struct ibb_error err = {0};
	struct fx x;

	(void)state;
	planned(&x, "server2022");
	wintree_set_dword(drivers(&x), "Unheard\\Of", "x", 1);
	assert_fails(ibb_apply(x.plan, x.f, x.v, &a, &err), IBB_E_INTERNAL, err,
		     "after the edit Unheard differs in a way nobody planned");
	fx_close(&x);
}

/* ---- a volume that errs ---- */

/* Between apply and the back end: one byte of one file is read, or stored, wrong. */
static struct {
	const struct ibb_volume_ops *real;
	struct ibb_volume_ops ops;
	const char *path;
	size_t at;
	bool read, put;
} wrong;

static int wrong_stream(struct ibb_volume *v, const char *path, uint64_t limit, ibb_piece_fn fn,
			void *ctx, struct ibb_error *err)
{
	struct ibb_buf b = {0};
	int r = wrong.real->read(v, path, limit < SIZE_MAX ? limit : 1 << 30, &b, err);

	if (!r && wrong.read && ibb_caseeq(path, wrong.path)) {
		b.data[wrong.at] ^= 1;
		wrong.read = false;
	}
	if (!r)
		r = fn(ctx, 0, ibb_buf_bytes(&b), err);
	ibb_buf_clear(&b);
	return r;
}

static int wrong_put(struct ibb_volume *v, const char *path, struct ibb_bytes content,
		     enum ibb_put_mode mode, const struct ibb_meta *meta, struct ibb_error *err)
{
	struct ibb_buf b = {0};
	int r;

	assert_int_equal(ibb_buf_append(&b, content.data, content.len), 0);
	if (wrong.put && ibb_caseeq(path, wrong.path))
		b.data[wrong.at] ^= 1;
	r = wrong.real->put(v, path, ibb_buf_bytes(&b), mode, meta, err);
	ibb_buf_clear(&b);
	return r;
}

static void between(struct ibb_volume *v, const char *path, size_t at, bool read, bool put)
{
	wrong.real = v->ops;
	wrong.ops = *v->ops;
	wrong.ops.stream = wrong_stream;
	wrong.ops.put = wrong_put;
	wrong.path = path;
	wrong.at = at;
	wrong.read = read;
	wrong.put = put;
	v->ops = &wrong.ops;
}

/*
 * The hive before shares the pages that no edit touched with the edited one, so that only the file
 * can tell when one of them changed. Every page of it once.
 */
static void untouched_pages(void **state)
{
	unsigned untouched = 0, edited = 0;

	(void)state;
	for (size_t at = 1000, n = SIZE_MAX; at < n; at += 4096) {
		struct ibb_applied a = {0};
		struct ibb_error err = {0};
		struct fx x;

		planned(&x, "server2022");
		n = x.f->hives[IBB_HIVE_SYSTEM].size_bytes;
		between(x.v, WINTREE_CONFIG "/SYSTEM", at, true, false);
		assert_true(ibb_apply(x.plan, x.f, x.v, &a, &err) != IBB_OK);
		assert_false(wrong.read);
		if (err.code == IBB_E_INTERNAL) {
			char text[100];

			snprintf(text, sizeof(text),
				 "the page at 0x%zx changed, though no edit touched it",
				 at / 4096 * 4096);
			assert_non_null(strstr(err.msg, text));
			untouched++;
		} else {
			assert_int_equal(err.code, IBB_E_CONFLICT);
			assert_non_null(strstr(err.msg, "/SYSTEM changed while the plan was made"));
			edited++;
		}
		fx_close(&x);
	}
	assert_true(untouched > 0);
	assert_true(edited > 1);
}

static void stored_wrong(void **state)
{
	static const char *const path[] = {WINTREE_CONFIG "/SYSTEM", WINTREE_CONFIG "/DRIVERS",
					   WINTREE_CONFIG "/SYSTEM.LOG1", "Windows/INF/oem0.inf"};

	(void)state;
	for (size_t i = 0; i < IBB_ARRAY_SIZE(path); i++) {
		struct ibb_applied a = {0};
		struct ibb_error err = {0};
		char text[200];
		struct fx x;

		planned(&x, "server2022");
		between(x.v, path[i], 5000 >> (i > 2 ? 8 : 0), false, true);
		snprintf(text, sizeof(text), "%s reads back different from what was written",
			 path[i]);
		assert_fails(ibb_apply(x.plan, x.f, x.v, &a, &err), IBB_E_IO, err, text);
		fx_close(&x);
	}
}

/* A hash that no look-up of this edit needs: the fault is the image's, not one of ours. */
static void damaged_before(void **state)
{
	struct ibb_applied a = {0};
	struct ibb_error err = {0};
	struct ibb_buf b = {0};
	struct ibb_hive *h;
	uint32_t hash = 0;
	uint8_t bytes[4], *p;
	struct fx x;

	(void)state;
	planned(&x, "server2022");
	h = wintree_hive(&x.t, "SYSTEM");
	wintree_key(h, "Elsewhere\\ibb");
	wintree_save(&x.t, "SYSTEM", h);
	for (const char *c = "IBB"; *c; c++)
		hash = hash * 37 + (uint32_t)*c;
	ibb_put_le32(bytes, hash);
	wintree_read(&x.t, WINTREE_CONFIG "/SYSTEM", &b);
	p = memmem(b.data, b.len, bytes, 4);
	assert_non_null(p);
	*p ^= 1;
	wintree_put(&x.t, WINTREE_CONFIG "/SYSTEM", b.data, b.len);
	ibb_buf_clear(&b);
	fx_facts(&x);
	fx_plan(&x);
	assert_fails(ibb_apply(x.plan, x.f, x.v, &a, &err), IBB_E_CORRUPT, err,
		     "hash of subkey list entry 0 is wrong");
	assert_non_null(strstr(err.msg, "hive " WINTREE_CONFIG "/SYSTEM"));
	fx_close(&x);
}

/* ---- read back ---- */

static void read_back(void **state)
{
	struct ibb_applied a = {0};
	struct ibb_error err = {0};
	struct ibb_buf b = {0};
	struct fx x;

	(void)state;
	planned(&x, "server2022");
	assert_ok(ibb_apply(x.plan, x.f, x.v, &a, &err), err);
	assert_ok(ibb_volume_commit(x.v, &err), err);
	ibb_volume_close(x.v);
	x.v = wintree_open(&x.t);
	assert_ok(ibb_apply_read_back(&a, x.v, &err), err);
	wintree_read(&x.t, "Windows/INF/oem0.inf", &b);
	b.data[b.len - 1] ^= 1;
	wintree_put(&x.t, "Windows/INF/oem0.inf", b.data, b.len);
	assert_fails(ibb_apply_read_back(&a, x.v, &err), IBB_E_IO, err,
		     "read-back: Windows/INF/oem0.inf is not what was written");
	b.data[b.len - 1] ^= 1; /* longer by one byte */
	assert_int_equal(ibb_buf_append(&b, "", 1), 0);
	wintree_put(&x.t, "Windows/INF/oem0.inf", b.data, b.len);
	assert_true(ibb_apply_read_back(&a, x.v, &err) != IBB_OK);
	wintree_remove(&x.t, "Windows/INF/oem0.inf");
	assert_fails(ibb_apply_read_back(&a, x.v, &err), IBB_E_IO, err, "read-back: ");
	ibb_buf_clear(&b);
	ibb_applied_clear(&a);
	fx_close(&x);
}

/* ---- faults ---- */

static void out_of_memory(void **state)
{
	static const char *const ids[] = {IB_FULL};
	struct winhives_spec s = wintree_spec("server2022");
	struct mkpkg_opts o = {.ids = ids, .n_ids = 1};
	char before[65], after[65];
	long n, asked, lenient = 0;
	struct fx x;

	(void)state;
	fx_open(&x, &s, &o);
	wintree_text(&x.t, WINTREE_CONFIG "/SYSTEM.LOG1", "log");
	wintree_digest(&x.t, before);
	for (n = 0;; n++) {
		struct ibb_applied a = {0};
		struct ibb_error err = {0};
		int r;

		fx_facts(&x); /* the hives were edited */
		fx_plan(&x);
		ibb_mem_fail_at(n, false);
		r = ibb_apply(x.plan, x.f, x.v, &a, &err);
		asked = ibb_mem_count();
		ibb_mem_fail_at(-1, false);
		if (asked <= n) {
			assert_ok(r, err);
			ibb_applied_clear(&a);
			break;
		}
		/* names in hive headers are for messages only and done without */
		if (!r) {
			ibb_applied_clear(&a);
			lenient++;
		} else if (r != IBB_E_NOMEM || a.files) {
			fail_msg("allocation %ld failed: %d %s", n, r, err.msg);
		}
	}
	assert_true(n > 100);
	assert_true(lenient <= 8); /* two hives, each opened before and after the edit */
	wintree_digest(&x.t, after);
	assert_string_equal(before, after);
	fx_close(&x);
}

/* One NTFS volume in a file, and a package. */
struct ntfs {
	struct ibb_disk *file;
	struct ibb_package *p;
};

static void make_volume(struct ntfs *x)
{
	struct mkimage m = {.size = 24u << 20,
			    .sector = 512,
			    .table = MKIMAGE_NONE,
			    .seed = 1,
			    .unix_time = WINTREE_TIME,
			    .windows = {.seed = 1, .hives = wintree_spec("server2022")}};
	struct mkimage_layout layout;
	struct mkpkg_opts o = {0};
	struct ibb_error err = {0};
	struct ibb_file_id id;
	char path[600];
	int r;

	snprintf(path, sizeof(path), "%s/volume.raw", test_dir());
	unlink(path);
	r = mkimage(path, &m, &layout, &err);
	if (r == IBB_E_NOTFOUND) {
		print_message("SKIPPED: %s\n", err.msg);
		skip();
	}
	assert_ok(r, err);
	assert_ok(ibb_disk_file_open(path, &id, &x->file, &err), err);
	x->p = pkgtest_make(&o, &server_2022);
}

/* Everything from the disk to the read-back; the volume's disk is `d`. */
static int stage(struct ntfs *x, struct ibb_disk *d, struct ibb_error *err)
{
	IBB_AUTO(ibb_volume_close) struct ibb_volume *v = NULL;
	IBB_AUTO(ibb_facts_free) struct ibb_facts *f = NULL;
	IBB_AUTO(ibb_plan_free) struct ibb_plan *plan = NULL;
	const char *name = x->p->inf_name;
	struct ibb_applied a = {0};
	int r = ibb_volume_open_ntfs(d, true, &v, err);

	if (!r)
		r = ibb_facts_read(v, false, &f, err);
	if (!r)
		r = ibb_facts_check(f, false, err);
	if (!r)
		r = ibb_facts_read_store(f, v, &name, 1, err);
	if (!r)
		r = ibb_plan_build(f, &x->p, 1, NOW, &plan, err);
	if (!r)
		r = ibb_apply(plan, f, v, &a, err);
	if (!r)
		r = ibb_volume_commit(v, err);
	if (!r) {
		ibb_volume_close(v);
		v = NULL;
		r = ibb_volume_open_ntfs(d, false, &v, err);
	}
	if (!r)
		r = ibb_apply_read_back(&a, v, err);
	ibb_applied_clear(&a);
	return r;
}

static int digest_block(void *ctx, uint64_t off, const uint8_t *data, size_t n,
			struct ibb_error *err)
{
	(void)err;
	return ibb_hasher_update(ctx, &off, sizeof(off)) || ibb_hasher_update(ctx, data, n);
}

static void overlay_digest(struct ibb_disk *overlay, struct ibb_sha256 *ret)
{
	struct ibb_hasher *h = NULL;
	struct ibb_error err = {0};

	assert_int_equal(ibb_hasher_new(&h), 0);
	assert_ok(ibb_disk_overlay_dirty(overlay, digest_block, h, &err), err);
	assert_int_equal(ibb_hasher_final(h, ret), 0);
}

/* The source's reads fail in turn: an error each time, or, where something was read again, exactly
 * the right result. Never success with wrong data. */
static void reads_of_the_source_fail(void **state)
{
	struct ibb_sha256 good, d;
	long total = 0, stride = 1, errors = 0;
	struct ntfs x = {0};

	(void)state;
	make_volume(&x);
	for (long n = -1; n < total; n += n < 0 ? 1 : stride) {
		struct ibb_fault fault = {.fail_at = {n, -1, -1}, .cut_after = -1, .os_errno = EIO};
		struct ibb_disk *faulty = NULL, *overlay = NULL;
		struct ibb_error err = {0};
		int r;

		assert_ok(ibb_disk_fault_new(x.file, &fault, &faulty, &err), err);
		assert_ok(ibb_disk_overlay_new(faulty, 1u << 30, &overlay, &err), err);
		r = stage(&x, overlay, &err);
		if (n < 0) {
			assert_ok(r, err);
			expect_sound(overlay);
			overlay_digest(overlay, &good);
			total = fault.count[IBB_FAULT_READ];
			stride = total / 60 + 1;
		} else if (r) {
			assert_true(*err.msg);
			errors++;
		} else {
			overlay_digest(overlay, &d);
			if (memcmp(&d, &good, sizeof(d)) != 0)
				fail_msg("read %ld of %ld failed: success with wrong data", n,
					 total);
		}
		ibb_disk_unref(overlay);
		ibb_disk_unref(faulty);
	}
	assert_true(total > 50);
	assert_true(errors > 30);
	ibb_disk_unref(x.file);
	ibb_package_free(x.p);
}

/* Writes and flushes into the overlay fail in turn: never success. */
static void writes_fail(void **state)
{
	struct ntfs x = {0};

	(void)state;
	make_volume(&x);
	for (int kind = IBB_FAULT_WRITE; kind <= IBB_FAULT_FLUSH; kind++) {
		long total = 0, stride = 1;

		for (long n = -1; n < total; n += n < 0 ? 1 : stride) {
			struct ibb_fault fault = {
				.fail_at = {-1, -1, -1}, .cut_after = -1, .os_errno = EIO};
			struct ibb_disk *faulty = NULL, *overlay = NULL;
			struct ibb_error err = {0};
			int r;

			fault.fail_at[kind] = n;
			assert_ok(ibb_disk_overlay_new(x.file, 1u << 30, &overlay, &err), err);
			assert_ok(ibb_disk_fault_new(overlay, &fault, &faulty, &err), err);
			r = stage(&x, faulty, &err);
			if (n < 0) {
				assert_ok(r, err);
				total = fault.count[kind];
				stride = total / 40 + 1;
				assert_true(total > 0);
			} else if (!r) {
				fail_msg("operation %ld of kind %d failed: success", n, kind);
			}
			ibb_disk_unref(faulty);
			ibb_disk_unref(overlay);
		}
	}
	ibb_disk_unref(x.file);
	ibb_package_free(x.p);
}

/* An overlay that is too small: an error that says so, at any size. */
static void overlay_is_full(void **state)
{
	struct ntfs x = {0};
	uint64_t need = 0;

	(void)state;
	make_volume(&x);
	for (uint64_t limit = 1u << 30; limit;
	     limit = limit == 1u << 30 ? need - 4096 : limit / 2) {
		struct ibb_disk *overlay = NULL;
		struct ibb_error err = {0};
		int r;

		assert_ok(ibb_disk_overlay_new(x.file, limit, &overlay, &err), err);
		r = stage(&x, overlay, &err);
		if (limit == 1u << 30) {
			assert_ok(r, err);
			need = ibb_disk_overlay_dirty_bytes(overlay);
		} else if (r != IBB_E_LIMIT) {
			fail_msg("limit %llu: %d %s", (unsigned long long)limit, r, err.msg);
		}
		ibb_disk_unref(overlay);
		if (limit < 4096)
			break;
	}
	ibb_disk_unref(x.file);
	ibb_package_free(x.p);
}

/* Whatever memory has no room for goes to a file, in both overlays, and the result is the same. */
static void overlay_spills(void **state)
{
	static const uint64_t limits[] = {1u << 30, 32u << 10, 4096, 0};
	struct ibb_sha256 good, d;
	struct ntfs x = {0};

	(void)state;
	make_volume(&x);
	for (size_t i = 0; i < IBB_ARRAY_SIZE(limits); i++) {
		struct ibb_disk *overlay = NULL;
		struct ibb_error err = {0};
		uint64_t in_memory, in_file;

		assert_ok(ibb_disk_overlay_new(x.file, limits[i], &overlay, &err), err);
		assert_ok(ibb_disk_overlay_spill(overlay, test_dir(), &err), err);
		assert_ok(stage(&x, overlay, &err), err);
		overlay_digest(overlay, i ? &d : &good);
		assert_true(!i || memcmp(&d, &good, sizeof(d)) == 0);
		ibb_disk_overlay_usage(overlay, &in_memory, &in_file);
		assert_true(in_memory <= limits[i]);
		assert_true(i ? in_file >= ibb_disk_overlay_dirty_bytes(overlay) - limits[i]
			      : !in_file);
		ibb_disk_unref(overlay);
	}
	ibb_disk_unref(x.file);
	ibb_package_free(x.p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(everything_planned_is_there),
		cmocka_unit_test(record_of_what_was_written),
		cmocka_unit_test(an_empty_plan_does_nothing),
		cmocka_unit_test(two_runs_are_equal),
		cmocka_unit_test(security_of_keys),
		cmocka_unit_test(preconditions),
		cmocka_unit_test(difference_is_the_plan),
		cmocka_unit_test(apply_proves_itself),
		cmocka_unit_test(untouched_pages),
		cmocka_unit_test(stored_wrong),
		cmocka_unit_test(damaged_before),
		cmocka_unit_test(read_back),
		cmocka_unit_test(out_of_memory),
		cmocka_unit_test(reads_of_the_source_fail),
		cmocka_unit_test(writes_fail),
		cmocka_unit_test(overlay_is_full),
		cmocka_unit_test(overlay_spills),
	};

	return cmocka_run_group_tests(tests, test_dir_setup, test_dir_teardown) ? 1 : 0;
}
