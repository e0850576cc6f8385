/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * An edited hive on its way into the volume, and the proof that it is what was planned. Beside the
 * one copy of the hive that the facts hold, all this needs memory only for what changed.
 */
#include <string.h>

#include "apply/work.h"
#include "base/limits.h"

/* ---- files that read back as they were written ---- */

#define FILE_ATTRIBUTE_ARCHIVE 0x20

int ibb_apply_content(struct work *w, struct ibb_bytes b, struct content *ret)
{
	ret->n_bytes = b.len;
	return ibb_sha256(b.data, b.len, &ret->sha256) ? ibb_err_nomem(w->err) : IBB_OK;
}

struct read_back {
	struct ibb_bytes want;
	uint64_t n;
	bool differs;
};

static int compare_piece(void *ctx, uint64_t off, struct ibb_bytes piece, struct ibb_error *err)
{
	struct read_back *b = ctx;

	(void)err;
	b->differs |= !ibb_in_range(off, piece.len, b->want.len) ||
		      memcmp(b->want.data + off, piece.data, piece.len) != 0;
	b->n += piece.len;
	return IBB_OK;
}

int ibb_apply_put(struct work *w, const char *path, struct ibb_bytes bytes, enum ibb_put_mode mode)
{
	struct ibb_meta meta = {.time = w->p->time, .attributes = FILE_ATTRIBUTE_ARCHIVE};
	struct read_back back = {.want = bytes};
	int r = ibb_volume_put(w->v, path, bytes, mode, &meta, w->err);

	if (!r)
		r = ibb_volume_stream(w->v, path, UINT64_MAX, compare_piece, &back, w->err);
	if (!r && (back.differs || back.n != bytes.len))
		r = ibb_err(w->err, IBB_E_IO, "%s reads back different from what was written",
			    path);
	return r;
}

/* ---- the proof ---- */

/* The parsed bytes are sound, and differ from the hive before in what the plan says only. */
static int prove_tree(struct work *w, enum ibb_hive_id id, const struct ibb_fact_hive *fh,
		      struct ibb_bytes sealed)
{
	IBB_AUTO(ibb_hive_close) struct ibb_hive *new = NULL;
	struct ibb_hive_check check;
	int r = ibb_hive_open_view(fh->path, sealed, &new, w->err);

	if (!r)
		r = ibb_hive_check(new, &check, w->err);
	if (!r && check.excess_counts)
		r = ibb_err(w->err, IBB_E_INTERNAL, "%s: %llu security cells count too many keys",
			    fh->path, (unsigned long long)check.excess_counts);
	if (r && r != IBB_E_NOMEM && ibb_hive_edited(fh->hive)) /* it was sound before */
		r = ibb_err_prefix(w->err, IBB_E_INTERNAL, "the edited hive is not sound");
	return r ? r : ibb_apply_check_difference(w->p, id, ibb_hive_before(fh->hive), new, w->err);
}

/*
 * The hive before shares the bytes of pages that no edit touched with the edited one; so these have
 * to be held against the file itself.
 */
struct untouched {
	const struct ibb_fact_hive *fh;
	struct ibb_bytes sealed;
	struct ibb_hasher *hash;
};

static int check_untouched(void *ctx, uint64_t off, struct ibb_bytes piece, struct ibb_error *err)
{
	struct untouched *u = ctx;
	size_t n;

	if (ibb_hasher_update(u->hash, piece.data, piece.len))
		return ibb_err_nomem(err);
	for (size_t i = 0; i < piece.len; i += n) {
		uint64_t at = off + i;

		n = 4096 - at % 4096;
		n = n < piece.len - i ? n : piece.len - i;
		if (at >= u->sealed.len || ibb_hive_page_changed(u->fh->hive, at))
			continue;
		if (!ibb_in_range(at, n, u->sealed.len) ||
		    memcmp(u->sealed.data + at, piece.data + i, n) != 0)
			return ibb_err(err, IBB_E_INTERNAL,
				       "%s: the page at 0x%llx changed, though no edit touched it",
				       u->fh->path, (unsigned long long)at);
	}
	return IBB_OK;
}

static int prove_rest(struct work *w, const struct ibb_fact_hive *fh, struct ibb_bytes sealed,
		      struct content *ret_before)
{
	struct untouched u = {.fh = fh, .sealed = sealed};
	int r;

	if (ibb_hasher_new(&u.hash))
		return ibb_err_nomem(w->err);
	r = ibb_volume_stream(w->v, fh->path, IBB_LIMIT_HIVE_BYTES, check_untouched, &u, w->err);
	if (r) {
		ibb_hasher_free(u.hash);
		return r;
	}
	ret_before->n_bytes = fh->size_bytes;
	if (ibb_hasher_final(u.hash, &ret_before->sha256))
		return ibb_err_nomem(w->err);
	if (memcmp(&ret_before->sha256, &fh->sha256, sizeof(fh->sha256)) != 0)
		return ibb_err(w->err, IBB_E_CONFLICT, "%s changed while the plan was made",
			       fh->path);
	return IBB_OK;
}

static bool to_be_marked(const struct ibb_plan *p, enum ibb_hive_id id)
{
	for (size_t i = 0; i < p->n_ops; i++)
		if (p->ops[i].kind == IBB_OP_MARK_CLEAN && p->ops[i].hive == id)
			return true;
	return false;
}

int ibb_apply_hive(struct work *w, enum ibb_hive_id id)
{
	struct ibb_fact_hive *fh = &w->f->hives[id];
	struct content old, new;
	struct ibb_bytes sealed;
	int r = ibb_apply_registry(w->p, id, fh->hive, w->err);

	if (r || (!ibb_hive_edited(fh->hive) && !to_be_marked(w->p, id)))
		return r;
	r = ibb_hive_seal(fh->hive, w->p->time, &sealed, w->err);
	if (!r)
		r = prove_tree(w, id, fh, sealed);
	if (!r)
		r = prove_rest(w, fh, sealed, &old);
	if (!r)
		r = ibb_apply_put(w, fh->path, sealed, IBB_PUT_IN_PLACE);
	if (!r)
		r = ibb_apply_content(w, sealed, &new);
	if (!r)
		r = ibb_apply_record(w, fh->path, "hive", &old, &new);
	w->out->hives_edited++;
	return r;
}
