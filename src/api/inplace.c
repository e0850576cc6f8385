/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "api/inplace.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "api/doc.h"
#include "api/old_manifest.h"
#include "base/limits.h"
#include "base/path.h"
#include "disk/inuse.h"
#include "disk/journal.h"
#include "disk/undo.h"

static int check_kind(const struct ibb_image *im, struct ibb_error *err)
{
	const enum ibb_container kind = ibb_image_kind(im);

	if (kind == IBB_CONTAINER_RAW || kind == IBB_CONTAINER_VHD_FIXED)
		return IBB_OK;
	ibb_err(err, IBB_E_UNSUPPORTED,
		"%s: is a %s, which cannot be changed in place; raw disks, fixed VHDs and WIMs can",
		im->path, ibb_link_kind_name(&im->chain.links[0]));
	return ibb_err_hint(err, IBB_E_UNSUPPORTED, "make a new image: use -o OUT");
}

static int check_links(const struct ibb_request *q, struct ibb_disk *file, struct ibb_error *err)
{
	struct stat st;

	if (fstat(ibb_disk_file_fd(file), &st) || st.st_nlink <= 1)
		return IBB_OK;
	ibb_err(err, IBB_E_CONFLICT,
		"%s: has %lu names (hard links); a journal can lie beside one of them only",
		q->image, (unsigned long)st.st_nlink);
	return ibb_err_hint(err, IBB_E_CONFLICT,
			    "remove the other names, or make a new image with -o OUT");
}

/* The files that are written must not be the image; an existing manifest is checked elsewhere. */
static int check_names(const struct ibb_request *q, const struct ibb_file_id *id,
		       struct ibb_error *err)
{
	const char *const names[] = {q->manifest, q->lock};
	IBB_AUTO_FREE char *journal = ibb_journal_path(q->image);

	if (!journal)
		return ibb_err_nomem(err);
	for (size_t i = 0; i < IBB_ARRAY_SIZE(names); i++) {
		if (!names[i])
			continue;
		if (ibb_path_is(names[i], id))
			return ibb_err(err, IBB_E_EXISTS, "%s: the %s is the image itself",
				       names[i], i ? "lock file" : "manifest");
		if (strcmp(ibb_path_base(names[i]), ibb_path_base(journal)) == 0)
			return ibb_err(err, IBB_E_EXISTS, "%s: that is the name of the journal",
				       names[i]);
	}
	return IBB_OK;
}

int ibb_inplace_claim(const struct ibb_request *q, struct ibb_disk *file,
		      const struct ibb_file_id *id, struct ibb_error *err)
{
	int r = check_links(q, file, err);

	if (!r)
		r = check_names(q, id, err);
	if (!r)
		r = ibb_journal_check_place(q->image, ibb_disk_file_fd(file), err);
	return r ? r : ibb_inuse_claim(ibb_disk_file_fd(file), q->image, "/sys", err);
}

int ibb_inplace_begin(struct ibb_session *s, struct ibb_error *err)
{
	const struct ibb_image *im = s->image;
	const bool vhd = ibb_image_kind(im) == IBB_CONTAINER_VHD_FIXED;
	int r = check_kind(im, err);

	if (!r)
		r = ibb_inplace_claim(s->q, ibb_image_file(im), &im->chain.links[0].id, err);
	return r ? r
		 : ibb_inuse_children(im->path,
				      vhd ? im->chain.links[0].vhd.footer.unique_id.b : NULL, err);
}

int ibb_inplace_lock(struct ibb_lock *l, const char *image, struct ibb_error *err)
{
	IBB_AUTO_FREE char *real = realpath(image, NULL);

	return real ? ibb_lock_take(l, real, err)
		    : ibb_err_os(err, errno, "%s: resolve its path", image);
}

char *ibb_spill_dir(const struct ibb_request *q)
{
	if (q->temp_dir)
		return ibb_strdup(q->temp_dir);
	return ibb_dir_of(q->output ? q->output : q->image);
}

