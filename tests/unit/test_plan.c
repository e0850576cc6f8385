/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "plan/plan.h"

#include "disktest.h"
#include "test.h"

#include "base/le.h"
#include "base/limits.h"
#include "base/time.h"
#include "base/utf16.h"
#include "mksd.h"
#include "plan/keysec.h"
#include "plan/keyset.h"
#include "plan_fixture.h"
#include "plan_text.h"

static void assert_refused(struct fx *x, int code, const char *text)
{
	struct ibb_plan *plan = NULL;
	struct ibb_error err = {0};

	assert_fails(ibb_plan_build(x->f, &x->p, 1, NOW, &plan, &err), code, err, text);
	assert_null(plan);
}

static size_t count_ops(const struct ibb_plan *p, enum ibb_op_kind kind, int node)
{
	size_t n = 0;

	for (size_t i = 0; i < p->n_ops; i++)
		n += p->ops[i].kind == kind && (node < 0 || (int)p->ops[i].hive == node);
	return n;
}

/* ---- the whole plan as text ---- */

static void golden_plans(void **state)
{
	static const char *const two_ids[] = {IB_FULL, "PCI\\VEN_15B3&DEV_101C&REV_00"};
	static const struct {
		const char *release;
		struct mkpkg_opts o;
	} t[] = {
		{"server2012", {.ids = two_ids, .n_ids = 2}},
		{"win8.1", {.ids = two_ids, .n_ids = 2}},
		{"win10-1607", {.ids = two_ids, .n_ids = 2}},
		{"server2019", {.ids = two_ids, .n_ids = 2, .no_catalog = true}},
		{"win10-19041", {.ids = two_ids, .n_ids = 2, .class = MKPKG_SYSTEM}},
		{"server2022", {.feature_score = "0x80"}},
	};

	(void)state;
	for (size_t i = 0; i < IBB_ARRAY_SIZE(t); i++) {
		struct winhives_spec s = wintree_spec(t[i].release);
		static const unsigned oem[] = {0, 1, 3};
		struct ibb_buf out = {0};
		char name[64];
		struct fx x;

		s.oem = oem;
		s.n_oem = 3;
		fx_open(&x, &s, &t[i].o);
		wintree_text(&x.t, WINTREE_CONFIG "/SYSTEM.LOG1", "x");
		wintree_text(&x.t, WINTREE_CONFIG "/SYSTEM.LOG2", "");
		wintree_text(&x.t, WINTREE_CONFIG "/DRIVERS.LOG2", "x");
		fx_facts(&x);
		fx_plan(&x);
		for (size_t k = 0; k < x.plan->n_ops; k++)
			print_op(&out, &x.plan->ops[k]);
		assert_non_null(ibb_buf_cstr(&out));
		mask_digits((char *)out.data);
		snprintf(name, sizeof(name), "plan-%s.txt", t[i].release);
		assert_golden(name, (char *)out.data);
		ibb_buf_clear(&out);
		fx_close(&x);
	}
}

