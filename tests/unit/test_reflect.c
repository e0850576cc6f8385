/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Boot-critical packages: what is planned for them in three hives, and how they are taken out. */
#include "plan/plan.h"

#include "disktest.h"
#include "test.h"

#include "plan_fixture.h"
#include "plan_text.h"

#define DEVICE	 "PCI\\VEN_15B3&DEV_101C"
#define CS1	 "ControlSet001\\Services\\"
#define CS2	 "ControlSet002\\Services\\"
#define LOCKDOWN IBB_LOCKDOWN_KEY "\\%SystemRoot%/System32/drivers/ibbdemo.sys"
#define DRIVER	 "Windows/System32/drivers/ibbdemo.sys"

static const char *const one_id[] = {DEVICE};

static struct mkpkg_opts boot_package(const char *version)
{
	return (struct mkpkg_opts){.ids = one_id,
				   .n_ids = 1,
				   .class = MKPKG_SCSI,
				   .boot_start = true,
				   .version = version};
}

/* What every real Windows has, so that a removal can leave the hives as they were. */
static void furnish(struct fx *x)
{
	struct ibb_hive *h = wintree_hive(&x->t, "SYSTEM");

	wintree_key(h, CS1 "EventLog\\System");
	wintree_key(h, CS2 "EventLog\\System");
	wintree_save(&x->t, "SYSTEM", h);
	h = wintree_hive(&x->t, "SOFTWARE");
	wintree_key(h, IBB_LOCKDOWN_KEY);
	wintree_save(&x->t, "SOFTWARE", h);
	wintree_mkdir(&x->t, "Windows/System32/drivers");
	fx_facts(x);
}

static void boot_open(struct fx *x, const char *release)
{
	struct winhives_spec s = wintree_spec(release);
	struct mkpkg_opts o = boot_package(NULL);

	fx_open(x, &s, &o);
	furnish(x);
}

static void take_package(struct fx *x, const struct mkpkg_opts *o)
{
	struct ibb_inf_target t = x->f->target;

	ibb_package_free(x->p);
	x->p = pkgtest_make(o, &t);
	fx_facts(x);
}

/* ---- plans ---- */

static const struct ibb_fact_package *published(const struct fx *x, const char *name)
{
	for (size_t i = 0; i < x->f->n_packages; i++)
		if (x->f->packages[i].published && ibb_caseeq(x->f->packages[i].published, name))
			return &x->f->packages[i];
	fail_msg("%s is not staged", name);
	return NULL;
}

static int change(struct fx *x, bool add, const char *remove, const struct ibb_plan_opts *o,
		  struct ibb_error *err)
{
	struct ibb_removal gone = {0};
	int r = IBB_OK;

	ibb_plan_free(x->plan);
	x->plan = NULL;
	if (remove) {
		gone.package = published(x, remove);
		r = ibb_facts_store_files(gone.package, x->v, &gone.files, err);
		if (!r)
			r = ibb_facts_copied_files(x->f, gone.package, x->v, &gone.copied, err);
	}
	if (!r)
		r = ibb_plan_build_changes(x->f, &x->p, add ? 1 : 0, &gone, remove ? 1 : 0, o,
					   &x->plan, err);
	ibb_removal_clear(&gone);
	return r;
}

static void do_change(struct fx *x, bool add, const char *remove)
{
	struct ibb_plan_opts o = {.unix_time = NOW};
	struct ibb_error err = {0};

	assert_ok(change(x, add, remove, &o, &err), err);
	fx_apply(x);
	fx_facts(x);
}

static void refused(struct fx *x, int code, const char *text)
{
	struct ibb_plan_opts o = {.unix_time = NOW};
	struct ibb_error err = {0};

	assert_fails(change(x, true, NULL, &o, &err), code, err, text);
	assert_null(x->plan);
}

static bool warned(const struct fx *x, const char *text)
{
	for (size_t i = 0; i < x->plan->n_warnings; i++)
		if (strstr(x->plan->warnings[i], text))
			return true;
	return false;
}

static const struct ibb_op *find_file(const struct ibb_plan *p, enum ibb_op_kind kind,
				      const char *path)
{
	for (size_t i = 0; i < p->n_ops; i++)
		if (p->ops[i].kind == kind && p->ops[i].path && ibb_caseeq(p->ops[i].path, path))
			return &p->ops[i];
	return NULL;
}

