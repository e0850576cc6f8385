/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Files as "compact /exe" leaves them, made with libwim's compressors, read through the volume. */
#include "ntfs_raw.h"

#include <wimlib.h>

#include "volume/wof.h"

static const struct {
	enum ibb_wof_algorithm algorithm;
	enum wimlib_compression_type type;
	uint32_t chunk;
} kinds[] = {
	{IBB_WOF_XPRESS4K, WIMLIB_COMPRESSION_TYPE_XPRESS, 4096},
	{IBB_WOF_LZX, WIMLIB_COMPRESSION_TYPE_LZX, 32768},
	{IBB_WOF_XPRESS8K, WIMLIB_COMPRESSION_TYPE_XPRESS, 8192},
	{IBB_WOF_XPRESS16K, WIMLIB_COMPRESSION_TYPE_XPRESS, 16384},
};

/* Text-like and compressible; every 7th chunk of 4 KiB is noise, which stays as it is. */
static uint8_t *content(size_t n, unsigned seed)
{
	uint8_t *p = malloc(n ? n : 1);
	uint32_t x = 12345 + seed;

	assert_non_null(p);
	for (size_t i = 0; i < n; i++) {
		x = x * 1664525 + 1013904223;
		p[i] = i / 4096 % 7 == 6 || seed == 99 ? (uint8_t)(x >> 24)
						       : (uint8_t)("abcdefgh"[x >> 30] + i / 9000);
	}
	return p;
}

/* The stream of a file: the table of all chunks but the first, then the chunks. */
static struct ibb_buf compress(unsigned kind, const uint8_t *p, size_t size)
{
	size_t chunk = kinds[kind].chunk, n = (size + chunk - 1) / chunk;
	struct ibb_buf out = {0};
	struct wimlib_compressor *c = NULL;
	uint8_t *tmp = malloc(chunk);

	assert_non_null(tmp);
	assert_int_equal(wimlib_create_compressor(kinds[kind].type, chunk, 0, &c), 0);
	assert_int_equal(ibb_buf_append_zero(&out, n ? (n - 1) * 4 : 0), 0);
	for (size_t i = 0; i < n; i++) {
		size_t len = size - i * chunk < chunk ? size - i * chunk : chunk;
		size_t got = wimlib_compress(p + i * chunk, len, tmp, len - 1, c);

		if (i)
			ibb_put_le32(out.data + (i - 1) * 4, (uint32_t)(out.len - (n - 1) * 4));
		assert_int_equal(ibb_buf_append(&out, got ? tmp : p + i * chunk, got ? got : len),
				 0);
	}
	wimlib_free_compressor(c);
	free(tmp);
	return out;
}

static void wof_point(struct raw *r, const char *path, uint32_t version, uint32_t provider,
		      uint32_t file_version, uint32_t algorithm, unsigned bytes)
{
	uint8_t point[32] = {0};
	ntfs_inode *ni = raw_inode(r, path);

	ibb_put_le32(point, TAG_WOF);
	ibb_put_le16(point + 4, (uint16_t)bytes);
	ibb_put_le32(point + 8, version);
	ibb_put_le32(point + 12, provider);
	ibb_put_le32(point + 16, file_version);
	ibb_put_le32(point + 20, algorithm);
	assert_int_equal(ntfs_set_ntfs_reparse_data(ni, (char *)point, 8 + bytes, 0), 0);
	raw_done(ni);
}

static void wof_streams(struct raw *r, const char *path, size_t size, struct ibb_bytes stream)
{
	ntfschar *name = NULL;
	int len = ntfs_mbstoucs("WofCompressedData", &name);
	ntfs_inode *ni = raw_inode(r, path);
	ntfs_attr *na = ntfs_attr_open(ni, AT_DATA, AT_UNNAMED, 0);

	assert_non_null(na);
	assert_int_equal(ntfs_attr_truncate(na, (s64)size), 0);
	ntfs_attr_close(na);
	assert_int_equal(len, 17);
	assert_int_equal(ntfs_attr_add(ni, AT_DATA, name, (u8)len, NULL, 0), 0);
	na = ntfs_attr_open(ni, AT_DATA, name, (u32)len);
	assert_non_null(na);
	if (stream.len)
		assert_int_equal(ntfs_attr_pwrite(na, 0, (s64)stream.len, stream.data), stream.len);
	ntfs_attr_close(na);
	raw_done(ni);
	free(name);
}

