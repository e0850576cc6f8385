/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The comparison of two WIMs: each single thing that a WIM keeps of a file is changed in the bytes
 * of the second one, and has to be found, and named.
 */
#include "wim_change.h"

#include <ntfs-3g/object_id.h>

#include "base/hash.h"
#include "base/le.h"
#include "base/utf16.h"

/* Offsets in an entry of the metadata ("Windows Imaging File Format", 2007; wimlib's dentry). */
enum {
	ATTRIBUTES = 8,
	SECURITY = 12,
	CREATED = 40,
	ACCESSED = 48,
	WRITTEN = 56,
	HASH = 64,
	TAG_OR_GROUP = 88,
	NAME = 102
};
#define ENTRY_BYTES 50u /* of the table of contents */

static const uint8_t object_id[64] = {0xde, 0xad, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14};
static struct ibb_buf good;
static char good_path[600], bad_path[600];

/* The tree of all tests, and a file with an object ID, three names, and a twin in size. */
static const char *source(void)
{
	struct ibb_disk *d = disk_from_file(wim_source(), 512);
	const char *path = img_path("compare.ntfs");
	struct ibb_volume *v = open_rw(d);
	struct raw *r;
	ntfs_inode *ni;

	put(v, "object", "one of the same size");
	put(v, "twin", "two of the same size");
	commit_close(v);
	r = raw_open(d);
	ni = raw_inode(r, "object");
	assert_int_equal(ntfs_set_ntfs_object_id(ni, (const char *)object_id, sizeof(object_id), 0),
			 0);
	raw_done(ni);
	raw_link(r, "object", "other name");
	raw_close(r);
	disk_to_file(d, path);
	ibb_disk_unref(d);
	return path;
}

static int setup(void **state)
{
	const struct mkwim_image im = {.ntfs = source(),
				       .name = "Windows 11 Pro",
				       .properties = wim_pro,
				       .n_properties = IBB_ARRAY_SIZE(wim_pro)};
	struct mkwim m = {.images = &im, .n_images = 1};

	(void)state;
	snprintf(good_path, sizeof(good_path), "%s", wim_make("good.wim", m));
	snprintf(bad_path, sizeof(bad_path), "%s", img_path("bad.wim"));
	read_all(good_path, &good);
	return 0;
}

static int teardown(void **state)
{
	ibb_buf_clear(&good);
	return img_teardown(state);
}

static struct ibb_buf copy_of_good(void)
{
	struct ibb_buf b = {0};

	assert_int_equal(ibb_buf_append(&b, good.data, good.len), 0);
	return b;
}

/* The entry of the table of contents that is the image's metadata. */
static uint8_t *metadata_entry(struct ibb_buf *b)
{
	uint8_t *p = b->data + ibb_get_le64(b->data + 56);
	uint64_t n = (ibb_get_le64(b->data + 48) & 0xffffffffffffff) / ENTRY_BYTES;

	for (; n; n--, p += ENTRY_BYTES)
		if (p[7] & 2)
			return p;
	fail_msg("no metadata");
	return NULL;
}

static uint8_t *find(struct ibb_buf *b, const void *what, size_t n)
{
	uint8_t *e = metadata_entry(b);
	uint8_t *p = memmem(b->data + ibb_get_le64(e + 8), ibb_get_le64(e + 16), what, n);

	assert_non_null(p);
	return p;
}

/* A name of the metadata, with the NUL behind it. */
static uint8_t *find_name(struct ibb_buf *b, const char *name)
{
	struct ibb_buf u = {0};
	uint8_t *p;

	assert_int_equal(ibb_utf16le_append(&u, name), 0);
	assert_int_equal(ibb_buf_append_zero(&u, 2), 0);
	p = find(b, u.data, u.len);
	ibb_buf_clear(&u);
	return p;
}

static uint8_t *dentry(struct ibb_buf *b, const char *name)
{
	return find_name(b, name) - NAME;
}

/* The metadata has its digest in the table. */
static void reseal(struct ibb_buf *b)
{
	uint8_t *e = metadata_entry(b);
	struct ibb_hasher *h;
	struct ibb_sha1 d;

	assert_int_equal(ibb_hasher_new_sha1(&h), 0);
	assert_int_equal(ibb_hasher_update(h, b->data + ibb_get_le64(e + 8), ibb_get_le64(e + 16)),
			 0);
	assert_int_equal(ibb_hasher_final_sha1(h, &d), 0);
	memcpy(e + 30, d.b, sizeof(d.b));
}

