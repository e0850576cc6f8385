/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Every format written from every kind of disk, read back; and with every write failing. */
#include "writetest.h"

#include <errno.h>

#include "base/le.h"

static const enum ibb_format formats[] = {
	IBB_FORMAT_VHD_FIXED,
	IBB_FORMAT_VHD_DYNAMIC,
	IBB_FORMAT_VHDX,
	IBB_FORMAT_RAW,
};
static const struct ibb_guid id = {{0xde, 0xad, 0xbe, 0xef, 1, 2, 0x43, 4, 0x85, 6, 7, 8, 9, 10}};

struct job {
	struct ibb_disk *d;
	enum ibb_format format;
	struct ibb_copy_opts copy;
};

static int write_to(const struct job *j, struct ibb_sink *sink, int fd,
		    struct ibb_copy_stats *stats, struct ibb_error *err)
{
	const struct ibb_write_opts o = {
		.disk_bytes = j->d->size_bytes,
		.sector_bytes = j->d->sector_bytes,
		.id = id,
		.unix_time = 946684800 + 1000,
	};
	IBB_AUTO(ibb_writer_free) struct ibb_writer *w = NULL;
	int r = ibb_writer_new(j->format, sink, &o, &w, err);

	if (!r)
		r = ibb_copy_disk(j->d, w, &j->copy, fd, NULL, NULL, stats, err);
	return r ? r : w->ops->finish(w, err);
}

static void write_file(const struct job *j, const char *path, int fd, struct ibb_copy_stats *stats)
{
	struct ibb_error err = {0};
	struct ibb_sink_fd s;

	ibb_sink_fd_init(&s, fd, path);
	assert_ok(write_to(j, &s.s, fd, stats, &err), err);
}

static void test_matrix(void **state)
{
	(void)state;
	for (unsigned i = 0; i < IBB_ARRAY_SIZE(formats) * 3 * 2 * 2; i++) {
		const uint32_t sector = i / 6 % 2 ? 4096 : 512;
		struct job j = {
			.format = formats[i / 12],
			.copy = {.sparse = (enum ibb_sparse)(i % 3), .one_thread = i / 3 % 2},
		};
		struct ibb_copy_stats stats = {0};
		struct ibb_error err = {0};
		struct ibb_disk *out;
		uint64_t sampled = 0;
		char path[4096];
		int fd;

		if (sector == 4096 &&
		    (j.format == IBB_FORMAT_VHD_FIXED || j.format == IBB_FORMAT_VHD_DYNAMIC))
			continue;
		j.d = make_disk(17 * MIB, sector);
		fd = new_file(path, "matrix");
		write_file(&j, path, fd, &stats);
		close(fd);
		out = reopen(j.format, path);
		if (j.format != IBB_FORMAT_RAW)
			assert_int_equal(out->sector_bytes, sector);
		assert_same_disk(j.d, out);
		assert_ok(ibb_copy_check_sample(j.d, out, &sampled, &err), err);
		assert_true(sampled > 10 * 4096);
		if (j.copy.sparse == IBB_SPARSE_NEVER) {
			assert_int_equal(stats.read_bytes, 17 * MIB);
			assert_int_equal(stats.copied_bytes, 17 * MIB);
		} else {
			assert_true(stats.copied_bytes <= stats.read_bytes - 65536);
			assert_true(stats.read_bytes < 9 * MIB);
		}
		ibb_disk_unref(out);
		ibb_disk_unref(j.d);
	}
}

/* ---- runs that end in the middle of a sector ---- */

#define GRAIN 1024u

struct fine {
	struct ibb_disk d;
	struct ibb_disk *under;
};

static int fine_pread(struct ibb_disk *d, void *buf, size_t n, uint64_t off, struct ibb_error *err)
{
	return ibb_disk_pread(((struct fine *)d)->under, buf, n, off, err);
}

/* Every KiB of zeros is a hole. */
static int fine_extents(struct ibb_disk *d, uint64_t off, uint64_t n, ibb_extent_fn fn, void *ctx,
			struct ibb_error *err)
{
	static const uint8_t zeros[GRAIN];
	const uint64_t end = off + n;
	uint8_t b[GRAIN];
	int r = IBB_OK;

