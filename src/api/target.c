/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "api/target.h"

#include <errno.h>
#include <string.h>
#include <strings.h>
#include <sys/random.h>
#include <sys/stat.h>

#include "base/hash.h"
#include "base/le.h"
#include "base/limits.h"
#include "base/path.h"
#include "disk/partition.h"
#include "disk/ptable.h"
#include "disk/sink.h"

#define MIB (1u << 20)

static const struct {
	const char *name, *text;
	enum ibb_format format;
	enum ibb_container kind; /* as it is found again */
} formats[] = {
	[IBB_OUTPUT_VHD] = {"vhd", "fixed VHD", IBB_FORMAT_VHD_FIXED, IBB_CONTAINER_VHD_FIXED},
	[IBB_OUTPUT_VHD_DYNAMIC] = {"vhd-dynamic", "dynamic VHD", IBB_FORMAT_VHD_DYNAMIC,
				    IBB_CONTAINER_VHD_DYNAMIC},
	[IBB_OUTPUT_VHDX] = {"vhdx", "VHDX", IBB_FORMAT_VHDX, IBB_CONTAINER_VHDX},
	[IBB_OUTPUT_RAW] = {"raw", "raw disk", IBB_FORMAT_RAW, IBB_CONTAINER_RAW},
};

const char *ibb_target_format_name(enum ibb_output_format f)
{
	return (size_t)f < IBB_ARRAY_SIZE(formats) ? formats[f].name : "unknown";
}

const char *ibb_target_sparse_name(enum ibb_output_sparse s)
{
	return s == IBB_OUTPUT_SPARSE_ALWAYS  ? "always"
	       : s == IBB_OUTPUT_SPARSE_NEVER ? "never"
					      : "auto";
}

enum ibb_container ibb_target_kind(enum ibb_output_format f)
{
	return formats[f].kind;
}

uint64_t ibb_target_bytes(enum ibb_output_format f, uint64_t bytes)
{
	return f == IBB_OUTPUT_VHD ? (bytes + MIB - 1) / MIB * MIB : bytes;
}

#define OTHER_FORMAT (-2) /* that of a format that is not written here */
#define WIM_FORMAT   (-3)
#define SPLIT_FORMAT (-4) /* a part of a WIM */

/* What a file with this suffix is taken for; -1: anything. */
static int suffix_format(const char *path)
{
	static const struct {
		const char *suffix;
		int format;
	} known[] = {
		{".vhd", IBB_OUTPUT_VHD},  {".vhdx", IBB_OUTPUT_VHDX},	{".raw", IBB_OUTPUT_RAW},
		{".img", IBB_OUTPUT_RAW},  {".avhdx", IBB_OUTPUT_VHDX}, {".dd", IBB_OUTPUT_RAW},
		{".avhd", IBB_OUTPUT_VHD}, {".qcow2", OTHER_FORMAT},	{".vmdk", OTHER_FORMAT},
		{".vdi", OTHER_FORMAT},	   {".iso", OTHER_FORMAT},	{".wim", WIM_FORMAT},
		{".esd", WIM_FORMAT},	   {".swm", SPLIT_FORMAT}};
	const char *base = ibb_path_base(path), *dot = strrchr(base, '.');

	for (size_t i = 0; dot && i < IBB_ARRAY_SIZE(known); i++)
		if (strcasecmp(dot, known[i].suffix) == 0)
			return known[i].format;
	return -1;
}

int ibb_target_check_name(const struct ibb_request *q, struct ibb_error *err)
{
	int want;

	if ((size_t)q->format >= IBB_ARRAY_SIZE(formats) || (unsigned)q->sparse > 2)
		return ibb_err(err, IBB_E_INVALID, "unknown output format or sparse mode");
	want = q->output ? suffix_format(q->output) : -1;
	if (want <= OTHER_FORMAT) {
		ibb_err(err, IBB_E_INVALID, "%s: by its name no VHD, VHDX or raw disk", q->output);
		return ibb_err_hint(err, IBB_E_INVALID,
				    "ibbake writes these alone: choose another name");
	}
	if (want < 0 || want == (int)q->format ||
	    (want == IBB_OUTPUT_VHD && q->format == IBB_OUTPUT_VHD_DYNAMIC))
		return IBB_OK;
	ibb_err(err, IBB_E_INVALID, "%s: by its name a %s, but a %s would be written there",
		q->output, formats[want].text, formats[q->format].text);
	return ibb_err_hint(err, IBB_E_INVALID, "say --format=%s, or choose another name",
			    formats[want].name);
}