/* ---- what is recorded ---- */

_Static_assert(IBB_CONTAINER_RAW == 0 && IBB_CONTAINER_VHD_FIXED == 1, "the journal's numbers");

static struct ibb_journal_id journal_id(const struct ibb_disk *file, enum ibb_container kind,
					const struct ibb_vhd_footer *footer,
					const struct ibb_ptable *t)
{
	struct ibb_journal_id id = {.image_bytes = file->size_bytes, .container = kind};

	if (kind == IBB_CONTAINER_VHD_FIXED) {
		id.flags |= IBB_JOURNAL_HAS_VHD_ID;
		id.vhd_id = footer->unique_id;
	}
	if (t->kind == IBB_PTABLE_GPT) {
		id.flags |= IBB_JOURNAL_HAS_GPT_ID;
		id.gpt_id = t->disk_id;
	} else if (t->kind == IBB_PTABLE_MBR) {
		id.flags |= IBB_JOURNAL_HAS_MBR_ID;
		id.mbr_signature = t->mbr_signature;
	}
	return id;
}

/* The directory of a path, resolved; NULL with errno. */
static char *real_dir(const char *path)
{
	IBB_AUTO_FREE char *dir = ibb_dir_of(path);

	return dir ? realpath(dir, NULL) : NULL;
}

/* As the journal names it: without a directory when it lies beside the image, which may move. */
static int manifest_name(const struct ibb_request *q, char **ret, struct ibb_error *err)
{
	IBB_AUTO_FREE char *real = realpath(q->image, NULL);
	IBB_AUTO_FREE char *image_dir = real ? real_dir(real) : NULL;
	IBB_AUTO_FREE char *dir = real_dir(q->manifest);
	const char *base = ibb_path_base(q->manifest);

	if (!image_dir || !dir)
		return ibb_err_os(err, errno, "%s: its directory", q->manifest);
	*ret = strcmp(image_dir, dir) == 0 ? ibb_strdup(base) : ibb_asprintf("%s/%s", dir, base);
	return *ret ? IBB_OK : ibb_err_nomem(err);
}

static int put_block(void *ctx, uint64_t off, const uint8_t *data, size_t n, struct ibb_error *err)
{
	return ibb_disk_pwrite(ctx, data, n, off, err);
}

/* The digest of the file as it will be: the overlay's blocks lie at the same offsets in it. */
static int digest_of_result(struct ibb_session *s, struct ibb_identity *id, struct ibb_error *err)
{
	IBB_AUTO(ibb_disk_unref) struct ibb_disk *d = NULL;
	IBB_AUTO_FREE char *dir = ibb_spill_dir(s->q);
	int r;

	if (s->q->digest == IBB_DIGEST_NONE)
		return IBB_OK;
	if (!dir)
		return ibb_err_nomem(err);
	r = ibb_disk_overlay_new(ibb_image_file(s->image), IBB_LIMIT_OVERLAY_BYTES, &d, err);
	if (!r)
		r = ibb_disk_overlay_spill(d, dir, err);
	if (!r)
		r = ibb_disk_overlay_dirty(s->image->overlay, put_block, d, err);
	return r ? r : ibb_output_digest(s->q, d, id, err);
}

static int write_change(struct ibb_session *s, const char *text, struct ibb_error *err)
{
	IBB_AUTO(ibb_journal_host_free) struct ibb_journal_host *host = NULL;
	IBB_AUTO_FREE char *manifest = NULL;
	struct ibb_image *im = s->image;
	struct ibb_journal_stats stats;
	struct ibb_journal_change c = {
		.id = journal_id(ibb_image_file(im), ibb_image_kind(im),
				 &im->chain.links[0].vhd.footer, &im->table),
		.overlay = im->overlay,
		.lower = ibb_image_disk(im),
		.text = text,
	};
	int r = IBB_OK;

	if (s->q->manifest)
		r = manifest_name(s->q, &manifest, err);
	c.manifest = manifest;
	if (!r)
		r = ibb_journal_host_new(s->q->image, ibb_disk_file_fd(ibb_image_file(im)),
					 &im->chain.links[0].id, "/sys", &host, err);
	return r ? r : ibb_journal_change(ibb_journal_host_io(host), &c, &stats, err);
}

