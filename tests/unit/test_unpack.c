/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Archives taken apart: every form, nesting, programs around archives, limits. */
#include "unpacktest.h"

#include <fcntl.h>

#include "base/le.h"

#define N(a) (sizeof(a) / sizeof((a)[0]))

static const struct mkarchive_entry small[] = {
	{.name = "Drivers/"},
	{.name = "Drivers/mlx.inf", .data = "[Version]"},
	{.name = "Drivers/mlx.sys", .data = "MZ no program"},
	{.name = "Drivers/\xc3\x9c"
		 "bung \xe2\x82\xac.txt",
	 .data = "umlaut"},
	{.name = "empty.txt", .data = ""},
	{.name = "readme.txt", .data = "read"},
};
static const char small_tree[] = "Drivers/\n"
				 "Drivers/mlx.inf=[Version]\n"
				 "Drivers/mlx.sys=MZ no program\n"
				 "Drivers/\xc3\x9c"
				 "bung \xe2\x82\xac.txt=umlaut\n"
				 "empty.txt=\n"
				 "readme.txt=read\n";

static enum ibb_unpack_kind kind_of(enum mkarchive_form f)
{
	return f <= MKARCHIVE_ZIP_STORED ? IBB_UNPACK_ZIP
	       : f == MKARCHIVE_7Z	 ? IBB_UNPACK_7Z
	       : f == MKARCHIVE_CAB	 ? IBB_UNPACK_CAB
					 : IBB_UNPACK_TAR;
}

static void every_form(void **state)
{
	(void)state;
	for (int f = 0; f < MKARCHIVE_N; f++) {
		struct ibb_buf b = mkarchive(f, small, N(small));
		struct ibb_unpack_result r = {0};
		enum ibb_unpack_kind kind;
		struct ibb_error err = {0};
		struct unpack_world w;
		const char *path;

		unpack_world_begin(&w);
		path = unpack_put(&w, "vendor.bin", &b);
		assert_ok(ibb_unpack_detect(path, &kind, &err), err);
		assert_int_equal(kind, kind_of(f));
		assert_ok(unpack_run(&w, path, NULL, &r, &err), err);
		unpack_assert_tree(&w, small_tree);
		assert_int_equal(r.files, 5);
		assert_int_equal(r.bytes, 9 + 13 + 6 + 4);
		assert_int_equal(r.n_archives, 1);
		assert_string_equal(r.archives[0].path, "");
		assert_int_equal(r.archives[0].kind, kind_of(f));
		assert_null(r.archives[0].unverified);
		assert_int_equal(r.n_warnings, 0);
		ibb_unpack_result_clear(&r);
		unpack_world_end(&w);
	}
}

/* One archive of one form; the tree or the error. */
static void expect_tree(struct ibb_buf b, const char *want, const char *warning)
{
	struct ibb_unpack_result r = {0};
	struct ibb_error err = {0};
	struct unpack_world w;

	unpack_world_begin(&w);
	assert_ok(unpack_bytes(&w, &b, &r, &err), err);
	unpack_assert_tree(&w, want);
	assert_int_equal(r.n_warnings, warning ? 1 : 0);
	if (warning && !strstr(r.warnings[0], warning))
		fail_msg("warning '%s' lacks '%s'", r.warnings[0], warning);
	ibb_unpack_result_clear(&r);
	unpack_world_end(&w);
}

static void expect_error(struct ibb_buf b, int code, const char *text)
{
	struct ibb_unpack_result r = {0};
	struct ibb_error err = {0};
	struct unpack_world w;

	unpack_world_begin(&w);
	assert_fails(unpack_bytes(&w, &b, &r, &err), code, err, text);
	unpack_world_end(&w);
}

static void empty_ones(void **state)
{
	static const struct mkarchive_entry dir[] = {{.name = "only/"}};
	struct ibb_buf none = {0};

	(void)state;
	expect_error(mkarchive(MKARCHIVE_ZIP, NULL, 0), IBB_E_UNSUPPORTED, "without files");
	expect_error(mkarchive(MKARCHIVE_TAR_GZ, NULL, 0), IBB_E_UNSUPPORTED, "without files");
	expect_error(mkarchive(MKARCHIVE_7Z, NULL, 0), IBB_E_UNSUPPORTED, "without files");
	expect_error(mkarchive(MKARCHIVE_ZIP, dir, 1), IBB_E_UNSUPPORTED, "without files");
	expect_error(none, IBB_E_UNSUPPORTED, "not an archive");
}

