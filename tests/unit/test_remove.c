/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Packages go in and come out again: what remains is what was there before. */
#include "plan/plan.h"

#include "disktest.h"
#include "test.h"

#include <dirent.h>
#include <errno.h>

#include "base/hash.h"
#include "base/le.h"
#include "base/limits.h"
#include "mkimage.h"
#include "plan_fixture.h"
#include "soundtest.h"

#define CLASS_NET "{4d36e972-e325-11ce-bfc1-08002be10318}"
#define ONE	  "PCI\\VEN_15B3&DEV_0001"
#define TWO	  "PCI\\VEN_15B3&DEV_0002"
#define SHARED	  "PCI\\VEN_15B3&DEV_0003"

static const char *const one_shared[] = {ONE, SHARED}, *const two_shared[] = {TWO, SHARED};

/* ---- a Windows, and packages that come and go ---- */

struct win {
	struct wintree t;
	struct ibb_volume *v;
	struct ibb_facts *f;
	struct ibb_plan *plan;
	struct ibb_removal gone[8];
	size_t n_gone;
};

static void read_facts(struct win *w, struct ibb_package *const *p, size_t n)
{
	const char *names[8];
	struct ibb_error err = {0};

	ibb_facts_free(w->f);
	w->f = NULL;
	ibb_volume_close(w->v);
	w->v = wintree_open(&w->t);
	assert_ok(ibb_facts_read(w->v, false, &w->f, &err), err);
	for (size_t i = 0; i < n; i++)
		names[i] = p[i]->inf_name;
	assert_ok(ibb_facts_read_store(w->f, w->v, names, n, &err), err);
}

static const struct ibb_fact_package *staged_as(const struct ibb_facts *f, const char *published)
{
	for (size_t i = 0; i < f->n_packages; i++)
		if (f->packages[i].published && ibb_caseeq(f->packages[i].published, published))
			return &f->packages[i];
	fail_msg("%s is not staged", published);
	return NULL;
}

static void drop_removals(struct win *w)
{
	while (w->n_gone)
		ibb_removal_clear(&w->gone[--w->n_gone]);
}

/* `names`: published, separated by blanks. */
static void choose_removals(struct win *w, const char *names)
{
	char text[256];
	struct ibb_error err = {0};

	drop_removals(w);
	snprintf(text, sizeof(text), "%s", names ? names : "");
	for (char *save = NULL, *s = strtok_r(text, " ", &save); s;
	     s = strtok_r(NULL, " ", &save)) {
		struct ibb_removal *x = &w->gone[w->n_gone++];

		*x = (struct ibb_removal){.package = staged_as(w->f, s)};
		assert_ok(ibb_facts_store_files(x->package, w->v, &x->files, &err), err);
	}
}

static int try_plan(struct win *w, struct ibb_package *const *p, size_t n, const char *names,
		    struct ibb_error *err)
{
	read_facts(w, p, n);
	choose_removals(w, names);
	ibb_plan_free(w->plan);
	w->plan = NULL;
	return ibb_plan_build_changes(w->f, p, n, w->gone, w->n_gone,
				      &(struct ibb_plan_opts){.unix_time = NOW}, &w->plan, err);
}

/* Stage p[0..n), take out the named ones, for good. */
static void change(struct win *w, struct ibb_package *const *p, size_t n, const char *names)
{
	struct ibb_applied a = {0};
	struct ibb_error err = {0};

	assert_ok(try_plan(w, p, n, names, &err), err);
	assert_ok(ibb_apply(w->plan, w->f, w->v, &a, &err), err);
	assert_ok(ibb_volume_commit(w->v, &err), err);
	ibb_volume_close(w->v);
	w->v = wintree_open(&w->t);
	assert_ok(ibb_apply_read_back(&a, w->v, &err), err);
	ibb_applied_clear(&a);
	read_facts(w, p, n);
}

static void win_make(struct win *w, const struct winhives_spec *s)
{
	*w = (struct win){0};
	wintree_make(&w->t, test_dir(), s);
}

static void win_plain(struct win *w, const char *release)
{
	struct winhives_spec s = wintree_spec(release);

	win_make(w, &s);
}

static void win_close(struct win *w)
{
	drop_removals(w);
	ibb_plan_free(w->plan);
	ibb_facts_free(w->f);
	ibb_volume_close(w->v);
}

static struct ibb_package *package(const char *inf, const char *version, const char *const *ids,
				   size_t n_ids, enum mkpkg_class class)
{
	struct mkpkg_opts o = {
		.inf_name = inf, .version = version, .ids = ids, .n_ids = n_ids, .class = class};

	return pkgtest_make(&o, &server_2022);
}

static void free_packages(struct ibb_package **p, size_t n)
{
	for (size_t i = 0; i < n; i++)
		ibb_package_free(p[i]);
}

/* ---- what is compared ---- */

static const char *const hive_names[] = {"SYSTEM", "DRIVERS", "SOFTWARE"};

struct picture {
	struct ibb_hive *hives[3];
	struct ibb_buf files; /* text: path, size, digest of everything but the hives */
};

static int by_name(const struct dirent **a, const struct dirent **b)
{
	return strcmp((*a)->d_name, (*b)->d_name);
}

static void list_files(const struct wintree *t, const char *dir, struct ibb_buf *out)
{
	char full[1024];
	struct dirent **list = NULL;
	int n;

	snprintf(full, sizeof(full), "%s/%s", t->dir, dir);
	n = scandir(full, &list, NULL, by_name);
	assert_true(n >= 0);
	for (int i = 0; i < n; i++) {
		const char *name = list[i]->d_name;
		char path[700], hex[IBB_SHA256_HEX_SIZE] = "directory";
		struct ibb_buf b = {0};
		struct ibb_sha256 d;

		snprintf(path, sizeof(path), "%s/%s", dir, name);
		if (strcmp(name, ".") && strcmp(name, "..") && strcmp(path, WINTREE_CONFIG)) {
			if (list[i]->d_type != DT_DIR) {
				wintree_read(t, path, &b);
				assert_int_equal(ibb_sha256(b.data, b.len, &d), 0);
				ibb_sha256_hex(&d, hex);
			}
			assert_int_equal(ibb_buf_printf(out, "%s %s\n", path, hex), 0);
			if (list[i]->d_type == DT_DIR)
				list_files(t, path, out);
			ibb_buf_clear(&b);
		}
		free(list[i]);
	}
	free(list);
}

static void take_picture(const struct wintree *t, struct picture *ret)
{
	*ret = (struct picture){0};
	for (size_t i = 0; i < IBB_ARRAY_SIZE(hive_names); i++)
		ret->hives[i] = wintree_hive(t, hive_names[i]);
	list_files(t, "Windows", &ret->files);
	assert_non_null(ibb_buf_cstr(&ret->files));
}

static void drop_picture(struct picture *p)
{
	for (size_t i = 0; i < IBB_ARRAY_SIZE(hive_names); i++)
		ibb_hive_close(p->hives[i]);
	ibb_buf_clear(&p->files);
}

