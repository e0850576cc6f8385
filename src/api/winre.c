/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "api/winre.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "api/inplace.h"
#include "api/wims.h"
#include "base/limits.h"
#include "base/time.h"

#define IN_WINDOWS  "Windows/System32/Recovery/Winre.wim"
#define IN_RECOVERY "Recovery/WindowsRE/Winre.wim"

struct winre_file {
	size_t part; /* index in the partition table */
	unsigned number;
	char *path; /* as spelt in its volume */
	char *name; /* for messages */
	char *temp; /* our copy */
	bool anew;  /* nothing can be appended to it: it is written as a new file */
	struct ibb_stat st;
	struct ibb_request q; /* the disk's request, about the copy */
	struct ibb_wims set;
	bool changed;
	uint64_t bytes; /* now */
	struct ibb_sha256 before, after;
};

struct ibb_winre {
	char *dir; /* of the copies */
	struct winre_file *files;
	size_t n;
	struct ibb_json *doc;
};

/* ---- where they are ---- */

static int add_file(struct ibb_winre *w, const struct ibb_session *s, size_t part,
		    struct ibb_volume *v, const char *path, struct ibb_error *err)
{
	struct winre_file *f = &w->files[w->n];
	struct ibb_stat st;
	int r = ibb_volume_stat(v, path, &st, err);

	if (r == IBB_E_NOTFOUND)
		return IBB_OK;
	if (r || st.type != IBB_FILE_REGULAR)
		return r;
	*f = (struct winre_file){.part = part,
				 .number = s->image->table.parts[part].number,
				 .st = st,
				 .bytes = st.size_bytes};
	w->n++;
	r = ibb_volume_spelling(v, path, &f->path, err);
	if (r)
		return r;
	f->name = ibb_asprintf("%s: partition %u: %s", s->q->image, f->number, f->path);
	return f->name ? IBB_OK : ibb_err_nomem(err);
}

/* Without a look into it nobody knows whether Windows RE starts from it. */
static int unseen(const struct ibb_session *s, size_t part, struct ibb_error *err)
{
	const struct ibb_error *why = &s->image->found[part].problem;

	/* BitLocker and ReFS: a recovery partition has neither */
	if (!why->code || why->code == IBB_E_UNSUPPORTED)
		return IBB_OK;
	if (err)
		*err = *why;
	return ibb_err_prefix(err, why->code,
			      "%s: partition %u may hold the recovery image, and cannot be looked "
			      "into",
			      s->q->image, s->image->table.parts[part].number);
}

/* The Windows volume is open already; of another Windows on the disk the recovery is not ours. */
static int look_into(struct ibb_winre *w, struct ibb_session *s, size_t part, struct ibb_error *err)
{
	IBB_AUTO(ibb_volume_close) struct ibb_volume *other = NULL;
	const struct ibb_found *found = &s->image->found[part];
	const bool windows = part == s->image->windows;
	int r;

	if (windows) {
		r = add_file(w, s, part, s->volume, IN_WINDOWS, err);
		return r ? r : add_file(w, s, part, s->volume, IN_RECOVERY, err);
	}
	if (found->windows)
		return IBB_OK;
	if (!found->ntfs)
		return s->q->winre ? unseen(s, part, err) : IBB_OK;
	r = ibb_image_open_partition(s->image, part, false, &other, err);
	return r ? r : add_file(w, s, part, other, IN_RECOVERY, err);
}

static int find_all(struct ibb_winre *w, struct ibb_session *s, struct ibb_error *err)
{
	const struct ibb_ptable *t = &s->image->table;
	int r = IBB_OK;

	w->files = ibb_calloc_array(t->n + 1, sizeof(*w->files));
	if (!w->files)
		return ibb_err_nomem(err);
	for (size_t i = 0; i < t->n && !r; i++)
		r = look_into(w, s, i, err);
	return r;
}

static int none(const struct ibb_session *s, struct ibb_error *err)
{
	ibb_err(err, IBB_E_UNSUPPORTED,
		"%s: --winre, but there is no recovery image (looked for " IN_RECOVERY
		" in %zu partition(s), and for " IN_WINDOWS ")",
		s->q->image, s->image->table.n);
	return ibb_err_hint(err, IBB_E_UNSUPPORTED, "leave --winre out");
}