static void make_wof(struct raw *r, const char *path, unsigned kind, size_t size,
		     struct ibb_bytes stream)
{
	raw_create(r, path, S_IFREG, NULL, 0);
	wof_streams(r, path, size, stream);
	wof_point(r, path, 1, 2, 1, kinds[kind].algorithm, 16);
}

/* 0, 1, chunk-1, chunk, chunk+1, many chunks; noise of two chunks and a bit. */
static size_t size_of(unsigned kind, unsigned i)
{
	size_t c = kinds[kind].chunk;
	const size_t sizes[] = {0, 1, c - 1, c, c + 1, 3 * c, (3u << 20) + 77, 2 * c + 100};

	return i < IBB_ARRAY_SIZE(sizes) ? sizes[i] : 0;
}
#define N_SIZES 8u

static void all_algorithms_and_sizes(void **state)
{
	struct ibb_disk *d = make_ntfs(64, 512, 4096);
	struct raw *r = raw_open(d);
	struct ibb_volume *v;
	char path[64];

	(void)state;
	for (unsigned k = 0; k < IBB_ARRAY_SIZE(kinds); k++) {
		for (unsigned i = 0; i < N_SIZES; i++) {
			size_t size = size_of(k, i);
			uint8_t *p = content(size, i == N_SIZES - 1 ? 99 : k + i);
			struct ibb_buf s = compress(k, p, size);

			if (i == 6) /* it would be no test if nothing were compressed */
				assert_true(s.len < size / 2);
			if (i == N_SIZES - 1) /* nor if everything were */
				assert_int_equal(s.len, size + 2 * 4);
			snprintf(path, sizeof(path), "f-%u-%u", k, i);
			make_wof(r, path, k, size, ibb_buf_bytes(&s));
			ibb_buf_clear(&s);
			free(p);
		}
	}
	raw_close(r);
	v = open_rw(d);
	for (unsigned k = 0; k < IBB_ARRAY_SIZE(kinds); k++) {
		for (unsigned i = 0; i < N_SIZES; i++) {
			size_t size = size_of(k, i);
			uint8_t *p = content(size, i == N_SIZES - 1 ? 99 : k + i);

			snprintf(path, sizeof(path), "F-%u-%u", k, i);
			assert_true(stat_of(v, path).wof_compressed);
			assert_int_equal(stat_of(v, path).size_bytes, size);
			expect_bytes(v, path, p, size);
			free(p);
		}
	}
	ibb_volume_close(v);
	ibb_disk_unref(d);
}

/* Read, refused in place, replaced by a plain file: what a bake does with it. */
static void read_then_replace(void **state)
{
	struct ibb_disk *d = make_ntfs(16, 512, 4096);
	size_t size = 100000;
	uint8_t *p = content(size, 1);
	struct ibb_buf s = compress(1, p, size), b = {0};
	struct raw *r = raw_open(d);
	struct ibb_error err = {0};
	struct ibb_volume *v;

	(void)state;
	make_wof(r, "pci.inf", 1, size, ibb_buf_bytes(&s));
	raw_close(r);
	v = open_rw(d);
	expect_bytes(v, "PCI.inf", p, size);
	assert_fails(ibb_volume_read(v, "pci.inf", size - 1, &b, &err), IBB_E_LIMIT, err,
		     "pci.inf: 100000 bytes, the limit is 99999");
	assert_fails(
		ibb_volume_put(v, "pci.inf", bytes("x", 1), IBB_PUT_IN_PLACE, &file_meta, &err),
		IBB_E_UNSUPPORTED, err, "compressed by the Windows overlay filter");
	assert_string_equal(err.hint, "in Windows: compact /u /exe \"pci.inf\"");
	expect_bytes(v, "pci.inf", p, size);
	put(v, "pci.inf", "plain");
	expect(v, "pci.inf", "plain");
	assert_false(stat_of(v, "pci.inf").wof_compressed);
	commit_close(v);
	check_ntfs(d);
	ibb_disk_unref(d);
	ibb_buf_clear(&s);
	free(p);
}