static void assert_list(const struct fx *x, const char *hive, const char *key, const char *want)
{
	struct ibb_hive *h = wintree_hive(&x->t, hive);
	struct ibb_buf data = {0}, text = {0};
	struct ibb_error err = {0};
	uint32_t type = 0;
	ibb_key k;

	assert_ok(ibb_hive_find(h, ibb_hive_root(h), key, &k, &err), err);
	assert_ok(ibb_hive_get(h, k, "Owners", &type, &data, &err), err);
	assert_int_equal(type, IBB_REG_MULTI_SZ);
	print_text(&text, type, ibb_buf_bytes(&data));
	assert_string_equal(ibb_buf_cstr(&text), want);
	ibb_buf_clear(&data);
	ibb_buf_clear(&text);
	ibb_hive_close(h);
}

static bool has_key(const struct fx *x, const char *hive, const char *key)
{
	struct ibb_hive *h = wintree_hive(&x->t, hive);
	struct ibb_error err = {0};
	ibb_key k;
	int r = ibb_hive_find(h, ibb_hive_root(h), key, &k, &err);

	ibb_hive_close(h);
	if (r != IBB_E_NOTFOUND)
		assert_ok(r, err);
	return !r;
}

static bool driver_is(const struct fx *x, const struct ibb_package *p)
{
	struct ibb_buf have = {0};
	bool same;

	wintree_read(&x->t, DRIVER, &have);
	assert_string_equal(p->files[p->n_files - 1].path, "ibbdemo.sys");
	same = have.len == p->files[p->n_files - 1].bytes.len &&
	       memcmp(have.data, p->files[p->n_files - 1].bytes.data, have.len) == 0;
	ibb_buf_clear(&have);
	return same;
}

/* ---- the whole plan ---- */

static void golden_plans(void **state)
{
	static const char *const releases[] = {"win8.1", "server2019", "win10-19041", "server2022"};

	(void)state;
	for (size_t i = 0; i < IBB_ARRAY_SIZE(releases); i++) {
		struct ibb_buf out = {0};
		char name[64];
		struct fx x;

		boot_open(&x, releases[i]);
		wintree_text(&x.t, WINTREE_CONFIG "/SOFTWARE.LOG1", "x");
		fx_facts(&x);
		assert_int_equal(x.f->n_control_sets, 2);
		fx_plan(&x);
		assert_true(x.plan->packages[0].reflect.done);
		for (size_t k = 0; k < x.plan->n_ops; k++)
			print_op(&out, &x.plan->ops[k]);
		assert_non_null(ibb_buf_cstr(&out));
		mask_digits((char *)out.data);
		snprintf(name, sizeof(name), "reflect-%s.txt", releases[i]);
		assert_golden(name, (char *)out.data);
		ibb_buf_clear(&out);
		fx_close(&x);
	}
}

/* ---- the rule ---- */

static void which_rule_decides(void **state)
{
	static const struct {
		enum mkpkg_class class;
		bool boot_start, never, done;
		const char *rule;
	} t[] = {
		{MKPKG_NET, true, false, false, "the class is not boot-critical in the image"},
		{MKPKG_SCSI, false, false, false, "no associated service starts at boot"},
		{MKPKG_SYSTEM, false, true, false, "no associated service starts at boot"},
		{MKPKG_SCSI, true, true, false, "configuring it was ruled out"},
		{MKPKG_SCSI, true, false, true,
		 "the class is boot-critical and an associated service starts at boot"},
		{MKPKG_SYSTEM, true, false, true,
		 "the class is boot-critical and an associated service starts at boot"},
	};
	struct winhives_spec s = wintree_spec("server2022");

	(void)state;
	for (size_t i = 0; i < IBB_ARRAY_SIZE(t); i++) {
		struct mkpkg_opts o = {.ids = one_id,
				       .n_ids = 1,
				       .class = t[i].class,
				       .boot_start = t[i].boot_start};
		struct ibb_plan_opts how = {.unix_time = NOW, .never_reflect = t[i].never};
		struct ibb_error err = {0};
		struct fx x;

		fx_open(&x, &s, &o);
		assert_ok(change(&x, true, NULL, &how, &err), err);
		assert_string_equal(x.plan->packages[0].reflect.rule, t[i].rule);
		assert_int_equal(x.plan->packages[0].reflect.done, t[i].done);
		assert_int_equal(find_key(x.plan, IBB_HIVE_SYSTEM, CS1 "ibbdemo") != NULL,
				 t[i].done);
		assert_int_equal(find_key(x.plan, IBB_HIVE_SOFTWARE, LOCKDOWN) != NULL, t[i].done);
		assert_int_equal(find_file(x.plan, IBB_OP_PUT, DRIVER) != NULL, t[i].done);
		assert_int_equal(warned(&x, "is staged and not configured"),
				 t[i].never && t[i].boot_start);
		fx_close(&x);
	}
}