	while (!r && off < end) {
		uint64_t len = GRAIN - off % GRAIN;

		if (len > end - off)
			len = end - off;
		r = fine_pread(d, b, (size_t)len, off, err);
		if (!r)
			r = fn(ctx,
			       &(struct ibb_extent){off, len, memcmp(b, zeros, (size_t)len) != 0},
			       err);
		off += len;
	}
	return r;
}

static void fine_close(struct ibb_disk *d)
{
	ibb_disk_unref(((struct fine *)d)->under);
}

/* As a raw file lies on a file system whose blocks are smaller than the disk's sectors. */
static struct ibb_disk *fine_disk(struct ibb_disk *under)
{
	static const struct ibb_disk_ops ops = {
		.name = "fine", .pread = fine_pread, .extents = fine_extents, .close = fine_close};
	struct fine *f = ibb_zalloc(sizeof(*f));
	struct ibb_error err = {0};

	assert_non_null(f);
	assert_ok(ibb_disk_init(&f->d, &ops, under->name, under->size_bytes, under->sector_bytes,
				&err),
		  err);
	f->under = under;
	return &f->d;
}

static void test_runs_in_a_sector(void **state)
{
	static const struct {
		uint32_t off, n;
	} runs[] = {
		{1024, 1024},		     /* a hole, data and a hole in one sector */
		{3 * 4096 - 1024, 1024},     /* up to its end */
		{8 * 4096, 1024},	     /* from its beginning */
		{9 * 4096 + 1024, 6 * 1024}, /* out of one into the next */
		{11 * 4096, 1024},	     /* two in one sector, holes around them */
		{11 * 4096 + 2048, 1024},
		{MIB - 1024, 1024},	/* before a piece's end */
		{3 * MIB - 1024, 1024}, /* at the end of the disk */
	};

	(void)state;
	for (unsigned i = 0; i < 2 * 3 * 2; i++) {
		struct job j = {
			.format = i / 6 ? IBB_FORMAT_RAW : IBB_FORMAT_VHDX,
			.copy = {.sparse = (enum ibb_sparse)(i % 3), .one_thread = i / 3 % 2},
		};
		struct ibb_copy_stats stats = {0};
		struct ibb_error err = {0};
		struct ibb_disk *d = NULL, *out;
		uint64_t rng = test_seed();
		char path[4096];
		int fd;

		assert_ok(ibb_disk_mem_new(3 * MIB, 4096, &d, &err), err);
		for (size_t k = 0; k < IBB_ARRAY_SIZE(runs); k++)
			put_random(d, runs[k].off, runs[k].n, &rng);
		j.d = fine_disk(d);
		fd = new_file(path, "fine");
		write_file(&j, path, fd, &stats);
		close(fd);
		out = reopen(j.format, path);
		assert_same_disk(j.d, out);
		if (j.copy.sparse == IBB_SPARSE_NEVER)
			assert_int_equal(stats.copied_bytes, 3 * MIB);
		ibb_disk_unref(out);
		ibb_disk_unref(j.d);
	}
}

static bool hole(struct ibb_disk *d, uint64_t off)
{
	struct extents x = {0};
	struct ibb_error err = {0};

	assert_ok(ibb_disk_extents(d, 0, d->size_bytes, collect_extent, &x, &err), err);
	return !extents_data_at(&x, off);
}

/* Which zeros become holes of a raw file. */
static void test_holes(void **state)
{
	static const struct {
		enum ibb_sparse sparse;
		bool h64k, h64k_odd, h4k, never;
	} want[] = {
		{IBB_SPARSE_AUTO, true, false, false, true},
		{IBB_SPARSE_ALWAYS, true, true, true, true},
		{IBB_SPARSE_NEVER, false, false, false, false},
	};

	(void)state;
	for (size_t i = 0; i < IBB_ARRAY_SIZE(want); i++) {
		struct job j = {make_disk(17 * MIB, 512), IBB_FORMAT_RAW, {want[i].sparse, 0, 0}};
		struct ibb_copy_stats stats = {0};
		struct ibb_disk *out;
		char path[4096];
		struct stat st;
		int fd = new_file(path, "holes");

		write_file(&j, path, fd, &stats);
		assert_int_equal(fstat(fd, &st), 0);
		close(fd);
		out = reopen(IBB_FORMAT_RAW, path);
		if (st.st_blocks * 512 > 16 * (blkcnt_t)MIB && i < 2) {
			print_message("SKIPPED: this file system has no holes\n");
			skip();
		}
		assert_int_equal(hole(out, 6 * MIB + 65536), want[i].h64k);
		assert_int_equal(hole(out, 6 * MIB + 5 * 65536 - 4096), want[i].h64k_odd);
		assert_int_equal(hole(out, 7 * MIB + 3 * 4096), want[i].h4k);
		assert_int_equal(hole(out, 12 * MIB), want[i].never);
		assert_false(hole(out, 7 * MIB));
		ibb_disk_unref(out);
		ibb_disk_unref(j.d);
	}
}