/* The time of the last import is what a removal cannot and need not restore. */
static int only_update_date(void *ctx, const struct ibb_hive_diff *d, struct ibb_error *err)
{
	if (d->kind == IBB_DIFF_VALUE_CHANGED && strcmp(d->path, "DriverDatabase") == 0 &&
	    strcmp(d->value, "UpdateDate") == 0)
		return IBB_OK;
	return ibb_err(err, IBB_E_DIFFERS, "%s: %s value %s: difference of kind %d",
		       (const char *)ctx, d->path, d->value ? d->value : "-", (int)d->kind);
}

/* Everything is as in the picture, and every hive is sound. */
static void assert_as_in(const struct wintree *t, const struct picture *old)
{
	struct picture now;

	take_picture(t, &now);
	for (size_t i = 0; i < IBB_ARRAY_SIZE(hive_names); i++) {
		char name[16];
		struct ibb_hive_check sum;
		struct ibb_error err = {0};

		snprintf(name, sizeof(name), "%s", hive_names[i]);
		assert_ok(ibb_hive_check(now.hives[i], &sum, &err), err);
		assert_ok(
			ibb_hive_compare(old->hives[i], now.hives[i], only_update_date, name, &err),
			err);
	}
	assert_string_equal((char *)now.files.data, (char *)old->files.data);
	drop_picture(&now);
}

static bool key_exists(const struct wintree *t, const char *hive, const char *path)
{
	struct ibb_hive *h = wintree_hive(t, hive);
	struct ibb_error err = {0};
	ibb_key k;
	int r = ibb_hive_find(h, ibb_hive_root(h), path, &k, &err);

	ibb_hive_close(h);
	assert_true(!r || r == IBB_E_NOTFOUND);
	return !r;
}

static bool value_exists(const struct wintree *t, const char *hive, const char *path,
			 const char *value)
{
	struct ibb_hive *h = wintree_hive(t, hive);
	struct ibb_buf data = {0};
	struct ibb_error err = {0};
	uint32_t type;
	ibb_key k;
	int r = ibb_hive_find(h, ibb_hive_root(h), path, &k, &err);

	if (!r)
		r = ibb_hive_get(h, k, value, &type, &data, &err);
	ibb_buf_clear(&data);
	ibb_hive_close(h);
	assert_true(!r || r == IBB_E_NOTFOUND);
	return !r;
}

/* ---- there and back ---- */

static void one_package(void **state)
{
	static const char *const releases[] = {"server2012", "win8.1",	   "server2016",
					       "server2019", "server2022", "server2025"};

	(void)state;
	for (size_t i = 0; i < IBB_ARRAY_SIZE(releases); i++)
		for (int class = MKPKG_NET; class <= MKPKG_SYSTEM; class ++) {
			struct ibb_package *p = package("x.inf", NULL, NULL, 0, class);
			struct picture before;
			struct win w;

			win_plain(&w, releases[i]);
			take_picture(&w.t, &before);
			change(&w, &p, 1, NULL);
			assert_true(key_exists(&w.t, class == MKPKG_NET ? "DRIVERS" : "SYSTEM",
					       DB "\\DriverInfFiles\\oem0.inf"));
			assert_true(wintree_has(&w.t, "Windows/INF/oem0.inf"));
			change(&w, NULL, 0, "oem0.inf");
			assert_as_in(&w.t, &before);
			drop_picture(&before);
			win_close(&w);
			ibb_package_free(p);
		}
}

/* Both nodes, shared device IDs, and the same class: in every order of leaving. */
static void several_packages(void **state)
{
	static const char *const leave[][3] = {
		{"oem0.inf oem1.inf oem2.inf", NULL, NULL},
		{"oem2.inf oem0.inf oem1.inf", NULL, NULL},
		{"oem1.inf oem2.inf", "oem0.inf", NULL},
		{"oem0.inf", "oem2.inf", "oem1.inf"},
		{"oem2.inf", "oem1.inf oem0.inf", NULL},
	};
	struct ibb_package *p[] = {package("a.inf", NULL, one_shared, 2, MKPKG_NET),
				   package("b.inf", NULL, two_shared, 2, MKPKG_NET),
				   package("c.inf", NULL, one_shared, 2, MKPKG_SYSTEM)};

	(void)state;
	for (size_t i = 0; i < IBB_ARRAY_SIZE(leave); i++) {
		struct picture before;
		struct win w;

		win_plain(&w, "server2022");
		take_picture(&w.t, &before);
		change(&w, p, 3, NULL);
		for (size_t k = 0; k < 3 && leave[i][k]; k++)
			change(&w, NULL, 0, leave[i][k]);
		assert_as_in(&w.t, &before);
		drop_picture(&before);
		win_close(&w);
	}
	free_packages(p, 3);
}

static void real_hive(void **state)
{
	struct ibb_package *p[] = {package("a.inf", NULL, NULL, 0, MKPKG_NET),
				   package("b.inf", NULL, two_shared, 2, MKPKG_SYSTEM)};
	struct ibb_buf system = {0};
	struct picture before;
	struct win w;

	(void)state;
	TEST_DATA_OR_SKIP("hives/win10-19041/SYSTEM", &system);
	win_plain(&w, "win10-19041");
	wintree_put(&w.t, WINTREE_CONFIG "/SYSTEM", system.data, system.len);
	take_picture(&w.t, &before);
	change(&w, p, 2, NULL);
	assert_string_equal(w.plan->packages[0].published, "oem9.inf");
	assert_string_equal(w.plan->packages[1].published, "oem10.inf");
	assert_true(key_exists(&w.t, "SYSTEM", DB "\\DeviceIds\\" SHARED));
	change(&w, NULL, 0, "oem10.inf oem9.inf");
	assert_as_in(&w.t, &before);
	drop_picture(&before);
	win_close(&w);
	free_packages(p, 2);
	ibb_buf_clear(&system);
}

/* A package that VMware Tools staged and configured: its Configurations, Descriptors and Strings go
 * with it, the service that its installation made goes, which nobody else owns. */
static void real_package(void **state)
{
	struct ibb_buf system = {0};
	const struct ibb_fact_package *p;
	char key[256], published[32];
	struct win w;

	(void)state;
	TEST_DATA_OR_SKIP("hives/win10-19041/SYSTEM", &system);
	win_plain(&w, "win10-19041");
	wintree_put(&w.t, WINTREE_CONFIG "/SYSTEM", system.data, system.len);
	read_facts(&w, NULL, 0);
	p = NULL;
	for (size_t i = 0; i < w.f->n_packages; i++)
		if (w.f->packages[i].inf_name && ibb_caseeq(w.f->packages[i].inf_name, "vmci.inf"))
			p = &w.f->packages[i];
	assert_non_null(p);
	assert_true(p->in_use);
	snprintf(key, sizeof(key), DB "\\DriverPackages\\%s", p->name);
	snprintf(published, sizeof(published), "%s", p->published);
	change(&w, NULL, 0, published);
	assert_false(key_exists(&w.t, "SYSTEM", key));
	assert_false(key_exists(&w.t, "SYSTEM", DB "\\DeviceIds\\ROOT\\VMWVMCIHOSTDEV"));
	/* nobody else is among the service's owners */
	assert_false(key_exists(&w.t, "SYSTEM", "ControlSet001\\Services\\vmci"));
	assert_false(key_exists(&w.t, "SYSTEM", "ControlSet001\\Services\\EventLog\\System\\vmci"));
	assert_true(key_exists(&w.t, "SYSTEM", "ControlSet001\\Services\\vmbus"));
	for (size_t i = 0; i < w.f->n_packages; i++)
		assert_false(ibb_caseeq(w.f->packages[i].published, published));
	win_close(&w);
	ibb_buf_clear(&system);
}

