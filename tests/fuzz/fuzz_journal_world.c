/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "fuzz_journal.h"

#include "base/le.h"
#include "disk/journal_int.h"

#define UNIT IBB_JOURNAL_UNIT

static int world_size(struct ibb_journal_io *io, enum ibb_journal_file f, uint64_t *ret,
		      struct ibb_error *err)
{
	struct fuzz_world *w = (struct fuzz_world *)io;

	(void)err;
	*ret = f == IBB_JOURNAL_SELF ? w->journal_len : FUZZ_IMAGE;
	return IBB_OK;
}

static int world_pread(struct ibb_journal_io *io, enum ibb_journal_file f, void *buf, size_t n,
		       uint64_t off, struct ibb_error *err)
{
	struct fuzz_world *w = (struct fuzz_world *)io;
	uint64_t size = f == IBB_JOURNAL_SELF ? w->journal_len : FUZZ_IMAGE;

	(void)err;
	FUZZ_CHECK(ibb_in_range(off, n, size), "a read of %zu at %llu, of %llu", n,
		   (unsigned long long)off, (unsigned long long)size);
	memcpy(buf, (f == IBB_JOURNAL_SELF ? w->journal : w->image) + off, n);
	return IBB_OK;
}

static int world_pwrite(struct ibb_journal_io *io, enum ibb_journal_file f, const void *buf,
			size_t n, uint64_t off, struct ibb_error *err)
{
	struct fuzz_world *w = (struct fuzz_world *)io;

	(void)err;
	FUZZ_CHECK(ibb_in_range(off, n, f == IBB_JOURNAL_SELF ? FUZZ_JOURNAL : FUZZ_IMAGE),
		   "a write of %zu at %llu", n, (unsigned long long)off);
	FUZZ_CHECK(f == IBB_JOURNAL_SELF || w->begun, "a write to the image before begin");
	memcpy((f == IBB_JOURNAL_SELF ? w->journal : w->image) + off, buf, n);
	if (f == IBB_JOURNAL_SELF && off + n > w->journal_len)
		w->journal_len = (size_t)(off + n);
	w->writes += f == IBB_JOURNAL_IMAGE;
	return IBB_OK;
}

static int world_sync(struct ibb_journal_io *io, enum ibb_journal_file f, struct ibb_error *err)
{
	(void)io;
	(void)f;
	(void)err;
	return IBB_OK;
}

static int world_sync_dir(struct ibb_journal_io *io, struct ibb_error *err)
{
	(void)io;
	(void)err;
	return IBB_OK;
}

static int world_create(struct ibb_journal_io *io, struct ibb_error *err)
{
	(void)err;
	((struct fuzz_world *)io)->exists = true;
	return IBB_OK;
}

static int world_begin(struct ibb_journal_io *io, struct ibb_error *err)
{
	struct fuzz_world *w = (struct fuzz_world *)io;

	if (w->stop)
		return ibb_err(err, IBB_E_CANCELLED, "the journal is all that is wanted");
	w->begun = true;
	return IBB_OK;
}

static int world_unlink(struct ibb_journal_io *io, struct ibb_error *err)
{
	(void)err;
	((struct fuzz_world *)io)->exists = false;
	return IBB_OK;
}

static int world_manifest(struct ibb_journal_io *io, const char *path, const void *text, size_t n,
			  struct ibb_error *err)
{
	(void)err;
	FUZZ_CHECK(*path && strlen(path) <= 4096, "a path of %zu", strlen(path));
	FUZZ_CHECK(!n || !memchr(text, 0, n), "a NUL in the manifest");
	((struct fuzz_world *)io)->prepared = true;
	return IBB_OK;
}

static int world_publish(struct ibb_journal_io *io, struct ibb_error *err)
{
	(void)err;
	FUZZ_CHECK(((struct fuzz_world *)io)->prepared, "a manifest out of nothing");
	((struct fuzz_world *)io)->manifest = true;
	return IBB_OK;
}

static int world_limits(struct ibb_journal_io *io, uint64_t image_end, uint64_t journal_bytes,
			struct ibb_error *err)
{
	(void)io;
	(void)err;
	FUZZ_CHECK(image_end <= FUZZ_IMAGE && journal_bytes <= FUZZ_JOURNAL, "sizes");
	return IBB_OK;
}

static int world_reserve(struct ibb_journal_io *io, uint64_t off, uint64_t n, struct ibb_error *err)
{
	(void)err;
	FUZZ_CHECK(((struct fuzz_world *)io)->begun && ibb_in_range(off, n, FUZZ_IMAGE),
		   "room for %llu at %llu", (unsigned long long)n, (unsigned long long)off);
	return IBB_OK;
}