/* The fields of each Windows, apart from the golden text: driver-store facts, not a habit. */
static void fields_per_windows(void **state)
{
	static const struct {
		const char *release;
		bool import_date, catalog, update_date;
		uint32_t status_flags;
	} t[] = {
		{"server2012", false, false, false, 0x12},
		{"win8.1", false, false, false, 0x12},
		{"win10-1607", true, false, false, 0x112},
		{"server2019", true, false, false, 0x112},
		{"win10-19041", true, true, true, 0x112},
		{"server2025", true, true, true, 0x112},
	};

	(void)state;
	for (size_t i = 0; i < IBB_ARRAY_SIZE(t); i++) {
		const struct ibb_op *op;
		char key[256];
		struct fx x;

		fx_plain(&x, t[i].release);
		fx_plan(&x);
		snprintf(key, sizeof(key), DB "\\DriverPackages\\%s", x.plan->packages[0].name);
		op = find_value(x.plan, IBB_HIVE_DRIVERS, key, "ImportDate");
		assert_int_equal(op != NULL, t[i].import_date);
		if (op)
			assert_int_equal(ibb_get_le64(op->data.data), ibb_filetime_from_unix(NOW));
		op = find_value(x.plan, IBB_HIVE_DRIVERS, key, "Catalog");
		assert_int_equal(op != NULL, t[i].catalog);
		op = find_value(x.plan, IBB_HIVE_DRIVERS, key, "StatusFlags");
		assert_int_equal(ibb_get_le32(op->data.data), t[i].status_flags);
		assert_int_equal(x.plan->packages[0].status_flags, t[i].status_flags);
		/* only where the value was before */
		op = find_value(x.plan, IBB_HIVE_DRIVERS, DB, "UpdateDate");
		assert_int_equal(op != NULL, t[i].update_date);
		if (op)
			assert_true(op->had_before);
		/* the SYSTEM node gets nothing but its map */
		assert_int_equal(count_ops(x.plan, IBB_OP_VALUE, IBB_HIVE_SYSTEM), 1);
		assert_int_equal(count_ops(x.plan, IBB_OP_KEY, IBB_HIVE_SYSTEM), 0);
		assert_non_null(find_value(x.plan, IBB_HIVE_SYSTEM, DB, "OemInfMap"));
		/* of unknown rule: never */
		assert_null(find_value(x.plan, IBB_HIVE_DRIVERS, key, "FileSize"));
		assert_null(find_value(x.plan, IBB_HIVE_DRIVERS, key, "ManifestHash"));
		assert_null(find_value(x.plan, IBB_HIVE_DRIVERS, key, "CatalogAttributes"));
		fx_close(&x);
	}
}

static void update_date_by_value_not_by_build(void **state)
{
	struct fx x;

	(void)state;
	fx_plain(&x, "server2022");
	wintree_edit_unset(&x.t, "DRIVERS", DB, "UpdateDate");
	fx_facts(&x);
	fx_plan(&x);
	assert_null(find_value(x.plan, IBB_HIVE_DRIVERS, DB, "UpdateDate"));
	fx_close(&x);
}

/* ---- node ---- */

static void node_by_the_images_class_key(void **state)
{
	struct winhives_spec s = wintree_spec("server2022");
	struct mkpkg_opts net = {0}, system = {.class = MKPKG_SYSTEM};
	struct ibb_hive *h;
	struct fx x;

	(void)state;
	fx_open(&x, &s, &net);
	fx_plan(&x);
	assert_int_equal(x.plan->packages[0].node, IBB_NODE_DRIVERS);
	fx_close(&x);

	fx_open(&x, &s, &system);
	fx_plan(&x);
	assert_int_equal(x.plan->packages[0].node, IBB_NODE_SYSTEM);
	assert_int_equal(count_ops(x.plan, IBB_OP_VALUE, IBB_HIVE_DRIVERS), 0);
	assert_int_equal(count_ops(x.plan, IBB_OP_KEY, IBB_HIVE_DRIVERS), 0);
	assert_non_null(find_value(x.plan, IBB_HIVE_SYSTEM, DB, "UpdateDate"));
	assert_non_null(
		find_value(x.plan, IBB_HIVE_SYSTEM, DB "\\DeviceIds\\" IB_FULL, "oem0.inf"));
	/* a service that starts at boot would have to be configured as well */
	x.p->boot_start_service = true;
	assert_refused(&x, IBB_E_UNSUPPORTED,
		       "class System is boot-critical and its service starts at boot");
	fx_close(&x);

	/* were Net boot-critical in the image, its package would go there */
	fx_open(&x, &s, &net);
	h = wintree_hive(&x.t, "SYSTEM");
	wintree_set(h,
		    "ControlSet001\\Control\\Class\\{4d36e972-e325-11ce-bfc1-08002be10318}\\"
		    "Properties\\{6a3433f4-5626-40e8-a9b9-dbd9ecd2884b}\\0003",
		    "", 0xffff0011, "\xff", 1);
	wintree_save(&x.t, "SYSTEM", h);
	fx_facts(&x);
	fx_plan(&x);
	assert_int_equal(x.plan->packages[0].node, IBB_NODE_SYSTEM);
	fx_close(&x);
}

/* ---- numbers ---- */