static struct ibb_buf one_file(enum mkarchive_form f, const char *name, struct ibb_buf *content)
{
	struct mkarchive_entry e = {.name = name, .data = content->data, .len = content->len};
	struct ibb_buf b = mkarchive(f, &e, 1);

	ibb_buf_clear(content);
	return b;
}

static struct ibb_buf two_files(enum mkarchive_form f, const char *name, struct ibb_buf *content,
				const char *other)
{
	struct mkarchive_entry e[] = {
		{.name = name, .data = content->data, .len = content->len},
		{.name = other, .data = "x"},
	};
	struct ibb_buf b = mkarchive(f, e, 2);

	ibb_buf_clear(content);
	return b;
}

static struct ibb_buf inner(enum mkarchive_form f)
{
	static const struct mkarchive_entry e[] = {{.name = "a.inf", .data = "i"},
						   {.name = "a.sys", .data = "s"}};

	return mkarchive(f, e, 2);
}

static void nested_archives_go_beside(void **state)
{
	(void)state;
	for (int f = 0; f < MKARCHIVE_CAB; f++) {
		struct ibb_buf in = inner(f);

		expect_tree(two_files(MKARCHIVE_ZIP, "pack/drv.bin", &in, "pack/readme.txt"),
			    "pack/\npack/drv.bin.d/\npack/drv.bin.d/a.inf=i\n"
			    "pack/drv.bin.d/a.sys=s\npack/readme.txt=x\n",
			    NULL);
	}
}

static void what_lies_by_an_inf_is_left(void **state)
{
	struct ibb_buf in = inner(MKARCHIVE_ZIP_STORED);
	char want[128];

	(void)state;
	snprintf(want, sizeof(want), "d/\nd/a.inf=x\nd/tools/\nd/tools/drv.zip#%zu\n", in.len);
	expect_tree(two_files(MKARCHIVE_7Z, "d/tools/drv.zip", &in, "d/a.inf"), want, NULL);
	in = inner(MKARCHIVE_ZIP_STORED);
	expect_tree(two_files(MKARCHIVE_7Z, "drv.zip", &in, "autorun.inf"),
		    "autorun.inf=x\ndrv.zip.d/\ndrv.zip.d/a.inf=i\ndrv.zip.d/a.sys=s\n", NULL);
	in = inner(MKARCHIVE_ZIP_STORED);
	expect_tree(two_files(MKARCHIVE_7Z, "drv.zip", &in, "dr/other.inf"),
		    "dr/\ndr/other.inf=x\ndrv.zip.d/\ndrv.zip.d/a.inf=i\ndrv.zip.d/a.sys=s\n",
		    NULL);
}

static void cabinets_are_the_last_resort(void **state)
{
	struct ibb_buf in = inner(MKARCHIVE_CAB);
	char want[256];

	(void)state;
	snprintf(want, sizeof(want),
		 "data1.cab#%zu\ndata1.cab.d/\ndata1.cab.d/a.inf=i\ndata1.cab.d/a.sys=s\n"
		 "readme.txt=x\n",
		 in.len);
	expect_tree(two_files(MKARCHIVE_ZIP, "data1.cab", &in, "readme.txt"), want, NULL);
	in = inner(MKARCHIVE_CAB);
	snprintf(want, sizeof(want), "d/\nd/b.inf=x\ndata1.cab#%zu\n", in.len);
	expect_tree(two_files(MKARCHIVE_ZIP, "data1.cab", &in, "d/b.inf"), want, NULL);
	/* a.sy_ is a file of a package, whatever it is made of */
	in = inner(MKARCHIVE_CAB);
	snprintf(want, sizeof(want), "a.sy_#%zu\nreadme.txt=x\n", in.len);
	expect_tree(two_files(MKARCHIVE_ZIP, "a.sy_", &in, "readme.txt"), want, NULL);
	/* a cabinet in a cabinet */
	in = inner(MKARCHIVE_CAB);
	snprintf(want, sizeof(want), "in.cab#%zu\nin.cab.d/\nin.cab.d/a.inf=i\nin.cab.d/a.sys=s\n",
		 in.len);
	expect_tree(one_file(MKARCHIVE_CAB, "in.cab", &in), want, NULL);
}

