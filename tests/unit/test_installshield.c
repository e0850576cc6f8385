/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * InstallShield's payload, made to the description that its reader follows: no file of a vendor was
 * at hand. An MSI inside of it comes out, whole.
 */
#include "test_msi.h"

#include "base/le.h"
#include "mkpe.h"
#include "unpack/internal.h"

#define MUTATIONS 300u /* usually */
#define HINT                                                                                      \
	"extract it on any Windows: SETUP.exe /a /vMT_DRIVERS_ONLY=1 /v\"/qb TARGETDIR=C:\\x\", " \
	"and give that directory to --drivers"

static struct unpack_world world;

static int begin_world(void **state)
{
	(void)state;
	unpack_world_begin(&world);
	return 0;
}

static int end_world(void **state)
{
	(void)state;
	unpack_world_end(&world);
	return 0;
}

static struct ibb_buf make_msi(void)
{
	struct small_msi s;

	small_begin(&s, MKCAB_MSZIP);
	return small_build(&s, NULL);
}

static char *want_tree(const char *msi_dir)
{
	static const char *const lines[] = {
		"ProgramFiles64Folder/",
		"ProgramFiles64Folder/Acme Drivers/",
		"ProgramFiles64Folder/Acme Drivers/net/",
		"ProgramFiles64Folder/Acme Drivers/net/driver.sys=MZ driver",
		"ProgramFiles64Folder/Acme Drivers/read me.txt=hello",
		"ProgramFiles64Folder/Acme Drivers/x.inf=[Version]",
	};
	struct ibb_buf b = {0};

	assert_int_equal(ibb_buf_printf(&b, "%s/\n", msi_dir), 0);
	for (size_t i = 0; i < IBB_ARRAY_SIZE(lines); i++)
		assert_int_equal(ibb_buf_printf(&b, "%s/%s\n", msi_dir, lines[i]), 0);
	return ibb_buf_take_str(&b);
}

/* Both forms, every way to hide a file, compressed or not: the MSI inside is taken apart. */
static void forms(void **state)
{
	static const enum mkis_form all[] = {MKIS_OLD, MKIS_STREAM, MKIS_STREAM_4};
	static const unsigned flags[] = {0, 2, 4, 6};
	struct ibb_buf msi = make_msi();
	char *tree = want_tree("Driver.msi.d"), *want = ibb_asprintf("0x0409.ini=en\n%s"
								     "sub/\nsub/Größe.ini=[x]\n",
								     tree);

	(void)state;
	for (unsigned i = 0; i < 24; i++) {
		const struct mkis_file f[] = {
			{"0x0409.ini", "en", 2, flags[i % 4], false},
			{"Driver.msi", msi.data, msi.len, flags[i % 4], i / 4 % 2},
			{"sub\\Größe.ini", "[x]", 3, flags[(i + 1) % 4], i / 4 % 2},
		};
		struct ibb_buf b = mkis_program(all[i / 8], f, 3);
		struct ibb_unpack_result r = {0};
		struct ibb_error err = {0};

		assert_ok(unpack_bytes(&world, &b, &r, &err), err);
		unpack_assert_tree(&world, want);
		assert_int_equal(r.n_archives, 2);
		assert_int_equal(r.archives[0].kind, IBB_UNPACK_INSTALLSHIELD);
		assert_string_equal(r.archives[0].unverified, unpack_installshield_unverified);
		assert_int_equal(r.archives[1].kind, IBB_UNPACK_MSI);
		assert_string_equal(r.archives[1].path, "Driver.msi");
		ibb_unpack_result_clear(&r);
	}
	ibb_buf_clear(&msi);
	free(tree);
	free(want);
}