static void reparse_points(void **state)
{
	static const struct {
		uint32_t version, provider, file_version, algorithm;
		unsigned bytes;
		int code;
		const char *msg;
	} rows[] = {
		{2, 2, 1, 0, 16, IBB_E_UNSUPPORTED, "f: compressed by WOF of version 2"},
		{1, 1, 1, 0, 16, IBB_E_UNSUPPORTED, "WIMBoot"},
		{1, 3, 1, 0, 16, IBB_E_UNSUPPORTED, "f: unknown WOF provider 3"},
		{1, 2, 2, 0, 16, IBB_E_UNSUPPORTED, "(version 2, algorithm 0)"},
		{1, 2, 1, 4, 16, IBB_E_UNSUPPORTED, "(version 1, algorithm 4)"},
		{1, 2, 1, 0, 8, IBB_E_CORRUPT, "f: WOF reparse point with 8 bytes of data"},
		{1, 2, 1, 0, 4, IBB_E_CORRUPT, "f: WOF reparse point of 12 bytes"},
	};
	struct ibb_error err = {0};
	struct ibb_buf b = {0};

	(void)state;
	for (size_t i = 0; i < IBB_ARRAY_SIZE(rows); i++) {
		struct ibb_disk *d = make_ntfs(16, 512, 4096);
		struct raw *r = raw_open(d);
		struct ibb_volume *v;

		raw_create(r, "f", S_IFREG, "abc", 3);
		wof_point(r, "f", rows[i].version, rows[i].provider, rows[i].file_version,
			  rows[i].algorithm, rows[i].bytes);
		raw_close(r);
		v = open_rw(d);
		assert_fails(ibb_volume_read(v, "f", 100, &b, &err), rows[i].code, err,
			     rows[i].msg);
		ibb_volume_close(v);
		ibb_disk_unref(d);
	}
}

/* A length that the attribute does not have reaches only the parser: libntfs-3g checks it, too. */
static void reparse_lengths(void **state)
{
	uint8_t point[24] = {0x17, 0, 0, 0x80, 17, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 1};
	enum ibb_wof_algorithm a = IBB_WOF_XPRESS16K;
	struct ibb_error err = {0};

	(void)state;
	assert_fails(ibb_wof_parse(bytes(point, 24), "f", &a, &err), IBB_E_CORRUPT, err,
		     "f: WOF reparse point: 17 bytes of data in an attribute of 24");
	point[4] = 7;
	assert_fails(ibb_wof_parse(bytes(point, 24), "f", &a, &err), IBB_E_CORRUPT, err,
		     "7 bytes of data");
	assert_fails(ibb_wof_parse(bytes(point, 0), "f", &a, &err), IBB_E_CORRUPT, err,
		     "f: WOF reparse point of 0 bytes");
	assert_int_equal(a, IBB_WOF_XPRESS16K);
	point[4] = 16;
	point[20] = 1;
	assert_ok(ibb_wof_parse(bytes(point, 24), "f", &a, &err), err);
	assert_int_equal(a, IBB_WOF_LZX);
}

/* What is missing or too long shows before any table is read. */
static void streams_that_do_not_fit(void **state)
{
	struct ibb_disk *d = make_ntfs(16, 512, 4096);
	struct raw *r = raw_open(d);
	struct ibb_error err = {0};
	struct ibb_buf b = {0};
	struct ibb_volume *v;
	uint8_t *noise = content(9000, 99);

	(void)state;
	raw_create(r, "none", S_IFREG, "12345", 5);
	wof_point(r, "none", 1, 2, 1, IBB_WOF_LZX, 16);
	make_wof(r, "long", 0, 8192, bytes(noise, 8192 + 4 + 1));
	make_wof(r, "short", 0, 8193, bytes(noise, 2 * 4 + 2));
	make_wof(r, "empty", 0, 1, bytes(noise, 0));
	make_wof(r, "nothing", 0, 0, bytes(noise, 1));
	raw_close(r);
	v = open_rw(d);
	assert_fails(ibb_volume_read(v, "none", 100, &b, &err), IBB_E_CORRUPT, err,
		     "none: compressed by WOF, but has no stream WofCompressedData");
	assert_fails(ibb_volume_read(v, "long", 9000, &b, &err), IBB_E_CORRUPT, err,
		     "long: WofCompressedData of 8197 bytes, at most 8196 fit the file");
	assert_fails(ibb_volume_read(v, "short", 9000, &b, &err), IBB_E_CORRUPT, err,
		     "short: WofCompressedData of 10 bytes for a file of 8193");
	assert_fails(ibb_volume_read(v, "empty", 9000, &b, &err), IBB_E_CORRUPT, err,
		     "WofCompressedData of 0 bytes for a file of 1");
	assert_fails(ibb_volume_read(v, "nothing", 9000, &b, &err), IBB_E_CORRUPT, err,
		     "WofCompressedData of 1 bytes, at most 0 fit");
	ibb_volume_close(v);
	ibb_disk_unref(d);
	free(noise);
}

