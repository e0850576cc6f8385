/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Chains of differencing disks: what they read as, and how their parents are found. */
#include "chaintest.h"

#include <errno.h>
#include <sys/file.h>

#include "base/le.h"
#include "base/limits.h"

static void assert_refused(const char *path, int code, const char *text)
{
	struct ibb_chain c = {.n = 77};
	struct ibb_error err = {0};

	assert_fails(ibb_chain_open(path, &c, &err), code, err, text);
	assert_int_equal(c.n, 77); /* untouched */
}

static void agree(const struct ibb_chain *c, uint64_t at_least)
{
	struct ibb_error err = {0};
	uint64_t asked = 0;

	assert_ok(second_opinion(c, &asked, &err), err);
	assert_true(asked >= at_least);
}

/* ---- what they read as ---- */

/* Base, middle and top; the base by qemu-img when that is at hand. */
static void test_three_deep_vhd(void **state)
{
	uint64_t seed = test_seed();
	struct flat f = flat_new(FLAT_BYTES);
	struct mkvhd_run runs[RUNS];
	struct ibb_guid base = an_id(1);
	struct ibb_chain c;

	(void)state;
	fresh_dir("v");
	random_runs(&seed, f.size, 512, 900, runs, RUNS);
	scribble(&f, &seed, 512, runs, RUNS);
	if (have_qemu_img()) {
		qemu_convert(&f, "vpc -o subformat=dynamic,force_size=on", in_dir("v/base.vhd"));
		c = open_chain(in_dir("v/base.vhd"));
		base = c.links[0].vhd.footer.unique_id;
		ibb_chain_clear(&c);
	} else {
		save_vhd((struct mkvhd){.id = base, .whole_bitmaps = true}, &f,
			 &(struct mkvhd_run){0, FLAT_BYTES / 512}, 1, in_dir("v/base.vhd"));
	}
	random_runs(&seed, f.size, 512, 100, runs, RUNS);
	scribble(&f, &seed, 512, runs, RUNS);
	save_vhd((struct mkvhd){.id = an_id(2),
				.differencing = true,
				.parent_id = base,
				.locators = {{"W2ru", ".\\base.vhd"}}},
		 &f, runs, RUNS, in_dir("v/middle.vhd"));
	random_runs(&seed, f.size, 512, 30, runs, RUNS);
	scribble(&f, &seed, 512, runs, RUNS);
	save_vhd((struct mkvhd){.id = an_id(3),
				.block_bytes = 512 * KIB,
				.backwards = true,
				.differencing = true,
				.parent_id = an_id(2),
				.locators = {{"W2ru", ".\\middle.vhd"}}},
		 &f, runs, RUNS, in_dir("v/top.vhd"));
	c = open_chain(in_dir("v/top.vhd"));
	assert_int_equal(c.n, 3);
	assert_string_equal(c.links[0].path, in_dir("v/top.vhd"));
	assert_string_equal(c.links[1].path, in_dir("v/middle.vhd"));
	assert_string_equal(c.links[2].path, in_dir("v/base.vhd"));
	assert_int_equal(c.links[1].found_by, IBB_FOUND_RELATIVE);
	assert_int_equal(c.links[0].kind, IBB_CONTAINER_VHD_DIFFERENCING);
	assert_int_equal(c.links[2].kind, IBB_CONTAINER_VHD_DYNAMIC);
	assert_disk_is(c.disk, &f, &seed);
	agree(&c, 20);
	ibb_chain_clear(&c);
	free(f.bytes);
}

static void three_deep_vhdx(uint32_t sector)
{
	uint64_t seed = test_seed() + sector;
	struct flat f = flat_new(FLAT_BYTES);
	struct mkvhd_run runs[RUNS];
	struct ibb_guid base = an_id(1), middle = an_id(2);
	struct ibb_chain c;

	fresh_dir("x");
	random_runs(&seed, f.size, sector, FLAT_BYTES / sector / 20, runs, RUNS);
	scribble(&f, &seed, sector, runs, RUNS);
	if (sector == 512 && have_qemu_img()) {
		qemu_convert(&f, "vhdx -o block_size=1M", in_dir("x/base.vhdx"));
		c = open_chain(in_dir("x/base.vhdx"));
		base = c.links[0].vhdx.data_write_id;
		ibb_chain_clear(&c);
	} else {
		save_vhdx((struct mkvhdx_opts){.data_write_id = base, .logical_bytes = sector}, &f,
			  runs, RUNS, in_dir("x/base.vhdx"));
	}
	random_runs(&seed, f.size, sector, 40960 / sector, runs, RUNS);
	scribble(&f, &seed, sector, runs, RUNS);
	save_vhdx((struct mkvhdx_opts){.data_write_id = middle,
				       .logical_bytes = sector,
				       .differencing = true,
				       .linkage = id_text(&base),
				       .relative = ".\\base.vhdx"},
		  &f, runs, RUNS, in_dir("x/middle.avhdx"));
	random_runs(&seed, f.size, sector, 16384 / sector, runs, RUNS);
	scribble(&f, &seed, sector, runs, RUNS);
	save_vhdx((struct mkvhdx_opts){.data_write_id = an_id(3),
				       .logical_bytes = sector,
				       .block_bytes = 2 * MIB,
				       .differencing = true,
				       .linkage = id_text(&middle),
				       .absolute = "C:\\hyper-v\\middle.avhdx"},
		  &f, runs, RUNS, in_dir("x/top.avhdx"));
	c = open_chain(in_dir("x/top.avhdx"));
	assert_int_equal(c.n, 3);
	assert_int_equal(c.links[1].found_by, IBB_FOUND_ABSOLUTE);
	assert_int_equal(c.links[2].found_by, IBB_FOUND_RELATIVE);
	assert_string_equal(c.links[2].path, in_dir("x/base.vhdx"));
	assert_int_equal(c.disk->sector_bytes, sector);
	assert_string_equal(ibb_link_kind_name(&c.links[0]), "differencing VHDX");
	assert_string_equal(ibb_link_kind_name(&c.links[2]), "dynamic VHDX");
	assert_disk_is(c.disk, &f, &seed);
	agree(&c, 20);
	ibb_chain_clear(&c);
	free(f.bytes);
}

