/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Configured packages as Windows recorded them, in real hives. */
#include "driver/configure.h"

#include "test.h"

#include "base/le.h"
#include "base/utf16.h"
#include "hive/hive.h"
#include "pkgtest.h"

static struct ibb_error E;

#define HIVE_19041 "hives/win10-19041/SYSTEM"
#define HIVE_1709  "hives/win10-1709-dirty-with-logs/SYSTEM.recovered"
#define HIVE_1903  "hives/win10-1903-dirty-no-logs/SYSTEM"

/* The 1903 hive is dirty without logs; what these tests read of it is sound. Make it clean. */
static void make_clean(struct ibb_buf *b)
{
	uint32_t sum = 0;

	memcpy(b->data + 8, b->data + 4, 4); /* second sequence number */
	for (size_t i = 0; i < 508; i += 4)
		sum ^= ibb_get_le32(b->data + i);
	ibb_put_le32(b->data + 508, sum == 0 ? 1 : sum == UINT32_MAX ? UINT32_MAX - 1 : sum);
}

static struct ibb_hive *open_hive(const char *rel)
{
	struct ibb_hive *h = NULL;
	struct ibb_buf b = {0};

	TEST_DATA_OR_SKIP(rel, &b);
	if (strcmp(rel, HIVE_1903) == 0)
		make_clean(&b);
	assert_ok(ibb_hive_open(rel, &b, &h, &E), E);
	return h;
}

/* ---- a part of a hive as a list of values ---- */

struct list {
	struct ibb_arena *a;
	struct ibb_configure_values v;
	const struct ibb_hive *h;
	const char *key;
	bool empty;
};

static int take_value(void *ctx, const struct ibb_value *v, struct ibb_error *err)
{
	struct list *l = ctx;
	struct ibb_configure_value x = {.key = l->key, .type = v->type};
	uint8_t *p = ibb_arena_alloc(l->a, v->size);

	(void)err;
	assert_non_null(p);
	if (v->size)
		memcpy(p, v->data, v->size);
	x.name = ibb_arena_strdup(l->a, v->name);
	assert_non_null(x.name);
	x.data = (struct ibb_bytes){p, v->size};
	assert_int_equal(ibb_grow(&l->v.items, &l->v.cap, l->v.n, sizeof(x)), 0);
	l->v.items[l->v.n++] = x;
	l->empty = false;
	return 0;
}

static void take_key(struct list *l, ibb_key k, const char *path);

static int take_subkey(void *ctx, ibb_key k, const char *name, struct ibb_error *err)
{
	struct list *l = ctx;
	const char *key = l->key;

	(void)err;
	take_key(l, k,
		 *key ? ibb_arena_printf(l->a, "%s\\%s", key, name) : ibb_arena_strdup(l->a, name));
	l->key = key;
	l->empty = false;
	return 0;
}

static void take_key(struct list *l, ibb_key k, const char *path)
{
	assert_non_null(path);
	l->key = path;
	l->empty = true;
	assert_ok(ibb_hive_values(l->h, k, take_value, l, &E), E);
	assert_ok(ibb_hive_subkeys(l->h, k, take_subkey, l, &E), E);
	if (l->empty) {
		struct ibb_configure_value x = {.key = path, .op = IBB_CONFIGURE_KEY};

		assert_int_equal(ibb_grow(&l->v.items, &l->v.cap, l->v.n, sizeof(x)), 0);
		l->v.items[l->v.n++] = x;
	}
	l->empty = false;
}

static void take_path(struct list *l, ibb_key from, const char *path, const char *as)
{
	ibb_key k;

	if (ibb_hive_find(l->h, from, path, &k, &E) == IBB_OK)
		take_key(l, k, ibb_arena_strdup(l->a, as));
}

static void take_record(struct list *l, ibb_key package)
{
	take_path(l, package, "Configurations", "Configurations");
	take_path(l, package, "Descriptors", "Descriptors");
	take_path(l, package, "Strings", "Strings");
}

/* ---- comparing lists ---- */

static int by_place(const void *pa, const void *pb)
{
	const struct ibb_configure_value *a = pa, *b = pb;
	int r = ibb_casecmp(a->key, b->key);

	return r ? r : ibb_casecmp(a->name ? a->name : "\x01", b->name ? b->name : "\x01");
}