static void expect_bad(const struct ibb_buf *s, unsigned kind, size_t size, const char *msg)
{
	struct ibb_error err = {0};
	struct ibb_buf b = {0};

	assert_fails(
		ibb_wof_decompress(ibb_buf_bytes(s), kinds[kind].algorithm, size, "f", &b, &err),
		IBB_E_CORRUPT, err, msg);
	assert_null(b.data);
}

/* Three chunks; every kind of wrong entry for the second and third. */
static void hostile_tables(void **state)
{
	(void)state;
	for (unsigned k = 0; k < IBB_ARRAY_SIZE(kinds); k++) {
		size_t size = 2 * kinds[k].chunk + 10;
		uint8_t *p = content(size, 3);
		struct ibb_buf s = compress(k, p, size);
		uint32_t first = ibb_get_le32(s.data), second = ibb_get_le32(s.data + 4);
		const struct {
			uint32_t first, second;
			const char *msg;
		} rows[] = {
			{0, second, "f: WofCompressedData: wrong place of chunk 0 of 3"},
			{second, first, "wrong place of chunk 1 of 3"},
			{first, first, "wrong place of chunk 1 of 3"},
			{first, (uint32_t)s.len - 8, "wrong place of chunk 2 of 3"},
			{first, (uint32_t)s.len - 7, "wrong place of chunk 1 of 3"},
			{first, UINT32_MAX, "wrong place of chunk 1 of 3"},
			{UINT32_MAX, second, "wrong place of chunk 0 of 3"},
			{UINT32_MAX, UINT32_MAX, "wrong place of chunk 0 of 3"},
			/* the last chunk would hold more than it can */
			{first, second - 20, "wrong place of chunk 2 of 3"},
		};

		for (size_t i = 0; i < IBB_ARRAY_SIZE(rows); i++) {
			ibb_put_le32(s.data, rows[i].first);
			ibb_put_le32(s.data + 4, rows[i].second);
			expect_bad(&s, k, size, rows[i].msg);
		}
		ibb_buf_clear(&s);
		free(p);
	}
}

/* Whatever is in the chunks: a file or IBB_E_CORRUPT, never a crash, never another size. */
static void damaged_chunks(void **state)
{
	unsigned refused = 0, runs = 0;

	(void)state;
	for (unsigned k = 0; k < IBB_ARRAY_SIZE(kinds); k++) {
		size_t size = kinds[k].chunk + 500;
		uint8_t *p = content(size, 4);
		struct ibb_buf good = compress(k, p, size);
		uint32_t x = 7;

		for (unsigned i = 0; i < 300; i++) {
			struct ibb_buf s = {0}, b = {0};
			struct ibb_error err = {0};
			int rc;

			assert_int_equal(ibb_buf_append(&s, good.data, good.len), 0);
			x = x * 1664525 + 1013904223;
			/* an odd run cuts the end off, which is in no table */
			if (i % 2)
				s.len -= 1 + x % 200;
			else
				s.data[4 + (x >> 8) % (s.len - 4)] ^=
					(uint8_t)(1 + (x >> 24) % 255);
			rc = ibb_wof_decompress(ibb_buf_bytes(&s), kinds[k].algorithm, size, "f",
						&b, &err);
			assert_true(rc == 0 || rc == IBB_E_CORRUPT);
			if (!rc)
				assert_int_equal(b.len, size);
			refused += rc != 0;
			runs++;
			ibb_buf_clear(&s);
			ibb_buf_clear(&b);
		}
		/* All ones: too many long codes for XPRESS, a block of no known type for LZX. */
		memset(good.data + 4, 0xff, good.len - 4);
		expect_bad(&good, k, size, "f: WofCompressedData: chunk 0 of 2, at offset 4, does");
		ibb_buf_clear(&good);
		free(p);
	}
	assert_int_equal(runs, 1200);
	assert_true(refused > 100);
}

