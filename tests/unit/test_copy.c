/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "disktest.h"

#include <errno.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/wait.h>

#include "base/hash.h"
#include "base/le.h"
#include "disk/copy.h"
#include "disk/sink.h"

#define MIB 1048576ull

/* A file with holes: data at 0, 5 MiB, over the border of a piece, and at the odd end. */
static void make_source(char path[4096], const char *name)
{
	static uint8_t b[3 * 65536];
	uint64_t rng = 1;

	for (size_t i = 0; i < sizeof(b); i++)
		b[i] = (uint8_t)test_rand(&rng);
	snprintf(path, 4096, "%s/%s", test_dir(), name);
	make_sparse(path, 64 * MIB + 512);
	assert_int_equal(patch_file(path, 0, b, 65536), 0);
	assert_int_equal(patch_file(path, 5 * MIB, b, sizeof(b)), 0);
	assert_int_equal(patch_file(path, 20 * MIB - 65536, b, sizeof(b)), 0);
	memset(b, 0, 65536); /* zeros that are data */
	assert_int_equal(patch_file(path, 40 * MIB, b, 65536), 0);
	assert_int_equal(patch_file(path, 64 * MIB, b + 65536, 512), 0);
}

static int new_output(char path[4096], const char *name)
{
	int fd;

	snprintf(path, 4096, "%s/%s", test_dir(), name);
	fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	assert_true(fd >= 0);
	return fd;
}

static struct ibb_disk *open_file(const char *path, struct ibb_file_id *id)
{
	struct ibb_error err = {0};
	struct ibb_disk *d = NULL;

	assert_ok(ibb_disk_file_open(path, id, &d, &err), err);
	return d;
}

static void assert_same_content(const char *a, const char *b)
{
	struct ibb_error err = {0};
	struct ibb_buf x = {0}, y = {0};

	assert_ok(ibb_read_file(a, 1u << 30, &x, &err), err);
	assert_ok(ibb_read_file(b, 1u << 30, &y, &err), err);
	assert_int_equal(x.len, y.len);
	assert_int_equal(memcmp(x.data, y.data, x.len), 0);
	ibb_buf_clear(&x);
	ibb_buf_clear(&y);
}

static void assert_same_holes(const char *a, const char *b)
{
	struct ibb_error err = {0};
	struct ibb_file_id id;
	struct ibb_disk *x = open_file(a, &id), *y = open_file(b, &id);
	struct extents ex = {0}, ey = {0};
	struct stat sx, sy;

	assert_ok(ibb_disk_extents(x, 0, x->size_bytes, collect_extent, &ex, &err), err);
	assert_ok(ibb_disk_extents(y, 0, y->size_bytes, collect_extent, &ey, &err), err);
	assert_int_equal(ex.n, ey.n);
	for (size_t i = 0; i < ex.n; i++)
		assert_extent(&ey, i, ex.e[i].off_bytes, ex.e[i].len_bytes, ex.e[i].data);
	assert_int_equal(stat(a, &sx), 0);
	assert_int_equal(stat(b, &sy), 0);
	/* the copy takes no more room than the source, but for the file system's own blocks */
	assert_true(sy.st_blocks <= sx.st_blocks + 64);
	ibb_disk_unref(x);
	ibb_disk_unref(y);
}

/* As the output is made: a clone where the file system can, else the data into a raw file. */
static int copy_file(struct ibb_disk *d, int fd, const char *name, ibb_copy_progress_fn progress,
		     void *ctx, struct ibb_copy_stats *ret, struct ibb_error *err)
{
	const struct ibb_copy_opts o = {.sparse = IBB_SPARSE_AUTO};
	const struct ibb_write_opts wo = {.disk_bytes = d->size_bytes, .sector_bytes = 512};
	IBB_AUTO(ibb_writer_free) struct ibb_writer *w = NULL;
	struct ibb_copy_stats stats = {0};
	struct ibb_sink_fd s;
	int r = ibb_copy_clone(d, fd, name, &stats.reflink, err);

	ibb_sink_fd_init(&s, fd, name);
	if (!r)
		r = ibb_writer_new(IBB_FORMAT_RAW, &s.s, &wo, &w, err);
	if (!r && !stats.reflink)
		r = ibb_copy_disk(d, w, &o, fd, progress, ctx, &stats, err);
	if (!r)
		r = w->ops->finish(w, err);
	if (!r)
		*ret = stats;
	return r;
}

