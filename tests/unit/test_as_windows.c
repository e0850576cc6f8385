/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * As Windows did it: what staging writes, beside what Windows itself recorded for the same packages
 * in real hives; and the rules that staging follows, held against everything that Windows staged.
 */
#include "plan/plan.h"

#include "disktest.h"
#include "test.h"

#include "base/guid.h"
#include "base/le.h"
#include "base/time.h"
#include "plan_fixture.h"

#define WHQL_NAME     "Microsoft Windows Hardware Compatibility Publisher"
#define BOOT_CRITICAL "Properties\\{6a3433f4-5626-40e8-a9b9-dbd9ecd2884b}\\0003"
#define EXTENSION     "{e2f84ce7-8efa-411c-aa69-97454ca4cb57}"
#define DAY	      864000000000ull /* a FILETIME counts 100 ns */

/* ---- records ---- */

/* The values of one or several keys, each with its path below DriverDatabase. */
struct value {
	char *key, *name;
	uint32_t type;
	struct ibb_buf data;
};
struct record {
	struct value list[64];
	size_t n;
};

static void drop_record(struct record *r)
{
	while (r->n) {
		struct value *v = &r->list[--r->n];

		free(v->key);
		free(v->name);
		ibb_buf_clear(&v->data);
	}
}

static void add_value(struct record *r, const char *key, const char *name, uint32_t type,
		      const void *data, size_t n)
{
	struct value *v = &r->list[r->n++];

	assert_true(r->n <= IBB_ARRAY_SIZE(r->list));
	*v = (struct value){.key = strdup(key), .name = strdup(name), .type = type};
	assert_int_equal(ibb_buf_append(&v->data, data, n), 0);
}

static const struct value *find_in(const struct record *r, const char *key, const char *name)
{
	for (size_t i = 0; i < r->n; i++)
		if (ibb_caseeq(r->list[i].key, key) && ibb_caseeq(r->list[i].name, name))
			return &r->list[i];
	return NULL;
}

struct gather {
	struct record *r;
	const struct ibb_hive *h;
	const char *path; /* of the key, as it is to be recorded */
	const char *only; /* values of this name; NULL: all */
	bool deep;
};

static int gather_value(void *ctx, const struct ibb_value *v, struct ibb_error *err)
{
	struct gather *g = ctx;

	(void)err;
	if (!g->only || ibb_caseeq(v->name, g->only))
		add_value(g->r, g->path, v->name, v->type, v->data, v->size);
	return IBB_OK;
}

static int gather_key(void *ctx, ibb_key k, const char *name, struct ibb_error *err)
{
	struct gather *up = ctx, g = *up;
	char path[600];
	int r;

	snprintf(path, sizeof(path), "%s\\%s", up->path, name);
	g.path = path;
	r = ibb_hive_values(g.h, k, gather_value, &g, err);
	return r || !g.deep ? r : ibb_hive_subkeys(g.h, k, gather_key, &g, err);
}

/* Values of the key `path` below DriverDatabase, recorded as of `as`; with `deep` those below. */
static void gather(struct record *r, struct ibb_hive *h, const char *path, const char *as,
		   const char *only, bool deep)
{
	struct gather g = {r, h, as, only, deep};
	struct ibb_error err = {0};
	char full[600];
	ibb_key k;

	snprintf(full, sizeof(full), DB "\\%s", path);
	assert_ok(ibb_hive_find(h, ibb_hive_root(h), full, &k, &err), err);
	assert_ok(ibb_hive_values(h, k, gather_value, &g, &err), err);
	if (deep)
		assert_ok(ibb_hive_subkeys(h, k, gather_key, &g, &err), err);
}

static struct ibb_hive *real_hive(const char *rel)
{
	struct ibb_hive *h = NULL;
	struct ibb_buf b = {0};
	struct ibb_error err = {0};
	uint32_t x = 0;