static void precompiled_infs(void **state)
{
	struct ibb_package *p = package("x.inf", NULL, NULL, 0, MKPKG_NET);
	struct picture before;
	char path[512];
	struct win w;

	(void)state;
	win_plain(&w, "server2022");
	wintree_text(&w.t, "Windows/INF/oem10.PNF", "another package's");
	take_picture(&w.t, &before);
	change(&w, &p, 1, NULL);
	/* as Windows leaves them when it likes, with more in the directory than we put there */
	wintree_text(&w.t, "Windows/INF/OEM0.PNF", "precompiled");
	snprintf(path, sizeof(path), WINTREE_STORE "/%s/x.PNF", w.plan->packages[0].name);
	wintree_text(&w.t, path, "precompiled");
	snprintf(path, sizeof(path), WINTREE_STORE "/%s/made/by/device.xml",
		 w.plan->packages[0].name);
	wintree_text(&w.t, path, "metadata");
	change(&w, NULL, 0, "oem0.inf");
	assert_as_in(&w.t, &before);
	drop_picture(&before);
	win_close(&w);
	ibb_package_free(p);
}

/* What Windows adds to the record when it installs the package goes as well. */
static void installed_package(void **state)
{
	struct ibb_package *p = package("x.inf", NULL, one_shared, 2, MKPKG_SYSTEM);
	struct picture before;
	struct ibb_hive *h;
	char key[300], at[400];
	struct win w;

	(void)state;
	win_plain(&w, "server2022");
	take_picture(&w.t, &before);
	change(&w, &p, 1, NULL);
	snprintf(key, sizeof(key), DB "\\DriverPackages\\%s", w.plan->packages[0].name);
	h = wintree_hive(&w.t, "SYSTEM");
	snprintf(at, sizeof(at), "%s\\Configurations\\Demo.Vf.NT\\Services\\ibbdemo", key);
	wintree_set_sz(h, at, "", "");
	snprintf(at, sizeof(at), "%s\\Descriptors\\" ONE, key);
	wintree_set_sz(h, at, "Configuration", "Demo.Vf.NT");
	snprintf(at, sizeof(at), "%s\\Strings", key);
	wintree_key(h, at);
	wintree_set_sz(h, DB "\\DriverInfFiles\\oem0.inf", "Configurations", "Demo.Vf.NT");
	wintree_save(&w.t, "SYSTEM", h);
	change(&w, NULL, 0, "oem0.inf");
	assert_as_in(&w.t, &before);
	drop_picture(&before);
	win_close(&w);
	ibb_package_free(p);
}

/* ---- device IDs that others need ---- */

static void shared_ids(void **state)
{
	struct ibb_package *p[] = {package("a.inf", NULL, one_shared, 2, MKPKG_NET),
				   package("b.inf", NULL, two_shared, 2, MKPKG_NET)};
	struct picture between;
	struct win w;

	(void)state;
	win_plain(&w, "server2022");
	change(&w, &p[1], 1, NULL); /* oem0 */
	take_picture(&w.t, &between);
	change(&w, &p[0], 1, NULL); /* oem1 */
	assert_true(value_exists(&w.t, "DRIVERS", DB "\\DeviceIds\\" SHARED, "oem0.inf"));
	assert_true(value_exists(&w.t, "DRIVERS", DB "\\DeviceIds\\" SHARED, "oem1.inf"));
	change(&w, NULL, 0, "oem1.inf");
	assert_false(key_exists(&w.t, "DRIVERS", DB "\\DeviceIds\\" ONE));
	assert_true(value_exists(&w.t, "DRIVERS", DB "\\DeviceIds\\" TWO, "oem0.inf"));
	assert_as_in(&w.t, &between);
	drop_picture(&between);
	win_close(&w);
	free_packages(p, 2);
}

/* An inbox package's values, another tool's leftovers, keys below and above ours. */
static void keys_of_others(void **state)
{
	static const char *const ids[] = {"PCI\\VEN_15B3&DEV_1015", "A\\B\\C", "A\\B", "D"};
	struct ibb_package *p = package("x.inf", NULL, ids, 4, MKPKG_NET);
	struct picture before;
	struct ibb_hive *h;
	struct win w;

	(void)state;
	win_plain(&w, "server2022");
	h = wintree_hive(&w.t, "DRIVERS");
	wintree_set(h, DB "\\DeviceIds\\A\\B\\C\\Deeper", "oem77.inf", IBB_REG_BINARY, "\1\xff\0\0",
		    4);
	wintree_set_dword(h, DB "\\DeviceIds\\a", "stray", 1);
	wintree_set_dword(h, DB "\\DeviceIds\\D", "oem0.info", 1);
	wintree_key(h, DB "\\DeviceIds\\Empty");
	wintree_save(&w.t, "DRIVERS", h);
	take_picture(&w.t, &before);
	change(&w, &p, 1, NULL);
	assert_true(value_exists(&w.t, "DRIVERS", DB "\\DeviceIds\\A\\B\\C", "oem0.inf"));
	change(&w, NULL, 0, "oem0.inf");
	assert_as_in(&w.t, &before);
	drop_picture(&before);
	win_close(&w);
	ibb_package_free(p);
}

/* ---- numbers ---- */

static void gaps_are_used_again(void **state)
{
	struct ibb_package *p[] = {package("a.inf", NULL, NULL, 0, MKPKG_NET),
				   package("b.inf", NULL, NULL, 0, MKPKG_NET),
				   package("c.inf", NULL, NULL, 0, MKPKG_SYSTEM),
				   package("d.inf", NULL, NULL, 0, MKPKG_SYSTEM)};
	struct win w;

	(void)state;
	win_plain(&w, "server2022");
	change(&w, p, 3, NULL);
	assert_memory_equal(w.f->oem_map.data, "\xe0", 1);
	change(&w, NULL, 0, "oem1.inf");
	assert_int_equal(w.f->oem_map.len, 1);
	assert_memory_equal(w.f->oem_map.data, "\xa0", 1);
	change(&w, &p[3], 1, NULL);
	assert_string_equal(w.plan->packages[0].published, "oem1.inf");
	/* in one plan the number of what leaves is not free yet */
	change(&w, &p[1], 1, "oem1.inf");
	assert_string_equal(w.plan->packages[0].published, "oem3.inf");
	assert_memory_equal(w.f->oem_map.data, "\xb0", 1);
	win_close(&w);
	free_packages(p, 4);
}

/* The map gets back the length it had. */
static void length_of_the_map(void **state)
{
	static const unsigned eight[] = {0, 1, 2, 3, 4, 5, 6, 7};
	static const struct {
		const char *map; /* as the image has it; NULL: as generated */
		size_t len;
	} t[] = {{NULL, 0}, {"\xe0\0\0", 3}, {"\xff\xff\x80", 3}, {"\0", 1}};
	struct ibb_package *p = package("x.inf", NULL, one_shared, 2, MKPKG_NET);

	(void)state;
	for (size_t i = 0; i < IBB_ARRAY_SIZE(t); i++) {
		struct winhives_spec s = wintree_spec("server2022");
		struct picture before;
		struct ibb_hive *h;
		struct win w;

		s.oem = eight;
		s.n_oem = t[i].map ? 0 : 8;
		win_make(&w, &s);
		if (t[i].map) {
			h = wintree_hive(&w.t, "SYSTEM");
			wintree_set(h, DB, "OemInfMap", IBB_REG_BINARY, t[i].map, t[i].len);
			wintree_save(&w.t, "SYSTEM", h);
		}
		take_picture(&w.t, &before);
		change(&w, &p, 1, NULL);
		change(&w, NULL, 0, w.plan->packages[0].published);
		assert_as_in(&w.t, &before);
		drop_picture(&before);
		win_close(&w);
	}
	ibb_package_free(p);
}

