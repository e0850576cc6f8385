/* SPDX-License-Identifier: GPL-3.0-or-later */
/* MSIs of every make: tables to paths, cabinets inside and beside, files in none, code pages. */
#include "test_msi.h"

#include <sys/stat.h>

#include "base/le.h"
#include "unpack/internal.h"

static void good(struct unpack_world *w, struct small_msi *s, const char *tree)
{
	struct ibb_unpack_result r = {0};
	struct ibb_error err = {0};
	struct ibb_buf b = small_build(s, NULL);

	assert_ok(unpack_bytes(w, &b, &r, &err), err);
	assert_int_equal(r.n_archives, 1);
	assert_int_equal(r.archives[0].kind, IBB_UNPACK_MSI);
	assert_null(r.archives[0].unverified);
	unpack_assert_tree(w, tree);
	ibb_unpack_result_clear(&r);
}

/* ---- files with one target path ---- */

static const struct mkcab_file clashing[] = {
	{"f1", "inf A", 0}, {"f2", "sys A", 0}, {"f3", "inf B", 0},  {"f4", "sys B", 0},
	{"f5", "cat B", 0}, {"f6", "dll B", 0}, {"f7", "common", 0},
};

/*
 * A package for each of two Windows versions, that of the second in several components and with a
 * directory of its own below; one file is for both.
 */
static void clash_begin(struct small_msi *s)
{
	small_begin(s, MKCAB_STORED);
	ibb_buf_clear(&s->cab);
	s->cab = mkcab(clashing, 7, MKCAB_MSZIP);
	s->streams[0] = (struct mkcfb_stream){"Data1.cab", s->cab.data, s->cab.len};
	s->media[0].last = 7;
	s->files[0] = (struct mkmsi_file){"f1", "cA", "x.inf", 5, 512, 1};
	s->files[1] = (struct mkmsi_file){"f2", "cA", "x.sys", 5, 512, 2};
	s->files[2] = (struct mkmsi_file){"f3", "cB1", "X.INF", 5, 512, 3};
	s->files[3] = (struct mkmsi_file){"f4", "cB2", "x.sys", 5, 512, 4};
	s->files[4] = (struct mkmsi_file){"f5", "cB2", "xb.cat", 5, 512, 5};
	s->files[5] = (struct mkmsi_file){"f6", "cNet", "x.dll", 5, 512, 6};
	s->files[6] = (struct mkmsi_file){"f7", "cAll", "read.me", 6, 512, 7};
	s->components[0] = (struct mkmsi_component){"cA", "dAcme", "VersionNT = 1000", NULL};
	s->components[1] = (struct mkmsi_component){"cB1", "dAcme", "VersionNT < 1000", NULL};
	s->components[2] = (struct mkmsi_component){"cB2", "dAcme", "VersionNT < 1000", NULL};
	s->components[3] = (struct mkmsi_component){"cNet", "dNet", "VersionNT < 1000", NULL};
	s->components[4] = (struct mkmsi_component){"cAll", "dAcme", NULL, NULL};
	s->m.n_files = 7;
	s->m.n_components = 5;
}

static void apart(struct small_msi *s, const char *tree, const char *const *warnings, size_t n)
{
	struct ibb_unpack_result r = {0};
	struct ibb_error err = {0};
	struct unpack_world w;
	struct ibb_buf b = small_build(s, NULL);

	unpack_world_begin(&w);
	assert_ok(unpack_bytes(&w, &b, &r, &err), err);
	unpack_assert_tree(&w, tree);
	assert_int_equal(r.n_warnings, n);
	for (size_t i = 0; i < n; i++)
		assert_string_equal(r.warnings[i], warnings[i]);
	ibb_unpack_result_clear(&r);
	unpack_world_end(&w);
}

#define P64  "ProgramFiles64Folder/"
#define ACME P64 "Acme Drivers"
#define OF_A ACME "/\n" ACME "/read.me=common\n" ACME "/x.inf=inf A\n" ACME "/x.sys=sys A\n"
#define OF_B                                                             \
	ACME ".cB1/\n" ACME ".cB1/X.INF=inf B\n" ACME ".cB1/net/\n" ACME \
	     ".cB1/net/x.dll=dll B\n" ACME ".cB1/x.sys=sys B\n" ACME ".cB1/xb.cat=cat B\n"
