/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Damaged and hostile WIMs: refused with the reason, or read right; never wrong content. */
#include "wim_image.h"

#include "base/hash.h"
#include "base/le.h"
#include "base/limits.h"
#include "disktest.h"
#include "volume/wim_internal.h"

/* ---- small WIMs, to be damaged ---- */

static const char *const small_names[] = {"d/aa", "d/bb", "d/sub/text", "d/sub/big", "d/empty"};
#define N_SMALL IBB_ARRAY_SIZE(small_names)

static size_t small_content(size_t i, uint8_t **ret)
{
	static const size_t sizes[N_SMALL] = {2, 700, 9000, 70001, 0};
	uint8_t *p = malloc(sizes[i] + 1);
	uint32_t x = (uint32_t)i;

	assert_non_null(p);
	for (size_t k = 0; k < sizes[i]; k++) {
		x = x * 1664525 + 1013904223;
		p[k] = k % 5000 < 300 ? (uint8_t)(x >> 24) : (uint8_t)("abcd"[x >> 30]);
	}
	*ret = p;
	return sizes[i];
}

static const char *small_dir(void)
{
	static char dir[600];
	char path[700];

	if (*dir)
		return dir;
	snprintf(dir, sizeof(dir), "%s", img_path("small"));
	assert_int_equal(run("mkdir -p '%s/d/sub'", dir), 0);
	for (size_t i = 0; i < N_SMALL; i++) {
		uint8_t *p;
		size_t n = small_content(i, &p);

		snprintf(path, sizeof(path), "%s/%s", dir, small_names[i]);
		make_file(path, p, n);
		free(p);
	}
	return dir;
}

static struct ibb_buf small_wim(struct mkwim m)
{
	const struct mkwim_image im = {.directory = small_dir(), .name = "one"};
	struct ibb_error err = {0};
	struct ibb_buf b = {0};

	m.images = &im;
	m.n_images = 1;
	assert_ok(ibb_read_file(wim_make("small.wim", m), 1u << 20, &b, &err), err);
	return b;
}

/*
 * Everything in it that can be had: 0 when all content is there and right. Content that is wrong
 * without an error fails the test, and so does an error that no damaged file may have.
 */
static int try_read(struct ibb_volume *v, struct ibb_error *err)
{
	int rc = 0;

	for (size_t i = 0; i < N_SMALL; i++) {
		struct ibb_buf b = {0};
		uint8_t *p;
		size_t n = small_content(i, &p);
		int r = ibb_volume_read(v, small_names[i], 1u << 20, &b, err);

		if (!r) {
			assert_int_equal(b.len, n);
			assert_memory_equal(b.data ? b.data : p, p, n);
		}
		rc = rc ? rc : r;
		ibb_buf_clear(&b);
		free(p);
	}
	return rc;
}

static int try_file(const char *path, struct ibb_error *err)
{
	struct ibb_volume *v = NULL;
	struct ibb_wim *w = NULL;
	int rc = ibb_wim_open(path, NULL, &w, err);

	if (!rc)
		rc = ibb_volume_open_wim(w, 1, false, NULL, &v, err);
	if (!rc)
		rc = try_read(v, err);
	ibb_volume_close(v);
	ibb_wim_close(w);
	return rc;
}

static int try_bytes(const void *p, size_t n, struct ibb_error *err)
{
	const char *path = img_path("try.wim");

	/* a file that is truncated and written goes to the disk at once on ext4; a new one does not
	 */
	unlink(path);
	make_file(path, p, n);
	return try_file(path, err);
}

static void expect_honest(const char *what, int rc, const struct ibb_error *err)
{
	if (rc && rc != IBB_E_CORRUPT && rc != IBB_E_UNSUPPORTED && rc != IBB_E_LIMIT &&
	    rc != IBB_E_NOTFOUND)
		fail_msg("%s: %d (%s) %s", what, rc, ibb_code_name(rc), err->msg);
	if (rc)
		assert_true(*err->msg);
}