static void already_staged(void **state)
{
	struct ibb_plan_opts never = {.unix_time = NOW, .never_reflect = true};
	struct ibb_error err = {0};
	struct fx x;

	(void)state;
	boot_open(&x, "server2022");
	do_change(&x, true, NULL);
	fx_plan(&x);
	assert_int_equal(x.plan->n_ops, 0);
	assert_false(x.plan->packages[0].reflect.done);
	assert_string_equal(x.plan->packages[0].reflect.rule, "already staged: left as it is");
	assert_int_equal(x.plan->n_warnings, 0);
	fx_close(&x);

	boot_open(&x, "server2022");
	assert_ok(change(&x, true, NULL, &never, &err), err);
	fx_apply(&x);
	fx_facts(&x);
	fx_plan(&x);
	assert_int_equal(x.plan->n_ops, 0);
	assert_true(warned(&x, "ibbdemo.inf is already staged as oem0.inf, but not configured"));
	fx_close(&x);
}

/* Never half: where Windows' own records are not known, the whole package is refused. */
static void unsettled_windows(void **state)
{
	static const char *const releases[] = {"win11-22631", "server2025"};

	(void)state;
	for (size_t i = 0; i < IBB_ARRAY_SIZE(releases); i++) {
		struct ibb_plan_opts o = {.unix_time = NOW};
		struct ibb_error err = {0};
		struct fx x;

		boot_open(&x, releases[i]);
		assert_fails(change(&x, true, NULL, &o, &err), IBB_E_UNSUPPORTED, err,
			     "ibbdemo.inf: class SCSIAdapter is boot-critical and its service "
			     "starts at boot, but it cannot be configured offline: ");
		assert_non_null(strstr(err.msg, "PnpResources"));
		assert_non_null(strstr(err.hint, "--reflect=never"));
		o.never_reflect = true;
		assert_ok(change(&x, true, NULL, &o, &err), err);
		assert_true(warned(&x, "is staged and not configured"));
		assert_null(find_key(x.plan, IBB_HIVE_SYSTEM, CS1 "ibbdemo"));
		fx_apply(&x);
		fx_close(&x);
	}
}

/* ---- included INFs ---- */

struct included {
	struct ibb_inf *inf;
	int code;
	unsigned asked;
};

static int get_included(void *ctx, const char *name, struct ibb_inf **ret, struct ibb_error *err)
{
	struct included *i = ctx;

	i->asked++;
	assert_string_equal(name, "pci.inf");
	if (i->code)
		return ibb_err(err, i->code, "%s: not there", name);
	*ret = i->inf;
	return IBB_OK;
}

static void included_infs(void **state)
{
	static const char text[] = "[Version]\nSignature=\"$Windows NT$\"\n"
				   "[PciIoSpaceNotRequired.HW]\n";
	struct winhives_spec s = wintree_spec("server2022");
	struct mkpkg_opts o = {.ids = one_id, .n_ids = 1, .class = MKPKG_SCSI};
	struct included inc = {.code = IBB_E_NOTFOUND};
	struct ibb_plan_opts how = {.unix_time = NOW, .included = {get_included, &inc}};
	struct ibb_error err = {0};
	struct fx x;

	(void)state;
	fx_open(&x, &s, &o);
	x.p->boot_start_service = true; /* its service is on demand; the rule looks at this */
	assert_fails(change(&x, true, NULL, &how, &err), IBB_E_UNSUPPORTED, err, "pci.inf");
	inc.code = IBB_E_CORRUPT;
	assert_fails(change(&x, true, NULL, &how, &err), IBB_E_CORRUPT, err, "pci.inf: not there");
	inc.code = IBB_OK;
	assert_ok(ibb_inf_parse("pci.inf",
				(struct ibb_bytes){(const uint8_t *)text, sizeof(text) - 1},
				&inc.inf, &err),
		  err);
	inc.asked = 0;
	assert_ok(change(&x, true, NULL, &how, &err), err);
	assert_true(inc.asked > 0);
	ibb_inf_free(inc.inf);
	fx_close(&x);
}

/* ---- whose is it? ---- */

static void owner(struct ibb_hive *h, const char *key, const char *name)
{
	struct ibb_buf u = {0};

	assert_int_equal(ibb_utf16le_append(&u, name), 0);
	assert_int_equal(ibb_buf_append_zero(&u, 4), 0);
	wintree_set(h, key, "Owners", IBB_REG_MULTI_SZ, u.data, u.len);
	ibb_buf_clear(&u);
}