struct progress {
	uint64_t last, total;
	int calls, stop_at;
};

static int on_progress(void *ctx, uint64_t done, uint64_t total)
{
	struct progress *p = ctx;

	assert_true(p->calls ? done > p->last : done == 0);
	assert_true(done <= total);
	p->last = done;
	p->total = total;
	return p->calls++ == p->stop_at;
}

static int punch(const char *path, off_t off, off_t n)
{
	int fd = open(path, O_RDWR | O_CLOEXEC);
	int r = fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, off, n);

	close(fd);
	return r;
}

static void test_sparse_copy(void **state)
{
	struct ibb_copy_stats stats = {0};
	struct progress p = {.stop_at = -1};
	struct ibb_error err = {0};
	struct ibb_file_id id, before;
	char src[4096], dst[4096];
	struct ibb_disk *d;
	struct stat st;
	int fd;

	(void)state;
	make_source(src, "src");
	fd = new_output(dst, "dst");
	/* what the output held before does not shine through the holes */
	assert_int_equal(pwrite(fd, "old", 3, 10 * MIB), 3);
	assert_int_equal(ftruncate(fd, 100 * MIB), 0);
	d = open_file(src, &before);
	assert_ok(copy_file(d, fd, dst, on_progress, &p, &stats, &err), err);
	assert_ok(ibb_disk_file_unchanged(d, &before, &err), err);
	assert_int_equal(ibb_file_id_fd(ibb_disk_file_fd(d), src, &id, &err), 0);
	assert_int_equal(fstat(fd, &st), 0);
	assert_int_equal(st.st_size, 64 * MIB + 512);
	if (stats.reflink) {
		print_message("copied as a reflink\n");
		assert_int_equal(stats.copied_bytes, 0);
	} else {
		assert_int_equal(p.last, stats.read_bytes);
		assert_int_equal(p.total, stats.read_bytes);
		assert_int_equal(stats.copied_bytes, stats.read_bytes - 65536);
		assert_true(p.calls > 5);
	}
	assert_int_equal(stats.overlay_bytes, 0);
	close(fd);
	assert_same_content(src, dst);
	if (!stats.reflink) /* the zeros are left out */
		assert_int_equal(punch(src, 40 * MIB, 65536), 0);
	assert_same_holes(src, dst);
	ibb_disk_unref(d);
}

static void test_copied_bytes(void **state)
{
	struct ibb_copy_stats stats = {0};
	struct ibb_error err = {0};
	struct ibb_file_id id;
	char src[4096], dst[4096];
	struct ibb_disk *d;
	struct stat st;
	int fd;

	(void)state;
	make_source(src, "src-count");
	assert_int_equal(stat(src, &st), 0);
	if (st.st_blocks * 512 > 16 * (blkcnt_t)MIB) {
		print_message("SKIPPED: this file system has no holes\n");
		skip();
	}
	fd = new_output(dst, "dst-count");
	d = open_file(src, &id);
	assert_ok(copy_file(d, fd, dst, NULL, NULL, &stats, &err), err);
	/* 8 pieces of 64 KiB and the end, in blocks of whatever size, not 64 MiB; one is zeros */
	if (!stats.reflink) {
		assert_true(stats.read_bytes >= 8 * 65536 + 512 &&
			    stats.read_bytes <= 8 * 65536 + 6 * 65536);
		assert_int_equal(stats.copied_bytes, 7 * 65536 + 512);
	}
	close(fd);
	ibb_disk_unref(d);
}

static void test_cancel(void **state)
{
	struct ibb_copy_stats stats = {.copied_bytes = 77};
	struct progress p = {.stop_at = 0, .total = 1};
	struct ibb_error err = {0};
	struct ibb_file_id id;
	char src[4096], dst[4096];
	struct ibb_disk *d;
	int fd;

	(void)state;
	make_source(src, "src-cancel");
	fd = new_output(dst, "dst-cancel");
	d = open_file(src, &id);
	for (; p.stop_at < 3; p.stop_at++) {
		p.calls = 0;
		assert_fails(copy_file(d, fd, dst, on_progress, &p, &stats, &err), IBB_E_CANCELLED,
			     err, "dst-cancel: the copy was stopped");
		assert_int_equal(p.calls, p.stop_at + 1);
		assert_int_equal(stats.copied_bytes, 77);
		if (p.total == 0) /* a reflink reports once */
			break;
	}
	close(fd);
	ibb_disk_unref(d);
}