static int compare(const struct ibb_buf *b, const struct ibb_wim_changed *c, struct ibb_error *err)
{
	struct ibb_wim *before = wim_open(good_path), *now;
	int r;

	write_all(bad_path, b);
	now = wim_open(bad_path);
	r = ibb_wim_compare(before, now, 1, c, err);
	ibb_wim_close(now);
	ibb_wim_close(before);
	return r;
}

/* It is found; and it is not, when `path` was meant to change. */
static void found(struct ibb_buf *b, const char *path, const char *text)
{
	const struct ibb_wim_changed c = {&path, 1};
	struct ibb_error err = {0};
	char words[600];

	reseal(b);
	snprintf(words, sizeof(words), "bad.wim: image 1: '%s': %s", path, text);
	assert_fails(compare(b, &change_nothing, &err), IBB_E_DIFFERS, err, words);
	assert_ok(compare(b, &c, &err), err);
	ibb_buf_clear(b);
}

static void numbers(void **state)
{
	static const struct {
		const char *name, *path;
		unsigned at, bytes;
		const char *text;
	} plants[] = {
		{"secret.txt", "Windows/System32/secret.txt", ATTRIBUTES, 1,
		 "its attributes was 0x20, and is 0x21 now"},
		{"secret.txt", "Windows/System32/secret.txt", CREATED, 1, "its creation time"},
		{"secret.txt", "Windows/System32/secret.txt", ACCESSED, 1, "its access time"},
		{"secret.txt", "Windows/System32/secret.txt", WRITTEN, 1, "its modification time"},
		{"secret.txt", "Windows/System32/secret.txt", WRITTEN + 6, 1,
		 "its modification time"},
		{"secret.txt", "Windows/System32/secret.txt", SECURITY, 1,
		 "its security descriptor is another one"},
		{"System32", "Windows/System32", CREATED, 1, "its creation time"},
		{"System32", "Windows/System32", ATTRIBUTES, 2, "its attributes was 0x10"},
		{"junction", "junction", TAG_OR_GROUP, 1, "its reparse tag was 0xa0000003"},
		{"symlink", "symlink", WRITTEN, 1, "its modification time"},
	};
	struct ibb_buf b;
	uint8_t *p;

	(void)state;
	for (size_t i = 0; i < IBB_ARRAY_SIZE(plants); i++) {
		b = copy_of_good();
		p = dentry(&b, plants[i].name) + plants[i].at;
		*p ^= (uint8_t)plants[i].bytes;
		found(&b, plants[i].path, plants[i].text);
	}
}

static void content(void **state)
{
	struct ibb_buf b = copy_of_good();
	uint8_t *one = dentry(&b, "secret.txt"), *p;

	(void)state;
	/* another content of another size, another one of the same, none */
	memcpy(one + HASH, dentry(&b, "twin") + HASH, 20);
	found(&b, "Windows/System32/secret.txt", "its size was 0xc, and is 0x14 now");
	b = copy_of_good();
	one = dentry(&b, "twin");
	memcpy(one + HASH, find_name(&b, "object") - NAME + HASH, 20);
	if (memcmp(one + HASH, "\0\0\0\0", 4) == 0) /* it lies in a stream entry */
		fail_msg("the layout is another one");
	found(&b, "twin", "its content is another one");
	b = copy_of_good();
	p = find_name(&b, "Zone.Identifier");
	assert_int_equal(ibb_get_le16(p - 2), 30);
	memset(p - 22, 0, 20);
	/* both names of the file have it; the first in the order of names says so */
	reseal(&b);
	{
		static const char *const both[] = {"Windows/System32/streams.txt",
						   "Windows/hard link.txt"};
		const struct ibb_wim_changed c = {both, 2};
		struct ibb_error err = {0};

		assert_fails(compare(&b, &change_nothing, &err), IBB_E_DIFFERS, err,
			     "its named streams are other ones");
		assert_ok(compare(&b, &c, &err), err);
	}
	ibb_buf_clear(&b);
}