#define ONE_TREE P64 "\n" OF_A OF_B

/* What belongs together by its condition stays together, whatever its components. */
static void clash_of_conditions(void **state)
{
	static const char *const warnings[] = {
		ACME ".cB1: kept apart from " ACME ", where the MSI installs other files under the "
		     "same names: component cB1, on the condition VersionNT < 1000"};
	struct small_msi s;

	(void)state;
	clash_begin(&s);
	apart(&s, ONE_TREE, warnings, 1);
	/* the one without a condition stays, wherever its files stand */
	clash_begin(&s);
	s.components[0].condition = "VersionNT < 1000";
	for (unsigned i = 1; i < 4; i++)
		s.components[i].condition = NULL;
	apart(&s,
	      P64 "\n" ACME "/\n" ACME "/X.INF=inf B\n" ACME "/net/\n" ACME
		  "/net/x.dll=dll B\n" ACME "/read.me=common\n" ACME "/x.sys=sys B\n" ACME
		  "/xb.cat=cat B\n" ACME ".cA/\n" ACME ".cA/x.inf=inf A\n" ACME ".cA/x.sys=sys A\n",
	      (const char *const[]){
		      ACME ".cA: kept apart from " ACME
			   ", where the MSI installs other files under "
			   "the same names: component cA, on the condition VersionNT < 1000"},
	      1);
}

/* Without conditions, or with one for all: by feature, by directory, one by one. */
static void clash_of_features(void **state)
{
	static const char *const condition[] = {NULL, "VersionNT64"};
	struct small_msi s;

	(void)state;
	for (unsigned k = 0; k < 2; k++) {
		const char *warning = ACME
			".cB1: kept apart from " ACME ", where the MSI installs other files under "
			"the same names: component cB1, of another feature or directory";
		const char *with = ACME
			".cB1: kept apart from " ACME ", where the MSI installs other files under "
			"the same names: component cB1, on the condition VersionNT64";

		clash_begin(&s);
		for (unsigned i = 0; i < 5; i++) {
			s.components[i].condition = condition[k];
			s.components[i].feature = i && i < 4 ? "New" : "Old";
		}
		apart(&s, ONE_TREE, k ? &with : &warning, 1);
	}
	/* another directory that has the same name */
	clash_begin(&s);
	s.dirs[5] = (struct mkmsi_dir){"dOther", "dSame", "ACME DRIVERS"};
	s.m.n_dirs = 6;
	for (unsigned i = 0; i < 5; i++)
		s.components[i].condition = NULL;
	s.components[1].directory = s.components[2].directory = "dOther";
	apart(&s,
	      P64 "\n" P64 "ACME DRIVERS.cB1/\n" P64 "ACME DRIVERS.cB1/X.INF=inf B\n" P64
		  "ACME DRIVERS.cB1/x.sys=sys B\n" P64 "ACME DRIVERS.cB1/xb.cat=cat B\n" ACME
		  "/\n" ACME "/net/\n" ACME "/net/x.dll=dll B\n" ACME "/read.me=common\n" ACME
		  "/x.inf=inf A\n" ACME "/x.sys=sys A\n",
	      (const char *const[]){
		      P64 "ACME DRIVERS.cB1: kept apart from " P64 "ACME DRIVERS, where the MSI "
			  "installs other files under the same names: component cB1, of another "
			  "feature or directory"},
	      1);
}