static void lowest_free_number(void **state)
{
	static const unsigned map[] = {0, 4};
	struct winhives_spec s = wintree_spec("server2022");
	struct mkpkg_opts one = {0}, two = {.inf_name = "second.inf", .service = "second"};
	struct ibb_package *both[2];
	struct ibb_plan *plan = NULL;
	struct ibb_error err = {0};
	struct ibb_hive *h;
	const struct ibb_op *op;
	struct fx x;

	(void)state;
	s.oem = map;
	s.n_oem = 2;
	fx_open(&x, &s, &one);
	wintree_text(&x.t, "Windows/INF/oem1.PNF", "");
	h = wintree_hive(&x.t, "SYSTEM"); /* the other node counts as well */
	wintree_key(h, DB "\\DriverInfFiles\\oem2.inf");
	wintree_save(&x.t, "SYSTEM", h);
	fx_facts(&x);
	both[0] = x.p;
	both[1] = pkgtest_make(&two, &server_2022);
	assert_ok(ibb_plan_build(x.f, both, 2, NOW, &plan, &err), err);
	assert_string_equal(plan->packages[0].published, "oem3.inf");
	assert_string_equal(plan->packages[1].published, "oem5.inf");
	op = find_value(plan, IBB_HIVE_SYSTEM, DB, "OemInfMap");
	assert_int_equal(op->data.len, 1);
	assert_int_equal(op->data.data[0], 0x80 | 0x10 | 0x08 | 0x04);
	assert_true(op->had_before);
	assert_int_equal(op->before.data[0], 0x88);
	ibb_plan_free(plan);
	ibb_package_free(both[1]);
	fx_close(&x);
}

static void map_grows_or_begins(void **state)
{
	static const unsigned full[] = {0, 1, 2, 3, 4, 5, 6, 7};
	struct winhives_spec s = wintree_spec("server2022");
	struct mkpkg_opts o = {0};
	const struct ibb_op *op;
	struct fx x;

	(void)state;
	s.oem = full;
	s.n_oem = 8;
	fx_open(&x, &s, &o);
	fx_plan(&x);
	assert_string_equal(x.plan->packages[0].published, "oem8.inf");
	op = find_value(x.plan, IBB_HIVE_SYSTEM, DB, "OemInfMap");
	assert_int_equal(op->data.len, 2);
	assert_memory_equal(op->data.data, "\xff\x80", 2);
	fx_close(&x);

	fx_plain(&x, "server2022");
	wintree_edit_unset(&x.t, "SYSTEM", DB, "OemInfMap");
	fx_facts(&x);
	fx_plan(&x);
	op = find_value(x.plan, IBB_HIVE_SYSTEM, DB, "OemInfMap");
	assert_false(op->had_before);
	assert_int_equal(op->type, IBB_REG_BINARY);
	assert_int_equal(op->data.len, 1);
	assert_int_equal(op->data.data[0], 0x80);
	fx_close(&x);
}

static void no_number_is_free(void **state)
{
	struct fx x;

	(void)state;
	fx_plain(&x, "server2022");
	free(x.f->oem_in_use);
	x.f->n_oem_in_use = IBB_LIMIT_OEM_NUMBER + 1;
	x.f->oem_in_use = malloc(x.f->n_oem_in_use);
	assert_non_null(x.f->oem_in_use);
	memset(x.f->oem_in_use, 1, x.f->n_oem_in_use);
	assert_refused(&x, IBB_E_LIMIT, "no oemN.inf number is free");
	x.f->oem_in_use[IBB_LIMIT_OEM_NUMBER] = 0;
	fx_plan(&x);
	assert_string_equal(x.plan->packages[0].published, "oem65535.inf");
	fx_close(&x);
}

/* ---- keys ---- */