static void test_source_shrinks(void **state)
{
	struct ibb_copy_stats stats = {0};
	struct ibb_error err = {0};
	struct ibb_file_id id;
	char src[4096], dst[4096];
	struct ibb_disk *d;
	int fd;

	(void)state;
	make_source(src, "src-shrinks");
	fd = new_output(dst, "dst-shrinks");
	d = open_file(src, &id);
	assert_int_equal(truncate(src, 20 * MIB), 0);
	assert_true(copy_file(d, fd, dst, NULL, NULL, &stats, &err) != 0);
	assert_fails(ibb_disk_file_unchanged(d, &id, &err), IBB_E_CHANGED, err,
		     "src-shrinks: changed while it was read");
	close(fd);
	ibb_disk_unref(d);
}

static int shrink_later(void *ctx, uint64_t done, uint64_t total)
{
	(void)total;
	if (done)
		assert_int_equal(truncate(ctx, 1), 0);
	return 0;
}

static void test_source_shrinks_midway(void **state)
{
	struct ibb_copy_stats stats = {0};
	struct ibb_error err = {0};
	struct ibb_file_id id;
	char src[4096], dst[4096];
	struct ibb_disk *d;
	int fd, r;

	(void)state;
	make_source(src, "src-midway");
	fd = new_output(dst, "dst-midway");
	d = open_file(src, &id);
	r = copy_file(d, fd, dst, shrink_later, src, &stats, &err);
	assert_true(r != 0 || stats.reflink);
	assert_fails(ibb_disk_file_unchanged(d, &id, &err), IBB_E_CHANGED, err,
		     "src-midway: changed while it was read");
	close(fd);
	ibb_disk_unref(d);
}

/* Inside one run, which only the read can notice. */
static void test_source_shrinks_in_a_run(void **state)
{
	struct ibb_copy_stats stats = {0};
	struct ibb_error err = {0};
	struct ibb_file_id id;
	char src[4096], dst[4096];
	static uint8_t b[4 * MIB];
	struct ibb_disk *d;
	int fd, r;

	(void)state;
	memset(b, 1, sizeof(b));
	snprintf(src, sizeof(src), "%s/src-run", test_dir());
	make_file(src, b, sizeof(b));
	fd = new_output(dst, "dst-run");
	d = open_file(src, &id);
	r = copy_file(d, fd, dst, shrink_later, src, &stats, &err);
	assert_true(r != 0 || stats.reflink);
	assert_fails(ibb_disk_file_unchanged(d, &id, &err), IBB_E_CHANGED, err,
		     "src-run: changed while it was read");
	close(fd);
	ibb_disk_unref(d);
}

static void test_bad_output(void **state)
{
	struct ibb_copy_stats stats = {0};
	struct ibb_error err = {0};
	struct ibb_file_id id;
	char src[4096];
	struct ibb_disk *d;

	(void)state;
	make_source(src, "src-bad");
	d = open_file(src, &id);
	assert_fails(copy_file(d, ibb_disk_file_fd(d), "out", NULL, NULL, &stats, &err), IBB_E_IO,
		     err, "out: set the size to 0: ");
	assert_ok(ibb_disk_file_unchanged(d, &id, &err), err);
	ibb_disk_unref(d);
}

/* --- the overlay on top --- */

static struct ibb_disk *dirty_overlay(struct ibb_disk *lower, uint64_t size)
{
	struct ibb_error err = {0};
	struct ibb_disk *part = NULL, *ov = NULL;
	static uint8_t b[3 * MIB];

	memset(b, 0xa5, sizeof(b));
	assert_ok(ibb_disk_slice_new(lower, 0, size, &part, &err), err);
	assert_ok(ibb_disk_overlay_new(part, 16 * MIB, &ov, &err), err);
	assert_ok(ibb_disk_pwrite(ov, b, sizeof(b), 7 * MIB + 5, &err), err); /* several pieces */
	assert_ok(ibb_disk_pwrite(ov, "first", 5, 0, &err), err);
	assert_ok(ibb_disk_pwrite(ov, "last", 4, size - 4, &err), err);
	ibb_disk_unref(part);
	return ov;
}

