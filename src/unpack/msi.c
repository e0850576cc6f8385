/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * An MSI: every file of its File table, from its cabinets or from beside it. Custom actions, icons
 * and other binary data of its tables are no files of the package and stay where they are. Merge
 * modules, transforms and patches are not read.
 */
#include <stdlib.h>

#include "base/io.h"
#include "base/le.h"
#include "unpack/msi_internal.h"

#define PIECE 65536u

/* {000C1084-0000-0000-C000-000000000046} is an installer; 1082 is a transform, 1086 a patch. */
static bool is_class(const uint8_t clsid[16])
{
	static const uint8_t rest[15] = {0x10, 0x0c, 0, 0, 0, 0, 0, 0xc0, 0, 0, 0, 0, 0, 0, 0x46};

	return (clsid[0] == 0x84 || clsid[0] == 0x82 || clsid[0] == 0x86) &&
	       memcmp(clsid + 1, rest, sizeof(rest)) == 0;
}

bool unpack_is_msi(const struct unpack_source *s)
{
	struct cfb c;
	uint8_t clsid[16];
	bool oom = false, is;

	if (!cfb_is_one(s))
		return false;
	/* The class alone tells it, however damaged the rest may be; and what is too damaged to
	 * have one is passed on as well: the reader will say what is wrong with it. */
	if (!cfb_peek_clsid(s, clsid) || is_class(clsid))
		return true;
	if (cfb_open(s, &c, NULL))
		return false;
	is = msi_find_stream(&c, "!_StringPool", &oom);
	cfb_clear(&c);
	return is;
}

static int spool_stream(const struct msi_db *db, const struct cfb_stream *s, struct unpack_tree *t,
			int fd, struct ibb_error *err)
{
	IBB_AUTO_FREE uint8_t *piece = ibb_alloc(PIECE);
	struct cfb_cursor cur = cfb_begin(&db->c, s);
	uint64_t left = s->size_bytes;
	int rc = piece ? IBB_OK : ibb_err_nomem(err);

	while (!rc && left) {
		size_t n = (size_t)ibb_min_u64(left, PIECE);

		rc = cfb_read(&cur, piece, n, err);
		if (!rc)
			rc = unpack_tree_spool_write(t, fd, piece, n, err);
		left -= n;
	}
	return rc;
}

static int open_embedded(const struct msi_db *db, const char *stream, struct unpack_tree *t,
			 struct unpack_source *cab, struct ibb_error *err)
{
	bool oom = false;
	const struct cfb_stream *s = msi_find_stream(&db->c, stream, &oom);
	int rc;

	if (oom)
		return ibb_err_nomem(err);
	if (!s)
		return ibb_err(err, IBB_E_CORRUPT, "%s: damaged MSI: it lacks its cabinet %s",
			       db->name, stream);
	rc = unpack_tree_spool(t, &cab->fd, err);
	if (rc)
		return rc;
	cab->size_bytes = s->size_bytes;
	return spool_stream(db, s, t, cab->fd, err);
}

/* A file beside the MSI. */
static int open_beside(const struct msi_db *db, const char *path, struct unpack_tree *t,
		       struct unpack_source *file, struct ibb_error *err)
{
	int rc = unpack_tree_sibling(t, path, &file->fd, &file->size_bytes, err);

	if (rc != IBB_E_NOTFOUND)
		return rc;
	ibb_err(err, IBB_E_UNSUPPORTED, "%s: it needs the file %s beside it", db->name, path);
	return ibb_err_hint(err, IBB_E_UNSUPPORTED,
			    "give the archive or directory that has both, or put them side by "
			    "side under these names");
}

static int take_cabinet(const struct msi_db *db, struct msi_plan *p, uint32_t m,
			struct unpack_tree *t, struct ibb_error *err)
{
	const char *cabinet = p->media[m].cabinet;
	bool embedded = cabinet[0] == '#';
	IBB_AUTO_FREE char *name = ibb_asprintf("%s: %s", db->name, cabinet + embedded);
	struct unpack_source cab = {.fd = -1, .name = name};
	int rc;

	if (!name)
		return ibb_err_nomem(err);
	rc = embedded ? open_embedded(db, cabinet + 1, t, &cab, err)
		      : open_beside(db, cabinet, t, &cab, err);
	if (!rc)
		rc = msi_extract_cab(db, p, m, &cab, t, err);
	ibb_close_fd(&cab.fd);
	return rc;
}

static int copy_file(const struct unpack_source *from, const struct msi_file *f,
		     struct unpack_tree *t, struct ibb_error *err)
{
	IBB_AUTO_FREE uint8_t *piece = ibb_alloc(PIECE);
	uint64_t size = from->size_bytes;
	int rc;

	if (!piece)
		return ibb_err_nomem(err);
	rc = unpack_tree_begin(t, f->path, &size, err);
	for (uint64_t at = 0; !rc && at < size;) {
		size_t n = (size_t)ibb_min_u64(size - at, PIECE);

		rc = unpack_read(from, at, piece, n, err);
		if (!rc)
			rc = unpack_tree_write(t, piece, n, err);
		at += n;
	}
	return rc ? rc : unpack_tree_end(t, err);
}

static int take_file(const struct msi_db *db, struct msi_file *f, struct unpack_tree *t,
		     struct ibb_error *err)
{
	struct unpack_source from = {.fd = -1, .name = f->source};
	int rc = open_beside(db, f->source, t, &from, err);

	if (!rc && from.size_bytes != f->size)
		rc = ibb_err(err, IBB_E_CORRUPT,
			     "%s: %s beside it has %llu bytes, its table of files says %u",
			     db->name, f->source, (unsigned long long)from.size_bytes, f->size);
	if (!rc)
		rc = copy_file(&from, f, t, err);
	ibb_close_fd(&from.fd);
	f->came = !rc;
	return rc;
}

static int take_all(const struct msi_db *db, struct msi_plan *p, struct unpack_tree *t,
		    struct ibb_error *err)
{
	int rc = IBB_OK;

	/* by sequence, so that all files of one medium stand together or between those beside */
	for (size_t i = 0; !rc && i < p->n_files; i++) {
		struct msi_file *f = &p->files[i];

		if (f->came)
			continue;
		rc = f->medium == MSI_NO_MEDIUM ? take_file(db, f, t, err)
						: take_cabinet(db, p, f->medium, t, err);
	}
	return rc;
}

int unpack_msi(const struct unpack_source *s, struct unpack_tree *t, struct ibb_error *err)
{
	struct msi_plan p = {0};
	struct msi_db db;
	int rc = msi_open(s, &db, err);

	if (rc)
		return rc;
	rc = msi_plan_make(&db, t, &p, err);
	if (!rc)
		rc = take_all(&db, &p, t, err);
	msi_plan_clear(&p);
	msi_close(&db);
	return rc;
}