static void keys_once_and_parents_first(void **state)
{
	struct fx x;

	(void)state;
	fx_plain(&x, "server2022");
	fx_plan(&x);
	for (size_t i = 0; i < x.plan->n_ops; i++) {
		const struct ibb_op *op = &x.plan->ops[i];
		struct ibb_error err = {0};
		struct ibb_hive *h;
		char parent[512];
		ibb_key k;
		bool made = false;

		if (op->kind != IBB_OP_KEY && op->kind != IBB_OP_VALUE)
			continue;
		h = x.f->hives[op->hive == IBB_HIVE_SYSTEM ? IBB_HIVE_SYSTEM : IBB_HIVE_DRIVERS]
			    .hive;
		snprintf(parent, sizeof(parent), "%s", op->key);
		if (op->kind == IBB_OP_KEY) {
			assert_int_equal(ibb_hive_find(h, ibb_hive_root(h), op->key, &k, &err),
					 IBB_E_NOTFOUND);
			*strrchr(parent, '\\') = '\0';
		}
		for (size_t k2 = 0; k2 < i; k2++) {
			const struct ibb_op *e = &x.plan->ops[k2];

			if (e->kind != IBB_OP_KEY || e->hive != op->hive)
				continue;
			made |= ibb_caseeq(e->key, parent);
			assert_false(op->kind == IBB_OP_KEY && ibb_caseeq(e->key, op->key));
		}
		if (!made)
			assert_ok(ibb_hive_find(h, ibb_hive_root(h), parent, &k, &err), err);
	}
	fx_close(&x);
}

static void spelling_of_existing_keys_is_kept(void **state)
{
#define OTHER_CASE DB "\\deviceids\\pci\\ven_15b3&dev_101c&subsys_000715b3&rev_00"
	struct ibb_hive *h;
	struct fx x;

	(void)state;
	fx_plain(&x, "server2022");
	fx_plan(&x);
	assert_non_null(find_key(x.plan, IBB_HIVE_DRIVERS, OTHER_CASE));
	h = wintree_hive(&x.t, "DRIVERS");
	wintree_key(h, OTHER_CASE);
	wintree_save(&x.t, "DRIVERS", h);
	fx_facts(&x);
	fx_plan(&x);
	assert_null(find_key(x.plan, IBB_HIVE_DRIVERS, OTHER_CASE));
	assert_non_null(find_value(x.plan, IBB_HIVE_DRIVERS, OTHER_CASE, "oem0.inf"));
	fx_apply(&x);
	fx_close(&x);
}

/* A value that is there already with the same content is no operation; another one is replaced. */
static void values_that_are_there(void **state)
{
	const struct ibb_op *op;
	struct ibb_hive *h;
	struct fx x;

	(void)state;
	fx_plain(&x, "server2022");
	h = wintree_hive(&x.t, "DRIVERS");
	wintree_set(h, DB "\\DeviceIds\\" IB_FULL, "OEM0.INF", IBB_REG_BINARY, "\1\xff\0\0", 4);
	wintree_set(h, DB "\\DeviceIds\\PCI\\VEN_15B3&DEV_1018", "oem0.inf", IBB_REG_DWORD,
		    "\1\xff\0\0", 4);
	wintree_save(&x.t, "DRIVERS", h);
	fx_facts(&x);
	fx_plan(&x);
	assert_null(find_value(x.plan, IBB_HIVE_DRIVERS, DB "\\DeviceIds\\" IB_FULL, "oem0.inf"));
	op = find_value(x.plan, IBB_HIVE_DRIVERS, DB "\\DeviceIds\\PCI\\VEN_15B3&DEV_1018",
			"oem0.inf");
	assert_true(op->had_before);
	assert_int_equal(op->before_type, IBB_REG_DWORD);
	assert_int_equal(op->type, IBB_REG_BINARY);
	fx_close(&x);
}

/* ---- security ---- */