static void same_value(const struct ibb_configure_value *got,
		       const struct ibb_configure_value *want)
{
	const char *name = want->name ? want->name : "(key)";

	if (strcmp(got->key, want->key) != 0 || !got->name != !want->name ||
	    (got->name && strcmp(got->name, want->name) != 0))
		fail_msg("got %s '%s', wanted %s '%s'", got->key, got->name ? got->name : "(key)",
			 want->key, name);
	if (got->type != want->type || got->data.len != want->data.len ||
	    (want->data.len && memcmp(got->data.data, want->data.data, want->data.len) != 0))
		fail_msg("%s '%s': type 0x%x of %zu bytes, wanted 0x%x of %zu, or other bytes",
			 want->key, name, got->type, got->data.len, want->type, want->data.len);
}

static void sort(struct ibb_configure_values *v)
{
	if (v->n)
		qsort(v->items, v->n, sizeof(*v->items), by_place);
}

static void same_values(struct ibb_configure_values *got, struct ibb_configure_values *want)
{
	size_t n = got->n < want->n ? got->n : want->n;

	sort(got);
	sort(want);
	for (size_t i = 0; i < n; i++)
		same_value(&got->items[i], &want->items[i]);
	assert_int_equal(got->n, want->n);
}

/* ---- every configured package: decode, encode, the same ---- */

struct census {
	const struct ibb_hive *h;
	unsigned packages, sections, descriptors, strings;
	/* ConfigScope against what else is recorded */
	unsigned scoped, service, service_without, hw, hw_without, interfaces, wdf;
};

static bool has_area(const struct ibb_config_section *s, const char *area)
{
	for (size_t i = 0; i < s->values.n; i++)
		if (ibb_case_prefix(s->values.items[i].key, area))
			return true;
	return false;
}

/* What ConfigScope says must be there for the rest to come from. */
static void count_scope(struct census *c, const struct ibb_config_section *s)
{
	bool hw = has_area(s, "Device") || s->upper_filters.n || s->lower_filters.n;

	assert_true(s->has_scope && s->has_flags);
	assert_int_equal(s->scope & ~(IBB_CONFIG_SCOPE_MAIN | IBB_CONFIG_SCOPE_HW |
				      IBB_CONFIG_SCOPE_SERVICES | IBB_CONFIG_SCOPE_INTERFACES |
				      IBB_CONFIG_SCOPE_WDF),
			 0);
	assert_true(s->scope & IBB_CONFIG_SCOPE_MAIN);
	c->scoped++;
	c->service += s->service != NULL;
	c->service_without += s->service && !(s->scope & IBB_CONFIG_SCOPE_SERVICES);
	c->hw += hw;
	c->hw_without += hw && !(s->scope & IBB_CONFIG_SCOPE_HW);
	c->interfaces += has_area(s, "Interfaces") && (s->scope & IBB_CONFIG_SCOPE_INTERFACES);
	c->wdf += (s->scope & IBB_CONFIG_SCOPE_WDF) != 0;
	if (has_area(s, "Services\\"))
		assert_true(s->scope & IBB_CONFIG_SCOPE_SERVICES);
}

static int package_round_trip(void *ctx, ibb_key k, const char *name, struct ibb_error *err)
{
	struct census *c = ctx;
	struct ibb_config_record rec = {0};
	struct ibb_configure_values again = {0};
	struct ibb_arena a = {0};
	struct list l = {.a = &a, .h = c->h};

	(void)err;
	take_record(&l, k);
	if (l.v.n) {
		c->packages++;
		if (ibb_config_record_decode(l.v.items, l.v.n, &a, &rec, &E))
			fail_msg("%s: %s", name, E.msg);
		assert_ok(ibb_config_record_encode(&rec, &a, &again, &E), E);
		same_values(&again, &l.v);
		for (size_t i = 0; i < rec.n_sections; i++)
			count_scope(c, &rec.sections[i]);
		c->sections += (unsigned)rec.n_sections;
		c->descriptors += (unsigned)rec.n_descriptors;
		c->strings += (unsigned)rec.n_strings;
	}
	ibb_config_record_clear(&rec);
	free(again.items);
	free(l.v.items);
	ibb_arena_clear(&a);
	return 0;
}