/* `never` with the room taken at once: holes of the source are not written, and have room. */
static void test_allocate(void **state)
{
	struct job j = {make_disk(17 * MIB, 512), IBB_FORMAT_RAW, {IBB_SPARSE_NEVER, true, false}};
	struct ibb_copy_stats stats = {0};
	struct ibb_error err = {0};
	struct ibb_sink_fd s;
	bool taken = false;
	char path[4096];
	struct stat st;
	int fd = new_file(path, "allocated");

	(void)state;
	ibb_sink_fd_init(&s, fd, path);
	assert_ok(ibb_sink_fd_allocate(&s, 17 * MIB, &taken, &err), err);
	if (!taken) {
		print_message("SKIPPED: this file system cannot allocate\n");
		skip();
	}
	write_file(&j, path, fd, &stats);
	assert_int_equal(fstat(fd, &st), 0);
	assert_true(st.st_blocks * 512 >= 17 * (blkcnt_t)MIB);
	assert_true(stats.copied_bytes < 9 * MIB);
	close(fd);
	/* more than any file system has */
	fd = new_file(path, "too-large");
	ibb_sink_fd_init(&s, fd, path);
	taken = true;
	assert_true(ibb_sink_fd_allocate(&s, 1ull << 50, &taken, &err) != 0 || !taken);
	if (taken && err.code == IBB_E_NOSPACE)
		assert_non_null(strstr(err.msg, "too-large"));
	close(fd);
	ibb_disk_unref(j.d);
}

/* ---- fixed VHD ---- */

static void test_fixed_bytes(void **state)
{
	static uint8_t got[17 * MIB + 512], want[17 * MIB + 512];
	struct job j = {make_disk(17 * MIB, 512), IBB_FORMAT_VHD_FIXED, {IBB_SPARSE_AUTO, 0, 0}};
	struct ibb_copy_stats stats = {0};
	struct ibb_vhd_footer f = {0};
	struct ibb_error err = {0};
	struct ibb_buf b = {0};
	char path[4096];
	int fd = new_file(path, "fixed");

	(void)state;
	write_file(&j, path, fd, &stats);
	close(fd);
	assert_ok(ibb_disk_pread(j.d, want, 17 * MIB, 0, &err), err);
	assert_ok(ibb_read_file(path, 1u << 30, &b, &err), err);
	assert_int_equal(b.len, sizeof(got));
	memcpy(got, b.data, sizeof(got));
	ibb_buf_clear(&b);
	assert_memory_equal(got, want, 17 * MIB);
	assert_ok(ibb_vhd_footer_parse("fixed", 17 * MIB, got + 17 * MIB, &f, &err), err);
	assert_int_equal(f.type, IBB_VHD_FIXED);
	assert_int_equal(f.features, 2);
	assert_int_equal(f.version, 0x10000);
	assert_int_equal(f.data_offset, UINT64_MAX);
	assert_int_equal(f.timestamp_s, 1000);
	assert_int_equal(f.current_size_bytes, 17 * MIB);
	assert_int_equal(f.original_size_bytes, 17 * MIB);
	assert_memory_equal(&f.unique_id, &id, sizeof(id));
	/* 34816 sectors: 17 a track, 4 heads, 512 cylinders */
	assert_int_equal(f.cylinders, 512);
	assert_int_equal(f.heads, 4);
	assert_int_equal(f.sectors_per_track, 17);
	for (size_t i = 85; i < 512; i++)
		assert_int_equal(got[17 * MIB + i], 0);
	ibb_disk_unref(j.d);
}