	TEST_DATA_OR_SKIP(rel, &b);
	/* One was taken out of a running Windows and lacks its logs: good enough to be read. */
	ibb_put_le32(b.data + 8, ibb_get_le32(b.data + 4));
	for (size_t i = 0; i < 508; i += 4)
		x ^= ibb_get_le32(b.data + i);
	ibb_put_le32(b.data + 508, x == 0 ? 1 : x == UINT32_MAX ? UINT32_MAX - 1 : x);
	assert_ok(ibb_hive_open(rel, &b, &h, &err), err);
	return h;
}

/* ---- the packages of a node ---- */

struct packages {
	struct {
		char *name, *published;
	} list[400];
	size_t n;
	const struct ibb_hive *h;
};

static int add_package(void *ctx, ibb_key k, const char *name, struct ibb_error *err)
{
	struct packages *p = ctx;
	unsigned number;
	char *published;
	int r = ibb_hive_get_string(p->h, k, "", "", &published, err);

	if (r)
		return r;
	if (!ibb_oem_number(published, ".inf", &number)) {
		free(published);
		return IBB_OK;
	}
	assert_true(p->n < IBB_ARRAY_SIZE(p->list));
	p->list[p->n].name = strdup(name);
	p->list[p->n++].published = published;
	return IBB_OK;
}

/* Those that did not come with Windows. */
static void oem_packages(struct ibb_hive *h, struct packages *ret)
{
	struct ibb_error err = {0};
	ibb_key k;

	*ret = (struct packages){.h = h};
	assert_ok(ibb_hive_find(h, ibb_hive_root(h), DB "\\DriverPackages", &k, &err), err);
	assert_ok(ibb_hive_subkeys(h, k, add_package, ret, &err), err);
}

static void drop_packages(struct packages *p)
{
	while (p->n) {
		p->n--;
		free(p->list[p->n].name);
		free(p->list[p->n].published);
	}
}

/* Everything that the database says of one package, under the names "P" and "I". */
static void record_of(struct ibb_hive *h, const char *name, const char *published,
		      struct record *ret)
{
	char path[600];

	*ret = (struct record){.n = 0};
	snprintf(path, sizeof(path), "DriverPackages\\%s", name);
	gather(ret, h, path, "P", NULL, false);
	snprintf(path, sizeof(path), "DriverInfFiles\\%s", published);
	gather(ret, h, path, "I", NULL, false);
	gather(ret, h, "DeviceIds", "D", published, true);
}

/* ---- beside what Windows wrote ---- */

static char *text_of(const struct value *v)
{
	char *s = ibb_utf8_from_utf16le(v->data.data, v->data.len);

	assert_non_null(s);
	/* one NUL at the end, two of a list */
	assert_int_equal(v->data.len, 2 * strlen(s) + (v->type == IBB_REG_MULTI_SZ ? 4 : 2));
	return s;
}

static void same_text(const struct value *v, const char *want)
{
	char *s = text_of(v);

	if (strcmp(s, want) != 0)
		fail_msg("%s value '%s': '%s', not '%s'", v->key, v->name, s, want);
	free(s);
}

/* What names the package itself, and so differs with its digits and its number. */
static const char *own_text(const struct value *v, const char *name, const char *published)
{
	if (ibb_caseeq(v->key, "P"))
		return *v->name ? NULL : published;
	return ibb_caseeq(v->key, "I") ? name : NULL;
}

/* `a` is Windows', of package an/ap, `b` ours, of bn/bp: equal but for version, date, time and
 * place, and the provider where the INF of the two versions names another one. */