static void documents_are_files(void **state)
{
	static const struct mkarchive_entry doc[] = {{.name = "[Content_Types].xml",
						      .data = "<a>"}},
					    odd[] = {{.name = "_rels/.rels", .data = "<a>"}},
					    jar[] = {{.name = "META-INF/M.MF", .data = "v"}};
	struct ibb_buf in = mkarchive(MKARCHIVE_ZIP_STORED, doc, 1);
	char want[64];

	(void)state;
	snprintf(want, sizeof(want), "readme.docx#%zu\nreadme.txt=x\n", in.len);
	expect_tree(two_files(MKARCHIVE_ZIP, "readme.docx", &in, "readme.txt"), want, NULL);
	in = mkarchive(MKARCHIVE_ZIP_STORED, odd, 1); /* LibreOffice's order */
	snprintf(want, sizeof(want), "readme.docx#%zu\nreadme.txt=x\n", in.len);
	expect_tree(two_files(MKARCHIVE_ZIP, "readme.docx", &in, "readme.txt"), want, NULL);
	in = mkarchive(MKARCHIVE_ZIP_STORED, jar, 1);
	snprintf(want, sizeof(want), "readme.txt=x\ntool.jar#%zu\n", in.len);
	expect_tree(two_files(MKARCHIVE_ZIP, "tool.jar", &in, "readme.txt"), want, NULL);
}

/* A tar.gz of one byte of text: a file that somebody compressed. */
static void compressed_files(void **state)
{
	static const uint8_t gz[] = {0x1f, 0x8b, 8,    0,    0,	   0,	 0, 0, 0, 3, 0x4b,
				     4,	   0,	 0x43, 0xbe, 0xb7, 0xe8, 1, 0, 0, 0};
	struct ibb_buf in = {0};

	(void)state;
	assert_int_equal(ibb_buf_append(&in, gz, sizeof(gz)), 0);
	expect_tree(two_files(MKARCHIVE_ZIP, "log.gz", &in, "readme.txt"),
		    "log.gz#21\nreadme.txt=x\n", NULL);
	assert_int_equal(ibb_buf_append(&in, gz, sizeof(gz)), 0);
	expect_tree(two_files(MKARCHIVE_ZIP, "log.tar.gz", &in, "readme.txt"),
		    "log.tar.gz#21\nreadme.txt=x\n", "kept as it is");
}

/* Where the central directory of a zip begins. */
static size_t central(const struct ibb_buf *b)
{
	return ibb_get_le32(b->data + b->len - 22 + 16);
}

/* Of its second file. */
static size_t last_local(const struct ibb_buf *b)
{
	const uint8_t *p = b->data + central(b);

	p += 46 + ibb_get_le16(p + 28) + ibb_get_le16(p + 30);
	return ibb_get_le32(p + 42);
}

static void encrypt(struct ibb_buf *zip)
{
	zip->data[6] |= 1;
	zip->data[central(zip) + 8] |= 1;
}

static void unreadable_inside_is_kept(void **state)
{
	struct ibb_buf in = inner(MKARCHIVE_ZIP_STORED);
	char want[64];
	uint8_t *last;

	(void)state;
	encrypt(&in);
	snprintf(want, sizeof(want), "docs.zip#%zu\nreadme.txt=x\n", in.len);
	expect_tree(two_files(MKARCHIVE_7Z, "docs.zip", &in, "readme.txt"), want,
		    "docs.zip: kept as it is: ");
	in = inner(MKARCHIVE_ZIP_STORED);
	encrypt(&in);
	expect_error(in, IBB_E_UNSUPPORTED, "a.inf: encrypted");
	/* what was written of it before the damage is gone again */
	in = inner(MKARCHIVE_ZIP_STORED);
	last = in.data + last_local(&in);
	last[30 + ibb_get_le16(last + 26) + ibb_get_le16(last + 28)] ^= 1;
	snprintf(want, sizeof(want), "docs.zip#%zu\nreadme.txt=x\n", in.len);
	expect_tree(two_files(MKARCHIVE_7Z, "docs.zip", &in, "readme.txt"), want, "kept as it is");
}

