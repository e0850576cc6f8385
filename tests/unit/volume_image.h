/* SPDX-License-Identifier: GPL-3.0-or-later */
/* NTFS images for the tests of the volume layer: made by mkntfs, held in memory. */
#ifndef IBB_TEST_VOLUME_IMAGE_H
#define IBB_TEST_VOLUME_IMAGE_H

#include "test.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "disk/disk.h"
#include "soundtest.h"
#include "volume/volume.h"

#define IMG_TIME 133500000000000000ull /* 2024-01-17 */

static inline bool have_tool(const char *name)
{
	char cmd[200];

	snprintf(cmd, sizeof(cmd), "PATH=\"$PATH:/sbin:/usr/sbin\" command -v %s >/dev/null 2>&1",
		 name);
	return system(cmd) == 0;
}

/* The exit status of a shell command, its output thrown away. */
static inline int run(const char *fmt, ...)
{
	char cmd[2000];
	va_list ap;
	int n, st;

	va_start(ap, fmt);
	n = vsnprintf(cmd, 1500, fmt, ap);
	va_end(ap);
	assert_true(n > 0 && n < 1500);
	strcat(cmd, " >/dev/null 2>&1");
	st = system(cmd);
	return WIFEXITED(st) ? WEXITSTATUS(st) : 255;
}

/* A scratch directory of this process; emptied at exit by img_teardown(). */
static inline const char *img_dir(void)
{
	static char dir[300];
	const char *tmp = getenv("TMPDIR");

	if (!*dir) {
		snprintf(dir, sizeof(dir), "%s/ibbake-volume-XXXXXX", tmp && *tmp ? tmp : "/tmp");
		assert_non_null(mkdtemp(dir));
	}
	return dir;
}

static inline int img_teardown(void **state)
{
	(void)state;
	return run("rm -rf '%s'", img_dir());
}

static inline const char *img_path(const char *name)
{
	static char path[4][600];
	static unsigned slot;
	char *p = path[slot++ % 4];

	snprintf(p, sizeof(path[0]), "%s/%s", img_dir(), name);
	return p;
}

/* Read a whole file into a fresh memory disk. */
static inline struct ibb_disk *disk_from_file(const char *path, uint32_t sector)
{
	struct ibb_error err = {0};
	struct ibb_disk *d = NULL;
	struct stat st;
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	uint8_t *buf = malloc(1u << 20);

	assert_true(fd >= 0 && buf && fstat(fd, &st) == 0);
	assert_ok(ibb_disk_mem_new((uint64_t)st.st_size, sector, &d, &err), err);
	for (off_t off = 0; off < st.st_size;) {
		ssize_t n = pread(fd, buf, 1u << 20, off);

		assert_true(n > 0);
		assert_ok(ibb_disk_pwrite(d, buf, (size_t)n, (uint64_t)off, &err), err);
		off += n;
	}
	free(buf);
	close(fd);
	return d;
}

static inline void disk_to_file(struct ibb_disk *d, const char *path)
{
	static const uint8_t zeros[65536];
	struct ibb_error err = {0};
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	uint8_t *buf = malloc(sizeof(zeros));

	assert_true(fd >= 0 && buf && ftruncate(fd, (off_t)d->size_bytes) == 0);
	for (uint64_t off = 0; off < d->size_bytes; off += sizeof(zeros)) {
		size_t n = d->size_bytes - off < sizeof(zeros) ? (size_t)(d->size_bytes - off)
							       : sizeof(zeros);

		assert_ok(ibb_disk_pread(d, buf, n, off, &err), err);
		if (memcmp(buf, zeros, n))
			assert_int_equal(pwrite(fd, buf, n, (off_t)off), (ssize_t)n);
	}
	free(buf);
	close(fd);
}