static void same_value(const struct value *a, const char *an, const char *ap, const struct value *b,
		       const char *bn, const char *bp, const char *provider)
{
	assert_int_equal(b->type, a->type);
	if (own_text(a, an, ap)) {
		same_text(a, own_text(a, an, ap));
		same_text(b, own_text(b, bn, bp));
	} else if (strcmp(a->name, "Version") == 0) {
		assert_int_equal(a->data.len, 48);
		assert_int_equal(b->data.len, 48);
		assert_memory_equal(b->data.data, a->data.data, 24);
		assert_memory_equal(b->data.data + 40, a->data.data + 40, 8);
		assert_true(ibb_get_le64(b->data.data + 24) > ibb_get_le64(a->data.data + 24));
		assert_true(ibb_get_le64(b->data.data + 32) > ibb_get_le64(a->data.data + 32));
	} else if (strcmp(a->name, "ImportDate") == 0) {
		assert_int_equal(a->data.len, 8);
		assert_int_equal(b->data.len, 8);
	} else if (strcmp(a->name, "OemPath") == 0) {
		char *ta = text_of(a), *tb = text_of(b);

		assert_true(ta[1] == ':' && tb[1] == ':' && ta[strlen(ta) - 1] != '\\' &&
			    tb[strlen(tb) - 1] != '\\');
		free(ta);
		free(tb);
	} else if (strcmp(a->name, "Provider") == 0 && provider) {
		same_text(b, provider);
	} else if (a->data.len != b->data.len ||
		   (a->data.len && memcmp(a->data.data, b->data.data, a->data.len) != 0)) {
		fail_msg("%s value '%s' differs from Windows' own", a->key, a->name);
	}
}

/* The values that the plan sets, as record_of() would read them. */
static void record_of_plan(const struct ibb_plan *p, struct record *ret)
{
	const struct ibb_plan_package *pp = &p->packages[0];
	char package[300], inf[100];

	*ret = (struct record){.n = 0};
	snprintf(package, sizeof(package), DB "\\DriverPackages\\%s", pp->name);
	snprintf(inf, sizeof(inf), DB "\\DriverInfFiles\\%s", pp->published);
	for (size_t i = 0; i < p->n_ops; i++) {
		const struct ibb_op *op = &p->ops[i];
		char key[600];

		if (op->kind != IBB_OP_VALUE || op->hive != ibb_node_hive(pp->node))
			continue;
		if (ibb_caseeq(op->key, package))
			snprintf(key, sizeof(key), "P");
		else if (ibb_caseeq(op->key, inf))
			snprintf(key, sizeof(key), "I");
		else if (ibb_case_prefix(op->key, DB "\\DeviceIds\\"))
			snprintf(key, sizeof(key), "D%s", op->key + strlen(DB "\\DeviceIds"));
		else
			continue; /* of the whole database */
		add_value(ret, key, op->value, op->type, op->data.data, op->data.len);
	}
}

static const char *inf_of(const struct record *r)
{
	const struct value *v = find_in(r, "P", "InfName");
	static char text[64];
	char *s;

	assert_non_null(v);
	s = text_of(v);
	snprintf(text, sizeof(text), "%s", s);
	free(s);
	return text;
}

/* Compare our plan with what the hive holds for the INF; configuring is not staging. */
static void as_in(const char *hive, const char *inf, const struct ibb_plan *plan,
		  const char *provider)
{
	const struct ibb_plan_package *pp = &plan->packages[0];
	struct ibb_hive *h = real_hive(hive);
	struct record ours, windows;
	struct packages p;
	bool found = false;

	record_of_plan(plan, &ours);
	oem_packages(h, &p);
	for (size_t i = 0; i < p.n; i++) {
		const char *name = p.list[i].name, *published = p.list[i].published;
		size_t configured = 0;

		record_of(h, name, published, &windows);
		if (!ibb_caseeq(inf_of(&windows), inf)) {
			drop_record(&windows);
			continue;
		}
		found = true;
		for (size_t k = 0; k < windows.n; k++) {
			const struct value *a = &windows.list[k], *b;
			bool on_id = a->key[0] == 'D';

			if (strcmp(a->key, "I") == 0 && strcmp(a->name, "Configurations") == 0) {
				configured++;
				continue;
			}
			b = find_in(&ours, a->key, on_id ? pp->published : a->name);
			if (!b)
				fail_msg("%s: Windows has %s value '%s', the plan has not", hive,
					 a->key, a->name);
			same_value(a, name, published, b, pp->name, pp->published, provider);
		}
		assert_int_equal(ours.n, windows.n - configured);
		drop_record(&windows);
	}
	if (!found)
		fail_msg("%s has no package %s", hive, inf);
	drop_packages(&p);
	drop_record(&ours);
	ibb_hive_close(h);
}