int ibb_winre_found(struct ibb_session *s, struct ibb_jb *b, struct ibb_json *obj,
		    struct ibb_error *err)
{
	IBB_AUTO(ibb_winre_free) struct ibb_winre *w = ibb_zalloc(sizeof(*w));
	struct ibb_json *list;
	int r = w ? find_all(w, s, err) : ibb_err_nomem(err);

	if (r)
		return r;
	list = ibb_jb_array(b, obj, "recovery_images");
	for (size_t i = 0; i < w->n; i++) {
		struct ibb_json *o = ibb_jb_object(b, list, NULL);

		ibb_jb_int(b, o, "partition", w->files[i].number);
		ibb_jb_str(b, o, "path", w->files[i].path);
		ibb_jb_u64(b, o, "bytes", w->files[i].bytes);
	}
	return IBB_OK;
}

/* ---- reading them ---- */

struct copy {
	struct ibb_hasher *hasher;
	int fd; /* -1: only the digest is wanted */
	const char *name;
	const struct ibb_request *q;
	uint64_t total;
};

static int copy_piece(void *ctx, uint64_t off, struct ibb_bytes piece, struct ibb_error *err)
{
	struct copy *c = ctx;
	int r = ibb_hasher_update(c->hasher, piece.data, piece.len) ? ibb_err_nomem(err) : IBB_OK;

	if (!r && c->fd >= 0)
		r = ibb_pwrite_full(c->fd, piece.data, piece.len, off, c->name, err);
	if (!r && c->q)
		r = ibb_session_phase(c->q, "copy", off + piece.len, c->total, err);
	return r;
}

static int stream(struct ibb_volume *v, const char *path, struct copy *c, struct ibb_sha256 *ret,
		  struct ibb_error *err)
{
	int r;

	if (ibb_hasher_new(&c->hasher))
		return ibb_err_nomem(err);
	r = ibb_volume_stream(v, path, IBB_LIMIT_WINRE_BYTES, copy_piece, c, err);
	if (r) {
		ibb_hasher_free(c->hasher);
		return r;
	}
	return ibb_hasher_final(c->hasher, ret) ? ibb_err_nomem(err) : IBB_OK;
}

static int digest_of(struct ibb_image *im, size_t part, const char *path, struct ibb_sha256 *ret,
		     struct ibb_error *err)
{
	IBB_AUTO(ibb_volume_close) struct ibb_volume *v = NULL;
	struct copy c = {.fd = -1};
	int r = ibb_image_open_partition(im, part, false, &v, err);

	return r ? r : stream(v, path, &c, ret, err);
}

/* wimlib opens files by name, so that a copy needs one. */
static int make_temp(const struct winre_file *f, const char *dir, char **ret, int *ret_fd,
		     struct ibb_error *err)
{
	IBB_AUTO_FREE char *path = ibb_asprintf("%s/.ibbake-winre-XXXXXX", dir);
	int fd;

	if (!path)
		return ibb_err_nomem(err);
	fd = mkostemp(path, O_CLOEXEC);
	if (fd < 0)
		return ibb_err_os(err, errno, "%s: temporary file for a copy of %s", dir, f->name);
	*ret = IBB_TAKE(path);
	*ret_fd = fd;
	return IBB_OK;
}

static int copy_out(struct winre_file *f, struct ibb_session *s, const char *dir,
		    struct ibb_error *err)
{
	IBB_AUTO(ibb_volume_close) struct ibb_volume *other = NULL;
	struct ibb_volume *v = s->volume;
	IBB_AUTO_FD int fd = -1;
	struct copy c = {.name = f->name, .q = s->q, .total = f->bytes};
	int r = make_temp(f, dir, &f->temp, &fd, err);

	if (r)
		return r;
	if (f->part != s->image->windows) {
		r = ibb_image_open_partition(s->image, f->part, false, &other, err);
		v = other;
	}
	c.fd = fd;
	return r ? r : stream(v, f->path, &c, &f->before, err);
}