/* Where there is no map, taking a package out makes none. */
static void no_map(void **state)
{
	struct ibb_package *p = package("x.inf", NULL, one_shared, 2, MKPKG_NET);
	struct win w;

	(void)state;
	win_plain(&w, "server2022");
	change(&w, &p, 1, NULL);
	wintree_edit_unset(&w.t, "SYSTEM", DB, "OemInfMap");
	change(&w, NULL, 0, "oem0.inf");
	assert_false(w.f->oem_map_present);
	win_close(&w);
	ibb_package_free(p);
}

/* ---- versions ---- */

static void versions_side_by_side(void **state)
{
	struct ibb_package *old = package("x.inf", "1.0.0.0", one_shared, 2, MKPKG_NET);
	struct ibb_package *new = package("x.inf", "2.0.0.0", two_shared, 2, MKPKG_NET);
	struct picture with_old;
	struct win w;

	(void)state;
	win_plain(&w, "server2022");
	change(&w, &old, 1, NULL);
	take_picture(&w.t, &with_old);
	change(&w, &new, 1, NULL);
	assert_string_equal(w.plan->packages[0].published, "oem1.inf");
	assert_string_equal(staged_as(w.f, "oem0.inf")->inf_name, "x.inf");
	assert_string_equal(staged_as(w.f, "oem1.inf")->inf_name, "x.inf");
	assert_true(value_exists(&w.t, "DRIVERS", DB "\\DeviceIds\\" ONE, "oem0.inf"));
	change(&w, NULL, 0, "oem1.inf");
	assert_as_in(&w.t, &with_old);
	drop_picture(&with_old);
	win_close(&w);
	ibb_package_free(old);
	ibb_package_free(new);
}

/* The plan that --replace makes: the new one comes, the old one goes. */
static void replacing(void **state)
{
	static const enum mkpkg_class classes[][2] = {
		{MKPKG_NET, MKPKG_NET}, {MKPKG_NET, MKPKG_SYSTEM}, {MKPKG_SYSTEM, MKPKG_NET}};

	(void)state;
	for (size_t i = 0; i < IBB_ARRAY_SIZE(classes); i++) {
		struct ibb_package *old = package("x.inf", "1.0.0.0", one_shared, 2, classes[i][0]);
		struct ibb_package *new = package("x.inf", "2.0.0.0", two_shared, 2, classes[i][1]);
		const char *node = classes[i][1] == MKPKG_NET ? "DRIVERS" : "SYSTEM";
		const char *other = classes[i][1] == MKPKG_NET ? "SYSTEM" : "DRIVERS";
		struct picture before, fresh;
		struct win w;

		win_plain(&w, "server2022");
		take_picture(&w.t, &before);
		change(&w, &old, 1, NULL);
		change(&w, &new, 1, "oem0.inf");
		assert_true(value_exists(&w.t, node, DB "\\DeviceIds\\" SHARED, "oem1.inf"));
		assert_false(value_exists(&w.t, node, DB "\\DeviceIds\\" SHARED, "oem0.inf"));
		assert_false(key_exists(&w.t, node, DB "\\DeviceIds\\" ONE));
		assert_false(key_exists(&w.t, other, DB "\\DeviceIds\\" SHARED));
		assert_false(key_exists(&w.t, other, DB "\\DriverInfFiles\\oem1.inf"));
		assert_false(wintree_has(&w.t, "Windows/INF/oem0.inf"));
		/* and this is what adding it alone would have given, the number apart */
		change(&w, NULL, 0, "oem1.inf");
		assert_as_in(&w.t, &before);
		change(&w, &new, 1, NULL);
		take_picture(&w.t, &fresh);
		change(&w, &old, 1, "oem0.inf");
		change(&w, &new, 1, "oem1.inf");
		assert_string_equal(w.plan->packages[0].published, "oem0.inf");
		assert_as_in(&w.t, &fresh);
		drop_picture(&fresh);
		drop_picture(&before);
		win_close(&w);
		ibb_package_free(old);
		ibb_package_free(new);
	}
}

static void identical_twice(void **state)
{
	struct ibb_package *p = package("x.inf", NULL, one_shared, 2, MKPKG_NET);
	struct win w;

	(void)state;
	win_plain(&w, "server2022");
	change(&w, &p, 1, NULL);
	change(&w, &p, 1, NULL);
	assert_int_equal(w.plan->n_ops, 0);
	assert_non_null(w.plan->packages[0].existing);
	win_close(&w);
	ibb_package_free(p);
}

/* Two packages whose INF and catalog are equal would get one name, in one plan as well. */
static void same_name_twice(void **state)
{
	struct ibb_package *p[] = {package("x.inf", NULL, one_shared, 2, MKPKG_NET),
				   package("x.inf", NULL, one_shared, 2, MKPKG_NET)};
	struct ibb_error err = {0};
	struct win w;

	(void)state;
	win_plain(&w, "server2022");
	assert_fails(try_plan(&w, p, 2, NULL, &err), IBB_E_CONFLICT, err,
		     "have the same INF and catalog, but other files differ");
	win_close(&w);
	free_packages(p, 2);
}

/* ---- in use ---- */

static void in_use(void **state)
{
	static const char *const pci[] = {ONE "=OEM0.INF", TWO "=netmlx5.inf", SHARED};
	struct ibb_package *p[] = {package("a.inf", NULL, one_shared, 2, MKPKG_NET),
				   package("b.inf", NULL, two_shared, 2, MKPKG_NET)};
	struct winhives_spec s = wintree_spec("server2022");
	struct win w;

	(void)state;
	s.pci = pci;
	s.n_pci = 3;
	s.control_set = 3;
	win_make(&w, &s);
	change(&w, p, 2, NULL);
	assert_true(staged_as(w.f, "oem0.inf")->in_use);
	assert_false(staged_as(w.f, "oem1.inf")->in_use);
	assert_true(staged_as(w.f, "netmlx5.inf")->in_use);
	assert_false(staged_as(w.f, "pci.inf")->in_use);
	win_close(&w);
	free_packages(p, 2);
}