static const struct mkwim small_kinds[] = {
	{.compression = WIMLIB_COMPRESSION_TYPE_NONE},
	{.compression = WIMLIB_COMPRESSION_TYPE_XPRESS, .chunk_bytes = 4096, .integrity = true},
	{.compression = WIMLIB_COMPRESSION_TYPE_LZX},
	{.compression = WIMLIB_COMPRESSION_TYPE_LZMS, .solid = true, .solid_chunk_bytes = 32768},
	{.compression = WIMLIB_COMPRESSION_TYPE_XPRESS, .chunk_bytes = 4096, .pipable = true},
};

static void truncated(void **state)
{
	(void)state;
	for (size_t k = 0; k < IBB_ARRAY_SIZE(small_kinds); k++) {
		struct ibb_buf b = small_wim(small_kinds[k]);
		struct ibb_error err = {0};

		assert_ok(try_bytes(b.data, b.len, &err), err);
		/* around every field of the header, then in steps, then the last bytes */
		for (size_t n = 1; n < b.len;
		     n += n < 220 || n + 220 > b.len ? 1 : b.len / 97 + 1) {
			int rc = try_bytes(b.data, n, &err);

			if (rc != IBB_E_CORRUPT)
				fail_msg("kind %zu, %zu of %zu bytes: %d %s", k, n, b.len, rc,
					 err.msg);
		}
		ibb_buf_clear(&b);
	}
}

static void flip(struct ibb_buf *b, size_t off, uint64_t *seed)
{
	struct ibb_error err = {0};
	uint8_t old = b->data[off];
	char what[80];
	int rc;

	do {
		b->data[off] = (uint8_t)test_rand(seed);
	} while (b->data[off] == old);
	rc = try_bytes(b->data, b->len, &err);
	snprintf(what, sizeof(what), "byte %zu from 0x%02x to 0x%02x", off, old, b->data[off]);
	expect_honest(what, rc, &err);
	b->data[off] = old;
}

/* Resource headers of the file's header: offset 48 table of contents, 72 XML data. */
static size_t place(const struct ibb_buf *b, size_t header, size_t *ret_len)
{
	size_t at = memcmp(b->data, "WLPWM", 5) == 0 ? b->len - WIM_HEADER_BYTES : 0;
	uint64_t off = ibb_get_le64(b->data + at + header + 8);

	*ret_len = (size_t)(ibb_get_le64(b->data + at + header) & 0xffffffffffffffu);
	assert_true(ibb_in_range(off, *ret_len, b->len));
	return (size_t)off;
}

static void flipped(void **state)
{
	uint64_t seed = test_seed();

	(void)state;
	for (size_t k = 0; k < IBB_ARRAY_SIZE(small_kinds); k++) {
		struct ibb_buf b = small_wim(small_kinds[k]);
		size_t n = 0, table = place(&b, 48, &n);

		for (size_t i = 0; i < WIM_HEADER_BYTES; i++)
			flip(&b, i, &seed);
		for (size_t i = 0; i < n; i++)
			flip(&b, table + i, &seed);
		for (int i = 0; i < 200; i++)
			flip(&b, test_rand(&seed) % b.len, &seed);
		/* chunk tables and headers of solid resources stand at the beginning */
		for (size_t i = 0; i < 100; i++)
			flip(&b, WIM_HEADER_BYTES + i, &seed);
		ibb_buf_clear(&b);
	}
}

/* ---- metadata that somebody made ---- */

/* The entry of the metadata in the table of contents. */
static uint8_t *metadata_entry(struct ibb_buf *b)
{
	size_t n = 0, table = place(b, 48, &n);

	for (size_t i = 0; i + 50 <= n; i += 50)
		if (b->data[table + i + 7] & 2)
			return b->data + table + i;
	fail_msg("no metadata");
	return NULL;
}