/* What is refused inside stays packed, without a trace of it, and harms no neighbour. */
static void hostile_inside_is_kept(void **state)
{
	static const struct mkarchive_entry up[] = {{.name = "ok.txt", .data = "1"},
						    {.name = "../../../x", .data = "1"}},
					    link[] = {{.name = "d/ok.txt", .data = "1"},
						      {.name = "l", .symlink = "/etc/passwd"}},
					    twins[] = {{.name = "xt_mark.h", .data = "1"},
						       {.name = "xt_MARK.h", .data = "2"}},
					    device[] = {{.name = "d/aux.c", .data = "1"}};
	static const struct {
		const struct mkarchive_entry *e;
		size_t n;
		const char *text;
	} all[] = {{up, 2, "docs.tgz: refused: path '../../../x'"},
		   {link, 2, "refused: 'l' is a link"},
		   {twins, 2, "two members have the name"},
		   {device, 1, "a DOS device name"}};
	char want[64];

	(void)state;
	for (size_t i = 0; i < N(all); i++) {
		struct ibb_buf in = mkarchive(MKARCHIVE_TAR_GZ, all[i].e, all[i].n);

		snprintf(want, sizeof(want), "docs.tgz#%zu\nreadme.txt=x\n", in.len);
		expect_tree(two_files(MKARCHIVE_ZIP, "docs.tgz", &in, "readme.txt"), want,
			    all[i].text);
	}
}

/* The outer archive has a file already where the inner one's would go: that one stays. */
static void content_meets_a_neighbour(void **state)
{
	struct ibb_buf in = inner(MKARCHIVE_ZIP);
	char want[64];

	(void)state;
	snprintf(want, sizeof(want), "A.ZIP.D/\nA.ZIP.D/A.SYS=x\na.zip#%zu\n", in.len);
	expect_tree(two_files(MKARCHIVE_ZIP, "a.zip", &in, "A.ZIP.D/A.SYS"), want,
		    "two members have the name A.ZIP.D/a.sys");
}

/* ---- programs ---- */

#define PE_SIZE 1024u

/* A program of one section, `extra` of whose bytes lie in it, and what comes behind it. */
static struct ibb_buf program(const struct ibb_buf *section, const struct ibb_buf *behind,
			      size_t certificates)
{
	size_t size = section ? section->len : 16;
	struct ibb_buf b = {0};

	assert_int_equal(ibb_buf_append_zero(&b, PE_SIZE), 0);
	memcpy(b.data, "MZ", 2);
	ibb_put_le32(b.data + 60, 128);
	memcpy(b.data + 128, "PE\0", 4);
	ibb_put_le16(b.data + 128 + 6, 1);
	ibb_put_le16(b.data + 128 + 20, 240);
	ibb_put_le16(b.data + 152, 0x20b);
	ibb_put_le32(b.data + 152 + 240 + 16, (uint32_t)size);
	ibb_put_le32(b.data + 152 + 240 + 20, PE_SIZE);
	if (section)
		assert_int_equal(ibb_buf_append(&b, section->data, size), 0);
	else
		assert_int_equal(ibb_buf_append_zero(&b, size), 0);
	if (behind)
		assert_int_equal(ibb_buf_append(&b, behind->data, behind->len), 0);
	if (!certificates)
		return b;
	ibb_put_le32(b.data + 152 + 144, (uint32_t)b.len);
	ibb_put_le32(b.data + 152 + 148, (uint32_t)certificates);
	assert_int_equal(ibb_buf_append_zero(&b, certificates), 0);
	return b;
}

static void programs_around_archives(void **state)
{
	static const enum mkarchive_form forms[] = {MKARCHIVE_ZIP, MKARCHIVE_7Z, MKARCHIVE_CAB};

	(void)state;
	for (size_t i = 0; i < N(forms); i++) {
		for (size_t certificates = 0; certificates < 100; certificates += 64) {
			struct ibb_buf in = inner(forms[i]), b = program(NULL, &in, certificates);

			expect_tree(b, "a.inf=i\na.sys=s\n", NULL);
			ibb_buf_clear(&in);
		}
	}
}