static void security_of_new_keys(void **state)
{
	struct ibb_buf want = {0};
	struct ibb_error err = {0};
	struct ibb_hive *h;
	struct fx x;

	(void)state;
	fx_plain(&x, "server2022");
	fx_plan(&x);
	assert_false(x.plan->security[IBB_HIVE_SYSTEM].needed);
	assert_true(x.plan->security[IBB_HIVE_DRIVERS].needed);
	assert_null(x.plan->security[IBB_HIVE_DRIVERS].like);
	/* DriverPackages' own ACEs, owner and group SYSTEM */
	assert_ok(mksd("O:SYG:SYD:(A;CI;KA;;;SY)(A;CI;RC;;;OW)(A;CI;KR;;;WD)", &want, &err), err);
	assert_int_equal(x.plan->security[IBB_HIVE_DRIVERS].sd.len, want.len);
	fx_close(&x);
	ibb_buf_clear(&want);

	/* a key that Windows made for a third-party package is the model */
	fx_plain(&x, "server2022");
	h = wintree_hive(&x.t, "DRIVERS");
	wintree_set_sz(h, DB "\\DriverPackages\\v.inf_amd64_0123456789abcdef", "", "oem4.inf");
	wintree_save(&x.t, "DRIVERS", h);
	fx_facts(&x);
	fx_plan(&x);
	assert_string_equal(x.plan->security[IBB_HIVE_DRIVERS].like,
			    DB "\\DriverPackages\\v.inf_amd64_0123456789abcdef");
	assert_int_equal(x.plan->security[IBB_HIVE_DRIVERS].sd.len, 0);

	/* one that another tool made is not: here everybody may do everything */
	assert_ok(mksd("O:BAG:BAD:(A;CI;KA;;;WD)", &want, &err), err);
	h = wintree_hive(&x.t, "DRIVERS");
	assert_ok(ibb_hive_set_security(
			  h, wintree_key(h, DB "\\DriverPackages\\v.inf_amd64_0123456789abcdef"),
			  ibb_buf_bytes(&want), &err),
		  err);
	wintree_save(&x.t, "DRIVERS", h);
	ibb_plan_free(x.plan);
	x.plan = NULL;
	fx_facts(&x);
	fx_plan(&x);
	assert_null(x.plan->security[IBB_HIVE_DRIVERS].like);
	ibb_buf_clear(&want);
	assert_ok(mksd("O:SYG:SYD:(A;CI;KA;;;SY)(A;CI;RC;;;OW)(A;CI;KR;;;WD)", &want, &err), err);
	assert_int_equal(x.plan->security[IBB_HIVE_DRIVERS].sd.len, want.len);
	fx_close(&x);
	ibb_buf_clear(&want);
}

static void owned_by_system(void **state)
{
	struct ibb_buf in = {0}, out = {0}, want = {0};
	struct ibb_error err = {0};
	uint8_t bad[64] = {1};

	(void)state;
	assert_ok(mksd("O:BAG:BAD:AI(A;CIID;KA;;;SY)(A;CI;KR;;;WD)", &in, &err), err);
	assert_ok(mksd("O:SYG:SYD:AI(A;CIID;KA;;;SY)(A;CI;KR;;;WD)", &want, &err), err);
	assert_ok(ibb_keysec_owned_by_system(ibb_buf_bytes(&in), &out, &err), err);
	/* control, owner, group and DACL, whatever their order in the descriptor */
	assert_int_equal(ibb_get_le16(out.data + 2), ibb_get_le16(want.data + 2));
	assert_int_equal(out.len, want.len);
	for (int field = 4; field <= 8; field += 4)
		assert_memory_equal(out.data + ibb_get_le32(out.data + field),
				    "\1\1\0\0\0\0\0\5\x12\0\0\0", 12);
	assert_memory_equal(out.data + ibb_get_le32(out.data + 16),
			    want.data + ibb_get_le32(want.data + 16),
			    ibb_get_le16(want.data + ibb_get_le32(want.data + 16) + 2));
	assert_int_equal(ibb_get_le32(out.data + 12), 0); /* no SACL */
	ibb_buf_clear(&out);

	assert_fails(ibb_keysec_owned_by_system((struct ibb_bytes){in.data, 19}, &out, &err),
		     IBB_E_CORRUPT, err, "malformed");
	bad[0] = 2;
	assert_fails(ibb_keysec_owned_by_system((struct ibb_bytes){bad, 64}, &out, &err),
		     IBB_E_CORRUPT, err, "malformed");
	bad[0] = 1;
	assert_fails(ibb_keysec_owned_by_system((struct ibb_bytes){bad, 64}, &out, &err),
		     IBB_E_CORRUPT, err, "no DACL");
	ibb_put_le16(bad + 2, 0x8004);
	ibb_put_le32(bad + 16, 60);
	assert_fails(ibb_keysec_owned_by_system((struct ibb_bytes){bad, 64}, &out, &err),
		     IBB_E_CORRUPT, err, "no DACL");
	ibb_put_le32(bad + 16, 0xfffffff8);
	assert_fails(ibb_keysec_owned_by_system((struct ibb_bytes){bad, 64}, &out, &err),
		     IBB_E_CORRUPT, err, "no DACL");
	ibb_put_le32(bad + 16, 20);
	ibb_put_le16(bad + 22, 45);
	assert_fails(ibb_keysec_owned_by_system((struct ibb_bytes){bad, 64}, &out, &err),
		     IBB_E_CORRUPT, err, "DACL leaves it");
	ibb_put_le16(bad + 22, 7);
	assert_fails(ibb_keysec_owned_by_system((struct ibb_bytes){bad, 64}, &out, &err),
		     IBB_E_CORRUPT, err, "DACL leaves it");
	assert_int_equal(out.len, 0);
	ibb_buf_clear(&in);
	ibb_buf_clear(&want);
	ibb_buf_clear(&out);
}