static void test_three_deep_vhdx(void **state)
{
	(void)state;
	three_deep_vhdx(512);
}

static void test_three_deep_vhdx_4096(void **state)
{
	(void)state;
	three_deep_vhdx(4096);
}

/* A VHDX may be made larger after the snapshot: behind the parent's end are zeros. */
static void test_larger_child(void **state)
{
	struct ibb_guid base = an_id(1);
	uint64_t seed = test_seed();
	struct flat f = flat_new(8 * MIB), small = {f.bytes, 3 * MIB};
	const struct mkvhd_run runs[] = {{100, 700}, {5000, 600}};
	struct ibb_chain c;

	(void)state;
	fresh_dir("l");
	scribble(&small, &seed, 512, runs, 2);
	save_vhdx((struct mkvhdx_opts){.data_write_id = base}, &small, runs, 2,
		  in_dir("l/base.vhdx"));
	const struct mkvhd_run more[] = {{150, 3}, {6100, 100}, {16000, 5}};
	scribble(&f, &seed, 512, more, 3);
	save_vhdx((struct mkvhdx_opts){.data_write_id = an_id(2),
				       .differencing = true,
				       .linkage = id_text(&base),
				       .relative = "base.vhdx"},
		  &f, more, 3, in_dir("l/top.vhdx"));
	c = open_chain(in_dir("l/top.vhdx"));
	assert_disk_is(c.disk, &f, &seed);
	agree(&c, 1);
	ibb_chain_clear(&c);
	free(f.bytes);
}

/* ---- how parents are found ---- */

struct route {
	const char *base; /* where the parent lies, below r/ */
	struct mkvhd_locator locators[3];
	const char *name;
	enum ibb_found_by by;
};

static void test_routes_vhd(void **state)
{
	static const struct route routes[] = {
		{"d/base.vhd", {{"W2ru", ".\\base.vhd"}}, NULL, IBB_FOUND_RELATIVE},
		{"d/base.vhd", {{"W2ru", "base.vhd"}}, NULL, IBB_FOUND_RELATIVE},
		{"base.vhd", {{"W2ru", "..\\base.vhd"}}, NULL, IBB_FOUND_RELATIVE},
		{"d/Sub/Base.VHD", {{"W2ru", ".\\sUB\\.\\\\bASE.vhd"}}, NULL, IBB_FOUND_RELATIVE},
		{"d/Sub/Base.VHD", {{"W2ru", "SUB\\..\\sub\\base.vhd"}}, NULL, IBB_FOUND_RELATIVE},
		{"d/\xc3\x84nderung.vhd",
		 {{"W2ru", ".\\\xc3\xa4NDERUNG.VHD"}},
		 NULL,
		 IBB_FOUND_RELATIVE},
		{"d/base.vhd",
		 {{"W2ku", "C:\\hyper-v\\disks\\Base.vhd"}},
		 NULL,
		 IBB_FOUND_ABSOLUTE},
		{"d/base.vhd",
		 {{"W2ru", ".\\gone\\other.vhd"}, {"W2ku", "C:\\base.vhd"}},
		 NULL,
		 IBB_FOUND_ABSOLUTE},
		/* moved: the relative path leads nowhere, but its file is here */
		{"d/base.vhd", {{"W2ru", "..\\parents\\base.vhd"}}, NULL, IBB_FOUND_NAME},
		{"d/base.vhd", {{"W2ru", "C:\\base.vhd"}}, NULL, IBB_FOUND_NAME},
		{"d/base.vhd", {{NULL, NULL}}, "D:\\x\\BASE.vhd", IBB_FOUND_NAME},
		{"d/base.vhd", {{NULL, NULL}}, "base.vhd", IBB_FOUND_NAME},
		{"d/renamed.AVHD", {{"W2ru", ".\\base.vhd"}}, "base.vhd", IBB_FOUND_ID},
		{"d/renamed.vhd", {{NULL, NULL}}, NULL, IBB_FOUND_ID},
		{"d/renamed.vhd", {{"W2ru", "..\\..\\"}, {"W2ku", "C:\\"}}, "..", IBB_FOUND_ID},
	};

	(void)state;
	for (size_t i = 0; i < IBB_ARRAY_SIZE(routes); i++) {
		struct mkvhd child = {.id = an_id(2),
				      .differencing = true,
				      .parent_id = an_id(1),
				      .parent_name = routes[i].name};
		struct ibb_chain c;
		char base[600];

		memcpy(child.locators, routes[i].locators, sizeof(routes[i].locators));
		fresh_dir("r");
		make_dir("r/d");
		make_dir("r/d/Sub");
		snprintf(base, sizeof(base), "r/%s", routes[i].base);
		tiny_vhd(in_dir(base), &(struct mkvhd){.id = an_id(1)});
		tiny_vhd(in_dir("r/d/child.vhd"), &child);
		c = open_chain(in_dir("r/d/child.vhd"));
		assert_int_equal(c.n, 2);
		if (c.links[1].found_by != routes[i].by)
			fail_msg("route %zu: found by %s", i,
				 ibb_found_by_name(c.links[1].found_by));
		agree(&c, 1);
		ibb_chain_clear(&c);
	}
}

