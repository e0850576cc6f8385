/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "manifest/manifest.h"

#include "disktest.h"
#include "test.h"

#include "base/time.h"
#include "plan_fixture.h"

#define NET_ID DB "\\DeviceIds\\" IB_FULL

/* A baked Windows in a directory and the text of its manifest. */
struct baked {
	struct fx x;
	char *text;
};

static struct ibb_identity identity(void)
{
	struct ibb_identity id = {
		.file_name = strdup("out.vhd"),
		.container = "fixed VHD",
		.file_bytes = 1049088,
		.disk_bytes = 1048576,
		.sector_bytes = 512,
		.has_vhd_id = true,
		.table = "GPT",
		.has_disk_guid = true,
		.partition = 3,
		.partition_off = 65536,
		.partition_bytes = 131072,
		.has_partition_guid = true,
		.ntfs_serial = "34f5ee1202469ff7",
		.opinion = {.result = "not-asked"},
	};

	assert_non_null(id.file_name);
	memset(id.disk_guid.b, 0x11, 16);
	memset(id.partition_guid.b, 0x22, 16);
	memset(id.vhd_id.b, 0x33, 16);
	return id;
}

static char *manifest_of(struct fx *x, const struct ibb_applied *a)
{
	struct ibb_identity id = identity();
	struct ibb_azure azure;
	struct ibb_manifest_input in = {
		.azure = &azure,
		.input = &id,
		.output = &id,
		.facts = x->f,
		.plan = x->plan,
		.applied = a,
		.options = {.catalog_as_of = "2026-11-20",
			    .catalog_sha256 = "00",
			    .version = "0.1.0",
			    .unix_time = NOW},
	};
	struct ibb_json *doc = NULL;
	struct ibb_buf text = {0};
	struct ibb_error err = {0};
	char *s;

	ibb_azure_judge(&(struct ibb_azure_input){.container = "raw disk"}, &azure);
	assert_ok(ibb_manifest_build(&in, &doc, &err), err);
	assert_ok(ibb_json_print(doc, &text, &err), err);
	ibb_json_free(doc);
	ibb_identity_clear(&id);
	s = ibb_buf_take_str(&text);
	assert_non_null(s);
	return s;
}

static void bake(struct baked *b)
{
	struct ibb_applied a = {0};
	struct ibb_error err = {0};

	fx_plain(&b->x, "server2022");
	free(b->x.p->dir); /* a scratch directory, another one each time */
	b->x.p->dir = strdup("drivers");
	assert_non_null(b->x.p->dir);
	wintree_text(&b->x.t, WINTREE_CONFIG "/DRIVERS.LOG1", "old transactions");
	fx_facts(&b->x);
	fx_plan(&b->x);
	assert_ok(ibb_apply(b->x.plan, b->x.f, b->x.v, &a, &err), err);
	b->text = manifest_of(&b->x, &a);
	assert_ok(ibb_volume_commit(b->x.v, &err), err);
	ibb_applied_clear(&a);
	fx_facts(&b->x);
}

static void unbake(struct baked *b)
{
	free(b->text);
	fx_close(&b->x);
}

/* The verify document; the number of differences. */
static size_t verify(struct baked *b, const struct ibb_identity *id, bool booted,
		     struct ibb_json **ret)
{
	struct ibb_verify_options o = {.booted = booted};
	struct ibb_json *m = NULL, *root;
	struct ibb_error err = {0};
	struct ibb_jb jb = {0};
	size_t n = 99;

	assert_ok(ibb_manifest_parse("m.json", b->text, strlen(b->text), &m, &err), err);
	root = ibb_jb_object(&jb, NULL, NULL);
	assert_ok(ibb_manifest_verify(m, id, b->x.f, b->x.v, &o, &jb, root, &n, &err), err);
	assert_ok(ibb_jb_done(&jb, ret, &err), err);
	assert_int_equal(ibb_json_count(ibb_json_get(*ret, "differences")), n);
	ibb_json_free(m);
	return n;
}