/* What has no software key of its own below Control\\Class, and yet stops working. */
static void in_use_without_a_device(void **state)
{
	static const char list[] = "ControlSet001\\Enum\\PCI\\VEN_1&DEV_2\\3&1\\Properties\\"
				   "{540b947e-8b40-45bc-a8a2-6a0b894cbda2}\\000F";
	static const uint16_t three[] = u"other.inf\0oem3.inf\0",
			      five[] = u"oem50.inf\0oem5.in\0pci.inf\0",
			      four[] = u"oem4.inf:PCI\\VEN_1&DEV_2,Install\0";
	struct winhives_spec spec = wintree_spec("server2022");
	struct ibb_package *p[6];
	char path[512];
	struct ibb_hive *h;
	struct win w;

	(void)state;
	for (size_t i = 0; i < 6; i++) {
		snprintf(path, sizeof(path), "p%zu.inf", i);
		p[i] = package(path, NULL, one_shared, 2, MKPKG_NET);
	}
	win_make(&w, &spec);
	change(&w, p, 6, NULL);
	for (unsigned i = 0; i < 6; i++) {
		snprintf(path, sizeof(path), "oem%u.inf", i);
		assert_false(staged_as(w.f, path)->in_use);
	}
	h = wintree_hive(&w.t, "SYSTEM");
	wintree_set_sz(h, "ControlSet001\\Control\\Network\\{4d36e974}\\{1}", "InfPath",
		       "OEM0.inf");
	snprintf(path, sizeof(path),
		 "C:\\Windows\\System32\\DriverStore\\FileRepository\\%s\\p1.inf",
		 staged_as(w.f, "oem1.inf")->name);
	wintree_set_sz(h, "ControlSet001\\Control\\Print\\Environments\\x64\\Drivers\\Version-3\\P",
		       "InfPath", path);
	snprintf(path, sizeof(path),
		 "\\SystemRoot\\System32\\DriverStore\\filerepository\\%s\\x.sys",
		 staged_as(w.f, "oem2.inf")->name);
	wintree_set_sz(h, "ControlSet001\\Services\\two", "ImagePath", path);
	/* two strings of a REG_MULTI_SZ, and one of a list of properties */
	wintree_set(h, "ControlSet001\\Services\\three", "Owners", IBB_REG_MULTI_SZ, three,
		    sizeof(three));
	wintree_set(h, list, "", 0xffff2012, four, sizeof(four));
	/* neither names anything: a longer name, and a directory elsewhere */
	wintree_set(h, "ControlSet001\\Services\\five", "Owners", IBB_REG_MULTI_SZ, five,
		    sizeof(five));
	wintree_set_sz(h, "ControlSet001\\Services\\five", "ImagePath",
		       "C:\\FileRepository\\p5.inf_amd64\\x.sys");
	wintree_save(&w.t, "SYSTEM", h);
	read_facts(&w, p, 6);
	for (unsigned i = 0; i < 6; i++) {
		snprintf(path, sizeof(path), "oem%u.inf", i);
		if (staged_as(w.f, path)->in_use != (i < 5))
			fail_msg("%s", path);
	}
	assert_false(staged_as(w.f, "pci.inf")->in_use); /* Windows' own service */
	win_close(&w);
	free_packages(p, 6);
}

/* ---- databases that contradict themselves ---- */

static void second_of_the_name(struct win *w)
{
	struct ibb_hive *h = wintree_hive(&w->t, "DRIVERS");

	wintree_set_sz(h, DB "\\DriverPackages\\y.inf_amd64_0000000000000001", "", "OEM0.inf");
	wintree_save(&w->t, "DRIVERS", h);
}

static void other_node(struct win *w)
{
	struct ibb_hive *h = wintree_hive(&w->t, "SYSTEM");
	char key[256];

	snprintf(key, sizeof(key), DB "\\DriverPackages\\%s", w->plan->packages[0].name);
	wintree_set_sz(h, key, "", "elsewhere.inf");
	wintree_save(&w->t, "SYSTEM", h);
}

static void list_of_names(struct win *w, const char *first, const char *second, uint32_t type)
{
	struct ibb_hive *h = wintree_hive(&w->t, "DRIVERS");
	struct ibb_buf u = {0};

	assert_int_equal(ibb_utf16le_append(&u, first), 0);
	assert_int_equal(ibb_buf_append_zero(&u, 2), 0);
	if (second) {
		assert_int_equal(ibb_utf16le_append(&u, second), 0);
		assert_int_equal(ibb_buf_append_zero(&u, 2), 0);
	}
	assert_int_equal(ibb_buf_append_zero(&u, 2), 0);
	wintree_set(h, DB "\\DriverInfFiles\\oem0.inf", "", type, u.data, u.len);
	wintree_save(&w->t, "DRIVERS", h);
	ibb_buf_clear(&u);
}

static void two_listed(struct win *w)
{
	list_of_names(w, w->plan->packages[0].name, "y.inf_amd64_0000000000000001",
		      IBB_REG_MULTI_SZ);
}

static void another_listed(struct win *w)
{
	list_of_names(w, "y.inf_amd64_0000000000000001", NULL, IBB_REG_MULTI_SZ);
}

static void wrong_type(struct win *w)
{
	list_of_names(w, w->plan->packages[0].name, NULL, IBB_REG_BINARY);
}

static void no_list(struct win *w)
{
	wintree_edit_unset(&w->t, "DRIVERS", DB "\\DriverInfFiles\\oem0.inf", "");
}

static void no_published_key(struct win *w)
{
	wintree_edit_delete(&w->t, "DRIVERS", DB "\\DriverInfFiles\\oem0.inf");
}

static void contradictions(void **state)
{
	static const struct {
		void (*spoil)(struct win *w);
		int code;
		const char *text;
	} t[] = {
		{second_of_the_name, IBB_E_CONFLICT, "oem0.inf is the published name of x.inf_amd"},
		{other_node, IBB_E_CONFLICT, "both nodes of the driver database record a package"},
		{two_listed, IBB_E_UNSUPPORTED, "oem0.inf stands for 2 driver packages"},
		{another_listed, IBB_E_CONFLICT, "DriverInfFiles\\oem0.inf does not name x.inf_"},
		{wrong_type, IBB_E_CONFLICT, "DriverInfFiles\\oem0.inf does not name x.inf_"},
		{no_list, IBB_E_CONFLICT, "DriverInfFiles\\oem0.inf does not name x.inf_"},
		{no_published_key, IBB_E_CONFLICT, "DriverInfFiles\\oem0.inf does not name x.inf_"},
	};
	struct ibb_package *p = package("x.inf", NULL, one_shared, 2, MKPKG_NET);

	(void)state;
	for (size_t i = 0; i < IBB_ARRAY_SIZE(t); i++) {
		struct ibb_error err = {0};
		struct win w;

		win_plain(&w, "server2022");
		change(&w, &p, 1, NULL);
		t[i].spoil(&w);
		assert_fails(try_plan(&w, NULL, 0, "oem0.inf", &err), t[i].code, err, t[i].text);
		assert_null(w.plan);
		win_close(&w);
	}
	ibb_package_free(p);
}

/* The record names no directory, or one elsewhere. */
static void names_that_lead_astray(void **state)
{
	static const char *const names[] = {"..", ".", "a/b", "x.", "x:y", "NUL", "x*"};

	(void)state;
	for (size_t i = 0; i < IBB_ARRAY_SIZE(names); i++) {
		struct ibb_store_files files = {0};
		struct ibb_error err = {0};
		struct ibb_hive *h;
		char key[256];
		struct win w;

		win_plain(&w, "server2022");
		h = wintree_hive(&w.t, "DRIVERS");
		snprintf(key, sizeof(key), DB "\\DriverPackages\\%s", names[i]);
		wintree_set_sz(h, key, "", "oem0.inf");
		wintree_save(&w.t, "DRIVERS", h);
		read_facts(&w, NULL, 0);
		assert_fails(ibb_facts_store_files(staged_as(w.f, "oem0.inf"), w.v, &files, &err),
			     IBB_E_CORRUPT, err, "is no directory name");
		assert_null(files.entries);
		win_close(&w);
	}
}