static void rehash_metadata(struct ibb_buf *b)
{
	uint8_t *e = metadata_entry(b);
	struct ibb_hasher *h = NULL;
	struct ibb_sha1 d;

	assert_int_equal(ibb_hasher_new_sha1(&h), 0);
	assert_int_equal(ibb_hasher_update(h, b->data + ibb_get_le64(e + 8),
					   ibb_get_le64(e) & 0xffffffffffffffu),
			 0);
	assert_int_equal(ibb_hasher_final_sha1(h, &d), 0);
	memcpy(e + 30, d.b, sizeof(d.b));
}

/* The directory entry of the file with this name of two characters. */
static uint8_t *entry_of(struct ibb_buf *b, const char *name)
{
	const uint8_t want[6] = {4, 0, (uint8_t)name[0], 0, (uint8_t)name[1], 0};
	uint8_t *p = memmem(b->data, b->len, want, sizeof(want));

	assert_non_null(p);
	return p - 100;
}

static void expect_bad_name(const char *from, uint16_t a, uint16_t b, const char *text)
{
	struct ibb_buf w = small_wim(small_kinds[0]);
	struct ibb_error err = {0};
	uint8_t *p = entry_of(&w, from);

	ibb_put_le16(p + 102, a);
	ibb_put_le16(p + 104, b);
	rehash_metadata(&w);
	assert_fails(try_bytes(w.data, w.len, &err), IBB_E_CORRUPT, err, text);
	assert_non_null(strstr(err.msg, "image 1"));
	ibb_buf_clear(&w);
}

static void hostile_names(void **state)
{
	struct ibb_error err = {0};
	struct ibb_buf w = small_wim(small_kinds[0]);
	uint8_t *p;

	(void)state;
	expect_bad_name("aa", '.', '.', "named '.' or '..'");
	expect_bad_name("aa", 'a', '/', "a character that no name has");
	expect_bad_name("aa", '\\', 'a', "a character that no name has");
	expect_bad_name("aa", 'a', 0, "a character that no name has");
	expect_bad_name("aa", 'b', 'b', "two files of the same name");
	/* a name that only differs in case is one that a case-sensitive directory can have */
	p = entry_of(&w, "aa");
	p[102] = p[104] = 'B';
	rehash_metadata(&w);
	assert_fails(try_bytes(w.data, w.len, &err), IBB_E_NOTFOUND, err, "d/aa: no such file");
	ibb_buf_clear(&w);
}

/* A directory that contains itself, a list without an end, lengths that cannot be. */
static void hostile_tree(void **state)
{
	static const struct {
		size_t field;
		uint64_t value;
	} rows[] = {
		{16, 8},	  /* children that are no entries */
		{16, 1u << 30},	  /* outside */
		{16, UINT64_MAX}, /* and beyond arithmetic */
		{0, 9},		  {0, UINT64_MAX}, {0, UINT64_MAX - 7}, {0, 1u << 30},
	};
	struct ibb_error err = {0};

	(void)state;
	for (size_t i = 0; i < IBB_ARRAY_SIZE(rows); i++) {
		struct ibb_buf w = small_wim(small_kinds[0]);
		uint8_t *p = entry_of(&w, "aa");

		ibb_put_le64(p + rows[i].field, rows[i].value);
		p[8] |= 0x10;
		rehash_metadata(&w);
		expect_honest("", try_bytes(w.data, w.len, &err), &err);
		ibb_buf_clear(&w);
	}
}

static int check_only_names(struct ibb_buf *w, struct ibb_error *err)
{
	const char *path = img_path("try.wim");
	struct ibb_wim *wim;
	int rc;

	make_file(path, w->data, w->len);
	wim = wim_open(path);
	rc = ibb_wim_check_names(wim, 1, err);
	ibb_wim_close(wim);
	return rc;
}