static void what_others_own(void **state)
{
	static const struct {
		const char *hive, *key, *owner; /* NULL: no Owners value */
		const char *text;		/* NULL: goes on */
	} t[] = {
		{"SYSTEM", CS1 "ibbdemo", NULL, "the service ibbdemo is in the image and names no"},
		{"SYSTEM", CS2 "IBBDEMO", NULL, "the service ibbdemo is in the image and names no"},
		{"SYSTEM", CS2 "ibbdemo", "pci.inf",
		 "the service ibbdemo belongs to pci.inf, which came with Windows"},
		{"SYSTEM", CS1 "ibbdemo", "oem0.inf",
		 "the service ibbdemo belongs to another package, oem0.inf (other.inf)"},
		{"SYSTEM", CS1 "ibbdemo", "oem7.inf", NULL}, /* no such package any more */
		{"SOFTWARE", LOCKDOWN, NULL, "the file " DRIVER " is in the image and names no"},
		{"SOFTWARE", LOCKDOWN, "oem0.inf", "belongs to another package, oem0.inf"},
		{"SOFTWARE", LOCKDOWN, "oem7.inf", NULL},
	};
	struct mkpkg_opts other = {
		.inf_name = "other.inf", .service = "other", .class = MKPKG_SYSTEM};
	struct mkpkg_opts ours = boot_package(NULL);

	(void)state;
	for (size_t i = 0; i < IBB_ARRAY_SIZE(t); i++) {
		struct ibb_hive *h;
		struct fx x;

		boot_open(&x, "server2022");
		take_package(&x, &other);
		do_change(&x, true, NULL);
		h = wintree_hive(&x.t, t[i].hive);
		wintree_key(h, t[i].key);
		if (t[i].owner)
			owner(h, t[i].key, t[i].owner);
		wintree_save(&x.t, t[i].hive, h);
		wintree_text(&x.t, DRIVER, "older");
		take_package(&x, &ours);
		if (t[i].text) {
			refused(&x, IBB_E_UNSUPPORTED, t[i].text);
		} else {
			fx_plan(&x);
			assert_true(find_file(x.plan, IBB_OP_PUT, DRIVER)->may_replace);
			fx_apply(&x);
			assert_true(driver_is(&x, x.p));
			assert_list(&x, t[i].hive, t[i].key, "\"oem7.inf\", \"oem1.inf\"");
		}
		fx_close(&x);
	}
}

/* A file that nobody answers for is not replaced. */
static void a_file_in_the_way(void **state)
{
	struct ibb_applied a = {0};
	struct ibb_error err = {0};
	struct fx x;

	(void)state;
	boot_open(&x, "server2022");
	wintree_text(&x.t, DRIVER, "somebody's");
	fx_plan(&x);
	assert_false(find_file(x.plan, IBB_OP_PUT, DRIVER)->may_replace);
	assert_fails(ibb_apply(x.plan, x.f, x.v, &a, &err), IBB_E_CONFLICT, err,
		     DRIVER " exists already in the image");
	fx_close(&x);
}

static void two_packages_with_one_service(void **state)
{
	struct mkpkg_opts second = boot_package("2.0.0.0");
	struct ibb_package *both[2];
	struct ibb_plan *plan = NULL;
	struct ibb_error err = {0};
	struct fx x;

	(void)state;
	boot_open(&x, "server2022");
	both[0] = x.p;
	both[1] = pkgtest_make(&second, &server_2022);
	assert_fails(ibb_plan_build(x.f, both, 2, NOW, &plan, &err), IBB_E_CONFLICT, err,
		     "and another package of this run both set value");
	assert_string_equal(err.hint, "add them one after the other");
	ibb_package_free(both[1]);
	fx_close(&x);
}

/* A value that is there already: set over it, left alone, or added to, as the INF asks. */
static void values_that_are_there(void **state)
{
	struct ibb_hive *h;
	const struct ibb_op *op;
	struct fx x;

	(void)state;
	boot_open(&x, "server2022");
	h = wintree_hive(&x.t, "SYSTEM");
	owner(h, CS1 "ibbdemo", "oem7.inf");
	wintree_set_dword(h, CS1 "ibbdemo", "Start", 3);
	wintree_set_dword(h, CS1 "ibbdemo", "Type", 1);
	wintree_set_dword(h, CS1 "ibbdemo", "Tag", 5);
	wintree_save(&x.t, "SYSTEM", h);
	fx_facts(&x);
	fx_plan(&x);
	op = find_value(x.plan, IBB_HIVE_SYSTEM, CS1 "ibbdemo", "Start");
	assert_true(op->had_before);
	assert_int_equal(op->before.data[0], 3);
	assert_int_equal(op->data.data[0], 0);
	assert_null(find_value(x.plan, IBB_HIVE_SYSTEM, CS1 "ibbdemo", "Type"));
	assert_null(find_value(x.plan, IBB_HIVE_SYSTEM, CS1 "ibbdemo", "Tag"));
	assert_null(find_key(x.plan, IBB_HIVE_SYSTEM, CS1 "ibbdemo"));
	assert_non_null(find_key(x.plan, IBB_HIVE_SYSTEM, CS2 "ibbdemo"));
	op = find_value(x.plan, IBB_HIVE_SYSTEM, CS2 "ibbdemo", "Start");
	assert_false(op->had_before);
	fx_close(&x);
}