/* The plan that stages a real package; a service that starts at boot makes no difference to it. */
static void stage_real(struct fx *x, const char *release, const char *dir, const char *inf)
{
	struct winhives_spec s = wintree_spec(release);
	struct ibb_inf_target t = {IBB_ARCH_AMD64,
				   s.win->major,
				   s.win->minor,
				   s.win->build,
				   strcmp(s.win->product_type, "WinNT") == 0 ? 1 : 3,
				   0};

	*x = (struct fx){0};
	x->p = pkgtest_real(dir, inf, &t);
	if (!x->p)
		skip();
	x->p->boot_start_service = false;
	wintree_make(&x->t, test_dir(), &s);
	fx_facts(x);
	fx_plan(x);
}

/* Staged by VMware Tools on two Windows without such a device: nothing was configured. */
static void pvscsi(void **state)
{
	struct fx x;

	(void)state;
	stage_real(&x, "server2022", "pvscsi-1.3.28", "pvscsi.inf");
	assert_int_equal(x.plan->packages[0].node, IBB_NODE_SYSTEM);
	/* the company was bought between the versions: INF line 205 */
	as_in("hives/win10-1903-dirty-no-logs/SYSTEM", "pvscsi.inf", x.plan, "Broadcom Inc.");
	as_in("hives/win10-19041/SYSTEM", "pvscsi.inf", x.plan, "Broadcom Inc.");
	fx_close(&x);
}

static void vmci(void **state)
{
	struct fx x;

	(void)state;
	stage_real(&x, "win10-19041", "vmci-9.8.18", "vmci.inf");
	assert_int_equal(x.plan->packages[0].node, IBB_NODE_SYSTEM);
	as_in("hives/win10-1903-dirty-no-logs/SYSTEM", "vmci.inf", x.plan, NULL);
	as_in("hives/win10-19041/SYSTEM", "vmci.inf", x.plan, NULL);
	fx_close(&x);
}

/* New keys in a real hive are protected as those that Windows made beside them. */
static void security(void **state)
{
	static const char *const beside[][2] = {
		{DB "\\DriverPackages\\vmci.inf_amd64_5e38a278d114b813", NULL},
		{DB "\\DriverInfFiles\\oem2.inf", DB "\\DriverInfFiles\\oem9.inf"},
	};
	struct ibb_buf system = {0};
	struct ibb_error err = {0};
	struct ibb_bytes theirs, ours;
	struct ibb_hive *h;
	char key[300];
	ibb_key k;
	struct fx x;

	(void)state;
	TEST_DATA_OR_SKIP("hives/win10-19041/SYSTEM", &system);
	stage_real(&x, "win10-19041", "vmci-9.8.18", "vmci.inf");
	wintree_put(&x.t, WINTREE_CONFIG "/SYSTEM", system.data, system.len);
	fx_facts(&x);
	fx_plan(&x);
	snprintf(key, sizeof(key), DB "\\DriverPackages\\%s", x.plan->packages[0].name);
	fx_apply(&x);
	h = wintree_hive(&x.t, "SYSTEM");
	for (size_t i = 0; i < IBB_ARRAY_SIZE(beside); i++) {
		assert_ok(ibb_hive_find(h, ibb_hive_root(h), beside[i][0], &k, &err), err);
		assert_ok(ibb_hive_get_security(h, k, &theirs, &err), err);
		assert_ok(ibb_hive_find(h, ibb_hive_root(h), beside[i][1] ? beside[i][1] : key, &k,
					&err),
			  err);
		assert_ok(ibb_hive_get_security(h, k, &ours, &err), err);
		assert_int_equal(ours.len, theirs.len);
		assert_memory_equal(ours.data, theirs.data, ours.len);
	}
	ibb_hive_close(h);
	ibb_buf_clear(&system);
	fx_close(&x);
}