static void test_overlay_on_copy(void **state)
{
	struct ibb_copy_stats stats = {0};
	struct ibb_error err = {0};
	struct ibb_file_id id, id2;
	char src[4096], dst[4096];
	struct ibb_disk *d, *ov, *out;
	static uint8_t a[MIB], b[MIB];
	int fd;

	(void)state;
	make_source(src, "src-ov");
	fd = new_output(dst, "dst-ov");
	d = open_file(src, &id);
	ov = dirty_overlay(d, 60 * MIB + 512);
	assert_ok(copy_file(d, fd, dst, NULL, NULL, &stats, &err), err);
	assert_ok(ibb_copy_overlay(ov, fd, dst, &stats, &err), err);
	assert_int_equal(stats.overlay_bytes, ibb_disk_overlay_dirty_bytes(ov));
	assert_int_equal(stats.overlay_bytes, 3 * MIB + 4096 + 4096 + 512);
	close(fd);
	out = open_file(dst, &id2);
	for (uint64_t off = 0; off < 60 * MIB; off += MIB) {
		assert_ok(ibb_disk_pread(out, a, MIB, off, &err), err);
		assert_ok(ibb_disk_pread(ov, b, MIB, off, &err), err);
		assert_memory_equal(a, b, MIB);
	}
	/* what lies behind the overlay's disk is the source's */
	assert_ok(ibb_disk_pread(out, a, 1024, 64 * MIB - 512, &err), err);
	assert_ok(ibb_disk_pread(d, b, 1024, 64 * MIB - 512, &err), err);
	assert_memory_equal(a, b, 1024);
	assert_ok(ibb_disk_file_unchanged(d, &id, &err), err);
	ibb_disk_unref(out);
	ibb_disk_unref(ov);
	ibb_disk_unref(d);
}

static void test_overlay_alone(void **state)
{
	struct ibb_copy_stats stats = {.overlay_bytes = 1000};
	struct ibb_error err = {0};
	struct ibb_disk *low = NULL, *ov = NULL;
	char dst[4096], b[4];
	struct stat st;
	int fd;

	(void)state;
	assert_ok(ibb_disk_mem_new(16 * MIB, 512, &low, &err), err);
	assert_ok(ibb_disk_overlay_new(low, 16 * MIB, &ov, &err), err);
	fd = new_output(dst, "dst-alone");
	/* nothing dirty: nothing written */
	assert_ok(ibb_copy_overlay(ov, fd, dst, &stats, &err), err);
	assert_int_equal(fstat(fd, &st), 0);
	assert_int_equal(st.st_size, 0);
	assert_int_equal(stats.overlay_bytes, 1000);
	assert_ok(ibb_disk_pwrite(ov, "abcd", 4, 8192 + 100, &err), err);
	assert_ok(ibb_copy_overlay(ov, fd, dst, &stats, &err), err);
	assert_int_equal(stats.overlay_bytes, 1000 + 4096);
	assert_int_equal(pread(fd, b, 4, 8192 + 100), 4);
	assert_memory_equal(b, "abcd", 4);
	close(fd);
	ibb_disk_unref(ov);
	ibb_disk_unref(low);
}

/* /dev/zero takes every write and gives back zeros: a disk that lies. */
static void test_overlay_read_back(void **state)
{
	struct ibb_copy_stats stats = {0};
	struct ibb_error err = {0};
	struct ibb_disk *low = NULL, *ov = NULL;
	int fd = open("/dev/zero", O_RDWR | O_CLOEXEC);

	(void)state;
	assert_true(fd >= 0);
	assert_ok(ibb_disk_mem_new(1 * MIB, 512, &low, &err), err);
	assert_ok(ibb_disk_overlay_new(low, 1 * MIB, &ov, &err), err);
	assert_ok(ibb_disk_pwrite(ov, "A", 1, 4100, &err), err);
	assert_fails(ibb_copy_overlay(ov, fd, "out.vhd", &stats, &err), IBB_E_IO, err,
		     "out.vhd: what was written at offset 4100 reads back differently: 0x00 "
		     "instead of 0x41");
	assert_int_equal(stats.overlay_bytes, 0);
	close(fd);
	ibb_disk_unref(ov);
	ibb_disk_unref(low);
}