/* Signed programs have zeros between the zip and the signature, which begins at 8 bytes. */
static void padded_for_a_signature(void **state)
{
	(void)state;
	for (size_t i = 0; i < 10; i++) {
		struct ibb_buf in = inner(MKARCHIVE_ZIP), b;

		ibb_put_le16(in.data + in.len - 2, 2);
		assert_int_equal(ibb_buf_append(&in, i % 2 ? "ab" : "\0", 2), 0); /* a comment */
		assert_int_equal(ibb_buf_append_zero(&in, i), 0);
		b = program(NULL, &in, 64);
		ibb_buf_clear(&in);
		if (i < 8)
			expect_tree(b, "a.inf=i\na.sys=s\n", NULL);
		else
			expect_error(b, IBB_E_UNSUPPORTED, "no end of the central directory");
	}
}

/* 7-Zip's module has its settings in front of the archive; a zip may count from the program. */
static void programs_with_something_between(void **state)
{
	struct ibb_buf in = inner(MKARCHIVE_7Z), behind = {0}, b;
	size_t shift = PE_SIZE + 16;

	(void)state;
	assert_int_equal(ibb_buf_append_str(&behind, ";!@Install@!UTF-8!\n;!@InstallEnd@!"), 0);
	assert_int_equal(ibb_buf_append(&behind, in.data, in.len), 0);
	expect_tree(program(NULL, &behind, 0), "a.inf=i\na.sys=s\n", NULL);
	ibb_buf_clear(&in);
	ibb_buf_clear(&behind);
	in = inner(MKARCHIVE_ZIP_STORED);
	for (size_t at = central(&in), n = 0; n < 2; n++) {
		ibb_put_le32(in.data + at + 42, ibb_get_le32(in.data + at + 42) + (uint32_t)shift);
		at += 46u + ibb_get_le16(in.data + at + 28) + ibb_get_le16(in.data + at + 30);
	}
	ibb_put_le32(in.data + in.len - 6, ibb_get_le32(in.data + in.len - 6) + (uint32_t)shift);
	b = program(NULL, &in, 0);
	ibb_buf_clear(&in);
	expect_tree(b, "a.inf=i\na.sys=s\n", NULL);
}

/* A library may hold a cabinet for reasons of its own; only a setup program is opened. */
static void programs_inside(void **state)
{
	struct ibb_buf in = inner(MKARCHIVE_CAB), b = program(NULL, &in, 0);
	char want[64];

	(void)state;
	snprintf(want, sizeof(want), "a.dll#%zu\nreadme.txt=x\n", b.len);
	expect_tree(two_files(MKARCHIVE_7Z, "a.dll", &b, "readme.txt"), want, NULL);
	b = program(NULL, &in, 0);
	expect_tree(two_files(MKARCHIVE_7Z, "a.EXE", &b, "readme.txt"),
		    "a.EXE.d/\na.EXE.d/a.inf=i\na.EXE.d/a.sys=s\nreadme.txt=x\n", NULL);
	ibb_buf_clear(&in);
}

static void cabinets_among_resources(void **state)
{
	struct ibb_buf in = inner(MKARCHIVE_CAB), b = program(&in, NULL, 8);

	(void)state;
	ibb_buf_clear(&in);
	expect_tree(b, "a.inf=i\na.sys=s\n", NULL);
	expect_error(program(NULL, NULL, 0), IBB_E_UNSUPPORTED, "not an archive");
}

/* WiX's bundles have one cabinet of their own and one of what they install. */
static void several_behind_a_program(void **state)
{
	static const enum mkarchive_form forms[] = {MKARCHIVE_CAB, MKARCHIVE_7Z, MKARCHIVE_ZIP};
	char want[64];

	(void)state;
	for (size_t i = 0; i < N(forms); i++) {
		struct ibb_buf in = inner(MKARCHIVE_CAB), more = inner(forms[i]), b;

		assert_int_equal(ibb_buf_append(&in, more.data, more.len), 0);
		b = program(NULL, &in, 8);
		snprintf(want, sizeof(want), "bundle.exe#%zu\nreadme.txt=x\n", b.len);
		expect_tree(two_files(MKARCHIVE_ZIP, "bundle.exe", &b, "readme.txt"), want,
			    "it holds several archives");
		expect_error(program(NULL, &in, 8), IBB_E_UNSUPPORTED, "it holds several archives");
		ibb_buf_clear(&in);
		ibb_buf_clear(&more);
	}
}