/* Names of another form than Windows wants are left by other tools; they can be cleared away. */
static void name_of_another_form(void **state)
{
	struct picture before;
	struct ibb_hive *h;
	struct win w;

	(void)state;
	win_plain(&w, "server2022");
	take_picture(&w.t, &before);
	h = wintree_hive(&w.t, "DRIVERS");
	wintree_set_sz(h, DB "\\DriverPackages\\guestor.inf_tmp", "", "oem0.inf");
	wintree_set(h, DB "\\DriverInfFiles\\oem0.inf", "", IBB_REG_MULTI_SZ,
		    "g\0u\0e\0s\0t\0o\0r\0.\0i\0n\0f\0_\0t\0m\0p\0\0\0\0", 34);
	wintree_set(h, DB "\\DeviceIds\\" ONE, "oem0.inf", IBB_REG_BINARY, "\1\xff\0\0", 4);
	wintree_save(&w.t, "DRIVERS", h);
	wintree_text(&w.t, "Windows/INF/oem0.inf", "inf");
	change(&w, NULL, 0, "oem0.inf");
	assert_as_in(&w.t, &before);
	drop_picture(&before);
	win_close(&w);
}

/* Files that are missing are no hindrance: the rest goes. */
static void missing_files(void **state)
{
	struct ibb_package *p = package("x.inf", NULL, one_shared, 2, MKPKG_NET);
	struct picture before;
	char path[512];
	struct win w;

	(void)state;
	win_plain(&w, "server2022");
	take_picture(&w.t, &before);
	change(&w, &p, 1, NULL);
	for (size_t i = 0; i < p->n_files; i++) {
		snprintf(path, sizeof(path), WINTREE_STORE "/%s/%s", w.plan->packages[0].name,
			 p->files[i].path);
		wintree_remove(&w.t, path);
	}
	*strrchr(path, '/') = '\0';
	wintree_remove(&w.t, path);
	wintree_remove(&w.t, "Windows/INF/oem0.inf");
	change(&w, NULL, 0, "oem0.inf");
	assert_as_in(&w.t, &before);
	drop_picture(&before);
	win_close(&w);
	ibb_package_free(p);
}

/* A link in the package's place is not followed, whatever it points to. */
static void links(void **state)
{
	struct ibb_package *p = package("x.inf", NULL, one_shared, 2, MKPKG_NET);
	struct ibb_applied a = {0};
	struct ibb_error err = {0};
	char path[1200], target[1300], digest[2][65];
	struct win w;
	int r;

	(void)state;
	win_plain(&w, "server2022");
	change(&w, &p, 1, NULL);
	wintree_text(&w.t, "Elsewhere/precious.txt", "not ours");
	snprintf(path, sizeof(path), "%s/" WINTREE_STORE "/%s/link", w.t.dir,
		 w.plan->packages[0].name);
	snprintf(target, sizeof(target), "%s/Elsewhere", w.t.dir);
	assert_int_equal(symlink(target, path), 0);
	wintree_digest(&w.t, digest[0]);
	read_facts(&w, NULL, 0);
	w.gone[0] = (struct ibb_removal){.package = staged_as(w.f, "oem0.inf")};
	assert_fails(ibb_facts_store_files(w.gone[0].package, w.v, &w.gone[0].files, &err),
		     IBB_E_UNSUPPORTED, err, "link is neither file nor directory");
	assert_int_equal(unlink(path), 0);

	/* the whole directory is one */
	*strrchr(path, '/') = '\0';
	snprintf(target, sizeof(target), "%s.moved", path);
	assert_int_equal(rename(path, target), 0);
	assert_int_equal(symlink(target, path), 0);
	wintree_digest(&w.t, digest[0]);
	read_facts(&w, NULL, 0);
	w.gone[0] = (struct ibb_removal){.package = staged_as(w.f, "oem0.inf")};
	r = ibb_facts_store_files(w.gone[0].package, w.v, &w.gone[0].files, &err);
	if (!r) {
		w.n_gone = 1;
		ibb_plan_free(w.plan);
		w.plan = NULL;
		assert_ok(ibb_plan_build_changes(w.f, NULL, 0, w.gone, 1,
						 &(struct ibb_plan_opts){.unix_time = NOW}, &w.plan,
						 &err),
			  err);
		r = ibb_apply(w.plan, w.f, w.v, &a, &err);
	}
	assert_int_equal(r, IBB_E_UNSUPPORTED);
	wintree_digest(&w.t, digest[1]);
	assert_string_equal(digest[0], digest[1]);
	win_close(&w);
	ibb_package_free(p);
}

/* A key's list of subkeys, in the file's bytes. regf: cells follow 4096 bytes of header, their data
 * a size; nk +20 number of subkeys, +28 their list; lh +4 pairs of offset and hash. */
static uint8_t *cell(struct ibb_buf *b, uint32_t off)
{
	return b->data + 4096 + off + 4;
}

/* A key that is its own grandchild: the hive says that its parent is another one. */
static void circle_of_keys(void **state)
{
	struct ibb_package *p = package("x.inf", NULL, one_shared, 2, MKPKG_NET);
	struct ibb_buf b = {0};
	struct ibb_error err = {0};
	struct ibb_hive *h;
	struct win w;
	ibb_key ids, pci;

	(void)state;
	win_plain(&w, "server2022");
	change(&w, &p, 1, NULL);
	h = wintree_hive(&w.t, "DRIVERS");
	assert_ok(ibb_hive_find(h, ibb_hive_root(h), DB "\\DeviceIds", &ids, &err), err);
	assert_ok(ibb_hive_find(h, ibb_hive_root(h), DB "\\DeviceIds\\PCI", &pci, &err), err);
	ibb_hive_close(h);
	wintree_read(&w.t, WINTREE_CONFIG "/DRIVERS", &b);
	ibb_put_le32(cell(&b, pci) + 20, ibb_get_le32(cell(&b, ids) + 20));
	ibb_put_le32(cell(&b, pci) + 28, ibb_get_le32(cell(&b, ids) + 28));
	wintree_put(&w.t, WINTREE_CONFIG "/DRIVERS", b.data, b.len);
	assert_fails(try_plan(&w, NULL, 0, "oem0.inf", &err), IBB_E_CORRUPT, err, "as its parent");
	ibb_buf_clear(&b);
	win_close(&w);
	ibb_package_free(p);
}

/* Make a chain of keys below `path`; *ret_first and *ret_last are its ends. */
static void chain(struct ibb_hive *h, const char *path, int n, ibb_key *ret_first,
		  ibb_key *ret_last)
{
	char text[2048];
	size_t len = (size_t)snprintf(text, sizeof(text), "%s", path);

	for (int i = 0; i < n; i++) {
		memcpy(text + len, "\\k", 3);
		len += 2;
		*ret_last = wintree_key(h, text);
		if (!i)
			*ret_first = *ret_last;
	}
}