/* The source's own footer stays to the bit, what nobody knows of it included. */
static void test_kept_footer(void **state)
{
	const struct ibb_write_opts o = {.disk_bytes = MIB, .sector_bytes = 512};
	struct ibb_writer *w = NULL;
	struct ibb_error err = {0};
	struct ibb_sink_fd s;
	uint8_t footer[512], got[512];
	char path[4096];
	struct stat st;
	int fd = new_file(path, "kept");

	(void)state;
	for (size_t i = 0; i < sizeof(footer); i++)
		footer[i] = (uint8_t)(i * 7);
	ibb_sink_fd_init(&s, fd, path);
	/* what a clone left behind the disk goes */
	assert_int_equal(ftruncate(fd, 3 * MIB), 0);
	assert_ok(ibb_writer_new(IBB_FORMAT_VHD_FIXED, &s.s, &o, &w, &err), err);
	ibb_writer_vhd_fixed_keep(w, footer);
	assert_ok(w->ops->finish(w, &err), err);
	ibb_writer_free(w);
	assert_int_equal(fstat(fd, &st), 0);
	assert_int_equal(st.st_size, MIB + 512);
	assert_int_equal(pread(fd, got, 512, MIB), 512);
	assert_memory_equal(got, footer, 512);
	close(fd);
}

static void test_refused(void **state)
{
	const struct {
		enum ibb_format format;
		uint64_t bytes;
		uint32_t sector;
		int code;
		const char *text;
	} t[] = {
		{IBB_FORMAT_VHD_FIXED, MIB, 4096, IBB_E_UNSUPPORTED, "4096-byte logical sectors"},
		{IBB_FORMAT_VHD_FIXED, MIB + 512, 512, IBB_E_INTERNAL, "no multiple of 1 MiB"},
		{IBB_FORMAT_VHD_FIXED, 0, 512, IBB_E_INTERNAL, "no multiple of 1 MiB"},
		{IBB_FORMAT_VHD_FIXED, 32768ull << 30, 512, IBB_E_UNSUPPORTED, "too large"},
		{IBB_FORMAT_RAW, 100, 512, IBB_E_INTERNAL, "100 bytes in sectors of 512"},
		{IBB_FORMAT_RAW, MIB, 520, IBB_E_INTERNAL, "in sectors of 520"},
		{(enum ibb_format)9, MIB, 512, IBB_E_INTERNAL, "no such format"},
	};

	(void)state;
	for (size_t i = 0; i < IBB_ARRAY_SIZE(t); i++) {
		const struct ibb_write_opts o = {.disk_bytes = t[i].bytes,
						 .sector_bytes = t[i].sector};
		struct ibb_sink_fd s;
		struct ibb_error err = {0};
		struct ibb_writer *w = NULL;

		ibb_sink_fd_init(&s, -1, "out.vhd");
		assert_fails(ibb_writer_new(t[i].format, &s.s, &o, &w, &err), t[i].code, err,
			     t[i].text);
		assert_non_null(strstr(err.msg, "out.vhd"));
		assert_null(w);
	}
}

/* A writer does not believe its caller. */
static void test_outside(void **state)
{
	const struct ibb_write_opts o = {.disk_bytes = MIB, .sector_bytes = 512};
	static const struct {
		uint64_t off;
		size_t n;
	} t[] = {{MIB, 512}, {MIB - 512, 1024}, {UINT64_MAX - 511, 512}, {1, 512}, {0, 100}};
	static const uint8_t b[1024];

	(void)state;
	for (size_t k = 0; k < 2; k++)
		for (size_t i = 0; i < IBB_ARRAY_SIZE(t); i++) {
			struct ibb_error err = {0};
			struct ibb_writer *w = NULL;
			struct ibb_sink_fd s;

			ibb_sink_fd_init(&s, -1, "out");
			assert_ok(ibb_writer_new(k ? IBB_FORMAT_RAW : IBB_FORMAT_VHD_FIXED, &s.s,
						 &o, &w, &err),
				  err);
			assert_fails(w->ops->write(w, b, t[i].n, t[i].off, &err), IBB_E_INTERNAL,
				     err, "are no sectors of the disk");
			ibb_writer_free(w);
		}
	ibb_writer_free(NULL);
}