/* Somebody took the digest of a file: that one is unpacked, whatever has its name by now. */
static void what_was_opened(void **state)
{
	struct ibb_buf first = inner(MKARCHIVE_ZIP), second = mkarchive(MKARCHIVE_ZIP, small, 6);
	struct ibb_unpack_result r = {0};
	struct ibb_error err = {0};
	struct unpack_world w;
	const char *path;
	int fd;

	(void)state;
	unpack_world_begin(&w);
	path = unpack_put(&w, "a.zip", &first);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	assert_true(fd >= 0);
	assert_int_equal(lseek(fd, 0, SEEK_END) > 0, true);
	assert_int_equal(unlink(path), 0);
	w.n_files--;
	unpack_put(&w, "a.zip", &second);
	assert_ok(ibb_unpack_open(fd, path, w.out, NULL, NULL, &r, &err), err);
	unpack_assert_tree(&w, "a.inf=i\na.sys=s\n");
	ibb_unpack_result_clear(&r);
	close(fd);
	unpack_world_end(&w);
}

/* ---- limits ---- */

static int stop(void *ctx, struct ibb_error *err)
{
	unsigned *left = ctx;

	return (*left)-- ? IBB_OK : ibb_err(err, IBB_E_CANCELLED, "stopped");
}

static void limits_hold(void **state)
{
	struct ibb_buf b = mkarchive(MKARCHIVE_TAR_XZ, small, N(small));
	struct ibb_unpack_limits l = {.bytes = 31};
	struct ibb_unpack_result r = {0};
	struct ibb_error err = {0};
	struct unpack_world w;
	unsigned left = 2;
	const char *path;

	(void)state;
	unpack_world_begin(&w);
	path = unpack_put(&w, "a.tar.xz", &b);
	assert_fails(unpack_run(&w, path, &l, &r, &err), IBB_E_LIMIT, err, "bytes");
	l = (struct ibb_unpack_limits){.bytes = 32, .files = 6};
	assert_ok(unpack_run(&w, path, &l, &r, &err), err);
	ibb_unpack_result_clear(&r);
	l.files = 5;
	assert_fails(unpack_run(&w, path, &l, &r, &err), IBB_E_LIMIT, err,
		     "more than 5 files and directories");
	l = (struct ibb_unpack_limits){.tick = stop, .tick_ctx = &left};
	assert_fails(unpack_run(&w, path, &l, &r, &err), IBB_E_CANCELLED, err, "stopped");
	unpack_world_end(&w);
}

/* Looking for an archive in a large program takes a while: it can be stopped as well. */
static void search_can_be_stopped(void **state)
{
	struct ibb_buf fill = {0}, b;
	unsigned left = 2;
	struct ibb_unpack_limits l = {.tick = stop, .tick_ctx = &left};
	struct ibb_unpack_result r = {0};
	struct ibb_error err = {0};
	struct unpack_world w;

	(void)state;
	assert_int_equal(ibb_buf_append_zero(&fill, 1 << 20), 0);
	b = program(NULL, &fill, 0);
	ibb_buf_clear(&fill);
	unpack_world_begin(&w);
	assert_fails(unpack_run(&w, unpack_put(&w, "setup.exe", &b), &l, &r, &err), IBB_E_CANCELLED,
		     err, "stopped");
	unpack_world_end(&w);
}