/* ---- security of new keys ---- */

static void keys_take_their_parents_security(void **state)
{
	static const char *const pairs[][3] = {
		{"SYSTEM", CS1 "ibbdemo", "ControlSet001\\Services"},
		{"SYSTEM", CS2 "EventLog\\System\\ibbdemo", CS2 "EventLog\\System"},
		{"SOFTWARE", LOCKDOWN, IBB_LOCKDOWN_KEY},
	};
	static const uint8_t sid_system[] = {1, 1, 0, 0, 0, 0, 0, 5, 18, 0, 0, 0};
	struct ibb_error err = {0};
	struct ibb_key_info info;
	uint32_t cell;
	struct ibb_hive *h;
	ibb_key k;
	struct fx x;

	(void)state;
	boot_open(&x, "server2022");
	do_change(&x, true, NULL);
	for (size_t i = 0; i < IBB_ARRAY_SIZE(pairs); i++) {
		h = wintree_hive(&x.t, pairs[i][0]);
		assert_ok(ibb_hive_find(h, ibb_hive_root(h), pairs[i][1], &k, &err), err);
		assert_ok(ibb_hive_key_info(h, k, &info, &err), err);
		cell = info.security_cell;
		assert_ok(ibb_hive_find(h, ibb_hive_root(h), pairs[i][2], &k, &err), err);
		assert_ok(ibb_hive_key_info(h, k, &info, &err), err);
		assert_int_equal(info.security_cell, cell);
		ibb_hive_close(h);
	}
	assert_false(x.plan->security[IBB_HIVE_SOFTWARE].needed);
	h = wintree_hive(&x.t, "SYSTEM");
	for (size_t i = 0; i < x.plan->n_ops; i++) {
		const struct ibb_op *op = &x.plan->ops[i];
		struct ibb_bytes sd;

		if (op->kind != IBB_OP_KEY || op->hive != IBB_HIVE_SYSTEM)
			continue;
		assert_int_equal(op->like_parent, strncmp(op->key, DB, strlen(DB)) != 0);
		if (op->like_parent)
			continue;
		assert_ok(ibb_hive_find(h, ibb_hive_root(h), op->key, &k, &err), err);
		assert_ok(ibb_hive_get_security(h, k, &sd, &err), err);
		assert_memory_equal(sd.data + ibb_get_le32(sd.data + 4), sid_system,
				    sizeof(sid_system));
	}
	ibb_hive_close(h);
	fx_close(&x);
}

/* ---- and out again ---- */

static int only_update_date(void *ctx, const struct ibb_hive_diff *d, struct ibb_error *err)
{
	(void)ctx;
	if (d->kind == IBB_DIFF_VALUE_CHANGED && strcmp(d->value, "UpdateDate") == 0)
		return IBB_OK;
	return ibb_err(err, IBB_E_DIFFERS, "%s %s", d->path, d->value ? d->value : "");
}

static void in_and_out(void **state)
{
	static const char *const releases[] = {"win8.1", "server2019", "win10-19041", "server2022"};
	static const char *const hives[] = {"SYSTEM", "SOFTWARE", "DRIVERS"};

	(void)state;
	for (size_t i = 0; i < IBB_ARRAY_SIZE(releases); i++) {
		struct ibb_hive *before[3], *after;
		struct ibb_error err = {0};
		struct fx x;

		boot_open(&x, releases[i]);
		for (size_t k = 0; k < 3; k++)
			before[k] = wintree_hive(&x.t, hives[k]);
		do_change(&x, true, NULL);
		assert_true(driver_is(&x, x.p));
		assert_list(&x, "SYSTEM", CS1 "ibbdemo", "\"oem0.inf\"");
		assert_list(&x, "SYSTEM", CS2 "ibbdemo", "\"oem0.inf\"");
		assert_list(&x, "SOFTWARE", LOCKDOWN, "\"oem0.inf\"");
		do_change(&x, false, "oem0.inf");
		assert_int_equal(x.plan->n_warnings, 0);
		assert_false(wintree_has(&x.t, DRIVER));
		for (size_t k = 0; k < 3; k++) {
			after = wintree_hive(&x.t, hives[k]);
			assert_ok(ibb_hive_compare(before[k], after, only_update_date, NULL, &err),
				  err);
			ibb_hive_close(after);
			ibb_hive_close(before[k]);
		}
		fx_close(&x);
	}
}