/* Exactly so spelt comes before another case, and the identifier before both. */
static void test_case_of_two(void **state)
{
	struct ibb_chain c;
	const struct mkvhd child = {.id = an_id(2),
				    .differencing = true,
				    .parent_id = an_id(1),
				    .locators = {{"W2ru", ".\\base.vhd"}}};

	(void)state;
	fresh_dir("r");
	tiny_vhd(in_dir("r/BASE.VHD"), &(struct mkvhd){.id = an_id(1)});
	tiny_vhd(in_dir("r/base.vhd"), &(struct mkvhd){.id = an_id(1), .timestamp_s = 5});
	tiny_vhd(in_dir("r/child.vhd"), &child);
	c = open_chain(in_dir("r/child.vhd"));
	assert_string_equal(c.links[1].path, in_dir("r/base.vhd"));
	ibb_chain_clear(&c);
	tiny_vhd(in_dir("r/base.vhd"), &(struct mkvhd){.id = an_id(7)});
	c = open_chain(in_dir("r/child.vhd"));
	assert_string_equal(c.links[1].path, in_dir("r/BASE.VHD"));
	assert_int_equal(c.links[1].found_by, IBB_FOUND_ID);
	ibb_chain_clear(&c);
}

/* A symbolic link to the image: its parents lie where the image lies. */
static void test_symbolic_link(void **state)
{
	struct ibb_chain c;
	const struct mkvhd child = {.id = an_id(2),
				    .differencing = true,
				    .parent_id = an_id(1),
				    .locators = {{"W2ru", ".\\base.vhd"}}};

	(void)state;
	fresh_dir("r");
	make_dir("r/store");
	tiny_vhd(in_dir("r/store/base.vhd"), &(struct mkvhd){.id = an_id(1)});
	tiny_vhd(in_dir("r/store/child.vhd"), &child);
	assert_int_equal(symlink("store/child.vhd", in_dir("r/link.vhd")), 0);
	c = open_chain(in_dir("r/link.vhd"));
	assert_int_equal(c.n, 2);
	ibb_chain_clear(&c);
}

static void test_routes_vhdx(void **state)
{
	struct ibb_guid base = an_id(1), zero = {{0}}, other = an_id(9);
	const struct {
		struct mkvhdx_opts o;
		enum ibb_found_by by;
	} routes[] = {
		{{.linkage = id_text(&base), .relative = "..\\d\\base.vhdx"}, IBB_FOUND_RELATIVE},
		{{.linkage = id_text(&base), .absolute = "C:\\a\\BASE.vhdx"}, IBB_FOUND_ABSOLUTE},
		{{.linkage = id_text(&base), .volume = "\\\\?\\Volume{1}\\a\\base.vhdx"},
		 IBB_FOUND_ABSOLUTE},
		{{.linkage = id_text(&other), .linkage2 = id_text(&base), .relative = "base.vhdx"},
		 IBB_FOUND_RELATIVE},
		{{.linkage = id_text(&base), .linkage2 = id_text(&zero), .relative = "no.vhdx"},
		 IBB_FOUND_ID},
	};

	(void)state;
	for (size_t i = 0; i < IBB_ARRAY_SIZE(routes); i++) {
		struct mkvhdx_opts o = routes[i].o;
		struct ibb_chain c;

		o.differencing = true;
		o.data_write_id = an_id(2);
		fresh_dir("r");
		make_dir("r/d");
		tiny_vhdx(in_dir("r/d/base.vhdx"), &(struct mkvhdx_opts){.data_write_id = base});
		tiny_vhdx(in_dir("r/d/child.avhdx"), &o);
		c = open_chain(in_dir("r/d/child.avhdx"));
		assert_int_equal(c.n, 2);
		if (c.links[1].found_by != routes[i].by)
			fail_msg("route %zu: found by %s", i,
				 ibb_found_by_name(c.links[1].found_by));
		agree(&c, 0);
		ibb_chain_clear(&c);
	}
}

/* All files of a chain moved to another directory: still found. */
static void test_moved_together(void **state)
{
	struct ibb_chain c;

	(void)state;
	fresh_dir("a");
	make_dir("a/snapshots");
	tiny_vhd(in_dir("a/base.vhd"), &(struct mkvhd){.id = an_id(1)});
	tiny_vhd(in_dir("a/snapshots/mid.vhd"),
		 &(struct mkvhd){.id = an_id(2),
				 .differencing = true,
				 .parent_id = an_id(1),
				 .locators = {{"W2ru", "..\\base.vhd"}, {"W2ku", "E:\\base.vhd"}}});
	tiny_vhd(in_dir("a/snapshots/top.vhd"),
		 &(struct mkvhd){.id = an_id(3),
				 .differencing = true,
				 .parent_id = an_id(2),
				 .locators = {{"W2ru", ".\\mid.vhd"}}});
	c = open_chain(in_dir("a/snapshots/top.vhd"));
	assert_int_equal(c.n, 3);
	ibb_chain_clear(&c);
	fresh_dir("b");
	assert_int_equal(rename(in_dir("a/base.vhd"), in_dir("b/base.vhd")), 0);
	assert_int_equal(rename(in_dir("a/snapshots/mid.vhd"), in_dir("b/mid.vhd")), 0);
	assert_int_equal(rename(in_dir("a/snapshots/top.vhd"), in_dir("b/top.vhd")), 0);
	c = open_chain(in_dir("b/top.vhd"));
	assert_int_equal(c.n, 3);
	assert_int_equal(c.links[2].found_by, IBB_FOUND_NAME);
	assert_string_equal(c.links[2].path, in_dir("b/base.vhd"));
	ibb_chain_clear(&c);
}

/* ---- refusals ---- */