/* Two chains, hung one below the other in the file's bytes: deeper than a registry can be. */
static void keys_too_deep(void **state)
{
	struct ibb_package *p = package("x.inf", NULL, one_shared, 2, MKPKG_NET);
	ibb_key a_first, a_last, b_root, b_first, b_last;
	struct ibb_buf b = {0};
	struct ibb_error err = {0};
	struct ibb_hive *h;
	struct win w;

	(void)state;
	win_plain(&w, "server2022");
	change(&w, &p, 1, NULL);
	h = wintree_hive(&w.t, "DRIVERS");
	chain(h, DB "\\DeviceIds\\A", 500, &a_first, &a_last);
	b_root = wintree_key(h, "B");
	chain(h, "B", 100, &b_first, &b_last);
	wintree_save(&w.t, "DRIVERS", h);
	wintree_read(&w.t, WINTREE_CONFIG "/DRIVERS", &b);
	memcpy(cell(&b, a_last) + 20, cell(&b, b_root) + 20, 4);
	memcpy(cell(&b, a_last) + 28, cell(&b, b_root) + 28, 4);
	memset(cell(&b, b_root) + 20, 0, 4);
	ibb_put_le32(cell(&b, b_first) + 16, a_last); /* nk +16: parent */
	wintree_put(&w.t, WINTREE_CONFIG "/DRIVERS", b.data, b.len);
	assert_fails(try_plan(&w, NULL, 0, "oem0.inf", &err), IBB_E_CORRUPT, err,
		     "DRIVERS: keys are nested deeper than 512 levels");
	ibb_buf_clear(&b);
	win_close(&w);
	ibb_package_free(p);
}

/* ---- the image is not what the plan was made for ---- */

static void value_changed(struct win *w)
{
	wintree_set(w->f->hives[IBB_HIVE_DRIVERS].hive, DB "\\DeviceIds\\" ONE, "oem0.inf",
		    IBB_REG_BINARY, "\2\xff\0\0", 4);
}

static void value_left(struct win *w)
{
	wintree_unset(w->f->hives[IBB_HIVE_DRIVERS].hive, DB "\\DeviceIds\\" ONE, "oem0.inf");
}

static void value_came(struct win *w)
{
	wintree_set(w->f->hives[IBB_HIVE_DRIVERS].hive, DB "\\DeviceIds\\" ONE, "oem5.inf",
		    IBB_REG_BINARY, "\1\xff\0\0", 4);
}

static void subkey_came(struct win *w)
{
	wintree_key(w->f->hives[IBB_HIVE_DRIVERS].hive, DB "\\DeviceIds\\" ONE "\\x");
}

static void key_left(struct win *w)
{
	wintree_delete(w->f->hives[IBB_HIVE_DRIVERS].hive, DB "\\DeviceIds\\" ONE);
}

static void file_left(struct win *w)
{
	wintree_remove(&w->t, "Windows/INF/oem0.inf");
}

static void file_came(struct win *w)
{
	char path[512];

	snprintf(path, sizeof(path), WINTREE_STORE "/%s/new.txt", w->gone[0].package->name);
	wintree_text(&w->t, path, "new");
}

static void preconditions(void **state)
{
	static const struct {
		void (*change)(struct win *w);
		const char *text;
	} t[] = {
		{value_changed, "value 'oem0.inf' of DriverDatabase\\DeviceIds\\" ONE " is not"},
		{value_left, "value 'oem0.inf' of DriverDatabase\\DeviceIds\\" ONE " is not"},
		{value_came, "key DriverDatabase\\DeviceIds\\" ONE " is not empty"},
		{subkey_came, "key DriverDatabase\\DeviceIds\\" ONE " is not empty"},
		{key_left, "the plan does not fit the image"},
		{file_left, "Windows/INF/oem0.inf is not in the image any more"},
		{file_came, "not empty"},
	};
	struct ibb_package *p = package("x.inf", NULL, one_shared, 2, MKPKG_NET);

	(void)state;
	for (size_t i = 0; i < IBB_ARRAY_SIZE(t); i++) {
		struct ibb_applied a = {0};
		struct ibb_error err = {0};
		char before[65], after[65];
		struct win w;

		win_plain(&w, "server2022");
		change(&w, &p, 1, NULL);
		assert_ok(try_plan(&w, NULL, 0, "oem0.inf", &err), err);
		t[i].change(&w);
		wintree_digest(&w.t, before);
		assert_fails(ibb_apply(w.plan, w.f, w.v, &a, &err), IBB_E_CONFLICT, err, t[i].text);
		assert_null(a.files);
		ibb_volume_close(w.v);
		w.v = NULL;
		wintree_digest(&w.t, after);
		assert_string_equal(before, after);
		win_close(&w);
	}
	ibb_package_free(p);
}

/* What is removed is recorded with what it held. */
static void record_of_what_was_removed(void **state)
{
	struct ibb_package *p = package("x.inf", NULL, one_shared, 2, MKPKG_NET);
	struct ibb_applied a = {0};
	struct ibb_error err = {0};
	size_t n = 0;
	struct win w;

	(void)state;
	win_plain(&w, "server2022");
	change(&w, &p, 1, NULL);
	assert_ok(try_plan(&w, NULL, 0, "oem0.inf", &err), err);
	assert_ok(ibb_apply(w.plan, w.f, w.v, &a, &err), err);
	assert_true(wintree_has(&w.t, "Windows/INF/oem0.inf")); /* not yet */
	for (size_t i = 0; i < a.n_files; i++) {
		const struct ibb_applied_file *f = &a.files[i];
		struct ibb_buf b = {0};
		struct ibb_sha256 d;

		assert_int_equal(f->removed, strcmp(f->kind, "driver") == 0);
		assert_true(f->existed);
		wintree_read(&w.t, f->path, &b);
		assert_int_equal(ibb_sha256(b.data, b.len, &d), 0);
		assert_memory_equal(&f->before, &d, sizeof(d));
		assert_int_equal(f->before_bytes, b.len);
		n += f->removed;
		ibb_buf_clear(&b);
	}
	assert_int_equal(n, 5); /* INF, catalog and .sys; published INF and catalog */
	assert_int_equal(a.hives_edited, 2);
	/* nothing was committed, so everything is still there */
	ibb_volume_close(w.v);
	w.v = wintree_open(&w.t);
	assert_fails(ibb_apply_read_back(&a, w.v, &err), IBB_E_IO, err, "read-back: ");
	ibb_applied_clear(&a);
	win_close(&w);
	ibb_package_free(p);
}

/* ---- faults ---- */

/* From the facts to the edited volume, with memory for `n` allocations. */
static int starved_removal(struct win *w, long n, long *ret_asked, struct ibb_error *err)
{
	struct ibb_removal x = {.package = staged_as(w->f, "oem0.inf")};
	struct ibb_plan *plan = NULL;
	struct ibb_applied a = {0};
	int r;

	ibb_mem_fail_at(n, false);
	r = ibb_facts_store_files(x.package, w->v, &x.files, err);
	if (!r)
		r = ibb_plan_build_changes(w->f, NULL, 0, &x, 1,
					   &(struct ibb_plan_opts){.unix_time = NOW}, &plan, err);
	if (!r)
		r = ibb_apply(plan, w->f, w->v, &a, err);
	*ret_asked = ibb_mem_count();
	ibb_mem_fail_at(-1, false);
	ibb_applied_clear(&a);
	ibb_plan_free(plan);
	ibb_removal_clear(&x);
	return r;
}