/* ---- changing the copies ---- */

static void make_request(struct winre_file *f, const struct ibb_request *q, const char *dir)
{
	f->q = *q;
	f->q.image = f->temp;
	f->q.temp_dir = dir;
	f->q.in_place = true;
	f->q.output = f->q.manifest = NULL;
	f->q.partition = 0;
	f->q.azure = f->q.winre = f->q.dry_run = false;
	f->q.digest = IBB_DIGEST_NONE;
	/* Windows PE is asked for the driver only: nothing that is set up in it lasts */
	f->q.require &= IBB_REQUIRE_DRIVER;
}

static int begin_file(struct winre_file *f, struct ibb_session *s, const char *dir,
		      ibb_planner_fn planner, struct ibb_error *err)
{
	struct ibb_error ignored = {0};
	int r;

	if (!f->bytes)
		return ibb_err(err, IBB_E_CORRUPT, "%s: the file is empty", f->name);
	r = copy_out(f, s, dir, err);
	if (r)
		return r;
	make_request(f, s->q, dir);
	r = ibb_wims_open_as(&f->q, f->name, true, &f->set, err);
	if (!r)
		f->set.common.sources = ibb_session_shared_sources(s);
	if (!r)
		r = ibb_wim_check_writable(f->set.wim, false, err);
	if (!r)
		f->anew = ibb_wim_check_writable(f->set.wim, true, &ignored) != IBB_OK;
	if (!r)
		r = ibb_wims_run(&f->set, planner, err);
	for (size_t i = 0; i < f->set.n && !r; i++)
		f->changed |= f->set.items[i].n_ops != 0;
	return r;
}

int ibb_winre_begin(struct ibb_session *s, ibb_planner_fn planner, struct ibb_winre **ret,
		    struct ibb_error *err)
{
	IBB_AUTO(ibb_winre_free) struct ibb_winre *w = ibb_zalloc(sizeof(*w));
	/* a dry run writes nothing beside the image, which may lie where nothing can be written */
	const bool dry = (s->q->dry_run || (!s->q->output && !s->q->in_place)) && !s->q->temp_dir;
	IBB_AUTO_FREE char *dir = dry ? ibb_strdup(P_tmpdir) : ibb_spill_dir(s->q);
	int r;

	if (!w || !dir)
		return ibb_err_nomem(err);
	w->dir = IBB_TAKE(dir);
	r = find_all(w, s, err);
	if (!r && !w->n)
		r = none(s, err);
	for (size_t i = 0; i < w->n && !r; i++)
		r = begin_file(&w->files[i], s, w->dir, planner, err);
	if (!r)
		*ret = IBB_TAKE(w);
	return r;
}

/* ---- back into the disk ---- */

static int append(struct winre_file *f, struct ibb_error *err)
{
	struct ibb_wim_write_opts o = ibb_wims_write_opts(&f->set);
	IBB_AUTO(ibb_wim_close) struct ibb_wim *before = NULL, *now = NULL;
	int r = ibb_wim_open(f->temp, f->name, &before, err);

	if (r)
		return r;
	/* wimlib wants the only lock; the name is nobody else's */
	ibb_wim_unlock(before);
	o.scratch = true;
	r = ibb_wim_append(f->set.wim, &o, err);
	if (!r)
		r = ibb_wim_open(f->temp, f->name, &now, err);
	return r ? r : ibb_wims_check(&f->set, before, now, err);
}

/* The copy that it was written from goes, once the two are compared. */
static int write_anew(struct winre_file *f, const char *dir, struct ibb_error *err)
{
	const struct ibb_wim_write_opts o = ibb_wims_write_opts(&f->set);
	IBB_AUTO(ibb_wim_close) struct ibb_wim *before = NULL, *now = NULL;
	char *made = NULL;
	IBB_AUTO_FD int fd = -1;
	int r = make_temp(f, dir, &made, &fd, err);

	if (r)
		return r;
	r = ibb_wim_write(f->set.wim, fd, f->name, &o, err);
	if (!r)
		r = ibb_wim_open(f->temp, f->name, &before, err);
	if (!r)
		r = ibb_wim_open(made, f->name, &now, err);
	if (!r)
		r = ibb_wims_check(&f->set, before, now, err);
	(void)unlink(r ? made : f->temp);
	free(r ? made : f->temp);
	if (!r)
		f->temp = made;
	return r;
}