static struct census census(const char *rel)
{
	struct ibb_hive *h = open_hive(rel);
	struct census c = {.h = h};
	ibb_key k;

	assert_ok(ibb_hive_find(h, ibb_hive_root(h), "DriverDatabase\\DriverPackages", &k, &E), E);
	assert_ok(ibb_hive_subkeys(h, k, package_round_trip, &c, &E), E);
	ibb_hive_close(h);
	return c;
}

/* Counted apart from this code, with another hive reader. */
static void test_round_trip(void **state)
{
	static const struct {
		const char *hive;
		unsigned sections;
		/* Device values without .HW: sdflauncher, whose framework section makes them */
		unsigned hw_without;
	} t[] = {
		{HIVE_19041, 709, 1},
		{HIVE_1709, 685, 1},
		{HIVE_1903, 704, 1},
	};
	unsigned packages = 0, descriptors = 0;

	(void)state;
	for (size_t i = 0; i < IBB_ARRAY_SIZE(t); i++) {
		struct census c = census(t[i].hive);

		assert_int_equal(c.sections, t[i].sections);
		assert_int_equal(c.scoped, t[i].sections);
		assert_int_equal(c.service_without, 0);
		assert_int_equal(c.hw_without, t[i].hw_without);
		assert_int_equal(c.interfaces, 1);
		assert_true(c.service > 600 && c.hw > 400 && c.wdf > 5);
		packages += c.packages;
		descriptors += c.descriptors;
	}
	assert_int_equal(packages, 594);
	assert_int_equal(descriptors, 13945);
}

/* ---- mlx4_bus ---- */

static ibb_key find_package(struct ibb_hive *h, const char *name)
{
	ibb_key k;

	assert_ok(ibb_hive_find(h, ibb_hive_root(h), "DriverDatabase\\DriverPackages", &k, &E), E);
	assert_ok(ibb_hive_find(h, k, name, &k, &E), E);
	return k;
}

static const struct ibb_configure_value *value(const struct ibb_configure_values *v,
					       const char *key, const char *name)
{
	for (size_t i = 0; i < v->n; i++)
		if (v->items[i].name && strcmp(v->items[i].key, key) == 0 &&
		    strcmp(v->items[i].name, name) == 0)
			return &v->items[i];
	fail_msg("no %s '%s'", key, name);
	return NULL;
}

static void test_mlx4_bus(void **state)
{
	static const char *const names[] = {
		"MLX4BUS.DDInstall.NTamd64", "MLX4BUS_ExtendedHWID.DDInstall.NTamd64",
		"MLX4BUS_ExtendedHWID_VF.DDInstall.NTamd64", "MLX4BUS_VF.DDInstall.NTamd64"};
	static const char *const filters[] = {"ibbus", "ndfltr", "WinVerbs", "WinMad"};
	struct ibb_hive *h = open_hive(HIVE_1903);
	struct ibb_config_record rec = {0};
	struct ibb_arena a = {0};
	struct list l = {.a = &a, .h = h};

	(void)state;
	take_record(&l, find_package(h, "mlx4_bus.inf_amd64_dfb8575c5904427b"));
	assert_ok(ibb_config_record_decode(l.v.items, l.v.n, &a, &rec, &E), E);
	assert_int_equal(rec.n_sections, 4);
	for (size_t i = 0; i < 4; i++) {
		const struct ibb_config_section *s = &rec.sections[i];

		assert_string_equal(s->name, names[i]);
		assert_string_equal(s->service, "mlx4_bus");
		assert_int_equal(s->scope, 7);
		assert_int_equal(s->flags, 0);
		assert_int_equal(s->upper_filters.n, 4);
		for (size_t k = 0; k < 4; k++)
			assert_string_equal(s->upper_filters.items[k], filters[k]);
		assert_int_equal(s->included.n, 2);
		assert_string_equal(s->included.items[0], "machine.inf");
		assert_string_equal(s->included.items[1], "pci.inf");
		assert_int_equal(
			value(&s->values, "Services\\ibbus\\Parameters", "StaticChild")->type,
			IBB_CONFIG_TYPE_SET_IF_ABSENT | 7);
		assert_memory_equal(value(&s->values,
					  "Device\\e5b3b5ac-9725-4f78-963f-03dfb1d828c7",
					  "SriovSupported")
					    ->data.data,
				    "\1\0\0\0", 4);
	}
	assert_string_equal(rec.descriptors[0].id, "PCI\\VEN_15B3&DEV_1000");
	assert_string_equal(rec.descriptors[0].description, "%mt04096.devicedesc%");
	ibb_config_record_clear(&rec);
	free(l.v.items);
	ibb_arena_clear(&a);
	ibb_hive_close(h);
}