static const struct mkvhd some_child = {
	.differencing = true,
	.locators = {{"W2ku", "C:\\hyper-v\\base.vhd"}, {"W2ru", "..\\images\\base.vhd"}},
	.parent_name = "C:\\hyper-v\\first.vhd",
};

static struct mkvhd child_of(uint8_t parent, uint8_t id)
{
	struct mkvhd v = some_child;

	v.id = an_id(id);
	v.parent_id = an_id(parent);
	return v;
}

static void test_missing(void **state)
{
	const struct mkvhd v = child_of(1, 2);
	struct ibb_error err = {0};
	struct ibb_chain c;
	char want[2000];

	(void)state;
	fresh_dir("m");
	tiny_vhd(in_dir("m/child.vhd"), &v);
	/* all that does not matter is passed over */
	make_file(in_dir("m/broken.vhd"), "conectix", 8);
	tiny_vhd(in_dir("m/stranger.vhd"), &(struct mkvhd){.id = an_id(4)});
	snprintf(want, sizeof(want),
		 "child.vhd: is a differencing VHD, and its parent (C:\\hyper-v\\base.vhd) is "
		 "missing; looked for %s/../images/base.vhd, %s/base.vhd, %s/first.vhd, every "
		 "*.vhd, *.vhdx, *.avhd and *.avhdx beside it, with the identifier "
		 "101112131415161718191a1b1c1d1e1f",
		 in_dir("m"), in_dir("m"), in_dir("m"));
	assert_fails(ibb_chain_open(in_dir("m/child.vhd"), &c, &err), IBB_E_UNSUPPORTED, err, want);
	assert_int_equal(ibb_exit_status(err.code), 100);
	assert_non_null(strstr(err.hint, "put its parent beside it"));
}

static void test_changed_parent(void **state)
{
	struct ibb_guid base = an_id(1), now = an_id(5);
	const struct mkvhd v = child_of(1, 2);
	char want[2000];

	(void)state;
	fresh_dir("m");
	tiny_vhd(in_dir("m/child.vhd"), &v);
	tiny_vhd(in_dir("m/base.vhd"), &(struct mkvhd){.id = now});
	snprintf(want, sizeof(want),
		 "its parent %s was changed or is another disk: it is a dynamic VHD with the "
		 "identifier 505152535455565758595a5b5c5d5e5f, the child was made on the VHD with "
		 "the identifier 101112131415161718191a1b1c1d1e1f",
		 in_dir("m/base.vhd"));
	assert_refused(in_dir("m/child.vhd"), IBB_E_UNSUPPORTED, want);
	/* VHDX: the identifier changes with every write to the parent */
	tiny_vhdx(in_dir("m/base.vhdx"), &(struct mkvhdx_opts){.data_write_id = now});
	tiny_vhdx(in_dir("m/child.avhdx"), &(struct mkvhdx_opts){.data_write_id = an_id(2),
								 .differencing = true,
								 .linkage = id_text(&base),
								 .relative = "base.vhdx"});
	snprintf(want, sizeof(want),
		 "base.vhdx was changed or is another disk: it is a dynamic VHDX with the "
		 "identifier %s, the child was made on the VHDX with the identifier %s",
		 id_text(&now), id_text(&base));
	assert_refused(in_dir("m/child.avhdx"), IBB_E_UNSUPPORTED, want);
	/* kinds do not mix, even with the right bytes */
	fresh_dir("m");
	tiny_vhd(in_dir("m/base.vhdx"), &(struct mkvhd){.id = base});
	tiny_vhdx(in_dir("m/child.avhdx"), &(struct mkvhdx_opts){.data_write_id = an_id(2),
								 .differencing = true,
								 .linkage = id_text(&base),
								 .relative = "base.vhdx"});
	assert_refused(in_dir("m/child.avhdx"), IBB_E_UNSUPPORTED,
		       "is another disk: it is a dynamic VHD with the identifier 1011");
	make_sparse(in_dir("m/base.vhdx.img"), MIB);
	assert_int_equal(unlink(in_dir("m/base.vhdx")), 0);
	tiny_vhdx(in_dir("m/child.avhdx"), &(struct mkvhdx_opts){.data_write_id = an_id(2),
								 .differencing = true,
								 .linkage = id_text(&base),
								 .relative = "base.vhdx.img"});
	assert_refused(in_dir("m/child.avhdx"), IBB_E_UNSUPPORTED,
		       "is another disk: it is a raw disk, the child");
}

/* What is wrong with a parent is said of the parent. */
static void test_bad_parent(void **state)
{
	const struct mkvhd v = child_of(1, 2);
	char want[2000];
	int fd;

	(void)state;
	fresh_dir("m");
	tiny_vhd(in_dir("m/child.vhd"), &v);
	tiny_vhd(in_dir("m/base.vhd"), &(struct mkvhd){.id = an_id(1)});
	fd = open(in_dir("m/base.vhd"), O_RDWR | O_CLOEXEC);
	assert_int_equal(flock(fd, LOCK_EX | LOCK_NB), 0);
	snprintf(want, sizeof(want), "child.vhd: its parent: %s: another program has it locked",
		 in_dir("m/base.vhd"));
	assert_refused(in_dir("m/child.vhd"), IBB_E_CONFLICT, want);
	close(fd);
	assert_int_equal(patch_file(in_dir("m/base.vhd"), 512, "C", 1), 0);
	assert_refused(in_dir("m/child.vhd"), IBB_E_CORRUPT,
		       "m/base.vhd: no VHD dynamic disk header at offset 512");
	make_file(in_dir("m/base.vhd"), "MSWIM\0\0\0", 8);
	assert_int_equal(truncate(in_dir("m/base.vhd"), MIB), 0);
	assert_refused(in_dir("m/child.vhd"), IBB_E_UNSUPPORTED, "m/base.vhd: is a WIM archive");
	assert_int_equal(unlink(in_dir("m/base.vhd")), 0);
	make_dir("m/base.vhd");
	assert_refused(in_dir("m/child.vhd"), IBB_E_UNSUPPORTED, "m/base.vhd: is a directory");
	/* the right one elsewhere helps, whatever has its name */
	tiny_vhd(in_dir("m/first.vhd"), &(struct mkvhd){.id = an_id(1)});
	struct ibb_chain c = open_chain(in_dir("m/child.vhd"));
	assert_int_equal(c.links[1].found_by, IBB_FOUND_NAME);
	ibb_chain_clear(&c);
}