/*
 * In place the file keeps its record, security and times of creation, and only what is new is
 * written. What WOF compressed, and what has several names, is made anew, as Windows servicing
 * does.
 */
static int put_bytes(struct winre_file *f, struct ibb_volume *v, struct ibb_bytes content,
		     struct ibb_error *err)
{
	const struct ibb_meta meta = {.time = ibb_filetime_from_unix(f->q.unix_time),
				      .attributes = f->st.attributes};
	const bool anew = f->st.links > 1 || f->st.wof_compressed;
	int r = ibb_volume_put(v, f->path, content, anew ? IBB_PUT_REPLACE : IBB_PUT_IN_PLACE,
			       &meta, err);

	if (!r)
		r = ibb_sha256(content.data, content.len, &f->after) ? ibb_err_nomem(err) : IBB_OK;
	return r ? ibb_err_prefix(err, r, "writing the recovery image back") : IBB_OK;
}

static int put_mapped(struct winre_file *f, struct ibb_volume *v, struct ibb_error *err)
{
	struct ibb_disk *d = NULL;
	struct ibb_file_id id;
	void *map;
	int r = ibb_disk_file_open(f->temp, &id, &d, err);

	if (r)
		return r;
	f->bytes = d->size_bytes;
	map = mmap(NULL, (size_t)f->bytes, PROT_READ, MAP_PRIVATE, ibb_disk_file_fd(d), 0);
	if (map == MAP_FAILED) {
		r = ibb_err_os(err, errno, "%s: map", f->temp);
	} else {
		r = put_bytes(f, v, (struct ibb_bytes){map, (size_t)f->bytes}, err);
		(void)munmap(map, (size_t)f->bytes);
	}
	ibb_disk_unref(d);
	return r;
}

static int put_file(struct winre_file *f, struct ibb_session *s, const char *dir,
		    struct ibb_error *err)
{
	IBB_AUTO(ibb_volume_close) struct ibb_volume *other = NULL;
	int r;

	f->after = f->before;
	if (!f->changed)
		return IBB_OK;
	r = f->anew ? write_anew(f, dir, err) : append(f, err);
	if (r)
		return r;
	if (f->part == s->image->windows)
		return put_mapped(f, s->volume, err);
	r = ibb_image_open_partition(s->image, f->part, true, &other, err);
	if (!r)
		r = put_mapped(f, other, err);
	return r ? r : ibb_volume_commit(other, err);
}

static void file_json(const struct winre_file *f, struct ibb_jb *b, struct ibb_json *list)
{
	struct ibb_json *o = ibb_jb_object(b, list, NULL), *images;

	ibb_jb_int(b, o, "partition", f->number);
	ibb_jb_str(b, o, "path", f->path);
	ibb_jb_str(b, o, "state", f->changed ? "written" : "unchanged");
	ibb_jb_u64(b, o, "before_bytes", f->st.size_bytes);
	ibb_jb_hex(b, o, "before_sha256", f->before.b, sizeof(f->before.b));
	ibb_jb_u64(b, o, "after_bytes", f->bytes);
	ibb_jb_hex(b, o, "after_sha256", f->after.b, sizeof(f->after.b));
	ibb_jb_str(b, o, "signature", f->set.signature);
	images = ibb_jb_array(b, o, "images");
	for (size_t i = 0; i < f->set.n; i++)
		ibb_jb_copy(b, images, NULL, f->set.items[i].doc);
	ibb_session_warnings_json(&f->set.common, b, o);
}

int ibb_winre_put(struct ibb_winre *w, struct ibb_session *s, struct ibb_error *err)
{
	struct ibb_jb b = {0};
	struct ibb_json *list;
	int r = IBB_OK;

	for (size_t i = 0; i < w->n && !r; i++)
		r = put_file(&w->files[i], s, w->dir, err);
	if (r)
		return r;
	list = ibb_jb_array(&b, NULL, NULL);
	for (size_t i = 0; i < w->n; i++)
		file_json(&w->files[i], &b, list);
	return ibb_jb_done(&b, &w->doc, err);
}

