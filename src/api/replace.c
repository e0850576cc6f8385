/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "api/replace.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/json.h"
#include "base/limits.h"
#include "disk/inuse.h"
#include "disk/journal.h"
#include "manifest/manifest.h"

/* ---- who uses it ---- */

/* For writing where that is allowed: NFS gives an exclusive lock to nobody else. */
static int open_old(const char *path)
{
	const int flags = O_CLOEXEC | O_NOCTTY | O_NONBLOCK | O_NOFOLLOW;
	int fd = open(path, O_RDWR | flags);

	return fd < 0 && (errno == EACCES || errno == EPERM || errno == EROFS)
		       ? open(path, O_RDONLY | flags)
		       : fd;
}

static int claim(struct ibb_replace *x, struct ibb_error *err)
{
	const char *path = x->q->output;
	int r;

	/* the first time, or another file has its name now */
	if (x->fd < 0 || !ibb_path_is(path, &x->id)) {
		ibb_replace_release(x);
		x->fd = open_old(path);
		if (x->fd < 0)
			return errno == ENOENT
				       ? IBB_OK
				       : ibb_err_os(err, errno,
						    "%s: open, to see whether it is in use", path);
		r = ibb_file_id_fd(x->fd, path, &x->id, err);
		if (r)
			return r;
	}
	r = ibb_inuse_claim(x->fd, path, "/sys", err);
	if (r == IBB_E_CONFLICT)
		ibb_err_hint(err, r,
			     "stop what uses it (fuser -v shows it), or choose another name");
	return r;
}

/* A result made of what is replaced must not replace anything else: nobody has that elsewhere. */
static int check_expected(const struct ibb_replace *x, struct ibb_error *err)
{
	const struct ibb_file_id *was = x->expected;
	struct ibb_file_id now;
	int r;

	if (!was)
		return IBB_OK;
	if (x->fd < 0 || !ibb_path_is(x->q->output, was) || !ibb_same_file(&x->id, was)) {
		r = ibb_err(err, IBB_E_CHANGED,
			    "%s: was moved, removed or replaced while it was written anew",
			    x->q->output);
		return ibb_err_hint(err, r, "nothing was replaced; run it again");
	}
	r = ibb_file_id_fd(x->fd, x->q->output, &now, err);
	if (r || (ibb_same_state(&now, was) && now.ctime_s == was->ctime_s &&
		  now.ctime_ns == was->ctime_ns))
		return r;
	r = ibb_err(err, IBB_E_CHANGED, "%s: was changed while it was written anew", x->q->output);
	return ibb_err_hint(err, r, "nothing was replaced; run it again");
}

/* ---- the manifest that it would leave behind ---- */

int ibb_replace_load_manifest(const char *path, struct ibb_json **ret, struct ibb_error *err)
{
	static const char *const schemas[] = {"ibbake-manifest/", "ibbake-wim-manifest/"};
	IBB_AUTO(ibb_json_free) struct ibb_json *doc = NULL;
	IBB_AUTO_BUF struct ibb_buf text = {0};
	struct ibb_error ignored = {0};
	const char *found;
	struct stat st;
	int r;

	*ret = NULL;
	if (lstat(path, &st) || !S_ISREG(st.st_mode))
		return IBB_OK;
	r = ibb_read_file(path, IBB_LIMIT_JSON_BYTES, &text, &ignored);
	if (!r)
		r = ibb_json_parse(path, text.data, text.len, &doc, &ignored);
	if (r)
		return r == IBB_E_NOMEM ? ibb_err_nomem(err) : IBB_OK;
	found = ibb_json_str(doc, "schema");
	for (size_t i = 0; found && i < IBB_ARRAY_SIZE(schemas); i++)
		if (strncmp(found, schemas[i], strlen(schemas[i])) == 0) {
			*ret = IBB_TAKE(doc);
			break;
		}
	return IBB_OK;
}

/* The path of OUT.manifest.json when it is one of ours, else NULL. */
static int find_manifest(const struct ibb_request *q, char **ret, struct ibb_error *err)
{
	IBB_AUTO_FREE char *path = ibb_asprintf("%s.manifest.json", q->output);
	IBB_AUTO(ibb_json_free) struct ibb_json *doc = NULL;
	int r = path ? ibb_replace_load_manifest(path, &doc, err) : ibb_err_nomem(err);

	if (!r)
		*ret = doc ? IBB_TAKE(path) : NULL;
	return r;
}

/* Without one of its own the new image would be taken for the one that this manifest is about. */
static int check_manifest(const struct ibb_request *q, struct ibb_error *err)
{
	IBB_AUTO_FREE char *path = NULL;
	int r = find_manifest(q, &path, err);

	if (r || !path)
		return r;
	ibb_err(err, IBB_E_EXISTS, "%s: the manifest of another image of that name exists", path);
	return ibb_err_hint(err, IBB_E_EXISTS,
			    "choose another name, or have it removed with --overwrite");
}

/*
 * Over an image whose change was interrupted nothing is written: what is to become of that change,
 * which a recover would make to the new image, has to be decided first. With the locks, for who is
 * at work has a journal as well.
 */