static void names(void **state)
{
	static const char *const lower = "Twin";
	struct ibb_buf b = copy_of_good();
	struct ibb_error err = {0};
	uint8_t *p;

	(void)state;
	/* only the case, only the short name, all of it */
	find_name(&b, "twin")[0] = 'T';
	reseal(&b);
	assert_fails(compare(&b, &change_nothing, &err), IBB_E_DIFFERS, err,
		     "'Twin': is new, and nobody asked for it");
	assert_ok(compare(&b, &(struct ibb_wim_changed){&lower, 1}, &err), err);
	ibb_buf_clear(&b);
	b = copy_of_good();
	p = find_name(&b, "LONGNA~1.SYS");
	p[14] = '2';
	found(&b, "Windows/System32/long name of a driver.sys", "its short name is another one");
	b = copy_of_good();
	p = find(&b, object_id, 16);
	p[3] ^= 1;
	reseal(&b);
	{
		static const char *const both[] = {"object", "other name"};

		assert_fails(compare(&b, &change_nothing, &err), IBB_E_DIFFERS, err,
			     "its object ID is another one");
		assert_ok(compare(&b, &(struct ibb_wim_changed){both, 2}, &err), err);
	}
	ibb_buf_clear(&b);
}

/* What may change is one name, in any case: not a second one that differs in case. */
static void twins(void **state)
{
	static const char *const both[] = {"DATA/f3", "data/F1"};
	struct ibb_buf b = copy_of_good();
	struct ibb_error err = {0};

	(void)state;
	memcpy(find_name(&b, "f1"), "F\0003", 3);
	reseal(&b);
	assert_fails(compare(&b, &(struct ibb_wim_changed){both, 2}, &err), IBB_E_DIFFERS, err,
		     "3': differs from a name that was to be changed in case only");
	ibb_buf_clear(&b);
}

/* Two names of one file become two of two files, and others of the other one. */
static void links(void **state)
{
	struct ibb_buf b = copy_of_good();
	struct ibb_error err = {0};
	uint8_t *a = dentry(&b, "other name"), *c = dentry(&b, "object");
	uint64_t group = ibb_get_le64(a + TAG_OR_GROUP);

	(void)state;
	assert_int_equal(ibb_get_le64(c + TAG_OR_GROUP), group);
	/* another number for both means nothing */
	ibb_put_le64(a + TAG_OR_GROUP, group + 1000);
	ibb_put_le64(c + TAG_OR_GROUP, group + 1000);
	reseal(&b);
	assert_ok(compare(&b, &change_nothing, &err), err);
	ibb_put_le64(a + TAG_OR_GROUP, group + 1001);
	reseal(&b);
	assert_fails(compare(&b, &change_nothing, &err), IBB_E_DIFFERS, err,
		     "'other name': is a hard link of other files than before");
	ibb_buf_clear(&b);
	/* one that had no other name gets one */
	b = copy_of_good();
	ibb_put_le64(dentry(&b, "twin") + TAG_OR_GROUP, group + 2000);
	memcpy(dentry(&b, "twin") + HASH, dentry(&b, "object") + HASH, 20);
	ibb_put_le64(dentry(&b, "secret.txt") + TAG_OR_GROUP, group + 2000);
	reseal(&b);
	assert_int_equal(compare(&b, &change_nothing, &err), IBB_E_DIFFERS);
	ibb_buf_clear(&b);
}

/* The list of names is the same to the byte, but the table has no such content any more. */
static void missing(void **state)
{
	struct ibb_buf b = copy_of_good();
	struct ibb_error err = {0};
	uint8_t *p = b.data + ibb_get_le64(b.data + 56), *hash = dentry(&b, "secret.txt") + HASH;
	uint64_t n = (ibb_get_le64(b.data + 48) & 0xffffffffffffff) / ENTRY_BYTES;

	(void)state;
	while (n && memcmp(p + 30, hash, 20) != 0) {
		p += ENTRY_BYTES;
		n--;
	}
	assert_true(n);
	p[30] ^= 1;
	assert_fails(compare(&b, &change_nothing, &err), IBB_E_DIFFERS, err,
		     "'Windows/System32/secret.txt': its content is missing");
	ibb_buf_clear(&b);
}

/* In memory, so that nothing but the tree is another one. */
static void update(const struct wimlib_update_command *u, const char *text)
{
	struct ibb_wim *before = wim_open(good_path), *now;
	struct ibb_error err = {0};

	write_all(bad_path, &good);
	now = wim_open(bad_path);
	assert_ok(ibb_wim_compare(before, now, 1, &change_nothing, &err), err);
	assert_int_equal(wimlib_update_image(now->lib, 1, u, 1, 0), 0);
	assert_fails(ibb_wim_compare(before, now, 1, &change_nothing, &err), IBB_E_DIFFERS, err,
		     text);
	ibb_wim_close(now);
	ibb_wim_close(before);
}