/* ---- failures ---- */

/* ENOSPC and EIO at every single write of every format, with and without a thread. */
static void test_every_write_fails(void **state)
{
	(void)state;
	for (unsigned i = 0; i < IBB_ARRAY_SIZE(formats) * 4; i++) {
		const int os = i % 2 ? EIO : ENOSPC;
		struct job j = {
			.d = make_disk(17 * MIB, 512),
			.format = formats[i / 4],
			.copy = {.sparse = IBB_SPARSE_AUTO, .one_thread = i / 2 % 2},
		};
		long n = 0;
		int r;

		do {
			struct ibb_copy_stats stats = {.copied_bytes = 77};
			struct ibb_error err = {0};
			struct bad_sink bad;
			struct ibb_sink_fd s;
			char path[4096];
			int fd = scratch(path, "failing");

			ibb_sink_fd_init(&s, fd, path);
			bad = bad_sink_over(&s.s, n++, os);
			r = write_to(&j, &bad.s, -1, &stats, &err);
			close(fd);
			if (!r)
				break;
			assert_fails(r, os == EIO ? IBB_E_IO : IBB_E_NOSPACE, err, "failing: ");
			assert_non_null(strstr(err.msg, strerror(os)));
			assert_int_equal(err.os_errno, os);
			/* no more was asked of the sink after that */
			assert_true(bad.n <= bad.fail_at + 2);
		} while (n < 1000);
		assert_int_equal(r, 0);
		assert_true(n > 5);
		ibb_disk_unref(j.d);
	}
}

/* An error of the source at every read; the writer must stop, whatever it is at. */
static void test_every_read_fails(void **state)
{
	(void)state;
	for (unsigned i = 0; i < IBB_ARRAY_SIZE(formats) * 2; i++) {
		struct ibb_fault plan = {.fail_at = {-1, -1, -1}, .cut_after = -1, .os_errno = EIO};
		struct ibb_disk *low = make_disk(17 * MIB, 512), *f = NULL;
		struct ibb_error err = {0};
		struct job j = {
			.format = formats[i / 2],
			.copy = {.sparse = IBB_SPARSE_AUTO, .one_thread = i % 2},
		};
		int r;

		assert_ok(ibb_disk_fault_new(low, &plan, &f, &err), err);
		j.d = f;
		do {
			struct ibb_copy_stats stats = {0};
			struct ibb_sink_fd s;
			char path[4096];
			int fd = scratch(path, "unread");

			plan.fail_at[IBB_FAULT_READ]++;
			plan.count[IBB_FAULT_READ] = 0;
			ibb_sink_fd_init(&s, fd, path);
			r = write_to(&j, &s.s, fd, &stats, &err);
			close(fd);
			if (r)
				assert_fails(r, IBB_E_IO, err, "injected failure of read");
		} while (r && plan.fail_at[IBB_FAULT_READ] < 1000);
		assert_int_equal(r, 0);
		assert_true(plan.fail_at[IBB_FAULT_READ] > 5);
		ibb_disk_unref(f);
		ibb_disk_unref(low);
	}
}

static int stop_at(void *ctx, uint64_t done, uint64_t total)
{
	(void)total;
	return done >= *(uint64_t *)ctx;
}

static void test_cancelled(void **state)
{
	struct ibb_disk *d = make_disk(17 * MIB, 512);

	(void)state;
	for (uint64_t at = 0; at < 5 * MIB; at += MIB) {
		const struct ibb_write_opts o = {.disk_bytes = d->size_bytes, .sector_bytes = 512};
		const struct ibb_copy_opts co = {.one_thread = at % 2};
		struct ibb_copy_stats stats = {.read_bytes = 77};
		struct ibb_error err = {0};
		struct ibb_writer *w = NULL;
		struct ibb_sink_fd s;
		char path[4096];
		int fd = scratch(path, "cancelled");

		ibb_sink_fd_init(&s, fd, path);
		assert_ok(ibb_writer_new(IBB_FORMAT_RAW, &s.s, &o, &w, &err), err);
		assert_fails(ibb_copy_disk(d, w, &co, fd, stop_at, &at, &stats, &err),
			     IBB_E_CANCELLED, err, "cancelled: the copy was stopped");
		assert_int_equal(stats.read_bytes, 77);
		ibb_writer_free(w);
		close(fd);
	}
	ibb_disk_unref(d);
}