/* 64 MiB of zeros, which compress to nothing, against a limit of 1 MiB. */
static void bombs(void **state)
{
	struct ibb_unpack_limits l = {.bytes = 1 << 20};
	static const enum mkarchive_form forms[] = {MKARCHIVE_ZIP, MKARCHIVE_7Z, MKARCHIVE_TAR_GZ,
						    MKARCHIVE_TAR_ZST};
	struct ibb_buf zero = {0};
	struct ibb_error err = {0};

	(void)state;
	assert_int_equal(ibb_buf_append_zero(&zero, 8 << 20), 0);
	for (size_t i = 0; i < N(forms); i++) {
		struct mkarchive_entry e = {.name = "z", .data = zero.data, .len = zero.len};
		struct ibb_buf b = mkarchive(forms[i], &e, 1);
		struct ibb_unpack_result r = {0};
		struct unpack_world w;
		const char *path;

		unpack_world_begin(&w);
		path = unpack_put(&w, "bomb", &b);
		assert_fails(unpack_run(&w, path, &l, &r, &err), IBB_E_LIMIT, err, "bytes");
		unpack_assert_tree(&w, "");
		unpack_world_end(&w);
	}
	ibb_buf_clear(&zero);
}

static void deep_nests(void **state)
{
	struct ibb_buf b = inner(MKARCHIVE_ZIP_STORED);

	(void)state;
	for (unsigned i = 0; i < 3; i++) /* with the outermost: four */
		b = one_file(MKARCHIVE_ZIP_STORED, "x.zip", &b);
	expect_tree(b,
		    "x.zip.d/\nx.zip.d/x.zip.d/\nx.zip.d/x.zip.d/x.zip.d/\n"
		    "x.zip.d/x.zip.d/x.zip.d/a.inf=i\nx.zip.d/x.zip.d/x.zip.d/a.sys=s\n",
		    NULL);
	b = inner(MKARCHIVE_ZIP_STORED);
	for (unsigned i = 0; i < 4; i++)
		b = one_file(MKARCHIVE_ZIP_STORED, "x.zip", &b);
	expect_error(b, IBB_E_LIMIT, "archives in archives more than 4 deep");
}

/* Each allocation fails once: an error like any other, and nothing leaks (sanitizers look). */
static void without_memory(void **state)
{
	struct ibb_buf in = inner(MKARCHIVE_7Z);
	struct ibb_buf b = two_files(MKARCHIVE_TAR_GZ, "d/in.7z", &in, "readme.txt");
	struct ibb_unpack_result r = {0};
	struct ibb_error err = {0};
	struct unpack_world w;
	const char *path;
	long n;

	(void)state;
	unpack_world_begin(&w);
	path = unpack_put(&w, "a.tgz", &b);
	ibb_mem_count();
	assert_ok(unpack_run(&w, path, NULL, &r, &err), err);
	ibb_unpack_result_clear(&r);
	n = ibb_mem_count();
	assert_true(n > 20 && n < 2000);
	for (long i = 0; i < n; i++) {
		int rc;

		ibb_mem_fail_at(i, false);
		rc = unpack_run(&w, path, NULL, &r, &err);
		ibb_mem_fail_at(-1, false);
		if (rc != IBB_E_NOMEM)
			fail_msg("allocation %ld of %ld: %d %s", i, n, rc, err.msg);
		assert_int_equal(r.n_archives, 0);
	}
	unpack_world_end(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_form),
		cmocka_unit_test(empty_ones),
		cmocka_unit_test(nested_archives_go_beside),
		cmocka_unit_test(what_lies_by_an_inf_is_left),
		cmocka_unit_test(cabinets_are_the_last_resort),
		cmocka_unit_test(documents_are_files),
		cmocka_unit_test(compressed_files),
		cmocka_unit_test(unreadable_inside_is_kept),
		cmocka_unit_test(hostile_inside_is_kept),
		cmocka_unit_test(content_meets_a_neighbour),
		cmocka_unit_test(programs_around_archives),
		cmocka_unit_test(padded_for_a_signature),
		cmocka_unit_test(programs_with_something_between),
		cmocka_unit_test(programs_inside),
		cmocka_unit_test(cabinets_among_resources),
		cmocka_unit_test(several_behind_a_program),
		cmocka_unit_test(what_was_opened),
		cmocka_unit_test(without_memory),
		cmocka_unit_test(limits_hold),
		cmocka_unit_test(search_can_be_stopped),
		cmocka_unit_test(bombs),
		cmocka_unit_test(deep_nests),
	};

	return cmocka_run_group_tests(tests, NULL, NULL) ? 1 : 0;
}