static void trees(void **state)
{
	char file[] = "/twin", dir[] = "/Windows/System32", new[] = "/Windows/new", to[] = "/zzz";
	struct wimlib_update_command u = {.op = WIMLIB_UPDATE_OP_DELETE,
					  .delete_ = {.wim_path = file}};

	(void)state;
	update(&u, "'twin': is gone, and nobody asked for that");
	u.delete_ = (struct wimlib_delete_command){.wim_path = dir,
						   .delete_flags = WIMLIB_DELETE_FLAG_RECURSIVE};
	update(&u, "'Windows/System32': is gone");
	u = (struct wimlib_update_command){.op = WIMLIB_UPDATE_OP_ADD,
					   .add = {.fs_source_path = good_path,
						   .wim_target_path = new,
						   .add_flags = WIMLIB_ADD_FLAG_NORPFIX}};
	update(&u, "'Windows/new': is new, and nobody asked for it");
	u = (struct wimlib_update_command){
		.op = WIMLIB_UPDATE_OP_RENAME,
		.rename = {.wim_source_path = file, .wim_target_path = to}};
	update(&u, "'zzz': is new");
}

static void header(void **state)
{
	static const struct {
		unsigned at;
		uint8_t mask;
		const char *text;
	} plants[] = {
		{24, 1, "bad.wim: the GUID is another one than before"},
		{16, 4, "a flag of the header"},
		{16, 0x40, "the flag of an unfinished write"},
		{16, 0x80, "a flag of the header"},
		{120, 1, "the image that boots"},
	};

	(void)state;
	for (size_t i = 0; i < IBB_ARRAY_SIZE(plants); i++) {
		struct ibb_buf b = copy_of_good();
		struct ibb_error err = {0};

		b.data[plants[i].at] ^= plants[i].mask;
		assert_fails(compare(&b, &change_nothing, &err), IBB_E_DIFFERS, err,
			     plants[i].text);
		assert_fails(compare(&b, &change_set, &err), IBB_E_DIFFERS, err, plants[i].text);
		ibb_buf_clear(&b);
	}
}

/* ---- XML data ---- */

static uint8_t *xml_text(struct ibb_buf *b, const char *text)
{
	struct ibb_buf u = {0};
	uint8_t *p;

	assert_int_equal(ibb_utf16le_append(&u, text), 0);
	p = memmem(b->data + ibb_get_le64(b->data + 80), ibb_get_le64(b->data + 88), u.data, u.len);
	assert_non_null(p);
	ibb_buf_clear(&u);
	return p;
}

static void xml(void **state)
{
	static const struct {
		const char *text, *element;
		bool change; /* is what a change of the image changes */
	} plants[] = {
		{"Windows 11 Pro<", "NAME", false},
		{"26100", "BUILD", false},
		{"for the tests", "DESCRIPTION", false},
		{"<FLAGS>", NULL, false},
		{"<FILECOUNT>", "FILECOUNT", true},
		{"<LASTMODIFICATIONTIME><HIGHPART>0x0", "HIGHPART", true},
	};

	(void)state;
	for (size_t i = 0; i < IBB_ARRAY_SIZE(plants); i++) {
		struct ibb_buf b = copy_of_good();
		struct ibb_error err = {0};
		const char *name = "twin";
		const struct ibb_wim_changed c = {&name, 1};
		uint8_t *p = xml_text(&b, plants[i].text);
		size_t at = plants[i].element ? 2 * strlen(plants[i].text) - 4 : 0;

		if (!plants[i].element) { /* an element of another name */
			xml_text(&b, "<FLAGS>")[2] = 'G';
			xml_text(&b, "</FLAGS>")[4] = 'G';
		} else if (plants[i].change) {
			p[2 * strlen(plants[i].text)] = '9';
		} else {
			p[at] ^= 1;
		}
		assert_fails(compare(&b, &change_nothing, &err), IBB_E_DIFFERS, err,
			     plants[i].element ? plants[i].element : "XML data");
		if (plants[i].change)
			assert_ok(compare(&b, &c, &err), err);
		else
			assert_int_equal(compare(&b, &c, &err), IBB_E_DIFFERS);
		ibb_buf_clear(&b);
	}
	{ /* the size of the WIM is outside of images, and says nothing */
		struct ibb_buf b = copy_of_good();
		struct ibb_error err = {0};

		xml_text(&b, "</TOTALBYTES></WIM>")[-2] ^= 1;
		assert_ok(compare(&b, &change_nothing, &err), err);
		ibb_buf_clear(&b);
	}
}