/* Only a file below has a name that is taken: the INF above goes with it. */
static void clash_below_an_inf(void **state)
{
	struct small_msi s;

	(void)state;
	clash_begin(&s);
	s.files[0].component = "cNet"; /* net/x.inf, of B's condition, clashes with nothing */
	s.files[1].component = "cNet";
	s.files[5].name = "x.dll";
	s.components[3].condition = "VersionNT = 1000";
	s.components[0] = (struct mkmsi_component){"cA", "dNet", "VersionNT < 1000", NULL};
	s.files[3].component = "cA"; /* net/x.sys of B */
	apart(&s,
	      P64 "\n" ACME "/\n" ACME "/net/\n" ACME "/net/x.dll=dll B\n" ACME
		  "/net/x.inf=inf A\n" ACME "/net/x.sys=sys A\n" ACME "/read.me=common\n" ACME
		  ".cB1/\n" ACME ".cB1/X.INF=inf B\n" ACME ".cB1/net/\n" ACME
		  ".cB1/net/x.sys=sys B\n" ACME ".cB1/xb.cat=cat B\n",
	      (const char *const[]){ACME ".cB1: kept apart from " ACME
					 ", where the MSI installs other files "
					 "under the same names: component cB1, on the condition "
					 "VersionNT < 1000"},
	      1);
}

/* At the top of the tree, and three of them. */
static void clash_at_the_top(void **state)
{
	struct small_msi s;

	(void)state;
	clash_begin(&s);
	s.m.n_files = 4;
	s.files[2].component = "cB1";
	s.files[3] = (struct mkmsi_file){"f4", "cNet", "x.INF", 5, 512, 4};
	for (unsigned i = 0; i < 4; i++)
		s.components[i].directory = "TARGETDIR";
	s.components[3].condition = "Never";
	apart(&s, "cB1/\ncB1/X.INF=inf B\ncNet/\ncNet/x.INF=sys B\nx.inf=inf A\nx.sys=sys A\n",
	      (const char *const[]){
		      "cB1: kept apart from its top directory, where the MSI installs other files "
		      "under the same names: component cB1, on the condition VersionNT < 1000",
		      "cNet: kept apart from its top directory, where the MSI installs other files "
		      "under the same names: component cNet, on the condition Never"},
	      2);
}

static void versions_and_methods(void **state)
{
	static const enum mkcab_method methods[] = {MKCAB_STORED, MKCAB_MSZIP, MKCAB_LZX};
	struct unpack_world w;

	(void)state;
	unpack_world_begin(&w);
	for (unsigned i = 0; i < 12; i++) {
		struct small_msi s;

		small_begin(&s, methods[i % 3]);
		s.m.version = 3 + i / 3 % 2;
		s.m.long_refs = i / 6;
		good(&w, &s, SMALL_TREE);
	}
	unpack_world_end(&w);
}

/* Files on the second medium are in its cabinet; a member that no row names is passed over. */
static void several_media(void **state)
{
	static const struct mkcab_file first[] = {{"fInf", "[Version]", 0}},
				       second[] = {{"other", "unknown", 0},
						   {"fSys", "MZ driver", 0},
						   {"fRead", "hello", 0}};
	struct ibb_buf a = mkcab(first, 1, MKCAB_MSZIP), b = mkcab(second, 3, MKCAB_MSZIP);
	struct unpack_world w;
	struct small_msi s;

	(void)state;
	unpack_world_begin(&w);
	small_begin(&s, MKCAB_STORED);
	s.media[0] = (struct mkmsi_medium){2, 9, "#Data2.cab"};
	s.media[1] = (struct mkmsi_medium){1, 1, "#Data1.cab"};
	s.media[2] = (struct mkmsi_medium){3, 20, "#nobody asks for it"};
	s.streams[0] = (struct mkcfb_stream){"Data2.cab", b.data, b.len};
	s.streams[1] = (struct mkcfb_stream){"Data1.cab", a.data, a.len};
	s.m.n_media = 3;
	s.m.n_streams = 2;
	good(&w, &s, SMALL_TREE);
	ibb_buf_clear(&a);
	ibb_buf_clear(&b);
	unpack_world_end(&w);
}