int ibb_winre_read_back(const struct ibb_winre *w, struct ibb_image *im, struct ibb_error *err)
{
	for (size_t i = 0; i < w->n; i++) {
		const struct winre_file *f = &w->files[i];
		struct ibb_sha256 have;
		int r = digest_of(im, f->part, f->path, &have, err);

		if (r)
			return ibb_err_prefix(err, r, "%s: read back", f->name);
		if (memcmp(have.b, f->after.b, sizeof(have.b)) != 0)
			return ibb_err(err, IBB_E_IO, "%s: does not hold what was written",
				       f->name);
	}
	return IBB_OK;
}

const struct ibb_json *ibb_winre_json(const struct ibb_winre *w)
{
	return w->doc;
}

int ibb_winre_locked(const struct ibb_winre *w, struct ibb_lock_entry **list, size_t *n,
		     size_t *cap, struct ibb_error *err)
{
	int r = IBB_OK;

	for (size_t i = 0; i < w->n; i++)
		for (size_t k = 0; k < w->files[i].set.n_locked && !r; k++)
			r = ibb_lock_entries_copy(list, n, cap, &w->files[i].set.locked[k], err);
	return r;
}

void ibb_winre_free(struct ibb_winre *w)
{
	if (!w)
		return;
	for (size_t i = 0; i < w->n; i++) {
		struct winre_file *f = &w->files[i];

		ibb_wims_close(&f->set);
		if (f->temp)
			(void)unlink(f->temp);
		free(f->temp);
		free(f->path);
		free(f->name);
	}
	free(w->files);
	free(w->dir);
	ibb_json_free(w->doc);
	free(w);
}

/* ---- verify ---- */

static const struct ibb_partition *partition_of(const struct ibb_image *im, int64_t number,
						size_t *ret)
{
	for (size_t i = 0; i < im->table.n; i++)
		if (im->table.parts[i].number == number) {
			*ret = i;
			return &im->table.parts[i];
		}
	return NULL;
}

/* NULL: the file is as it was left. */
static const char *difference(struct ibb_image *im, const struct ibb_json *x, int *ret_code,
			      struct ibb_error *err)
{
	const char *path = ibb_json_str(x, "path"), *hex = ibb_json_str(x, "after_sha256");
	struct ibb_sha256 want, have;
	int64_t number = 0;
	size_t part = 0;
	int r;

	*ret_code = IBB_OK;
	if (!path || !hex || !ibb_sha256_parse(hex, &want) ||
	    !ibb_json_int(x, "partition", 0, INT32_MAX, &number)) {
		*ret_code = ibb_err(err, IBB_E_CORRUPT,
				    "the manifest's \"winre\" lacks partition, path or digest");
		return NULL;
	}
	if (!partition_of(im, number, &part) || !im->found[part].ntfs)
		return "there is no such NTFS partition";
	r = digest_of(im, part, path, &have, err);
	if (r == IBB_E_NOTFOUND)
		return "the file is missing";
	*ret_code = r;
	return !r && memcmp(want.b, have.b, sizeof(want.b)) != 0 ? "its digest is another one"
								 : NULL;
}

int ibb_winre_verify(struct ibb_image *im, const struct ibb_json *manifest, struct ibb_jb *b,
		     struct ibb_json *obj, size_t *n, struct ibb_error *err)
{
	int r = IBB_OK;

	ibb_json_foreach (x, ibb_json_get(manifest, "winre")) {
		const char *why = r ? NULL : difference(im, x, &r, err);
		struct ibb_json *o;

		if (r || !why)
			continue;
		o = ibb_jb_object(b, (struct ibb_json *)ibb_json_get(obj, "differences"), NULL);
		ibb_jb_str(b, o, "what", "winre");
		ibb_jb_str(b, o, "where", ibb_json_str(x, "path"));
		ibb_jb_str(b, o, "difference", why);
		++*n;
	}
	return r;
}