static void test_no_memory(void **state)
{
	(void)state;
	for (size_t i = 0; i < IBB_ARRAY_SIZE(formats); i++) {
		struct job j = {.d = make_disk(17 * MIB, 512), .format = formats[i]};
		long n = 0;
		int r;

		do {
			struct ibb_copy_stats stats = {0};
			struct ibb_error err = {0};
			struct ibb_sink_fd s;
			char path[4096];
			int fd = scratch(path, "nomem");

			ibb_sink_fd_init(&s, fd, path);
			ibb_mem_fail_at(n, n % 2);
			r = write_to(&j, &s.s, fd, &stats, &err);
			ibb_mem_fail_at(-1, false);
			close(fd);
			if (r)
				assert_fails(r, IBB_E_NOMEM, err, "out of memory");
			n++;
		} while (r);
		assert_true(n > 5);
		ibb_disk_unref(j.d);
	}
}

/* ---- the checks of a finished copy ---- */

static void test_checks(void **state)
{
	static const uint64_t seen[] = {0, 2 * MIB - 1, 2 * MIB, 6 * MIB, 10 * MIB, 17 * MIB - 1};
	struct ibb_disk *a = make_disk(17 * MIB, 512), *b, *low, *ov = NULL;
	struct ibb_error err = {0};
	uint64_t bytes = 0;
	char want[64];

	(void)state;
	b = make_disk(17 * MIB, 512);
	assert_ok(ibb_copy_check_sample(a, b, &bytes, &err), err);
	for (size_t i = 0; i < IBB_ARRAY_SIZE(seen); i++) {
		uint8_t x, y;

		assert_ok(ibb_disk_pread(b, &x, 1, seen[i], &err), err);
		y = x ^ 0x80;
		assert_ok(ibb_disk_pwrite(b, &y, 1, seen[i], &err), err);
		snprintf(want, sizeof(want), "at offset %llu reads back differently: 0x%02x",
			 (unsigned long long)seen[i], y);
		assert_fails(ibb_copy_check_sample(a, b, &bytes, &err), IBB_E_IO, err, want);
		assert_ok(ibb_disk_pwrite(b, &x, 1, seen[i], &err), err);
	}
	assert_ok(ibb_copy_check_sample(a, b, &bytes, &err), err);
	low = make_disk(18 * MIB, 512);
	assert_fails(ibb_copy_check_sample(a, low, &bytes, &err), IBB_E_IO, err,
		     "18874368 bytes instead of 17825792");
	ibb_disk_unref(low);
	/* the overlay's blocks */
	assert_ok(ibb_disk_overlay_new(a, 16 * MIB, &ov, &err), err);
	assert_ok(ibb_copy_check_overlay(ov, ov, b, &err), err);
	assert_ok(ibb_disk_pwrite(ov, "new", 3, 3 * MIB + 77, &err), err);
	assert_fails(ibb_copy_check_overlay(ov, ov, b, &err), IBB_E_IO, err,
		     "at offset 3145805 reads");
	assert_ok(ibb_disk_pwrite(b, "new", 3, 3 * MIB + 77, &err), err);
	assert_ok(ibb_copy_check_overlay(ov, ov, b, &err), err);
	ibb_disk_unref(ov);
	ibb_disk_unref(a);
	ibb_disk_unref(b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_matrix),
		cmocka_unit_test(test_runs_in_a_sector),
		cmocka_unit_test(test_holes),
		cmocka_unit_test(test_allocate),
		cmocka_unit_test(test_fixed_bytes),
		cmocka_unit_test(test_kept_footer),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_outside),
		cmocka_unit_test(test_every_write_fails),
		cmocka_unit_test(test_every_read_fails),
		cmocka_unit_test(test_cancelled),
		cmocka_unit_test(test_no_memory),
		cmocka_unit_test(test_checks),
	};

	return cmocka_run_group_tests(tests, test_dir_setup, test_dir_teardown) ? 1 : 0;
}