/* An MSI whose cabinet is another file of the payload. */
static void cabinet_beside(void **state)
{
	struct ibb_unpack_result r = {0};
	struct ibb_error err = {0};
	struct small_msi s;
	struct ibb_buf cab, msi, b;
	char *tree = want_tree("Driver.msi.d"), *got;

	(void)state;
	small_begin(&s, MKCAB_MSZIP);
	cab = s.cab;
	s.cab = (struct ibb_buf){0};
	s.media[0].cabinet = "DATA1.CAB";
	s.m.n_streams = 0;
	msi = small_build(&s, NULL);
	b = mkis_program(MKIS_STREAM,
			 (const struct mkis_file[]){
				 {"Driver.msi", msi.data, msi.len, 6, true},
				 {"Data1.cab", cab.data, cab.len, 6, true},
			 },
			 2);
	assert_ok(unpack_bytes(&world, &b, &r, &err), err);
	got = unpack_tree_text(world.out);
	assert_non_null(strstr(got, tree));
	ibb_unpack_result_clear(&r);
	ibb_buf_clear(&cab);
	ibb_buf_clear(&msi);
	free(tree);
	free(got);
}

/* Debug information in front of it, and a second header behind the first. */
static void in_front(void **state)
{
	static const struct mkis_file f[] = {{"a.ini", "text", 4, 6, false}};
	struct ibb_unpack_result r = {0};
	struct ibb_error err = {0};
	struct ibb_buf p = mkis(MKIS_STREAM, f, 1), b = {0};

	(void)state;
	assert_int_equal(mkpe_driver("setup", &b), 0);
	assert_int_equal(ibb_buf_append(&b, "NB10\0\0\0\0\1\2\3\4\1\0\0\0C:\\x.pdb\0", 25), 0);
	assert_int_equal(ibb_buf_append(&b, p.data, 46), 0);
	assert_int_equal(ibb_buf_append(&b, p.data, p.len), 0);
	assert_ok(unpack_bytes(&world, &b, &r, &err), err);
	unpack_assert_tree(&world, "a.ini=text\n");
	ibb_unpack_result_clear(&r);
	ibb_buf_clear(&p);
}

static void refused(struct ibb_buf *payload, int code, const char *text)
{
	struct ibb_unpack_result r = {0};
	struct ibb_error err = {0};
	struct ibb_buf b = {0};

	assert_int_equal(mkpe_driver("setup", &b), 0);
	assert_int_equal(ibb_buf_append(&b, payload->data, payload->len), 0);
	ibb_buf_clear(payload);
	assert_fails(unpack_bytes(&world, &b, &r, &err), code, err, text);
	assert_string_equal(err.hint, HINT);
}

static void damaged(void **state)
{
	static const struct mkis_file f[] = {{"a.ini", "text of it", 10, 6, false}},
				      z[] = {{"a.ini", "text of it", 10, 6, true}};
	static const struct {
		enum mkis_form form;
		size_t at;
		uint32_t value;
		int code;
		const char *text;
	} rows[] = {
		{MKIS_OLD, 14, 0, IBB_E_CORRUPT, "InstallShield payload: it has no files"},
		{MKIS_OLD, 14, 2, IBB_E_CORRUPT, "truncated"},
		{MKIS_OLD, 16, 5, IBB_E_UNSUPPORTED, "InstallShield payload of type 5"},
		{MKIS_OLD, 46 + 268, 11, IBB_E_CORRUPT, "a file goes on behind the end"},
		{MKIS_OLD, 46 + 268, 0xffffffff, IBB_E_CORRUPT, "a file goes on behind the end"},
		{MKIS_OLD, 46, 0, IBB_E_CORRUPT, "a file without a name"},
		{MKIS_STREAM, 46, 0, IBB_E_CORRUPT, "the length of a name is none"},
		{MKIS_STREAM, 46, 11, IBB_E_CORRUPT, "the length of a name is none"},
		{MKIS_STREAM, 46, 0x80000000, IBB_E_CORRUPT, "the length of a name is none"},
		{MKIS_STREAM, 46 + 10, 11, IBB_E_CORRUPT, "a file goes on behind the end"},
		{MKIS_STREAM, 46 + 24, 0, IBB_E_CORRUPT, "a file without a name"},
	};

	(void)state;
	for (size_t i = 0; i < IBB_ARRAY_SIZE(rows); i++) {
		struct ibb_buf p = mkis(rows[i].form, f, 1);
		uint8_t v[4];

		ibb_put_le32(v, rows[i].value);
		memcpy(p.data + rows[i].at, v, rows[i].at == 14 ? 2 : 4);
		refused(&p, rows[i].code, rows[i].text);
	}
	for (unsigned i = 0; i < 2; i++) {
		struct ibb_buf p = mkis(MKIS_STREAM, z, 1);

		if (i) {
			p.len -= 6;
			ibb_put_le32(p.data + 46 + 10, ibb_get_le32(p.data + 46 + 10) - 6);
		} else {
			p.data[46 + 24 + 10] ^= 0xff;
		}
		refused(&p, IBB_E_CORRUPT,
			i ? "a compressed file is cut short" : "a compressed file is damaged");
	}
}