static bool has_difference(const struct ibb_json *doc, const char *what, const char *where,
			   const char *text)
{
	ibb_json_foreach (d, ibb_json_get(doc, "differences")) {
		if (strcmp(ibb_json_str(d, "what"), what) == 0 &&
		    strstr(ibb_json_str(d, "where"), where) &&
		    strstr(ibb_json_str(d, "difference"), text))
			return true;
	}
	return false;
}

/* ---- round trip ---- */

static void round_trip(void **state)
{
	struct ibb_identity id = identity();
	struct ibb_json *doc = NULL;
	struct baked b;
	int64_t n;

	(void)state;
	bake(&b);
	assert_int_equal(verify(&b, &id, false, &doc), 0);
	assert_true(ibb_json_int(ibb_json_get(doc, "checked"), "files", 0, 1000, &n));
	assert_int_equal(n, 8); /* 2 hives, 3 files, published INF and catalog, log */
	assert_true(ibb_json_int(ibb_json_get(doc, "checked"), "operations", 0, 1000, &n));
	assert_int_equal(n, b.x.plan->n_ops);
	ibb_json_free(doc);
	unbake(&b);
	ibb_identity_clear(&id);
}

static void what_it_says(void **state)
{
	struct ibb_json *m = NULL;
	const struct ibb_json *o;
	struct ibb_error err = {0};
	struct baked b;

	(void)state;
	bake(&b);
	assert_ok(ibb_manifest_parse("m", b.text, strlen(b.text), &m, &err), err);
	assert_string_equal(ibb_json_str(m, "schema"), "ibbake-manifest/1");
	assert_string_equal(ibb_json_str(m, "time"), "2026-09-21T14:13:20Z");
	assert_string_equal(ibb_json_str(m, "signature"), "not verified");
	o = ibb_json_get(m, "output");
	assert_string_equal(ibb_json_str(o, "disk_bytes"), "1048576");
	assert_string_equal(ibb_json_str(o, "vhd_unique_id"), "33333333333333333333333333333333");
	assert_string_equal(ibb_json_str(o, "disk_guid"), "{11111111-1111-1111-1111-111111111111}");
	assert_true(ibb_json_is_null(ibb_json_get(o, "mbr_signature")));
	o = ibb_json_get(ibb_json_get(m, "image"), "windows");
	assert_string_equal(ibb_json_str(o, "version"), "10.0.20348");
	assert_string_equal(ibb_json_str(o, "kind"), "server");
	ibb_json_foreach (op, ibb_json_get(m, "operations")) {
		if (strcmp(ibb_json_str(op, "op"), "value") != 0 ||
		    strcmp(ibb_json_str(op, "value"), "OemInfMap") != 0)
			continue;
		assert_string_equal(ibb_json_str(ibb_json_get(op, "before"), "data"), "00");
		assert_string_equal(ibb_json_str(ibb_json_get(op, "after"), "data"), "80");
		assert_string_equal(ibb_json_str(ibb_json_get(op, "after"), "type"), "REG_BINARY");
	}
	ibb_json_free(m);
	unbake(&b);
}

static void same_bake_same_bytes(void **state)
{
	struct baked a, b;

	(void)state;
	bake(&a);
	bake(&b);
	assert_string_equal(a.text, b.text);
	unbake(&a);
	unbake(&b);
}

/* ---- tampering ---- */

static void flip_inf(struct baked *b)
{
	struct ibb_buf f = {0};

	wintree_read(&b->x.t, "Windows/INF/oem0.inf", &f);
	f.data[10] ^= 1;
	wintree_put(&b->x.t, "Windows/INF/oem0.inf", f.data, f.len);
	ibb_buf_clear(&f);
}

static void longer_catalog(struct baked *b)
{
	struct ibb_buf f = {0};

	wintree_read(&b->x.t, WINTREE_CAT "/oem0.cat", &f);
	assert_int_equal(ibb_buf_append_zero(&f, 1), 0);
	wintree_put(&b->x.t, WINTREE_CAT "/oem0.cat", f.data, f.len);
	ibb_buf_clear(&f);
}

static void no_driver(struct baked *b)
{
	char path[512];

	snprintf(path, sizeof(path), WINTREE_STORE "/%s/ibbdemo.sys", b->x.plan->packages[0].name);
	wintree_remove(&b->x.t, path);
}