static void out_of_memory(void **state)
{
	struct ibb_package *p = package("x.inf", NULL, one_shared, 1, MKPKG_NET);
	char before[65], after[65];
	long n, asked, lenient = 0;
	struct win w;

	(void)state;
	win_plain(&w, "server2022");
	wintree_text(&w.t, WINTREE_CONFIG "/SYSTEM.LOG1", "log");
	change(&w, &p, 1, NULL);
	wintree_digest(&w.t, before);
	for (n = 0;; n++) {
		struct ibb_error err = {0};
		int r;

		read_facts(&w, NULL, 0); /* the hives were edited */
		r = starved_removal(&w, n, &asked, &err);
		if (asked <= n) {
			assert_ok(r, err);
			break;
		}
		/* Names in hive headers and the index of free cells are done without; apply has
		 * proved all the same that the edit is the plan. */
		if (!r)
			lenient++;
		else if (r != IBB_E_NOMEM)
			fail_msg("allocation %ld failed: %d %s", n, r, err.msg);
	}
	assert_true(n > 100);
	assert_true(lenient < n / 4);
	wintree_digest(&w.t, after);
	assert_string_equal(before, after);
	win_close(&w);
	ibb_package_free(p);
}

/* One NTFS volume with a package in it. */
struct ntfs {
	struct ibb_disk *file, *staged;
	struct ibb_package *p;
};

/* Open, stage `p` or (NULL) take oem0.inf out, commit, read back. */
static int change_volume(struct ibb_disk *d, struct ibb_package *p, struct ibb_error *err)
{
	IBB_AUTO(ibb_volume_close) struct ibb_volume *v = NULL;
	IBB_AUTO(ibb_facts_free) struct ibb_facts *f = NULL;
	IBB_AUTO(ibb_plan_free) struct ibb_plan *plan = NULL;
	struct ibb_removal x = {0};
	struct ibb_applied a = {0};
	int r = ibb_volume_open_ntfs(d, true, &v, err);

	if (!r)
		r = ibb_facts_read(v, false, &f, err);
	if (!r)
		r = ibb_facts_check(f, false, err);
	if (!r && !p) {
		x.package = staged_as(f, "oem0.inf");
		r = ibb_facts_store_files(x.package, v, &x.files, err);
	}
	if (!r)
		r = ibb_plan_build_changes(f, &p, p ? 1 : 0, &x, p ? 0 : 1,
					   &(struct ibb_plan_opts){.unix_time = NOW}, &plan, err);
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
	ibb_removal_clear(&x);
	return r;
}

static void make_volume(struct ntfs *x)
{
	struct mkimage m = {.size = 24u << 20,
			    .sector = 512,
			    .table = MKIMAGE_NONE,
			    .seed = 1,
			    .unix_time = WINTREE_TIME,
			    .windows = {.seed = 1, .hives = wintree_spec("server2022")}};
	struct mkimage_layout layout;
	struct ibb_error err = {0};
	struct ibb_file_id id;
	char path[600];
	int r;

	*x = (struct ntfs){0};
	snprintf(path, sizeof(path), "%s/volume.raw", test_dir());
	unlink(path);
	r = mkimage(path, &m, &layout, &err);
	if (r == IBB_E_NOTFOUND) {
		print_message("SKIPPED: %s\n", err.msg);
		skip();
	}
	assert_ok(r, err);
	assert_ok(ibb_disk_file_open(path, &id, &x->file, &err), err);
	x->p = package("x.inf", NULL, one_shared, 2, MKPKG_NET);
	assert_ok(ibb_disk_overlay_new(x->file, 1u << 30, &x->staged, &err), err);
	assert_ok(change_volume(x->staged, x->p, &err), err);
	expect_sound(x->staged);
}

static void drop_volume(struct ntfs *x)
{
	ibb_disk_unref(x->staged);
	ibb_disk_unref(x->file);
	ibb_package_free(x->p);
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

static void reads_fail(void **state)
{
	struct ibb_sha256 good, d;
	long total = 0, stride = 1, errors = 0;
	struct ntfs x;

	(void)state;
	make_volume(&x);
	for (long n = -1; n < total; n += n < 0 ? 1 : stride) {
		struct ibb_fault fault = {.fail_at = {n, -1, -1}, .cut_after = -1, .os_errno = EIO};
		struct ibb_disk *faulty = NULL, *overlay = NULL;
		struct ibb_error err = {0};
		int r;

		assert_ok(ibb_disk_fault_new(x.staged, &fault, &faulty, &err), err);
		assert_ok(ibb_disk_overlay_new(faulty, 1u << 30, &overlay, &err), err);
		r = change_volume(overlay, NULL, &err);
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
	drop_volume(&x);
}

/* Every write and every flush fails once: never success. */
static void writes_fail(void **state)
{
	struct ntfs x;

	(void)state;
	make_volume(&x);
	for (int kind = IBB_FAULT_WRITE; kind <= IBB_FAULT_FLUSH; kind++) {
		long total = 0;

		for (long n = -1; n < total; n++) {
			struct ibb_fault fault = {
				.fail_at = {-1, -1, -1}, .cut_after = -1, .os_errno = EIO};
			struct ibb_disk *faulty = NULL, *overlay = NULL;
			struct ibb_error err = {0};
			int r;

			fault.fail_at[kind] = n;
			assert_ok(ibb_disk_overlay_new(x.staged, 1u << 30, &overlay, &err), err);
			assert_ok(ibb_disk_fault_new(overlay, &fault, &faulty, &err), err);
			r = change_volume(faulty, NULL, &err);
			if (n < 0) {
				assert_ok(r, err);
				total = fault.count[kind];
				assert_true(total > 0);
			} else if (!r) {
				fail_msg("operation %ld of kind %d failed: success", n, kind);
			}
			ibb_disk_unref(faulty);
			ibb_disk_unref(overlay);
		}
	}
	drop_volume(&x);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(one_package),
		cmocka_unit_test(several_packages),
		cmocka_unit_test(real_hive),
		cmocka_unit_test(real_package),
		cmocka_unit_test(precompiled_infs),
		cmocka_unit_test(installed_package),
		cmocka_unit_test(shared_ids),
		cmocka_unit_test(keys_of_others),
		cmocka_unit_test(gaps_are_used_again),
		cmocka_unit_test(length_of_the_map),
		cmocka_unit_test(no_map),
		cmocka_unit_test(versions_side_by_side),
		cmocka_unit_test(replacing),
		cmocka_unit_test(identical_twice),
		cmocka_unit_test(same_name_twice),
		cmocka_unit_test(in_use),
		cmocka_unit_test(in_use_without_a_device),
		cmocka_unit_test(contradictions),
		cmocka_unit_test(names_that_lead_astray),
		cmocka_unit_test(name_of_another_form),
		cmocka_unit_test(missing_files),
		cmocka_unit_test(links),
		cmocka_unit_test(circle_of_keys),
		cmocka_unit_test(keys_too_deep),
		cmocka_unit_test(preconditions),
		cmocka_unit_test(record_of_what_was_removed),
		cmocka_unit_test(out_of_memory),
		cmocka_unit_test(reads_fail),
		cmocka_unit_test(writes_fail),
	};

	return cmocka_run_group_tests(tests, test_dir_setup, test_dir_teardown) ? 1 : 0;
}