int ibb_target_check_wim_name(const struct ibb_request *q, struct ibb_error *err)
{
	const int want = q->output ? suffix_format(q->output) : WIM_FORMAT;

	if (want == -1 || want == WIM_FORMAT)
		return IBB_OK;
	if (want == SPLIT_FORMAT) {
		ibb_err(err, IBB_E_INVALID,
			"%s: by its name a part of a split WIM, which is not written", q->output);
		return ibb_err_hint(err, IBB_E_INVALID,
				    "write a .wim and split it: wimlib-imagex split");
	}
	ibb_err(err, IBB_E_INVALID, "%s: by its name a disk, but %s is a WIM", q->output, q->image);
	return ibb_err_hint(err, IBB_E_INVALID,
			    "a WIM stays a WIM: choose a name that ends in .wim or .esd");
}

int ibb_target_check_path(const struct ibb_chain *c, const char *path, const char *what,
			  bool overwrite, struct ibb_error *err)
{
	for (size_t i = 0; i < c->n; i++)
		if (ibb_path_is(path, &c->links[i].id))
			return i ? ibb_err(err, IBB_E_EXISTS,
					   "%s: the %s is %s, a parent of the input image %s", path,
					   what, c->links[i].path, c->links[0].path)
				 : ibb_err(err, IBB_E_EXISTS,
					   "%s: the %s is the input image %s itself", path, what,
					   c->links[0].path);
	return ibb_target_check_file(path, what, overwrite, err);
}

int ibb_target_check_file(const char *path, const char *what, bool overwrite, struct ibb_error *err)
{
	struct stat st;

	if (lstat(path, &st)) {
		if (errno == ENOENT && *path && path[strlen(path) - 1] != '/')
			return IBB_OK;
		return ibb_err_os(err, errno, "%s: the %s cannot be made there", path, what);
	}
	if (S_ISDIR(st.st_mode))
		return ibb_err(err, IBB_E_EXISTS, "%s: the %s is a directory", path, what);
	if (!S_ISREG(st.st_mode))
		return ibb_err(err, IBB_E_EXISTS, "%s: the %s is a %s, not a regular file", path,
			       what,
			       S_ISLNK(st.st_mode)			    ? "symbolic link"
			       : S_ISBLK(st.st_mode) || S_ISCHR(st.st_mode) ? "device"
									    : "special file");
	if (overwrite)
		return IBB_OK;
	ibb_err(err, IBB_E_EXISTS, "%s: the %s exists already", path, what);
	return ibb_err_hint(err, IBB_E_EXISTS,
			    "choose another name, or replace it with --overwrite");
}

/* ---- what it shall be ---- */

/* No table to be read. Is it one for other sectors? Nobody would say so afterwards. */
static int sector_without_table(struct ibb_disk *d, enum ibb_output_format format, int why,
				struct ibb_error *err)
{
	struct ibb_error own = {0};
	bool found = false;
	uint32_t sector = 0;
	int r;

	if (why != IBB_E_CORRUPT && why != IBB_E_LIMIT)
		return why;
	r = ibb_gpt_find(d, &found, &sector, &own);
	if (r && err)
		*err = own;
	if (r || !found || sector == d->sector_bytes || format == IBB_OUTPUT_RAW)
		return r;
	ibb_err_prefix(err, why, "the disk may have sectors of %u bytes, but what tells is damaged",
		       sector);
	return ibb_err_hint(err, why, "repair the partition table, or use --format=raw");
}

/*
 * A raw file does not tell its sector size; its GPT may, if that is its table: the signature alone
 * may be left from an older one, or be data.
 */
static int sector_of(const struct ibb_target *t, uint32_t *ret, struct ibb_error *err)
{
	struct ibb_disk *d = t->changes ? t->changes : t->chain->disk;
	struct ibb_ptable table = {0};
	int r;

	*ret = t->chain->disk->sector_bytes;
	if (t->chain->links[0].kind != IBB_CONTAINER_RAW)
		return IBB_OK;
	r = ibb_ptable_read_part(d, d->size_bytes, &table, err);
	if (r)
		return sector_without_table(d, t->q->format, r, err);
	*ret = table.sector_bytes;
	ibb_ptable_clear(&table);
	return IBB_OK;
}