/* A copy of the parent may have been written to: a VHD's identifier does not tell. */
static void test_two_with_the_identifier(void **state)
{
	const struct mkvhd v = child_of(1, 2);
	struct ibb_chain c;

	(void)state;
	fresh_dir("m");
	tiny_vhd(in_dir("m/child.vhd"), &v);
	tiny_vhd(in_dir("m/one.vhd"), &(struct mkvhd){.id = an_id(1)});
	assert_int_equal(link(in_dir("m/one.vhd"), in_dir("m/same.vhd")), 0);
	c = open_chain(in_dir("m/child.vhd"));
	assert_int_equal(c.n, 2); /* the same file under two names is one */
	ibb_chain_clear(&c);
	tiny_vhd(in_dir("m/two.vhd"), &(struct mkvhd){.id = an_id(1)});
	assert_refused(in_dir("m/child.vhd"), IBB_E_UNSUPPORTED, "m/two.vhd have: they may differ");
	/* by its name it is known */
	assert_int_equal(rename(in_dir("m/two.vhd"), in_dir("m/base.vhd")), 0);
	c = open_chain(in_dir("m/child.vhd"));
	assert_string_equal(c.links[1].path, in_dir("m/base.vhd"));
	ibb_chain_clear(&c);
}

static void test_too_many_beside(void **state)
{
	const struct mkvhd v = child_of(1, 2);
	char name[64];

	(void)state;
	fresh_dir("m");
	for (unsigned i = 0; i <= IBB_LIMIT_CHAIN_SCAN; i++) {
		snprintf(name, sizeof(name), "m/%u.vhd", i);
		make_file(in_dir(name), "", 0);
	}
	tiny_vhd(in_dir("m/child.vhd"), &v);
	assert_refused(in_dir("m/child.vhd"), IBB_E_UNSUPPORTED,
		       "(too many images in its directory to ask each)");
	fresh_dir("m");
}

/* What may be the parent, but cannot be opened now or is damaged, is told of. */
static void test_neighbours_told(void **state)
{
	const struct mkvhd v = child_of(1, 2);
	char want[2000];
	int fd;

	(void)state;
	fresh_dir("m");
	tiny_vhd(in_dir("m/child.vhd"), &v);
	tiny_vhd(in_dir("m/renamed.vhd"), &(struct mkvhd){.id = an_id(1)});
	fd = open(in_dir("m/renamed.vhd"), O_RDWR | O_CLOEXEC);
	assert_int_equal(flock(fd, LOCK_EX | LOCK_NB), 0);
	snprintf(want, sizeof(want),
		 "child.vhd: its parent is missing, unless it is this: %s: another program has it "
		 "locked",
		 in_dir("m/renamed.vhd"));
	assert_refused(in_dir("m/child.vhd"), IBB_E_CONFLICT, want);
	/* the right one beside it helps */
	tiny_vhd(in_dir("m/sound.vhd"), &(struct mkvhd){.id = an_id(1)});
	struct ibb_chain c = open_chain(in_dir("m/child.vhd"));
	assert_string_equal(c.links[1].path, in_dir("m/sound.vhd"));
	ibb_chain_clear(&c);
	assert_int_equal(unlink(in_dir("m/sound.vhd")), 0);
	close(fd);
	/* it is, by its footer, and damaged */
	assert_int_equal(patch_file(in_dir("m/renamed.vhd"), 512, "C", 1), 0);
	assert_refused(in_dir("m/child.vhd"), IBB_E_CORRUPT, "child.vhd: its parent: ");
	assert_refused(in_dir("m/child.vhd"), IBB_E_CORRUPT,
		       "m/renamed.vhd: no VHD dynamic disk header at offset 512");
}

/* Of a neighbour only the identifier is looked at: not a log that keeps one busy, or is broken. */
static void test_neighbours_unread(void **state)
{
	struct ibb_guid base = an_id(1), log = an_id(8);
	const struct mkvhdx_opts stranger = {.disk_bytes = 2 * MIB, .data_write_id = an_id(4)};
	const struct mkvhdx_opts child = {.data_write_id = an_id(2),
					  .differencing = true,
					  .linkage = id_text(&base),
					  .relative = "no.vhdx"};
	struct ibb_error err = {0};
	struct ibb_disk *file;
	struct ibb_file_id id;
	enum ibb_container kind;
	struct ibb_guid got;
	struct mkvhdx m;

	(void)state;
	fresh_dir("m");
	tiny_vhdx(in_dir("m/child.vhdx"), &child);
	assert_ok(mkvhdx_begin(&m, &stranger, &err), err);
	assert_ok(mkvhdx_set_log(&m, &log, &err), err); /* of which there is no entry */
	assert_ok(mkvhdx_save(&m, in_dir("m/stranger.vhdx"), &err), err);
	mkvhdx_clear(&m);
	assert_ok(ibb_disk_file_open(in_dir("m/stranger.vhdx"), &id, &file, &err), err);
	assert_ok(ibb_container_detect_id(file, &kind, &got, &err), err);
	assert_int_equal(kind, IBB_CONTAINER_VHDX);
	assert_true(ibb_guid_equal(&got, &stranger.data_write_id));
	ibb_disk_unref(file);
	assert_refused(in_dir("m/child.vhdx"), IBB_E_UNSUPPORTED, "is missing; looked for");
	/* one with the identifier is opened */
	assert_ok(mkvhdx_begin(&m,
			       &(struct mkvhdx_opts){.disk_bytes = 2 * MIB, .data_write_id = base},
			       &err),
		  err);
	assert_ok(mkvhdx_set_log(&m, &log, &err), err);
	assert_ok(mkvhdx_save(&m, in_dir("m/right.vhdx"), &err), err);
	mkvhdx_clear(&m);
	assert_refused(in_dir("m/child.vhdx"), IBB_E_CORRUPT, "right.vhdx: the VHDX log is not");
}