/* ---- what is staged already ---- */

static void identical_package_is_reused(void **state)
{
	struct fx x;

	(void)state;
	fx_plain(&x, "server2022");
	fx_plan(&x);
	fx_apply(&x);
	fx_facts(&x);
	fx_plan(&x);
	assert_int_equal(x.plan->n_ops, 0);
	assert_non_null(x.plan->packages[0].existing);
	assert_string_equal(x.plan->packages[0].published, "oem0.inf");
	assert_string_equal(x.plan->packages[0].node_reason, "already staged there");
	assert_int_equal(x.plan->packages[0].n_device_ids, 16);
	assert_int_equal(x.plan->new_file_bytes, 0);
	/* an index that does not lead to it makes it useless */
	wintree_edit_unset(&x.t, "DRIVERS", DB "\\DeviceIds\\" IB_FULL, "oem0.inf");
	fx_facts(&x);
	assert_refused(&x, IBB_E_CONFLICT,
		       "ibbdemo.inf is staged in the image as oem0.inf, but DeviceIds\\" IB_FULL
		       " does not name it");
	fx_close(&x);
}

static void recorded_but_not_there(void **state)
{
	char path[512];
	struct fx x;

	(void)state;
	fx_plain(&x, "server2022");
	fx_plan(&x);
	fx_apply(&x);
	snprintf(path, sizeof(path), WINTREE_STORE "/%s/ibbdemo.inf", x.plan->packages[0].name);
	wintree_text(&x.t, path, "something else");
	fx_facts(&x);
	assert_refused(&x, IBB_E_CONFLICT, "whose files are missing or different");
	wintree_remove(&x.t, path);
	fx_facts(&x);
	assert_refused(&x, IBB_E_CONFLICT, "the image records a driver package ibbdemo.inf_amd64_");
	fx_close(&x);
}

/* Another version beside it is another package. */
static void older_version_stays(void **state)
{
	struct mkpkg_opts newer = {.version = "2.0.0.0"};
	struct fx x;

	(void)state;
	fx_plain(&x, "server2022");
	fx_plan(&x);
	fx_apply(&x);
	ibb_package_free(x.p);
	x.p = pkgtest_make(&newer, &server_2022);
	fx_facts(&x);
	fx_plan(&x);
	assert_null(x.plan->packages[0].existing);
	assert_string_equal(x.plan->packages[0].published, "oem1.inf");
	assert_non_null(x.plan->security[IBB_HIVE_DRIVERS].like);
	/* its device IDs have their keys already */
	assert_null(find_key(x.plan, IBB_HIVE_DRIVERS, DB "\\DeviceIds\\" IB_FULL));
	fx_close(&x);
}

/* ---- files, logs, space ---- */