int ibb_inplace_write(struct ibb_session *s, ibb_manifest_fn fn, void *ctx, struct ibb_error *err)
{
	struct ibb_image *im = s->image;
	struct ibb_identity id = {0};
	const char *text = NULL;
	int r = ibb_output_check_paths(s, err);

	if (!r)
		r = ibb_image_identity(im, s->q->image, &id, err);
	if (!r)
		r = digest_of_result(s, &id, err);
	if (!r)
		r = fn(ctx, s, &id, &text, err);
	/* the last moment at which it can be stopped */
	if (!r)
		r = ibb_session_phase(s->q, "copy", 0, 0, err);
	if (!r)
		r = ibb_chain_unchanged(&im->chain, err);
	if (!r)
		r = write_change(s, text, err);
	ibb_identity_clear(&id);
	return r;
}

/* ---- ibb_recover() ---- */

/*
 * What the image says of itself. A kind that is never changed in place has no journal of its own: a
 * whole one beside it does not match, one that was only begun can go.
 */
static int read_id(struct ibb_disk *file, struct ibb_journal_id *ret, struct ibb_error *err)
{
	IBB_AUTO(ibb_disk_unref) struct ibb_disk *disk = NULL;
	struct ibb_vhd_footer footer = {0};
	struct ibb_ptable table = {0};
	enum ibb_container kind;
	int r = ibb_container_detect(file, &kind, err);

	if (!r && kind == IBB_CONTAINER_VHD_FIXED)
		r = ibb_disk_vhd_fixed_open(file, &footer, &disk, err);
	else if (!r && kind == IBB_CONTAINER_RAW)
		disk = ibb_disk_ref(file);
	if (!r && disk)
		r = ibb_ptable_read(disk, &table, err);
	if (r)
		return r;
	*ret = journal_id(file, kind, &footer, &table);
	ibb_ptable_clear(&table);
	return IBB_OK;
}

/* What was found, and what became of it. */
struct recovered {
	const char *record; /* "redo", "undo", NULL: none */
	const char *action;
	struct ibb_journal_report redo;
	struct ibb_old_manifest old; /* after an undo */
};

static int report_json(const struct ibb_request *q, const struct recovered *x, char **ret_json,
		       struct ibb_error *err)
{
	const struct ibb_journal_report *r = &x->redo;
	IBB_AUTO_FREE char *journal = ibb_journal_path(q->image);
	const bool found = x->record;
	const bool complete = found && r->state == IBB_JOURNAL_COMPLETE;
	struct ibb_jb b = {0};
	struct ibb_json *root, *list;

	if (!journal)
		return ibb_err_nomem(err);
	root = ibb_doc_begin(&b, "ibbake-recover/1");
	ibb_jb_str(&b, root, "image", q->image);
	ibb_jb_str(&b, root, "journal", found ? journal : NULL);
	ibb_jb_str(&b, root, "record", x->record);
	ibb_jb_str(&b, root, "state", !found ? NULL : complete ? "complete" : "incomplete");
	ibb_jb_str(&b, root, "action", x->action);
	ibb_jb_u64(&b, root, "changed_bytes", complete ? r->stats.changed_bytes : 0);
	ibb_jb_u64(&b, root, "sectors_written_before", complete ? r->sectors_new : 0);
	ibb_jb_u64(&b, root, "sectors_written_now",
		   strcmp(x->action, "finished") == 0 ? r->sectors_old : 0);
	ibb_jb_str(&b, root, "manifest", r->manifest);
	ibb_jb_str(&b, root, "manifest_missing", r->missing);
	ibb_jb_str(&b, root, "manifest_restored", x->old.restored);
	list = ibb_jb_array(&b, root, "manifests_aside");
	for (size_t i = 0; i < x->old.n_others; i++)
		ibb_jb_str(&b, list, NULL, x->old.others[i]);
	return ibb_doc_print(&b, ret_json, err);
}