/* A VHDX that ends with the footer of a VHD, which is its guest's. */
static void test_vhdx_with_footer(void **state)
{
	static const char *const names[] = {"m/d.vhdx", "m/d.AVHDX", "m/d.img", "m/d.vhd"};
	const struct mkvhdx_opts o = {.disk_bytes = 2 * MIB, .data_write_id = an_id(1)};
	const struct ibb_guid vhd_id = an_id(5);
	uint8_t sectors[4096] = {0};
	struct ibb_vhd_footer footer;
	struct ibb_error err = {0};
	enum ibb_container kind;
	struct ibb_disk *file;
	struct ibb_file_id id;
	struct ibb_chain c;
	struct mkvhdx m;

	(void)state;
	fresh_dir("m");
	for (unsigned broken = 0; broken < 2; broken++)
		for (size_t i = 0; i < IBB_ARRAY_SIZE(names); i++) {
			ibb_vhd_footer_init(&footer, MIB, 1600000000, &vhd_id);
			ibb_vhd_footer_encode(&footer, sectors + 3584);
			sectors[3584 + 100] = (uint8_t)broken;
			assert_ok(mkvhdx_begin(&m, &o, &err), err);
			assert_ok(mkvhdx_write(&m, sectors, sizeof(sectors), MIB - 4096, &err),
				  err);
			assert_ok(mkvhdx_save(&m, in_dir(names[i]), &err), err);
			mkvhdx_clear(&m);
			c = open_chain(in_dir(names[i]));
			assert_int_equal(c.links[0].kind, IBB_CONTAINER_VHDX);
			assert_int_equal(c.disk->size_bytes, 2 * MIB);
			ibb_chain_clear(&c);
		}
	/* a fixed VHD whose guest's disk begins so is one, but for its name */
	for (size_t i = 0; i < 4; i++) {
		uint8_t b[8192 + 512] = "vhdxfile";

		ibb_vhd_footer_init(&footer, 8192, 1600000000, &vhd_id);
		ibb_vhd_footer_encode(&footer, b + 8192);
		make_file(in_dir(names[i]), b, sizeof(b));
		assert_ok(ibb_disk_file_open(in_dir(names[i]), &id, &file, &err), err);
		assert_ok(ibb_container_detect(file, &kind, &err), err);
		assert_int_equal(kind, i < 2 ? IBB_CONTAINER_VHDX : IBB_CONTAINER_VHD_FIXED);
		ibb_disk_unref(file);
	}
}

static void test_loops(void **state)
{
	struct mkvhd a = child_of(1, 1), b = child_of(1, 2);
	struct ibb_guid x = an_id(1), y = an_id(2);

	(void)state;
	fresh_dir("m");
	tiny_vhd(in_dir("m/base.vhd"), &a);
	assert_refused(in_dir("m/base.vhd"), IBB_E_CORRUPT, "its chain of parents loops");
	a = child_of(2, 1);
	a.locators[0] = (struct mkvhd_locator){"W2ku", "b.vhd"};
	b.locators[0] = (struct mkvhd_locator){"W2ku", "a.vhd"};
	fresh_dir("m");
	tiny_vhd(in_dir("m/a.vhd"), &a);
	tiny_vhd(in_dir("m/b.vhd"), &b);
	assert_refused(in_dir("m/a.vhd"), IBB_E_CORRUPT, "m/a.vhd, the parent of ");
	tiny_vhdx(in_dir("m/a.vhdx"), &(struct mkvhdx_opts){.data_write_id = x,
							    .differencing = true,
							    .linkage = id_text(&y),
							    .relative = "b.vhdx"});
	tiny_vhdx(in_dir("m/b.vhdx"), &(struct mkvhdx_opts){.data_write_id = y,
							    .differencing = true,
							    .linkage = id_text(&x),
							    .relative = "a.vhdx"});
	assert_refused(in_dir("m/b.vhdx"), IBB_E_CORRUPT, "its chain of parents loops");
}

static void make_deep(unsigned n)
{
	char name[64], parent[64];

	fresh_dir("deep");
	for (unsigned i = 0; i < n; i++) {
		struct mkvhd v = {.id = an_id(1), .differencing = i > 0};

		v.id.b[0] = (uint8_t)i;
		v.parent_id = v.id;
		v.parent_id.b[0] = (uint8_t)(i - 1);
		snprintf(name, sizeof(name), "deep/%u.vhd", i);
		snprintf(parent, sizeof(parent), "%u.vhd", i - 1);
		v.parent_name = i ? parent : NULL;
		tiny_vhd(in_dir(name), &v);
	}
}