static void logs_of_edited_hives(void **state)
{
	struct winhives_spec s = wintree_spec("server2022");
	struct mkpkg_opts net = {0}, system = {.class = MKPKG_SYSTEM};
	struct fx x;

	(void)state;
	for (int i = 0; i < 2; i++) {
		fx_open(&x, &s, i ? &system : &net);
		wintree_text(&x.t, WINTREE_CONFIG "/SYSTEM.LOG1", "x");
		wintree_text(&x.t, WINTREE_CONFIG "/SYSTEM.LOG2", ""); /* nothing to replay */
		wintree_text(&x.t, WINTREE_CONFIG "/DRIVERS.LOG", "x");
		wintree_text(&x.t, WINTREE_CONFIG "/SOFTWARE.LOG1", "x"); /* never edited */
		fx_facts(&x);
		fx_plan(&x);
		/* SYSTEM holds the map, so it is edited in any case */
		assert_int_equal(count_ops(x.plan, IBB_OP_CLEAR_LOG, -1), i ? 1 : 2);
		fx_close(&x);
	}
}

static void unsigned_package(void **state)
{
	struct winhives_spec s = wintree_spec("server2022");
	struct mkpkg_opts o = {.no_catalog = true};
	const struct ibb_op *op;
	char key[256];
	struct fx x;

	(void)state;
	fx_open(&x, &s, &o);
	fx_plan(&x);
	assert_int_equal(count_ops(x.plan, IBB_OP_PUT, -1), 3); /* INF, driver, published INF */
	snprintf(key, sizeof(key), DB "\\DriverPackages\\%s", x.plan->packages[0].name);
	op = find_value(x.plan, IBB_HIVE_DRIVERS, key, "SignerScore");
	assert_int_equal(ibb_get_le32(op->data.data), 0x80000000);
	assert_null(find_value(x.plan, IBB_HIVE_DRIVERS, key, "SignerName"));
	assert_null(find_value(x.plan, IBB_HIVE_DRIVERS, key, "Catalog"));
	fx_close(&x);
}

static void space(void **state)
{
	struct ibb_volume_info info = {.cluster_bytes = 4096};
	struct ibb_plan none = {0};
	struct ibb_error err = {0};
	uint64_t files = 0;
	struct fx x;

	(void)state;
	fx_plain(&x, "server2022");
	fx_plan(&x);
	for (size_t i = 0; i < x.plan->n_ops; i++)
		if (x.plan->ops[i].kind == IBB_OP_PUT)
			files += x.plan->ops[i].file->bytes.len;
	assert_int_equal(x.plan->new_file_bytes, files);
	assert_fails(ibb_plan_check_space(x.plan, &info, &err), IBB_E_UNSUPPORTED, err,
		     "the Windows volume has 0 KiB free, the plan needs about ");
	info.free_bytes = files; /* clusters, records and hives need more than the bytes */
	assert_fails(ibb_plan_check_space(x.plan, &info, &err), IBB_E_UNSUPPORTED, err, "free");
	info.free_bytes = 8u << 20;
	assert_ok(ibb_plan_check_space(x.plan, &info, &err), err);
	info.cluster_bytes = 2u << 20; /* five files of a cluster each and a directory */
	assert_fails(ibb_plan_check_space(x.plan, &info, &err), IBB_E_UNSUPPORTED, err, "free");
	info.free_bytes = 0;
	assert_ok(ibb_plan_check_space(&none, &info, &err), err);
	fx_close(&x);
}

/* ---- purity ---- */

static void nothing_is_touched(void **state)
{
	char before[65], after[65];
	struct ibb_plan *again = NULL;
	struct ibb_error err = {0};
	struct ibb_buf a = {0}, b = {0};
	struct fx x;

	(void)state;
	fx_plain(&x, "server2022");
	wintree_digest(&x.t, before);
	fx_plan(&x);
	wintree_digest(&x.t, after);
	assert_string_equal(before, after);
	for (int i = 0; i < IBB_N_HIVES; i++)
		assert_false(ibb_hive_edited(x.f->hives[i].hive));
	assert_ok(ibb_plan_build(x.f, &x.p, 1, NOW, &again, &err), err);
	for (size_t i = 0; i < x.plan->n_ops; i++)
		print_op(&a, &x.plan->ops[i]);
	for (size_t i = 0; i < again->n_ops; i++)
		print_op(&b, &again->ops[i]);
	assert_string_equal(ibb_buf_cstr(&a), ibb_buf_cstr(&b));
	ibb_buf_clear(&a);
	ibb_buf_clear(&b);
	ibb_plan_free(again);
	fx_close(&x);
}

