/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A cabinet of an MSI: its members have the keys of the File table for names. */
#include <stdlib.h>

#include "base/le.h"
#include "unpack/msi_internal.h"

/* [MS-CAB] 2.1, 2.3 */
#define CFHEADER_BYTES 36u
#define CFFILE_BYTES   16u
#define NAME_BYTES     257u
#define HAS_OTHERS     3u      /* of its flags: it goes on in another one, or begins there */
#define CONTINUED      0xfffdu /* of iFolder, and above */

struct wanted {
	struct msi_file *file;
	const struct msi_db *db;
	bool listed;
};
struct listing {
	const struct msi_db *db;
	struct wanted *want; /* by key */
	size_t n;
};

static int key_cmp(struct ibb_bytes a, struct ibb_bytes b)
{
	size_t n = a.len < b.len ? a.len : b.len;
	int c = n ? memcmp(a.data, b.data, n) : 0;

	return c ? c : (a.len > b.len) - (a.len < b.len);
}

static int by_key(const void *a, const void *b)
{
	const struct wanted *x = a, *y = b;

	return key_cmp(msi_string(x->db, x->file->key), msi_string(y->db, y->file->key));
}

static int key_is(const void *key, const void *item)
{
	const struct wanted *w = item;

	return key_cmp(*(const struct ibb_bytes *)key, msi_string(w->db, w->file->key));
}

static struct wanted *find(const struct listing *l, const char *member, size_t n)
{
	struct ibb_bytes key = {(const uint8_t *)member, n};

	return l->n ? bsearch(&key, l->want, l->n, sizeof(*l->want), key_is) : NULL;
}

static int make_listing(const struct msi_db *db, struct msi_plan *p, uint32_t m, struct listing *l,
			struct ibb_error *err)
{
	l->db = db;
	l->want = ibb_calloc_array(p->n_files, sizeof(*l->want));
	if (!l->want)
		return ibb_err_nomem(err);
	for (size_t i = 0; i < p->n_files; i++)
		if (p->files[i].medium == m)
			l->want[l->n++] = (struct wanted){&p->files[i], db, false};
	if (l->n > 1)
		qsort(l->want, l->n, sizeof(*l->want), by_key);
	return IBB_OK;
}

/* One CFFILE: *at goes behind it. */
static int look_at_member(const struct unpack_source *cab, struct listing *l, uint64_t *at,
			  struct ibb_error *err)
{
	uint8_t b[CFFILE_BYTES + NAME_BYTES] = {0};
	size_t n = (size_t)ibb_min_u64(sizeof(b), cab->size_bytes - *at);
	struct wanted *w;
	const uint8_t *end;
	int rc = unpack_read(cab, *at, b, n, err);

	if (rc)
		return rc;
	end = n > CFFILE_BYTES ? memchr(b + CFFILE_BYTES, 0, n - CFFILE_BYTES) : NULL;
	if (!end)
		return ibb_err(err, IBB_E_CORRUPT, "%s: damaged cabinet: a member without a name",
			       cab->name);
	if (ibb_get_le16(b + 8) >= CONTINUED)
		return msi_refuse(err, "%s: a cabinet that goes on in another one", cab->name);
	*at += (uint64_t)(end - b) + 1;
	w = find(l, (const char *)b + CFFILE_BYTES, (size_t)(end - b) - CFFILE_BYTES);
	if (!w)
		return IBB_OK;
	if (w->listed)
		return ibb_err(err, IBB_E_CONFLICT, "%s: two members '%.100s'", cab->name,
			       b + CFFILE_BYTES);
	w->listed = true;
	if (ibb_get_le32(b) != w->file->size)
		return ibb_err(err, IBB_E_CORRUPT,
			       "%s: %s: its cabinet has %u bytes of it, the table of files says %u",
			       cab->name, w->file->path, ibb_get_le32(b), w->file->size);
	return IBB_OK;
}

static int check_listing(const struct unpack_source *cab, struct listing *l, struct ibb_error *err)
{
	uint8_t h[CFHEADER_BYTES];
	int rc = unpack_read(cab, 0, h, sizeof(h), err);
	unsigned n;
	uint64_t at;

	if (rc)
		return rc;
	if (memcmp(h, "MSCF", 4) != 0)
		return ibb_err(err, IBB_E_CORRUPT, "%s: not a cabinet", cab->name);
	if (ibb_get_le16(h + 30) & HAS_OTHERS)
		return msi_refuse(err, "%s: a cabinet that goes on in another one", cab->name);
	at = ibb_get_le32(h + 16);
	n = ibb_get_le16(h + 28);
	for (unsigned i = 0; !rc && i < n; i++) {
		if (!ibb_in_range(at, CFFILE_BYTES, cab->size_bytes))
			return ibb_err(err, IBB_E_CORRUPT, "%s: damaged cabinet: truncated",
				       cab->name);
		rc = look_at_member(cab, l, &at, err);
	}
	for (size_t i = 0; !rc && i < l->n; i++)
		if (!l->want[i].listed)
			rc = ibb_err(err, IBB_E_CORRUPT, "%s: it lacks %s", cab->name,
				     l->want[i].file->path);
	return rc;
}

/* unpack_rename_fn */
static const char *rename_member(void *ctx, const char *member)
{
	struct listing *l = ctx;
	struct wanted *w = find(l, member, strlen(member));

	if (!w)
		return NULL;
	w->file->came = true;
	return w->file->path;
}

int msi_extract_cab(const struct msi_db *db, struct msi_plan *p, uint32_t m,
		    const struct unpack_source *cab, struct unpack_tree *t, struct ibb_error *err)
{
	struct listing l = {0};
	int rc = make_listing(db, p, m, &l, err);

	if (!rc)
		rc = check_listing(cab, &l, err);
	if (!rc)
		rc = unpack_cab_members(cab, rename_member, &l, t, err);
	for (size_t i = 0; !rc && i < l.n; i++)
		if (!l.want[i].file->came)
			rc = ibb_err(err, IBB_E_CORRUPT, "%s: it did not give %s", cab->name,
				     l.want[i].file->path);
	free(l.want);
	return rc;
}