static void canonical(const char *xml, unsigned index, bool counts, const char *want)
{
	struct ibb_buf b = {0};
	struct ibb_error err = {0};

	assert_ok(ibb_wim_xml_canonical(xml, strlen(xml), index, counts, &b, &err), err);
	assert_string_equal(ibb_buf_cstr(&b), want);
	ibb_buf_clear(&b);
}

static void canonical_xml(void **state)
{
	static const char all[] =
		"<?xml version=\"1.0\"?>\r\n<WIM a='1'>\r\n<IMAGE "
		"INDEX='1'><N/></IMAGE><TOTALBYTES>5"
		"</TOTALBYTES><IMAGE INDEX=\"2\"><TOTALBYTES>7</TOTALBYTES><N b='x>\"y'>&#65;&#xe9;"
		"&lt;&amp;>&bogus;&apos;</N><!-- <c> "
		"--><![CDATA[<&\r]]><E></E><E A='1'/><F><E></E><G/><!-- --></F></IMAGE>"
		"<X>\r\n</X></WIM>"
		"\n";
	struct ibb_buf b = {0};
	struct ibb_error err = {0};
	char deep[2000] = "";

	(void)state;
	canonical(all, 0, false, "<WIM a=\"1\">\n<X>\n</X></WIM>");
	canonical(all, 1, false, "<IMAGE INDEX=\"1\"></IMAGE>");
	canonical(all, 2, false,
		  "<IMAGE INDEX=\"2\"><N b=\"x&gt;&quot;y\">A\xc3\xa9&lt;&amp;&gt;&bogus;'</N>"
		  "&lt;&amp;<E A=\"1\"></E></IMAGE>");
	canonical(all, 2, true,
		  "<IMAGE INDEX=\"2\"><TOTALBYTES>7</TOTALBYTES><N "
		  "b=\"x&gt;&quot;y\">A\xc3\xa9&lt;&amp;"
		  "&gt;&bogus;'</N>&lt;&amp;<E A=\"1\"></E></IMAGE>");
	canonical(all, 3, true, "");
	/* what ends anywhere is no reason to read behind it */
	for (size_t n = 0; n < sizeof(all); n++) {
		char *part = malloc(n ? n : 1);

		memcpy(part, all, n);
		assert_ok(ibb_wim_xml_canonical(part, n, 2, false, &b, &err), err);
		free(part);
	}
	ibb_buf_clear(&b);
	for (unsigned i = 0; i < 100; i++)
		strcat(deep, "<a>");
	assert_fails(ibb_wim_xml_canonical(deep, strlen(deep), 0, false, &b, &err), IBB_E_CORRUPT,
		     err, "too deep");
	ibb_buf_clear(&b);
}

static void arguments(void **state)
{
	struct ibb_wim *w = wim_open(good_path);
	struct ibb_error err = {0};
	const char *root = "";

	(void)state;
	assert_fails(ibb_wim_compare(w, w, 0, NULL, &err), IBB_E_INVALID, err, "no image 0");
	assert_fails(ibb_wim_compare(w, w, 2, NULL, &err), IBB_E_INVALID, err, "no image 2");
	assert_ok(ibb_wim_compare(w, w, 1, NULL, &err), err);
	assert_ok(ibb_wim_compare(w, w, 1, &(struct ibb_wim_changed){&root, 1}, &err), err);
	for (long at = 0;; at++) {
		int r;

		ibb_mem_fail_at(at, false);
		r = ibb_wim_compare(w, w, 1, &change_set, &err);
		ibb_mem_fail_at(-1, false);
		if (!r)
			break;
		assert_int_equal(r, IBB_E_NOMEM);
		assert_true(at < 2000);
		at += at / 10;
	}
	ibb_wim_close(w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(numbers),   cmocka_unit_test(content),
		cmocka_unit_test(names),     cmocka_unit_test(twins),
		cmocka_unit_test(links),     cmocka_unit_test(trees),
		cmocka_unit_test(missing),   cmocka_unit_test(header),
		cmocka_unit_test(xml),	     cmocka_unit_test(canonical_xml),
		cmocka_unit_test(arguments),
	};

	return cmocka_run_group_tests(tests, setup, teardown) ? 1 : 0;
}