/* The check itself, which wimlib's own refusals would hide. */
static void names_alone(void **state)
{
	struct ibb_buf w = small_wim(small_kinds[0]);
	struct ibb_error err = {0};
	uint8_t *e = metadata_entry(&w), *aa = entry_of(&w, "aa");
	uint64_t start = ibb_get_le64(e + 8);
	uint64_t children = ibb_get_le64(w.data + start + 8 + 16);

	(void)state;
	assert_ok(check_only_names(&w, &err), err);
	/* "aa" becomes a directory that holds the root's children, itself among them */
	ibb_put_le64(aa + 16, children);
	rehash_metadata(&w);
	assert_ok(check_only_names(&w, &err), err);
	aa[8] = 0x10;
	rehash_metadata(&w);
	assert_fails(check_only_names(&w, &err), IBB_E_CORRUPT, err, "lies in itself");
	ibb_put_le64(aa + 16, UINT64_MAX);
	rehash_metadata(&w);
	assert_fails(check_only_names(&w, &err), IBB_E_CORRUPT, err, "without an end");
	ibb_put_le64(aa + 16, 0);
	ibb_put_le64(aa, 20);
	rehash_metadata(&w);
	assert_fails(check_only_names(&w, &err), IBB_E_CORRUPT, err, "of impossible length");
	ibb_put_le64(aa, 104);
	rehash_metadata(&w);
	assert_fails(check_only_names(&w, &err), IBB_E_CORRUPT, err, "longer than its entry");
	ibb_buf_clear(&w);
}

/* An entry with a name of n characters; what a directory holds follows it. */
static void append_entry(struct ibb_buf *b, unsigned number, unsigned n, bool directory)
{
	const size_t at = b->len, bytes = (102 + (n ? n * 2 + 2 : 0) + 7) & ~(size_t)7;

	assert_int_equal(ibb_buf_append_zero(b, bytes), 0);
	ibb_put_le64(b->data + at, bytes);
	b->data[at + 8] = directory ? 0x10 : 0x20;
	/* behind it, and behind the end of the list */
	ibb_put_le64(b->data + at + 16, directory ? at + bytes + 8 : 0);
	ibb_put_le16(b->data + at + 100, (uint16_t)(n * 2));
	for (unsigned i = 0; i < n; i++, number /= 10)
		ibb_put_le16(b->data + at + 102 + i * 2, (uint16_t)('0' + number % 10));
	if (directory)
		assert_int_equal(ibb_buf_append_zero(b, 8), 0);
}

/* `deep` directories one in the other, with names of n characters, and files in the last one. */
static int check_paths(unsigned deep, unsigned n, unsigned files, struct ibb_error *err)
{
	struct ibb_buf w = small_wim(small_kinds[0]), b = {0};
	uint8_t *e;
	int rc;

	assert_int_equal(ibb_buf_append_zero(&b, 8), 0);
	b.data[0] = 8;
	append_entry(&b, 0, 0, true);
	for (unsigned i = 0; i < deep; i++)
		append_entry(&b, i, n, true);
	for (unsigned i = 0; i < files; i++)
		append_entry(&b, i, 5, false);
	assert_int_equal(ibb_buf_append_zero(&b, 8), 0);
	e = metadata_entry(&w);
	ibb_put_le64(e, b.len | 2ull << 56);
	ibb_put_le64(e + 8, w.len);
	ibb_put_le64(e + 16, b.len);
	assert_int_equal(ibb_buf_append(&w, b.data, b.len), 0);
	rehash_metadata(&w);
	rc = check_only_names(&w, err);
	ibb_buf_clear(&w);
	ibb_buf_clear(&b);
	return rc;
}

/* Names one in the other make paths that are longer than the file. */
static void long_paths(void **state)
{
	struct ibb_error err = {0};

	(void)state;
	/* 127 * 256 + 255 is what Windows has, 32767 */
	assert_ok(check_paths(128, 255, 0, &err), err);
	assert_fails(check_paths(129, 255, 0, &err), IBB_E_LIMIT, err,
		     "image 1: a path of more than 32767 characters");
	assert_ok(check_paths(127, 255, 1000, &err), err);
	assert_fails(check_paths(127, 255, 8400, &err), IBB_E_LIMIT, err,
		     "image 1: paths that are together of more than 268435456 characters");
}

/* ---- what the XML data says ---- */