static void beside(void **state)
{
	struct ibb_unpack_result r = {0};
	struct ibb_error err = {0};
	struct unpack_world w;
	struct small_msi s;
	struct ibb_buf cab, msi;

	(void)state;
	unpack_world_begin(&w);
	small_begin(&s, MKCAB_MSZIP);
	s.media[0].cabinet = "Disk1.CAB";
	s.m.n_streams = 0;
	cab = s.cab;
	s.cab = (struct ibb_buf){0};
	msi = small_build(&s, NULL);
	assert_fails(unpack_bytes(&w, &msi, &r, &err), IBB_E_UNSUPPORTED, err,
		     "archive: it needs the file Disk1.CAB beside it");
	assert_string_equal(err.hint, "give the archive or directory that has both, or put them "
				      "side by side under these names");
	unpack_put(&w, "disk1.cab", &cab);
	small_begin(&s, MKCAB_MSZIP);
	s.media[0].cabinet = "Disk1.CAB";
	s.m.n_streams = 0;
	good(&w, &s, SMALL_TREE);
	unpack_world_end(&w);
}

static void put_text(struct unpack_world *w, const char *name, const char *text)
{
	struct ibb_buf b = {0};

	assert_int_equal(ibb_buf_append_str(&b, text), 0);
	unpack_put(w, name, &b);
}

/* No compression: the files lie in the source tree, by the source names. */
static void in_no_cabinet(void **state)
{
	struct unpack_world w;
	struct small_msi s;
	char path[128];

	(void)state;
	unpack_world_begin(&w);
	w.n_files++;
	for (unsigned i = 0; i < 3; i++) {
		static const char *const dirs[] = {"program files", "program files/source",
						   "program files/source/NET"};

		snprintf(path, sizeof(path), "%s/%s", w.top, dirs[i]);
		assert_int_equal(mkdir(path, 0700), 0);
	}
	put_text(&w, "program files/source/x.inf", "[Version]");
	put_text(&w, "program files/source/Read Me.txt", "hello");
	put_text(&w, "program files/source/NET/driver.sys", "MZ driver");
	w.n_files -= 3;
	small_begin(&s, MKCAB_STORED);
	s.m.words = 0;
	good(&w, &s, SMALL_TREE);
	/* an administrative image has them there whatever its attributes say */
	small_begin(&s, MKCAB_STORED);
	s.m.words = 6;
	s.files[0].attributes = 0x4000;
	good(&w, &s, SMALL_TREE);
	/* one of them only */
	small_begin(&s, MKCAB_STORED);
	s.files[1].attributes = 0x2000;
	good(&w, &s, SMALL_TREE);
	small_begin(&s, MKCAB_STORED);
	s.m.words = 0;
	s.files[0].attributes = s.files[1].attributes = 0x4000;
	good(&w, &s, SMALL_TREE);
	/* without a summary: where there is a cabinet, there */
	small_begin(&s, MKCAB_STORED);
	s.m.words = -1;
	good(&w, &s, SMALL_TREE);
	small_begin(&s, MKCAB_STORED);
	s.m.words = -1;
	s.media[0].cabinet = NULL;
	good(&w, &s, SMALL_TREE);
	unpack_world_end(&w);
}

static void code_pages(void **state)
{
	static const struct {
		unsigned page;
		const char *name, *want;
	} rows[] = {{1252, "GR\xd6\x80.inf", "GRÖ€.inf"},
		    {0, "GR\xd6.inf", "GRÖ.inf"},
		    {65001, "Größe.inf", "Größe.inf"},
		    {1251, "\xc4\xf0.inf", "Др.inf"},
		    {932, "\x83\x68\x83\x89.inf", "ドラ.inf"}};
	struct unpack_world w;

	(void)state;
	unpack_world_begin(&w);
	for (size_t i = 0; i < IBB_ARRAY_SIZE(rows); i++) {
		struct small_msi s;
		char want[512];

		small_begin(&s, MKCAB_STORED);
		s.files[0].name = rows[i].name;
		s.m.n_files = 1;
		s.m.code_page = rows[i].page;
		s.m.neutral = !rows[i].page;
		snprintf(want, sizeof(want),
			 "ProgramFiles64Folder/\nProgramFiles64Folder/Acme Drivers/\n"
			 "ProgramFiles64Folder/Acme Drivers/%s=[Version]\n",
			 rows[i].want);
		good(&w, &s, want);
	}
	unpack_world_end(&w);
}