/* ---- the rules, held against everything that was staged ---- */

/* What is known of the Windows that the node belongs to. */
struct node {
	struct ibb_hive *h, *system;
	const char *name; /* SYSTEM, DRIVERS */
	struct ibb_store_fields fields;
	struct ibb_bytes map; /* OemInfMap */
	const char *control_set;
};

static void rule(bool ok, const char *name, const char *what)
{
	if (!ok)
		fail_msg("%s: %s", name, what);
}

static const struct value *must(const struct record *r, const char *package, const char *name,
				uint32_t type)
{
	const struct value *v = find_in(r, "P", name);

	rule(v && v->type == type, package, name);
	return v;
}

static void check_version(const struct node *n, const struct record *r, const char *package,
			  char guid[IBB_GUID_STR_SIZE])
{
	const struct value *v = must(r, package, "Version", IBB_REG_BINARY);
	struct ibb_version_blob b;
	uint8_t again[IBB_VERSION_BLOB_SIZE];
	struct ibb_error err = {0};
	struct ibb_buf data = {0};
	char key[300];
	uint32_t type;
	bool critical;
	ibb_key k;
	int rc;

	rule(v->data.len == IBB_VERSION_BLOB_SIZE, package, "length of Version");
	ibb_version_blob_decode(v->data.data, &b);
	ibb_version_blob_encode(&b, again);
	rule(memcmp(again, v->data.data, sizeof(again)) == 0, package, "Version, encoded again");
	rule(!b.inbox && b.published && b.arch == 9 && !b.locale && !b.class_version, package,
	     "fixed fields of Version");
	rule(b.date % DAY == 0, package, "the date has a time of day");
	ibb_guid_format(&b.class_guid, guid);
	/* the class decides on the node */
	snprintf(key, sizeof(key), "%s\\Control\\Class\\%s\\" BOOT_CRITICAL, n->control_set, guid);
	rc = ibb_hive_find(n->system, ibb_hive_root(n->system), key, &k, &err);
	if (!rc)
		rc = ibb_hive_get(n->system, k, "", &type, &data, &err);
	critical = (!rc && data.len && data.data[0] == 0xff) || strcmp(guid, EXTENSION) == 0;
	rule(critical == (strcmp(n->name, "SYSTEM") == 0), package, "the class is of another node");
	ibb_buf_clear(&data);
}

static void check_package_key(const struct node *n, const struct record *r, const char *package,
			      const char *published)
{
	static const struct {
		const char *name;
		uint32_t type;
	} known[] = {
		{"", IBB_REG_SZ},
		{"Version", IBB_REG_BINARY},
		{"Provider", IBB_REG_SZ},
		{"SignerName", IBB_REG_SZ},
		{"SignerScore", IBB_REG_DWORD},
		{"StatusFlags", IBB_REG_DWORD},
		{"InfName", IBB_REG_SZ},
		{"OemPath", IBB_REG_SZ},
		{"ImportDate", IBB_REG_BINARY},
		{"Catalog", IBB_REG_SZ},
		{"NeedsReconfig", IBB_REG_DWORD}, /* marked after the staging */
	};
	const struct value *v;
	char *inf = text_of(must(r, package, "InfName", IBB_REG_SZ));

	for (size_t i = 0; i < r->n; i++) {
		bool found = r->list[i].key[0] != 'P';

		for (size_t k = 0; k < IBB_ARRAY_SIZE(known) && !found; k++)
			found = ibb_caseeq(r->list[i].name, known[k].name) &&
				r->list[i].type == known[k].type;
		rule(found, package, r->list[i].name);
	}
	rule(ibb_store_package_name_ok(package), package, "form of the name");
	rule(ibb_case_prefix(package, inf) && package[strlen(inf)] == '_', package, "InfName");
	for (const char *c = package; *c; c++)
		rule(*c < 'A' || *c > 'Z', package, "upper case");
	free(inf);
	same_text(must(r, package, "", IBB_REG_SZ), published);
	free(text_of(must(r, package, "Provider", IBB_REG_SZ)));
	free(text_of(must(r, package, "OemPath", IBB_REG_SZ)));
	v = find_in(r, "P", "ImportDate");
	rule(!!v == n->fields.import_date && (!v || v->data.len == 8), package, "ImportDate");
	v = must(r, package, "SignerScore", IBB_REG_DWORD);
	rule(find_in(r, "P", "SignerName") ||
		     ibb_get_le32(v->data.data) == IBB_SIGNER_SCORE_UNSIGNED,
	     package, "SignerName");
	rule(!!find_in(r, "P", "Catalog") ==
		     (n->fields.catalog && find_in(r, "P", "SignerName") != NULL),
	     package, "Catalog");
	v = find_in(r, "P", "StatusFlags");
	rule(!v || (ibb_get_le32(v->data.data) & ~0x11eu) == 0, package, "StatusFlags");
	rule(!v || ibb_get_le32(v->data.data) != 0, package, "StatusFlags 0 is not written");
}