/* XML data anew, at the end of the file. */
static void set_xml(struct ibb_buf *b, const char *text)
{
	struct ibb_buf x = {0};
	uint64_t at = b->len;

	assert_int_equal(ibb_buf_append(&x, "\xff\xfe", 2), 0);
	for (const char *p = text; *p; p++) {
		const char c[2] = {*p, 0};

		assert_int_equal(ibb_buf_append(&x, c, 2), 0);
	}
	assert_int_equal(ibb_buf_append(b, x.data, x.len), 0);
	ibb_put_le64(b->data + 72, x.len | (uint64_t)b->data[79] << 56);
	ibb_put_le64(b->data + 80, at);
	ibb_put_le64(b->data + 88, x.len);
	ibb_buf_clear(&x);
}

static void encrypted_esd(void **state)
{
	struct ibb_buf b = small_wim(small_kinds[3]);
	struct ibb_error err = {0};

	(void)state;
	set_xml(&b, "<WIM><IMAGE INDEX=\"1\"></IMAGE></WIM>");
	assert_ok(try_bytes(b.data, b.len, &err), err);
	set_xml(&b, "<WIM><ESD><ENCRYPTED/></ESD><IMAGE INDEX=\"1\"></IMAGE></WIM>");
	assert_fails(try_bytes(b.data, b.len, &err), IBB_E_UNSUPPORTED, err,
		     "try.wim: is an encrypted ESD");
	assert_string_equal(err.hint, "use an install.wim or install.esd of installation media");
	/* encrypted for real, the table of contents is noise: the reason is still the first */
	{
		size_t n = 0, table = place(&b, 48, &n);

		for (size_t i = 0; i < n; i++)
			b.data[table + i] ^= (uint8_t)(i * 7 + 1);
	}
	assert_fails(try_bytes(b.data, b.len, &err), IBB_E_UNSUPPORTED, err, "encrypted ESD");
	set_xml(&b, "<WIM><IMAGE INDEX=\"1\">");
	assert_fails(try_bytes(b.data, b.len, &err), IBB_E_CORRUPT, err, "XML data is damaged");
	ibb_buf_clear(&b);
}

static void header_limits(void **state)
{
	struct ibb_buf b = small_wim(small_kinds[0]);
	struct ibb_error err = {0};
	uint8_t header[WIM_HEADER_BYTES];

	(void)state;
	memcpy(header, b.data, sizeof(header));
	ibb_put_le32(b.data + 12, 0x20000);
	assert_fails(try_bytes(b.data, b.len, &err), IBB_E_UNSUPPORTED, err,
		     "unknown version 0x20000");
	memcpy(b.data, header, sizeof(header));
	ibb_put_le32(b.data + 8, 212);
	assert_fails(try_bytes(b.data, b.len, &err), IBB_E_CORRUPT, err, "header of 212 bytes");
	memcpy(b.data, header, sizeof(header));
	ibb_put_le32(b.data + 44, IBB_LIMIT_WIM_IMAGES + 1);
	assert_fails(try_bytes(b.data, b.len, &err), IBB_E_LIMIT, err, "1025 images");
	memcpy(b.data, header, sizeof(header));
	ibb_put_le64(b.data + 64, (uint64_t)IBB_LIMIT_WIM_TABLE + 1);
	assert_fails(try_bytes(b.data, b.len, &err), IBB_E_LIMIT, err, "table of contents");
	memcpy(b.data, header, sizeof(header));
	ibb_put_le64(b.data + 88, (uint64_t)IBB_LIMIT_WIM_XML + 1);
	assert_fails(try_bytes(b.data, b.len, &err), IBB_E_LIMIT, err, "XML data");
	memcpy(b.data, header, sizeof(header));
	ibb_put_le16(b.data + 40, 0);
	assert_fails(try_bytes(b.data, b.len, &err), IBB_E_CORRUPT, err, "part 0 of 1");
	memcpy(b.data, header, sizeof(header));
	b.data[16] |= WIM_FLAG_RESOURCE_ONLY;
	assert_fails(try_bytes(b.data, b.len, &err), IBB_E_UNSUPPORTED, err, "has no metadata");
	memcpy(b.data, header, sizeof(header));
	/* an interrupted append leaves this flag, and a file that is what it was */
	b.data[16] |= 0x40;
	assert_ok(try_bytes(b.data, b.len, &err), err);
	/* the metadata's claim to be endless */
	memcpy(b.data, header, sizeof(header));
	{
		uint8_t *e = metadata_entry(&b);

		e[7] |= 4;
		ibb_put_le64(e + 16, (uint64_t)IBB_LIMIT_WIM_METADATA + 1);
	}
	expect_honest("", try_bytes(b.data, b.len, &err), &err);
	ibb_buf_clear(&b);
}