static int world_check_name(struct ibb_journal_io *io, struct ibb_error *err)
{
	(void)io;
	(void)err;
	return IBB_OK;
}

static const struct ibb_journal_ops world_ops = {
	.size = world_size,
	.pread = world_pread,
	.pwrite = world_pwrite,
	.sync = world_sync,
	.sync_dir = world_sync_dir,
	.create = world_create,
	.limits = world_limits,
	.begin = world_begin,
	.reserve = world_reserve,
	.check_name = world_check_name,
	.unlink = world_unlink,
	.manifest = world_manifest,
	.publish = world_publish,
};

void fuzz_world_init(struct fuzz_world *w)
{
	*w = (struct fuzz_world){.io = {"image", "image.journal", &world_ops}};
	fuzz_image(w->image, false);
}

void fuzz_make_journal(const char *manifest, struct ibb_buf *ret)
{
	static struct fuzz_world w;
	static uint8_t changed[FUZZ_IMAGE];
	struct ibb_journal_change c = {
		.id = fuzz_id, .manifest = manifest, .text = manifest ? "{}\n" : NULL};
	struct ibb_journal_stats stats;
	struct ibb_error err = {0};

	fuzz_world_init(&w);
	fuzz_image(changed, true);
	w.journal = calloc(1, FUZZ_JOURNAL);
	w.stop = true;
	FUZZ_CHECK(w.journal && !ibb_disk_mem_new(FUZZ_IMAGE, 512, &c.lower, &err) &&
			   !ibb_disk_pwrite(c.lower, w.image, FUZZ_IMAGE, 0, &err) &&
			   !ibb_disk_overlay_new(c.lower, 1u << 20, &c.overlay, &err) &&
			   !ibb_disk_pwrite(c.overlay, changed, FUZZ_IMAGE, 0, &err),
		   "%s", err.msg);
	FUZZ_CHECK(ibb_journal_change(&w.io, &c, &stats, &err) == IBB_E_CANCELLED, "%s", err.msg);
	*ret = (struct ibb_buf){w.journal, w.journal_len, FUZZ_JOURNAL};
	ibb_disk_unref(c.overlay);
	ibb_disk_unref(c.lower);
}

static void digest(const uint8_t *p, size_t n, uint8_t *out)
{
	struct ibb_sha256 d;

	FUZZ_CHECK(!ibb_sha256(p, n, &d), "out of memory");
	memcpy(out, d.b, sizeof(d.b));
}

/* The records from `at` on; their seals go into h. Returns where they end. */
static size_t reseal_records(uint8_t *p, size_t n, size_t at, struct ibb_hasher *h)
{
	while (at + 2 * UNIT <= n && memcmp(p + at, "ibbakeRR", 8) == 0) {
		uint64_t len = ibb_get_le64(p + at + 24);
		uint64_t all = len <= n ? ibb_journal_record_bytes(len) : UINT64_MAX;

		if (len % UNIT == 0 && ibb_in_range(at, all, n))
			digest(p + at + UNIT, (size_t)all - UNIT, p + at + 32);
		digest(p + at, 480, p + at + 480);
		FUZZ_CHECK(!ibb_hasher_update(h, p + at + 480, 32), "out of memory");
		if (len % UNIT || !ibb_in_range(at, all, n))
			break;
		at += (size_t)all;
	}
	return at;
}

void fuzz_reseal_journal(uint8_t *p, size_t n)
{
	struct ibb_hasher *h = NULL;
	struct ibb_sha256 all;
	uint64_t manifest;

	if (n < 2 * UNIT || n % UNIT)
		return;
	manifest = ibb_journal_manifest_bytes(ibb_get_le32(p + 88), ibb_get_le32(p + 92));
	if (ibb_in_range(UNIT, manifest, n))
		digest(p + UNIT, (size_t)manifest, p + 96);
	digest(p, 480, p + 480);
	FUZZ_CHECK(!ibb_hasher_new(&h) && !ibb_hasher_update(h, p + 480, 32), "out of memory");
	if (ibb_in_range(UNIT, manifest, n))
		reseal_records(p, n - UNIT, UNIT + (size_t)manifest, h);
	FUZZ_CHECK(!ibb_hasher_final(h, &all), "out of memory");
	FUZZ_CHECK(!ibb_journal_put_trailer(ibb_get_le64(p + 32), &all, p + n - UNIT),
		   "out of memory");
}