static int check_journal(const struct ibb_replace *x, struct ibb_error *err)
{
	int r = ibb_journal_check(x->q->output, err);

	if (r == IBB_E_CONFLICT && x->fd < 0)
		ibb_err_hint(err, r,
			     "choose another name, or put the journal where its image is now");
	return r;
}

int ibb_replace_begin(struct ibb_replace *x, const struct ibb_request *q, struct ibb_error *err)
{
	int r;

	*x = (struct ibb_replace){.q = q, .fd = -1};
	r = q->overwrite ? claim(x, err) : check_manifest(q, err);
	if (!r)
		r = check_journal(x, err);
	if (!r)
		r = ibb_atomic_sweep(q->output, err);
	if (r)
		ibb_replace_release(x);
	return r;
}

void ibb_replace_release(struct ibb_replace *x)
{
	ibb_close_fd(&x->fd);
}

/* ---- taking its place ---- */

/* The manifests that go with the old image: the one that is replaced, and OUT.manifest.json. */
struct old_manifests {
	struct ibb_aside a[2];
};

static void put_back(struct old_manifests *old, struct ibb_error *err)
{
	for (size_t i = 0; i < IBB_ARRAY_SIZE(old->a); i++)
		ibb_aside_back(&old->a[i], err);
}

static int put_aside(const struct ibb_request *q, bool replaced, struct old_manifests *old,
		     struct ibb_error *err)
{
	IBB_AUTO_FREE char *beside = NULL;
	int r = IBB_OK;

	if (!q->overwrite)
		return IBB_OK;
	if (replaced)
		r = ibb_aside_put(&old->a[0], q->manifest, err);
	if (!r)
		r = find_manifest(q, &beside, err);
	if (!r && beside)
		r = ibb_aside_put(&old->a[1], beside, err);
	if (r)
		put_back(old, err);
	return r;
}

/* What was put aside goes when the image has its name, or comes back. */
static int commit_image(const struct ibb_replace *x, struct ibb_atomic *image,
			struct old_manifests *old, struct ibb_error *err)
{
	int r = check_expected(x, err);

	if (!r)
		r = ibb_atomic_commit(image, err);

	if (!image->published)
		put_back(old, err);
	for (size_t i = 0; i < IBB_ARRAY_SIZE(old->a); i++)
		ibb_aside_drop(&old->a[i]);
	return r;
}

static int prepare_manifest(const struct ibb_request *q, struct ibb_atomic *man, const char *text,
			    struct ibb_error *err)
{
	int r = ibb_atomic_begin(man, q->manifest, q->overwrite, err);

	if (!r)
		r = ibb_pwrite_full(man->fd, text, strlen(text), 0, q->manifest, err);
	return r ? r : ibb_atomic_prepare(man, err);
}

/* `r` with `err` is what went wrong before, and stays what is said. */
static int publish_manifest(const struct ibb_request *q, struct ibb_atomic *man, int r,
			    struct ibb_error *err)
{
	struct ibb_error why = {0};
	int late;

	man->keep = true;
	late = ibb_atomic_commit(man, &why);
	if (r || !late)
		return r;
	if (err)
		*err = why;
	return ibb_err_prefix(err, late, "the image %s is complete, but its manifest is not",
			      q->output);
}

int ibb_replace_publish(struct ibb_replace *x, struct ibb_atomic *image, const char *text,
			struct ibb_error *err)
{
	struct ibb_atomic man = {.fd = -1, .dir_fd = -1};
	struct old_manifests old = {0};
	const struct ibb_request *q = x->q;
	int r = text ? prepare_manifest(q, &man, text, err) : IBB_OK;

	if (!r)
		r = ibb_atomic_prepare(image, err);
	/* who came in the meantime */
	if (!r && q->overwrite)
		r = claim(x, err);
	if (!r)
		r = check_expected(x, err);
	if (!r)
		r = put_aside(q, text != NULL, &old, err);
	if (!r)
		r = commit_image(x, image, &old, err);
	/* also when only the fsync of the directory failed: the image has its name */
	if (text && image->published)
		r = publish_manifest(q, &man, r, err);
	ibb_atomic_abort(&man);
	return r;
}

int ibb_replace_manifest(const struct ibb_request *q, const char *text,
			 int (*seal)(void *ctx, struct ibb_error *err), void *ctx,
			 struct ibb_error *err)
{
	struct ibb_atomic man = {.fd = -1, .dir_fd = -1};
	struct ibb_aside old = {0};
	int r = text ? prepare_manifest(q, &man, text, err) : IBB_OK;

	if (!r && text && q->overwrite)
		r = ibb_aside_put(&old, q->manifest, err);
	if (!r) {
		r = seal(ctx, err);
		if (r)
			ibb_aside_back(&old, err);
	}
	if (!r && text) {
		man.keep = true;
		r = ibb_atomic_commit(&man, err);
		if (r)
			(void)ibb_err_prefix(err, r,
					     "the image %s is complete, but its manifest is not",
					     q->image);
	}
	ibb_aside_drop(&old);
	ibb_atomic_abort(&man);
	return r;
}