/* ---- vmci: our record of 9.8.18 against Windows' of 9.8.16 ---- */

static struct ibb_configuration *build_vmci(struct ibb_package **ret)
{
	static const struct ibb_inf_target t = {IBB_ARCH_AMD64, 10, 0, 19041, 1, 0};
	static const struct ibb_configure_opts o = {
		.published = "oem2.inf", .package_name = "vmci.inf_amd64_5e38a278d114b813"};
	struct ibb_configuration *c = NULL;

	*ret = pkgtest_real("vmci-9.8.18", "vmci.inf", &t);
	if (!*ret) {
		print_message("SKIPPED: no vmci package\n");
		skip();
	}
	assert_ok(ibb_configure_build(*ret, &o, &c, &E), E);
	return c;
}

static void of_root(const struct ibb_configuration *c, enum ibb_configure_root root,
		    const char *below, struct ibb_configure_values *ret)
{
	for (size_t i = 0; i < c->values.n; i++) {
		if (c->values.items[i].root != root || !c->values.items[i].name ||
		    !ibb_case_prefix(c->values.items[i].key, below))
			continue;
		assert_int_equal(ibb_grow(&ret->items, &ret->cap, ret->n, sizeof(*ret->items)), 0);
		ret->items[ret->n++] = c->values.items[i];
	}
}

/*
 * The two releases differ in version, date, import date and place, none of which stand below these
 * keys: Configurations, Descriptors and Strings are equal to the last byte.
 */
static void test_vmci_record(void **state)
{
	struct ibb_package *p = NULL;
	struct ibb_hive *h = open_hive(HIVE_19041);
	struct ibb_configuration *c = build_vmci(&p);
	struct ibb_configure_values got = {0};
	struct ibb_arena a = {0};
	struct list l = {.a = &a, .h = h};

	(void)state;
	take_record(&l, find_package(h, "vmci.inf_amd64_5e38a278d114b813"));
	of_root(c, IBB_CONFIGURE_PACKAGE, "", &got);
	assert_int_equal(l.v.n, 20);
	same_values(&got, &l.v);
	free(got.items);
	got = (struct ibb_configure_values){0};
	l.v.n = 0;
	of_root(c, IBB_CONFIGURE_INF_FILE, "", &got);
	take_path(&l, ibb_hive_root(h), "DriverDatabase\\DriverInfFiles\\oem2.inf", "");
	assert_int_equal(got.n, 1);
	same_value(&got.items[0], value(&l.v, "", "Configurations"));
	free(got.items);
	free(l.v.items);
	ibb_arena_clear(&a);
	ibb_configuration_free(c);
	ibb_package_free(p);
	ibb_hive_close(h);
}

static void drop(struct ibb_configure_values *v, const char *key, const char *name)
{
	const struct ibb_configure_value *x = value(v, key, name);
	size_t i = (size_t)(x - v->items);

	memmove(&v->items[i], &v->items[i + 1], (v->n - i - 1) * sizeof(*v->items));
	v->n--;
}

/*
 * The service as it lives in that image. Two differences: the Tag, which the service control
 * manager gives out within a group when a service is made, and vwdk.installers, which VMware's
 * installer had set to MSI before: the INF asks not to overwrite it (NOCLOBBER).
 */