/* The newer version beside the older: both own the service and the file. */
static void beside(void **state)
{
	struct mkpkg_opts newer = boot_package("2.0.0.0"), older = boot_package("0.9.0.0");
	struct ibb_hive *h;
	char name[128];
	struct fx x;

	(void)state;
	boot_open(&x, "server2022");
	do_change(&x, true, NULL);
	take_package(&x, &older);
	refused(&x, IBB_E_UNSUPPORTED, "belongs to oem0.inf, a newer version of ibbdemo.inf");
	take_package(&x, &newer);
	do_change(&x, true, NULL);
	assert_true(driver_is(&x, x.p));
	assert_list(&x, "SYSTEM", CS2 "ibbdemo", "\"oem0.inf\", \"oem1.inf\"");
	assert_list(&x, "SOFTWARE", LOCKDOWN, "\"oem0.inf\", \"oem1.inf\"");
	do_change(&x, false, "oem1.inf");
	assert_true(driver_is(&x, x.p)); /* the other's claim keeps it */
	assert_true(warned(&x, "the service ibbdemo belongs to oem0.inf as well"));
	assert_true(warned(&x, "ibbdemo.sys belongs to oem0.inf as well"));
	assert_list(&x, "SYSTEM", CS1 "ibbdemo", "\"oem0.inf\"");
	assert_list(&x, "SOFTWARE", LOCKDOWN, "\"oem0.inf\"");
	/* the other form of an owner's name */
	h = wintree_hive(&x.t, "SYSTEM");
	snprintf(name, sizeof(name), "!%s", published(&x, "oem0.inf")->name);
	owner(h, CS1 "ibbdemo", name);
	wintree_save(&x.t, "SYSTEM", h);
	h = wintree_hive(&x.t, "SOFTWARE");
	owner(h, LOCKDOWN, name);
	wintree_save(&x.t, "SOFTWARE", h);
	fx_facts(&x);
	do_change(&x, false, "oem0.inf");
	assert_false(wintree_has(&x.t, DRIVER));
	assert_false(has_key(&x, "SYSTEM", CS1 "ibbdemo"));
	assert_false(has_key(&x, "SYSTEM", CS2 "EventLog\\System\\ibbdemo"));
	assert_false(has_key(&x, "SOFTWARE", LOCKDOWN));
	fx_close(&x);
}

/* In one plan: what the newer one sets stays, its owner is the only one. */
static void replaced(void **state)
{
	struct mkpkg_opts newer = boot_package("2.0.0.0");
	struct fx x;

	(void)state;
	boot_open(&x, "server2022");
	do_change(&x, true, NULL);
	take_package(&x, &newer);
	do_change(&x, true, "oem0.inf");
	assert_null(find_file(x.plan, IBB_OP_REMOVE, DRIVER));
	assert_true(driver_is(&x, x.p));
	assert_list(&x, "SYSTEM", CS1 "ibbdemo", "\"oem1.inf\"");
	assert_list(&x, "SYSTEM", CS2 "ibbdemo", "\"oem1.inf\"");
	assert_list(&x, "SOFTWARE", LOCKDOWN, "\"oem1.inf\"");
	assert_true(has_key(&x, "SYSTEM", CS1 "EventLog\\System\\ibbdemo"));
	assert_int_equal(x.plan->n_warnings, 0);
	do_change(&x, false, "oem1.inf");
	assert_false(wintree_has(&x.t, DRIVER));
	assert_false(has_key(&x, "SYSTEM", CS1 "ibbdemo"));
	fx_close(&x);
}

static void a_service_without_owners_stays(void **state)
{
	struct fx x;

	(void)state;
	boot_open(&x, "server2022");
	do_change(&x, true, NULL);
	wintree_edit_unset(&x.t, "SYSTEM", CS2 "ibbdemo", "Owners");
	fx_facts(&x);
	do_change(&x, false, "oem0.inf");
	assert_true(warned(&x, "ControlSet002\\Services\\ibbdemo names no owner"));
	assert_int_equal(x.plan->n_warnings, 1);
	assert_false(has_key(&x, "SYSTEM", CS1 "ibbdemo"));
	assert_true(has_key(&x, "SYSTEM", CS2 "ibbdemo"));
	assert_true(has_key(&x, "SYSTEM", CS2 "EventLog\\System\\ibbdemo"));
	fx_close(&x);
}