/* To whole MiB, with the partition table told. */
static int grow(struct ibb_target *t, uint64_t size, struct ibb_error *err)
{
	IBB_AUTO(ibb_disk_unref) struct ibb_disk *grown = NULL;
	const uint64_t before = t->disk->size_bytes;
	int r = ibb_disk_grow_new(t->disk, size, &grown, err);

	if (!r)
		r = ibb_disk_overlay_new(grown, IBB_LIMIT_OVERLAY_BYTES, &t->growth, err);
	if (!r)
		r = ibb_gpt_move(t->growth, before, err);
	if (r)
		return r;
	ibb_disk_unref(t->disk);
	t->disk = ibb_disk_ref(t->growth);
	t->grown_bytes = size - before;
	return IBB_OK;
}

static int keep_footer(struct ibb_target *t, struct ibb_error *err)
{
	struct ibb_disk *file = t->chain->links[0].file;
	int r;

	if (t->chain->links[0].kind != IBB_CONTAINER_VHD_FIXED || t->grown_bytes ||
	    t->q->format != IBB_OUTPUT_VHD)
		return IBB_OK;
	r = ibb_disk_pread(file, t->footer, sizeof(t->footer), file->size_bytes - sizeof(t->footer),
			   err);
	t->keep_footer = !r;
	return r;
}

/* Would the format take it? A writer that is never used tells. */
static int check_format(const struct ibb_target *t, struct ibb_error *err)
{
	struct ibb_sink nowhere = {.name = t->q->output ? t->q->output : t->q->image};
	IBB_AUTO(ibb_writer_free) struct ibb_writer *w = NULL;

	return ibb_writer_new(formats[t->q->format].format, &nowhere, &t->write, &w, err);
}

static int plan(struct ibb_target *t, struct ibb_error *err)
{
	const uint64_t size = t->disk->size_bytes;
	int r = sector_of(t, &t->write.sector_bytes, err);

	if (r)
		return r;
	t->write.unix_time = t->q->unix_time;
	t->write.disk_bytes = ibb_target_bytes(t->q->format, size);
	r = check_format(t, err);
	if (!r && t->write.disk_bytes != size)
		r = grow(t, t->write.disk_bytes, err);
	return r ? r : keep_footer(t, err);
}

int ibb_target_open(const struct ibb_request *q, const struct ibb_chain *c,
		    struct ibb_disk *changes, struct ibb_target *ret, struct ibb_error *err)
{
	int r = ibb_target_check_name(q, err);

	*ret = (struct ibb_target){.q = q, .chain = c};
	if (r)
		return r;
	ret->changes = changes ? ibb_disk_ref(changes) : NULL;
	ret->disk = ibb_disk_ref(changes ? changes : c->disk);
	r = plan(ret, err);
	if (r)
		ibb_target_close(ret);
	return r;
}

void ibb_target_close(struct ibb_target *t)
{
	ibb_disk_unref(t->disk);
	ibb_disk_unref(t->growth);
	ibb_disk_unref(t->changes);
	*t = (struct ibb_target){0};
}

/* ---- making it ---- */

static int hash_block(void *ctx, uint64_t off, const uint8_t *data, size_t n, struct ibb_error *err)
{
	uint8_t at[8];

	ibb_put_le64(at, off);
	if (ibb_hasher_update(ctx, at, sizeof(at)) || ibb_hasher_update(ctx, data, n))
		return ibb_err_nomem(err);
	return IBB_OK;
}

#define SAMPLE 512u

struct sampler {
	struct ibb_disk *disk;
	struct ibb_hasher *h;
};

/* A sector of zeros counts no more than a hole: where the holes are is a matter of the host. */
static int hash_sector(const struct sampler *s, uint64_t off, struct ibb_error *err)
{
	static const uint8_t zeros[SAMPLE];
	uint8_t b[SAMPLE];
	int r = ibb_disk_pread(s->disk, b, sizeof(b), off, err);

	if (r || memcmp(b, zeros, sizeof(b)) == 0)
		return r;
	return hash_block(s->h, off, b, sizeof(b), err);
}

/* The first MiB (partition table, GPT entries), and of each further MiB the first sector: with the
 * boot sectors of volumes, and what happens to lie there of their content. */
static int hash_extent(void *ctx, const struct ibb_extent *e, struct ibb_error *err)
{
	const uint64_t end = e->off_bytes + e->len_bytes;
	uint64_t off = (e->off_bytes + SAMPLE - 1) / SAMPLE * SAMPLE;
	int r = IBB_OK;

	while (!r && e->data && off < end && end - off >= SAMPLE) {
		if (off < MIB || off % MIB == 0)
			r = hash_sector(ctx, off, err);
		off = off < MIB ? off + SAMPLE : (off / MIB + 1) * MIB;
	}
	return r;
}