/* From 4 GiB on an entry has 8 bytes. Only the first and last chunks are looked at. */
static void beyond_4_gib(void **state)
{
	const uint64_t size = (1ull << 32) + 5, n = (1u << 17) + 1, table = (n - 1) * 8;
	struct ibb_error err = {0};
	struct ibb_buf s = {0}, one;
	struct ibb_wof *w = NULL;
	uint8_t *p = malloc(32768), *got = malloc(32768);

	(void)state;
	assert_int_equal(ibb_wof_max_stream(IBB_WOF_LZX, UINT32_MAX), 0xffffffffu + 131071ull * 4);
	assert_int_equal(ibb_wof_max_stream(IBB_WOF_LZX, 1ull << 32), (1ull << 32) + 131071ull * 8);
	assert_int_equal(ibb_wof_max_stream(IBB_WOF_XPRESS4K, UINT64_MAX), UINT64_MAX);
	assert_true(p && got);
	memset(p, 'z', 32768);
	one = compress(1, p, 32768);
	assert_int_equal(ibb_buf_append_zero(&s, table), 0);
	for (uint64_t i = 0; i < n - 1; i++) {
		assert_int_equal(ibb_buf_append(&s, one.data, one.len), 0);
		ibb_put_le64(s.data + i * 8, s.len - table);
	}
	assert_int_equal(ibb_buf_append(&s, "right", 5), 0);
	assert_ok(ibb_wof_open(ibb_buf_bytes(&s), IBB_WOF_LZX, size, "big", &w, &err), err);
	assert_int_equal(ibb_wof_chunks(w), n);
	assert_int_equal(ibb_wof_chunk_bytes(w, n - 1), 5);
	assert_int_equal(ibb_wof_chunk_bytes(w, n), 0);
	assert_ok(ibb_wof_read_chunk(w, n - 1, got, &err), err);
	assert_memory_equal(got, "right", 5);
	assert_ok(ibb_wof_read_chunk(w, n - 2, got, &err), err);
	assert_memory_equal(got, p, 32768);
	ibb_put_le64(s.data + (n - 2) * 8, UINT64_MAX - 7);
	assert_fails(ibb_wof_read_chunk(w, n - 1, got, &err), IBB_E_CORRUPT, err,
		     "big: WofCompressedData: wrong place of chunk 131072 of 131073");
	ibb_wof_close(w);
	ibb_buf_clear(&s);
	ibb_buf_clear(&one);
	free(p);
	free(got);
}

/*
 * 32 KiB of zeros as Windows' RtlCompressBuffer() packed them for XPRESS16K; a hex dump of the
 * stream is in issue 8 of the ntfstool project. Two equal chunks: 256 bytes of code lengths (2 for
 * symbols 0 and 256, 1 for 271), then one literal and a match of 16383 bytes.
 */
static void as_windows_wrote_it(void **state)
{
	static const uint8_t tail[] = {0x00, 0x98, 0x00, 0x00, 0xff, 0xfc, 0x3f};
	uint8_t stream[4 + 2 * 263] = {0x07, 0x01, 0x00, 0x00};
	static const uint8_t zeros[32768];
	struct ibb_error err = {0};
	struct ibb_buf b = {0};

	(void)state;
	for (unsigned i = 0; i < 2; i++) {
		uint8_t *chunk = stream + 4 + 263 * i;

		chunk[0x00] = 0x02;
		chunk[0x80] = 0x02;
		chunk[0x87] = 0x10;
		memcpy(chunk + 256, tail, sizeof(tail));
	}
	assert_ok(ibb_wof_decompress(bytes(stream, sizeof(stream)), IBB_WOF_XPRESS16K, 32768, "f",
				     &b, &err),
		  err);
	assert_int_equal(b.len, sizeof(zeros));
	assert_memory_equal(b.data, zeros, sizeof(zeros));
	ibb_buf_clear(&b);
}