static void out_of_memory(void **state)
{
	static const char *const ids[] = {IB_FULL};
	struct winhives_spec s = wintree_spec("server2022");
	struct mkpkg_opts o = {.ids = ids, .n_ids = 1};
	long n, asked;
	struct fx x;

	(void)state;
	fx_open(&x, &s, &o);
	for (n = 0;; n++) {
		struct ibb_plan *plan = NULL;
		struct ibb_error err = {0};
		int r;

		ibb_mem_fail_at(n, false);
		r = ibb_plan_build(x.f, &x.p, 1, NOW, &plan, &err);
		asked = ibb_mem_count();
		ibb_mem_fail_at(-1, false);
		if (asked <= n) {
			assert_ok(r, err);
			ibb_plan_free(plan);
			break;
		}
		if (r != IBB_E_NOMEM || plan)
			fail_msg("allocation %ld failed: %d %s", n, r, err.msg);
	}
	assert_true(n > 50);
	fx_close(&x);
}

/* ---- small parts ---- */

static void type_names(void **state)
{
	static const struct {
		uint32_t type;
		const char *name;
	} t[] = {{0, "REG_NONE"},   {1, "REG_SZ"},	 {3, "REG_BINARY"},
		 {4, "REG_DWORD"},  {7, "REG_MULTI_SZ"}, {9, "0x00000009"},
		 {11, "REG_QWORD"}, {12, "0x0000000c"},	 {0xffff0012, "0xffff0012"}};
	char out[24];

	(void)state;
	for (size_t i = 0; i < IBB_ARRAY_SIZE(t); i++) {
		ibb_reg_type_name(t[i].type, out);
		assert_string_equal(out, t[i].name);
	}
}

static void key_set(void **state)
{
	struct ibb_keyset s = {0};
	struct ibb_error err = {0};
	char names[400][16];
	bool had = true;

	(void)state;
	for (int round = 0; round < 2; round++) {
		for (int i = 0; i < 400; i++) {
			snprintf(names[i], sizeof(names[i]), round ? "KEY\\%d" : "Key\\%d", i);
			if (round) /* its own spelling stays borrowed: look up with another */
				continue;
			assert_ok(ibb_keyset_add(&s, names[i], &had, &err), err);
			assert_false(had);
		}
	}
	assert_ok(ibb_keyset_add(&s, "kEy\\399", &had, &err), err);
	assert_true(had);
	/* non-ASCII letters fold as Windows folds them */
	assert_ok(ibb_keyset_add(&s, "\xc3\xa4", &had, &err), err);
	assert_false(had);
	assert_ok(ibb_keyset_add(&s, "\xc3\x84", &had, &err), err);
	assert_true(had);
	ibb_keyset_clear(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(golden_plans),
		cmocka_unit_test(fields_per_windows),
		cmocka_unit_test(update_date_by_value_not_by_build),
		cmocka_unit_test(node_by_the_images_class_key),
		cmocka_unit_test(lowest_free_number),
		cmocka_unit_test(map_grows_or_begins),
		cmocka_unit_test(no_number_is_free),
		cmocka_unit_test(keys_once_and_parents_first),
		cmocka_unit_test(spelling_of_existing_keys_is_kept),
		cmocka_unit_test(values_that_are_there),
		cmocka_unit_test(security_of_new_keys),
		cmocka_unit_test(owned_by_system),
		cmocka_unit_test(identical_package_is_reused),
		cmocka_unit_test(recorded_but_not_there),
		cmocka_unit_test(older_version_stays),
		cmocka_unit_test(logs_of_edited_hives),
		cmocka_unit_test(unsigned_package),
		cmocka_unit_test(space),
		cmocka_unit_test(nothing_is_touched),
		cmocka_unit_test(out_of_memory),
		cmocka_unit_test(type_names),
		cmocka_unit_test(key_set),
	};

	return cmocka_run_group_tests(tests, test_dir_setup, test_dir_teardown) ? 1 : 0;
}