/* Only files where packages copy to are taken for copies of theirs. */
static void lockdown_names(void **state)
{
	static const char *const t[][2] = {
		{"%SystemRoot%/System32/drivers/x.sys", "Windows/System32/drivers/x.sys"},
		{"%systemroot%\\system32\\x.dll", "Windows/system32/x.dll"},
		{"%SystemRoot%/System32/drivers/sub/x.sys", NULL},
		{"%SystemRoot%/System32/drivers/../x.sys", NULL},
		{"%SystemRoot%/System32/DriverStore/FileRepository/a/x.sys", NULL},
		{"%SystemRoot%/explorer.exe", NULL},
		{"%SystemRoot%", NULL},
		{"%SystemRoot%System32/x.dll", NULL},
		{"C:/Windows/System32/x.dll", NULL},
		{"", NULL},
	};

	(void)state;
	for (size_t i = 0; i < IBB_ARRAY_SIZE(t); i++) {
		struct ibb_error err = {0};
		char *path = NULL;
		int r = ibb_facts_lockdown_path(t[i][0], &path, &err);

		assert_int_equal(r, t[i][1] ? IBB_OK : IBB_E_NOTFOUND);
		if (t[i][1])
			assert_string_equal(path, t[i][1]);
		free(path);
	}
}

/* ---- a real package in a real hive ---- */

#define VMCI_SYS "Windows/System32/drivers/vmci.sys"

/* The independent check of the hives, where it is at hand: what it prints. */
static bool check_staged(const struct fx *x, char *out, size_t size)
{
	const char *script = test_data("../oracles/check_staged.py");
	char cmd[2048];
	size_t n;
	FILE *f;

	if (!script || system("/usr/bin/python3 -c 'import hivex' 2>/dev/null") != 0)
		return false;
	snprintf(cmd, sizeof(cmd),
		 "/usr/bin/python3 -B '%s' '%s/" WINTREE_CONFIG "/SYSTEM' '%s/" WINTREE_CONFIG
		 "/DRIVERS' - --expect vmci.inf",
		 script, x->t.dir, x->t.dir);
	f = popen(cmd, "r");
	assert_non_null(f);
	n = fread(out, 1, size - 1, f);
	out[n] = '\0';
	pclose(f);
	return true;
}

/* Of a service that another version owns as well, the text stays that of the last one. */
static int all_but_service_text(void *ctx, const struct ibb_hive_diff *d, struct ibb_error *err)
{
	if (d->kind == IBB_DIFF_VALUE_CHANGED && strcmp(d->path, CS1 "vmci") == 0 &&
	    strcmp(d->value, "DisplayName") == 0)
		return IBB_OK;
	return only_update_date(ctx, d, err);
}

/* 9.8.16 is staged, configured and in use in that hive, as oem2.inf. */
static bool vmci_open(struct fx *x)
{
	struct ibb_inf_target t = client_22h2;
	const char *path = test_data("hives/win10-19041/SYSTEM");
	struct ibb_buf hive = {0};
	struct ibb_error err = {0};
	struct ibb_hive *h;

	*x = (struct fx){0};
	t.build = 19041;
	x->p = path ? pkgtest_real("vmci-9.8.18", "vmci.inf", &t) : NULL;
	if (!x->p)
		return false;
	assert_ok(ibb_read_file(path, 1u << 30, &hive, &err), err);
	wintree_plain(&x->t, test_dir(), "win10-19041");
	wintree_put(&x->t, WINTREE_CONFIG "/SYSTEM", hive.data, hive.len);
	ibb_buf_clear(&hive);
	h = wintree_hive(&x->t, "SOFTWARE");
	wintree_key(h, IBB_LOCKDOWN_KEY);
	wintree_save(&x->t, "SOFTWARE", h);
	wintree_text(&x->t, VMCI_SYS, "9.8.16");
	fx_facts(x);
	return true;
}

static void real_vmci_beside(void **state)
{
	char first[4096], then[4096], published_as[16];
	struct ibb_error err = {0};
	struct ibb_hive *old, *new;
	size_t n = 0;
	struct fx x;
	bool asked;

	(void)state;
	if (!vmci_open(&x)) {
		print_message("SKIPPED: no vmci package or no real hive\n");
		skip();
	}
	old = wintree_hive(&x.t, "SYSTEM");
	asked = check_staged(&x, first, sizeof(first));
	fx_plan(&x);
	assert_true(x.plan->packages[0].reflect.done);
	/* 9.8.16 made the service: what it says stays but for its text and its owners */
	for (size_t i = 0; i < x.plan->n_ops; i++) {
		const struct ibb_op *op = &x.plan->ops[i];

		if (!op->key || strncmp(op->key, CS1, strlen(CS1)) != 0)
			continue;
		assert_int_equal(op->kind, IBB_OP_VALUE);
		assert_string_equal(op->key, CS1 "vmci");
		assert_true(op->had_before);
		assert_string_equal(op->value, n ? "Owners" : "DisplayName");
		n++;
	}
	assert_int_equal(n, 2);
	assert_true(find_file(x.plan, IBB_OP_PUT, VMCI_SYS)->may_replace);
	snprintf(published_as, sizeof(published_as), "%s", x.plan->packages[0].published);
	fx_apply(&x);
	fx_facts(&x);
	assert_list(&x, "SYSTEM", CS1 "vmci", "\"oem2.inf\", \"oem9.inf\"");
	if (asked) {
		assert_string_equal(first, "5 OEM packages, 0 rules broken\n");
		assert_true(check_staged(&x, then, sizeof(then)));
		assert_string_equal(then, "6 OEM packages, 0 rules broken\n");
	}
	do_change(&x, false, published_as);
	new = wintree_hive(&x.t, "SYSTEM");
	assert_ok(ibb_hive_compare(old, new, all_but_service_text, NULL, &err), err);
	assert_list(&x, "SYSTEM", CS1 "vmci", "\"oem2.inf\"");
	assert_true(warned(&x, "the service vmci belongs to oem2.inf as well"));
	ibb_hive_close(old);
	ibb_hive_close(new);
	fx_close(&x);
}