static void driver_is_a_directory(struct baked *b)
{
	char path[512];

	snprintf(path, sizeof(path), WINTREE_STORE "/%s/ibbdemo.sys", b->x.plan->packages[0].name);
	wintree_remove(&b->x.t, path);
	wintree_mkdir(&b->x.t, path);
}

static void other_value(struct baked *b)
{
	struct ibb_hive *h = wintree_hive(&b->x.t, "DRIVERS");

	wintree_set(h, NET_ID, "oem0.inf", IBB_REG_BINARY, "\1\xfe\0\0", 4);
	wintree_save(&b->x.t, "DRIVERS", h);
}

static void other_type(struct baked *b)
{
	struct ibb_hive *h = wintree_hive(&b->x.t, "DRIVERS");

	wintree_set(h, NET_ID, "oem0.inf", IBB_REG_DWORD, "\1\xff\0\0", 4);
	wintree_save(&b->x.t, "DRIVERS", h);
}

static void no_value(struct baked *b)
{
	wintree_edit_unset(&b->x.t, "DRIVERS", DB "\\DriverInfFiles\\oem0.inf", "Active");
}

static void no_default_value(struct baked *b)
{
	wintree_edit_unset(&b->x.t, "DRIVERS", DB "\\DriverInfFiles\\oem0.inf", "");
}

static void no_key(struct baked *b)
{
	wintree_edit_delete(&b->x.t, "DRIVERS", NET_ID);
}

static void map_bit_cleared(struct baked *b)
{
	struct ibb_hive *h = wintree_hive(&b->x.t, "SYSTEM");

	wintree_set(h, DB, "OemInfMap", IBB_REG_BINARY, "\0", 1);
	wintree_save(&b->x.t, "SYSTEM", h);
}

static void no_hive(struct baked *b)
{
	wintree_remove(&b->x.t, WINTREE_CONFIG "/DRIVERS");
}

static void dirty_hive(struct baked *b)
{
	struct ibb_buf f = {0};

	wintree_read(&b->x.t, WINTREE_CONFIG "/SYSTEM", &f);
	winhives_make_dirty(&f);
	wintree_put(&b->x.t, WINTREE_CONFIG "/SYSTEM", f.data, f.len);
	ibb_buf_clear(&f);
}

static void unrelated_value(struct baked *b)
{
	wintree_edit_dword(&b->x.t, "DRIVERS", "Elsewhere", "x", 1);
}

static void live_log(struct baked *b)
{
	wintree_text(&b->x.t, WINTREE_CONFIG "/DRIVERS.LOG1", "new transactions");
}

static void tampering(void **state)
{
#define CHANGED "SHA-256 is "
	static const struct {
		void (*tamper)(struct baked *b);
		const char *what, *where, *text;
		size_t n, booted; /* differences, and when Windows has run since */
	} t[] = {
		{flip_inf, "file", "Windows/INF/oem0.inf", CHANGED, 1, 1},
		{longer_catalog, "file", WINTREE_CAT "/oem0.cat", CHANGED, 1, 1},
		{no_driver, "file", "/ibbdemo.sys", "missing", 1, 1},
		{driver_is_a_directory, "file", "/ibbdemo.sys", "cannot be read", 1, 1},
		{other_value, "registry", "DRIVERS\\" NET_ID " : oem0.inf",
		 "another type or other data", 2, 1},
		{other_type, "registry", "DRIVERS\\" NET_ID " : oem0.inf",
		 "another type or other data", 2, 1},
		{no_value, "registry", "DriverInfFiles\\oem0.inf : Active", "missing", 2, 1},
		{no_default_value, "registry", "DriverInfFiles\\oem0.inf : (default)", "missing", 2,
		 1},
		{no_key, "registry", "DRIVERS\\" NET_ID, "missing", 3, 2}, /* key and value */
		{map_bit_cleared, "registry", "SYSTEM\\DriverDatabase : OemInfMap",
		 "another type or other data", 2, 1},
		{no_hive, "hive", "DRIVERS", "missing", 2, 1},
		{dirty_hive, "hive", WINTREE_CONFIG "/SYSTEM", "not cleanly closed", 2, 1},
		{unrelated_value, "file", WINTREE_CONFIG "/DRIVERS", CHANGED, 1, 0},
		{live_log, "file", WINTREE_CONFIG "/DRIVERS.LOG1", CHANGED, 1, 0},
	};
	struct ibb_identity id = identity();

	(void)state;
	for (size_t i = 0; i < IBB_ARRAY_SIZE(t); i++) {
		struct baked b;

		bake(&b);
		t[i].tamper(&b);
		fx_facts(&b.x);
		for (int booted = 0; booted < 2; booted++) {
			struct ibb_json *doc = NULL;
			size_t want = booted ? t[i].booted : t[i].n;
			size_t n = verify(&b, &id, booted, &doc);

			if (n != want)
				fail_msg("case %zu, booted %d: %zu differences, want %zu", i,
					 booted, n, want);
			if (want && !has_difference(doc, t[i].what, t[i].where, t[i].text))
				fail_msg("case %zu, booted %d: no '%s' of %s '%s'", i, booted,
					 t[i].text, t[i].what, t[i].where);
			ibb_json_free(doc);
		}
		unbake(&b);
	}
	ibb_identity_clear(&id);
}