/* SignerName and SignerScore agree. */
static void check_signer(const struct record *r, const char *package)
{
	const struct value *name = find_in(r, "P", "SignerName");
	struct ibb_package p = {.signed_ = name != NULL};
	char *text = name ? text_of(name) : strdup("");

	/* a catalog of Microsoft's hardware publisher has one of these uses, see test_signer.c */
	p.signer.whql = strcmp(text, WHQL_NAME) == 0;
	snprintf(p.signer.name, sizeof(p.signer.name), "%s", text);
	rule(ibb_get_le32(find_in(r, "P", "SignerScore")->data.data) == ibb_store_signer_score(&p),
	     package, "SignerScore");
	free(text);
}

struct sections {
	struct ibb_buf list; /* as a REG_MULTI_SZ without its last NUL */
};

static int add_section(void *ctx, ibb_key k, const char *name, struct ibb_error *err)
{
	struct sections *s = ctx;

	(void)k;
	(void)err;
	assert_int_equal(ibb_utf16le_append(&s->list, name), 0);
	return ibb_buf_append_zero(&s->list, 2);
}

/* The list of configurations names the subkeys of Configurations. Only a package that the kernel
 * cannot configure (Version says why) may have been configured without leaving any. */
static void check_configurations(const struct node *n, const struct record *r, const char *package)
{
	const struct value *v = find_in(r, "I", "Configurations");
	struct sections s = {0};
	struct ibb_error err = {0};
	char key[300];
	ibb_key k;

	snprintf(key, sizeof(key), DB "\\DriverPackages\\%s\\Configurations", package);
	if (ibb_hive_find(n->h, ibb_hive_root(n->h), key, &k, &err)) {
		rule(!v || ibb_get_le32(find_in(r, "P", "Version")->data.data + 40), package,
		     "Configurations lacks");
		return;
	}
	assert_ok(ibb_hive_subkeys(n->h, k, add_section, &s, &err), err);
	rule(v && v->type == IBB_REG_MULTI_SZ && v->data.len == s.list.len + 2, package,
	     "length of the list of configurations");
	for (size_t at = 0, len; at < s.list.len; at += len) {
		bool found = false;

		for (len = 0; ibb_get_le16(s.list.data + at + len);)
			len += 2;
		len += 2;
		for (size_t i = 0; i + len <= v->data.len && !found; i += 2)
			found = memcmp(v->data.data + i, s.list.data + at, len) == 0;
		rule(found, package, "a section is not in the list of configurations");
	}
	ibb_buf_clear(&s.list);
}