/* What a solid resource says of itself: its header is the first thing in the file. */
static void solid_header(void **state)
{
	static const struct {
		unsigned at, bytes;
		uint64_t value;
		int code;
		const char *text;
	} rows[] = {
		{8, 4, 1u << 27, IBB_E_LIMIT, "chunks of 134217728 bytes (limit 67108864)"},
		{8, 4, 4096, IBB_E_CORRUPT, ""},
		{8, 4, 0, IBB_E_CORRUPT, ""},
		{8, 4, 40000, IBB_E_CORRUPT, ""},
		{12, 4, 9, IBB_E_UNSUPPORTED, "unknown compression 9"},
		{0, 8, 1, IBB_E_CORRUPT, ""},
		{0, 8, UINT64_MAX, IBB_E_CORRUPT, ""},
		{16, 4, 0, IBB_E_CORRUPT, "a chunk of impossible size"},
		{16, 4, UINT32_MAX, IBB_E_CORRUPT, "a chunk lies outside of it"},
	};
	struct ibb_buf b = small_wim(small_kinds[3]);
	uint8_t *p = b.data + WIM_HEADER_BYTES, old[24];
	struct ibb_error err = {0};

	(void)state;
	memcpy(old, p, sizeof(old));
	assert_int_equal(ibb_get_le32(p + 8), 32768);
	for (size_t i = 0; i < IBB_ARRAY_SIZE(rows); i++) {
		memcpy(p, old, sizeof(old));
		if (rows[i].bytes == 8)
			ibb_put_le64(p + rows[i].at, rows[i].value);
		else
			ibb_put_le32(p + rows[i].at, (uint32_t)rows[i].value);
		assert_fails(try_bytes(b.data, b.len, &err), rows[i].code, err, rows[i].text);
	}
	ibb_buf_clear(&b);
}

/* A file whose content is not in the WIM, as in a delta WIM. */
static void missing_content(void **state)
{
	struct ibb_buf b = small_wim(small_kinds[0]), got = {0};
	size_t n = 0, table = place(&b, 48, &n);
	struct ibb_error err = {0};

	(void)state;
	for (size_t i = 0; i + 50 <= n; i += 50)
		if (!(b.data[table + i + 7] & 2))
			b.data[table + i + 30] ^= 1;
	assert_fails(try_bytes(b.data, b.len, &err), IBB_E_CORRUPT, err,
		     "its content is not in the WIM");
	ibb_buf_clear(&b);
	ibb_buf_clear(&got);
}

/* ---- real ones ---- */