static void another_image(void **state)
{
	struct baked b;
	struct ibb_json *doc = NULL;

	(void)state;
	bake(&b);
	for (int i = 0; i < 6; i++) {
		static const char *const where[] = {"disk_bytes",   "disk_guid", "disk_bytes",
						    "offset_bytes", "guid",	 "ntfs_serial"};
		struct ibb_identity id = identity();

		switch (i) {
		case 0:
			id.disk_bytes += 512;
			break;
		case 1:
			id.disk_guid.b[0] ^= 1;
			break;
		case 2:
			id.disk_bytes -= 512;
			break;
		case 3:
			id.partition_off += 512;
			break;
		case 4:
			id.partition_guid.b[0] ^= 1;
			break;
		case 5:
			id.ntfs_serial[0] = '4';
			break;
		}
		assert_int_equal(verify(&b, &id, true, &doc), 1);
		assert_true(has_difference(doc, "identity", where[i], "the manifest says "));
		ibb_json_free(doc);
		doc = NULL;
		ibb_identity_clear(&id);
	}
	unbake(&b);
}

/* The same disk in a raw file has no VHD id; its name and file size do not matter. */
static void another_container(void **state)
{
	struct ibb_identity id = identity();
	struct ibb_json *doc = NULL;
	struct baked b;

	(void)state;
	bake(&b);
	id.container = "raw disk";
	id.has_vhd_id = false;
	id.file_bytes -= 512;
	free(id.file_name);
	id.file_name = strdup("renamed.raw");
	assert_int_equal(verify(&b, &id, false, &doc), 0);
	ibb_json_free(doc);
	/* converted: the container has an identifier of its own */
	id.container = "dynamic VHD";
	id.has_vhd_id = true;
	id.vhd_id.b[0] ^= 1;
	assert_int_equal(verify(&b, &id, false, &doc), 0);
	ibb_json_free(doc);
	unbake(&b);
	ibb_identity_clear(&id);
}

/* ---- hostile manifests ---- */

/* A copy of text with the first `from` replaced. */
static char *replaced(const char *text, const char *from, const char *to)
{
	const char *at = strstr(text, from);
	char *s = NULL;

	if (!at)
		fail_msg("the manifest has no %s", from);
	assert_true(asprintf(&s, "%.*s%s%s", (int)(at - text), text, to, at + strlen(from)) > 0);
	return s;
}