/* Two folders of the system, a merge module's among them, stay apart though both are ".". */
static void system_folders(void **state)
{
	struct unpack_world w;
	struct small_msi s;

	(void)state;
	unpack_world_begin(&w);
	small_begin(&s, MKCAB_STORED);
	s.dirs[2] = (struct mkmsi_dir){"System64Folder.1234_5678", "dAcme", "."};
	s.dirs[3] = (struct mkmsi_dir){"dAcme", "ProgramFiles64Folder", ".:source"};
	s.dirs[4] = (struct mkmsi_dir){"dNet", "System64Folder.1234_5678", "DRIVERS"};
	good(&w, &s,
	     "ProgramFiles64Folder/\nProgramFiles64Folder/read me.txt=hello\n"
	     "ProgramFiles64Folder/x.inf=[Version]\nSystem64Folder/\nSystem64Folder/DRIVERS/\n"
	     "System64Folder/DRIVERS/driver.sys=MZ driver\n");
	unpack_world_end(&w);
}

/* A string of more than 64 KiB takes two places of the pool. */
static void long_string(void **state)
{
	static char text[70001];
	struct unpack_world w;
	struct small_msi s;

	(void)state;
	memset(text, 'x', sizeof(text) - 1);
	unpack_world_begin(&w);
	small_begin(&s, MKCAB_STORED);
	s.media[1] = (struct mkmsi_medium){9, 1000, text};
	s.m.n_media = 2;
	s.m.long_refs = true;
	good(&w, &s, SMALL_TREE);
	unpack_world_end(&w);
}

/* So many sectors that the FAT's own do not fit into the header; contents are compared. */
static void large(void **state)
{
	struct ibb_buf big = {0}, got = {0}, b;
	struct ibb_unpack_result r = {0};
	struct ibb_error err = {0};
	struct mkcab_file member;
	struct unpack_world w;
	struct small_msi s;
	struct mkcfb how;
	char path[160];

	(void)state;
	assert_int_equal(ibb_buf_append_zero(&big, 16u << 20), 0);
	for (size_t i = 0; i < big.len; i++)
		big.data[i] = (uint8_t)(i * 2654435761u >> 13);
	member = (struct mkcab_file){"fInf", big.data, big.len};
	unpack_world_begin(&w);
	small_begin(&s, MKCAB_STORED);
	ibb_buf_clear(&s.cab);
	s.cab = mkcab(&member, 1, MKCAB_STORED);
	s.streams[0] = (struct mkcfb_stream){"Data1.cab", s.cab.data, s.cab.len};
	s.files[0].size = (int32_t)big.len;
	s.m.n_files = 1;
	b = small_build(&s, &how);
	assert_true(ibb_get_le32(b.data + 44) > 236); /* two sectors of the DIFAT */
	assert_int_equal(ibb_get_le32(b.data + 72), 2);
	assert_ok(unpack_bytes(&w, &b, &r, &err), err);
	snprintf(path, sizeof(path), "%s/ProgramFiles64Folder/Acme Drivers/x.inf", w.out);
	assert_ok(ibb_read_file(path, 1u << 30, &got, &err), err);
	assert_int_equal(got.len, big.len);
	assert_memory_equal(got.data, big.data, big.len);
	ibb_buf_clear(&big);
	ibb_buf_clear(&got);
	ibb_unpack_result_clear(&r);
	unpack_world_end(&w);
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test(clash_of_conditions),
	cmocka_unit_test(clash_of_features),
	cmocka_unit_test(clash_below_an_inf),
	cmocka_unit_test(clash_at_the_top),
	cmocka_unit_test(versions_and_methods),
	cmocka_unit_test(several_media),
	cmocka_unit_test(beside),
	cmocka_unit_test(in_no_cabinet),
	cmocka_unit_test(code_pages),
	cmocka_unit_test(system_folders),
	cmocka_unit_test(long_string),
	cmocka_unit_test(large),
};
IBB_TEST_MAIN(tests)