static void data_wims(void **state)
{
	static const struct {
		const char *name, *file; /* NULL: the image does not open */
		int code;
		const char *text;
	} rows[] = {
		{"cyclic", NULL, IBB_E_CORRUPT, "the list of files is damaged"},
		{"dotdot", NULL, IBB_E_CORRUPT, "a file named '.' or '..'"},
		{"duplicate_names", NULL, IBB_E_CORRUPT, "two files of the same name"},
		{"corrupted_file_1", "file", IBB_E_CORRUPT, "does not have the digest"},
		{"corrupted_file_2", "file", IBB_E_CORRUPT, "a chunk does not decompress"},
		{"empty_dacl", "file", IBB_OK, "1\n"},
		{"linux_xattrs_old", "file", IBB_OK, ""},
		{"longpaths", "1/2/3/4/5/6/7/8", IBB_E_CONFLICT, "is a directory"},
	};

	(void)state;
	for (size_t i = 0; i < IBB_ARRAY_SIZE(rows); i++) {
		struct ibb_volume *v = NULL;
		struct ibb_error err = {0};
		struct ibb_wim *w;
		char rel[100];
		struct ibb_buf b = {0};
		const char *path;
		int rc;

		snprintf(rel, sizeof(rel), "wims/%s.wim", rows[i].name);
		path = test_data(rel);
		if (!path) {
			print_message("SKIPPED: no test data (%s)\n", rel);
			skip();
		}
		w = wim_open(path);
		rc = ibb_volume_open_wim(w, 1, false, NULL, &v, &err);
		if (rows[i].file) {
			assert_ok(rc, err);
			rc = ibb_volume_read(v, rows[i].file, 1u << 20, &b, &err);
		}
		if (rows[i].code) {
			assert_fails(rc, rows[i].code, err, rows[i].text);
		} else {
			assert_ok(rc, err);
			assert_int_equal(b.len, strlen(rows[i].text));
			assert_memory_equal(b.data ? b.data : (const uint8_t *)"", rows[i].text,
					    b.len);
		}
		ibb_buf_clear(&b);
		ibb_volume_close(v);
		ibb_wim_close(w);
	}
}

/* ---- files that are not read ---- */

static int read_aa(struct ibb_buf *wim, struct ibb_stat *st, struct ibb_error *err)
{
	const char *path = img_path("try.wim");
	struct ibb_buf b = {0};
	struct ibb_volume *v;
	struct ibb_wim *w;
	int rc;

	rehash_metadata(wim);
	unlink(path);
	make_file(path, wim->data, wim->len);
	w = wim_open(path);
	v = wim_volume(w, 1);
	*st = stat_of(v, "d/aa");
	rc = ibb_volume_read(v, "d/aa", 100, &b, err);
	ibb_buf_clear(&b);
	ibb_volume_close(v);
	ibb_wim_close(w);
	return rc;
}

static void not_plain(void **state)
{
	struct ibb_buf w = small_wim(small_kinds[0]);
	struct ibb_error err = {0};
	uint8_t *p = entry_of(&w, "aa");
	struct ibb_stat st;

	(void)state;
	assert_ok(read_aa(&w, &st, &err), err);
	assert_int_equal(st.size_bytes, 2);
	ibb_put_le32(p + 8, 0x4020);
	assert_fails(read_aa(&w, &st, &err), IBB_E_UNSUPPORTED, err, "d/aa: encrypted (EFS)");
	assert_true(st.encrypted);
	/* WIMs keep what WOF compressed decompressed; one that does not is not read */
	ibb_put_le32(p + 8, 0x420);
	ibb_put_le32(p + 88, 0x80000017);
	assert_fails(read_aa(&w, &st, &err), IBB_E_UNSUPPORTED, err,
		     "d/aa: compressed by the Windows overlay filter (WOF)");
	assert_true(st.wof_compressed);
	assert_int_equal(st.size_bytes, 0);
	/* a reparse point without a tag is none to follow, either */
	ibb_put_le32(p + 88, 0);
	assert_fails(read_aa(&w, &st, &err), IBB_E_UNSUPPORTED, err, "(reparse tag 0x00000001)");
	assert_int_equal(st.type, IBB_FILE_OTHER);
	ibb_buf_clear(&w);
}

/* ---- memory ---- */