static void test_depth(void **state)
{
	struct ibb_chain c;
	char name[64];

	(void)state;
	make_deep(IBB_LIMIT_CHAIN_LINKS + 1);
	snprintf(name, sizeof(name), "deep/%u.vhd", IBB_LIMIT_CHAIN_LINKS - 1);
	c = open_chain(in_dir(name));
	assert_int_equal(c.n, IBB_LIMIT_CHAIN_LINKS);
	agree(&c, 1);
	ibb_chain_clear(&c);
	snprintf(name, sizeof(name), "deep/%u.vhd", IBB_LIMIT_CHAIN_LINKS);
	assert_refused(in_dir(name), IBB_E_LIMIT, "more than 64 differencing disks");
	fresh_dir("deep");
}

static void test_sector_sizes(void **state)
{
	struct ibb_guid base = an_id(1);

	(void)state;
	fresh_dir("m");
	tiny_vhdx(in_dir("m/base.vhdx"),
		  &(struct mkvhdx_opts){.data_write_id = base, .logical_bytes = 4096});
	tiny_vhdx(in_dir("m/child.vhdx"), &(struct mkvhdx_opts){.data_write_id = an_id(2),
								.differencing = true,
								.linkage = id_text(&base),
								.relative = "base.vhdx"});
	assert_refused(in_dir("m/child.vhdx"), IBB_E_CORRUPT,
		       "has logical sectors of 512 bytes, its parent ");
}

/* ---- the rest of the interface ---- */

static void test_unchanged(void **state)
{
	struct mkvhd v = child_of(1, 2);
	struct timespec times[2] = {{.tv_sec = 946684800 + 77}, {.tv_sec = 946684800 + 77}};
	struct ibb_error err = {0};
	struct ibb_file_id other;
	struct ibb_chain c;

	(void)state;
	fresh_dir("m");
	v.parent_time_s = 77;
	tiny_vhd(in_dir("m/child.vhd"), &v);
	tiny_vhd(in_dir("m/base.vhd"), &(struct mkvhd){.id = an_id(1)});
	c = open_chain(in_dir("m/child.vhd"));
	assert_false(ibb_link_time_agrees(&c.links[0], &c.links[1]));
	assert_true(ibb_chain_has(&c, &c.links[0].id));
	assert_true(ibb_chain_has(&c, &c.links[1].id));
	other = c.links[1].id;
	other.ino++;
	assert_false(ibb_chain_has(&c, &other));
	/* the parent counts as well as the image */
	assert_int_equal(utimensat(AT_FDCWD, in_dir("m/base.vhd"), times, 0), 0);
	assert_fails(ibb_chain_unchanged(&c, &err), IBB_E_CHANGED, err,
		     "m/base.vhd: was written to while it was read");
	ibb_chain_clear(&c);
	assert_null(c.links);
	c = open_chain(in_dir("m/child.vhd"));
	assert_true(ibb_link_time_agrees(&c.links[0], &c.links[1]));
	assert_int_equal(rename(in_dir("m/child.vhd"), in_dir("m/moved.vhd")), 0);
	assert_fails(ibb_chain_unchanged(&c, &err), IBB_E_CHANGED, err,
		     "m/child.vhd: was moved, removed or replaced");
	ibb_chain_clear(&c);
}

/* A VHD's identifier stays when it is written to: only its time can tell. */
static void test_written_since(void **state)
{
	static const struct {
		uint32_t child;
		int64_t parent;
		bool later;
	} times[] = {{1000, 1000, false},
		     {1000, 1002, false},
		     {1000, 1003, true},
		     {1000, 999, false},
		     {1000, 0, false},
		     {0, 1000, false},
		     {UINT32_MAX, 4294967297, false}};
	struct mkvhd v = child_of(1, 2);
	struct ibb_guid base = an_id(1);
	struct ibb_error err = {0};
	struct ibb_chain c;
	char want[2000];

	(void)state;
	fresh_dir("m");
	tiny_vhd(in_dir("m/base.vhd"), &(struct mkvhd){.id = an_id(1)});
	for (size_t i = 0; i < IBB_ARRAY_SIZE(times); i++) {
		struct timespec t = {.tv_sec = 946684800 + times[i].parent};

		v.parent_time_s = times[i].child;
		tiny_vhd(in_dir("m/child.vhd"), &v);
		assert_int_equal(
			utimensat(AT_FDCWD, in_dir("m/base.vhd"), (struct timespec[]){t, t}, 0), 0);
		c = open_chain(in_dir("m/child.vhd"));
		assert_int_equal(ibb_link_time_later(&c.links[0], &c.links[1]), times[i].later);
		snprintf(
			want, sizeof(want),
			"m/child.vhd: its parent %s was changed after the child was made: it is of "
			"2000-01-01T00:16:43Z, the child was made on it as of "
			"2000-01-01T00:16:40Z",
			in_dir("m/base.vhd"));
		if (times[i].later) {
			assert_fails(ibb_chain_parents_kept(&c, &err), IBB_E_UNSUPPORTED, err,
				     want);
			assert_non_null(strstr(err.hint, "touch -d 2000-01-01T00:16:40Z"));
			assert_non_null(strstr(err.hint, "--accept-changed-parent"));
		} else {
			assert_ok(ibb_chain_parents_kept(&c, &err), err);
		}
		ibb_chain_clear(&c);
	}
	/* a VHDX does not say it, and needs not */
	tiny_vhdx(in_dir("m/base.vhdx"), &(struct mkvhdx_opts){.data_write_id = base});
	tiny_vhdx(in_dir("m/child.vhdx"), &(struct mkvhdx_opts){.data_write_id = an_id(2),
								.differencing = true,
								.linkage = id_text(&base),
								.relative = "base.vhdx"});
	c = open_chain(in_dir("m/child.vhdx"));
	assert_ok(ibb_chain_parents_kept(&c, &err), err);
	ibb_chain_clear(&c);
}