/* What cannot be read, or not be right, is said and not given on. */
static void unknown(void **state)
{
	static const struct mkis_file isc[] = {{"data1.cab", "ISc(....", 8, 6, false},
					       {"data1.hdr", "ISc(....", 8, 6, false}},
				      msi[] = {{"x.MSI", "not so", 6, 6, false}},
				      cab[] = {{"x.cab", "no", 2, 0, false}},
				      out[] = {{"..\\x.ini", "no", 2, 0, false}},
				      top[] = {{"\\x.ini", "no", 2, 0, false}},
				      two[] = {{"x.ini", "1", 1, 0, false},
					       {"X.INI", "2", 1, 0, false}};
	const struct {
		const struct mkis_file *f;
		size_t n;
		int code;
		const char *text;
	} rows[] = {
		{isc, 2, IBB_E_UNSUPPORTED, "its files lie in InstallShield's own cabinets"},
		{msi, 1, IBB_E_UNSUPPORTED,
		 "x.MSI is packed in a way that is not known (flags 0x6)"},
		{cab, 1, IBB_E_UNSUPPORTED,
		 "x.cab is packed in a way that is not known (flags 0x0)"},
		{out, 1, IBB_E_UNSUPPORTED, "refused: "},
		{top, 1, IBB_E_UNSUPPORTED, "refused: "},
		{two, 2, IBB_E_CONFLICT, "two members have the name"},
	};

	(void)state;
	for (size_t i = 0; i < 2 * IBB_ARRAY_SIZE(rows); i++) {
		size_t k = i / 2;
		struct ibb_buf p = mkis(i % 2 ? MKIS_STREAM : MKIS_OLD, rows[k].f, rows[k].n);

		refused(&p, rows[k].code, rows[k].text);
	}
}

/* A bomb: the limit stops it long before it is done. */
static void bomb(void **state)
{
	const struct ibb_unpack_limits limits = {.bytes = 1u << 20};
	struct ibb_unpack_result r = {0};
	struct ibb_error err = {0};
	struct ibb_buf zeros = {0}, b;

	(void)state;
	assert_int_equal(ibb_buf_append_zero(&zeros, 8u << 20), 0);
	b = mkis_program(MKIS_STREAM,
			 (const struct mkis_file[]){{"x.bin", zeros.data, zeros.len, 6, true}}, 1);
	assert_fails(unpack_run(&world, unpack_put(&world, "archive", &b), &limits, &r, &err),
		     IBB_E_LIMIT, err, "more than 1048576 bytes would be unpacked");
	ibb_buf_clear(&zeros);
}

/* ---- mutations ---- */

static uint64_t rnd_state;

static uint32_t rnd(uint32_t n)
{
	rnd_state = rnd_state * 6364136223846793005u + 1442695040888963407u;
	return (uint32_t)(rnd_state >> 33) % n;
}