/* All reads there are; "nothing" counts names. */
static int whole_run(const char *path, struct ibb_error *err)
{
	struct ibb_buf names = {0}, sd = {0};
	struct ibb_volume *v = NULL;
	struct ibb_wim *w = NULL;
	struct ibb_stat st;
	unsigned index = 0;
	char *s = NULL;
	int rc = ibb_wim_open(path, NULL, &w, err);

	if (!rc)
		rc = ibb_wim_find(w, "ONE", &index, err);
	if (!rc)
		rc = ibb_volume_open_wim(w, index, false, NULL, &v, err);
	if (!rc)
		rc = ibb_volume_list(v, "d/sub", join_name, &names, err);
	if (!rc)
		rc = ibb_volume_spelling(v, "D/SUB/TEXT", &s, err);
	if (!rc)
		rc = ibb_volume_stat(v, "d/empty", &st, err);
	if (!rc && ibb_volume_stat(v, "d/no~1", &st, err) == IBB_E_NOMEM)
		rc = IBB_E_NOMEM;
	if (!rc)
		rc = try_read(v, err);
	free(s);
	ibb_buf_clear(&names);
	ibb_buf_clear(&sd);
	ibb_volume_close(v);
	ibb_wim_close(w);
	return rc;
}

static const char *file_of(size_t kind)
{
	struct ibb_buf b = small_wim(small_kinds[kind]);

	ibb_buf_clear(&b);
	return img_path("small.wim");
}

static void out_of_memory(void **state)
{
	static const size_t some[] = {0, 2, 3};

	(void)state;
	for (size_t k = 0; k < IBB_ARRAY_SIZE(some); k++) {
		const char *path = file_of(some[k]);
		struct ibb_error err = {0};
		int rc = IBB_E_NOMEM;
		long n = 0;

		assert_ok(whole_run(path, &err), err);
		for (; rc; n++) {
			assert_true(n < 2000);
			(void)ibb_mem_count();
			ibb_mem_fail_at(n, false);
			rc = whole_run(path, &err);
			ibb_mem_fail_at(-1, false);
			if (rc && rc != IBB_E_NOMEM)
				fail_msg("allocation %ld: %d %s", n, rc, err.msg);
			if (!rc && ibb_mem_count() > n)
				fail_msg("allocation %ld failed and nobody noticed", n);
		}
		assert_true(n > 40);
	}
}

/* The same in wimlib, which may take it for anything, but for content that is wrong. */
static long lib_left = -1;

static bool lib_fails(void)
{
	return lib_left >= 0 && lib_left-- == 0;
}

static void *lib_malloc(size_t n)
{
	return lib_fails() ? NULL : malloc(n);
}

static void *lib_realloc(void *p, size_t n)
{
	return lib_fails() ? NULL : realloc(p, n);
}

static void library_out_of_memory(void **state)
{
	static const size_t some[] = {0, 2, 3};

	(void)state;
	assert_int_equal(wimlib_set_memory_allocator(lib_malloc, free, lib_realloc), 0);
	for (size_t k = 0; k < IBB_ARRAY_SIZE(some); k++) {
		const char *path = file_of(some[k]);
		struct ibb_error err = {0};
		bool reached = true;
		long n = 0, failed = 0;

		for (; reached; n++) {
			int rc;

			assert_true(n < 5000);
			lib_left = n;
			rc = whole_run(path, &err);
			reached = lib_left < 0;
			lib_left = -1;
			failed += rc != 0;
			/* libxml2 gives the name of an image as not there */
			if (rc && rc != IBB_E_NOMEM && rc != IBB_E_CORRUPT && rc != IBB_E_NOTFOUND)
				fail_msg("allocation %ld: %d %s", n, rc, err.msg);
		}
		print_message("%ld allocations of wimlib, %ld runs failed\n", n, failed);
		assert_true(failed > 50);
	}
	assert_int_equal(wimlib_set_memory_allocator(NULL, NULL, NULL), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(truncated),	   cmocka_unit_test(flipped),
		cmocka_unit_test(hostile_names),   cmocka_unit_test(hostile_tree),
		cmocka_unit_test(names_alone),	   cmocka_unit_test(long_paths),
		cmocka_unit_test(encrypted_esd),   cmocka_unit_test(header_limits),
		cmocka_unit_test(missing_content), cmocka_unit_test(solid_header),
		cmocka_unit_test(data_wims),	   cmocka_unit_test(not_plain),
		cmocka_unit_test(out_of_memory),   cmocka_unit_test(library_out_of_memory),
	};

	return cmocka_run_group_tests(tests, NULL, img_teardown) ? 1 : 0;
}