/* Of a file that grew: it can only be what it was before. */
static int recover_undo(const struct ibb_request *q, struct ibb_lock *lock, struct recovered *x,
			struct ibb_error *err)
{
	struct ibb_undo_report report;
	int r = IBB_OK;

	if (q->no_manifest) {
		ibb_err(err, IBB_E_UNSUPPORTED,
			"%s: its change can only be taken back, not be finished without its "
			"manifest",
			q->image);
		return ibb_err_hint(err, IBB_E_UNSUPPORTED, "ibbake recover '%s'", q->image);
	}
	r = ibb_inplace_lock(lock, q->image, err);
	if (!r)
		r = ibb_undo_recover(q->image, &report, err);
	if (r)
		return r;
	x->record = "undo";
	x->action = "dropped";
	x->redo.state = report.complete ? IBB_JOURNAL_COMPLETE : IBB_JOURNAL_INCOMPLETE;
	if (report.complete)
		x->redo.stats.changed_bytes = report.found_bytes - report.old_bytes;
	return ibb_old_manifest_restore(q->image, &x->old, err);
}

static int recover_redo(const struct ibb_request *q, struct ibb_lock *lock, struct recovered *x,
			struct ibb_error *err)
{
	IBB_AUTO(ibb_journal_host_free) struct ibb_journal_host *host = NULL;
	IBB_AUTO(ibb_disk_unref) struct ibb_disk *file = NULL;
	struct ibb_journal_id id;
	struct ibb_file_id state;
	bool found = false;
	int r = ibb_disk_file_open_with_journal(q->image, &state, &file, err);

	if (!r)
		r = ibb_journal_host_new(q->image, ibb_disk_file_fd(file), &state, "/sys", &host,
					 err);
	if (!r)
		r = ibb_journal_host_open(host, &found, err);
	if (r || !found)
		return r;
	r = ibb_inplace_lock(lock, q->image, err);
	if (!r)
		r = ibb_inuse_claim(ibb_disk_file_fd(file), q->image, "/sys", err);
	if (!r)
		r = read_id(file, &id, err);
	if (!r)
		r = ibb_journal_recover(ibb_journal_host_io(host), &id,
					q->drop		 ? IBB_JOURNAL_DROP
					: q->no_manifest ? IBB_JOURNAL_FINISH_BARE
							 : IBB_JOURNAL_FINISH,
					&x->redo, err);
	if (r)
		return r;
	x->record = "redo";
	x->action = x->redo.state == IBB_JOURNAL_COMPLETE && !q->drop ? "finished" : "dropped";
	return IBB_OK;
}

static int recover(const struct ibb_request *q, struct ibb_lock *lock, struct recovered *x,
		   struct ibb_error *err)
{
	bool undo;
	int r = ibb_undo_found(q->image, &undo, err);

	if (r)
		return r;
	return undo ? recover_undo(q, lock, x, err) : recover_redo(q, lock, x, err);
}

int ibb_do_recover(const struct ibb_request *q, char **ret_json, struct ibb_error *err)
{
	struct recovered x = {.action = "nothing"};
	struct ibb_lock lock = {.fd = -1};
	int r = ibb_doc_check_request(q, true, false, err);

	if (!r && q->drop && q->no_manifest)
		r = ibb_err(err, IBB_E_INVALID,
			    "to drop a change and to finish it without its manifest exclude each "
			    "other");
	if (!r)
		r = recover(q, &lock, &x, err);
	ibb_lock_release(&lock);
	if (!r)
		r = report_json(q, &x, ret_json, err);
	ibb_journal_report_clear(&x.redo);
	ibb_old_manifest_clear(&x.old);
	return r;
}