/* --replace --force: the old one goes in the same plan, and so does what only it left. */
static void real_vmci_replaced(void **state)
{
	struct fx x;

	(void)state;
	if (!vmci_open(&x)) {
		print_message("SKIPPED: no vmci package or no real hive\n");
		skip();
	}
	assert_true(published(&x, "oem2.inf")->in_use);
	do_change(&x, true, "oem2.inf");
	assert_list(&x, "SYSTEM", CS1 "vmci", "\"oem9.inf\"");
	assert_true(has_key(&x, "SYSTEM", CS1 "EventLog\\System\\vmci"));
	assert_true(wintree_has(&x.t, VMCI_SYS));
	for (size_t i = 0; i < x.f->n_packages; i++)
		assert_string_not_equal(x.f->packages[i].published, "oem2.inf");
	do_change(&x, false, "oem9.inf");
	assert_false(has_key(&x, "SYSTEM", CS1 "vmci"));
	assert_false(has_key(&x, "SYSTEM", CS1 "EventLog\\System\\vmci"));
	assert_false(wintree_has(&x.t, VMCI_SYS));
	fx_close(&x);
}

/* ---- memory ---- */

static void allocations_fail(void **state)
{
	struct mkpkg_opts newer = boot_package("2.0.0.0");
	struct ibb_plan_opts o = {.unix_time = NOW};
	struct fx x;
	long n, asked;

	(void)state;
	boot_open(&x, "server2022");
	do_change(&x, true, NULL);
	take_package(&x, &newer);
	/* adding the one takes the other out: both directions at once */
	for (n = 0;; n++) {
		struct ibb_error err = {0};
		int r;

		ibb_mem_fail_at(n, false);
		r = change(&x, true, "oem0.inf", &o, &err);
		asked = ibb_mem_count();
		ibb_mem_fail_at(-1, false);
		if (asked <= n) {
			assert_ok(r, err);
			break;
		}
		if (r != IBB_E_NOMEM || x.plan)
			fail_msg("allocation %ld failed: %d %s", n, r, err.msg);
	}
	assert_true(n > 100);
	/* and alone, with nothing that comes instead */
	for (n = 0;; n++) {
		struct ibb_error err = {0};
		int r;

		ibb_mem_fail_at(n, false);
		r = change(&x, false, "oem0.inf", &o, &err);
		asked = ibb_mem_count();
		ibb_mem_fail_at(-1, false);
		if (asked <= n) {
			assert_ok(r, err);
			break;
		}
		if (r != IBB_E_NOMEM || x.plan)
			fail_msg("allocation %ld failed: %d %s", n, r, err.msg);
	}
	assert_true(n > 50);
	fx_close(&x);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(golden_plans),
		cmocka_unit_test(which_rule_decides),
		cmocka_unit_test(already_staged),
		cmocka_unit_test(unsettled_windows),
		cmocka_unit_test(included_infs),
		cmocka_unit_test(what_others_own),
		cmocka_unit_test(a_file_in_the_way),
		cmocka_unit_test(two_packages_with_one_service),
		cmocka_unit_test(values_that_are_there),
		cmocka_unit_test(keys_take_their_parents_security),
		cmocka_unit_test(in_and_out),
		cmocka_unit_test(beside),
		cmocka_unit_test(replaced),
		cmocka_unit_test(a_service_without_owners_stays),
		cmocka_unit_test(lockdown_names),
		cmocka_unit_test(real_vmci_beside),
		cmocka_unit_test(real_vmci_replaced),
		cmocka_unit_test(allocations_fail),
	};

	return cmocka_run_group_tests(tests, test_dir_setup, test_dir_teardown) ? 1 : 0;
}