static void test_overlay_no_space(void **state)
{
	struct ibb_copy_stats stats = {0};
	struct ibb_error err = {0};
	struct ibb_disk *low = NULL, *ov = NULL;
	int fd = open("/dev/full", O_RDWR | O_CLOEXEC);

	(void)state;
	assert_true(fd >= 0);
	assert_ok(ibb_disk_mem_new(1 * MIB, 512, &low, &err), err);
	assert_ok(ibb_disk_overlay_new(low, 1 * MIB, &ov, &err), err);
	assert_ok(ibb_disk_pwrite(ov, "A", 1, 4100, &err), err);
	assert_fails(ibb_copy_overlay(ov, fd, "out.vhd", &stats, &err), IBB_E_NOSPACE, err,
		     "out.vhd: ");
	assert_int_equal(err.os_errno, ENOSPC);
	close(fd);
	ibb_disk_unref(ov);
	ibb_disk_unref(low);
}

static bool write_proc(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : write(fd, text, strlen(text));

	if (fd >= 0)
		close(fd);
	return n == (ssize_t)strlen(text);
}

/* A mount namespace of our own; an ordinary user becomes root of a user namespace for it. */
static bool private_mounts(void)
{
	char uids[64], gids[64];

	snprintf(uids, sizeof(uids), "0 %u 1", geteuid());
	snprintf(gids, sizeof(gids), "0 %u 1", getegid());
	if (geteuid() && (unshare(CLONE_NEWUSER) || !write_proc("/proc/self/uid_map", uids) ||
			  !write_proc("/proc/self/setgroups", "deny") ||
			  !write_proc("/proc/self/gid_map", gids)))
		return false;
	return unshare(CLONE_NEWNS) == 0 && mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0;
}