static int hash_source(const struct ibb_target *t, struct ibb_hasher *h, struct ibb_error *err)
{
	const struct ibb_link *l = &t->chain->links[0];
	const struct ibb_guid *id =
		l->kind == IBB_CONTAINER_VHDX ? &l->vhdx.disk_id : &l->vhd.footer.unique_id;
	struct sampler s = {t->disk, h};
	uint8_t b[32];

	memcpy(b, id->b, 16);
	ibb_put_le64(b + 16, t->disk->size_bytes);
	ibb_put_le64(b + 24, (uint64_t)t->q->unix_time);
	if (ibb_hasher_update(h, b, sizeof(b)))
		return ibb_err_nomem(err);
	return ibb_disk_extents(t->disk, 0, t->disk->size_bytes, hash_extent, &s, err);
}

static int hash_all(const struct ibb_target *t, struct ibb_sha256 *ret, struct ibb_error *err)
{
	static const char domain[] = "ibbake disk identity 2";
	IBB_AUTO(ibb_hasher_free) struct ibb_hasher *h = NULL;
	int r;

	if (ibb_hasher_new(&h) || ibb_hasher_update(h, domain, sizeof(domain)))
		return ibb_err_nomem(err);
	r = hash_source(t, h, err);
	if (!r && t->changes)
		r = ibb_disk_overlay_dirty(t->changes, hash_block, h, err);
	if (!r && t->growth)
		r = ibb_disk_overlay_dirty(t->growth, hash_block, h, err);
	if (r)
		return r;
	return ibb_hasher_final(IBB_TAKE(h), ret) ? ibb_err_nomem(err) : IBB_OK;
}

/*
 * The new disk's identity. A differencing disk knows its parent by it alone, so two disks must not
 * share one: it is random, a UUID of version 4. When two runs have to give the same bytes, it comes
 * from source, changes and time, as version 8 (RFC 9562, "custom"): two disks that differ in
 * nothing that is sampled would get the same one then. The version stands where either byte order
 * has it.
 */
static int derive_id(struct ibb_target *t, struct ibb_error *err)
{
	const uint8_t version = t->q->reproducible ? 0x80 : 0x40;
	struct ibb_sha256 d = {0};
	uint8_t *id = t->write.id.b;

	if (t->q->reproducible) {
		int r = hash_all(t, &d, err);

		if (r)
			return r;
	} else if (getrandom(d.b, sizeof(t->write.id.b), 0) != sizeof(t->write.id.b)) {
		return ibb_err_os(err, errno, "%s: random bytes for its identity", t->q->output);
	}
	memcpy(id, d.b, sizeof(t->write.id.b));
	id[6] = (uint8_t)((id[6] & 0x0f) | version);
	id[7] = (uint8_t)((id[7] & 0x0f) | version);
	id[8] = (uint8_t)((id[8] & 0x3f) | 0x80);
	return IBB_OK;
}

static int copy_progress(void *ctx, uint64_t done, uint64_t total)
{
	const struct ibb_target *t = ctx;
	struct ibb_progress p = {.phase = "copy", .done = done, .total = total};

	return t->q->progress ? t->q->progress(t->q->progress_ctx, &p) : 0;
}

/*
 * A Windows image holds secrets: who may not read the sources may not read the result. Its owner
 * may write it, even if the source is read-only. File systems without modes say EPERM.
 */
int ibb_target_keep_private(struct ibb_disk *source, const struct ibb_atomic *out,
			    struct ibb_error *err)
{
	struct stat src, dst;
	mode_t mode;

	if (fstat(ibb_disk_file_fd(source), &src))
		return ibb_err_os(err, errno, "%s: stat", source->name);
	mode = src.st_mode | 0600;
	if (fstat(out->fd, &dst))
		return ibb_err_os(err, errno, "%s: stat", out->path);
	if (fchmod(out->fd, dst.st_mode & mode) && errno != EPERM && errno != EOPNOTSUPP)
		return ibb_err_os(err, errno, "%s: set its mode", out->path);
	return IBB_OK;
}

static bool is_flat(const struct ibb_target *t)
{
	return t->q->format == IBB_OUTPUT_VHD || t->q->format == IBB_OUTPUT_RAW;
}

/* Raw disks and fixed VHDs both begin with the disk's first sector: a clone of the source's file
 * with the changed blocks laid over it is the disk, wherever the file system can do that. */