static void check_inf_key(const struct node *n, const struct record *r, const char *package)
{
	const struct value *v = find_in(r, "I", "");

	rule(v && v->type == IBB_REG_MULTI_SZ, package, "list of DriverInfFiles");
	same_text(v, package);
	v = find_in(r, "I", "Active");
	rule(v && v->type == IBB_REG_SZ, package, "Active");
	same_text(v, package);
	check_configurations(n, r, package);
	for (size_t i = 0; i < r->n; i++)
		rule(r->list[i].key[0] != 'I' || !*r->list[i].name ||
			     ibb_caseeq(r->list[i].name, "Active") ||
			     ibb_caseeq(r->list[i].name, "Configurations"),
		     package, r->list[i].name);
}

static void check_ids(const struct record *r, const char *package, const char *guid)
{
	char class_key[64];
	size_t classes = 0, ids = 0;

	snprintf(class_key, sizeof(class_key), "D\\%s", guid);
	for (size_t i = 0; i < r->n; i++) {
		const struct value *v = &r->list[i];
		const uint8_t *d = v->data.data;

		if (v->key[0] != 'D')
			continue;
		if (v->type == IBB_REG_NONE) {
			classes++;
			rule(v->data.len == 0 && strcmp(v->key, class_key) == 0, package, v->key);
			continue;
		}
		ids++;
		rule(v->type == IBB_REG_BINARY && v->data.len == 4, package, v->key);
		rule(d[0] == (strcmp(guid, EXTENSION) == 0 ? 3 : 1) || d[0] == 2, package, v->key);
		rule(d[0] == 2 || !ibb_get_le16(d + 2), package, v->key);
	}
	rule(classes == 1, package, "entries of its class");
	rule(ids > 0, package, "device IDs");
}

/* Every descriptor that configuring wrote stands for an ID that staging had indexed. */
static void check_descriptors(const struct node *n, const struct record *r, const char *package)
{
	struct record descriptors = {.n = 0};
	struct ibb_error err = {0};
	char key[300], id[600];
	ibb_key k;

	snprintf(key, sizeof(key), "DriverPackages\\%s\\Descriptors", package);
	snprintf(id, sizeof(id), DB "\\%s", key);
	if (ibb_hive_find(n->h, ibb_hive_root(n->h), id, &k, &err))
		return;
	gather(&descriptors, n->h, key, "D", "Configuration", true);
	rule(descriptors.n > 0, package, "Descriptors without any");
	for (size_t i = 0; i < descriptors.n; i++) {
		bool found = false;

		for (size_t v = 0; v < r->n && !found; v++)
			found = r->list[v].type == IBB_REG_BINARY &&
				ibb_caseeq(r->list[v].key, descriptors.list[i].key);
		rule(found, package, descriptors.list[i].key);
	}
	drop_record(&descriptors);
}

/* StatusFlags has 0x100 if and only if a section includes another INF; as far as one is configured.
 */
static void check_includes(const struct node *n, const struct record *r, const char *package)
{
	const struct value *flags = find_in(r, "P", "StatusFlags");
	struct record included = {.n = 0};
	struct ibb_error err = {0};
	char key[300], full[400];
	ibb_key k;

	snprintf(key, sizeof(key), "DriverPackages\\%s\\Configurations", package);
	snprintf(full, sizeof(full), DB "\\%s", key);
	if (ibb_hive_find(n->h, ibb_hive_root(n->h), full, &k, &err))
		return;
	gather(&included, n->h, key, "C", "IncludedInfs", true);
	rule(!included.n || (flags && (ibb_get_le32(flags->data.data) & 0x100)), package,
	     "IncludedInfs without StatusFlags 0x100");
	drop_record(&included);
}