/* A fresh volume; skips the case when mkntfs is not installed. */
static inline struct ibb_disk *make_ntfs(unsigned mib, unsigned sector, unsigned cluster)
{
	const char *path = img_path("fresh.img");
	struct ibb_disk *d;
	int fd;

	if (!have_tool("mkntfs")) {
		print_message("SKIPPED: mkntfs (package ntfs-3g) is not installed\n");
		skip();
	}
	fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	assert_true(fd >= 0 && ftruncate(fd, (off_t)mib << 20) == 0);
	close(fd);
	assert_int_equal(
		run("PATH=\"$PATH:/sbin:/usr/sbin\" mkntfs -F -Q -q -L Windows -s %u -c %u "
		    "-p 0 -H 255 -S 63 '%s'",
		    sector, cluster, path),
		0);
	d = disk_from_file(path, sector);
	unlink(path);
	return d;
}

static inline struct ibb_disk *copy_disk(struct ibb_disk *d)
{
	struct ibb_error err = {0};
	struct ibb_disk *c = NULL;
	uint8_t *buf = malloc(d->size_bytes);

	assert_non_null(buf);
	assert_ok(ibb_disk_mem_new(d->size_bytes, d->sector_bytes, &c, &err), err);
	assert_ok(ibb_disk_pread(d, buf, d->size_bytes, 0, &err), err);
	assert_ok(ibb_disk_pwrite(c, buf, d->size_bytes, 0, &err), err);
	free(buf);
	return c;
}

static inline bool same_disks(struct ibb_disk *a, struct ibb_disk *b)
{
	struct ibb_error err = {0};
	uint8_t *x = malloc(1u << 20), *y = malloc(1u << 20);
	bool same = a->size_bytes == b->size_bytes;

	assert_true(x && y);
	for (uint64_t off = 0; same && off < a->size_bytes; off += 1u << 20) {
		size_t n = a->size_bytes - off < 1u << 20 ? a->size_bytes - off : 1u << 20;

		assert_ok(ibb_disk_pread(a, x, n, off, &err), err);
		assert_ok(ibb_disk_pread(b, y, n, off, &err), err);
		same = !memcmp(x, y, n);
	}
	free(x);
	free(y);
	return same;
}

/* What was wrong before an edit; some cases open what they damaged themselves. */
struct watch {
	struct ibb_volume *v;
	struct ibb_disk *d;
	struct ntfscheck before;
};

static inline struct watch *watch_of(const struct ibb_volume *v)
{
	static struct watch all[8];
	static unsigned next;

	for (size_t i = 0; v && i < IBB_ARRAY_SIZE(all); i++)
		if (all[i].v == v)
			return &all[i];
	return v ? NULL : &all[next++ % IBB_ARRAY_SIZE(all)];
}

static inline struct ibb_volume *open_rw(struct ibb_disk *d)
{
	struct ibb_error err = {0};
	struct ibb_volume *v = NULL;
	struct watch *w;

	assert_ok(ibb_volume_open_ntfs(d, true, &v, &err), err);
	w = watch_of(v);
	if (!w)
		w = watch_of(NULL);
	ntfscheck_clear(&w->before);
	ibb_disk_unref(w->d);
	*w = (struct watch){.v = v, .d = ibb_disk_ref(d), .before = findings(d)};
	return v;
}

/* No edit may leave an error that was not there before. */
static inline void commit_close(struct ibb_volume *v)
{
	struct watch *w = watch_of(v);
	struct ibb_error err = {0};
	struct ntfscheck after;

	assert_ok(ibb_volume_commit(v, &err), err);
	ibb_volume_close(v);
	if (!w)
		return;
	after = findings(w->d);
	expect_not_worse(&w->before, &after);
	ntfscheck_clear(&after);
	ntfscheck_clear(&w->before);
	ibb_disk_unref(w->d);
	*w = (struct watch){0};
}

/* The judges of the ntfs-3g package; what is not installed says nothing. */
static inline void ask_ntfs_tools(struct ibb_disk *d)
{
	const char *path = img_path("check.img");

	disk_to_file(d, path);
	if (have_tool("ntfsresize"))
		assert_int_equal(
			run("PATH=\"$PATH:/sbin:/usr/sbin\" ntfsresize --info --force '%s'", path),
			0);
	if (have_tool("ntfsfix"))
		assert_int_equal(run("ntfsfix -n '%s'", path), 0);
	unlink(path);
}