static int clone(struct ibb_target *t, const struct ibb_atomic *out, struct ibb_error *err)
{
	const struct ibb_link *l = &t->chain->links[0];
	struct ibb_sink_fd s;
	int r;

	if (t->q->sparse != IBB_OUTPUT_SPARSE_AUTO || !is_flat(t) ||
	    (l->kind != IBB_CONTAINER_RAW && l->kind != IBB_CONTAINER_VHD_FIXED))
		return IBB_OK;
	r = ibb_copy_clone(l->file, out->fd, out->path, &t->stats.reflink, err);
	if (r || !t->stats.reflink)
		return r;
	if (copy_progress(t, 0, 0))
		return ibb_err(err, IBB_E_CANCELLED, "%s: the copy was stopped", out->path);
	/* the footer of a fixed VHD came along: in a disk that grows it would become data */
	ibb_sink_fd_init(&s, out->fd, out->path);
	r = s.s.truncate(&s.s, t->chain->disk->size_bytes, err);
	if (!r && t->changes)
		r = ibb_copy_overlay(t->changes, out->fd, out->path, &t->stats, err);
	if (!r && t->growth)
		r = ibb_copy_overlay(t->growth, out->fd, out->path, &t->stats, err);
	return r;
}

static int write_image(struct ibb_target *t, const struct ibb_atomic *out, struct ibb_error *err)
{
	static const enum ibb_sparse modes[] = {IBB_SPARSE_AUTO, IBB_SPARSE_ALWAYS,
						IBB_SPARSE_NEVER};
	struct ibb_copy_opts o = {.sparse = modes[t->q->sparse]};
	IBB_AUTO(ibb_writer_free) struct ibb_writer *w = NULL;
	struct ibb_sink_fd sink;
	int r;

	ibb_sink_fd_init(&sink, out->fd, out->path);
	r = ibb_writer_new(formats[t->q->format].format, &sink.s, &t->write, &w, err);
	if (!r && t->keep_footer)
		ibb_writer_vhd_fixed_keep(w, t->footer);
	if (!r && o.sparse == IBB_SPARSE_NEVER && is_flat(t))
		r = ibb_sink_fd_allocate(&sink, t->disk->size_bytes, &o.room_taken, err);
	if (!r)
		r = clone(t, out, err);
	if (!r && !t->stats.reflink)
		r = ibb_copy_disk(t->disk, w, &o, out->fd, copy_progress, t, &t->stats, err);
	return r ? r : w->ops->finish(w, err);
}

int ibb_target_fill(struct ibb_target *t, const struct ibb_atomic *out, struct ibb_error *err)
{
	const struct ibb_progress check = {.phase = "check"};
	struct ibb_error changed = {0};
	int r = IBB_OK;

	for (size_t i = 0; i < t->chain->n && !r; i++)
		r = ibb_target_keep_private(t->chain->links[i].file, out, err);
	if (!r)
		r = derive_id(t, err);
	if (!r)
		r = write_image(t, out, err);
	if (!r && t->q->progress && t->q->progress(t->q->progress_ctx, &check))
		r = ibb_err(err, IBB_E_CANCELLED, "stopped on request");
	/* whatever went wrong: that the source was changed meanwhile explains it better */
	if (r != IBB_E_CANCELLED && ibb_chain_unchanged(t->chain, &changed)) {
		if (err)
			*err = changed;
		return changed.code;
	}
	return r;
}

int ibb_target_check(const struct ibb_target *t, const struct ibb_chain *out,
		     uint64_t *ret_compared, struct ibb_error *err)
{
	int r = IBB_OK;

	if (out->links[0].kind != formats[t->q->format].kind)
		return ibb_err(err, IBB_E_IO, "%s: reads back as a %s instead of a %s",
			       t->q->output, ibb_container_name(out->links[0].kind),
			       formats[t->q->format].text);
	r = ibb_copy_check_sample(t->disk, out->disk, ret_compared, err);
	if (!r && t->changes)
		r = ibb_copy_check_overlay(t->changes, t->disk, out->disk, err);
	if (!r && t->growth)
		r = ibb_copy_check_overlay(t->growth, t->disk, out->disk, err);
	/* not by the bytes that were meant to be there, which would only repeat a mistake */
	if (!r && t->growth)
		r = ibb_ptable_check_grown(t->changes ? t->changes : t->chain->disk,
					   t->disk->size_bytes - t->grown_bytes, out->disk, err);
	return r;
}