static void hostile(void **state)
{
#define INF_PATH "\"path\":\t\"Windows/INF/oem0.inf\",\n\t\t\t\"kind\""
#define TO(path) "\"path\":\t\"" path "\",\n\t\t\t\"kind\""
#define DIGEST32 "0123456789abcdef0123456789abcdef"
#define RECOVERY(number, path)                                    \
	"\"winre\":\t[{\"partition\":" number ",\"path\":\"" path \
	"\",\"after_sha256\":\"" DIGEST32 DIGEST32 "\"}]"
#define NO_MANIFEST "not a manifest of ibbake, or damaged"
	static const struct {
		const char *from, *to;
		int code;
		const char *text;
	} t[] = {
		{"{", "[", IBB_E_CORRUPT, "m.json"},
		{"\"schema\"", "\"scheme\"", IBB_E_CORRUPT, "no \"schema\": " NO_MANIFEST},
		{"ibbake-manifest/1", "ibbake-manifest/2", IBB_E_UNSUPPORTED,
		 "schema 'ibbake-manifest/2'; this version of ibbake reads ibbake-manifest/1"},
		{"\"ibbake-manifest/1\"", "1", IBB_E_CORRUPT, "no \"schema\""},
		{"\"output\"", "\"outputs\"", IBB_E_CORRUPT, "no \"files\""},
		{"\"winre\":\tnull", "\"winre\":\t1", IBB_E_CORRUPT, "\"winre\" is no list"},
		{"\"winre\":\tnull", "\"winre\":\t[1]", IBB_E_CORRUPT, "an item of \"winre\""},
		{"\"winre\":\tnull",
		 "\"winre\":\t[{\"partition\":1,\"path\":\"a\",\"after_sha256\":\"00\"}]",
		 IBB_E_CORRUPT, "an item of \"winre\""},
		{"\"winre\":\tnull", RECOVERY("-1", "Recovery/x.wim"), IBB_E_CORRUPT,
		 "an item of \"winre\""},
		{"\"winre\":\tnull", RECOVERY("1", "../x.wim"), IBB_E_CORRUPT, "m.json"},
		{"\"winre\":\tnull", RECOVERY("1", "/x.wim"), IBB_E_CORRUPT, "normal form"},
		{"\"targets\"", "\"Targets\"", IBB_E_CORRUPT, "no \"files\""},
		{"\"operations\":\t[", "\"operations\":\t1, \"x\": [", IBB_E_CORRUPT,
		 "no \"files\""},
		{INF_PATH, TO("../../../etc/passwd"), IBB_E_CORRUPT, "m.json"},
		{INF_PATH, TO("Windows/../../x"), IBB_E_CORRUPT, "m.json"},
		{INF_PATH, TO("C:/Windows"), IBB_E_CORRUPT, "m.json"},
		{INF_PATH, TO("Windows/INF/NUL"), IBB_E_CORRUPT, "m.json"},
		{INF_PATH, TO(""), IBB_E_CORRUPT, "m.json"},
		{INF_PATH, "\"path\": 1, \"kind\"", IBB_E_CORRUPT, "without path, kind or digest"},
		{"\"kind\":\t\"driver\"", "\"kind\":\t\"thing\"", IBB_E_CORRUPT,
		 "without path, kind or digest"},
		{"\"op\":\t\"mkdir\"", "\"op\":\t\"mkdri\"", IBB_E_CORRUPT, "that is known"},
		{"\"op\":\t\"mkdir\"", "\"op\":\t\"unset\"", IBB_E_CORRUPT, "lacks hive or key"},
		{"\"op\":\t\"mkdir\"", "\"op\":\t\"delete-key\"", IBB_E_CORRUPT,
		 "lacks hive or key"},
		{"\"op\":\t\"key\"", "\"op\":\t\"unset\"", IBB_E_CORRUPT, "lacks its value"},
		{"\"op\":\t\"value\"", "\"op\":\t1", IBB_E_CORRUPT, "that is known"},
		{"\"hive\":\t\"DRIVERS\"", "\"hive\":\t\"SECURITY\"", IBB_E_CORRUPT,
		 "lacks hive or key"},
		{"\"hive\":\t\"DRIVERS\"", "\"hive\":\tnull", IBB_E_CORRUPT, "lacks hive or key"},
		{"\"key\":\t\"DriverDatabase\\\\", "\"key\":\t\"DriverDatabase\\\\\\\\",
		 IBB_E_CORRUPT, "lacks hive or key"},
		{"\"key\":\t\"DriverDatabase", "\"key\":\t\"\\\\DriverDatabase", IBB_E_CORRUPT,
		 "lacks hive or key"},
		{"\"after\":\t{", "\"later\":\t{", IBB_E_CORRUPT, "lacks its value"},
		{"\"type\":\t\"REG_SZ\"", "\"type\":\t1", IBB_E_CORRUPT, "lacks its value"},
	};
	struct baked b;
	struct ibb_json *m = NULL;
	struct ibb_error err = {0};

	(void)state;
	bake(&b);
	for (size_t i = 0; i < IBB_ARRAY_SIZE(t); i++) {
		char *s = replaced(b.text, t[i].from, t[i].to);

		err = (struct ibb_error){0};
		assert_fails(ibb_manifest_parse("m.json", s, strlen(s), &m, &err), t[i].code, err,
			     t[i].text);
		assert_int_equal(err.code, t[i].code);
		assert_null(m);
		free(s);
	}
	/* cut anywhere it is refused */
	for (size_t n = 0; n < strlen(b.text) - 2; n += 997)
		assert_fails(ibb_manifest_parse("m.json", b.text, n, &m, &err), IBB_E_CORRUPT, err,
			     "m.json");
	unbake(&b);
}