static void test_vmci_service(void **state)
{
	struct ibb_package *p = NULL;
	struct ibb_hive *h = open_hive(HIVE_19041);
	struct ibb_configuration *c = build_vmci(&p);
	struct ibb_configure_values got = {0};
	struct ibb_arena a = {0};
	struct list l = {.a = &a, .h = h};

	(void)state;
	take_path(&l, ibb_hive_root(h), "ControlSet001\\Services\\vmci", "Services\\vmci");
	take_path(&l, ibb_hive_root(h), "ControlSet001\\Services\\EventLog\\System\\vmci",
		  "Services\\EventLog\\System\\vmci");
	drop(&l.v, "Services\\vmci", "Tag");
	assert_memory_equal(value(&l.v, "Services\\vmci", "vwdk.installers")->data.data,
			    "M\0S\0I\0\0\0\0\0", 10);
	drop(&l.v, "Services\\vmci", "vwdk.installers");
	of_root(c, IBB_CONFIGURE_CONTROL_SET, "Services\\", &got);
	assert_int_equal(value(&got, "Services\\vmci", "vwdk.installers")->op,
			 IBB_CONFIGURE_SET_IF_ABSENT);
	drop(&got, "Services\\vmci", "vwdk.installers");
	same_values(&got, &l.v);
	assert_int_equal(c->n_services, 1);
	assert_int_equal(c->services[0].start, 0);
	assert_int_equal(c->n_files, 1);
	assert_string_equal(c->files[0].dest, "Windows/System32/drivers/vmci.sys");
	assert_string_equal(c->files[0].file->path, "vmci.sys");
	assert_int_equal(c->files[0].lockdown, 5); /* no PnpLockdown */
	free(got.items);
	free(l.v.items);
	ibb_arena_clear(&a);
	ibb_configuration_free(c);
	ibb_package_free(p);
	ibb_hive_close(h);
}

/* ---- pvscsi: a boot disk driver that draws on the target's pci.inf ---- */

static struct ibb_inf *pci_inf;

/* What the 19041 hive records for pci.inf's own section of this name. */
static int get_pci(void *ctx, const char *name, struct ibb_inf **ret, struct ibb_error *err)
{
	static const char text[] =
		"[Version]\nSignature=\"$Windows NT$\"\n[PciIoSpaceNotRequired.HW]\nAddReg=R\n"
		"[R]\nHKR,e5b3b5ac-9725-4f78-963f-03dfb1d828c7,IoNotRequired,0x10001,1\n";
	const struct ibb_bytes bytes = {(const uint8_t *)text, strlen(text)};
	int rc = IBB_OK;

	(void)ctx;
	assert_string_equal(name, "pci.inf");
	if (!pci_inf)
		rc = ibb_inf_parse(name, bytes, &pci_inf, err);
	*ret = pci_inf;
	return rc;
}

static void test_pvscsi(void **state)
{
	static const struct ibb_configure_opts o = {
		"oem4.inf", "pvscsi.inf_amd64_b0d59727d712523f", {get_pci, NULL}};
	struct ibb_package *p = pkgtest_real("pvscsi-1.3.28", "pvscsi.inf", &server_2022);
	struct ibb_configuration *c = NULL;
	const struct ibb_config_section *s;

	(void)state;
	if (!p) {
		print_message("SKIPPED: no pvscsi package\n");
		skip();
	}
	assert_ok(ibb_configure_build(p, &o, &c, &E), E);
	assert_int_equal(c->record.n_sections, 1);
	s = &c->record.sections[0];
	assert_string_equal(s->name, "DDInstall.NT");
	assert_string_equal(s->service, "pvscsi");
	assert_int_equal(s->scope, 7);
	assert_int_equal(s->included.n, 1);
	assert_string_equal(s->included.items[0], "pci.inf");
	assert_int_equal(s->values.n, 6);
	assert_string_equal(
		value(&s->values, "Device\\e5b3b5ac-9725-4f78-963f-03dfb1d828c7", "IoNotRequired")
			->evidence,
		"pci.inf:6: AddReg");
	assert_int_equal(c->record.n_descriptors, 1);
	assert_string_equal(c->record.descriptors[0].description, "%device%");
	assert_int_equal(c->values.n, 31);
	assert_string_equal(c->files[0].dest, "Windows/System32/drivers/pvscsi.sys");
	ibb_configuration_free(c);
	ibb_package_free(p);
	ibb_inf_free(pci_inf);
	pci_inf = NULL;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_round_trip),  cmocka_unit_test(test_mlx4_bus),
		cmocka_unit_test(test_vmci_record), cmocka_unit_test(test_vmci_service),
		cmocka_unit_test(test_pvscsi),
	};

	return cmocka_run_group_tests(tests, NULL, NULL) ? 1 : 0;
}