/* How many packages were looked at. */
static size_t check_node(const struct node *n)
{
	struct packages p;
	size_t count;

	oem_packages(n->h, &p);
	for (size_t i = 0; i < p.n; i++) {
		const char *package = p.list[i].name, *published = p.list[i].published;
		char guid[IBB_GUID_STR_SIZE];
		struct record r;
		unsigned number = 0;

		record_of(n->h, package, published, &r);
		check_version(n, &r, package, guid);
		check_package_key(n, &r, package, published);
		check_signer(&r, package);
		check_inf_key(n, &r, package);
		check_ids(&r, package, guid);
		check_descriptors(n, &r, package);
		check_includes(n, &r, package);
		assert_true(ibb_oem_number(published, ".inf", &number));
		rule(ibb_oem_map_get(n->map, number), package, "OemInfMap");
		drop_record(&r);
	}
	count = p.n;
	drop_packages(&p);
	return count;
}

static void read_map(struct ibb_hive *system, struct ibb_buf *ret)
{
	struct ibb_error err = {0};
	uint32_t type;
	ibb_key k;

	assert_ok(ibb_hive_find(system, ibb_hive_root(system), DB, &k, &err), err);
	assert_ok(ibb_hive_get(system, k, "OemInfMap", &type, ret, &err), err);
	assert_int_equal(type, IBB_REG_BINARY);
}

static void rules_of(const char *rel, unsigned build, size_t n_packages)
{
	struct ibb_inf_target t = {IBB_ARCH_AMD64, 10, 0, build, 1, 0};
	struct ibb_hive *h = real_hive(rel);
	struct node n = {.h = h,
			 .system = h,
			 .name = "SYSTEM",
			 .fields = ibb_store_fields_for(&t),
			 .control_set = "ControlSet001"};
	struct ibb_buf map = {0};

	read_map(h, &map);
	n.map = ibb_buf_bytes(&map);
	assert_int_equal(check_node(&n), n_packages);
	ibb_buf_clear(&map);
	ibb_hive_close(h);
}

static void rules_1709(void **state)
{
	(void)state;
	rules_of("hives/win10-1709-dirty-with-logs/SYSTEM.recovered", 16299, 6);
}

static void rules_1903(void **state)
{
	(void)state;
	rules_of("hives/win10-1903-dirty-no-logs/SYSTEM", 18362, 5);
}

static void rules_19041(void **state)
{
	(void)state;
	rules_of("hives/win10-19041/SYSTEM", 19041, 5);
}

/* The same rules hold for what we stage, on every release. */
static void rules_of_ours(void **state)
{
	static const char *const releases[] = {"server2016", "server2019", "win10-19041",
					       "server2022", "server2025", "win8.1"};

	(void)state;
	for (size_t i = 0; i < IBB_ARRAY_SIZE(releases); i++)
		for (int class = MKPKG_NET; class <= MKPKG_SYSTEM; class ++) {
			struct winhives_spec s = wintree_spec(releases[i]);
			struct mkpkg_opts o = {
				.class = class, .inf_name = "Mixed.Inf", .no_catalog = i == 2};
			struct ibb_buf map = {0};
			struct node n = {.name = class == MKPKG_NET ? "DRIVERS" : "SYSTEM",
					 .control_set = "ControlSet001"};
			struct fx x;

			fx_open(&x, &s, &o);
			n.fields = ibb_store_fields_for(&x.f->target);
			fx_plan(&x);
			fx_apply(&x);
			n.system = wintree_hive(&x.t, "SYSTEM");
			n.h = wintree_hive(&x.t, n.name);
			read_map(n.system, &map);
			n.map = ibb_buf_bytes(&map);
			assert_int_equal(check_node(&n), 1);
			ibb_buf_clear(&map);
			ibb_hive_close(n.system);
			ibb_hive_close(n.h);
			fx_close(&x);
		}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(pvscsi),	 cmocka_unit_test(vmci),
		cmocka_unit_test(security),	 cmocka_unit_test(rules_1709),
		cmocka_unit_test(rules_1903),	 cmocka_unit_test(rules_19041),
		cmocka_unit_test(rules_of_ours),
	};

	return cmocka_run_group_tests(tests, test_dir_setup, test_dir_teardown) ? 1 : 0;
}