/* Digests that are none; and a digest in capitals is the same digest. */
static void digests(void **state)
{
	struct ibb_identity id = identity();
	struct ibb_json *m = NULL, *doc = NULL;
	struct ibb_error err = {0};
	struct baked b;
	char *files, *sha;

	(void)state;
	bake(&b);
	files = strstr(b.text, "\"files\":\t[{\n\t\t\t\"path\":\t\"" WINTREE_CONFIG);
	assert_non_null(files);
	sha = strstr(strstr(files, "\"after\""), "\"sha256\":\t\"");
	assert_non_null(sha);
	sha += strlen("\"sha256\":\t\"");
	for (int i = 0; i < 64; i++)
		if (sha[i] >= 'a')
			sha[i] = (char)(sha[i] - 32);
	assert_int_equal(verify(&b, &id, false, &doc), 0);
	ibb_json_free(doc);
	sha[5] = 'g';
	assert_fails(ibb_manifest_parse("m.json", b.text, strlen(b.text), &m, &err), IBB_E_CORRUPT,
		     err, "without path, kind or digest");
	unbake(&b);
	ibb_identity_clear(&id);
}

/* ---- lack of memory ---- */

static void out_of_memory(void **state)
{
	struct ibb_identity id = identity();
	struct ibb_verify_options o = {0};
	struct baked b;
	long n, asked;

	(void)state;
	bake(&b);
	for (n = 0;; n += 7) {
		struct ibb_json *m = NULL, *doc = NULL;
		struct ibb_error err = {0};
		struct ibb_jb jb = {0};
		size_t differences = 99;
		int r;

		ibb_mem_fail_at(n, false);
		r = ibb_manifest_parse("m", b.text, strlen(b.text), &m, &err);
		if (!r)
			r = ibb_manifest_verify(m, &id, b.x.f, b.x.v, &o, &jb,
						ibb_jb_object(&jb, NULL, NULL), &differences, &err);
		if (!r)
			r = ibb_jb_done(&jb, &doc, &err);
		asked = ibb_mem_count();
		ibb_mem_fail_at(-1, false);
		ibb_jb_clear(&jb);
		ibb_json_free(doc);
		ibb_json_free(m);
		if (asked <= n) {
			assert_ok(r, err);
			assert_int_equal(differences, 0);
			break;
		}
		if (r != IBB_E_NOMEM)
			fail_msg("allocation %ld failed: %d %s, %zu differences", n, r, err.msg,
				 differences);
	}
	assert_true(n > 200);
	unbake(&b);
	ibb_identity_clear(&id);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(round_trip),
		cmocka_unit_test(what_it_says),
		cmocka_unit_test(same_bake_same_bytes),
		cmocka_unit_test(tampering),
		cmocka_unit_test(another_image),
		cmocka_unit_test(another_container),
		cmocka_unit_test(hostile),
		cmocka_unit_test(digests),
		cmocka_unit_test(out_of_memory),
	};

	return cmocka_run_group_tests(tests, test_dir_setup, test_dir_teardown) ? 1 : 0;
}