/* In a child with a mount namespace of its own: a file system of 256 KiB. */
static int copy_to_small_fs(const char *src, const char *mnt)
{
	struct ibb_copy_stats stats = {0};
	struct ibb_error err = {0};
	struct ibb_file_id id;
	struct ibb_disk *d = NULL;
	char dst[4200];
	int fd, r;

	if (!private_mounts() || mount("tmpfs", mnt, "tmpfs", 0, "size=256k"))
		return 77;
	snprintf(dst, sizeof(dst), "%s/out", mnt);
	fd = open(dst, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (fd < 0 || ibb_disk_file_open(src, &id, &d, &err))
		return 2;
	r = copy_file(d, fd, dst, NULL, NULL, &stats, &err);
	ibb_disk_unref(d);
	close(fd);
	if (r != IBB_E_NOSPACE || err.os_errno != ENOSPC) {
		fprintf(stderr, "got %d: %s\n", r, err.msg);
		return 3;
	}
	if (!strstr(err.msg, "no space left for the image: ") || !strstr(err.msg, " missing") ||
	    !strstr(err.hint, "free space")) {
		fprintf(stderr, "message: %s (%s)\n", err.msg, err.hint);
		return 4;
	}
	return 0;
}

static void test_copy_no_space(void **state)
{
	char src[4096], mnt[4096];
	int status = 0;
	pid_t pid;

	(void)state;
	make_source(src, "src-full");
	snprintf(mnt, sizeof(mnt), "%s/small", test_dir());
	assert_int_equal(mkdir(mnt, 0700), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (!pid)
		_exit(copy_to_small_fs(src, mnt));
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	if (WEXITSTATUS(status) == 77) {
		print_message("SKIPPED: no mount namespace here\n");
		skip();
	}
	assert_int_equal(WEXITSTATUS(status), 0);
}

/* --- digests --- */

static void assert_digest(const struct ibb_sha256 *d, const char *want)
{
	char hex[IBB_SHA256_HEX_SIZE];

	ibb_sha256_hex(d, hex);
	assert_string_equal(hex, want);
}

#define EMPTY_SHA256 "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

static void test_digest_known(void **state)
{
	struct ibb_error err = {0};
	struct ibb_disk *d = NULL;
	struct ibb_sha256 sum;

	(void)state;
	/* sha256sum of 3 MiB + 5 bytes of zeros */
	assert_ok(ibb_disk_mem_new(3 * MIB + 5, 512, &d, &err), err);
	assert_ok(ibb_digest_flat(d, NULL, NULL, &sum, &err), err);
	assert_digest(&sum, "be58603025b9752289c4917b47da4d9290bbdd9c11d0d1a5213388cd7101432e");
	assert_ok(ibb_digest_content(d, NULL, NULL, &sum, &err), err);
	assert_digest(&sum, EMPTY_SHA256);
	/* "ibbake" at 1 MiB - 3 and at the end, by a script that does not share this code */
	assert_ok(ibb_disk_pwrite(d, "ibbake", 6, MIB - 3, &err), err);
	assert_ok(ibb_disk_pwrite(d, "ibbake", 6, 3 * MIB - 1, &err), err);
	assert_ok(ibb_digest_flat(d, NULL, NULL, &sum, &err), err);
	assert_digest(&sum, "822ea34c42d63accc5b521a56964c97c7ca50482335db48ca11d122fcd5f202b");
	assert_ok(ibb_digest_content(d, NULL, NULL, &sum, &err), err);
	assert_digest(&sum, "457f177d7b3cfa011c522f6a91a3296a6d93b88b68c2dcc7621193d90b8ef06e");
	/* the last chunk is shorter, and only it changes */
	assert_ok(ibb_disk_pwrite(d, "\0\0\0\0\0\0", 6, 3 * MIB - 1, &err), err);
	assert_ok(ibb_digest_content(d, NULL, NULL, &sum, &err), err);
	assert_digest(&sum, "e98bfc978f22db85da89e7aa3671515fa3c68fc19199c6a16b13dc9464177e80");
	ibb_disk_unref(d);
}

struct digest_steps {
	uint64_t last, total;
	long calls, stop_at;
};

static int on_digest(void *ctx, uint64_t done, uint64_t total)
{
	struct digest_steps *s = ctx;

	assert_true(done > s->last && done <= total);
	s->last = done;
	s->total = total;
	return s->calls++ == s->stop_at;
}

/* Every piece is told, to the last; and it can be stopped at each. */
static void test_digest_progress(void **state)
{
	struct ibb_error err = {0};
	struct ibb_disk *d = NULL;
	struct ibb_sha256 sum, kept = {{1}};

	(void)state;
	assert_ok(ibb_disk_mem_new(8 * MIB + 512, 512, &d, &err), err);
	assert_ok(ibb_disk_pwrite(d, "x", 1, 3 * MIB, &err), err);
	assert_ok(ibb_disk_pwrite(d, "x", 1, 8 * MIB, &err), err);
	for (int flat = 0; flat < 2; flat++) {
		int (*fn)(struct ibb_disk *, ibb_copy_progress_fn, void *, struct ibb_sha256 *,
			  struct ibb_error *) = flat ? ibb_digest_flat : ibb_digest_content;
		struct digest_steps whole = {.stop_at = -1};

		assert_ok(fn(d, on_digest, &whole, &sum, &err), err);
		/* a chunk of memory has 64 KiB; the last one is a sector */
		assert_int_equal(whole.total, flat ? 8 * MIB + 512 : 65536 + 512);
		assert_int_equal(whole.last, whole.total);
		for (long i = 0; i < whole.calls; i++) {
			struct digest_steps s = {.stop_at = i};

			assert_fails(fn(d, on_digest, &s, &kept, &err), IBB_E_CANCELLED, err,
				     "the digest was stopped");
			assert_int_equal(kept.b[0], 1);
		}
	}
	ibb_disk_unref(d);
}

/* The same bytes with other holes: the same digests. */
static void test_digest_holes(void **state)
{
	struct ibb_error err = {0};
	struct ibb_file_id id;
	struct ibb_disk *d, *full;
	struct ibb_sha256 a, b;
	struct ibb_buf bytes = {0};
	char src[4096], dense[4096];

	(void)state;
	make_source(src, "src-digest");
	assert_ok(ibb_read_file(src, 1u << 30, &bytes, &err), err);
	snprintf(dense, sizeof(dense), "%s/dense", test_dir());
	make_file(dense, bytes.data, bytes.len);
	d = open_file(src, &id);
	full = open_file(dense, &id);
	assert_ok(ibb_digest_flat(d, NULL, NULL, &a, &err), err);
	assert_int_equal(ibb_sha256(bytes.data, bytes.len, &b), 0);
	assert_memory_equal(a.b, b.b, 32);
	assert_ok(ibb_digest_flat(full, NULL, NULL, &b, &err), err);
	assert_memory_equal(a.b, b.b, 32);
	assert_ok(ibb_digest_content(d, NULL, NULL, &a, &err), err);
	assert_ok(ibb_digest_content(full, NULL, NULL, &b, &err), err);
	assert_memory_equal(a.b, b.b, 32);
	/* and another content, another digest */
	assert_int_equal(patch_file(dense, 30 * MIB + 7, "x", 1), 0);
	assert_ok(ibb_digest_content(full, NULL, NULL, &b, &err), err);
	assert_memory_not_equal(a.b, b.b, 32);
	ibb_buf_clear(&bytes);
	ibb_disk_unref(d);
	ibb_disk_unref(full);
}

/* Holes are not read: a 30 GiB disk with one byte costs one read. */
static void test_digest_reads(void **state)
{
	struct ibb_fault plan = {.fail_at = {-1, -1, -1}, .cut_after = -1, .os_errno = EIO};
	struct ibb_error err = {0};
	struct ibb_disk *low = NULL, *f = NULL;
	struct ibb_sha256 sum;

	(void)state;
	assert_ok(ibb_disk_mem_new(30ull << 30, 512, &low, &err), err);
	assert_ok(ibb_disk_fault_new(low, &plan, &f, &err), err);
	assert_ok(ibb_disk_pwrite(low, "x", 1, 20ull << 30, &err), err);
	assert_ok(ibb_digest_content(f, NULL, NULL, &sum, &err), err);
	assert_int_equal(plan.count[IBB_FAULT_READ], 1);
	plan.fail_at[IBB_FAULT_READ] = 1;
	memset(&sum, 7, sizeof(sum));
	assert_fails(ibb_digest_content(f, NULL, NULL, &sum, &err), IBB_E_IO, err,
		     "injected failure of read");
	assert_int_equal(sum.b[0], 7);
	ibb_disk_unref(f);
	ibb_disk_unref(low);
}

static int everything(struct ibb_disk *d, struct ibb_disk *ov, int fd, struct ibb_error *err)
{
	struct ibb_copy_stats stats;
	struct ibb_sha256 sum;
	int r = copy_file(d, fd, "out", NULL, NULL, &stats, err);

	if (!r)
		r = ibb_copy_overlay(ov, fd, "out", &stats, err);
	if (!r)
		r = ibb_digest_flat(d, NULL, NULL, &sum, err);
	return r ? r : ibb_digest_content(d, NULL, NULL, &sum, err);
}

static void test_no_memory(void **state)
{
	struct ibb_error err = {0};
	struct ibb_file_id id;
	char src[4096], dst[4096];
	struct ibb_disk *d, *ov;
	long n = 0;
	int fd, r;

	(void)state;
	snprintf(src, sizeof(src), "%s/src-nomem", test_dir());
	make_sparse(src, 16 * MIB);
	fd = new_output(dst, "dst-nomem");
	d = open_file(src, &id);
	ov = dirty_overlay(d, 16 * MIB);
	for (;; n++) {
		ibb_mem_fail_at(n, n % 2);
		r = everything(d, ov, fd, &err);
		if (!r)
			break;
		assert_fails(r, IBB_E_NOMEM, err, "out of memory");
	}
	ibb_mem_fail_at(-1, false);
	assert_true(n >= 4);
	close(fd);
	ibb_disk_unref(ov);
	ibb_disk_unref(d);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sparse_copy),
		cmocka_unit_test(test_copied_bytes),
		cmocka_unit_test(test_cancel),
		cmocka_unit_test(test_source_shrinks),
		cmocka_unit_test(test_source_shrinks_midway),
		cmocka_unit_test(test_source_shrinks_in_a_run),
		cmocka_unit_test(test_bad_output),
		cmocka_unit_test(test_overlay_on_copy),
		cmocka_unit_test(test_overlay_alone),
		cmocka_unit_test(test_overlay_read_back),
		cmocka_unit_test(test_overlay_no_space),
		cmocka_unit_test(test_copy_no_space),
		cmocka_unit_test(test_digest_known),
		cmocka_unit_test(test_digest_progress),
		cmocka_unit_test(test_digest_holes),
		cmocka_unit_test(test_digest_reads),
		cmocka_unit_test(test_no_memory),
	};

	return cmocka_run_group_tests(tests, test_dir_setup, test_dir_teardown) ? 1 : 0;
}