/*
 * Compressed members carry a checksum, so their content is right or refused; names are as they are
 * read. Everything stays in the directory (unpack_world_end() looks).
 */
static void mutations(void **state)
{
	static char text[1500];
	struct ibb_buf whole;
	const unsigned n = unpack_mutations(MUTATIONS);
	unsigned refusals = 0, equal = 0, other = 0;

	(void)state;
	for (size_t i = 0; i < sizeof(text); i++)
		text[i] = (char)('a' + i * i % 23);
	whole = mkis(MKIS_STREAM,
		     (const struct mkis_file[]){{"a.ini", text, 700, 6, true},
						{"sub\\b.ini", text, sizeof(text), 2, true}},
		     2);
	for (unsigned i = 0; i < n; i++) {
		struct ibb_unpack_result r = {0};
		struct ibb_error err = {0};
		struct ibb_buf b = {0};
		size_t program;
		char *tree;
		int rc;

		rnd_state = 4711 + i;
		assert_int_equal(mkpe_driver("setup", &b), 0);
		program = b.len;
		assert_int_equal(ibb_buf_append(&b, whole.data, whole.len), 0);
		for (uint32_t k = 1 + rnd(3); k--;)
			b.data[program + rnd((uint32_t)whole.len)] ^= (uint8_t)(1u << rnd(8));
		rc = unpack_bytes(&world, &b, &r, &err);
		ibb_unpack_result_clear(&r);
		if (rc) {
			if (rc != IBB_E_CORRUPT && rc != IBB_E_UNSUPPORTED &&
			    rc != IBB_E_CONFLICT && rc != IBB_E_LIMIT)
				fail_msg("mutation %u: %d %s", i, rc, err.msg);
			refusals++;
			continue;
		}
		tree = unpack_tree_text(world.out);
		if (strcmp(tree, "a.ini#700\nsub/\nsub/b.ini#1500\n") == 0)
			equal++;
		else
			other++;
		free(tree);
	}
	print_message("%u refused, %u equal, %u with other names or flags\n", refusals, equal,
		      other);
	assert_true(refusals > n * 2 / 5 && equal > n / 20 && other < n / 10);
	ibb_buf_clear(&whole);
}

/* Every allocation fails once, zlib's among them. */
static void out_of_memory(void **state)
{
	static const struct mkis_file f[] = {{"a.ini", "text of it", 10, 6, true},
					     {"b.ini", "more of it", 10, 2, false}};
	unsigned failures = 0;

	(void)state;
	for (unsigned form = 0; form < 2; form++) {
		struct ibb_buf b = mkis_program((enum mkis_form)form, f, 2);
		const char *path = unpack_put(&world, "archive", &b);

		for (long n = 0;; n++) {
			struct ibb_unpack_result r = {0};
			struct ibb_error err = {0};
			long count;
			int rc;

			ibb_mem_fail_at(n, false);
			rc = unpack_run(&world, path, NULL, &r, &err);
			count = ibb_mem_count();
			ibb_mem_fail_at(-1, false);
			ibb_unpack_result_clear(&r);
			if (count <= n) {
				assert_ok(rc, err);
				break;
			}
			if (rc && rc != IBB_E_NOMEM)
				fail_msg("allocation %ld: %d %s", n, rc, err.msg);
			failures += rc != 0;
		}
	}
	assert_in_range(failures, 20, 2000);
}

#define IN_WORLD(f) cmocka_unit_test_setup_teardown(f, begin_world, end_world)

static const struct CMUnitTest tests[] = {
	IN_WORLD(forms),   IN_WORLD(cabinet_beside), IN_WORLD(in_front),  IN_WORLD(damaged),
	IN_WORLD(unknown), IN_WORLD(bomb),	     IN_WORLD(mutations), IN_WORLD(out_of_memory),
};
IBB_TEST_MAIN(tests)