static void test_single_files(void **state)
{
	char text[IBB_LINK_ID_SIZE];
	struct ibb_chain c;

	(void)state;
	fresh_dir("m");
	make_sparse(in_dir("m/disk.img"), MIB);
	c = open_chain(in_dir("m/disk.img"));
	assert_int_equal(c.n, 1);
	assert_int_equal(c.links[0].kind, IBB_CONTAINER_RAW);
	assert_ptr_equal(c.disk, c.links[0].file);
	ibb_link_id_text(&c.links[0], text);
	assert_string_equal(text, "");
	assert_string_equal(ibb_link_kind_name(&c.links[0]), "raw disk");
	agree(&c, 0);
	ibb_chain_clear(&c);
	tiny_vhd(in_dir("m/d.vhd"), &(struct mkvhd){.id = an_id(3)});
	c = open_chain(in_dir("m/d.vhd"));
	assert_string_equal(ibb_link_kind_name(&c.links[0]), "dynamic VHD");
	ibb_link_id_text(&c.links[0], text);
	assert_string_equal(text, "303132333435363738393a3b3c3d3e3f");
	ibb_chain_clear(&c);
	tiny_vhdx(in_dir("m/f.vhdx"), &(struct mkvhdx_opts){.fixed = true});
	c = open_chain(in_dir("m/f.vhdx"));
	assert_string_equal(ibb_link_kind_name(&c.links[0]), "fixed VHDX");
	ibb_chain_clear(&c);
	assert_refused(in_dir("m/none.vhd"), IBB_E_IO, "none.vhd: open");
}

/* The nth allocation fails: refused as such, nothing leaks, nothing is guessed. */
static void test_no_memory(void **state)
{
	struct mkvhd v = child_of(2, 3);
	struct ibb_error err = {0};
	struct ibb_chain c;
	long n;

	(void)state;
	fresh_dir("m");
	tiny_vhd(in_dir("m/first.vhd"), &(struct mkvhd){.id = an_id(1)});
	v.locators[0].path = "mid.vhd";
	tiny_vhd(in_dir("m/top.vhd"), &v);
	v = child_of(1, 2);
	v.locators[0].path = "no.vhd";
	tiny_vhd(in_dir("m/mid.vhd"), &v);
	for (n = 0;; n++) {
		uint64_t asked;
		int r;

		ibb_mem_fail_at(n, false);
		r = ibb_chain_open(in_dir("m/top.vhd"), &c, &err);
		if (!r) {
			r = second_opinion(&c, &asked, &err);
			ibb_chain_clear(&c);
		}
		ibb_mem_fail_at(-1, false);
		if (!r)
			break;
		assert_fails(r, IBB_E_NOMEM, err, "out of memory");
	}
	assert_true(n > 40);
}

/* ---- real files, written by Windows ---- */

static void test_real(void **state)
{
	static const struct {
		const char *name, *kind;
	} sound[] = {
		{"fixed.vhd", "fixed VHD"},
		{"dynamic.vhd", "dynamic VHD"},
		{"fixed.vhdx", "fixed VHDX"},
		{"dynamic.vhdx", "dynamic VHDX"},
	};

	(void)state;
	for (size_t i = 0; i < IBB_ARRAY_SIZE(sound); i++) {
		struct ibb_chain c = open_chain(unpack_vhd(sound[i].name));

		assert_string_equal(ibb_link_kind_name(&c.links[0]), sound[i].kind);
		assert_int_equal(c.disk->size_bytes, 10 * MIB);
		agree(&c, 20);
		ibb_chain_clear(&c);
	}
}

static void test_real_orphans(void **state)
{
	char want[2000];

	(void)state;
	snprintf(want, sizeof(want),
		 "(C:\\Projects\\dfvfs\\test_data\\fat-parent.vhd) is missing; looked for "
		 "%s/fat-parent.vhd, every",
		 test_dir());
	assert_refused(unpack_vhd("differencing-parent-absent.vhd"), IBB_E_UNSUPPORTED, want);
	snprintf(want, sizeof(want),
		 "looked for %s/Generation 1_49C4BAF3-4B25-4406-8C4B-D39E65C32385.avhdx, every "
		 "*.vhd, *.vhdx, *.avhd and *.avhdx beside it, with the identifier "
		 "{ff34003b-11ed-4cf8-a166-b2be05e20b80}",
		 test_dir());
	assert_refused(unpack_vhd("differencing.avhdx"), IBB_E_UNSUPPORTED, want);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_three_deep_vhd),
		cmocka_unit_test(test_three_deep_vhdx),
		cmocka_unit_test(test_three_deep_vhdx_4096),
		cmocka_unit_test(test_larger_child),
		cmocka_unit_test(test_routes_vhd),
		cmocka_unit_test(test_case_of_two),
		cmocka_unit_test(test_symbolic_link),
		cmocka_unit_test(test_routes_vhdx),
		cmocka_unit_test(test_moved_together),
		cmocka_unit_test(test_missing),
		cmocka_unit_test(test_changed_parent),
		cmocka_unit_test(test_bad_parent),
		cmocka_unit_test(test_two_with_the_identifier),
		cmocka_unit_test(test_too_many_beside),
		cmocka_unit_test(test_neighbours_told),
		cmocka_unit_test(test_neighbours_unread),
		cmocka_unit_test(test_vhdx_with_footer),
		cmocka_unit_test(test_loops),
		cmocka_unit_test(test_depth),
		cmocka_unit_test(test_sector_sizes),
		cmocka_unit_test(test_unchanged),
		cmocka_unit_test(test_written_since),
		cmocka_unit_test(test_single_files),
		cmocka_unit_test(test_no_memory),
		cmocka_unit_test(test_real),
		cmocka_unit_test(test_real_orphans),
	};

	return cmocka_run_group_tests(tests, test_dir_setup, test_dir_teardown) ? 1 : 0;
}