/* They, and our own. */
static inline void check_ntfs(struct ibb_disk *d)
{
	expect_sound(d);
	ask_ntfs_tools(d);
}

static const struct ibb_meta file_meta = {IMG_TIME, 0x20};
static const struct ibb_meta dir_meta = {IMG_TIME, 0};

static inline struct ibb_bytes bytes(const void *p, size_t n)
{
	return (struct ibb_bytes){p, n};
}

static inline void put_bytes(struct ibb_volume *v, const char *path, const void *p, size_t n,
			     enum ibb_put_mode mode)
{
	struct ibb_error err = {0};

	assert_ok(ibb_volume_put(v, path, bytes(p, n), mode, &file_meta, &err), err);
}

static inline void *pattern(size_t n, unsigned seed)
{
	uint8_t *p = malloc(n ? n : 1);

	assert_non_null(p);
	for (size_t i = 0; i < n; i++)
		p[i] = (uint8_t)(i * 31 + i / 4096 + seed);
	return p;
}

static inline void put(struct ibb_volume *v, const char *path, const char *text)
{
	struct ibb_error err = {0};
	struct ibb_bytes b = {(const uint8_t *)text, strlen(text)};

	assert_ok(ibb_volume_put(v, path, b, IBB_PUT_REPLACE, &file_meta, &err), err);
}

static inline void make_dir(struct ibb_volume *v, const char *path)
{
	struct ibb_error err = {0};

	assert_ok(ibb_volume_mkdir(v, path, &dir_meta, &err), err);
}

struct pieces {
	const uint8_t *want;
	size_t n;
};

static inline int expect_piece(void *ctx, uint64_t off, struct ibb_bytes piece,
			       struct ibb_error *err)
{
	struct pieces *p = ctx;

	(void)err;
	assert_int_equal(off, p->n);
	assert_true(piece.len > 0);
	assert_memory_equal(piece.data, p->want + off, piece.len);
	p->n += piece.len;
	return 0;
}

/* Whole, and in pieces. */
static inline void expect_bytes(struct ibb_volume *v, const char *path, const void *p, size_t n)
{
	struct pieces pieces = {.want = p};
	struct ibb_error err = {0};
	struct ibb_buf b = {0};

	assert_ok(ibb_volume_read(v, path, 1u << 30, &b, &err), err);
	assert_int_equal(b.len, n);
	if (n)
		assert_memory_equal(b.data, p, n);
	assert_ok(ibb_volume_stream(v, path, n, expect_piece, &pieces, &err), err);
	assert_int_equal(pieces.n, n);
	ibb_buf_clear(&b);
}

static inline void expect(struct ibb_volume *v, const char *path, const char *text)
{
	expect_bytes(v, path, text, strlen(text));
}

static inline struct ibb_stat stat_of(struct ibb_volume *v, const char *path)
{
	struct ibb_error err = {0};
	struct ibb_stat st = {0};

	assert_ok(ibb_volume_stat(v, path, &st, &err), err);
	return st;
}

/* Names of a directory joined by '|', directories with a '/' behind. */
static inline int join_name(void *ctx, const char *name, enum ibb_file_type type,
			    struct ibb_error *err)
{
	if (ibb_buf_printf(ctx, "%s%s%s", ((struct ibb_buf *)ctx)->len ? "|" : "", name,
			   type == IBB_FILE_DIRECTORY ? "/"
			   : type == IBB_FILE_OTHER   ? "?"
						      : ""))
		return ibb_err_nomem(err);
	return IBB_OK;
}

static inline void expect_list(struct ibb_volume *v, const char *dir, const char *want)
{
	struct ibb_error err = {0};
	struct ibb_buf b = {0};

	assert_ok(ibb_volume_list(v, dir, join_name, &b, &err), err);
	assert_non_null(ibb_buf_cstr(&b));
	assert_string_equal(ibb_buf_cstr(&b), want);
	ibb_buf_clear(&b);
}

#endif