/* Every disk read fails in turn: the whole content or an I/O error, never a part or zeros. */
static void read_errors(void **state)
{
	struct ibb_disk *d = make_ntfs(8, 512, 4096), *f = NULL;
	size_t size = 150000;
	uint8_t *p = content(size, 6);
	struct ibb_buf s = compress(2, p, size);
	struct raw *r = raw_open(d);
	struct ibb_fault plan = {.fail_at = {-1, -1, -1}, .cut_after = -1, .os_errno = EIO};
	unsigned failed = 0, opened = 0;
	bool done = false;

	(void)state;
	make_wof(r, "pci.inf", 2, size, ibb_buf_bytes(&s));
	raw_close(r);
	for (long n = 0; !done; n++) {
		struct ibb_volume *v = NULL;
		struct ibb_error err = {0};
		struct ibb_buf b = {0};
		int rc;

		plan.fail_at[IBB_FAULT_READ] = n;
		plan.count[IBB_FAULT_READ] = 0;
		assert_ok(ibb_disk_fault_new(d, &plan, &f, &err), err);
		rc = ibb_volume_open_ntfs(f, false, &v, &err);
		opened += !rc;
		if (!rc)
			rc = ibb_volume_read(v, "pci.inf", 1 << 20, &b, &err);
		done = plan.count[IBB_FAULT_READ] <= n;
		if (!rc)
			assert_int_equal(b.len, size);
		if (!rc)
			assert_memory_equal(b.data, p, size);
		assert_true(done ? rc == 0 : rc == IBB_E_IO);
		failed += rc != 0;
		ibb_buf_clear(&b);
		ibb_volume_close(v);
		ibb_disk_unref(f);
	}
	print_message("%u reads failed in turn, %u behind the mount\n", failed, opened - 1);
	assert_true(failed > 10 && opened > 3);
	ibb_disk_unref(d);
	ibb_buf_clear(&s);
	free(p);
}

/* No memory for what a file says of itself: a TiB of chunks that are not there. */
static void size_is_a_claim(void **state)
{
	const size_t size = (size_t)1 << 40;
	const size_t n = ibb_wof_max_stream(IBB_WOF_LZX, size) - size + (size >> 15);
	struct ibb_buf s = {calloc(1, n), n, n};

	(void)state;
	assert_non_null(s.data);
	expect_bad(&s, 1, size, "wrong place of chunk 0 of 33554432");
	ibb_buf_clear(&s);
}

static void out_of_memory(void **state)
{
	struct ibb_error err = {0};
	struct ibb_buf s, b = {0};
	uint8_t *p = content(50000, 5);
	int rc = IBB_E_NOMEM;
	long n = 0;

	(void)state;
	s = compress(1, p, 50000);
	for (; rc == IBB_E_NOMEM; n++) {
		ibb_mem_fail_at(n, false);
		rc = ibb_wof_decompress(ibb_buf_bytes(&s), IBB_WOF_LZX, 50000, "f", &b, &err);
		ibb_mem_fail_at(-1, false);
		assert_true(n < 20);
	}
	assert_int_equal(rc, 0);
	assert_true(n > 2);
	assert_int_equal(b.len, 50000);
	assert_memory_equal(b.data, p, 50000);
	ibb_buf_clear(&b);
	ibb_buf_clear(&s);
	free(p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(all_algorithms_and_sizes), cmocka_unit_test(read_then_replace),
		cmocka_unit_test(reparse_points),	    cmocka_unit_test(reparse_lengths),
		cmocka_unit_test(streams_that_do_not_fit),  cmocka_unit_test(hostile_tables),
		cmocka_unit_test(damaged_chunks),	    cmocka_unit_test(beyond_4_gib),
		cmocka_unit_test(as_windows_wrote_it),	    cmocka_unit_test(read_errors),
		cmocka_unit_test(size_is_a_claim),	    cmocka_unit_test(out_of_memory),
	};

	return cmocka_run_group_tests(tests, NULL, img_teardown) ? 1 : 0;
}
